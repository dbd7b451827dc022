"""The worker with real sockets: what it promises, and what it does when a disk fails under it."""

import json
import queue
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from alerts.cells import Cells
from alerts.episode import Kind
from alerts.judge import Judge
from alerts.ledger import Record
from alerts.ledger.memory import MemoryLedger
from alerts.route import Routes
from api.deps import BrokerStatus
from bench.mqtt_load import publish
from ingest import broker as broker_of
from ingest import credentials
from ingest.broker_options import BrokerOptions
from ingest.pump import Pump
from ingest.quarantine import Quarantine
from ingest.topics import Topics
from sensors.store import SeriesStore
from sensors.store.duck import DuckStore
from sensors.store.memory import MemoryStore
from takean import refusals
from takean import worker as worker_of
from takean.clock import REAL, real_us
from takean.worker import Worker
from tests.builders import registry, rule_set, station

REG = registry(station("A"), station("B"))


def reading(value: float) -> bytes:
    return json.dumps({"ts": time.time_ns() // 1_000_000, "values": {"stage_m": value}}).encode()


@contextmanager
def running(
    folder: Path,
    ledger: MemoryLedger,
    *,
    broker: BrokerOptions | None = None,
    store: SeriesStore | None = None,
    failed: Callable[[BaseException], None] = lambda error: pytest.fail(str(error)),
    beat: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Worker, Quarantine, Callable[..., int]]]:
    """A worker with its endpoint, or with a broker instead of it."""
    keys = credentials.create()
    for name in REG.stations:
        keys = credentials.with_station(keys, name, f"secret of {name}")
    quarantine = Quarantine(folder / "quarantine.sqlite")
    store = store or MemoryStore(REG.keys())
    judge = Judge(
        cells=Cells.of(Kind.TEST, REG, rule_set(REG), Routes(by={})),
        plan=lambda *_, **__: (),
        store=store,
        ledger=ledger,
        snapshot_path=folder / "judge.npz",
        now_us=REAL.now_us,
        real_us=real_us,
    )
    running = Worker(
        judge=judge,
        topics=Topics("takean/v1"),
        credentials=keys,
        quarantine=quarantine,
        clock=REAL,
        listen=("127.0.0.1", 0) if broker is None else None,
        broker=broker,
        failed=failed,
        beat=beat,
    )
    address = running.start()
    assert (address is None) == (broker is not None)
    host, port = address or ("", 0)

    def send(name: str, *payloads: bytes, attempts: int = 40) -> int:
        topic, secret = f"takean/v1/{name}/data", f"secret of {name}"
        return len(publish(host, port, name, secret, topic, payloads, 10, attempts=attempts).acked)

    try:
        yield running, quarantine, send
    finally:
        running.stop()
        quarantine.close()


def test_what_is_acknowledged_is_judged_and_what_is_bad_is_kept_with_its_reason(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    with running(tmp_path, ledger) as (box, quarantine, send):
        assert send("A", reading(1.0), b"{", reading(1.1)) == 3
        status = box.status()
        assert (status.stored_seq, status.judged_seq, status.quarantined) == (2, 2, 1)
        assert status.ready
        assert ledger.judged_through(Kind.TEST) == 2
        assert [row.reason for row in quarantine.list(10)] == ["not_json"]
    assert (tmp_path / "judge.npz").exists()


def test_a_quarantine_without_a_disk_holds_up_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "PATIENCE_S", 0.2)
    with running(tmp_path, MemoryLedger()) as (box, quarantine, send):
        monkeypatch.setattr(quarantine, "put", _no_disk)
        assert send("A", b"{", reading(1.0)) == 2
        assert send("B", reading(1.0)) == 1
        status = box.status()
        assert (status.stored_seq, status.unrecorded, status.quarantined) == (2, 1, 1), "what is not kept is counted"


def test_a_ledger_that_comes_back_finds_everything_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MemoryLedger()
    with running(tmp_path, ledger) as (box, _, send):
        with monkeypatch.context() as broken:
            broken.setattr(ledger, "record", _no_disk)
            assert send("A", reading(4.5)) == 1, "acknowledged once stored, after some patience"
            assert not box.status().ready
        deadline_s = time.monotonic() + 10
        while not box.status().ready and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert box.status().ready
        assert ledger.judged_through(Kind.TEST) == 1


def test_a_broker_that_is_away_is_told_and_no_reading_is_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_of, "AWAY_S", 0.2)
    heard: list[bool] = []
    tick = Judge.tick

    def noted(self: Judge, *, deaf: bool = False) -> None:
        heard.append(deaf)
        tick(self, deaf=deaf)

    monkeypatch.setattr(Judge, "tick", noted)
    ledger = MemoryLedger()
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with running(tmp_path, ledger, broker=BrokerOptions(host="127.0.0.1", port=port)) as (box, _, _):
        deadline_s = time.monotonic() + 20
        while not ledger.notices(Kind.TEST) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        (told,) = ledger.notices(Kind.TEST)
        assert (told.code, told.subject) == ("broker_away", f"127.0.0.1:{port}")
        status = box.status()
        assert status.broker == BrokerStatus(connected=False, drops=0)
        assert not status.ready
        assert f"the broker 127.0.0.1:{port} is away" in status.reason
        assert heard[-1], "absence stands still"


def test_a_journal_that_a_full_disk_broke_ends_the_worker_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.duckdb"
    died: queue.Queue[BaseException] = queue.Queue()
    store = DuckStore(path, REG.keys())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with running(tmp_path, MemoryLedger(), store=store, failed=died.put) as (_, _, send):
            assert send("A", reading(1.0)) == 1
            store._db.execute("set checkpoint_threshold = '1KB'")
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
            assert send("A", reading(1.1), attempts=1) == 0
            assert "fatal" in str(died.get(timeout=10)).lower()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store.close()
    with closing(DuckStore(path, REG.keys())) as again:
        assert again.last_seq() >= 1
        again.check()


def test_a_pump_that_died_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    died: queue.Queue[BaseException] = queue.Queue()
    with running(tmp_path, MemoryLedger(), failed=died.put) as (_, _, send):
        monkeypatch.setattr(Pump, "_acknowledge", _defect)
        assert send("A", reading(1.0), attempts=1) == 0
        assert isinstance(died.get(timeout=10), ZeroDivisionError)


def test_it_beats_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_of, "TICK_S", 0.01)
    beats = threading.Semaphore(0)
    with running(tmp_path, MemoryLedger(), beat=beats.release):
        assert all(beats.acquire(timeout=10) for _ in range(3))


def test_only_registered_stations_are_remembered(tmp_path: Path) -> None:
    with running(tmp_path, MemoryLedger()) as (box, _, _):
        for name in ("A", "nobody", "B"):
            box._on_status(name, b'{"state": "online"}', 0)
        assert box.status().device_status == {"A": "online", "B": "online"}


def _defect(*_: object) -> None:
    raise ZeroDivisionError


def _no_disk(_: Record | object) -> None:
    raise OSError("no space left on device")
