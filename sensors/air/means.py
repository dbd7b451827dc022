"""Means over clock hours, and over several of them: causal, in whole numbers, the same however a stream is cut."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.groups import Groups
from sensors.held import Entries, Held
from sensors.window import NEVER

HOURS = 24
"""Closed hours that are remembered."""
HOUR_US = 3_600_000_000
COMPLETE = 0.75
"""Share of an hour, and of the hours of a mean, that must be known: 45 minutes, 18 of 24 hours, 6 of 8 (US EPA, 40 CFR
50 appendix N; none was found for Thailand)."""
PER_UNIT = 1_000_000
"""Values are added in whole millionths: a sum does not depend on the order."""

_HOUR, _SUM, _COUNT, _COVERED = range(4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HoursState:
    """The newest hours of each series that had a usable reading."""

    closed: Held
    """(series, 4, HOURS) number of the hour since 1970, sum, count, time covered, us."""
    open: Int64
    """(series, 4) the same of the hour of the newest reading; NEVER before the first."""
    last_us: Int64
    """(series,) newest usable reading; NEVER before the first."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            closed=Held.empty(4, series, HOURS),
            open=np.full((series, 4), NEVER, dtype=np.int64),
            last_us=np.full(series, NEVER, dtype=np.int64),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hours:
    """The closed clock hours before each reading; many readings share them."""

    mean: Float64
    """(k, HOURS) mean of each hour, the one before the reading's own first; NaN where it is not complete."""
    row: Int64
    """(n,) which of the k each reading has; -1 where it is not usable or not wanted."""

    def spread(self, answer: Float64) -> Float64:
        """(n,) of an answer for each of the k: that of each reading, NaN where it has none."""
        return np.append(answer, np.nan)[self.row]


def follow(
    batch: ReadingBatch, usable: Bool, state: HoursState, *, wanted: Bool, cadence_us: Int64
) -> tuple[Hours, HoursState]:
    """Give each usable reading the clock hours that were closed before it.

    Parameters
    ----------
    batch : n readings; usable ones of one series in ascending time
    usable : (n,) rows that count; none of them NaN
    state : what was remembered of all series before this batch; not modified
    wanted : (series,) nothing is remembered of the others
    cadence_us : (series,) how often a reading is promised: each speaks for the time since the one before, for one
        cadence at most, and for an hour where they are rarer

    Returns
    -------
    hours : of each row
    state : for the next batch; two batches one after the other give what both at once would
    """
    row = np.full(len(batch), -1, dtype=np.int64)
    at = np.flatnonzero(usable & wanted[batch.series])
    if not len(at):
        return Hours(mean=np.empty((0, HOURS)), row=row), state
    rows = Groups.of(batch.series[at])
    at, series = at[rows.order], rows.series
    time, cadence = batch.time_us[at], np.minimum(cadence_us[series], HOUR_US)
    before_us = rows.before(time, state.last_us)
    since_us = np.where(before_us == NEVER, cadence, time - np.where(before_us == NEVER, time, before_us))
    hour = time // HOUR_US
    earlier = rows.before(hour, state.open[:, _HOUR])
    closes = (hour > earlier) & (earlier != NEVER)
    first = np.zeros(len(at), dtype=np.bool_)
    first[rows.starts] = True
    goes_on = hour[rows.starts] == state.open[series[rows.starts], _HOUR]

    def running(column: Int64, field: int) -> tuple[Int64, Int64]:
        """(n,) total of the reading's hour up to it; and before it, of the hour of the reading before."""
        starts = np.flatnonzero(first | (hour > earlier))
        total = np.cumsum(column)
        offset = column[starts] - total[starts]
        offset[first[starts]] += np.where(goes_on, state.open[series[rows.starts], field], 0)
        upto = total + np.repeat(offset, np.diff(np.append(starts, len(column))))
        return upto, rows.before(upto, state.open[:, field])

    value = np.rint(batch.value[at] * PER_UNIT).astype(np.int64)
    sums, sum_before = running(value, _SUM)
    counts, count_before = running(np.ones(len(at), dtype=np.int64), _COUNT)
    covered, covered_before = running(np.minimum(since_us, cadence), _COVERED)
    done = np.stack([column[closes] for column in (earlier, sum_before, count_before, covered_before)])
    entries = Entries.of(rows, state.closed, closes, done)
    changes = np.flatnonzero(first | closes)
    row[at] = np.cumsum(first | closes) - 1
    number = entries.end[changes, None] - 1 - np.arange(HOURS)
    of_row = np.broadcast_to(changes[:, None], number.shape)
    held = np.stack([entries.take(field, of_row, np.maximum(number, 0)) for field in range(len(done))])
    held[_HOUR, number < 0] = NEVER
    last_us, opened = state.last_us.copy(), state.open.copy()
    touched, ends = series[rows.ends], rows.ends
    last_us[touched] = time[ends]
    opened[touched] = np.column_stack([column[ends] for column in (hour, sums, counts, covered)])
    later = HoursState(closed=entries.after(), open=opened, last_us=last_us)
    return Hours(mean=_by_age(held, hour[changes]), row=row), later


def before_now(state: HoursState, series: NDArray[np.integer], now_us: int) -> Float64:
    """(k, HOURS) means of the clock hours closed before now of some series, the newest first; NaN where not complete.

    Parameters
    ----------
    series : (k,) indices
    now_us : not before the newest readings
    """
    held = np.moveaxis(np.concatenate([state.closed.fields[series], state.open[series, :, None]], axis=2), 1, 0)
    held[_HOUR, :, :HOURS][np.arange(HOURS) >= state.closed.count[series, None]] = NEVER
    return _by_age(held, np.full(len(series), now_us // HOUR_US))


def _by_age(held: Int64, hour: Int64) -> Float64:
    """(k, HOURS) means by age from held hours (4, k, any) and the hour that is open (k,)."""
    known = held[_HOUR] > (hour - HOURS - 1)[:, None]
    known &= (held[_HOUR] < hour[:, None]) & (held[_COVERED] >= COMPLETE * HOUR_US)
    row, entry = np.nonzero(known)
    found = held[:, row, entry]
    mean = np.full((len(hour), HOURS), np.nan)
    mean[row, hour[row] - 1 - found[_HOUR]] = found[_SUM] / found[_COUNT] / PER_UNIT
    return mean


def mean_of(hours: Float64, many: int) -> Float64:
    """Mean of the newest hours.

    Parameters
    ----------
    hours : (k, at least `many`) the newest first, NaN where one is not known
    many : 24 for dust, 8 for ozone and carbon monoxide

    Returns
    -------
    mean : (k,) NaN where less than COMPLETE of them are known
    """
    newest = hours[:, :many]
    known = np.isfinite(newest)
    count = known.sum(axis=1)
    total = np.where(known, newest, 0.0).sum(axis=1)
    return np.where(count >= COMPLETE * many, total / np.maximum(count, 1), np.nan)
