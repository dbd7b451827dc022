"""`takean device tell`: from the command line through the running worker to a device, and back."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.mqtt_load import connect, packet, text
from ingest import credentials
from ingest.commands import OPEN_MAX
from takean import cli, configuration
from takean.configuration import World
from takean.settings import SAMPLE
from takean.worker_part import worker_part

STATION, SECRET = "WL-01", "a secret of the test's own"
CMD, ACK = (f"takean/drill/v1/{STATION}/{leaf}" for leaf in ("cmd", "ack"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    state = tmp_path / "state"
    state.mkdir()
    held = credentials.with_station(credentials.create(), STATION, SECRET)
    return replace(configuration.load(SAMPLE, state, {}), mqtt=("127.0.0.1", 0), broker=None, credentials=held)


@pytest.fixture
def port(world: World) -> Iterator[int]:
    """Of the endpoint of a running worker."""

    def failed(error: BaseException) -> None:
        pytest.fail(str(error))

    with ExitStack() as stack:
        part = worker_part(stack, world, failed=failed, serve=True)
        credentials.save(configuration.credentials_file(world.state, world.kind), world.credentials)
        assert part.mqtt is not None
        yield part.mqtt[1]


@pytest.fixture
def tell(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("TAKEAN_CONFIG", str(SAMPLE))
    monkeypatch.setenv("TAKEAN_STATE", str(world.state))
    return lambda *words: CliRunner().invoke(cli.app, ["device", "tell", *words])


def answering(port: int, answer: dict[str, object]) -> threading.Thread:
    """A device that listens, and answers the first command it is told."""
    connection, _ = connect("127.0.0.1", port, STATION, SECRET, 10.0)
    connection.sendall(packet(0x82, b"\0\1" + text(CMD) + b"\1"))
    assert connection.recv(5) == b"\x90\3\0\1\1"

    def run() -> None:
        with connection:
            told = connection.recv(4_096)
            command = json.loads(told[told.index(b"{") :])
            connection.sendall(packet(0x32, text(ACK) + b"\0\7" + json.dumps({"id": command["id"], **answer}).encode()))
            while connection.recv(4_096):  # our PUBACK, and then the end of the worker
                pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_command_reaches_the_device_and_its_answer_comes_back(port: int, tell: Callable[..., Result]) -> None:
    answering(port, {"ok": True, "stage_m": 2.31})
    done = tell(STATION, '{"do": "report"}')
    assert done.exit_code == 0, done.output
    head, said = done.output.splitlines()
    assert head.split()[1] == "answered"
    assert json.loads(said) == {"id": head.split()[0], "ok": True, "stage_m": 2.31}


def test_without_an_answer_it_says_how_far_the_command_got(port: int, tell: Callable[..., Result]) -> None:
    assert port
    done = tell(STATION, '{"do": "report"}', "--wait", "0")
    assert (done.exit_code, done.output.split()[1]) == (1, "queued")
    done = tell(STATION, '{"do": "report"}', "--wait", "5", "--expires", "1")
    assert (done.exit_code, done.output.split()[1:]) == (1, ["expired,", "was", "queued"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((STATION, "report"), "a JSON object is expected"),
        ((STATION, '["report"]'), "a JSON object is expected"),
        (("WL-99", "{}"), "WL-99 is not in stations.toml"),
        ((STATION, '{"id": "mine"}'), "every command gets its own"),
    ],
)
def test_what_is_no_command_is_told_so(
    port: int, tell: Callable[..., Result], words: tuple[str, ...], told: str
) -> None:
    assert port
    done = tell(*words)
    assert done.exit_code == 1
    assert told in str(done.exception)


def test_where_nothing_runs_it_says_so(tell: Callable[..., Result]) -> None:
    done = tell(STATION, "{}")
    assert isinstance(done.exception, OSError)
    assert "the worker" in str(done.exception)


def test_one_station_is_not_flooded(port: int, tell: Callable[..., Result]) -> None:
    assert port
    told = [tell(STATION, "{}", "--wait", "0") for _ in range(OPEN_MAX + 1)]
    assert [done.output.split()[1] for done in told[:OPEN_MAX]] == ["queued"] * OPEN_MAX
    assert "wait for their end" in str(told[-1].exception)
