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
    slot = slot_us(span_us[series], cadence_us[series])
    opens = time // slot > rows.before(time, trend.last_us) // slot
    last_us, last_value = trend.last_us.copy(), trend.last_value.copy()
    last_us[series], last_value[series] = time, value
    after = replace(trend, last_us=last_us, last_value=last_value)
    asked = np.flatnonzero(wanted[series])
    if not len(asked) and not opens.any():
        return rise, after
    history = _History.of(rows, time, value, opens, trend)
    for some in (asked[k : k + CHUNK] for k in range(0, len(asked), CHUNK)):
        of = series[some]
        before_us, before = history.up_to(some)
        rise[at[some]] = _rise(
            np.column_stack([before_us, time[some]]),
            np.column_stack([before, value[some]]),
            span_us[of],
            silence_us(slot[some], cadence_us[of]),
            gate_per_h[of],
        )
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

    def up_to(self, at: NDArray[np.intp]) -> tuple[Int64, Float64]:
        """(k, SLOTS) times and values remembered just before some rows."""
        columns = (self.base[self.rows.group[at]] + self.opened[at])[:, None] + np.arange(SLOTS)
        return self.time[columns], self.value[columns]

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


def _rise(time: Int64, value: Float64, span_us: Int64, gap_us: Int64, gate_per_h: Float64) -> Float64:
    """(k,) slope at the last of the (k, points) readings of each row, ascending; NaN without coverage."""
    newest = time[:, -1]
    valid = time >= (newest - span_us)[:, None]
    oldest = np.argmax(valid, axis=1)
    rows = np.arange(len(time))
    covered_us = newest - time[rows, oldest]
    gaps = np.where(valid[:, :-1], time[:, 1:] - time[:, :-1], 0).max(axis=1)
    enough = (time.shape[1] - oldest >= POINTS) & (2 * covered_us >= span_us) & (gaps <= gap_us)
    hours = np.where(enough, covered_us, HOUR_US) / HOUR_US
    rise = np.where(enough, (value[:, -1] - value[rows, oldest]) / hours, np.nan)
    steep = enough & (rise >= gate_per_h)
    if steep.any():
        rise[steep] = _median(*_pair_slopes(time[steep], value[steep], valid[steep]))
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
