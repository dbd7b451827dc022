"""The load source, and with it the endpoint when it is killed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.mqtt_load import Refused, publish, readings
from ingest.codecs import decode
from ingest.message import Rows
from ingest.source import Format, Source
from tests.ingest.box import Box, until

TOPIC = "takean/v1/WL-01/data"

SERVER = """
import asyncio, os, sys
from ingest.endpoint import Endpoint
from ingest.pump import Pump
from ingest.topics import Topics

file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def process(messages):
    os.write(file, b"".join(message.payload + b"\\n" for message in messages))
    os.fsync(file)

async def main():
    pump = Pump(process=process, refuse=lambda *_: None, on_status=lambda *_: None)
    endpoint = Endpoint(
        pump=pump, host="127.0.0.1", port=int(sys.argv[1]), topics=Topics("takean/v1"), check=lambda *_: True,
        now_us=lambda: 0,
    )
    await pump.start()
    await endpoint.start()
    print(endpoint.address[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_every_payload_is_acknowledged_once(box: Box) -> None:
    report = publish("127.0.0.1", box.port, "WL-01", "right", TOPIC, (b"%d" % n for n in range(3_000)), 200)
    assert report.acked == list(range(3_000))
    assert (report.unacked, report.resent, report.connections) == ([], 0, 1)
    assert box.payloads == [b"%d" % n for n in range(3_000)]


@pytest.mark.parametrize("window", [1, 2, 65_535])
def test_any_window_will_do(make_box: Callable[..., Box], window: int) -> None:
    box = make_box(unacked_messages=100)
    report = publish("127.0.0.1", box.port, "WL-01", "right", TOPIC, [b"x"] * 30, window)
    assert report.acked == list(range(30))


def test_packet_ids_go_round(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.mqtt_load.PACKET_IDS", 50)
    report = publish("127.0.0.1", box.port, "WL-01", "right", TOPIC, [b"x"] * 500, 50)
    assert report.acked == list(range(500))


def test_nothing_to_publish_is_done_at_once(box: Box) -> None:
    assert publish("127.0.0.1", box.port, "WL-01", "right", TOPIC, []).acked == []


def test_a_wrong_password_is_said_to_be_so(box: Box) -> None:
    with pytest.raises(Refused, match="5"):
        publish("127.0.0.1", box.port, "WL-01", "wrong", TOPIC, [b"x"])


@pytest.mark.parametrize("topic", [TOPIC, "elsewhere"], ids=["nobody there", "closed each time"])
def test_it_gives_up_and_says_what_is_missing(box: Box, topic: str) -> None:
    if topic == TOPIC:
        box.run(box.endpoint.stop())
    report = publish("127.0.0.1", box.port, "WL-01", "right", topic, [b"x"] * 3, attempts=3, retry_s=0.001)
    assert report.acked == []
    assert report.connections == (0 if topic == TOPIC else 3)


def test_its_readings_are_readings() -> None:
    rows = Rows()
    for index, payload in enumerate(readings(3, 1_795_330_200_000)):
        assert decode(payload, Source(format=Format.OWN, station="WL-01"), 0, index, rows) == []
    assert rows.name == ["stage_m", "battery_v"] * 3
    assert rows.time_us[::2] == [1_795_330_200_000_000 + second * 1_000_000 for second in range(3)]


@pytest.mark.live
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    stored.touch()
    reports: list[object] = []
    count = 6_000
    killed = threading.Event()

    def payloads() -> Iterator[bytes]:
        for number in range(count):
            if number == count - 500:
                assert killed.wait(30)
            yield b"%d" % number

    def serve(port: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SERVER, port, str(stored)], stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
        )

    def load(port: int) -> None:
        reports.append(publish("127.0.0.1", port, "WL-01", "x", TOPIC, payloads(), 50, attempts=500, retry_s=0.02))

    server = serve("0")
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    sender = threading.Thread(target=load, args=(int(port),))
    sender.start()
    try:
        for part in (1_000, 3_000):
            until(lambda part=part: stored.read_bytes().count(b"\n") > part)  # type: ignore[misc]
            server.send_signal(signal.SIGKILL)
            server.wait()
            server.stdout.close()
            server = serve(port)
            assert server.stdout is not None
            assert server.stdout.readline().strip() == port
        killed.set()
        sender.join(30)
        assert not sender.is_alive()
    finally:
        killed.set()
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()
    (report,) = reports
    assert sorted(getattr(report, "acked", [])) == list(range(count))
    assert getattr(report, "connections", 0) == 3
    first_seen = list(dict.fromkeys(map(int, stored.read_bytes().split())))
    assert first_seen == list(range(count))
