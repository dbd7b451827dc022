"""What is remembered of each device's clock, and when a run of arrivals shows it to be wrong. Pure."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from sensors.batch import Bool, Int64
from sensors.stations import SECOND_US
from sensors.window import NEVER

FUTURE_US = 600 * SECOND_US
"""A clock further off than this is wrong: those of devices drift by minutes, not more. What is stamped further ahead
of its arrival is never taken as now.
"""
PAST_US = 5 * 8766 * 3600 * SECOND_US
"""No device keeps readings for five years: what is stamped further back is of a clock that was never set (1970, 2000),
or that has lost count (GPS: by 19.6 years)."""
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
QUEUE_US = WAY_US + SLACK_US
"""Further behind than this a good clock is behind a queue."""
GOES_ON_US = 3600 * SECOND_US
"""Device time that continues by no more while the arrivals jumped is a queue: three cadences of a slow device."""
RENEWED_US = 6 * 3600 * SECOND_US
"""The reference of a run is renewed on this grid of arrival time. What a lead may wander thus stays below FUTURE_US: a
queue that slowly grows behind a good clock never becomes a steady skew.
"""


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
        if went_on and wander_us < -(WAY_US + drift_us if exists else QUEUE_US):
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
