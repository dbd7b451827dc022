"""Reads what a box kept after it has ended, and finds what is lost, doubled, strange or told differently."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import duckdb

from alerts import route, rules
from alerts.cells import Cells
from alerts.episode import EventType, Kind
from alerts.judge import Judge
from alerts.ledger import AlertReader
from alerts.ledger.memory import MemoryLedger
from sensors import stations
from sensors.batch import ReadingBatch
from sensors.store.memory import MemoryStore
from tests.live.records import Reading, Stream

OF_THE_CLOCK = (
    EventType.LOST,
    EventType.HEARD,
    EventType.CONFIRMED,
    EventType.CALLED,
    EventType.UNANSWERED,
    EventType.EXPIRED,
    EventType.MOVED,
)
"""What passing time alone decides: a kill is allowed to move it."""
END_OF_TIME_US = 2**62
ROWS = 1_000
"""The uninterrupted judge gets the journal in pieces of so many rows, cut where nobody cut before."""


class Row(NamedTuple):
    """One row of the journal."""

    series: str
    """`S-1/stage_m`"""
    time_us: int
    value: float
    received_us: int

    def reading(self) -> Reading:
        """As it was sent."""
        return Reading(self.series.partition("/")[0], self.time_us, self.value)


class Told(NamedTuple):
    """One event of a story, without ids, wall times and who else was told what in between."""

    area: str
    hazard: str
    event_us: int
    type: str
    from_level: int
    to_level: int
    used: tuple[tuple[object, ...], ...]
    """Rule, version, series, time, value and truth of what decided."""


def journal(state: Path, kind: Kind = Kind.EXERCISE) -> list[Row]:
    """Every row of the journal in order of arrival, read with nothing of the platform; its process must have ended."""
    with duckdb.connect(str(state / f"journal.{kind}.duckdb"), read_only=True) as database:
        rows = database.execute(
            "select key, time_us, value, received_us from reading join series on id = series order by seq"
        ).fetchall()
    return [Row(*row) for row in rows]


def faults(acknowledged: Collection[Reading], sent: Mapping[str, Stream], rows: Sequence[Row]) -> list[str]:
    """Readings lost though acknowledged, stored twice, sent by nobody, or stored in another order than sent.

    Parameters
    ----------
    acknowledged : readings whose sender was told that they are safe
    sent : what each device sent, in order
    rows : the journal
    """
    kept = [row.reading() for row in rows]
    count, wanted = Counter(kept), {reading for stream in sent.values() for reading in stream.readings()}
    found = [f"acknowledged and lost: {r}" for r in sorted(set(acknowledged) - count.keys())]
    found += [f"stored {n} times: {r}" for r, n in sorted(count.items()) if n > 1]
    found += [f"sent by nobody: {r}" for r in sorted(count.keys() - wanted)]
    for station in sent:
        times = [r.time_us for r in kept if r.station == station]
        found += [f"{station}: {b} stored behind {a}" for a, b in pairwise(times) if b < a]
    return found


def history(ledger: AlertReader, kind: Kind = Kind.EXERCISE) -> list[Told]:
    """The stories of floods, area by area in order of time."""
    told = []
    for episode in ledger.episodes(kind, limit=100_000):
        for event in ledger.events(episode.id):
            if event.hazard == "flood" and event.type not in OF_THE_CLOCK:
                used = tuple((u.rule, u.rule_version, u.series, u.time_us, u.value, u.truth) for u in event.used)
                told.append(
                    Told(
                        event.area,
                        event.hazard,
                        event.event_us,
                        str(event.type),
                        event.from_level,
                        event.to_level,
                        used,
                    )
                )
    return sorted(told)


def settled(ledger: AlertReader, kind: Kind = Kind.EXERCISE) -> list[tuple[object, ...]]:
    """The settled track: every final change with the row that decided it, and by which rules."""
    found = ledger.settled(kind, from_us=0, to_us=END_OF_TIME_US)
    return sorted(astuple(change) for change in found)


def uninterrupted(config: Path, rows: Sequence[Row], kind: Kind = Kind.EXERCISE) -> MemoryLedger:
    """What one judge that nobody kills makes of the same readings in the order of their arrival, in memory."""
    registry = stations.load(config / "stations.toml")
    ledger, index = MemoryLedger(), {series.key: i for i, series in enumerate(registry.series)}
    end_us = max(row.received_us for row in rows)
    judge = Judge(
        cells=Cells.of(
            kind,
            registry,
            rules.compile_rules(rules.read(config / "rules.toml"), registry),
            route.load(config / "routes.toml", kind=kind),
        ),
        plan=lambda *_, **__: (),
        store=MemoryStore(registry.keys()),
        ledger=ledger,
        snapshot_path=None,
        now_us=lambda: end_us,
        real_us=lambda: end_us,
    )
    judge.start()
    for start in range(0, len(rows), ROWS):
        piece = rows[start : start + ROWS]
        judge.take(
            ReadingBatch.of(
                series=[index[row.series] for row in piece],
                time_us=[row.time_us for row in piece],
                value=[row.value for row in piece],
                received_us=[row.received_us for row in piece],
            )
        )
    judge.tick()
    return ledger


T = TypeVar("T", bound=tuple[object, ...])


def differences(told: Iterable[T], wanted: Iterable[T]) -> list[str]:
    """What is told by one history and not by the other."""
    had, should = Counter(told), Counter(wanted)
    return [f"not told: {e}" for e in sorted((should - had).elements())] + [
        f"told by mistake: {e}" for e in sorted((had - should).elements())
    ]
