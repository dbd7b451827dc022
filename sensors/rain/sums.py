"""How much rain fell in the window up to each reading: causal, in whole numbers, the same however a stream is cut.

An amount fell between its reading and the one before. A window counts it as far as the two lie in it, evenly; what
came with a reading after a silence counts only in windows that hold the whole silence, for nobody knows when in it the
rain fell. So a sum never exceeds the readings whose times lie in the window.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.groups import Groups
from sensors.held import Entries, Held
from sensors.window import NEVER

SLOTS = 96
"""A window is remembered in so many slots: a 96th of what it holds is forgotten early at most, never late."""
COMPLETE = 0.75
"""Share of a window that must be covered before a sum may be called low."""
SILENCE_CADENCES = 3
"""After a longer time between two readings it is not known when their rain fell."""
NM_PER_MM = 1_000_000
"""Amounts are added in whole nanometres: a sum does not depend on the order."""

_BEGIN, _END, _BEFORE, _AFTER, _COVERED = range(5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RainState:
    """The first usable reading of each of the newest slots, and what was counted up to the newest reading."""

    slots: Held
    """(series, 5, SLOTS + 1) begin and end of the reading, us; all rain before and after it, nm; all time covered up to
    its end, us."""
    last_us: Int64
    """(series,) newest usable reading; NEVER before the first."""
    fell_nm: Int64
    """(series,) all rain counted so far."""
    covered_us: Int64
    """(series,) all time that was covered so far."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            slots=Held.empty(5, series, SLOTS + 1),
            last_us=np.full(series, NEVER, dtype=np.int64),
            fell_nm=np.zeros(series, dtype=np.int64),
            covered_us=np.zeros(series, dtype=np.int64),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """Answer of `follow`, one element per reading."""

    fell_mm: Float64
    """What is known to have fallen: a sum above a threshold is true, however little of the window was covered. NaN
    where the reading is not usable or its series has no window."""
    covered: Float64
    """Share of the window the readings speak for, 0 to 1; each speaks for one cadence at most."""

    def complete_mm(self, share: float = COMPLETE) -> Float64:
        """The sums; NaN where less than `share` of the window is covered."""
        return np.where(self.covered >= share, self.fell_mm, np.nan)


def follow(
    batch: ReadingBatch, usable: Bool, state: RainState, *, window_us: Int64, cadence_us: Int64
) -> tuple[Sums, RainState]:
    """Sum up the rain of the window that ends with each usable reading.

    Parameters
    ----------
    batch : n readings, mm since the reading before; usable ones of one series in ascending time
    usable : (n,) rows that count; none of them NaN
    state : what was remembered of all series before this batch; not modified
    window_us : (series,) 0 where nothing is asked, and nothing is remembered of it
    cadence_us : (series,) how often a reading is promised; the first of a series speaks for that long

    Returns
    -------
    sums : of each row
    state : for the next batch; two batches one after the other give what both at once would
    """
    fell_mm, covered = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
    at = np.flatnonzero(usable & (window_us[batch.series] > 0))
    if not len(at):
        return Sums(fell_mm=fell_mm, covered=covered), state
    rows = Groups.of(batch.series[at])
    at, series = at[rows.order], rows.series
    end, cadence, window = batch.time_us[at], cadence_us[series], window_us[series]
    before = rows.before(end, state.last_us)
    begin = np.where(before == NEVER, end - cadence, before)
    amount = np.rint(batch.value[at] * NM_PER_MM).astype(np.int64)
    after = _running(rows, amount, state.fell_nm)
    spoken = _running(rows, np.minimum(end - begin, cadence), state.covered_us)
    slot = -(-window // SLOTS)
    opens = (before == NEVER) | (end // slot > before // slot)
    fresh = np.stack([column[opens] for column in (begin, end, after - amount, after, spoken)])
    entries = Entries.of(rows, state.slots, opens, fresh)
    edge, row = end - window, np.arange(len(at))
    number = entries.first_above(_END, edge)
    oldest = np.stack([entries.take(field, row, number) for field in range(len(fresh))])
    fell_mm[at], covered[at] = _above(oldest, edge, after, spoken, cadence, window)
    last_us, fell_nm, covered_us = state.last_us.copy(), state.fell_nm.copy(), state.covered_us.copy()
    touched, ends = series[rows.ends], rows.ends
    last_us[touched], fell_nm[touched], covered_us[touched] = end[ends], after[ends], spoken[ends]
    later = RainState(slots=entries.after(), last_us=last_us, fell_nm=fell_nm, covered_us=covered_us)
    return Sums(fell_mm=fell_mm, covered=covered), later


def of_history(
    time_us: Int64, value_mm: Float64, usable: Bool, now_us: int, *, window_us: Int64, cadence_us: int
) -> Sums:
    """Sums of windows that end now, of one series: as `follow` has them, but to the reading and not to the slot.

    Parameters
    ----------
    time_us : (n,) rising, none after now
    value_mm : (n,) since the reading before
    usable : (n,) rows that count; none of them NaN
    window_us : (windows,)
    cadence_us : how often a reading is promised

    Returns
    -------
    sums : (windows,) 0 mm and 0 covered where nothing was heard; the time since the newest reading is not covered
    """
    end, amount = time_us[usable], np.rint(value_mm[usable] * NM_PER_MM).astype(np.int64)
    if not len(end):
        return Sums(fell_mm=np.zeros(len(window_us)), covered=np.zeros(len(window_us)))
    begin = np.concatenate([end[:1] - cadence_us, end[:-1]])
    after, spoken = np.cumsum(amount), np.cumsum(np.minimum(end - begin, cadence_us))
    entries, edge = np.stack([begin, end, after - amount, after, spoken]), now_us - window_us
    oldest = np.searchsorted(end, edge, side="right")
    heard = oldest < len(end)
    cadence = np.full(len(window_us), cadence_us)
    fell_mm, covered = _above(
        entries[:, np.where(heard, oldest, -1)], edge, after[-1:], spoken[-1:], cadence, window_us
    )
    return Sums(fell_mm=np.where(heard, fell_mm, 0.0), covered=np.where(heard, covered, 0.0))


def _above(
    oldest: Int64, edge: Int64, after: Int64, spoken: Int64, cadence: Int64, window: Int64
) -> tuple[Float64, Float64]:
    """(n,) mm and share covered since an edge, which lies in the `oldest` reading (5, n) or before it."""
    length, amount = oldest[_END] - oldest[_BEGIN], oldest[_AFTER] - oldest[_BEFORE]
    inside_us = np.minimum(oldest[_END] - edge, length)
    inside = inside_us / np.maximum(length, 1)
    counts = np.where(length > SILENCE_CADENCES * cadence, np.floor(inside), inside)
    fell_nm = after - oldest[_AFTER] + np.floor(amount * counts)
    speaks_us = np.where(counts > 0, np.minimum(inside_us, cadence), 0)
    share = (spoken - oldest[_COVERED] + speaks_us) / window
    return fell_nm / NM_PER_MM, np.minimum(share, 1.0)


def _running(rows: Groups, amount: Int64, remembered: Int64) -> Int64:
    """(n,) running sum of each series, on top of what is remembered of it."""
    total = np.cumsum(amount)
    start = rows.starts
    return total + (remembered[rows.series[start]] - total[start] + amount[start])[rows.group]
