"""One step of judgement over a batch: flags, then rules. Pure; what a single row breaks is found and set aside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alerts.evidence import LadderState, LevelChanges, weigh
from alerts.rules import Ladders
from sensors import checks
from sensors.batch import Bool, ReadingBatch
from sensors.flags import Flag, Flags, pack, usable
from sensors.stations import Limits
from sensors.window import Window

Weigh = Callable[[ReadingBatch, Bool, LadderState, Ladders], tuple[LadderState, LevelChanges]]
Check = Callable[[ReadingBatch, Bool, Window, Limits], checks.Flagged]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgeState:
    """All that judgement remembers: the same after the same readings, however they were cut."""

    window: Window
    ladders: LadderState

    @classmethod
    def empty(cls, series: int, ladders: int) -> Self:
        """Before the first reading."""
        return cls(window=Window.empty(series), ladders=LadderState.empty(ladders))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Answer of `assess`, aligned with the batch."""

    state: JudgeState
    flag: Flags
    checks: NDArray[np.uint32]
    """Packed; 0 where no check could look at the row."""
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
    state: JudgeState,
    *,
    limits: Limits,
    ladders: Ladders,
    check: Check = checks.flag,
    weigh: Weigh = weigh,
) -> Judged:
    """Flag a batch and step the rules through it; never raises because of what a row holds.

    A batch on which a check or a rule raises is halved until the row is found; the rest goes on (contract: no poison).

    Parameters
    ----------
    batch : n readings in order of arrival, none of them a repeat
    conflict : (n,) rows that contradict a stored one
    """
    errors: list[str] = []
    window, (flag, packed, fresh), broken = _flag(batch, conflict, state.window, limits, check, errors)
    listened = fresh & usable(flag) & np.isfinite(batch.value)
    after, changes, deaf = _weigh(batch, listened, state.ladders, ladders, weigh, errors)
    return Judged(
        state=JudgeState(window=window, ladders=after),
        flag=flag,
        checks=packed,
        listened=listened & ~deaf,
        changes=changes,
        broken=broken,
        deaf=deaf,
        errors=tuple(errors),
    )


_PerRow = tuple[Flags, NDArray[np.uint32], Bool]


def _flag(
    batch: ReadingBatch, conflict: Bool, window: Window, limits: Limits, check: Check, errors: list[str]
) -> tuple[Window, _PerRow, Bool]:
    n = len(batch)
    try:
        flagged = check(batch, conflict, window, limits)
    except Exception as error:
        if n <= 1:
            errors.append(repr(error))
            nothing = (np.full(n, Flag.SUSPECT, dtype=np.uint8), np.zeros(n, dtype=np.uint32), np.zeros(n, dtype=bool))
            return window, nothing, np.ones(n, dtype=np.bool_)
        half = n // 2
        window, one, broken_one = _flag(batch[:half], conflict[:half], window, limits, check, errors)
        window, two, broken_two = _flag(batch[half:], conflict[half:], window, limits, check, errors)
        joined = (
            np.concatenate([one[0], two[0]]),
            np.concatenate([one[1], two[1]]),
            np.concatenate([one[2], two[2]]),
        )
        return window, joined, np.concatenate([broken_one, broken_two])
    return flagged.window, (flagged.flag, pack(flagged.per_check), flagged.fresh), np.zeros(n, dtype=np.bool_)


def _weigh(
    batch: ReadingBatch, listened: Bool, state: LadderState, ladders: Ladders, weigh: Weigh, errors: list[str]
) -> tuple[LadderState, LevelChanges, Bool]:
    n = len(batch)
    try:
        after, changes = weigh(batch, listened, state, ladders)
    except Exception as error:
        if n <= 1:
            errors.append(repr(error))
            return state, LevelChanges.none(), np.ones(n, dtype=np.bool_)
        half = n // 2
        state, one, deaf_one = _weigh(batch[:half], listened[:half], state, ladders, weigh, errors)
        state, two, deaf_two = _weigh(batch[half:], listened[half:], state, ladders, weigh, errors)
        return state, LevelChanges.joined(one, two.shifted(half)), np.concatenate([deaf_one, deaf_two])
    return after, changes, np.zeros(n, dtype=np.bool_)
