"""Devices that die, over real sockets: what they said is unknown at once, by either door, and after a restart too."""

import json
import math
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from alerts.cells import Cells
from alerts.episode import Kind
from alerts.judge import Judge
from alerts.ledger.memory import MemoryLedger
from alerts.route import Routes
from ingest import credentials
from ingest.births import says_gone
from ingest.broker_options import BrokerOptions
from ingest.message import Message
from ingest.quarantine import Quarantine
from ingest.topics import Topics
from sensors.stations import Device, Metric
from sensors.store.memory import MemoryStore
from takean.clock import REAL, real_us
from takean.worker import Worker
from tests.builders import registry, rule_set, station
from tests.ingest.box import until
from tests.ingest.mosquitto import Mosquitto
from tests.ingest.sparkplug_writer import DOUBLE, M, bd_seq, payload

NODE = Device(via="sparkplug", id="G/N/D", names={"Level": Metric(reading="stage_m")})
REG = registry(station("A", cadence_s=600), msgspec.structs.replace(station("B", areas=("other",)), device=NODE))


class Box:
    """A worker that can be stopped and started again with what it kept."""

    def __init__(self, folder: Path, broker: BrokerOptions | None = None) -> None:
        self.folder, self.broker = folder, broker
        self.ledger, self.store = MemoryLedger(), MemoryStore(REG.keys())
        self.keys = credentials.with_station(credentials.create(), "A", "secret")

    @contextmanager
    def running(self) -> Iterator[Worker]:
        quarantine = Quarantine(self.folder / "quarantine.sqlite")
        judge = Judge(
            cells=Cells.of(Kind.TEST, REG, rule_set(REG), Routes(by={})),
            plan=lambda *_, **__: (),
            store=self.store,
            ledger=self.ledger,
            snapshot_path=self.folder / "judge.npz",
            now_us=REAL.now_us,
            real_us=real_us,
        )
        worker = Worker(
            judge=judge,
            topics=Topics("takean/v1"),
            credentials=self.keys,
            quarantine=quarantine,
            clock=REAL,
            listen=("127.0.0.1", 0),
            broker=self.broker,
            births=self.folder / "births.sqlite",
            failed=lambda error: pytest.fail(str(error)),
        )
        address = worker.start()
        assert address is not None
        self.port = address[1]
        try:
            yield worker
        finally:
            worker.stop()
            quarantine.close()

    def known(self, area: str) -> bool:
        return {s.area: s.known for s in self.ledger.statuses(Kind.TEST) if s.hazard == "flood"}.get(area, False)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def gauge(port: int) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, "gauge")
    client.username_pw_set("A", "secret")
    client.will_set("takean/v1/A/status", '{"state": "offline"}', qos=1, retain=True)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def say(client: Client, value: float) -> None:
    data = json.dumps({"ts": now_ms(), "values": {"stage_m": value}})
    client.publish("takean/v1/A/data", data, qos=1).wait_for_publish(10)


def vanish(client: Client) -> None:
    """As where the battery is empty: a reset, and no DISCONNECT."""
    client.loop_stop()
    found = client.socket()
    assert isinstance(found, socket.socket)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    found.close()


def test_a_gauge_whose_connection_breaks_is_unknown_until_it_speaks_again(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with box.running() as worker:
        with gauge(box.port) as client:
            say(client, 1.0)
            until(lambda: box.known("village"))
            vanish(client)
            until(lambda: not box.known("village"))
        assert worker.status().device_status == {"A": "offline"}
    with box.running() as worker:
        assert not box.known("village")
        assert worker.status().device_status == {"A": "offline"}, "a restart has not heard it come back"
        with gauge(box.port) as client:
            say(client, 1.1)
            until(lambda: box.known("village"))
            assert worker.status().device_status == {"A": "online"}


def test_a_stop_of_ours_is_no_death_of_theirs(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with box.running():
        client = Client(CallbackAPIVersion.VERSION2, "gauge")
        client.username_pw_set("A", "secret")
        client.will_set("takean/v1/A/status", '{"state": "offline"}', qos=1)
        client.connect("127.0.0.1", box.port)
        client.loop_start()
        say(client, 1.0)
    client.loop_stop()
    client.disconnect()
    assert box.ledger.deaths(Kind.TEST) == {}


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.end()


class NodeOfTests:
    """A Sparkplug node with one device, at a broker."""

    def __init__(self, port: int, session: int) -> None:
        self.commands: list[bytes] = []
        self.session, self.seq = session, 0
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.will_set("spBv1.0/G/NDEATH/N", payload(bd_seq(session)), qos=1)
        self.client.on_message = lambda _, __, message: self.commands.append(bytes(message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("spBv1.0/G/NCMD/N", 1)
        self.client.loop_start()

    def publish(self, verb: str, *metrics: M) -> None:
        device = "/D" if verb.startswith("D") else ""
        if verb == "NBIRTH":
            self.seq = 0
        data = payload(*metrics, seq=self.seq % 256, time_ms=now_ms())
        self.client.publish(f"spBv1.0/G/{verb}/N{device}", data, 0).wait_for_publish(10)
        self.seq += 1

    def be_born(self) -> None:
        self.publish("NBIRTH", bd_seq(self.session), M("Node Control/Rebirth", 0, 11))
        self.publish("DBIRTH", M("Level", 1.0, DOUBLE, alias=3))


def test_a_batch_that_could_not_be_stored_is_read_the_second_time_as_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the births in it have given other names meanwhile."""
    box, at_ms = Box(tmp_path), now_ms()

    def said(verb: str, *metrics: M, seq: int) -> Message:
        topic = f"spBv1.0/G/{verb}/N" + ("/D" if verb.startswith("D") else "")
        return Message(topic, payload(*metrics, seq=seq, time_ms=at_ms + seq), REAL.now_us(), "node")

    def births(alias: int) -> list[Message]:
        return [
            said("NBIRTH", bd_seq(alias), seq=0),
            said("DBIRTH", M("Level", is_null=True, datatype=DOUBLE, alias=alias), seq=1),
        ]

    with box.running() as worker:
        worker._process(births(1))
        batch = [said("DDATA", M(value=2.5, alias=1), seq=2), *births(2), said("DDATA", M(value=2.6, alias=2), seq=3)]
        with monkeypatch.context() as broken:
            broken.setattr(box.store, "append", _no_disk)
            with pytest.raises(OSError, match="no space"):
                worker._process(batch)
        worker._process(batch)
        values = [value for chunk in box.store.scan(after_seq=0, rows=100) for value in chunk.batch.value.tolist()]
        assert [value for value in values if not math.isnan(value)] == [2.5, 2.6]
        assert worker.status().quarantined == 0


def _no_disk(*_: object) -> None:
    raise OSError("no space left on device")


def is_connected(worker: Worker) -> bool:
    broker = worker.status().broker
    return broker is not None and broker.connected


def test_a_node_at_a_broker_is_read_asked_and_mourned(tmp_path: Path, mosquitto: Mosquitto) -> None:
    options = BrokerOptions(host="127.0.0.1", port=mosquitto.port, topics=("spBv1.0/+/+/+/#",))
    box = Box(tmp_path, options)
    node = NodeOfTests(mosquitto.port, session=7)
    with box.running() as worker:
        until(lambda: worker.status().ready)
        until(lambda: is_connected(worker))
        node.publish("DDATA", M(value=2.0, alias=3))
        until(lambda: node.commands)
        assert box.store.last_seq() == 0, "nothing is guessed before a birth"
        node.be_born()
        until(lambda: box.known("other"))
        assert worker.status().device_status == {"B": "online"}
    with box.running() as worker:
        until(lambda: is_connected(worker))
        before = box.store.last_seq()
        node.publish("DDATA", M(value=2.0, alias=3))
        until(lambda: box.store.last_seq() > before)
        until(lambda: box.known("other"))
        vanish(node.client)
        until(lambda: not box.known("other"))
        assert worker.status().device_status == {"B": "offline"}
        again = NodeOfTests(mosquitto.port, session=8)
        again.be_born()
        until(lambda: box.known("other"))
        assert worker.status().device_status == {"B": "online"}
        again.client.disconnect()
        again.client.loop_stop()
    with closing(Quarantine(tmp_path / "quarantine.sqlite")) as quarantine:
        assert [row.reason for row in quarantine.list(10)] == ["unborn"]


@pytest.mark.parametrize(
    ("status", "gone"),
    [
        (b'{"state": "offline"}', True),
        (b"offline", True),
        (b'"offline"', True),
        (b'{"state": "online", "modem": "offline"}', False),
        (b'{"state": "online"}', False),
        (b'{"stat', False),
        (b"\xff", False),
        (b"[" * 100_000, False),
    ],
)
def test_only_its_own_state_says_that_a_device_is_gone(status: bytes, gone: bool) -> None:
    assert says_gone(status) is gone


def test_a_clock_that_cannot_be_kept_does_not_stop_the_look_for_the_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise OSError("the disk cannot be written")

    monkeypatch.setattr(Worker, "_look_at_clock", broken)
    box = Box(tmp_path)
    with box.running(), gauge(box.port) as client:
        say(client, 1.0)
        until(lambda: box.known("village"))
        vanish(client)
        until(lambda: not box.known("village"))
