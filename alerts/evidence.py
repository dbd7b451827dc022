"""Run every step rule over the columns: what holds, since which reading.

A ladder listens to one number at each reading of its series (`alerts.inputs`): the value, its slope, a sum; what it
does with it is the same. A step of a ladder is a latch: set by a number at or above `enter` held for its time, reset by
one below `leave` held for its time, and kept through everything unknown. Holds run on event time and only across
covered stretches: a gap stops the hold for entering and starts the one for leaving from zero (contract 5.1, 5.2). A
step can be left only after the one above it: down one at a time.

Where values arrive too rarely for a slope, the line from the reading before may end a rise, never begin one: below
`leave` at each reading of a dwell, the series has moved less than `leave` times the dwell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from alerts.inputs.listeners import Heard
from alerts.ladders import Ladders
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.clocks import FUTURE_US
from sensors.trend import HOUR_US
from sensors.window import NEVER

STEPS = 3
T = TypeVar("T", bound=np.generic)
LONG = 4
"""Readings of each series in a batch from which on it pays to look first which of them are worth a step."""
NOT_HELD = -1
"""Held time of a condition that does not hold by the newest reading."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LadderState:
    """What must be remembered of all ladders between batches."""

    last_us: Int64
    """(p,) event time of the newest reading a rule has listened to; NEVER before the first."""
    value_us: Int64
    """(p,) the same, whether or not the number the ladder listens to was known there."""
    value: Float64
    """(p,) the value of the series there; NaN before the first."""
    active: Bool
    """(3, p) whether the step is held true."""
    above_us: Int64
    """(3, p) covered time for which the value has been at or above enter; NOT_HELD when it is not."""
    below_us: Int64
    """(3, p) covered time for which a step that is held could have been left; NOT_HELD when it could not."""

    @classmethod
    def empty(cls, ladders: int) -> Self:
        """Nothing heard yet."""
        return cls(
            last_us=np.full(ladders, NEVER, dtype=np.int64),
            value_us=np.full(ladders, NEVER, dtype=np.int64),
            value=np.full(ladders, np.nan),
            active=np.zeros((STEPS, ladders), dtype=np.bool_),
            above_us=np.full((STEPS, ladders), NOT_HELD, dtype=np.int64),
            below_us=np.full((STEPS, ladders), NOT_HELD, dtype=np.int64),
        )

    def level(self) -> NDArray[np.int64]:
        """(p,) highest step held true, 0 for none."""
        level: NDArray[np.int64] = self.active.sum(axis=0)
        return level


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelChanges:
    """Where the level of a ladder changed, in the order of the rows: equal-length columns."""

    row: NDArray[np.intp]
    """(c,) row of the batch that decided."""
    ladder: NDArray[np.intp]
    value: Float64
    """(c,) what the ladder listened to there: the value, the slope per hour (or that of the line instead), ..."""
    from_level: NDArray[np.int64]
    to_level: NDArray[np.int64]
    told_row: NDArray[np.intp]
    """(m,) rows at which ladders that composite rules rest on heard what they know."""
    told_ladder: NDArray[np.intp]
    told_value: Float64

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def none(cls) -> Self:
        """No change."""
        return _NO_CHANGE  # type: ignore[return-value]

    def shifted(self, rows: int) -> Self:
        """The same changes in a batch that starts `rows` earlier."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**{**values, "row": self.row + rows, "told_row": self.told_row + rows})

    @classmethod
    def joined(cls, one: Self, two: Self) -> Self:
        """Changes of two halves, one after the other."""
        return cls(**{f.name: np.concatenate([getattr(one, f.name), getattr(two, f.name)]) for f in fields(cls)})


_ROWS, _NUMBERS = np.empty(0, dtype=np.intp), np.empty(0)
_NO_CHANGE = LevelChanges(
    row=_ROWS,
    ladder=_ROWS,
    value=_NUMBERS,
    from_level=_ROWS.astype(np.int64),
    to_level=_ROWS.astype(np.int64),
    told_row=_ROWS,
    told_ladder=_ROWS,
    told_value=_NUMBERS,
)


def weigh(
    batch: ReadingBatch,
    listened: Bool,
    rise_per_h: Float64,
    state: LadderState,
    ladders: Ladders,
    heard: Sequence[Heard] = (),
) -> tuple[LadderState, LevelChanges]:
    """Step every ladder through the readings its rules may listen to.

    Parameters
    ----------
    batch : n readings, those of one series in order of time
    listened : (n,) fresh and usable rows; the others move nothing
    rise_per_h : (n,) slope up to each row; where it is NaN, nothing is raised by the ladders that listen to it
    state : before the batch
    ladders : p ladders
    heard : what the ladders hear that listen to neither

    Returns
    -------
    state, changes : two batches one after the other give what both at once would
    """
    # Of a ladder at rest, of which nothing is held and which hears nothing to enter by, no more is to be known.
    awake = state.active.any(axis=0) | (state.above_us != NOT_HELD).any(axis=0)
    at = np.flatnonzero(listened)
    if len(at) > LONG * ladders.many:
        at = at[_worth_stepping(batch.series[at], batch.value[at], rise_per_h[at], awake, ladders)]
        heard = [one.some(_worth_hearing(one, awake, ladders)) for one in heard]
    rows, ladder = _expand(at, batch.series, ladders)
    there = ~np.isnan(batch.value[rows])
    if not there.all():
        rows, ladder = rows[there], ladder[there]
    value = np.where(ladders.rise[ladder], rise_per_h[rows], batch.value[rows])
    most = value
    if heard:
        rows = np.concatenate([rows, *(one.rows for one in heard)])
        ladder = np.concatenate([ladder, *(one.ladder for one in heard)])
        most = np.concatenate([value, *(one.most for one in heard)])
        value = np.concatenate([value, *(one.value for one in heard)])
    if not len(rows):
        return state, LevelChanges.none()
    enters, told = value >= ladders.lowest[ladder], ~np.isnan(most)
    if heard:
        told |= enters  # what has no bound above is known only where it raises
    after = replace(
        state,
        last_us=_newest(state.last_us, ladder[told], batch.time_us[rows[told]]),
        value_us=_newest(state.value_us, ladder, batch.time_us[rows]),
        value=_newest(state.value, ladder, batch.value[rows]),
    )
    changes = LevelChanges.none()
    awake[ladder[enters]] = True
    some = np.flatnonzero(awake[ladder])
    if len(some):
        some = some[np.argsort(ladder[some], kind="stable")]
        heights = _Heights(rows=rows[some], ladder=ladder[some], value=value[some], most=most[some], told=told[some])
        after, changes = _climb(batch, heights, state, after, ladders)
    if ladders.heard_by_others:
        kept = np.flatnonzero(told & ladders.member[ladder])
        kept = kept[np.argsort(rows[kept], kind="stable")]
        changes = replace(changes, told_row=rows[kept], told_ladder=ladder[kept], told_value=value[kept])
    return after, changes


def _worth_stepping(
    series: NDArray[np.int32], value: Float64, rise_per_h: Float64, awake: Bool, ladders: Ladders
) -> Bool:
    """(n,) readings without which the ladders by value and slope would stand elsewhere."""
    stirred = np.zeros(ladders.many, dtype=np.bool_)
    stirred[ladders.series[ladders.plain[(awake | ladders.member)[ladders.plain]]]] = True
    low, steep = ladders.lowest_of
    enters = (value >= low.take(series)) | (rise_per_h >= steep.take(series))
    return _worth(series, enters, ~np.isnan(rise_per_h), stirred)


def _worth_hearing(heard: Heard, awake: Bool, ladders: Ladders) -> Bool:
    """(m,) numbers of an input without which the ladders that listen to it would stand elsewhere."""
    enters = heard.value >= ladders.lowest.take(heard.ladder)
    return _worth(heard.ladder, enters, ~np.isnan(heard.most) | enters, awake | ladders.member)


def _worth(key: NDArray[np.integer], enters: Bool, told: Bool, stirred: Bool) -> Bool:
    """(n,) all rows of what is stirred, or enters by any of them; of the others the newest, and the newest told.

    Parameters
    ----------
    stirred : (keys,) changed
    """
    stirred[key[enters]] = True
    worth = stirred.take(key)
    newest = np.full(len(stirred), -1, dtype=np.intp)
    newest[key] = np.arange(len(key))
    worth[newest[newest >= 0]] = True
    at = np.flatnonzero(told)
    newest[key[at]] = at
    worth[newest[newest >= 0]] = True
    return worth


def _newest(column: NDArray[T], ladder: NDArray[np.intp], value: NDArray[T]) -> NDArray[T]:
    """A column of the state with the last of the values of each ladder."""
    changed = column.copy()
    changed[ladder] = value
    return changed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Heights:
    """What some ladders hear: rows of the batch, those of one ladder together and ascending in time."""

    rows: NDArray[np.intp]
    ladder: NDArray[np.intp]
    value: Float64
    most: Float64
    told: Bool
    """Whether anything is known there."""


def _climb(
    batch: ReadingBatch, heard: _Heights, state: LadderState, after: LadderState, ladders: Ladders
) -> tuple[LadderState, LevelChanges]:
    """Step some ladders through what they hear.

    Parameters
    ----------
    state, after : before the batch; and behind it, but for what is held
    """
    rows, ladder, value, most, told = heard.rows, heard.ladder, heard.value, heard.most, heard.told
    run = rising = _Run.of(batch.time_us[rows], ladder, state.value_us, ladders.cover_us)
    # Where the reading before had no slope, the hold of a rise goes on from the one that had, in whatever batch it was.
    if not told.all() or (state.last_us[ladder] != state.value_us[ladder]).any():
        rising = _Run.of(run.time_us[told], ladder[told], state.last_us, ladders.cover_us)
    if not told.all() and (unsloped := ~told & ladders.rise[ladder]).any():
        line = run.line_per_h(batch.value[rows], state.value)
        value, most = np.where(unsloped, line, value), np.where(unsloped, line, most)
        run = run.lined(unsloped & ~np.isnan(line), ladders.cover_us)

    active = np.zeros((STEPS + 1, len(rows)), dtype=np.bool_)
    above_us, below_us, held = state.above_us.copy(), state.below_us.copy(), state.active.copy()
    for step in reversed(range(STEPS)):
        above = told & (value >= ladders.enter[step, ladder])
        below = (most < ladders.leave[step, ladder]) & ~active[step + 1]
        up_us = np.full(len(rows), NOT_HELD, dtype=np.int64)
        up_us[told] = rising.held_us(above[told], state.above_us[step], through_gaps=True)
        down_us = run.held_us(below, state.below_us[step], through_gaps=False)
        raised = active[step + 1] | (above & (up_us >= ladders.up_for_us[step, ladder]))
        left = below & (down_us >= ladders.down_for_us[step, ladder])
        active[step] = run.latch(raised, left, state.active[step])
        above_us[step, rising.ladder[rising.ends]] = up_us[told][rising.ends]
        below_us[step, ladder[run.ends]] = down_us[run.ends]
    held[:, ladder[run.ends]] = active[:STEPS, run.ends]
    below_us[~held] = NOT_HELD
    after = replace(after, active=held, above_us=above_us, below_us=below_us)
    return after, _changes(active[:STEPS].sum(axis=0), run, rows, value, state)


def known(state: LadderState, now_us: int, ladders: Ladders) -> Bool:
    """(p,) whether the newest reading each ladder listened to is young enough to say anything at `now_us`."""
    return young(state.last_us, now_us, ladders)


def young(newest_us: Int64, now_us: int, ladders: Ladders) -> Bool:
    """(p,) whether readings are young enough to say anything at `now_us`.

    One that lies further ahead than a device clock may be wrong says that our own clock was put back: unknown.
    """
    heard = newest_us != NEVER
    age = now_us - np.where(heard, newest_us, now_us)
    young: Bool = heard & (age <= ladders.cover_us) & (age >= -FUTURE_US)
    return young


def _expand(
    rows: NDArray[np.intp], series: NDArray[np.int32], ladders: Ladders
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each row once for every ladder of its series by value and slope: positions in the batch, and ladders."""
    first = ladders.plain_first[series[rows]]
    many = ladders.plain_first[series[rows] + 1] - first
    repeated = np.repeat(np.arange(len(rows)), many)
    offset = np.arange(len(repeated)) - np.repeat(np.cumsum(many) - many, many)
    return rows[repeated], ladders.plain[first[repeated] + offset]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """Readings sorted by ladder, and how each follows the one before it."""

    time_us: Int64
    ladder: NDArray[np.intp]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    step_us: Int64
    """Time since the reading before; 0 where there is none."""
    covered_us: Int64
    """What is known of it; 0 across a gap."""
    gap: Bool
    """Whether nothing is known of the stretch before this reading."""

    @classmethod
    def of(cls, time_us: Int64, ladder: NDArray[np.intp], last_us: Int64, cover_us: Int64) -> Self:
        starts, ends = np.flatnonzero(np.diff(ladder, prepend=-1)), np.flatnonzero(np.diff(ladder, append=-1))
        before = np.roll(time_us, 1)
        before[starts] = last_us[ladder[starts]]
        step = time_us - np.where(before == NEVER, time_us, before)
        gap = (before == NEVER) | (step > cover_us[ladder])
        covered_us = np.where(gap, 0, step)
        return cls(
            time_us=time_us, ladder=ladder, starts=starts, ends=ends, step_us=step, covered_us=covered_us, gap=gap
        )

    def lined(self, rows: Bool, cover_us: Int64) -> Self:
        """The same where some rows are known by the line from the reading before: no gap, but no more covered than what
        one reading covers.
        """
        covered_us = np.where(rows, np.minimum(self.step_us, cover_us[self.ladder]), self.covered_us)
        return replace(self, covered_us=covered_us, gap=self.gap & ~rows)

    def line_per_h(self, value: Float64, carried: Float64) -> Float64:
        """Slope of the line from the reading before to each; NaN where there is none."""
        before = np.roll(value, 1)
        before[self.starts] = carried[self.ladder[self.starts]]
        line: Float64 = (value - before) / np.where(self.step_us > 0, self.step_us / HOUR_US, np.nan)
        return line

    def held_us(self, condition: Bool, carried_us: Int64, *, through_gaps: bool) -> Int64:
        """How long the condition has held, in covered time, at each reading; NOT_HELD where it does not.

        A gap adds nothing; with `through_gaps` the hold goes on behind it, else it starts again from zero.
        """
        carried = carried_us[self.ladder]
        first = np.zeros(len(condition), dtype=np.bool_)
        first[self.starts] = True
        held_before = np.roll(condition, 1)
        held_before[self.starts] = carried[self.starts] != NOT_HELD
        continues = condition & held_before & (through_gaps | ~self.gap)
        gained = np.cumsum(np.where(continues, self.covered_us, 0))
        # Every hold counts from an anchor: the reading at which it began, or what was carried into this batch.
        base = np.where(continues & first, gained - self.covered_us - carried, gained)
        anchor = np.maximum.accumulate(np.where(~continues | first, np.arange(len(condition)), 0))
        held: Int64 = np.where(condition, gained - base[anchor], NOT_HELD)
        return held

    def latch(self, raised: Bool, left: Bool, carried: Bool) -> Bool:
        """Newest of raised and left at each reading; what was carried where neither happened yet."""
        decided = raised | left
        decided[self.starts] = True
        value = np.where(raised, True, np.where(left, False, carried[self.ladder]))
        anchor = np.maximum.accumulate(np.where(decided, np.arange(len(decided)), 0))
        held: Bool = value[anchor]
        return held


def _changes(
    level: NDArray[np.int64], run: _Run, rows: NDArray[np.intp], value: Float64, state: LadderState
) -> LevelChanges:
    before = np.r_[0, level[:-1]]
    before[run.starts] = state.level()[run.ladder[run.starts]]
    at = np.flatnonzero(level != before)
    at = at[np.argsort(rows[at], kind="stable")]  # back into the order of rows; ladders of one row stay in theirs
    return replace(
        LevelChanges.none(),
        row=rows[at],
        ladder=run.ladder[at],
        value=value[at],
        from_level=before[at],
        to_level=level[at],
    )
