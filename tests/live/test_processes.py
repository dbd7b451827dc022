"""Three processes of one box: any of them may die, and what the others promise goes on."""

import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from alerts.episode import Kind
from alerts.ledger.sql import open_ledger
from alerts.people import Address
from api.auth import CSRF_HEADER, SESSION_COOKIE, csrf_of
from bench.mqtt_load import publish
from tests.live.installation import Installation

pytestmark = pytest.mark.live

STATIONS = ("S-1", "S-2")
PATIENCE_S = 60.0
"""For whatever has no bound of its own, on a busy machine."""
BLIND_S_MAX = 5.0
"""From the death of the worker to the banner on a page (contract)."""
RETURN_CPU_S_MAX = 4.0
"""Processor time of a worker that is ready again: 5 s on an idle machine, and no claim about a busy one."""
BLIND = 'class="blind"'
PASSWORD = "wet feet at dawn"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("processes") / "box", STATIONS)
    made.start()
    yield made
    assert made.process is not None
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGCONT)
        made.stop()


def until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> float:
    """Wait for it; how long it took."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < seconds, "not in time"
        time.sleep(0.02)
    return time.monotonic() - began_s


def ready(box: Installation) -> dict[str, object]:
    answer: dict[str, object] = httpx.get(f"{box.url}/readyz", timeout=10).json()
    return answer


def readings(*values: float, ago_s: int = 0) -> list[bytes]:
    """One a minute, the last one so long ago."""
    end_ms = time.time_ns() // 1_000_000 - 1000 * ago_s
    n = len(values)
    return [
        b'{"ts": %d, "values": {"stage_m": %.3f}}' % (end_ms - 60_000 * (n - 1 - i), v) for i, v in enumerate(values)
    ]


def send(box: Installation, station: str, payloads: list[bytes]) -> int:
    topic = f"takean/drill/v1/{station}/data"
    return len(publish("127.0.0.1", box.mqtt_port, station, box.secrets[station], topic, payloads, attempts=400).acked)


@contextmanager
def alone(box: Installation) -> Iterator[None]:
    """Nobody is brought back while the block lasts."""
    assert box.process is not None
    os.kill(box.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(box.process.pid, signal.SIGCONT)


@dataclass
class Watcher:
    """A browser with a live page: when a fragment came that has the banner, and one that has not."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[float, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with (
            suppress(httpx.HTTPError),  # the pages' own end
            httpx.Client(cookies=self.cookies, timeout=30) as client,
            client.stream("GET", self.url) as answer,
        ):
            name = ""
            fragment: list[str] = []
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    fragment.append(line)
                elif not line:
                    if name in ("public", "top", "phone"):
                        self.seen.append((time.monotonic(), BLIND in "".join(fragment)))
                    fragment = []

    def first(self, *, blind: bool, after_s: float) -> float | None:
        return next((at for at, is_blind in self.seen if at >= after_s and is_blind is blind), None)


def officers(box: Installation) -> list[dict[str, str]]:
    """Cookies of two officers who signed in."""
    sessions = []
    for name in ("officer-1", "officer-2"):
        link = box.command("user", "add", name, "--role", "officer").strip()
        with httpx.Client(base_url=box.url, timeout=30) as client:
            csrf = re.search(r'name="csrf" value="([^"]+)"', client.get(link).text)
            assert csrf is not None
            client.post(link, data={"csrf": csrf[1], "password": PASSWORD})
            sessions.append({SESSION_COOKIE: client.cookies[SESSION_COOKIE]})
    return sessions


def test_the_box_runs_as_three_processes_that_load_only_their_own(box: Installation) -> None:
    assert set(box.pids()) == {"worker", "dispatch", "web"}
    loaded = {name: Path(f"/proc/{pid}/maps").read_text() for name, pid in box.pids().items()}
    assert not any("/pandas/" in maps for maps in loaded.values())
    assert "pydantic_core" not in loaded["worker"] + loaded["dispatch"]
    assert "duckdb" not in loaded["dispatch"]
    log = (box.folder / "log").read_text(encoding="utf-8")
    assert f"pages {box.url}/" in log
    assert f"devices 127.0.0.1:{box.mqtt_port}" in log
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in box.state.iterdir() if not path.is_dir()}
    assert {"worker.exercise.socket", "dispatch.exercise.beat", "ledger.sqlite", "quarantine.sqlite"} <= set(kept)
    assert set(kept.values()) == {0o600}, kept
    text = httpx.get(f"{box.url}/metrics", timeout=10).text
    for name in ("worker", "dispatch", "web"):
        assert f'takean_cpu_seconds_total{{process="{name}"}}' in text


def test_without_a_worker_pages_streams_and_a_release_by_two_officers_go_on(box: Installation) -> None:
    assert send(box, "S-1", readings(4.2, 4.3, 4.4, 4.5)) == 4
    first, second = officers(box)
    ledger = open_ledger(box.state / "ledger.sqlite")
    with closing(ledger):
        ledger.put_addresses(
            [
                Address(
                    id="preview",
                    kind=Kind.EXERCISE,
                    recipient="preview",
                    area="area-S-1",
                    channel="preview",
                    target="somebody",
                )
            ]
        )
    before = {name: box.metric(name) for name in ("takean_stored_seq", "takean_judged_seq")}
    watchers = {
        page: Watcher(f"{box.url}/api/v1/stream?page={page}", first) for page in ("public", "console", "preview")
    }
    until(lambda: all(w.seen for w in watchers.values()))
    with alone(box):
        killed_s = time.monotonic()
        box.kill_part("worker")
        for page, watcher in watchers.items():
            until(lambda watcher=watcher: watcher.first(blind=True, after_s=killed_s))  # type: ignore[misc]
            seen_s = watcher.first(blind=True, after_s=killed_s)
            assert seen_s is not None
            assert seen_s - killed_s < BLIND_S_MAX, page
        answer = httpx.get(f"{box.url}/readyz", timeout=10)
        assert answer.status_code == 503
        assert "the worker cannot be asked" in " ".join(answer.json()["reasons"])
        assert httpx.get(f"{box.url}/", timeout=10).status_code == 200
        assert httpx.get(f"{box.url}/console", cookies=first, timeout=10).status_code == 200
        stage = httpx.get(f"{box.url}/api/v1/series/S-1/stage_m", timeout=10)
        assert stage.json()["values"][-1] == 4.5

        (story,) = [e for e in httpx.get(f"{box.url}/api/v1/episodes", timeout=10).json() if e["hazard"] == "flood"]
        assert story["judged_level"] == 3
        for session in (first, second):
            now = httpx.get(f"{box.url}/api/v1/episodes/{story['id']}", timeout=10).json()
            headers = {CSRF_HEADER: csrf_of(session[SESSION_COOKIE])}
            asked = httpx.post(
                f"{box.url}/api/v1/episodes/{story['id']}/release",
                json={"version": now["version"], "level": 3},
                cookies=session,
                headers=headers,
                timeout=30,
            )
            assert asked.status_code == 204, asked.text
        deliveries = f"{box.url}/api/v1/deliveries?episode={story['id']}"
        until(lambda: [d["state"] for d in httpx.get(deliveries, timeout=10).json()] == ["accepted"])
        assert not ready(box)["ready"]
        back_s = time.monotonic()
    box.wait_until_ready()
    for watcher in watchers.values():
        until(lambda watcher=watcher: watcher.first(blind=False, after_s=back_s))  # type: ignore[misc]
    assert {name: box.metric(name) for name in before} == before
    assert send(box, "S-1", readings(4.6)) == 1
    now = httpx.get(f"{box.url}/api/v1/episodes/{story['id']}", timeout=10).json()
    assert (now["judged_level"], now["public_level"]) == (3, 3)


def test_a_killed_worker_is_back_listening_and_ready_soon(box: Installation) -> None:
    box.kill_part("worker")
    until(lambda: not ready(box)["ready"])
    box.wait_until_ready()
    assert send(box, "S-2", readings(1.0)) == 1
    text = httpx.get(f"{box.url}/metrics", timeout=10).text
    used = re.search(r'takean_cpu_seconds_total\{process="worker"\} (\S+)', text)
    assert used is not None
    assert float(used[1]) < RETURN_CPU_S_MAX


def test_a_worker_that_hangs_is_seen_as_one_that_is_dead(box: Installation) -> None:
    watcher = Watcher(f"{box.url}/api/v1/stream?page=public")
    until(lambda: watcher.first(blind=False, after_s=0.0))  # what the test before did to it may still be told
    pid, began_s = box.pids()["worker"], time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: watcher.first(blind=True, after_s=began_s))
        seen_s = watcher.first(blind=True, after_s=began_s)
        assert seen_s is not None
        assert seen_s - began_s < BLIND_S_MAX
        assert httpx.get(f"{box.url}/readyz", timeout=10).status_code == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    box.wait_until_ready()


def test_pages_and_deliveries_may_die_in_a_storm_and_no_reading_waits(box: Installation) -> None:
    stop = threading.Event()
    spent: list[tuple[float, float]] = []

    def device() -> None:
        """One reading after the other, each when the last one is acknowledged."""
        connection = socket.create_connection(("127.0.0.1", box.mqtt_port), timeout=30)
        with connection:
            head = b"\0\4MQTT\4\xc2" + struct.pack(">H", 600)
            _write(connection, 0x10, head + b"".join(_text(t) for t in ("storm", "S-2", box.secrets["S-2"])))
            assert connection.recv(4) == b"\x20\2\0\0"
            number = 0
            while not stop.is_set():
                number = number % 65_535 + 1
                payload = json.dumps({"ts": time.time_ns() // 1_000_000, "values": {"stage_m": 1.0}}).encode()
                began_s = time.monotonic()
                _write(connection, 0x32, _text("takean/drill/v1/S-2/data") + struct.pack(">H", number) + payload)
                assert connection.recv(4) == b"\x40\2" + struct.pack(">H", number)
                spent.append((began_s, time.monotonic() - began_s))

    thread = threading.Thread(target=device)
    thread.start()
    until(lambda: len(spent) > 50)
    calm_s = max(s for _, s in spent)
    killed_s = time.monotonic()
    dead = [box.kill_part(name) for name in ("web", "dispatch")]
    until(lambda: set(box.pids()) == {"worker", "dispatch", "web"} and not set(dead) & set(box.pids().values()))
    box.wait_until_ready()
    stop.set()
    thread.join()
    during = [s for began_s, s in spent if began_s >= killed_s]
    assert len(during) > 20
    # Two processes that start take the processor's time; nothing else may.
    assert max(during) < 2.0 + 5 * calm_s, f"{max(during):.3f} s, {calm_s:.3f} s when calm"
    assert len(spent) <= box.metric("takean_stored_seq")


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _write(connection: socket.socket, kind: int, body: bytes) -> None:
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 0x80, len(body) // 128])
    connection.sendall(bytes([kind]) + length + body)


def test_a_dead_dispatcher_is_no_readiness(box: Installation) -> None:
    with alone(box):
        box.kill_part("dispatch")
        until(lambda: "the dispatcher is dead: nothing is sent" in str(ready(box)["reasons"]))
    box.wait_until_ready()


def test_half_a_request_does_not_keep_its_place(box: Installation) -> None:
    with closing(socket.create_connection(("127.0.0.1", box.web_port), timeout=30)) as half:
        half.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n")
        began_s = time.monotonic()
        assert half.recv(1) == b""
        assert 5 < time.monotonic() - began_s < 25


def test_nobody_is_left_when_the_supervisor_is_killed_and_the_next_start_is_whole(box: Installation) -> None:
    pids, stored = box.pids(), box.metric("takean_stored_seq")
    box.kill()
    until(lambda: not any(_runs(pid) for pid in pids.values()))
    box.start()
    assert box.metric("takean_stored_seq") == stored


def test_a_second_one_on_the_same_state_is_refused_with_a_sentence(box: Installation) -> None:
    done = run(box)
    assert done.returncode == 1
    assert "another Takean runs on this state folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert ready(box)["ready"]


def test_a_part_that_comes_back_never_serves_another_world_than_the_rest(box: Installation) -> None:
    file = box.config / "takean.toml"
    before = file.read_text()
    file.write_text(before.replace('kind = "exercise"', 'kind = "test"'))
    dead = {box.kill_part(name) for name in ("worker", "dispatch")}
    log = box.folder / "log"
    until(lambda: "world.kind is test now, the platform runs as exercise" in log.read_text(encoding="utf-8"))
    until(lambda: box.pids().get("dispatch") not in {None, *dead}, 20)
    assert not ready(box)["ready"]
    assert not list(box.state.glob("*.test.*"))
    file.write_text(before)
    box.wait_until_ready()


def test_a_stop_during_the_start_is_quick_and_no_failure(tmp_path: Path) -> None:
    other = Installation(tmp_path / "other", STATIONS)
    for part in ("worker", "web"):
        with (tmp_path / "log").open("wb") as log:
            words = [sys.executable, "-m", "takean", "run"]
            other.process = subprocess.Popen(words, env=other.environment(), stdout=log, stderr=log)
        until(lambda part=part: part in other.pids())  # type: ignore[misc]
        began_s = time.monotonic()
        assert other.stop() == 0
        assert time.monotonic() - began_s < 5
        assert (tmp_path / "log").read_bytes() == b""


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(box: Installation, tmp_path: Path) -> None:
    done = run(Installation(tmp_path / "other", STATIONS, mqtt_port=box.mqtt_port))
    assert done.returncode == 1
    assert str(box.mqtt_port) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stop_is_orderly_and_leaves_a_whole_state(box: Installation) -> None:
    pids = box.pids()
    assert box.stop() == 0
    assert not any(_runs(pid) for pid in pids.values())
    assert (box.state / "judge.exercise.npz").exists()
    assert not (box.state / "worker.exercise.socket").exists()


def run(box: Installation) -> subprocess.CompletedProcess[str]:
    """One that is expected to end by itself."""
    words = [sys.executable, "-m", "takean", "run"]
    return subprocess.run(words, env=box.environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
