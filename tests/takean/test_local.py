"""The worker's local socket: who may ask, how much, and what it costs the judge."""

import os
import socket
import stat
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from api.deps import BrokerStatus, Latency, WorkerStatus
from sensors.store import DAY_US, Away, TooSlow, answers, queries
from sensors.store.duck import DuckStore
from takean import local, local_client, local_server
from takean.local_client import LocalOwner
from takean.local_server import LocalServer
from tests.builders import T0_US, batch

KEYS = ["A/stage_m"]
STATUS = WorkerStatus(
    alive=True,
    ready=True,
    reason="",
    heartbeat_age_s=0.25,
    stored_seq=12,
    judged_seq=11,
    readings={"stored": 12, "repeat": 1, "conflict": 0},
    quarantined=3,
    unrecorded=2,
    forgotten=1,
    broker=BrokerStatus(connected=True, drops=4),
    latency=Latency(buckets=[(0.1, 3), (1.0, 9)], sum_s=1.5, count=9),
    cpu_s={"worker": 1.5},
    connections=2,
    device_status={"A": "online"},
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore(tmp_path / "journal.duckdb", KEYS)) as made:
        readings = batch(list(np.arange(1000.0)))
        n = len(readings)
        flag = np.ones(n, dtype=np.uint8)
        made.append(readings, np.zeros(n, dtype=np.bool_), flag, np.zeros(n, dtype=np.uint32))
        yield made


@pytest.fixture
def address(tmp_path: Path, store: DuckStore) -> Iterator[Path]:
    folder = tmp_path / ("a long way to go " * 6)
    folder.mkdir()
    server = LocalServer(folder / "worker.socket", store=store, status=lambda: STATUS, sealed=lambda: ())
    server.start()
    yield folder / "worker.socket"
    server.stop()


@pytest.fixture
def owner(address: Path) -> Iterator[LocalOwner]:
    with closing(LocalOwner(address)) as made:
        yield made


def knock(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    with local.reachable(address) as short:
        connection.connect(short)
    return connection


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def test_everything_the_worker_says_of_itself_arrives(owner: LocalOwner) -> None:
    assert owner.status() == STATUS


def test_only_its_owner_may_ask(address: Path) -> None:
    assert len(os.fsencode(address)) > 108, "a longer path than the system takes"
    assert stat.S_IMODE(address.stat().st_mode) == 0o600


def test_what_it_last_said_is_kept_and_marked_when_it_answers_no_more(store: DuckStore, tmp_path: Path) -> None:
    path, clock = tmp_path / "w.socket", [0.0]
    server = LocalServer(path, store=store, status=lambda: STATUS, sealed=lambda: ())
    server.start()
    with closing(LocalOwner(path, clock=lambda: clock[0])) as owner:
        assert owner.status() == STATUS
        server.stop()
        clock[0] = 7.0
        told = owner.status()
        assert "cannot be asked" in told.reason
        assert told == replace(STATUS, alive=False, ready=False, reason=told.reason, heartbeat_age_s=7.25)


def test_a_worker_that_came_back_is_found_again(store: DuckStore, tmp_path: Path) -> None:
    path = tmp_path / "w.socket"
    with closing(LocalOwner(path)) as owner:
        for _ in range(3):
            server = LocalServer(path, store=store, status=lambda: STATUS, sealed=lambda: ())
            server.start()
            assert owner.status().alive
            assert owner.latest(KEYS)[1].tolist() == [999.0]
            server.stop()
            assert not owner.status().alive


def test_a_stopped_worker_costs_one_wait_and_not_one_for_each_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_client, "STATUS_S_MAX", 0.2)
    clock = [0.0]
    with (
        closing(socket.socket(socket.AF_UNIX)) as mute,
        closing(LocalOwner(tmp_path / "w.socket", clock=lambda: clock[0])) as owner,
    ):
        mute.bind(str(tmp_path / "w.socket"))
        mute.listen()
        assert "did not answer within" in owner.status().reason
        began_s = time.monotonic()
        for _ in range(50):
            with pytest.raises(Away):
                owner.latest(KEYS)
        assert time.monotonic() - began_s < 1.0


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", "truncated"),
        (b"\xc1", "MessagePack"),
        (local.encode({"version": 1, "ask": {"type": "drop"}}), "drop"),
        (local.encode({"version": 2, "ask": {"type": "status"}}), "speaks 1"),
        (local.encode({"version": 1, "ask": {"type": "latest", "keys": ["x"] * (local.KEYS_MAX + 1)}}), "at most"),
        (
            local.encode(
                {
                    "version": 1,
                    "ask": {"type": "history", "key": "x", "from_us": 0, "to_us": 2**63, "limit": 1, "whole": True},
                }
            ),
            "",
        ),
    ],
    ids=["nothing", "no message", "another question", "another version", "too many series", "beyond all time"],
)
def test_nonsense_is_refused_and_the_next_question_answered(
    address: Path, owner: LocalOwner, sent: bytes, expected: str
) -> None:
    with closing(knock(address)) as connection:
        local.send(connection, sent)
        received = local.receive(connection, bytes_max=1 << 20)
    assert received is not None
    answer = local.decode_answer(received)
    if expected:
        assert isinstance(answer, local.Refused)
        assert answer.code == "invalid"
        assert expected in answer.text
    assert owner.status().alive


def test_whoever_announces_too_much_or_never_ends_loses_the_connection(
    address: Path, owner: LocalOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "MESSAGE_S_MAX", 0.2)
    with closing(knock(address)) as greedy, closing(knock(address)) as slow:
        greedy.sendall(struct.pack(">I", local.ASK_BYTES_MAX + 1))
        slow.sendall(struct.pack(">I", 100) + b"half")
        assert greedy.recv(1) == b""
        assert slow.recv(1) == b""
    assert owner.status().alive


def test_connections_are_bounded_and_free_again_when_left(address: Path) -> None:
    held = [knock(address) for _ in range(local_server.CONNECTIONS_MAX)]
    with closing(knock(address)) as late:
        assert late.recv(1) == b""
    for connection in held:
        connection.close()

    def answers() -> bool:
        with closing(LocalOwner(address)) as owner:
            return owner.status().alive

    assert until(answers)


def test_a_crowd_of_browsers_never_makes_the_worker_look_dead(owner: LocalOwner) -> None:
    together, told = threading.Barrier(40), Counter[tuple[bool, str]]()

    def look() -> None:
        together.wait()
        for _ in range(10):
            status = owner.status()
            told[status.alive, status.reason] += 1
            owner.history(KEYS[0], from_us=0, to_us=T0_US, limit=10, whole=True)
            owner.latest(KEYS)

    with ThreadPoolExecutor(40) as crowd:
        for done in [crowd.submit(look) for _ in range(40)]:
            done.result()
    assert told == {(True, ""): 400}


def test_the_status_waits_for_no_reader_and_readers_wait_their_turn(
    store: DuckStore, owner: LocalOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_client, "ANSWER_S_MAX", 0.5)
    hold = threading.Event()
    monkeypatch.setattr(store, "latest", lambda keys: hold.wait() and DuckStore.latest(store, keys))
    with ThreadPoolExecutor(local_client.AT_ONCE + 1) as crowd:
        asked = [crowd.submit(owner.latest, KEYS) for _ in range(local_client.AT_ONCE + 1)]
        assert owner.status() == STATUS
        hold.set()
        assert {one.result()[1].tolist()[0] for one in asked} == {999.0}


def test_a_reader_that_finds_no_place_is_told_so_and_not_that_nobody_is_there(
    address: Path, store: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_client, "AT_ONCE", 1)
    hold, under_way = threading.Event(), threading.Event()

    def latest(keys: list[str]) -> object:
        under_way.set()
        hold.wait()
        return DuckStore.latest(store, keys)

    monkeypatch.setattr(store, "latest", latest)
    with closing(LocalOwner(address)) as narrow, ThreadPoolExecutor(1) as crowd:
        first = crowd.submit(narrow.latest, KEYS)
        assert under_way.wait(10)
        monkeypatch.setattr(local_client, "ANSWER_S_MAX", 0.1)
        with pytest.raises(TooSlow, match="too many questions"):
            narrow.latest(KEYS)
        assert narrow.status().alive
        hold.set()
        assert first.result()[1].tolist() == [999.0]


@pytest.mark.parametrize("breaks", ["accept", "thread"])
def test_a_connection_that_could_not_be_taken_is_not_the_last(
    store: DuckStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    failures = iter(range(local_server.CONNECTIONS_MAX + 1))
    monkeypatch.setattr(local_server, "REST_S", 0.001)
    real_accept, real_start = socket.socket.accept, threading.Thread.start

    def accept(self: socket.socket) -> object:
        if next(failures, None) is not None:
            raise OSError(24, "Too many open files")
        return real_accept(self)

    def start(self: threading.Thread) -> None:
        if self.name == "local answer" and next(failures, None) is not None:
            raise RuntimeError("can't start new thread")
        real_start(self)

    if breaks == "accept":
        monkeypatch.setattr(socket.socket, "accept", accept)
    else:
        monkeypatch.setattr(threading.Thread, "start", start)
    server = LocalServer(tmp_path / "w.socket", store=store, status=lambda: STATUS, sealed=lambda: ())
    server.start()
    try:
        with closing(LocalOwner(tmp_path / "w.socket")) as owner:
            assert until(lambda: owner.status().alive)
    finally:
        server.stop()


def test_an_answer_that_cannot_be_written_ends_no_connection(store: DuckStore, tmp_path: Path) -> None:
    huge = replace(STATUS, stored_seq=2**70)
    server = LocalServer(tmp_path / "w.socket", store=store, status=lambda: huge, sealed=lambda: ())
    server.start()
    try:
        with closing(LocalOwner(tmp_path / "w.socket")) as owner:
            assert "refused" in owner.status().reason
    finally:
        server.stop()


def test_a_question_that_takes_too_long_is_given_up(
    store: DuckStore, owner: LocalOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ANSWER_S_MAX", 0.05)
    endless = "(select a.* from reading a, range(400000000) b(x) where hash(x + a.seq) % 1000000007 = 3"
    monkeypatch.setattr(queries, "JOURNAL", f"select * from {endless})")
    with pytest.raises(TooSlow, match="ask for less"):
        owner.history(KEYS[0], from_us=0, to_us=T0_US * 2, limit=10, whole=True)
    assert owner.latest(KEYS)[1].tolist() == [999.0]
    assert store.last_seq() == 1000


def test_a_crowd_of_questions_holds_up_no_append(store: DuckStore, address: Path) -> None:
    """Eight clients ask for all there is without a pause while the journal is written: medians, so that a busy machine
    proves nothing."""
    stop, asked = threading.Event(), [0] * 8

    def ask(i: int) -> None:
        with closing(LocalOwner(address)) as owner:
            while not stop.is_set():
                try:
                    owner.history(KEYS[0], from_us=0, to_us=T0_US * 2, limit=50_000, whole=True)
                    asked[i] += 1
                except (Away, TooSlow):
                    continue

    def seconds_of_appends(first: int) -> list[float]:
        spent = []
        for i in range(first, first + 60):
            rows = batch([1.0], start_us=T0_US + (2000 + i) * 60_000_000)
            began_s = time.perf_counter()
            store.recognise(rows)
            store.append(rows, np.zeros(1, np.bool_), np.ones(1, np.uint8), np.zeros(1, np.uint32))
            spent.append(time.perf_counter() - began_s)
        return spent

    alone = float(np.median(seconds_of_appends(0)))
    crowd = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in crowd:
        thread.start()
    assert until(lambda: sum(asked) > 5)
    crowded = float(np.median(seconds_of_appends(60)))
    stop.set()
    for thread in crowd:
        thread.join()
    assert crowded < max(0.1, 10 * alone), f"{alone * 1e3:.1f} ms alone, {crowded * 1e3:.1f} ms in a crowd"


def test_a_review_reaches_the_journal_over_the_socket(owner: LocalOwner, store: DuckStore) -> None:
    span = {"from_us": T0_US, "to_us": T0_US + 120_000_000}
    assert owner.review(KEYS[0], **span, flag=4, by="nok", reason="ice", at_us=T0_US) == 2
    found = owner.revisions(KEYS[0], **span, limit=9)
    assert [(one.flag_before, one.flag, one.by, one.reason) for one in found] == [(1, 4, "nok", "ice")] * 2
    assert found == store.reviews.revisions(KEYS[0], **span, limit=9)
    assert owner.history(KEYS[0], **span, limit=9, whole=True)[0].flag.tolist() == [4, 4]


def test_a_review_of_too_much_at_once_is_refused_with_the_number(owner: LocalOwner, store: DuckStore) -> None:
    n = 20_000
    readings, none = batch([1.0] * n, start_us=T0_US + DAY_US), np.zeros(n, dtype=np.bool_)
    store.append(readings, none, np.ones(n, dtype=np.uint8), np.zeros(n, dtype=np.uint32))
    with pytest.raises(local_client.Invalid, match="20000 readings in one review"):
        owner.review(KEYS[0], from_us=0, to_us=T0_US + 99 * DAY_US, flag=4, by="nok", reason="ice", at_us=T0_US)
    assert not owner.revisions(KEYS[0], from_us=0, to_us=T0_US + 99 * DAY_US, limit=9)
