"""Looking again: what a reading that arrived out of order, or contradicts another one, makes of the newest levels.

Pure. The pending readings of its series are folded anew from the settled state, with it; see `alerts.tracks`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alerts.columns import Rows, Told
from alerts.evidence import LadderState
from alerts.judgement import Judged, JudgeState
from alerts.ladders import Ladders
from alerts.track_state import chosen, grafted
from sensors.batch import Bool, Float64, Int64
from sensors.flags import Flag
from sensors.window import NEVER

Fold = Callable[[Rows, JudgeState], Judged]
"""Takes rows, none of which contradicts another, and the state before them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refolded:
    """Answer of `refold`."""

    live: JudgeState
    pending: Rows
    told: Told
    heard: Told
    """What members of composite rules are known by now."""
    alike: Bool
    """Aligned with the readings that came: those that repeat what they contradict, as far as a person is shown."""
    judged: Judged
    """The new fold."""
    where: NDArray[np.intp]
    """Rows of it that are the readings that came late."""


def refold(
    came: Rows,
    conflict: Bool,
    watermark_us: Int64,
    *,
    live: JudgeState,
    settled: JudgeState,
    pending: Rows,
    laid: Ladders,
    shown: Float64,
    fold: Fold,
) -> Refolded:
    """Take in at most one reading of each series.

    Parameters
    ----------
    came : readings that are older than the newest of their series but not final, or contradict a stored one
    conflict : which of them contradict: the pending reading they contradict is taken out, and neither counts
    watermark_us : what lies not behind it, by series of each of them, is final and stays
    live, settled : the state after all pending readings, and before them
    laid : the ladders
    shown : (series,) values that differ by no more are one value
    """
    device_us, final_us, since_us = (np.full(len(shown), NEVER, dtype=np.int64) for _ in range(3))
    other = np.full(len(shown), np.nan)
    device_us[came.series[conflict]], other[came.series[conflict]] = came.device_us[conflict], came.value[conflict]
    final_us[came.series] = watermark_us
    met = (device_us[pending.series] == pending.device_us) & (pending.time_us > final_us[pending.series])
    same = met & (np.abs(pending.value - other[pending.series]) <= shown[pending.series])
    refuted = met & ~same
    since_us[came.series[~conflict]] = came.time_us[~conflict]
    since_us[pending.series[refuted]] = pending.time_us[refuted]
    moved = since_us != NEVER
    alike = conflict & np.isin(came.series, pending.series[same])

    gone, old = pending[refuted], _in_time(pending[moved[pending.series]])
    pending = Rows.joined([pending[~refuted], came[~conflict]])
    new = _in_time(pending[moved[pending.series]])
    after = fold(new, settled)
    owner, listeners = laid.series, laid.listeners
    series, ladders = np.flatnonzero(moved), np.flatnonzero((owner >= 0) & moved[owner])
    ends = grafted(live, series, ladders, listeners, chosen(after.state, series, ladders, listeners))

    def before() -> Told:
        was = fold(old, settled)
        return Told.of(old, was.changes, was.flag)

    # Nothing before the reading that came or went has changed; what lies there may be settled already, or not.
    changes = Told.of(new, after.changes, after.flag)
    changes = changes[changes.time_us >= since_us[changes.series]]
    cause = Rows.joined([came[~conflict], gone])
    told = _told(came, cause, changes, before, live=live.ladders, ends=ends.ladders, owner=owner)
    by_seq = np.argsort(new.seq)
    where = by_seq[np.searchsorted(new.seq[by_seq], came.seq[~conflict])]
    heard = _heard(came, cause, ladders[laid.member[ladders]], ends=ends.ladders, owner=owner)
    return Refolded(live=ends, pending=pending, told=told, heard=heard, alike=alike, judged=after, where=where)


def _heard(came: Rows, cause: Rows, members: NDArray[np.intp], *, ends: LadderState, owner: NDArray[np.int32]) -> Told:
    """When each member of composite rules was heard last, as the new fold has it."""
    found = [Told.none()]
    for p in members[ends.last_us[members] != NEVER].tolist():
        by = came.seq[came.series == owner[p]]
        itself = _itself(cause[cause.series == owner[p]], p)
        found.append(replace(itself, by=by, time_us=ends.last_us[p : p + 1]))
    return Told.joined(found)


def _in_time(rows: Rows) -> Rows:
    return rows[rows.in_time()]


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
        decider=np.array([ladder], dtype=np.intp),
        time_us=cause.time_us,
        value=cause.value,
        flag=np.full(1, Flag.SUSPECT, dtype=np.uint8),
        from_level=level,
        to_level=level,
        late=np.ones(1, dtype=np.bool_),
    )
