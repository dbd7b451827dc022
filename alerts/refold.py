"""Looking again: what a reading that arrived out of order, or contradicts another one, makes of the newest levels.

Pure. The pending readings of its series are folded anew from the settled state, with it; see `alerts.tracks`.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from alerts.columns import Rows, Told
from alerts.evidence import LadderState
from alerts.judgement import Judged, JudgeState
from sensors.batch import Bool, Int64
from sensors.flags import Flag
from sensors.trend import Trend
from sensors.window import NEVER, Window

Fold = Callable[[Rows, Bool, JudgeState], Judged]
"""Takes rows, which of them contradict a stored one, and the state before them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refolded:
    """Answer of `refold`."""

    live: JudgeState
    pending: Rows
    told: Told
    judged: Judged
    """Aligned with the readings that came; its `state` and `changes` mean nothing."""


def refold(
    came: Rows,
    conflict: Bool,
    watermark_us: Int64,
    *,
    live: JudgeState,
    settled: JudgeState,
    pending: Rows,
    owner: NDArray[np.int32],
    fold: Fold,
) -> Refolded:
    """Take in at most one reading of each series.

    Parameters
    ----------
    came : readings that are older than the newest of their series but not final, or contradict a stored one
    conflict : which of them contradict: the pending reading they contradict is taken out, and neither counts
    watermark_us : what lies not behind it, by series of each of them, is final and stays
    live, settled : the state after all pending readings, and before them
    owner : (p,) series of each ladder
    """
    here = fold(came, conflict, live)
    device_us, final_us, since_us = (np.full(len(live.window.last_us), NEVER, dtype=np.int64) for _ in range(3))
    device_us[came.series[conflict]], final_us[came.series] = came.device_us[conflict], watermark_us
    refuted = (device_us[pending.series] == pending.device_us) & (pending.time_us > final_us[pending.series])
    since_us[came.series[~conflict]] = came.time_us[~conflict]
    since_us[pending.series[refuted]] = pending.time_us[refuted]
    moved = since_us != NEVER
    if not moved.any():
        return Refolded(live=live, pending=pending, told=Told.none(), judged=here)

    gone, old = pending[refuted], _in_time(pending[moved[pending.series]])
    pending = Rows.joined([pending[~refuted], came[~conflict]])
    new = _in_time(pending[moved[pending.series]])
    after = fold(new, np.zeros(len(new), dtype=np.bool_), settled)
    ends = grafted(live, after.state, series=moved, ladders=moved[owner])
    judged = _reflagged(here, came, ~conflict, new, after)

    def before() -> Told:
        was = fold(old, np.zeros(len(old), dtype=np.bool_), settled)
        return Told.of(old, was.changes, was.flag)

    # Nothing before the reading that came or went has changed; what lies there may be settled already, or not.
    changes = Told.of(new, after.changes, after.flag)
    changes = changes[changes.time_us >= since_us[changes.series]]
    cause = Rows.joined([came[~conflict], gone])
    told = _told(came, cause, changes, before, live=live.ladders, ends=ends.ladders, owner=owner)
    return Refolded(live=ends, pending=pending, told=told, judged=judged)


def _in_time(rows: Rows) -> Rows:
    return rows[rows.in_time()]


def _reflagged(here: Judged, came: Rows, late: Bool, new: Rows, after: Judged) -> Judged:
    """A reading that came late is judged by what stands before it in time."""
    by_seq = np.argsort(new.seq)
    where = by_seq[np.searchsorted(new.seq[by_seq], came.seq[late])]
    columns = {name: getattr(here, name).copy() for name in ("flag", "checks", "fresh", "listened", "deaf")}
    for name, column in columns.items():
        column[late] = getattr(after, name)[where]
    return replace(here, errors=(*here.errors, *after.errors), **columns)


def _told(
    came: Rows,
    cause: Rows,
    changes: Told,
    before: Callable[[], Told],
    *,
    live: LadderState,
    ends: LadderState,
    owner: NDArray[np.int32],
) -> Told:
    """What the new fold says and the live track has not said: of each ladder the highest new rise above the live
    level, then the level at its end. So no rise that was found is passed over, although it is over by now.

    Parameters
    ----------
    cause : at most one of each series: the reading that came late, or the one that was refuted
    """
    level, end = live.level(), ends.level()
    rises = changes[(changes.to_level > changes.from_level) & (changes.to_level > level[changes.ladder])]
    if len(rises):
        was = before()
        there = set(zip(was.ladder.tolist(), was.seq.tolist(), was.to_level.tolist(), strict=True))
        keys = zip(rises.ladder.tolist(), rises.seq.tolist(), rises.to_level.tolist(), strict=True)
        rises = rises[np.array([key not in there for key in keys], dtype=np.bool_)]
    found: list[Told] = []
    for p in np.union1d(np.flatnonzero(level != end), rises.ladder).tolist():
        by, held = came.seq[came.series == owner[p]], int(level[p])
        mine = rises[rises.ladder == p]
        if len(mine):
            at = int(mine.to_level.argmax())
            found.append(_step(mine[at : at + 1], by, held, int(mine.to_level[at])))
            held = int(mine.to_level[at])
        if held != end[p]:
            last = changes[changes.ladder == p][-1:]
            decided = last if len(last) else _itself(cause[cause.series == owner[p]], p)
            found.append(_step(decided, by, held, int(end[p])))
    return Told.joined(found) if found else Told.none()


def _step(decided: Told, by: Int64, from_level: int, to_level: int) -> Told:
    return replace(
        decided,
        by=by,
        from_level=np.array([from_level], dtype=np.int64),
        to_level=np.array([to_level], dtype=np.int64),
        late=np.ones(1, dtype=np.bool_),
    )


def _itself(cause: Rows, ladder: int) -> Told:
    """The reading that came or went, where no later one decides; it is not good enough to decide alone."""
    level = np.zeros(1, dtype=np.int64)
    return Told(
        by=cause.seq,
        seq=cause.seq,
        series=cause.series,
        ladder=np.array([ladder], dtype=np.intp),
        time_us=cause.time_us,
        value=cause.value,
        flag=np.full(1, Flag.SUSPECT, dtype=np.uint8),
        from_level=level,
        to_level=level,
        late=np.ones(1, dtype=np.bool_),
    )


S = TypeVar("S", Window, Trend)


def grafted(onto: JudgeState, of: JudgeState, *, series: Bool, ladders: Bool) -> JudgeState:
    """A state in which some series and ladders stand as in another one.

    Parameters
    ----------
    series : (series,) which to take over
    ladders : (p,) which to take over
    """

    def by_series(one: S, other: S) -> S:
        columns = {}
        for f in fields(one):
            columns[f.name] = column = getattr(one, f.name).copy()
            column[series] = getattr(other, f.name)[series]
        return replace(one, **columns)

    rungs = {}
    for f in fields(LadderState):
        rungs[f.name] = column = getattr(onto.ladders, f.name).copy()
        column[..., ladders] = getattr(of.ladders, f.name)[..., ladders]
    return JudgeState(
        window=by_series(onto.window, of.window),
        trend=by_series(onto.trend, of.trend),
        ladders=replace(onto.ladders, **rungs),
    )
