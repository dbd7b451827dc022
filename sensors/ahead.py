"""How high a rise is going to stand: one number per reading, made from nothing but the readings before it.

A river that rises goes on rising for a while, and for longer the less its rise has slowed down: the speed now, times
the horizon, times the share that is left of the fastest speed of late. A river that never rose fast goes on for longer:
its horizon is a share of the time in which its fastest rise ever seen would have brought it where it stands. No rise
goes on by more than a fraction (`reach`) of how far the stage already stands over the lowest it was ever seen at: a
fast start far below a threshold says little. What the tide has lifted twice a day it lifts again, and hardly more
(`sensors.tide`). And one reading alone says nothing where the next one comes soon. What the last span brought may come
once more in any case: a flash flood leaves no time to be sure.

The numbers were set on recorded floods; docs/skill.md says on which, and how much hangs on them.
"""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.groups import Groups
from sensors.rings import Rings
from sensors.tide import DAY_SLOTS, lift
from sensors.trend import HOUR_US
from sensors.window import NEVER

SPAN_US = HOUR_US * 3 // 4
"""How far the speed looks back."""
SPAN_CADENCES = 1.5
"""But as far as the reading before, however rarely they come."""
SLOTS = 8
"""Readings remembered of the span: the first of each slot of it."""
MEMORY_US = 4 * HOUR_US
"""The fastest speed of late is forgotten by e in so long."""
SLOW_SHARE = 0.4
"""A slow river is thought on for this part of the time that its rise would have taken."""
SLOW_US = 12 * HOUR_US
"""But no further than this."""
CONFIRM_US = HOUR_US // 3
"""A reading is believed no more than the one before it, where that is no older than this."""
PARTS = 1_000_000
"""Values and logarithms are remembered in whole millionths: what is made of them does not depend on the cutting."""
SLOWEST_PER_H = 1e-6
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AheadState:
    """What is remembered of each series: times in microseconds, values in millionths; NEVER where there is none yet."""

    near: Int64
    """(series, SLOTS, 2) time and value of the newest readings, one a slot."""
    day: Int64
    """(series, DAY_SLOTS, 2) the same, one an hour."""
    last: Int64
    """(series, 2) the newest reading."""
    pace: Int64
    """(series,) logarithm of the fastest speed of late, with one added in each MEMORY_US, so that older ones sink."""
    speed: Int64
    """(series,) speed at the newest reading, per hour."""
    top: Int64
    """(series,) the fastest that two readings, one after the other, ever said."""
    depth: Int64
    """(series,) the lowest that two readings, one after the other, ever stood at, with its sign turned."""
    alone: Float64
    """(series,) what the newest reading alone says, unit of the series."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            near=np.full((series, SLOTS, 2), NEVER, dtype=np.int64),
            day=np.full((series, DAY_SLOTS, 2), NEVER, dtype=np.int64),
            last=np.full((series, 2), NEVER, dtype=np.int64),
            pace=np.full(series, NEVER, dtype=np.int64),
            speed=np.full(series, NEVER, dtype=np.int64),
            top=np.full(series, NEVER, dtype=np.int64),
            depth=np.full(series, NEVER, dtype=np.int64),
            alone=np.full(series, np.nan),
        )


def follow(
    batch: ReadingBatch,
    usable: Bool,
    state: AheadState,
    *,
    horizon_us: Int64,
    reach: Float64,
    cadence_us: Int64,
    rest: Float64,
) -> tuple[Float64, AheadState]:
    """Say at each reading how high the rise it belongs to is going to stand within the horizon.

    Parameters
    ----------
    batch : n readings; usable ones of one series in ascending time
    usable : (n,) rows that count; none of them NaN
    state : not modified
    horizon_us : (series,) how far ahead a rise is thought on
    reach : (series,) part of its height over the lowest by which a rise may go on
    cadence_us : (series,) how often a reading is promised
    rest : (series,) nobody cares for numbers below this: what could not reach it is not thought on

    Returns
    -------
    ahead : (n,) unit of the series; NaN where no speed is known: at the first readings, and at those behind a silence
    state : two batches one after the other give what both at once would
    """
    ahead = np.full(len(batch), np.nan)
    at = np.flatnonzero(usable)
    if not len(at):
        return ahead, state
    rows = Groups.of(batch.series[at])
    at, series, ends = at[rows.order], rows.series, rows.ends
    reading = np.column_stack([batch.time_us[at], np.rint(batch.value[at] * PARTS).astype(np.int64)])
    time_us, parts = reading[:, 0], reading[:, 1]
    before_us, before = rows.before(time_us, state.last[:, 0]), rows.before(parts, state.last[:, 1])
    first = before_us == NEVER

    span_us = np.maximum(SPAN_US, np.rint(SPAN_CADENCES * cadence_us).astype(np.int64))[series]
    slot_us = np.maximum(cadence_us[series], -(-span_us // (SLOTS - 1)))
    opens = first | (time_us // slot_us != before_us // slot_us)
    near = Rings.of(rows, state.near, opens, reading[opens])
    speed = _speed(near, time_us, parts, span_us)
    clocked = np.where(np.isnan(speed), NEVER, _whole(np.nan_to_num(speed) * PARTS))
    top = running_max(rows, np.minimum(clocked, rows.before(clocked, state.speed)), state.top)
    pace = _whole((np.log(np.fmax(speed, SLOWEST_PER_H)) + time_us / MEMORY_US) * PARTS)
    fastest = running_max(rows, pace, state.pace)
    depth = running_max(rows, np.where(first, NEVER, np.minimum(-parts, -before)), state.depth)

    value, rising = parts / PARTS, np.maximum(speed, 0.0)  # NaN stays NaN
    reached = reach[series] * np.where(depth == NEVER, 0.0, np.maximum(parts + depth, 0) / PARTS)
    most = np.maximum(rising * (SPAN_US / HOUR_US), reached)
    high = np.flatnonzero(value + most >= rest[series])
    gain = np.where(np.isnan(speed), np.nan, 0.0)
    hours = np.maximum(horizon_us[series[high]] / HOUR_US, _slow_h(reached[high] / reach[series[high]], top[high]))
    lasting = rising[high] * np.exp((pace[high] - fastest[high]) / PARTS)
    brought = lasting * np.minimum(hours, SPAN_US / HOUR_US)  # by the last span, and so perhaps by the next
    gain[high] = np.maximum(brought, np.minimum(lasting * hours, reached[high]))

    strikes = first | (time_us // HOUR_US != before_us // HOUR_US)
    day, gain[high] = _tides(rows, reading, strikes, state.day, high, gain[high], hours)
    alone = value + gain
    soon = ~first & (time_us - np.where(first, time_us, before_us) <= CONFIRM_US)
    ahead[at] = np.where(soon, np.minimum(alone, rows.before(alone, state.alone)), alone)

    touched = series[ends]
    return ahead, AheadState(
        near=near.after(state.near),
        day=day,
        last=_put(state.last, touched, reading[ends]),
        pace=_put(state.pace, touched, fastest[ends]),
        speed=_put(state.speed, touched, clocked[ends]),
        top=_put(state.top, touched, top[ends]),
        depth=_put(state.depth, touched, depth[ends]),
        alone=_put(state.alone, touched, alone[ends]),
    )


def running_max(rows: Groups, column: Int64, carried: Int64) -> Int64:
    """Highest of a column up to each row of its group, and of what was carried into it; NEVER counts as nothing.

    Parameters
    ----------
    column : (n,) in the order of the groups
    carried : (series,)
    """
    highest = column.copy()
    highest[rows.starts] = np.maximum(column[rows.starts], carried[rows.series[rows.starts]])
    some = highest != NEVER
    if not some.any():
        return highest
    floor = highest[some].min() - 1
    lifted = np.where(some, highest, floor) - floor
    lift_by = rows.group * (lifted.max() + 1)  # a running maximum that may not cross groups: each stands over the last
    running = np.maximum.accumulate(lifted + lift_by) - lift_by
    return np.where(running > 0, running + floor, NEVER)


def _speed(near: Rings, time_us: Int64, parts: Int64, span_us: Int64) -> Float64:
    """(n,) rise per hour since the oldest reading of the span; NaN where that is not half a span old."""
    oldest = near.entries[near.since(0, time_us - span_us - 1)]
    past_us = time_us - oldest[:, 0]
    known = 2 * past_us >= span_us
    speed: Float64 = np.where(
        known, (parts - oldest[:, 1]) / PARTS / (np.where(known, past_us, HOUR_US) / HOUR_US), np.nan
    )
    return speed


def _slow_h(over: Float64, top: Int64) -> Float64:
    """(n,) horizon of a river that has come so far at this speed at most; 0 where none is known."""
    known = top > 0
    hours = SLOW_SHARE * over * PARTS / np.where(known, top, 1)
    return np.where(known, np.minimum(hours, SLOW_US / HOUR_US), 0.0)


def _tides(
    rows: Groups,
    reading: Int64,
    strikes: Bool,
    held: Int64,
    high: NDArray[np.intp],
    gain: Float64,
    hours: Float64,
) -> tuple[Int64, Float64]:
    """The day behind the batch, and (high,) gains that are no more than what the tides allow.

    Parameters
    ----------
    strikes : (n,) rows that are the first of an hour
    held : (series, DAY_SLOTS, 2) the day before the batch
    """
    if not len(high) and not strikes.any():
        return held, gain
    asked = np.zeros(len(rows.starts), dtype=np.bool_)
    asked[rows.group[high]] = asked[rows.group[strikes]] = True
    some = np.flatnonzero(asked[rows.group])  # of the others nothing is to be remembered or to be known
    day = Rings.of(Groups.adjacent(rows.series[some]), held, strikes[some], reading[some[strikes[some]]])
    if len(high):
        begin = day.first[np.searchsorted(some, high)]
        past = day.entries[begin[:, None] + np.arange(DAY_SLOTS)]
        gain = np.minimum(gain, lift(past, reading[high, 0], hours * HOUR_US) / PARTS)
    return day.after(held) if strikes.any() else held, gain


def _whole(number: Float64) -> Int64:
    return np.rint(number).astype(np.int64)


def _put(column: NDArray[T], series: NDArray[np.int32], value: NDArray[T]) -> NDArray[T]:
    changed = column.copy()
    changed[series] = value
    return changed
