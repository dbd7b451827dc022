"""A recorded stream through the whole judge: checks, rules, absence, loss and stories, on a ledger in memory.

Readings come in by the minute, as if each had arrived at its time; nothing is sent, and nothing on disk is touched. The
same stream gives the same transitions, however fast it is played.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec
import numpy as np

from alerts.cells import Cells
from alerts.episode import Event
from alerts.judge import Judge
from alerts.ledger.memory import MemoryLedger
from alerts.plan import plan
from sensors.store.memory import MemoryStore
from takean.backtest_history import History
from takean.configuration import World
from takean.exchange import Progress, unseen

MINUTE_US = 60_000_000


@dataclass(slots=True)
class _Clock:
    now_us: int = 0


def replay(
    history: History,
    world: World,
    *,
    speed: float | None = None,
    rest: Callable[[float], None] = time.sleep,
    progress: Progress = unseen,
) -> Iterator[Event]:
    """Play a stream, and give each event of each story as it comes about.

    Parameters
    ----------
    speed : 1 is real time; None: as fast as it goes
    rest : called with seconds to wait
    """
    batch, clock = history.batch, _Clock()
    if not len(batch):
        return
    minutes = batch.time_us // MINUTE_US
    begins = np.flatnonzero(np.diff(minutes, prepend=minutes[0] - 1))
    clock.now_us = int(minutes[0]) * MINUTE_US
    ledger = MemoryLedger()
    judge = Judge(
        cells=Cells.of(world.kind, world.registry, world.rules, world.routes),
        plan=partial(plan, registry=world.registry, routes=world.routes),
        store=MemoryStore(world.registry.keys()),
        ledger=ledger,
        snapshot_path=None,
        now_us=lambda: clock.now_us,
        real_us=lambda: clock.now_us,
    )
    judge.start()
    told: dict[str, int] = {}
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(batch)], strict=True):
        at_us = int(minutes[begin]) * MINUTE_US
        if speed is not None:
            rest((at_us - clock.now_us) / 1e6 / speed)
        clock.now_us = at_us
        judge.tick()  # what the silence before it decided
        clock.now_us = int(batch.time_us[end - 1])
        judge.take(batch[begin:end])
        yield from _new(ledger, world, told)
        progress(end, len(batch))
    judge.tick()
    yield from _new(ledger, world, told)


def line(event: Event) -> str:
    """One event as JSON: all that must be the same when it is played again."""
    moment = datetime.fromtimestamp(event.event_us // 1_000_000, tz=UTC)
    return msgspec.json.encode(
        {
            "time_utc": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "area": event.area,
            "hazard": event.hazard,
            "type": event.type.value,
            "from_level": event.from_level,
            "level": event.to_level,
            "rules": [f"{used.rule} {used.rule_version}" for used in event.used],
            "note": event.note,
        }
    ).decode()


def _new(ledger: MemoryLedger, world: World, told: dict[str, int]) -> Iterator[Event]:
    """Events since the last time, by story and version."""
    found = [
        event
        for story in ledger.episodes(world.kind)
        if story.version > told.get(story.id, 0)
        for event in ledger.events(story.id)
        if event.version > told.get(story.id, 0)
    ]
    for event in sorted(found, key=lambda one: (one.event_us, one.area, one.hazard, one.version)):
        told[event.episode] = max(told.get(event.episode, 0), event.version)
        yield event
