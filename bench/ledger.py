"""What the ledger costs: `python bench/ledger.py [deliveries]`. Every write is durable (WAL, synchronous FULL)."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from alerts.channels.preview import PreviewChannel
from alerts.dispatch import Policy, send_due
from alerts.episode import Episode, Event, EventType, FanOut, Kind, Purpose, apply
from alerts.ledger import AlertLedger, Record
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from alerts.people import Address

KIND = Kind.EXERCISE
ROUNDS = 1000


def _step(before: Episode | None) -> tuple[Event, Episode]:
    version = 1 if before is None else before.version + 1
    event = Event(
        episode="flood.1",
        version=version,
        kind=KIND,
        area="1",
        hazard="flood",
        type=EventType.JUDGED,
        from_level=0,
        to_level=1 + version % 3,
        event_us=version,
        recorded_us=version,
    )
    return event, apply(before, event)


def _per_call_us(work: Callable[[int], object], rounds: int) -> float:
    started = time.perf_counter()
    for n in range(rounds):
        work(n)
    return (time.perf_counter() - started) / rounds * 1e6


def measure(ledger: AlertLedger, deliveries: int) -> list[tuple[str, float]]:
    """Microseconds per call, or per delivery, of each thing that happens often."""
    story: Episode | None = None

    def judge(n: int) -> None:
        ledger.record(Record(kind=KIND, judged_through=n + 1))

    def decide(n: int) -> None:
        nonlocal story
        event, story = _step(story)
        ledger.record(Record(kind=KIND, changes=[(event, story)], judged_through=ROUNDS + n))

    rows = [("record: judged_through", _per_call_us(judge, ROUNDS))]
    rows.append(("record: one event", _per_call_us(decide, ROUNDS)))
    rows.append(("change_count", _per_call_us(lambda _: ledger.change_count(), ROUNDS)))

    people = [
        Address(id=f"r{n:06d}", kind=KIND, recipient=f"r{n}", area="1", channel="preview", target=str(n))
        for n in range(deliveries)
    ]
    rows.append(("put_addresses, each", _per_call_us(lambda _: ledger.put_addresses(people), 1) / deliveries))
    assert story is not None
    fanout = FanOut(
        id=f"flood.1#{story.version}",
        episode="flood.1",
        version=story.version,
        kind=KIND,
        purpose=Purpose.ALERT,
        level=3,
        areas=("1",),
        channels=("preview",),
        text="น้ำท่วม",
        created_us=0,
        expires_us=1 << 60,
    )
    ledger.record(Record(kind=KIND, fanouts=[fanout]))
    channels = {"preview": PreviewChannel(ledger, now_us=lambda: 0)}
    started = time.perf_counter()
    sent = 0
    while tried := send_due(
        ledger,
        channels,
        owner="bench",
        now_us=lambda: 0,
        real_us=lambda: time.time_ns() // 1000,
        rng=Random(0),
        policy=Policy(),
    ):
        sent += tried
    assert sent == deliveries
    rows.append(("expand+lease+send+finish, each", (time.perf_counter() - started) / sent * 1e6))
    return rows


def main() -> None:
    """Measure both implementations and print a table."""
    deliveries = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{'microseconds':32}{'memory':>10}{'SQLite':>10}   ({deliveries} deliveries)")
    with TemporaryDirectory() as folder:
        sql = open_ledger(Path(folder) / "ledger.db")
        for (what, memory_us), (_, sql_us) in zip(
            measure(MemoryLedger(), min(deliveries, 2000)), measure(sql, deliveries), strict=True
        ):
            print(f"{what:32}{memory_us:10.1f}{sql_us:10.1f}")
        sql.close()


if __name__ == "__main__":
    main()
