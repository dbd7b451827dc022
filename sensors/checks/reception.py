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
from sensors.flags import AT_RECEPTION, FAIL, GOOD, MISSING, SUSPECT, UNKNOWN, Check, Flags, roll_up
from sensors.flat import flat_line, still
from sensors.groups import Groups
from sensors.stations import Limits
from sensors.window import NEVER, Window

GAP_CADENCES = 1.5
"""A reading later than this many promised intervals follows a gap."""
IN_TIME = [Check.RATE_OF_CHANGE, Check.GAP, Check.SPIKE, Check.FLAT_LINE]
"""The checks that compare a reading with those before it."""
HOUR_US = 3_600_000_000
BANGKOK_US = 7 * HOUR_US
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flagged:
    """Answer of `flag`, aligned with the batch."""

    per_check: Flags
    """(AT_RECEPTION, n)"""
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

    Source: QARTOD Water Level manual v2.1, tests 1, 4 to 8 and 10.
    """
    n = len(batch)
    per_check = np.empty((AT_RECEPTION, n), dtype=np.uint8)
    per_check[Check.GROSS_RANGE] = gross_range(batch.value, batch.series, limits)
    _doubt_season(batch, per_check, limits)
    per_check[Check.CLOCK] = clock
    per_check[Check.CONFLICT] = np.where(conflict, SUSPECT, GOOD)
    believable = (per_check[Check.GROSS_RANGE] < FAIL) & (clock < SUSPECT) & ~conflict

    rows = Groups.of(batch.series)
    fresh = np.empty(n, dtype=np.bool_)
    fresh[rows.order] = newer(rows, batch.time_us[rows.order], believable[rows.order], window.last_us)
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
    flags[(value < limits.suspect_low.take(series)) | (value > limits.suspect_high.take(series))] = SUSPECT
    flags[(value < limits.fail_low.take(series)) | (value > limits.fail_high.take(series))] = FAIL
    flags[np.isnan(value)] = MISSING
    return flags


def _doubt_season(batch: ReadingBatch, per_check: Flags, limits: Limits) -> None:
    """Doubt what is good, and outside what the station shows in this month (QARTOD test 5: never fails)."""
    if not limits.season_low.size:
        return
    at = np.flatnonzero(limits.seasonal[batch.series])
    if not len(at):
        return
    series, value = batch.series[at], batch.value[at]
    month = month_of(batch.time_us[at])
    with np.errstate(invalid="ignore"):
        off = (value < limits.season_low[series, month]) | (value > limits.season_high[series, month])
    gross = per_check[Check.GROSS_RANGE]
    gross[at[off]] = np.maximum(gross[at[off]], SUSPECT)


def month_of(time_us: Int64) -> Int64:
    """(n,) month in Bangkok, 0 for January."""
    local = (time_us + BANGKOK_US).astype("datetime64[us]").astype("datetime64[M]")
    month: Int64 = local.astype(np.int64) % 12
    return month


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


def newer(rows: Groups, time: Int64, believable: Bool, last_us: Int64) -> Bool:
    """(n,) believable rows newer than all believable ones of their series before them."""
    carried = rows.spread(last_us)
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
    gap_us = rows.spread(GAP_CADENCES * limits.cadence_us)
    step_us = np.where(before_us == NEVER, 0, time - before_us)
    near = (before_us != NEVER) & (step_us <= gap_us)
    per_check[Check.GAP, at] = np.where(near, GOOD, UNKNOWN)

    rise, spike = rows.spread(limits.rise_suspect_per_h), rows.spread(limits.spike)
    fast, large = leaps(value - before, step_us, rise, spike)
    jump = np.zeros(len(at), dtype=np.int8)
    rate = np.where(near | rows.spread(np.isnan(limits.rise_suspect_per_h)), GOOD, UNKNOWN)
    lone = np.where(near | rows.spread(np.isnan(limits.spike)), GOOD, UNKNOWN)
    if (leapt := fast | large).any():
        earlier_us, earlier = rows.before(before_us, window.earlier_us), rows.before(before, window.earlier_value)
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
    still_us = still(rows, value, before, counted_us, rows.spread(limits.flat_eps), window.still_us)
    flat = flat_line(still_us.max(axis=1), limits, rows)
    calm_us = _calm(rows, value, before, counted_us, flat, window, limits)
    per_check[Check.FLAT_LINE, at] = flat

    ends = rows.ends
    last = series[ends]
    return Window(
        last_us=put(window.last_us, last, time[ends]),
        last_value=put(window.last_value, last, value[ends]),
        last_jump=put(window.last_jump, last, jump[ends]),
        earlier_us=put(window.earlier_us, last, before_us[ends]),
        earlier_value=put(window.earlier_value, last, before[ends]),
        still_us=put(window.still_us, last, still_us[ends]),
        calm_us=calm_us,
    )


def _calm(
    rows: Groups, value: Float64, before: Float64, counted_us: Int64, flat: Flags, window: Window, limits: Limits
) -> Int64:
    """Doubt in `flat` what has moved too little for too long (QARTOD test 10), or repeats an amount; how long each
    series has, for the window.

    It is the flat line once more, with a wider band and a longer time: few series have it. An amount of nothing lies in
    no band.
    """
    at = np.flatnonzero(rows.spread(limits.calm_us > 0))
    if not len(at):
        return window.calm_us
    some = Groups.adjacent(rows.series[at])
    eps = limits.calm_range[some.series]
    now, then = (np.where((eps == 0) & (column[at] == 0), np.nan, column[at]) for column in (value, before))
    lasted_us = still(some, now, then, counted_us[at], eps, window.calm_us)
    calm = lasted_us.max(axis=1) >= limits.calm_us[some.series]
    flat[at[calm]] = np.maximum(flat[at[calm]], SUSPECT)
    return put(window.calm_us, some.series[some.ends], lasted_us[some.ends])


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


def put(column: NDArray[T], series: NDArray[np.int32], value: NDArray[T]) -> NDArray[T]:
    """A column of the window with some series changed."""
    changed = column.copy()
    changed[series] = value
    return changed
