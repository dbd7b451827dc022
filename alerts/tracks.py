"""Two tracks of judgement, and what came too late for both (contract 5.3). Pure.

*Live*: the fold, in order of judged time, of everything that came within the bound. *Settled*: the same fold up to the
watermark of each series; final. *Pending* are the readings between the two. *Retro*: the fold of what came beyond the
bound; it speaks for the past only.

A reading that is newer than all of its series steps the live fold, one vectorised pass for all that do. One that is
older but not final, and one that contradicts a pending one, make its series be folded anew from the settled state. So
any permutation with delay within the bound, any duplication, cutting or restart gives the same settled changes; after
the last reading the live levels are the settled ones; and no settled rise is missing from the live track.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alerts.columns import Rows, Told
from alerts.judgement import Judged, JudgeState, assess
from alerts.ladders import Ladders
from alerts.order import disorder, heads, newest_before
from alerts.refold import grafted, refold
from alerts.track_state import Sheet, Taken, TrackState
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.clocks import place
from sensors.flags import Check, Flag
from sensors.stations import SECOND_US, Limits
from sensors.window import NEVER

BOUND_FLOOR_US = 600 * SECOND_US
BOUND_CADENCES = 3
"""A reading that comes more than max(BOUND_CADENCES x cadence, BOUND_FLOOR_US) behind the newest of its series is
beyond the bound (contract 5.3)."""
SLICE = 2_000
"""Readings out of order are sorted out in slices, so that a long disordered batch costs no more than its parts."""


def bound_us(cadence_us: Int64) -> Int64:
    """(series,) how far behind the newest a reading may come and still speak for now."""
    return np.maximum(BOUND_CADENCES * cadence_us, BOUND_FLOOR_US)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracks:
    """How one world judges; all state is handed in and out."""

    limits: Limits
    ladders: Ladders
    assess: Callable[..., Judged] = assess

    @property
    def bound_us(self) -> Int64:
        """(series,)"""
        return bound_us(self.limits.cadence_us)

    def take(self, batch: ReadingBatch, conflict: Bool, seq: Int64, state: TrackState) -> Taken:
        """Judge a batch; two batches one after the other give what both at once would.

        Parameters
        ----------
        batch : n readings in order of arrival at their devices' times, none of them a repeat
        conflict : (n,) rows that contradict a stored one
        seq : (n,) their arrival numbers
        """
        placed = place(batch, state.clocks)
        rows = Rows(
            seq=seq,
            series=batch.series,
            time_us=placed.judged_us,
            device_us=batch.time_us,
            received_us=batch.received_us,
            value=batch.value,
            clock=placed.flag,
        )
        return Taken.joined(self._parts(rows, conflict, replace(state, clocks=placed.state)))

    def settle(self, state: TrackState) -> tuple[TrackState, Told]:
        """Make final what lies before the watermarks; may happen at any time with the same result."""
        pending = state.all_pending()
        final = pending.time_us + self.bound_us[pending.series] <= state.reached_us[pending.series]
        left = (pending[~final],) if not final.all() else ()
        if not final.any():
            return replace(state, pending=left), Told.none()
        rows = pending[final]
        rows = rows[rows.in_time()]
        judged = self._fold(rows, np.zeros(len(rows), dtype=np.bool_), state.settled)
        changes = Told.of(rows, judged.changes, judged.flag)
        return replace(state, settled=judged.state, pending=left), changes

    # ---- in order

    def _parts(self, rows: Rows, conflict: Bool, state: TrackState) -> list[Taken]:
        judged = self._fold(rows, conflict, state.live)
        own = _believable(judged, rows, conflict)
        final = rows.time_us + self.bound_us[rows.series] <= state.reached_us[rows.series]
        if not conflict.any() and not (own & (final | ~judged.fresh)).any():
            sheet = Sheet.blank(len(rows), state)
            sheet.step(np.arange(len(rows)), rows, judged)
            return [self._taken(rows, sheet, own, np.zeros(len(rows), dtype=np.bool_))]
        if len(rows) <= SLICE:
            return [self._apart(rows, conflict, own, state)]
        parts: list[Taken] = []
        for a in range(0, len(rows), SLICE):
            for part in self._parts(rows[a : a + SLICE], conflict[a : a + SLICE], state):
                state, settled = self.settle(part.state)
                parts.append(replace(part, state=state, settled=settled))
        return parts

    def _step(self, sheet: Sheet, at: NDArray[np.intp], rows: Rows, conflict: Bool) -> None:
        """Rows that came in order step the live fold."""
        if len(at):
            some = rows[at]
            sheet.step(at, some, self._fold(some, conflict[at], sheet.state.live))

    # ---- out of order

    def _apart(self, rows: Rows, conflict: Bool, own: Bool, state: TrackState) -> Taken:
        """Sort out a slice: what came beyond the bound, the series that came in order, and the others in rounds."""
        sheet = Sheet.blank(len(rows), state)
        reached_us = newest_before(rows.series, np.minimum(rows.time_us, rows.received_us), own, state.reached_us)
        watermark_us = np.where(reached_us == NEVER, NEVER, reached_us - self.bound_us[rows.series])
        final = rows.time_us <= watermark_us
        self._look_back(sheet, np.flatnonzero(own & final), rows)
        # What contradicts a final reading changes nothing any more.
        odd = conflict & ~final
        bad = disorder(rows, own & ~final, state.live) | odd
        troubled = np.zeros(len(state.reached_us), dtype=np.bool_)
        troubled[rows.series[bad]] = True
        left = np.flatnonzero(~(own & final))
        calm = left[~troubled[rows.series[left]]]
        self._step(sheet, calm, rows, conflict)
        left = left[troubled[rows.series[left]]]
        while len(left):
            bad = disorder(rows[left], own[left], sheet.state.live) | odd[left]
            ahead, single = heads(rows.series[left], bad)
            self._step(sheet, left[ahead], rows, conflict)
            self._look_again(sheet, left[single], rows, odd, watermark_us)
            left = left[~(ahead | single)]
        return self._taken(rows, sheet, own, own & final)

    def _look_again(self, sheet: Sheet, at: NDArray[np.intp], rows: Rows, odd: Bool, watermark_us: Int64) -> None:
        """At most one row of each series that is older than its newest, or contradicts one."""
        if not len(at):
            return
        state = sheet.state
        again = refold(
            rows[at],
            odd[at],
            watermark_us[at],
            live=state.live,
            settled=state.settled,
            pending=state.all_pending(),
            owner=self.ladders.series,
            fold=self._fold,
        )
        sheet.note(at, again.judged)
        sheet.told.append(again.told)
        sheet.state = replace(state, live=again.live, pending=(again.pending,))

    def _look_back(self, sheet: Sheet, at: NDArray[np.intp], rows: Rows) -> None:
        """Rows beyond the bound step the retro fold; one far before its newest begins it anew."""
        nothing = JudgeState.empty(len(sheet.state.reached_us), len(self.ladders))
        while len(at):
            some, retro = rows[at], sheet.state.retro
            newest = newest_before(some.series, some.time_us, np.ones(len(at), dtype=np.bool_), retro.window.last_us)
            back = some.time_us + self.bound_us[some.series] <= newest
            ahead, single = heads(some.series, back)
            if ahead.any():
                judged = self._fold(some[ahead], np.zeros(int(ahead.sum()), dtype=np.bool_), retro)
                sheet.note(at[ahead], judged, speaks=False)
                sheet.retro.append(Told.of(some[ahead], judged.changes, judged.flag))
                retro = judged.state
            if single.any():
                anew = np.zeros(len(nothing.window.last_us), dtype=np.bool_)
                anew[some.series[single]] = True
                retro = grafted(retro, nothing, series=anew, ladders=anew[self.ladders.series])
            sheet.state = replace(sheet.state, retro=retro)
            at = at[~ahead]

    def _fold(self, rows: Rows, conflict: Bool, state: JudgeState) -> Judged:
        return self.assess(rows.batch(), conflict, rows.clock, state, limits=self.limits, ladders=self.ladders)

    def _taken(self, rows: Rows, sheet: Sheet, own: Bool, beyond: Bool) -> Taken:
        reached_us = sheet.state.reached_us.copy()
        np.maximum.at(reached_us, rows.series[own], np.minimum(rows.time_us, rows.received_us)[own])
        return sheet.taken(rows, beyond, replace(sheet.state, reached_us=reached_us))


def _believable(judged: Judged, rows: Rows, conflict: Bool) -> Bool:
    """(n,) rows that may move something, whatever came before them."""
    gross = (judged.checks >> np.uint32(4 * Check.GROSS_RANGE)) & np.uint32(15)
    return (gross < Flag.FAIL) & (rows.clock < Flag.SUSPECT) & ~conflict & ~judged.broken
