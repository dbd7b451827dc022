"""What time a reading is judged at: its device's, or that of its arrival where the device's clock is steadily wrong.

The device's time is stored as it came and stays the key of the reading. Pure, causal in order of arrival; any cutting
of a stream gives the same answer.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from sensors.batch import Bool, Int64, ReadingBatch
from sensors.flags import GOOD, SUSPECT, UNKNOWN, Flags
from sensors.groups import Groups
from sensors.stations import SECOND_US
from sensors.window import NEVER

FUTURE_US = 600 * SECOND_US
"""A clock further off than this is wrong: those of devices drift by minutes, not more. What is stamped further ahead
of its arrival is never taken as now.
"""
WATCHED_US = FUTURE_US // 2
"""From here on a clock is watched, so that one that slowly drifts past FUTURE_US is known as steady by then."""
STEP_US = 60 * SECOND_US
"""Two arrivals whose leads differ by more do not belong to one run."""
STEADY_US = 600 * SECOND_US
"""A run must last this long, by arrival, before its lead is believed to be the clock's and not the way's."""
SLACK_US, SLACK_PER_ELAPSED = 120 * SECOND_US, 0.01
"""How far the lead may wander from the run's reference: the jitter of the way, and the drift of a bad oscillator."""
RENEWED_US = 6 * 3600 * SECOND_US
"""The reference of a run is renewed on this grid of arrival time. The slack thus stays below FUTURE_US: a queue that
slowly grows behind a good clock never becomes a steady skew.
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
    """(series,) its lead; 0 before the first."""
    since_us: Int64
    """(series,) arrival at which the present run has its reference; NEVER while the lead is small."""
    since_lead_us: Int64
    """(series,) the lead there; 0 while the lead is small."""
    steady: Bool
    """(series,) whether the lead has been found to be the clock's own."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            heard_us=np.full(series, NEVER, dtype=np.int64),
            lead_us=np.zeros(series, dtype=np.int64),
            since_us=np.full(series, NEVER, dtype=np.int64),
            since_lead_us=np.zeros(series, dtype=np.int64),
            steady=np.zeros(series, dtype=np.bool_),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """Answer of `place`, aligned with the batch."""

    judged_us: Int64
    """(n,) the time to judge at."""
    flag: Flags
    """(n,) for Check.CLOCK: GOOD; SUSPECT from the future; UNKNOWN where the arrival stands for a wrong clock."""
    state: ClockState
    """For the next batch."""


def place(batch: ReadingBatch, state: ClockState) -> Placed:
    """Find the time at which each reading is judged.

    A small lead, and any delay that is not steady, leave the device's time. Further ahead than FUTURE_US the reading
    is SUSPECT. Where the lead is beyond FUTURE_US either way and steady, the arrival is the judged time, flag UNKNOWN.

    Steady is a run of consecutive arrivals of one series, each lead within STEP_US of the one before, that lasts
    STEADY_US and stays within the slack of its reference. A backlog drained in seconds, or at another rate than it was
    measured, is never steady; a zone fault of 7 h is corrected after ten minutes. A delay of the way that is as
    constant as a clock cannot be told from one, and is treated as one.

    Parameters
    ----------
    batch : n readings in order of arrival; `time_us` is the device's
    state : what was remembered of all series before this batch; not modified
    """
    lead_us = batch.time_us - batch.received_us
    off = np.abs(lead_us) > WATCHED_US
    heard_us, newest_lead_us = state.heard_us.copy(), state.lead_us.copy()
    # Rows are in order of arrival, and a repeated index keeps its last assignment.
    heard_us[batch.series], newest_lead_us[batch.series] = batch.received_us, lead_us
    after = replace(state, heard_us=heard_us, lead_us=newest_lead_us)
    if not off.any() and (state.since_us[batch.series] == NEVER).all():
        return Placed(judged_us=batch.time_us, flag=np.full(len(batch), GOOD), state=after)
    steady, after = _runs(batch, lead_us, off, state, after)
    wrong = np.abs(lead_us) > FUTURE_US
    flag = np.where(wrong & steady, UNKNOWN, np.where(lead_us > FUTURE_US, SUSPECT, GOOD))
    return Placed(judged_us=np.where(wrong & steady, batch.received_us, batch.time_us), flag=flag, state=after)


def box_is_wrong(state: ClockState, station: Int64, now_us: int) -> bool:
    """Whether the devices agree with each other and not with this box.

    Parameters
    ----------
    station : (series,) index of the station each belongs to
    now_us : by the box's clock

    Returns
    -------
    wrong : more than half of the series heard within HEARD_US, from at least STATIONS_AGREE stations, have one steady
        lead within the slack, beyond FUTURE_US. Steady, so that many queues that drain at once accuse nobody.
    """
    heard = (state.heard_us != NEVER) & (np.abs(now_us - np.maximum(state.heard_us, 0)) <= HEARD_US)
    if not heard.any():
        return False
    leads = np.sort(state.lead_us[heard])
    middle = leads[len(leads) // 2]  # what more than half share, the middle one shares
    agree = heard & state.steady & (np.abs(state.lead_us - middle) <= SLACK_US)
    return bool(
        abs(middle) > FUTURE_US and 2 * agree.sum() > heard.sum() and len(np.unique(station[agree])) >= STATIONS_AGREE
    )


def _runs(
    batch: ReadingBatch, lead_us: Int64, off: Bool, state: ClockState, after: ClockState
) -> tuple[Bool, ClockState]:
    """(n,) whether each row belongs to a steady run, and the state with the runs as they stand."""
    rows = Groups.of(batch.series)
    lead, off_, received, series = lead_us[rows.order], off[rows.order], batch.received_us[rows.order], rows.series
    before_lead = rows.before(lead, state.lead_us)
    joined = off_ & (np.abs(before_lead) > WATCHED_US) & (np.abs(lead - before_lead) <= STEP_US)
    renewed = joined & (received // RENEWED_US != rows.before(received, state.heard_us) // RENEWED_US)
    reference = rows.newest(~joined | renewed)
    since_us, since_lead = rows.at(reference, received, state.since_us), rows.at(reference, lead, state.since_lead_us)
    elapsed = received - since_us
    kept = np.abs(lead - since_lead) <= SLACK_US + SLACK_PER_ELAPSED * elapsed
    # A run that has only been renewed keeps what was found of it until it has lasted again.
    decided = rows.newest(~joined | (elapsed >= STEADY_US))
    steady = rows.at(decided, joined & kept, state.steady)

    ends, last = rows.ends, rows.series[rows.ends]
    new = ClockState(
        heard_us=after.heard_us,
        lead_us=after.lead_us,
        since_us=state.since_us.copy(),
        since_lead_us=state.since_lead_us.copy(),
        steady=state.steady.copy(),
    )
    new.since_us[last] = np.where(off_[ends], since_us[ends], NEVER)
    new.since_lead_us[last] = np.where(off_[ends], since_lead[ends], 0)
    new.steady[last] = steady[ends]
    by_row = np.empty(len(series), dtype=np.bool_)
    by_row[rows.order] = steady
    return by_row, new
