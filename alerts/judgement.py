"""One fold over readings in order: flags, inputs, rules. Pure; what a single row breaks is found and set aside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alerts.evidence import LadderState, LevelChanges, weigh
from alerts.inputs.listeners import Heard, States, listen
from alerts.ladders import Ladders
from sensors import checks
from sensors.batch import Bool, Float64, ReadingBatch
from sensors.flags import Check, Flag, Flags, pack, roll_up, unpack, usable
from sensors.stations import Limits
from sensors.trend import Trend, follow
from sensors.window import Window

Weigh = Callable[[ReadingBatch, Bool, Float64, LadderState, Ladders, Sequence[Heard]], tuple[LadderState, LevelChanges]]
Checker = Callable[[ReadingBatch, Bool, Flags, Window, Limits], checks.Flagged]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgeState:
    """All that a fold remembers: the same after the same readings, however they were cut."""

    window: Window
    trend: Trend
    ladders: LadderState
    inputs: States = ()
    """Of each of `Ladders.listeners`."""

    @classmethod
    def empty(cls, series: int, ladders: int, inputs: States = ()) -> Self:
        """Before the first reading."""
        return cls(
            window=Window.empty(series),
            trend=Trend.empty(series),
            ladders=LadderState.empty(ladders),
            inputs=inputs,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Answer of `assess`, aligned with the batch."""

    state: JudgeState
    flag: Flags
    checks: NDArray[np.uint32]
    """Packed; 0 where no check could look at the row."""
    fresh: Bool
    """(n,) believable rows that were newer than those before; see `sensors.checks.Flagged`."""
    listened: Bool
    """(n,) rows that the rules listened to."""
    changes: LevelChanges
    broken: Bool
    """(n,) rows that no check could judge: stored, shown to an officer, not usable."""
    deaf: Bool
    """(n,) rows at which a rule raised: its ladders keep their state, an alarm says so."""
    errors: tuple[str, ...] = ()
    """What was raised by broken and deaf rows."""


def assess(
    batch: ReadingBatch,
    conflict: Bool,
    clock: Flags,
    state: JudgeState,
    *,
    limits: Limits,
    ladders: Ladders,
    check: Checker = checks.flag,
    weigh: Weigh = weigh,
) -> Judged:
    """Flag a batch and step the rules through it; never raises because of what a row holds.

    A batch on which a check or a rule raises is halved until the row is found; the rest goes on (contract: no poison).

    Parameters
    ----------
    batch : n readings at their judged times, none of them a repeat; a row that is not newer than those of its series
        before it moves nothing
    conflict : (n,) rows that contradict a stored one
    clock : (n,) what `sensors.clocks.place` says of their times
    """
    errors: list[str] = []
    window, (flag, packed, fresh), broken = _flag(batch, conflict, clock, state.window, limits, check, errors)
    measured = fresh & np.isfinite(batch.value)
    listened = measured & usable(flag)
    # By what stands still no level is judged; but what then rises rises from there, and a stuck sensor is heard by it.
    sloped = alive = listened
    if len(still := _only_still(flag, packed, measured)):
        sloped, alive = listened.copy(), listened.copy()
        sloped[still], alive[still] = flag[still] == Flag.SUSPECT, True
    rows = _Listened(batch=batch, listened=listened, sloped=sloped, alive=alive)
    rules = _Rules(limits=limits, ladders=ladders, weigh=weigh)
    after, changes, deaf = _weigh(rows, replace(state, window=window), rules, errors)
    return Judged(
        state=after,
        flag=flag,
        checks=packed,
        fresh=fresh,
        listened=listened & ~deaf,
        changes=changes,
        broken=broken,
        deaf=deaf,
        errors=tuple(errors),
    )


def _only_still(flag: Flags, packed: NDArray[np.uint32], measured: Bool) -> NDArray[np.intp]:
    """Measured rows that are doubted or failed by FLAT_LINE alone."""
    doubted = np.flatnonzero(measured & (flag >= Flag.SUSPECT))
    if not len(doubted):
        return doubted
    others = unpack(packed[doubted])
    others[Check.FLAT_LINE] = Flag.GOOD
    return doubted[usable(roll_up(others))]


_PerRow = tuple[Flags, NDArray[np.uint32], Bool]


def _flag(
    batch: ReadingBatch, conflict: Bool, clock: Flags, window: Window, limits: Limits, check: Checker, errors: list[str]
) -> tuple[Window, _PerRow, Bool]:
    n = len(batch)
    try:
        flagged = check(batch, conflict, clock, window, limits)
    except Exception as error:
        if n <= 1:
            errors.append(repr(error))
            nothing = (np.full(n, Flag.SUSPECT, dtype=np.uint8), np.zeros(n, dtype=np.uint32), np.zeros(n, dtype=bool))
            return window, nothing, np.ones(n, dtype=np.bool_)
        h = n // 2
        window, one, broken_one = _flag(batch[:h], conflict[:h], clock[:h], window, limits, check, errors)
        window, two, broken_two = _flag(batch[h:], conflict[h:], clock[h:], window, limits, check, errors)
        joined = (
            np.concatenate([one[0], two[0]]),
            np.concatenate([one[1], two[1]]),
            np.concatenate([one[2], two[2]]),
        )
        return window, joined, np.concatenate([broken_one, broken_two])
    return flagged.window, (flagged.flag, pack(flagged.per_check), flagged.fresh), np.zeros(n, dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rules:
    limits: Limits
    ladders: Ladders
    weigh: Weigh


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Listened:
    """Readings, and who may hear them."""

    batch: ReadingBatch
    listened: Bool
    sloped: Bool
    alive: Bool

    def __getitem__(self, rows: slice) -> "_Listened":
        return _Listened(
            batch=self.batch[rows], listened=self.listened[rows], sloped=self.sloped[rows], alive=self.alive[rows]
        )


def _weigh(
    rows: _Listened, state: JudgeState, rules: _Rules, errors: list[str]
) -> tuple[JudgeState, LevelChanges, Bool]:
    n, ladders = len(rows.batch), rules.ladders
    try:
        rise_per_h, trend = follow(
            rows.batch,
            rows.sloped,
            state.trend,
            span_us=ladders.span_us,
            cadence_us=rules.limits.cadence_us,
            gate_per_h=ladders.gate_per_h,
            wanted=ladders.sloped,
        )
        heard, inputs = listen(
            rows.batch, rows.listened, rows.alive, state.inputs, listeners=ladders.listeners, uses=ladders.uses
        )
        after, changes = rules.weigh(rows.batch, rows.listened, rise_per_h, state.ladders, ladders, heard)
    except Exception as error:
        if n <= 1:
            errors.append(repr(error))
            return state, LevelChanges.none(), np.ones(n, dtype=np.bool_)
        h = n // 2
        state, one, deaf_one = _weigh(rows[:h], state, rules, errors)
        state, two, deaf_two = _weigh(rows[h:], state, rules, errors)
        return state, LevelChanges.joined(one, two.shifted(h)), np.concatenate([deaf_one, deaf_two])
    after_all = replace(state, trend=trend, inputs=inputs, ladders=after)
    return after_all, changes, np.zeros(n, dtype=np.bool_)
