"""What time a reading is judged at: its device's, put right where the device's clock is steadily wrong.

The device's time is stored as it came and stays the key of the reading. Pure, causal in order of arrival; any cutting
of a stream gives the same answer.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from sensors.batch import Bool, Int64, ReadingBatch
from sensors.flags import GOOD, SUSPECT, UNKNOWN, Flags
from sensors.stations import SECOND_US
from sensors.window import NEVER

FUTURE_US = 600 * SECOND_US
"""A clock further off than this is wrong: those of devices drift by minutes, not more. What is stamped further ahead
of its arrival is never taken as now.
"""
WATCHED_US = FUTURE_US // 2
"""From here on a clock is watched, so that one that slowly drifts past FUTURE_US is known as steady by then."""
SLACK_US, DRIFT = 120 * SECOND_US, 100
"""How far a lead may lie above the reference of its run, and one part in so many of the time since then: the drift of
a bad oscillator.
"""
WAY_US = 300 * SECOND_US
"""How much longer than that of the reference the way may take: a lead falls by as much, and none rises by it."""
STEADY_US, ARRIVALS = 600 * SECOND_US, 5
"""A run must last this long, by arrival, and have so many, before its lead is believed to be the clock's."""
GOES_ON_US = 3600 * SECOND_US
"""Device time that continues by no more while the arrivals jumped is a queue: three cadences of a slow device."""
RENEWED_US = 6 * 3600 * SECOND_US
"""The reference of a run is renewed on this grid of arrival time. What a lead may wander thus stays below FUTURE_US: a
queue that slowly grows behind a good clock never becomes a steady skew.
"""
HEARD_US = 3600 * SECOND_US
"""Who arrived within this time has a say on the box's clock."""
STATIONS_AGREE = 3
"""Fewer stations are no majority against the box."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClockState:
    """What is remembered of each series' clock; lead = device time minus arrival."""

    heard_us: Int64
    """(series,) newest arrival; NEVER before the first."""
    lead_us: Int64
    """(series,) its largest lead, that of the newest reading of a pack; 0 before the first."""
    went_on: Bool
    """(series,) whether its device time went on from that of the arrival before, see `Run.after`; False where nothing
    is watched.
    """
    since_us: Int64
    """(series,) the run of the arrivals before that, see `Run`."""
    since_lead_us: Int64
    top_lead_us: Int64
    arrivals: Int64
    known: Bool
    steady: Bool
    """(series,) whether its clock is known to be steadily wrong, by now."""
    same_us: Int64
    """(series,) the arrival since which its lead is the same, be it a clock's or a queue's; NEVER where not watched."""
    same_lead_us: Int64

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            heard_us=np.full(series, NEVER, dtype=np.int64),
            lead_us=np.zeros(series, dtype=np.int64),
            went_on=np.zeros(series, dtype=np.bool_),
            since_us=np.full(series, NEVER, dtype=np.int64),
            since_lead_us=np.zeros(series, dtype=np.int64),
            top_lead_us=np.zeros(series, dtype=np.int64),
            arrivals=np.zeros(series, dtype=np.int64),
            known=np.zeros(series, dtype=np.bool_),
            steady=np.zeros(series, dtype=np.bool_),
            same_us=np.full(series, NEVER, dtype=np.int64),
            same_lead_us=np.zeros(series, dtype=np.int64),
        )


class Run(NamedTuple):
    """Arrivals of one series whose leads may be those of one wrong clock."""

    since_us: int = NEVER
    """Arrival at which it has its reference; NEVER where there is no run."""
    since_lead_us: int = 0
    """The reference: the lead there."""
    top_lead_us: int = 0
    """The largest lead since, which is the next reference."""
    arrivals: int = 0
    known: bool = False
    """Whether the lead has been found to be the clock's own."""

    def after(self, heard_us: int, lead_us: int, *, went_on: bool) -> "Run":
        """The run after one more arrival.

        Parameters
        ----------
        lead_us : the largest of the arrival
        went_on : its device time continues from that of the arrival before. A clock that is set wrong jumps in device
            time; a queue jumps in arrival and goes on in device time: it says nothing of the clock, for as long as it
            lasts.
        """
        if abs(lead_us) <= WATCHED_US:
            return NO_RUN
        exists = self.since_us != NEVER
        elapsed_us = max(heard_us - self.since_us, 0) if exists else 0
        drift_us = min(elapsed_us, RENEWED_US) // DRIFT
        wander_us = lead_us - self.since_lead_us
        # Without a run the reference is a good clock, and what falls no further than a watched one may be its drift.
        if went_on and wander_us < -(WAY_US + (drift_us if exists else SLACK_US)):
            return self
        if not exists or not -WAY_US - drift_us <= wander_us <= SLACK_US + drift_us:
            return Run(heard_us, lead_us, lead_us, arrivals=1)
        top_lead_us, arrivals = max(self.top_lead_us, lead_us), self.arrivals + 1
        lasted = elapsed_us >= STEADY_US and arrivals >= ARRIVALS and wander_us >= -SLACK_US - drift_us
        known = self.known or lasted
        if heard_us // RENEWED_US != self.since_us // RENEWED_US:
            return Run(heard_us, top_lead_us, lead_us, arrivals, known)
        return Run(self.since_us, self.since_lead_us, top_lead_us, arrivals, known)


NO_RUN = Run()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """Answer of `place`, aligned with the batch."""

    judged_us: Int64
    """(n,) the time to judge at."""
    flag: Flags
    """(n,) for Check.CLOCK: GOOD; SUSPECT from the future; UNKNOWN where a wrong clock was put right."""
    state: ClockState
    """For the next batch."""


def place(batch: ReadingBatch, state: ClockState) -> Placed:
    """Find the time at which each reading is judged.

    A small lead, and any delay that is not steady, leave the device's time. Further ahead than FUTURE_US the reading
    is SUSPECT. Where the lead is beyond FUTURE_US either way and steady, the device's time less the lead of the run's
    reference is the judged time, flag UNKNOWN: readings of one pack keep their distances, and the way's jitter does
    not move them. So it is with what the same clock stamped before and what arrives only now.

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


def box_is_wrong(state: ClockState, station: Int64, now_us: int) -> bool:
    """Whether the devices agree with each other and not with this box.

    Parameters
    ----------
    station : (series,) index of the station each belongs to
    now_us : by the box's clock

    Returns
    -------
    wrong : more than half of the series heard within HEARD_US, from at least STATIONS_AGREE stations, have one lead
        within the slack, beyond FUTURE_US, and each the same for STEADY_US: many queues that drain at once accuse
        nobody. To one series, a box whose clock jumps ahead looks like a queue; to all of them it does not.
    """
    heard = (state.heard_us != NEVER) & (np.abs(now_us - np.maximum(state.heard_us, 0)) <= HEARD_US)
    if not heard.any():
        return False
    leads = np.sort(state.lead_us[heard])
    middle = leads[len(leads) // 2]  # what more than half share, the middle one shares
    lasted = (state.same_us != NEVER) & (state.heard_us >= state.same_us + STEADY_US)
    agree = heard & lasted & (np.abs(state.lead_us - middle) <= SLACK_US)
    return bool(
        abs(middle) > FUTURE_US and 2 * agree.sum() > heard.sum() and len(np.unique(station[agree])) >= STATIONS_AGREE
    )


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
    def of(cls, state: ClockState, i: int) -> Self:
        """What is remembered of series i."""
        heard_us, lead_us, went_on = int(state.heard_us[i]), int(state.lead_us[i]), bool(state.went_on[i])
        before = Run(*(getattr(state, name)[i].item() for name in Run._fields))
        run = before.after(heard_us, lead_us, went_on=went_on)
        return cls(
            heard_us=heard_us,
            lead_us=lead_us,
            went_on=went_on,
            before=before,
            run=run,
            same_us=int(state.same_us[i]),
            same_lead_us=int(state.same_lead_us[i]),
        )

    @property
    def steady(self) -> bool:
        """A pack that has only begun, or one odd arrival, leaves it known."""
        return self.run.known or self.before.known

    def judged(self, time_us: int, received_us: int) -> tuple[int, np.uint8]:
        """Judged time and flag of the next reading."""
        lead_us = time_us - received_us
        if received_us == self.heard_us:
            self.lead_us = max(self.lead_us, lead_us)
        else:
            if self.heard_us != NEVER:
                went_us, came_us = time_us - (self.heard_us + self.lead_us), received_us - self.heard_us
                self.went_on = went_us >= -WAY_US and (went_us <= GOES_ON_US or went_us >= came_us)
                if self.same_us == NEVER or abs(self.lead_us - self.same_lead_us) > SLACK_US:
                    self.same_us, self.same_lead_us = self.heard_us, self.lead_us
            self.before, self.heard_us, self.lead_us = self.run, received_us, lead_us
        if abs(self.lead_us) <= WATCHED_US and self.before.since_us == NEVER:
            self.went_on, self.same_us, self.same_lead_us = False, NEVER, 0  # as of a series that is not watched
        self.run = self.before.after(self.heard_us, self.lead_us, went_on=self.went_on)
        found = self.run if self.run.known else self.before
        if found.known:
            stamped_before = self.went_on and lead_us < found.since_lead_us - WAY_US
            if stamped_before or (self.run.known and abs(lead_us) > FUTURE_US):
                return time_us - found.since_lead_us, UNKNOWN
        return time_us, SUSPECT if lead_us > FUTURE_US else GOOD


def _watch(batch: ReadingBatch, at: Bool, state: ClockState, after: ClockState) -> Placed:
    """Place the rows of watched series one by one: few series are, and a reference hangs on all rows before it."""
    series, judged_us, flag = batch.series[at].tolist(), batch.time_us[at], np.empty(int(at.sum()), dtype=np.uint8)
    watched = {i: _Watch.of(state, i) for i in set(series)}
    for row, (i, time_us, received_us) in enumerate(
        zip(series, judged_us.tolist(), batch.received_us[at].tolist(), strict=True)
    ):
        judged_us[row], flag[row] = watched[i].judged(time_us, received_us)
    changed = {
        name: getattr(state, name).copy() for name in ("went_on", "steady", "same_us", "same_lead_us", *Run._fields)
    }
    for i, one in watched.items():
        for name, column in changed.items():
            column[i] = getattr(one.before if name in Run._fields else one, name)
    all_judged_us, all_flags = batch.time_us.copy(), np.full(len(batch), GOOD)
    all_judged_us[at], all_flags[at] = judged_us, flag
    return Placed(judged_us=all_judged_us, flag=all_flags, state=replace(after, **changed))
