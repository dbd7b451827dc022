"""How fast a series rises: a few readings remembered of each, and Theil-Sen over them.

Source: J. Am. Stat. Assoc. 63 (1968) 1379: the median of the slopes of all pairs tolerates 29 % of outliers; its
interval comes from the distribution of Kendall's S.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.groups import Groups
from sensors.window import NEVER

SLOTS = 24
"""Readings remembered of each series: 300 pairs, and every eight minutes of a span of three hours."""
POINTS = 5
"""Fewer give no slope: of four readings, one outlier spoils half of the pairs and with them the median."""
GAP_CADENCES = 3
"""A slope across a longer silence says nothing about the time in it."""
Z = 1.2815515655446004
"""Two-sided 80 % of the normal distribution."""
HOUR_US = 3_600_000_000
CHUNK = 2_000
"""Rows whose pairs are laid out at once: 5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trend:
    """The first usable reading in each of the newest SLOTS slots that had one, and the newest reading of all."""

    slot_time_us: Int64
    """(series, SLOTS) ascending; NEVER where there is none yet, and those come first."""
    slot_value: Float64
    """(series, SLOTS) NaN where there is none."""
    last_us: Int64
    """(series,) newest usable reading; NEVER before the first."""
    last_value: Float64
    """(series,) its value; NaN before the first."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            slot_time_us=np.full((series, SLOTS), NEVER, dtype=np.int64),
            slot_value=np.full((series, SLOTS), np.nan),
            last_us=np.full(series, NEVER, dtype=np.int64),
            last_value=np.full(series, np.nan),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """Answer of `slopes`, one element per series asked for; NaN where there is no slope."""

    rise_per_h: Float64
    """Unit of the quantity per hour."""
    low_per_h: Float64
    high_per_h: Float64
    """The 80 % interval."""
    last_us: Int64
    """Newest usable reading; NEVER before the first."""
    last_value: Float64


def slot_us(span_us: Int64, cadence_us: Int64) -> Int64:
    """Length of a slot: a reading each where they are rare, else a SLOTS-th of the span."""
    return np.maximum(cadence_us, -(-span_us // SLOTS))


def silence_us(slot_us: Int64, cadence_us: Int64) -> Int64:
    """Longest time between remembered readings without a silence: a slot more where slots hold several readings."""
    return GAP_CADENCES * cadence_us + np.where(slot_us > cadence_us, slot_us, 0)


def follow(
    batch: ReadingBatch,
    usable: Bool,
    trend: Trend,
    *,
    span_us: Int64,
    cadence_us: Int64,
    gate_per_h: Float64,
    wanted: Bool,
) -> tuple[Float64, Trend]:
    """Remember the usable readings, and say how fast the wanted series rise at each of them.

    Parameters
    ----------
    batch : n readings; usable ones of one series in ascending time
    usable : (n,) rows that count; none of them NaN
    trend : what was remembered of all series before this batch; not modified
    span_us : (series,) how far a slope looks back; 0 remembers nothing
    cadence_us : (series,) how often a reading is promised
    gate_per_h : (series,) where newest minus oldest over their time stays below this, that is the answer and Theil-Sen
        is spared; -inf spares nothing
    wanted : (series,) of which series a slope is asked for

    Returns
    -------
    rise_per_h : (n,) unit per hour over the span up to each row; NaN where not wanted, not usable, or where the
        remembered readings do not cover the span: fewer than POINTS, less than half of it, or a silence of more than
        GAP_CADENCES cadences among them, see `silence_us`
    trend : for the next batch; two batches one after the other give what both at once would
    """
    rise = np.full(len(batch), np.nan)
    at = np.flatnonzero(usable & (span_us[batch.series] > 0))
    if not len(at):
        return rise, trend
    rows = Groups.of(batch.series[at])
    at, series = at[rows.order], rows.series
    time, value = batch.time_us[at], batch.value[at]
    slot = rows.spread(slot_us(span_us, cadence_us))
    opens = time // slot > rows.before(time, trend.last_us) // slot
    last_us, last_value = trend.last_us.copy(), trend.last_value.copy()
    last_us[series], last_value[series] = time, value
    after = replace(trend, last_us=last_us, last_value=last_value)
    asked = np.flatnonzero(wanted[series])
    if not len(asked) and not opens.any():
        return rise, after
    history = _History.of(rows, time, value, opens, trend)
    of, slots_us = series[asked], slot_us(span_us, cadence_us)
    gap_us = silence_us(slots_us, cadence_us)[rows.series[rows.starts]]
    expected = np.clip(span_us // slots_us, 1, SLOTS).astype(np.intp)[of]
    rise[at[asked]] = _rise(history, asked, time[asked], value[asked], span_us[of], expected, gap_us, gate_per_h[of])
    slot_time_us, slot_value = history.after(trend)
    return rise, replace(after, slot_time_us=slot_time_us, slot_value=slot_value)


def slopes(trend: Trend, series: NDArray[np.integer], now_us: int, *, span_us: Int64) -> Slopes:
    """How fast some series rise now, with the interval of Sen.

    Parameters
    ----------
    series : (k,) indices
    now_us : readings of the span before this count
    span_us : (series,) see `follow`

    Returns
    -------
    slopes : NaN where fewer than POINTS readings count
    """
    last_us = trend.last_us[series]
    time = np.column_stack([trend.slot_time_us[series], last_us])
    value = np.column_stack([trend.slot_value[series], trend.last_value[series]])
    valid = time >= np.maximum(now_us - span_us[series], NEVER + 1)[:, None]
    valid[:, :-1] &= time[:, :-1] < last_us[:, None]  # the newest may have opened its slot: it counts once
    ordered, count = _pair_slopes(time, value, valid)
    points = valid.sum(axis=1)
    # Variance of Kendall's S, ties in value taken out.
    tied = ((value[:, :, None] == value[:, None, :]) & valid[:, :, None] & valid[:, None, :]).sum(axis=2)
    ties = np.where(valid, (tied - 1) * (2 * tied + 5), 0).sum(axis=1)
    reach = Z * np.sqrt((points * (points - 1) * (2 * points + 5) - ties) / 18)
    low = _ranked(ordered, np.floor((count - reach) / 2).astype(np.intp) - 1, count)
    high = _ranked(ordered, np.ceil((count + reach) / 2).astype(np.intp), count)
    enough = points >= POINTS
    return Slopes(
        rise_per_h=np.where(enough, _median(ordered, count), np.nan),
        low_per_h=np.where(enough, low, np.nan),
        high_per_h=np.where(enough, high, np.nan),
        last_us=last_us,
        last_value=trend.last_value[series],
    )


_LEFT, _RIGHT = np.triu_indices(SLOTS + 1, 1)
_STRIDES = [1 << bit for bit in reversed(range(SLOTS.bit_length()))]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _History:
    """Of each series in the batch what was remembered, and behind it what opens a slot now: one flat column, in which
    the SLOTS before any row lie together.
    """

    rows: Groups
    base: NDArray[np.intp]
    """(groups,) where the series begins in the columns."""
    opened: NDArray[np.intp]
    """(n,) how many slots its series opened in the batch before each row."""
    new: NDArray[np.intp]
    """(groups,) how many in all."""
    time: Int64
    value: Float64

    @classmethod
    def of(cls, rows: Groups, time: Int64, value: Float64, opens: Bool, trend: Trend) -> Self:
        """Lay the columns out."""
        ends, touched = rows.ends, rows.series[rows.starts]
        running: NDArray[np.intp] = np.cumsum(opens)
        earlier: NDArray[np.intp] = running[rows.starts] - opens[rows.starts]
        base = np.arange(len(touched)) * SLOTS + earlier
        opened: NDArray[np.intp] = running - opens - earlier[rows.group]
        held, fresh = base[:, None] + np.arange(SLOTS), (base[rows.group] + SLOTS + opened)[opens]
        size = len(touched) * SLOTS + int(running[-1])
        all_us, all_values = np.empty(size, dtype=np.int64), np.empty(size)
        all_us[held], all_values[held] = trend.slot_time_us[touched], trend.slot_value[touched]
        all_us[fresh], all_values[fresh] = time[opens], value[opens]
        return cls(rows=rows, base=base, opened=opened, new=running[ends] - earlier, time=all_us, value=all_values)

    def before(self, at: NDArray[np.intp]) -> NDArray[np.intp]:
        """(k,) where the SLOTS remembered just before some rows begin."""
        begin: NDArray[np.intp] = self.base[self.rows.group[at]] + self.opened[at]
        return begin

    def up_to(self, begin: NDArray[np.intp]) -> tuple[Int64, Float64]:
        """(k, SLOTS) times and values that begin at some positions."""
        columns = begin[:, None] + np.arange(SLOTS)
        return self.time[columns], self.value[columns]

    def since(self, begin: NDArray[np.intp], from_us: Int64) -> NDArray[np.intp]:
        """(k,) position of the first of the SLOTS at or after a time, begin + SLOTS where there is none."""
        end, last = begin + SLOTS, begin - 1
        for stride in _STRIDES:  # the times ascend: a search by halves, all rows at once
            next_ = last + stride
            last = np.where((next_ < end) & (self.time[np.minimum(next_, end - 1)] < from_us), next_, last)
        return last + 1

    def since_about(self, begin: NDArray[np.intp], from_us: Int64, expected: NDArray[np.intp]) -> NDArray[np.intp]:
        """`since`, quickly where as many of the SLOTS as expected (k,), at least one, are at or after the time."""
        found = begin + SLOTS - expected
        right = (self.time[found] >= from_us) & ((expected == SLOTS) | (self.time[found - 1] < from_us))
        other = np.flatnonzero(~right)
        found[other] = self.since(begin[other], from_us[other])
        return found

    def silent(self, gap_us: Int64) -> NDArray[np.intp]:
        """Position of the newest reading up to each that came after a silence of more than `gap_us` (groups,)."""
        position = np.arange(len(self.time))
        steps_us = np.diff(self.time, prepend=self.time[:1])
        behind = steps_us > np.repeat(gap_us, self.new + SLOTS)
        found: NDArray[np.intp] = np.maximum.accumulate(np.where(behind, position, -1))
        return found

    def after(self, trend: Trend) -> tuple[Int64, Float64]:
        """(series, SLOTS) times and values remembered after the batch."""
        some = self.new > 0
        if not some.any():
            return trend.slot_time_us, trend.slot_value
        time, value = trend.slot_time_us.copy(), trend.slot_value.copy()
        columns = (self.base + self.new)[some, None] + np.arange(SLOTS)
        touched = self.rows.series[self.rows.starts[some]]
        time[touched], value[touched] = self.time[columns], self.value[columns]
        return time, value


def _rise(
    history: _History,
    at: NDArray[np.intp],
    time: Int64,
    value: Float64,
    span_us: Int64,
    expected: NDArray[np.intp],
    gap_us: Int64,
    gate_per_h: Float64,
) -> Float64:
    """(k,) slope at some rows over what was remembered before each; NaN without coverage.

    Parameters
    ----------
    at, time, value : (k,) rows of the history
    span_us, gate_per_h : (k,)
    expected : (k,) readings that a span holds where none is missing, SLOTS at most
    gap_us : (groups,)
    """
    from_us, begin = time - span_us, history.before(at)
    oldest, last = history.since_about(begin, from_us, expected), begin + SLOTS - 1
    held = oldest <= last
    oldest = np.where(held, oldest, last)
    covered_us = time - history.time[oldest]
    whole = (time - history.time[last] <= gap_us[history.rows.group[at]]) & (history.silent(gap_us)[last] <= oldest)
    enough = held & (last - oldest + 2 >= POINTS) & (2 * covered_us >= span_us) & whole
    hours = np.where(enough, covered_us, HOUR_US) / HOUR_US
    rise = np.where(enough, (value - history.value[oldest]) / hours, np.nan)
    steep = np.flatnonzero(enough & (rise >= gate_per_h))
    for some in (steep[k : k + CHUNK] for k in range(0, len(steep), CHUNK)):
        before_us, before = history.up_to(begin[some])
        times, values = np.column_stack([before_us, time[some]]), np.column_stack([before, value[some]])
        rise[some] = _median(*_pair_slopes(times, values, times >= from_us[some, None]))
    return rise


def _pair_slopes(time: Int64, value: Float64, valid: Bool) -> tuple[Float64, NDArray[np.intp]]:
    """Slopes of all pairs of each row's valid readings, per hour, ascending with NaN behind them, and their number."""
    hours = np.where(valid, time - time[:, -1:], 0) / HOUR_US
    known = np.where(valid, value, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = (known[:, _RIGHT] - known[:, _LEFT]) / (hours[:, _RIGHT] - hours[:, _LEFT])
    pairs.sort(axis=1)
    points = valid.sum(axis=1)
    return pairs, points * (points - 1) // 2


def _median(ordered: Float64, count: NDArray[np.intp]) -> Float64:
    return (_ranked(ordered, (count - 1) // 2, count) + _ranked(ordered, count // 2, count)) / 2


def _ranked(ordered: Float64, rank: NDArray[np.intp], count: NDArray[np.intp]) -> Float64:
    """(k,) the slope at a rank from 0, the first or last where it lies outside."""
    held = np.clip(rank, 0, np.maximum(count - 1, 0))
    found: Float64 = np.take_along_axis(ordered, held[:, None], axis=1)[:, 0]
    return found
