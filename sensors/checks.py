"""Quality checks over all series of a batch at once, causal in order of arrival.

Rows are judged against the newest believable reading that arrived before them. A row that is not newer than that one
is *late*: it is kept, gets UNKNOWN from the checks that compare in time, and moves no rule. So any cutting of a
stream gives the same flags.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Check, Flag, Flags, roll_up
from sensors.stations import SECOND_US, Limits
from sensors.window import NEVER, Window

GAP_CADENCES = 1.5
"""A reading later than this many promised intervals follows a gap."""
FUTURE_US = 600 * SECOND_US
"""A reading stamped further ahead of its arrival is never taken as now: device clocks drift by minutes,
not more.
"""
HOUR_US = 3600 * SECOND_US


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flagged:
    """Answer of `flag`, aligned with the batch."""

    per_check: Flags
    """(len(Check), n)"""
    flag: Flags
    """(n,) the worst of them."""
    fresh: Bool
    """(n,) in range, not from the future, contradicting nothing, and newer than all believable readings of its series
    that arrived before."""
    window: Window
    """For the next batch."""


def flag(batch: ReadingBatch, conflict: Bool, window: Window, limits: Limits) -> Flagged:
    """Judge every reading of a batch by gross range, clock, gap, rate of change and conflict.

    Parameters
    ----------
    batch : n readings in order of arrival, none of them a repeat
    conflict : (n,) rows that contradict a stored one
    window : what was remembered of all series before this batch
    limits : one element per series

    Returns
    -------
    Flagged : inputs are not modified; two batches one after the other give what both at once would

    Source: QARTOD Water Level manual v2.1, tests 1, 4 and 7.
    """
    n = len(batch)
    per_check = np.full((len(Check), n), Flag.GOOD, dtype=np.uint8)
    per_check[Check.GROSS_RANGE] = gross_range(batch.value, batch.series, limits)
    per_check[Check.CLOCK] = clock(batch.time_us, batch.received_us)
    per_check[Check.CONFLICT, conflict] = Flag.SUSPECT
    believable = (per_check[Check.GROSS_RANGE] < Flag.FAIL) & (per_check[Check.CLOCK] == Flag.GOOD) & ~conflict

    order = np.argsort(batch.series, kind="stable")
    series, believed = batch.series[order], believable[order]
    time, value = batch.time_us[order], batch.value[order]
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if n else np.empty(0, dtype=np.intp)
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, n]))

    newest = _running_newest(np.where(believed, time, NEVER), window.last_us[series[starts]], starts, group)
    fresh = believed & (time > newest)
    before = _predecessor(fresh, starts, group)
    before_us, before_value = _at(before, time, window.last_us[series]), _at(before, value, window.last_value[series])

    step_us = np.where(before_us == NEVER, 0, time - np.where(before_us == NEVER, time, before_us))
    gap_flags = np.full(n, Flag.UNKNOWN, dtype=np.uint8)
    gap_flags[fresh & (before_us != NEVER) & (step_us <= GAP_CADENCES * limits.cadence_us[series])] = Flag.GOOD
    limit = limits.rise_suspect_per_h[series]
    jump = np.where(fresh, jumps(value - before_value, step_us, limit), 0).astype(np.int8)
    earlier = _at(before, jump, window.last_jump[series])
    rate_flags = rate_of_change(jump, earlier, compared=fresh & (gap_flags == Flag.GOOD), limited=~np.isnan(limit))
    rate_flags[~fresh] = Flag.UNKNOWN
    missing = np.isnan(value)
    gap_flags[missing] = rate_flags[missing] = Flag.MISSING
    per_check[Check.GAP, order] = gap_flags
    per_check[Check.RATE_OF_CHANGE, order] = rate_flags

    # Rows of one series follow in order of arrival, and a repeated index keeps its last assignment.
    last_us, last_value, last_jump = window.last_us.copy(), window.last_value.copy(), window.last_jump.copy()
    last_us[series[fresh]], last_value[series[fresh]], last_jump[series[fresh]] = time[fresh], value[fresh], jump[fresh]
    fresh_by_row = np.empty(n, dtype=np.bool_)
    fresh_by_row[order] = fresh
    return Flagged(
        per_check=per_check,
        flag=roll_up(per_check),
        fresh=fresh_by_row,
        window=Window(last_us=last_us, last_value=last_value, last_jump=last_jump),
    )


def gross_range(value: Float64, series: NDArray[np.int32], limits: Limits) -> Flags:
    """Doubt what this station should not show, fail what no instrument of the kind can show.

    Returns
    -------
    flags : (n,) MISSING where NaN, FAIL outside the instrument's range, SUSPECT outside the station's, else GOOD
    """
    flags = np.full(len(value), Flag.GOOD, dtype=np.uint8)
    flags[(value < limits.suspect_low[series]) | (value > limits.suspect_high[series])] = Flag.SUSPECT
    flags[(value < limits.fail_low[series]) | (value > limits.fail_high[series])] = Flag.FAIL
    flags[np.isnan(value)] = Flag.MISSING
    return flags


def clock(time_us: Int64, received_us: Int64) -> Flags:
    """Doubt a reading from the future: SUSPECT more than FUTURE_US ahead of its arrival, else GOOD."""
    return np.where(time_us > received_us + FUTURE_US, Flag.SUSPECT, Flag.GOOD).astype(np.uint8)


def jumps(change: Float64, step_us: Int64, limit_per_h: Float64) -> NDArray[np.int8]:
    """Which way each reading changed faster than its station should.

    Parameters
    ----------
    change : (n,) value minus the one before; NaN where there is none
    step_us : (n,) real time between them, > 0 where compared
    limit_per_h : (n,) unit per hour; NaN compares nothing

    Returns
    -------
    jump : (n,) 1 up, -1 down, 0 within the limit or not compared
    """
    hours = np.where(step_us > 0, step_us, HOUR_US) / HOUR_US
    with np.errstate(invalid="ignore"):
        beyond = (step_us > 0) & (np.abs(change) > limit_per_h * hours)
    return np.where(beyond, np.sign(change), 0).astype(np.int8)


def rate_of_change(jump: NDArray[np.int8], earlier: NDArray[np.int8], *, compared: Bool, limited: Bool) -> Flags:
    """Doubt a change faster than this station can show, unless the reading before went the same way as fast.

    Parameters
    ----------
    jump : (n,) see `jumps`
    earlier : (n,) the same of the reading before
    compared : (n,) whether the reading before is close enough to compare with
    limited : (n,) whether the station has a limit

    Returns
    -------
    flags : (n,) SUSPECT for a jump (never FAIL: it may be the flood of the century), UNKNOWN for the second jump in one
        direction (a flood that goes on rising is no spike) and where nothing could be compared, else GOOD. A jump
        across a gap is thus 2 or 3, never 1.
    """
    flags = np.where(compared | ~limited, Flag.GOOD, Flag.UNKNOWN).astype(np.uint8)
    flags[jump != 0] = np.where(jump == earlier, Flag.UNKNOWN, Flag.SUSPECT)[jump != 0]
    return flags


def _running_newest(time: Int64, carried: Int64, starts: NDArray[np.intp], group: NDArray[np.intp]) -> Int64:
    """(n,) newest time before each row within its group, `carried` before the first: an exclusive running maximum by
    group.
    """
    n = len(time)
    if not n:
        return time
    before = np.empty(n, dtype=np.int64)
    before[1:] = time[:-1]
    before[starts] = carried
    # A running maximum that may not cross groups: rank the values, lift every group above the one before it.
    ranks = np.unique(before, return_inverse=True)
    lifted = np.maximum.accumulate(ranks[1] + group * len(ranks[0]))
    newest: Int64 = ranks[0][lifted - group * len(ranks[0])]
    return newest


def _predecessor(fresh: Bool, starts: NDArray[np.intp], group: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n,) index of the newest fresh row before each row in its group, -1 where there is none."""
    n = len(fresh)
    if not n:
        return np.empty(0, dtype=np.intp)
    held = np.maximum.accumulate(np.where(fresh, np.arange(n), -1))
    last = np.r_[-1, held[:-1]]
    return np.where(last >= starts[group], last, -1)


T = TypeVar("T", bound=np.generic)


def _at(index: NDArray[np.intp], inside: NDArray[T], else_: NDArray[T]) -> NDArray[T]:
    """Values of the rows pointed at, and of the window where none is."""
    if not len(index):
        return else_
    return np.where(index >= 0, inside[index], else_)
