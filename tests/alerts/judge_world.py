"""A judge with its surroundings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from alerts.cells import Cells
from alerts.desk import Desk
from alerts.episode import Episode, Event, EventType, Kind
from alerts.evidence import LadderState, LevelChanges
from alerts.evidence import weigh as weigh_levels
from alerts.judge import Judge
from alerts.judgement import assess
from alerts.ledger import AlertLedger
from alerts.ledger.memory import MemoryLedger
from alerts.people import Actor, Role
from alerts.plan import plan
from alerts.route import Clear, Release, Route, Routes
from alerts.rules import Rule
from sensors.batch import Bool, ReadingBatch
from sensors.checks import Flagged
from sensors.checks import flag as flag_batch
from sensors.flags import Flags
from sensors.stations import Limits, Registry
from sensors.store import SeriesStore
from sensors.store.memory import MemoryStore
from sensors.window import Window
from tests.builders import MINUTE_US, T0_US, registry, rule_set, station

REG = registry(station("A"), station("B", areas=("other",)))
MANUAL = Routes(
    by={
        ("flood", level): Route(
            hazard="flood",
            level=level,
            release=Release.ONE if level == 1 else Release.TWO,
            clear=Clear.PERSON,
            channels=("preview",),
            expires_s=3600,
            rearm_s=0,
        )
        for level in (1, 2, 3)
    }
)
ONE = Actor(account="officer-1", role=Role.OFFICER)
TWO = Actor(account="officer-2", role=Role.OFFICER)


@dataclass
class World:
    """A judge with its surroundings; the clock stands at the newest arrival unless moved."""

    held: SeriesStore | None = None
    ledger: AlertLedger = field(default_factory=MemoryLedger)
    routes: Routes = MANUAL
    snapshot_path: Path | None = None
    check: Callable[[ReadingBatch, Bool, Flags, Window, Limits], Flagged] = flag_batch
    weigh: Callable[..., tuple[LadderState, LevelChanges]] = weigh_levels
    now_us: int = T0_US
    real_us: int = 0
    registry: Registry = REG
    own_rules: Sequence[Rule] = ()

    def __post_init__(self) -> None:
        self.store = self.held or MemoryStore(self.registry.keys())
        self.rules = rule_set(self.registry, *self.own_rules)
        self.judge = self.started()

    def started(self) -> Judge:
        made = Judge(
            cells=Cells.of(Kind.EXERCISE, self.registry, self.rules, self.routes),
            plan=partial(plan, registry=self.registry, routes=self.routes),
            store=self.store,
            ledger=self.ledger,
            snapshot_path=self.snapshot_path,
            now_us=lambda: self.now_us,
            real_us=lambda: self.real_us,
            assess=partial(assess, check=self.check, weigh=self.weigh),
        )
        made.start()
        return made

    def restart(self) -> None:
        self.judge = self.started()

    def take(self, readings: ReadingBatch) -> None:
        if len(readings):
            self.now_us = max(self.now_us, int(readings.received_us.max()))
        self.judge.take(readings)

    def tick(self, minutes: float = 0, *, deaf: bool = False) -> None:
        self.now_us += round(minutes * MINUTE_US)
        self.judge.tick(deaf=deaf)

    def desk(self) -> Desk:
        return Desk(
            ledger=self.ledger,
            kind=Kind.EXERCISE,
            plan=partial(plan, registry=self.registry, routes=self.routes),
            routes=self.routes,
            now_us=lambda: self.now_us,
        )

    def story(self, hazard: str = "flood") -> Episode:
        return next(e for e in self.ledger.episodes(Kind.EXERCISE) if e.hazard == hazard)

    def events(self) -> list[Event]:
        return [e for ep in reversed(self.ledger.episodes(Kind.EXERCISE)) for e in self.ledger.events(ep.id)]

    def floods(self) -> dict[str, int]:
        """Judged level of each open flood."""
        stories = self.ledger.episodes(Kind.EXERCISE, open_only=True)
        return {e.area: e.judged_level for e in stories if e.hazard == "flood"}

    def history(self) -> list[tuple[object, ...]]:
        """What must not depend on cutting, restarts or failures."""
        judged = [e for e in self.events() if e.type is EventType.JUDGED and e.hazard == "flood"]
        told = [(e.area, e.hazard, e.from_level, e.to_level, e.event_us, e.used) for e in judged]
        return sorted(told, key=lambda t: (str(t[0]), str(t[4])))


def drained(readings: ReadingBatch, at_us: int) -> ReadingBatch:
    """A backlog that arrives at one moment."""
    return replace(readings, received_us=np.full(len(readings), at_us))
