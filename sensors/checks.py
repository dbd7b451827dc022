"""Quality checks over all series of a batch at once, causal in order of arrival.

Rows are judged against the newest believable reading that arrived before them. A row that is not newer than that one
is *late*: it is kept, gets UNKNOWN from the checks that compare in time, and moves no rule. So any cutting of a
stream gives the same flags.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Check, Flag, Flags, roll_up
from sensors.stations import SECOND_US, Limits
from sensors.window import NEVER, Window

GAP_CADENCES = 1.5
"""A reading later than this many promised intervals follows a gap (domain 9.15)."""
FUTURE_US = 600 * SECOND_US
"""A reading stamped further ahead of its arrival is never taken as now (domain 9.4): device clocks drift by minutes,
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
    """(n,) in range, not from the future, and newer than all believable readings of its series that arrived before."""
    window: Window
    """For the next batch."""


def flag(batch: ReadingBatch, window: Window, limits: Limits) -> Flagged:
    """Judge every reading of a batch by gross range, clock, gap and rate of change.

    Parameters
    ----------
    batch : n readings in order of arrival
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
    believable = (per_check[Check.GROSS_RANGE] < Flag.FAIL) & (per_check[Check.CLOCK] == Flag.GOOD)

    order = np.argsort(batch.series, kind="stable")
    series, believed = batch.series[order], believable[order]
    time, value = batch.time_us[order], batch.value[order]
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if n else np.empty(0, dtype=np.intp)
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, n]))

    newest = _running_newest(np.where(believed, time, NEVER), window.last_us[series[starts]], starts, group)
    fresh = believed & (time > newest)
    before_us, before_value = _predecessor(time, value, fresh, starts, group, window, series)

    step_us = np.where(before_us == NEVER, 0, time - np.where(before_us == NEVER, time, before_us))
    limit = limits.cadence_us[series]
    gap_flags = np.full(n, Flag.UNKNOWN, dtype=np.uint8)
    gap_flags[fresh & (before_us != NEVER) & (step_us <= GAP_CADENCES * limit)] = Flag.GOOD
    rate_flags = rate_of_change(
        value - before_value, step_us, gap=gap_flags != Flag.GOOD, suspect_per_h=limits.rise_suspect_per_h[series]
    )
    rate_flags[~fresh] = Flag.UNKNOWN
    missing = np.isnan(value)
    gap_flags[missing] = rate_flags[missing] = Flag.MISSING
    per_check[Check.GAP, order] = gap_flags
    per_check[Check.RATE_OF_CHANGE, order] = rate_flags

    fresh_in_order = np.empty(n, dtype=np.bool_)
    fresh_in_order[order] = fresh
    return Flagged(
        per_check=per_check,
        flag=roll_up(per_check),
        fresh=fresh_in_order,
        window=_remember(window, batch, fresh_in_order),
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


def rate_of_change(change: Float64, step_us: Int64, *, gap: Bool, suspect_per_h: Float64) -> Flags:
    """Doubt a change faster than this station can show.

    Parameters
    ----------
    change : (n,) value minus the one before; NaN where there is none
    step_us : (n,) real time between them, > 0 where compared
    gap : (n,) whether the two lie further apart than the station promised
    suspect_per_h : (n,) limit, unit per hour; NaN compares nothing

    Returns
    -------
    flags : (n,) SUSPECT beyond the limit (never FAIL: it may be the flood of the century), UNKNOWN across a gap or
    where nothing was
        compared, else GOOD. A jump across a gap is thus 2 or 3, never 1.
    """
    compared = (step_us > 0) & ~np.isnan(change) & ~np.isnan(suspect_per_h)
    flags = np.where(gap | ~compared, Flag.UNKNOWN, Flag.GOOD).astype(np.uint8)
    flags[np.isnan(suspect_per_h)] = Flag.GOOD
    hours = np.where(compared, step_us, HOUR_US) / HOUR_US
    with np.errstate(invalid="ignore"):
        flags[compared & (np.abs(change) > suspect_per_h * hours)] = Flag.SUSPECT
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


def _predecessor(
    time: Int64,
    value: Float64,
    fresh: Bool,
    starts: NDArray[np.intp],
    group: NDArray[np.intp],
    window: Window,
    series: NDArray[np.int32],
) -> tuple[Int64, Float64]:
    """(n,) time and value of the newest fresh row before each row in its group, or the remembered one."""
    n = len(time)
    index = np.arange(n)
    held = np.where(fresh, index, -1)
    last = np.empty(n, dtype=np.intp)
    last[1:] = np.maximum.accumulate(held)[:-1] if n else held
    if n:
        last[0] = -1
    inside = last >= starts[group] if n else np.empty(0, dtype=np.bool_)
    safe = np.where(inside, last, 0)
    before_us = np.where(inside, time[safe] if n else time, window.last_us[series])
    before_value = np.where(inside, value[safe] if n else value, window.last_value[series])
    return before_us, before_value


def _remember(window: Window, batch: ReadingBatch, fresh: Bool) -> Window:
    last_us, last_value, arrived = window.last_us.copy(), window.last_value.copy(), window.arrived_us.copy()
    # Rows of one series follow in order of arrival, and a repeated index keeps its last assignment.
    last_us[batch.series[fresh]] = batch.time_us[fresh]
    last_value[batch.series[fresh]] = batch.value[fresh]
    np.maximum.at(arrived, batch.series, batch.received_us)
    return Window(last_us=last_us, last_value=last_value, arrived_us=arrived)
