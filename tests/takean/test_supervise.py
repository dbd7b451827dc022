"""The supervisor, with children of a few lines: what it brings back, what it gives up, and in which order it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from takean import supervise

RUN = """
import os, pathlib, sys, time
from takean import supervise
folder = sys.argv[1]
supervise.STEADY_S, supervise.WAIT_S = 60.0, float(os.environ.get("WAIT_S", "0.05"))
def announce(ready):
    print("ready", sorted(ready), ready["web"]["url"], flush=True)
child = os.path.join(folder, "child.py")
limit = os.environ.get("FILES")
if limit:
    import resource
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    def announce(ready):
        print("ready", flush=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (5, before[1]))
    import threading
    def lift():
        while not os.path.exists(os.path.join(folder, "lift")):
            time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    threading.Thread(target=lift, daemon=True).start()
beside = "BESIDE" in os.environ
def may_reload():
    mistake = os.path.join(folder, "mistake")
    if os.path.exists(mistake):
        os.rename(mistake, mistake + ".seen")
        return False
    return True
lock = supervise.hold(pathlib.Path(folder))
command = lambda name: [sys.executable, child, name]
house = supervise.Supervisor(command, announce=announce, may_reload=may_reload, lock=lock, beside=beside)
sys.exit(house.run())
"""

CHILD = """
import os, signal, sys, time
from takean import supervise
name, pipe, parent = sys.argv[1], int(sys.argv[3]), int(sys.argv[5])
folder = os.path.dirname(sys.argv[0])
supervise.die_with(parent)
def note(what):
    with open(os.path.join(folder, "log"), "a") as log:
        log.write(f"{what} {name} {os.getpid()}\\n")
def stop(*_):
    note("stop")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("secret" if "TAKEAN_BROKER_PASSWORD" in os.environ else "none")
if os.path.exists(os.path.join(folder, f"refuse-{name}")):
    note("refuse")
    sys.exit(int(open(os.path.join(folder, f"refuse-{name}")).read()))
note("start")
supervise.say_ready(pipe, url="http://here")
while True:
    time.sleep(0.01)
"""


class House:
    """A supervisor's process and what its children note."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        (folder / "child.py").write_text(CHILD)

    def start(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.folder)],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def noted(self, what: str) -> list[tuple[str, int]]:
        """(child, process id) of each line, in order."""
        path = self.folder / "log"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(name, int(pid)) for word, name, pid in lines if word == what]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline_s, (self.folder / "log").read_text()
            time.sleep(0.01)

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def said(self) -> tuple[str, str]:
        assert self.process is not None
        return self.process.communicate(timeout=30)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.communicate()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_says_the_addresses_once_all_are_ready_and_ends_them_pages_first(house: House) -> None:
    house.start()
    house.until(lambda: len(house.noted("start")) == 3)
    assert house.process is not None
    assert house.process.stdout is not None
    assert house.process.stdout.readline() == "ready ['dispatch', 'web', 'worker'] http://here\n"
    assert house.end() == 0
    assert [name for name, _ in house.noted("stop")] == ["web", "dispatch", "worker"]
    assert house.said() == ("", "")


def test_whoever_is_killed_is_brought_back_at_once_and_the_others_go_on(house: House) -> None:
    house.start(WAIT_S="20")
    house.until(lambda: len(house.noted("start")) == 3)
    first = dict(house.noted("start"))
    began_s = time.monotonic()
    os.kill(first["worker"], signal.SIGKILL)
    house.until(lambda: len(house.noted("start")) == 4)
    assert time.monotonic() - began_s < 10, "the first time nobody waits"
    assert house.noted("start")[3][0] == "worker"
    assert not any(is_gone(first[name]) for name in ("dispatch", "web"))
    assert house.end() == 0


def test_a_changed_configuration_renews_who_reads_it_and_nobody_else(house: House) -> None:
    house.start()
    house.until(lambda: len(house.noted("start")) == 3)
    house.until(lambda: supervise.reload(house.folder))
    house.until(lambda: len(house.noted("start")) == 5)
    assert [name for name, _ in house.noted("start")][3:] == ["worker", "web"]
    assert [name for name, _ in house.noted("stop")] == ["worker", "web"]
    (house.folder / "mistake").touch()
    assert supervise.reload(house.folder)
    house.until((house.folder / "mistake.seen").exists)
    assert house.end() == 0
    assert "what runs goes on as it is" in house.said()[1]
    assert len(house.noted("start")) == 5


def test_whoever_dies_again_and_again_waits_longer_each_time(house: House) -> None:
    house.start(WAIT_S="0.2")
    house.until(lambda: len(house.noted("start")) == 3)
    for _ in range(4):
        there = len(house.noted("start"))
        os.kill(dict(house.noted("start"))["dispatch"], signal.SIGKILL)
        house.until(lambda there=there: len(house.noted("start")) > there)  # type: ignore[misc]
    assert house.end() == 0
    _, told = house.said()
    assert [line.rpartition(" in ")[2] for line in told.splitlines()] == ["0.0 s", "0.2 s", "0.4 s", "0.8 s"]


@pytest.mark.parametrize(("code", "expected"), [("2", 2), ("1", 1), ("7", 1)])
def test_one_that_cannot_begin_ends_the_others(house: House, code: str, expected: int) -> None:
    (house.folder / "refuse-web").write_text(code)
    house.start()
    assert house.process is not None
    assert house.process.wait(timeout=30) == expected
    for _, pid in house.noted("start"):
        assert is_gone(pid)


def test_one_that_ran_and_then_cannot_begin_is_tried_again_beside_the_others(house: House) -> None:
    house.start()
    house.until(lambda: len(house.noted("start")) == 3)
    (house.folder / "refuse-worker").write_text("2")
    os.kill(dict(house.noted("start"))["worker"], signal.SIGKILL)
    house.until(lambda: len(house.noted("refuse")) >= 2)
    (house.folder / "refuse-worker").unlink()
    house.until(lambda: len(house.noted("start")) == 4)
    assert house.end() == 0


def test_nobody_is_left_when_the_supervisor_is_killed(house: House) -> None:
    house.start()
    house.until(lambda: len(house.noted("start")) == 3)
    assert house.process is not None
    house.process.kill()
    house.process.wait()
    house.until(lambda: all(is_gone(pid) for _, pid in house.noted("start")))
    assert house.noted("stop") == []


def test_a_start_that_the_machine_refuses_is_a_death_and_ends_nobody(house: House) -> None:
    house.start(FILES="1")
    assert house.process is not None
    assert house.process.stdout is not None
    assert house.process.stdout.readline() == "ready\n"
    first = dict(house.noted("start"))
    os.kill(first["web"], signal.SIGKILL)
    assert house.process.stderr is not None
    for expected in ("web died", "web could not be started: [Errno 24]", "web could not be started: [Errno 24]"):
        assert expected in house.process.stderr.readline()
    assert not any(is_gone(first[name]) for name in ("dispatch", "worker"))
    (house.folder / "lift").touch()
    house.until(lambda: len(house.noted("start")) == 4)
    assert house.end() == 0


def test_a_hang_up_that_was_to_be_ignored_is(house: House) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        house.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    house.until(lambda: len(house.noted("start")) == 3)
    assert house.process is not None
    house.process.send_signal(signal.SIGHUP)
    os.kill(dict(house.noted("start"))["web"], signal.SIGKILL)
    house.until(lambda: len(house.noted("start")) == 4)
    assert house.end() == 0
    assert "web died" in house.said()[1]


def test_only_the_worker_knows_the_brokers_password(house: House) -> None:
    house.start(TAKEAN_BROKER_PASSWORD="rain")
    house.until(lambda: len(house.noted("start")) == 3)
    assert [name for name, _ in house.noted("secret")] == ["worker"]
    assert house.end() == 0


def test_the_mirrors_hold_nobody_up_and_end_nobody(house: House) -> None:
    (house.folder / "refuse-mirror").write_text("2")
    house.start(BESIDE="1", TAKEAN_MIRROR_TOKEN="t")
    assert house.process is not None
    assert house.process.stdout is not None
    assert house.process.stdout.readline().startswith("ready ['dispatch', 'web', 'worker']")
    house.until(lambda: len(house.noted("refuse")) >= 2)
    (house.folder / "refuse-mirror").unlink()
    house.until(lambda: len(house.noted("start")) == 4)
    assert [name for name, _ in house.noted("start")][3] == "mirror"
    assert house.end() == 0


def test_a_state_folder_is_held_by_one_until_it_ends(tmp_path: Path) -> None:
    held = supervise.hold(tmp_path)
    with pytest.raises(OSError, match="another Takean runs on this state folder"):
        supervise.hold(tmp_path)
    os.close(held)
    os.close(supervise.hold(tmp_path))


def test_a_process_that_hangs_below_the_interpreter_ends_itself_and_says_where() -> None:
    code = """
import ctypes
from takean import supervise
def stuck_here():
    ctypes.PyDLL(None).sleep(60)  # holds the interpreter
supervise.die_if_silent(60)
supervise.die_if_silent(0.2)
stuck_here()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "stuck_here" in done.stderr
