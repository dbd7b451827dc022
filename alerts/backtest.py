"""The platform's own judgement over a record: checks, fold and ladders as they run live. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from alerts.columns import Told
from alerts.inputs.listeners import empty as nothing_heard
from alerts.ladders import NO_SERIES, Ladders
from alerts.rules import RuleSet
from alerts.track_state import TrackState
from alerts.tracks import Tracks, shown
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.calibration import Calibration
from sensors.stations import Registry

LEVELS = ("normal", "watch", "warning", "critical")
"""Words of the judged level, by its number."""
ROWS = 50_000
"""Readings judged at once; any number gives the same."""

Stage = tuple[int, Registry, RuleSet]
"""The row from which these judge."""


def unseen(done: int, of: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChange:
    """A change of the level that the evidence holds, by one reading that was just heard."""

    place: str
    """Station, or the area of a composite rule."""
    hazard: str
    time_us: int
    from_level: int
    to_level: int
    rule: str
    """Id of the rule that decided."""
    value: float
    """What that rule listened to."""


@dataclass(slots=True)
class JudgedLevels:
    """The highest level that any ladder of a place holds, as changes of the ladders come in."""

    ladders: Ladders
    registry: Registry
    _level: dict[tuple[str, str], dict[int, int]] = field(default_factory=dict)

    def step(self, told: Told) -> Iterator[LevelChange]:
        """Changes of places that some changes of ladders bring about; those of one reading are one."""
        at = 0
        while at < len(told):
            behind = at + int(np.searchsorted(told.by[at:], told.by[at], side="right"))
            yield from self._together(told[at:behind])
            at = behind

    def _together(self, told: Told) -> Iterator[LevelChange]:
        before: dict[tuple[str, str], int] = {}
        last: dict[tuple[str, str], int] = {}
        for k, ladder in enumerate(told.ladder.tolist()):
            if not (hazard := self.ladders.hazard[ladder]):
                continue  # a sign
            for place in self._places(ladder):
                held = self._level.setdefault((place, hazard), {})
                before.setdefault((place, hazard), max(held.values(), default=0))
                held[ladder] = int(told.to_level[k])
                if held[ladder] == max(held.values()) or (place, hazard) not in last:
                    last[place, hazard] = k
        for key, k in last.items():
            level = max(self._level[key].values())
            if level != before[key]:
                yield LevelChange(
                    place=key[0],
                    hazard=key[1],
                    time_us=int(told.time_us[k]),
                    from_level=before[key],
                    to_level=level,
                    rule=self._rule(int(told.ladder[k]), key, before[key], level),
                    value=float(told.value[k]),
                )

    def _rule(self, ladder: int, key: tuple[str, str], before: int, level: int) -> str:
        """The rule that holds the new level up; going down, the one that let go."""
        if level > before:
            ladder = next(one for one, held in self._level[key].items() if held == level)
        return self.ladders.rule_at(ladder, max(level, 1) if level > before else before).id

    def _places(self, ladder: int) -> tuple[str, ...]:
        series = int(self.ladders.series[ladder])
        return self.ladders.areas[ladder] if series == NO_SERIES else (self.registry.series[series].station,)


def judge(
    batch: ReadingBatch,
    conflict: Bool,
    registry: Registry,
    rules: RuleSet,
    *,
    rows: int = ROWS,
    progress: Callable[[int, int], None] = unseen,
) -> Iterator[LevelChange]:
    """Judge a record as it would have been judged live, reading by reading.

    Parameters
    ----------
    batch : n readings in order of arrival, none of them a repeat; what came by arrival time `received_us`
    conflict : (n,) rows that contradict an earlier one
    rows : how many at once; the answer does not depend on it
    progress : told (readings done, of all)

    Raises
    ------
    RuntimeError : a check or a rule broke on a reading
    """
    yield from judge_in_stages(batch, conflict, [(0, registry, rules)], rows=rows, progress=progress)


def judge_in_stages(
    batch: ReadingBatch,
    conflict: Bool,
    stages: Sequence[Stage],
    *,
    rows: int = ROWS,
    progress: Callable[[int, int], None] = unseen,
) -> Iterator[LevelChange]:
    """The same where more of a station becomes known as its readings come in; see `judge`.

    Parameters
    ----------
    stages : in order, the first from row 0: the registry and rules that judge from a row on. They differ in numbers
        only: series and rules are the same
    """
    ends = [*(begin for begin, _, _ in stages[1:]), len(batch)]
    chunks = (
        (batch[k : min(k + rows, end)], conflict[k : min(k + rows, end)], registry, rules)
        for (begin, registry, rules), end in zip(stages, ends, strict=True)
        for k in range(begin, end, rows)
    )
    _, registry, rules = stages[0]
    for done, change in _fold(chunks, registry, rules):
        progress(done, len(batch))
        yield from change


def _fold(
    chunks: Iterable[tuple[ReadingBatch, Bool, Registry, RuleSet]], registry: Registry, rules: RuleSet
) -> Iterator[tuple[int, list[LevelChange]]]:
    tracks, ladders = _tracks(registry, rules), rules.ladders
    counters = len(Calibration.of(registry))
    state = TrackState.empty(len(registry.series), len(ladders), counters, nothing_heard(ladders.listeners))
    levels, seq, before = JudgedLevels(ladders=ladders, registry=registry), 0, rules
    for batch, conflict, there, by in chunks:
        if by is not before:
            tracks, before = _tracks(there, by), by
        numbers: Int64 = seq + 1 + np.arange(len(batch), dtype=np.int64)
        taken = tracks.take(batch, conflict, numbers, state)
        if taken.errors:  # live, one row stops no other; here, half an answer would be taken for a whole one
            raise RuntimeError(f"{len(taken.errors)} readings broke a check or a rule: {taken.errors[0]}")
        state, _ = tracks.settle(taken.state)
        seq += len(batch)
        yield seq, list(levels.step(taken.told))


def _tracks(registry: Registry, rules: RuleSet) -> Tracks:
    calibration = Calibration.of(registry)
    return Tracks(limits=registry.limits, ladders=rules.ladders, shown=shown(registry), calibration=calibration)
