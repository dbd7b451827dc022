"""Several threads and processes on one ledger, and processes that are killed."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from sqlalchemy.exc import OperationalError

from alerts.channels.preview import PreviewChannel
from alerts.dispatch import Policy, send_due
from alerts.episode import Kind
from alerts.ledger import AlertLedger, DeliveryState, Record, VersionConflict
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from tests.alerts.ledger.builders import LEASE_US, T0_US, change, expand_all, notice, people, take, tell, tried

EXERCISE = Kind.EXERCISE
ROOT = Path(__file__).parents[3]


def _race(ledger: AlertLedger, versions: int, wait: Callable[[], object]) -> int:
    """Write every version of one story as fast as it goes; how many were won."""
    event, story = change()
    won = 0
    for _ in range(versions):
        wait()
        try:
            ledger.record(Record(kind=EXERCISE, changes=[(event, story)]))
            won += 1
        except VersionConflict:
            pass
        event, story = change(story, to=1 + story.version % 3)
    return won


def _threads_race(ledgers: list[AlertLedger], versions: int) -> int:
    gate = threading.Barrier(len(ledgers))
    with ThreadPoolExecutor(len(ledgers)) as pool:
        return sum(pool.map(lambda ledger: _race(ledger, versions, gate.wait), ledgers))


def test_of_threads_that_write_one_version_exactly_one_wins(tmp_path: Path) -> None:
    sql = open_ledger(tmp_path / "ledger.db")
    for ledger in (sql, MemoryLedger()):
        assert _threads_race([ledger] * 3, 20) == 20
        assert [event.version for event in ledger.events("flood.33160801.1")] == list(range(1, 21))
    sql.close()


def test_of_connections_that_write_one_version_exactly_one_wins(tmp_path: Path) -> None:
    ledgers: list[AlertLedger] = [open_ledger(tmp_path / "ledger.db") for _ in range(2)]
    assert _threads_race(ledgers, 20) == 20
    for ledger in ledgers:
        ledger.close()


RACE = """
import sys
from alerts.ledger.sql import open_ledger
from tests.alerts.ledger.test_many_writers import _race
ledger = open_ledger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(_race(ledger, 60, lambda: None))
ledger.close()
"""


def test_of_processes_that_write_one_version_exactly_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    racers = [_start(RACE, path) for _ in range(2)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        _go(racer)
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(won) == 60
    ledger = open_ledger(path)
    assert [event.version for event in ledger.events("flood.33160801.1")] == list(range(1, 61))
    ledger.close()


def test_a_judge_a_dispatcher_and_readers_do_not_disturb_each_other(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.db")
    ledger.put_addresses(people(60))
    tell(ledger)
    rounds = 60

    def judge() -> None:
        for n in range(rounds):
            ledger.record(Record(kind=EXERCISE, notices=[notice(at_us=n)], judged_through=n))

    def dispatch() -> None:
        expand_all(ledger, limit=7)
        while taken := take(ledger, limit=3):
            for delivery in taken:
                ledger.finish([tried(delivery)])

    def look() -> None:
        seen = 0
        for _ in range(rounds):
            ledger.change_count()
            counts = ledger.delivery_counts(EXERCISE)
            assert sum(counts.values()) >= seen
            seen = sum(counts.values())
            for delivery in ledger.deliveries(limit=5):
                assert delivery.state in (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.ACCEPTED)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work) for work in (judge, dispatch, dispatch, look, look, look)]:
            done.result()
    assert ledger.delivery_counts(EXERCISE) == {("preview", DeliveryState.ACCEPTED): 60}
    assert [seen.count for seen in ledger.notices(EXERCISE)] == [rounds], "a notice was lost"
    assert all(len(ledger.attempts(delivery.id)) == 1 for delivery in ledger.deliveries())
    ledger.close()


def test_a_change_by_another_process_is_noticed(tmp_path: Path) -> None:
    mine, other = (open_ledger(tmp_path / "ledger.db") for _ in range(2))
    before = mine.change_count()
    assert mine.change_count() == before
    other.record(Record(kind=EXERCISE, judged_through=1))
    assert mine.change_count() != before
    mine.close()
    other.close()


def test_a_writer_that_had_to_give_up_can_write_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger, other = open_ledger(path), open_ledger(path)
    with ledger._database.write() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with other._database.write():
        for _ in range(2):
            with pytest.raises(OperationalError, match="locked"):
                ledger.record(Record(kind=EXERCISE, judged_through=1))
        assert ledger.judged_through(EXERCISE) == 0, "a reader waits for nobody"
    ledger.record(Record(kind=EXERCISE, judged_through=2))
    assert other.judged_through(EXERCISE) == 2
    ledger.close()
    other.close()


RESIDENTS = 50

SEND = """
import sys
from random import Random
from pathlib import Path
from alerts.channels.preview import PreviewChannel
from alerts.dispatch import send_due
from alerts.ledger.sql import open_ledger
from tests.alerts.ledger.test_many_writers import POLICY, T0_US

class Telling(PreviewChannel):
    def send(self, message):
        sent = super().send(message)
        print(message.key, flush=True)
        return sent

sys.stdin.readline()
ledger = open_ledger(sys.argv[1])
channel = Telling(ledger, now_us=lambda: T0_US)
while send_due(ledger, {"preview": channel}, owner="child", now_us=lambda: T0_US, real_us=lambda: int(sys.argv[2]),
               rng=Random(0), policy=POLICY):
    pass
"""
POLICY = Policy(chunk=25, batch=5, lease_us=LEASE_US)


def test_killed_anywhere_no_delivery_is_doubled_or_lost(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path)
    ledger.put_addresses([*people(RESIDENTS), *people(RESIDENTS, first=500, area="33160802")])
    tell(ledger, level=3)
    tell(ledger, id="flood.33160802.1", area="33160802", level=3)
    ledger.close()

    rng = Random(20)
    sent: list[str] = []
    for sender in [_start(SEND, path, str(round * LEASE_US)) for round in range(2)]:
        _go(sender)
        assert sender.stdout is not None
        told = [sender.stdout.readline().strip() for _ in range(rng.randrange(2, 25))]
        sender.kill()
        sent += [key for key in told + sender.communicate(timeout=60)[0].split() if key]

    ledger = open_ledger(path)
    assert 0 < len(ledger.preview_messages(EXERCISE, limit=1000)) < 2 * RESIDENTS
    channels = {"preview": PreviewChannel(ledger, now_us=lambda: T0_US)}
    while send_due(
        ledger,
        channels,
        owner="parent",
        now_us=lambda: T0_US,
        real_us=lambda: 2 * LEASE_US,
        rng=rng,
        policy=POLICY,
    ):
        pass
    deliveries = ledger.deliveries(limit=10_000)
    assert len({delivery.key for delivery in deliveries}) == len(deliveries) == 2 * RESIDENTS
    assert {delivery.state for delivery in deliveries} == {DeliveryState.ACCEPTED}
    assert len(ledger.preview_messages(EXERCISE, limit=10_000)) == 2 * RESIDENTS
    assert [len(ledger.attempts(delivery.id)) for delivery in deliveries] == [1] * len(deliveries)
    assert len(sent) - len(set(sent)) <= 2, "a kill may repeat the one message in hand, no more"
    ledger.close()


def _go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _start(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
