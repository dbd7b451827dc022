"""Quality checks over all series of a batch at once, causal in the order of the rows.

Rows are judged against the newest believable readings that came before them. A row that is not newer than those is
*late*: it is kept, gets UNKNOWN from the checks that compare in time, and moves nothing. So any cutting of a stream
gives the same flags.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import FAIL, GOOD, MISSING, SUSPECT, UNKNOWN, Check, Flags, roll_up
from sensors.flat import flat_line, still
from sensors.groups import Groups
from sensors.stations import Limits
from sensors.window import NEVER, Window

GAP_CADENCES = 1.5
"""A reading later than this many promised intervals follows a gap."""
IN_TIME = [Check.RATE_OF_CHANGE, Check.GAP, Check.SPIKE, Check.FLAT_LINE]
"""The checks that compare a reading with those before it."""
HOUR_US = 3_600_000_000
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flagged:
    """Answer of `flag`, aligned with the batch."""

    per_check: Flags
    """(len(Check), n)"""
    flag: Flags
    """(n,) the worst of them."""
    fresh: Bool
    """(n,) in range, not from the future, contradicting nothing, and newer than all believable readings of its series
    that came before."""
    window: Window
    """For the next batch."""


def flag(batch: ReadingBatch, conflict: Bool, clock: Flags, window: Window, limits: Limits) -> Flagged:
    """Judge every reading of a batch.

    Parameters
    ----------
    batch : n readings, none of them a repeat; `time_us` is the judged time (`clocks.place`)
    conflict : (n,) rows that contradict a stored one
    clock : (n,) flags of their clocks
    window : what was remembered of all series before this batch
    limits : one element per series

    Returns
    -------
    Flagged : inputs are not modified; two batches one after the other give what both at once would

    Source: QARTOD Water Level manual v2.1, tests 1, 4, 6, 7 and 8.
    """
    n = len(batch)
    per_check = np.empty((len(Check), n), dtype=np.uint8)
    per_check[Check.GROSS_RANGE] = gross_range(batch.value, batch.series, limits)
    per_check[Check.CLOCK] = clock
    per_check[Check.CONFLICT] = np.where(conflict, SUSPECT, GOOD)
    believable = (per_check[Check.GROSS_RANGE] < FAIL) & (clock < SUSPECT) & ~conflict

    rows = Groups.of(batch.series)
    fresh = np.empty(n, dtype=np.bool_)
    fresh[rows.order] = _newer(rows, batch.time_us[rows.order], believable[rows.order], window.last_us)
    per_check[IN_TIME] = np.where(np.isnan(batch.value), MISSING, UNKNOWN)
    at = rows.order[fresh[rows.order]]
    if len(at):
        some = rows if len(at) == n else Groups.adjacent(batch.series[at])
        window = _compare(batch, at, some, per_check, window, limits)
    return Flagged(per_check=per_check, flag=roll_up(per_check), fresh=fresh, window=window)


def gross_range(value: Float64, series: NDArray[np.int32], limits: Limits) -> Flags:
    """Doubt what this station should not show, fail what no instrument of the kind can show.

    Returns
    -------
    flags : (n,) MISSING where NaN, FAIL outside the instrument's range, SUSPECT outside the station's, else GOOD
    """
    flags = np.full(len(value), GOOD, dtype=np.uint8)
    flags[(value < limits.suspect_low[series]) | (value > limits.suspect_high[series])] = SUSPECT
    flags[(value < limits.fail_low[series]) | (value > limits.fail_high[series])] = FAIL
    flags[np.isnan(value)] = MISSING
    return flags


def leaps(change: Float64, step_us: Int64, rise_per_h: Float64, spike: Float64) -> tuple[Bool, Bool]:
    """Which readings changed faster than their station should, and which by more than a spike.

    Parameters
    ----------
    change : (n,) value minus the one compared with; NaN where there is none
    step_us : (n,) real time between them, > 0 where compared
    rise_per_h, spike : (n,) unit per hour, unit; NaN compares nothing

    Returns
    -------
    fast, large : (n,) False where not compared
    """
    size = np.abs(change)
    return size > rise_per_h * (step_us / HOUR_US), size > spike


def _newer(rows: Groups, time: Int64, believable: Bool, last_us: Int64) -> Bool:
    """(n,) believable rows newer than all believable ones of their series before them."""
    carried = last_us[rows.series]
    ascends = np.ones(len(time), dtype=np.bool_)
    np.greater(time[1:], time[:-1], out=ascends[1:])
    ascends[rows.starts] = True
    if ascends.all():
        return believable & (time > carried)
    # A running maximum that may not cross groups: rank the values, lift every group above the one before it.
    before = rows.before(np.where(believable, time, NEVER), last_us)
    values, ranks = np.unique(before, return_inverse=True)
    lift = rows.group * len(values)
    newest = values[np.maximum.accumulate(ranks + lift) - lift]
    return believable & (time > newest)


def _compare(
    batch: ReadingBatch, at: NDArray[np.intp], rows: Groups, per_check: Flags, window: Window, limits: Limits
) -> Window:
    """Fill in the checks that compare in time at the fresh rows, and remember these.

    Parameters
    ----------
    at, rows : (k,) fresh rows, those of one series together and ascending in time
    """
    series, time, value = rows.series, batch.time_us[at], batch.value[at]
    before_us, before = rows.before(time, window.last_us), rows.before(value, window.last_value)
    earlier_us, earlier = rows.before(before_us, window.earlier_us), rows.before(before, window.earlier_value)
    gap_us = GAP_CADENCES * limits.cadence_us[series]
    step_us = np.where(before_us == NEVER, 0, time - before_us)
    near = (before_us != NEVER) & (step_us <= gap_us)
    per_check[Check.GAP, at] = np.where(near, GOOD, UNKNOWN)

    rise, spike = limits.rise_suspect_per_h[series], limits.spike[series]
    fast, large = leaps(value - before, step_us, rise, spike)
    jump = np.zeros(len(at), dtype=np.int8)
    rate = np.where(near | np.isnan(rise), GOOD, UNKNOWN)
    lone = np.where(near | np.isnan(spike), GOOD, UNKNOWN)
    if (leapt := fast | large).any():
        back_us = np.where(earlier_us == NEVER, 0, time - earlier_us)
        far = np.logical_or(*leaps(value - earlier, back_us, rise, spike))
        returns = _returns(rows, leapt, leapt & ~far, window)
        leapt &= ~returns
        jump[leapt] = np.sign(value - before)[leapt]
        again = jump == rows.before(jump, window.last_jump)
        rate[leapt & fast] = np.where(again, UNKNOWN, SUSPECT)[leapt & fast]
        lone[leapt & large] = UNKNOWN
        across = returns & (back_us > 2 * gap_us)  # compared with what lies two readings back: a gap there counts too
        rate[across & ~np.isnan(rise)] = lone[across & ~np.isnan(spike)] = UNKNOWN
    per_check[Check.RATE_OF_CHANGE, at], per_check[Check.SPIKE, at] = rate, lone

    counted_us = np.where(near, step_us, 0)
    still_us = still(rows, value, before, counted_us, limits.flat_eps[series], window.still_us)
    per_check[Check.FLAT_LINE, at] = flat_line(still_us.max(axis=1), limits, series)

    ends = rows.ends
    last = series[ends]
    return Window(
        last_us=_put(window.last_us, last, time[ends]),
        last_value=_put(window.last_value, last, value[ends]),
        last_jump=_put(window.last_jump, last, jump[ends]),
        earlier_us=_put(window.earlier_us, last, before_us[ends]),
        earlier_value=_put(window.earlier_value, last, before[ends]),
        still_us=_put(window.still_us, last, still_us[ends]),
    )


def _returns(rows: Groups, leapt: Bool, could: Bool, window: Window) -> Bool:
    """(n,) rows that come back from a leap to what was before it, so that only the leap is doubted.

    A row that could be a return is one only if the row before it was itself a leap. Of rows that all could, one after
    the other (a value that swings to and fro), every second one is.
    """
    known = rows.newest(~could)
    steps = np.arange(len(could)) - np.where(known >= 0, known, rows.start - 1)
    was = rows.at(known, leapt, window.last_jump != 0)
    returns: Bool = could & (was == (steps % 2 == 1))
    return returns


def _put(column: NDArray[T], series: NDArray[np.int32], value: NDArray[T]) -> NDArray[T]:
    """A column of the window with some series changed."""
    changed = column.copy()
    changed[series] = value
    return changed
