"""Two tracks of judgement, and what came too late for both (contract 5.3). Pure.

*Live*: the fold, in order of judged time, of everything that came within the bound. *Settled*: the same fold up to the
watermark of each series; final. *Pending* are the readings between the two. What came beyond the bound speaks for the
past only.

A reading that is newer than all of its series steps the live fold, one vectorised pass for all that do. One that is
older but not final, and one that contradicts a pending one, make its series be folded anew from the settled state. So
any permutation with delay within the bound, any duplication, cutting or restart gives the same settled changes; after
the last reading the live levels are the settled ones; and no settled rise is missing from the live track.

A series begins with a reading that is no more than a day old when it comes: what comes before that one, out of a file
or a device's memory, is beyond the bound too.

Two things end this for a series: one that is full takes nothing out of order, and one that stands in the future,
because this box's clock was ahead and is put right, begins anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alerts import composites
from alerts.columns import Rows, Told
from alerts.evidence import LadderState
from alerts.inputs.listeners import empty
from alerts.judgement import Judged, JudgeState, assess
from alerts.ladders import Ladders
from alerts.order import heads, newest_before
from alerts.refold import refold
from alerts.track_state import Index, Sheet, Taken, TrackState, grafted, picked
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.calibration import Calibration
from sensors.clocks import FUTURE_US, place
from sensors.flags import Check, Flag, Flags, usable
from sensors.quantities import QUANTITIES
from sensors.stations import SECOND_US, Limits, Registry
from sensors.window import NEVER

BOUND_FLOOR_US = 600 * SECOND_US
BOUND_CADENCES = 3
"""A reading that comes more than max(BOUND_CADENCES x cadence, BOUND_FLOOR_US) behind the newest of its series is
beyond the bound (contract 5.3)."""
ROOM = 256
"""So many pending readings fill a series: every two seconds one within the shortest bound."""
ROOM_PROMISED = 2
"""But it has room for so many times the readings that its station promises within the bound."""
SLICE = 2_000
"""Readings out of order are sorted out in slices, so that a long disordered batch costs no more than its parts."""
DAY_US = 86_400 * SECOND_US


def bound_us(cadence_us: Int64) -> Int64:
    """(series,) how far behind the newest a reading may come and still speak for now."""
    return np.maximum(BOUND_CADENCES * cadence_us, BOUND_FLOOR_US)


def shown(registry: Registry) -> Float64:
    """(series,) the last digit of a value that a person is shown: values that differ by no more are one value."""
    return np.array([10.0 ** -QUANTITIES[one.quantity].decimals for one in registry.series])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracks:
    """How one world judges; all state is handed in and out."""

    limits: Limits
    ladders: Ladders
    shown: Float64
    """(series,) see `shown`."""
    assess: Callable[..., Judged] = assess
    room: int = ROOM
    calibration: Calibration | None = None
    """Follows the counters; None: there are none."""

    @property
    def bound_us(self) -> Int64:
        """(series,)"""
        return bound_us(self.limits.cadence_us)

    @property
    def room_for(self) -> Int64:
        """(series,) how many pending readings fill it."""
        promised: Int64 = self.bound_us // self.limits.cadence_us
        return np.maximum(ROOM_PROMISED * promised, self.room)

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
        counters = state.counters
        if self.calibration:
            counters = self.calibration.after(batch, conflict, placed, counters)
        taken = Taken.joined(self._parts(rows, conflict, replace(state, clocks=placed.state, counters=counters)))
        return self._with_composites(taken, state.live.ladders) if len(self.ladders.composites) else taken

    def _with_composites(self, taken: Taken, before: LadderState) -> Taken:
        """Behind everything that single series say: what they say together."""
        live, laid = taken.state.live, self.ladders
        after, told = composites.judge(
            taken.told, taken.heard, before=before, after=live.ladders, cover_us=laid.cover_us, held=laid.composites
        )
        return replace(taken, told=told, state=replace(taken.state, live=replace(live, ladders=after)))

    def settle(self, state: TrackState) -> tuple[TrackState, Told]:
        """Make final what lies before the watermarks, and what no series has room for; may happen at any time with the
        same result.
        """
        pending = state.all_pending()
        final = pending.time_us + self.bound_us[pending.series] <= state.reached_us[pending.series]
        room, many = self.room_for, np.bincount(pending.series, minlength=len(state.reached_us))
        if (many > room).any():
            order = pending.in_time()
            newer = np.cumsum(many)[pending.series[order]] - 1 - np.arange(len(order))
            final[order] |= newer >= room[pending.series[order]]
        return self._settled(state, pending, final)

    def _settled(self, state: TrackState, pending: Rows, final: Bool) -> tuple[TrackState, Told]:
        left = (pending[~final],) if not final.all() else ()
        if not final.any():
            return replace(state, pending=left), Told.none()
        rows = pending[final]
        rows = rows[rows.in_time()]
        judged = self._fold(rows, state.settled)
        changes = Told.of(rows, judged.changes, judged.flag)
        return replace(state, settled=judged.state, pending=left), changes

    # ---- in order

    def _parts(self, rows: Rows, conflict: Bool, state: TrackState) -> list[Taken]:
        judged = self._fold(rows, state.live, conflict)
        own = _believable(judged, rows, conflict)
        early = self._before_the_first(rows, own, state) & ~judged.broken
        if early.any():
            last_us = np.full_like(
                state.reached_us, np.iinfo(np.int64).max
            )  # nothing is compared with what came before
            blind = replace(state.live, window=replace(state.live.window, last_us=last_us))
            sheet = Sheet.of(self._fold(rows, blind, conflict), state)
            if judged.broken.any():  # they may not break there
                sheet.note(broken := np.flatnonzero(judged.broken), judged, broken)
        else:
            sheet = Sheet.of(judged, state)
        if not early.any() and not conflict.any() and not (own & ~judged.fresh).any():
            sheet.step(np.arange(len(rows)), rows, judged)
            sheet.reach(rows[own])
            return [sheet.taken(rows, Told.none())]
        if len(rows) <= SLICE:
            sheet.beyond |= own & early
            own, odd = own & ~early, conflict & ~early
            self._apart(sheet, rows, own, odd, late=odd | (own & ~judged.fresh))
            return [sheet.taken(rows, self._past(rows, sheet.flag, sheet.beyond))]
        parts: list[Taken] = []
        for a in range(0, len(rows), SLICE):
            for part in self._parts(rows[a : a + SLICE], conflict[a : a + SLICE], state):
                state, settled = self.settle(part.state)
                parts.append(replace(part, state=state, settled=Told.joined([part.settled, settled])))
        return parts

    def _before_the_first(self, rows: Rows, own: Bool, state: TrackState) -> Bool:
        """(n,) rows before the first of their series that was no more than a day old when it came."""
        if (state.reached_us[rows.series] != NEVER).all():
            return np.zeros(len(rows), dtype=np.bool_)
        young = own & (rows.received_us - rows.time_us <= np.maximum(self.bound_us[rows.series], DAY_US))
        early: Bool = ~young & (newest_before(rows.series, rows.time_us, young, state.reached_us) == NEVER)
        return early

    def _step(self, sheet: Sheet, at: Index, rows: Rows) -> None:
        """Believable rows that came in order step the live fold."""
        if len(at):
            some = rows[at]
            sheet.step(at, some, self._fold(some, sheet.state.live))
            sheet.reach(some)

    # ---- out of order

    def _apart(self, sheet: Sheet, rows: Rows, own: Bool, odd: Bool, *, late: Bool) -> None:
        """Sort out a slice: the series that came in order at once, the others by themselves."""
        troubled = np.zeros(len(sheet.state.reached_us), dtype=np.bool_)
        troubled[rows.series[late]] = True
        moves = own | odd
        self._step(sheet, np.flatnonzero(own & ~troubled[rows.series]), rows)
        self._alone(sheet, np.flatnonzero(moves & troubled[rows.series]), rows, own)

    def _alone(self, sheet: Sheet, at: Index, rows: Rows, own: Bool) -> None:
        """Rows of some series, judged on a state of these alone: in rounds, until half of the series are done; the
        others then go on by themselves. So a round costs what its own series cost.
        """
        whole, some = sheet.state, np.unique(rows.series[at]).astype(np.intp)
        small, ladders = self._of(some)
        listeners, told, heard, settled = self.ladders.listeners, len(sheet.told), len(sheet.heard), len(sheet.settled)
        sheet.state = whole.part(some, ladders, listeners)
        rows = replace(rows, series=np.searchsorted(some, rows.series).astype(np.int32))
        going = len(some)
        while len(at) and 2 * going > len(some):
            at = small._round(sheet, at, rows, own)
            going = len(np.unique(rows.series[at]))
        if len(at):
            small._alone(sheet, at, rows, own)
        sheet.told[told:] = [one.renumbered(some, ladders) for one in sheet.told[told:]]
        sheet.heard[heard:] = [one.renumbered(some, ladders) for one in sheet.heard[heard:]]
        sheet.settled[settled:] = [one.renumbered(some, ladders) for one in sheet.settled[settled:]]
        sheet.state = whole.with_part(some, ladders, listeners, sheet.state)

    def _round(self, sheet: Sheet, at: Index, rows: Rows, own: Bool) -> Index:
        """Of every series what came in order, and then one row that did not; returns the rows that are left."""
        some, mine, state = rows[at], own[at], sheet.state
        newest = newest_before(some.series, some.time_us, mine, state.live.window.last_us)
        anew = mine & (newest > some.received_us + FUTURE_US)
        heard_us = np.minimum(some.time_us, some.received_us)
        reached_us = newest_before(some.series, heard_us, mine, state.reached_us)
        watermark_us = np.where(reached_us == NEVER, NEVER, reached_us - self.bound_us[some.series])
        # Of readings that are judged by one arrival only the first counts: the order of the others is not known.
        same = (some.clock == Flag.UNKNOWN) & (some.time_us == newest)
        bad: Bool = ~mine | (~same & (some.time_us <= newest))

        before, _ = heads(some.series, anew)
        latest_us = np.full(len(state.reached_us), NEVER)
        np.maximum.at(latest_us, some.series[before], watermark_us[before])
        # What is full behind its latest watermark is full behind the earlier ones.
        behind = before & (some.time_us <= watermark_us)
        late = behind | (before & bad & self._full(state, latest_us)[some.series])
        kept = np.flatnonzero(~late)
        ahead, single = np.zeros_like(bad), np.zeros_like(bad)
        ahead[kept], single[kept] = heads(some.series[kept], bad[kept])
        self._step(sheet, at[ahead], rows)
        now_us = np.full_like(latest_us, np.iinfo(np.int64).max)
        now_us[some.series[single]] = watermark_us[single]
        late |= single & ~anew & self._full(sheet.state, now_us)[some.series]
        sheet.beyond[at[late & mine]] = True
        # What lies behind its watermark moves none; and it may stand behind rows whose turn has not come.
        sheet.reach(some[late & ~behind & mine])
        again = single & ~late & ~anew
        self._look_again(sheet, at[again], rows, ~mine[again], watermark_us[again])
        self._begin_anew(sheet, some.series[single & anew])
        left: Index = at[~(late | ahead | again)]
        return left

    def _full(self, state: TrackState, watermark_us: Int64) -> Bool:
        """(series,) whether there is no room for what comes out of order."""
        pending = state.all_pending()
        waiting = pending.series[pending.time_us > watermark_us[pending.series]]
        full: Bool = np.bincount(waiting, minlength=len(watermark_us)) >= self.room_for
        return full

    def _look_again(self, sheet: Sheet, at: Index, rows: Rows, odd: Bool, watermark_us: Int64) -> None:
        """At most one row of each series that is older than its newest, or contradicts one."""
        if not len(at):
            return
        state, some = sheet.state, rows[at]
        again = refold(
            some,
            odd,
            watermark_us,
            live=state.live,
            settled=state.settled,
            pending=state.all_pending(),
            laid=self.ladders,
            shown=self.shown,
            fold=self._fold,
        )
        sheet.note(at[~odd], again.judged, again.where)
        sheet.alike[at] = again.alike
        sheet.told.append(again.told)
        sheet.heard.append(again.heard)
        sheet.state = replace(state, live=again.live, pending=(again.pending,))
        sheet.reach(some[~odd])

    def _begin_anew(self, sheet: Sheet, series: NDArray[np.int32]) -> None:
        """Series that stand in the future: what is pending becomes final, and only their levels stay."""
        if not len(series):
            return
        pending = sheet.state.all_pending()
        state, settled = self._settled(sheet.state, pending, np.isin(pending.series, series))
        sheet.settled.append(settled)
        laid, owned = self.ladders.of_some(series.astype(np.intp))

        def anew(old: JudgeState) -> JudgeState:
            blank = JudgeState.empty(len(series), len(owned), empty(laid.listeners))
            stands = replace(LadderState.empty(len(owned)), active=old.ladders.active[:, owned])
            of = replace(blank, ladders=stands)
            return grafted(old, series.astype(np.intp), owned, self.ladders.listeners, of)

        reached_us = state.reached_us.copy()
        reached_us[series] = NEVER
        sheet.state = replace(state, live=anew(state.live), settled=anew(state.settled), reached_us=reached_us)

    # ---- small things

    def _past(self, rows: Rows, flag: Flags, beyond: Bool) -> Told:
        """See `Taken.retro`."""
        at, ladders = np.flatnonzero(beyond & usable(flag)), self.ladders
        first = ladders.first[rows.series[at]]
        many = ladders.first[rows.series[at] + 1] - first
        ladder = np.repeat(first - np.cumsum(many) + many, many) + np.arange(many.sum())
        at = np.repeat(at, many)
        held = (rows.value[at] >= ladders.enter[:, ladder]) & ladders.by_value[ladder]
        level = (held * np.arange(1, len(held) + 1)[:, None]).max(axis=0, initial=0)
        keys = np.stack([ladder, rows.time_us[at] // DAY_US, level], axis=1)
        new = np.sort(np.unique(keys, axis=0, return_index=True)[1])
        new = new[level[new] > 0]
        some = rows[at[new]]
        return Told(
            by=some.seq,
            seq=some.seq,
            series=some.series,
            ladder=ladder[new],
            decider=ladder[new],
            time_us=some.time_us,
            value=some.value,
            flag=flag[at[new]],
            from_level=np.zeros(len(new), dtype=np.int64),
            to_level=level[new],
            late=np.ones(len(new), dtype=np.bool_),
        )

    def _of(self, some: Index) -> tuple["Tracks", Index]:
        """The same for some series alone; and which ladders they have."""
        ladders, at = self.ladders.of_some(some)
        return replace(self, limits=picked(self.limits, some), ladders=ladders, shown=self.shown[some]), at

    def _fold(self, rows: Rows, state: JudgeState, conflict: Bool | None = None) -> Judged:
        odd = np.zeros(len(rows), dtype=np.bool_) if conflict is None else conflict
        return self.assess(rows.batch(), odd, rows.clock, state, limits=self.limits, ladders=self.ladders)


def _believable(judged: Judged, rows: Rows, conflict: Bool) -> Bool:
    """(n,) rows that may move something, whatever came before them."""
    gross = (judged.checks >> np.uint32(4 * Check.GROSS_RANGE)) & np.uint32(15)
    return (gross < Flag.FAIL) & (rows.clock < Flag.SUSPECT) & ~conflict & ~judged.broken
