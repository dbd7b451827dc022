"""What time a reading is judged at: its device's, put right where the device's clock is steadily wrong.

The device's time is stored as it came and stays the key of the reading. Pure, causal in order of arrival; any cutting
of a stream gives the same answer.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Int64, ReadingBatch
from sensors.clock_state import (
    ARRIVALS,
    DRIFT,
    FUTURE_US,
    GOES_ON_US,
    PAST_US,
    QUEUE_US,
    RENEWED_US,
    SLACK_US,
    STEADY_US,
    WATCHED_US,
    WAY_US,
    ClockState,
    Run,
)
from sensors.flags import GOOD, SUSPECT, Flag, Flags
from sensors.groups import Groups
from sensors.window import NEVER

__all__ = [
    "ARRIVALS",
    "DRIFT",
    "FUTURE_US",
    "GOES_ON_US",
    "MANY",
    "PAST_US",
    "QUEUE_US",
    "RENEWED_US",
    "SLACK_US",
    "STEADY_US",
    "WATCHED_US",
    "WAY_US",
    "ClockState",
    "Placed",
    "Run",
    "place",
    "watched",
]

MANY = 32
"""From so many watched readings on it pays to look for queues."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """Answer of `place`, aligned with the batch."""

    judged_us: Int64
    """(n,) the time to judge at."""
    flag: Flags
    """(n,) for Check.CLOCK: GOOD; SUSPECT from the future or from before PAST_US; UNKNOWN where a wrong clock was put
    right."""
    state: ClockState
    """For the next batch."""


def place(batch: ReadingBatch, state: ClockState) -> Placed:
    """Find the time at which each reading is judged.

    A small lead, and any delay that is not steady, leave the device's time. Further ahead than FUTURE_US, or further
    back than PAST_US, the reading is SUSPECT. Where the lead is beyond FUTURE_US either way and steady, the device's
    time less the lead of the run's reference is the judged time, flag UNKNOWN: readings of one pack keep their
    distances, and the way's jitter does not move them. So it is with what the same clock stamped before and what
    arrives only now.

    Parameters
    ----------
    batch : n readings in order of arrival; `time_us` is the device's
    state : what was remembered of all series before this batch; not modified
    """
    series, lead_us = batch.series, batch.time_us - batch.received_us
    heard_us = state.heard_us.copy()
    heard_us[series] = batch.received_us  # rows are in order of arrival: a repeated index keeps its last assignment
    newest_lead_us = np.where(heard_us == state.heard_us, state.lead_us, NEVER)
    newest = batch.received_us == heard_us[series]
    np.maximum.at(newest_lead_us, series[newest], lead_us[newest])
    watched = (np.abs(lead_us) > WATCHED_US) | (np.abs(state.lead_us[series]) > WATCHED_US)
    watched |= state.since_us[series] != NEVER
    after = replace(state, heard_us=heard_us, lead_us=newest_lead_us)
    judged_us, flag = batch.time_us, np.full(len(batch), GOOD)
    if not watched.any():
        return Placed(judged_us=judged_us, flag=flag, state=after)
    return _watch(batch, np.isin(series, series[watched]), state, after)


def watched(state: ClockState) -> Int64:
    """Series whose clocks are off by more than WATCHED_US, or their queues that long; in the order of their newest
    arrival.
    """
    off = np.flatnonzero((state.heard_us != NEVER) & (np.abs(state.lead_us) > WATCHED_US))
    return off[np.argsort(state.heard_us[off], kind="stable")]


@dataclass(slots=True, kw_only=True)
class _Watch:
    """One series, reading after reading."""

    heard_us: int
    lead_us: int
    went_on: bool
    before: Run
    """Of the arrivals before the newest."""
    run: Run
    """The newest included, as far as it has come."""
    same_us: int
    same_lead_us: int

    @classmethod
    def all(cls, state: ClockState, series: list[int]) -> list[Self]:
        """What is remembered of some series."""
        names = ("heard_us", "lead_us", "went_on", "same_us", "same_lead_us", *Run._fields)
        found = []
        for heard_us, lead_us, went_on, same_us, same_lead_us, *kept in zip(
            *(getattr(state, name)[series].tolist() for name in names), strict=True
        ):
            before = Run(*kept)
            run = before.after(heard_us, lead_us, went_on=went_on)
            found.append(
                cls(
                    heard_us=heard_us,
                    lead_us=lead_us,
                    went_on=went_on,
                    before=before,
                    run=run,
                    same_us=same_us,
                    same_lead_us=same_lead_us,
                )
            )
        return found

    @property
    def steady(self) -> bool:
        """A pack that has only begun, or one odd arrival, leaves it known."""
        return self.run.known or self.before.known

    def judged(self, time_us: int, received_us: int) -> tuple[int, int]:
        """Judged time and flag of the next reading."""
        lead_us = time_us - received_us
        moved = True
        if received_us == self.heard_us:
            moved = lead_us > self.lead_us
            if moved:
                self.lead_us = lead_us
        else:
            if self.heard_us != NEVER:
                went_us, came_us = time_us - (self.heard_us + self.lead_us), received_us - self.heard_us
                self.went_on = went_us >= -WAY_US and (went_us <= GOES_ON_US or went_us >= came_us)
                if self.same_us == NEVER or abs(self.lead_us - self.same_lead_us) > SLACK_US:
                    self.same_us, self.same_lead_us = self.heard_us, self.lead_us
            self.before, self.heard_us, self.lead_us = self.run, received_us, lead_us
        if moved:
            if abs(self.lead_us) <= WATCHED_US and self.before.since_us == NEVER:
                self.went_on, self.same_us, self.same_lead_us = False, NEVER, 0  # as of a series that is not watched
            self.run = self.before.after(self.heard_us, self.lead_us, went_on=self.went_on)
        found = self.run if self.run.known else self.before
        if found.known:
            stamped_before = self.went_on and lead_us < found.since_lead_us - WAY_US
            if stamped_before or (self.run.known and abs(lead_us) > FUTURE_US):
                return time_us - found.since_lead_us, Flag.UNKNOWN
        return time_us, Flag.SUSPECT if lead_us > FUTURE_US or lead_us < -PAST_US else Flag.GOOD


def _watch(batch: ReadingBatch, at: Bool, state: ClockState, after: ClockState) -> Placed:
    """Place the rows of watched series: queues at once, the others one by one, for a reference hangs on all rows before
    it.
    """
    judged_us = batch.time_us.copy()
    flag = np.where(batch.time_us - batch.received_us < -PAST_US, SUSPECT, GOOD)
    changed = {
        name: getattr(state, name).copy() for name in ("went_on", "steady", "same_us", "same_lead_us", *Run._fields)
    }
    if at.sum() >= MANY:
        at = at & ~_drain(batch, np.flatnonzero(at), state, changed)
    if at.any():
        columns = batch.series[at].tolist(), batch.time_us[at].tolist(), batch.received_us[at].tolist()
        series = list(dict.fromkeys(columns[0]))
        watches = _Watch.all(state, series)
        of = dict(zip(series, watches, strict=True))
        placed = [of[i].judged(time_us, received_us) for i, time_us, received_us in zip(*columns, strict=True)]
        judged_us[at], flag[at] = zip(*placed, strict=True)
        for name in ("went_on", "steady", "same_us", "same_lead_us"):
            changed[name][series] = [getattr(one, name) for one in watches]
        for name, values in zip(Run._fields, zip(*(one.before for one in watches), strict=True), strict=True):
            changed[name][series] = values
    return Placed(judged_us=judged_us, flag=flag, state=replace(after, **changed))


def _drain(batch: ReadingBatch, at: NDArray[np.intp], state: ClockState, changed: dict[str, Any]) -> Bool:
    """Of series whose arrivals all are of a queue behind a good clock: there is no run, and there will be none. Their
    readings keep their times. What is remembered of them is put into `changed`.

    Returns
    -------
    rows : (n,) those of such series
    """
    rows = Groups.of(batch.series[at])
    time_us, heard_us = batch.time_us[at][rows.order], batch.received_us[at][rows.order]
    begins = np.r_[True, (rows.series[1:] != rows.series[:-1]) | (heard_us[1:] != heard_us[:-1])]
    first = np.flatnonzero(begins)
    packs = Groups.adjacent(rows.series[first])
    series, heard_us = packs.series, heard_us[first]
    lead_us = np.maximum.reduceat(time_us, first) - heard_us
    before_us, before_lead_us = packs.before(heard_us, state.heard_us), packs.before(lead_us, state.lead_us)
    known = before_us != NEVER
    came_us = heard_us - np.where(known, before_us, heard_us)
    went_us = time_us[first] - np.where(known, before_us, 0) - before_lead_us
    went_on = known & (went_us >= -WAY_US) & ((went_us <= GOES_ON_US) | (went_us >= came_us))
    begun = (state.since_us == NEVER) & (~_off(state.lead_us) | (state.went_on & (state.lead_us < -QUEUE_US)))
    queue = went_on & (came_us != 0) & (lead_us < -QUEUE_US) & begun[series]
    drains = np.logical_and.reduceat(queue, packs.starts)
    own = series[packs.starts][drains]
    changed["went_on"][own], changed["steady"][own] = True, False
    mine = drains[packs.group]
    same_us, same_lead_us = changed["same_us"], changed["same_lead_us"]
    columns = series[mine].tolist(), before_us[mine].tolist(), before_lead_us[mine].tolist()
    for i, before, lead in zip(*columns, strict=True):
        if same_us[i] == NEVER or abs(lead - same_lead_us[i]) > SLACK_US:
            same_us[i], same_lead_us[i] = before, lead
    found = np.zeros(len(batch), dtype=np.bool_)
    found[at[rows.order]] = drains[rows.group]
    return found


def _off(lead_us: Int64) -> Bool:
    """Whether a lead is watched."""
    off: Bool = np.abs(lead_us) > WATCHED_US
    return off
