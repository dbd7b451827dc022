"""Whether this box's own clock is right, as the devices' clocks together tell; and what the judgement clock does then.

Judgement runs by the machine's steady clock, which nobody can set. It follows the box's wall clock as long as that goes
on evenly; where it leaps, or stands before what was judged already, the devices decide (contract 5.14). Pure.
"""

from dataclasses import dataclass

import numpy as np

from sensors.batch import Bool, Int64
from sensors.clocks import FUTURE_US, SLACK_US, STEADY_US, ClockState
from sensors.stations import SECOND_US
from sensors.window import NEVER

HEARD_US = 3600 * SECOND_US
"""Who arrived within this time has a say on the box's clock."""
STATIONS_AGREE = 3
"""Fewer stations are no majority against the box."""
ALONE_US = 3600 * SECOND_US
"""A wall clock that leapt, and that no device contradicts for so long, is believed."""
SLEW = 2
"""The judgement clock never goes back by minutes: it goes at one part in so many of its pace until it is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Leads of the devices' clocks over the judgement clock, microseconds; None where too few say anything."""

    newest_us: int | None
    """The middle one of the stations heard since the clock was last moved: a queue holds a lead down and nothing lifts
    it, so that more than half of right clocks prove that it is at least as late."""
    agreed_us: int | None
    """The same, where more than half share it within the slack."""
    lasting_us: int | None
    """Shared by more than half of the stations and the same for STEADY_US, see `lasting_lead_us`."""
    few: bool = False
    """There are fewer than STATIONS_AGREE stations at all: they may choose between two clocks, and accuse none."""

    @classmethod
    def of(cls, state: ClockState, station: Int64, *, spoken: Bool, electors: int, now_us: int) -> "Votes":
        """Count them: a station has one vote, however many series it has.

        Parameters
        ----------
        station : (series,) index of the station each belongs to, from 0 without gaps
        spoken : (series,) those heard since the judgement clock was last moved: older leads are of another clock
        electors : how many stations were heard within HEARD_US when it was: more than half of them must have spoken, or
            the few that are quickest would decide
        now_us : by the judgement clock
        """
        heard = spoken & _recent(state, now_us)
        leads = _leads(state, station, heard)
        few, enough = len(leads) < STATIONS_AGREE, max(min(STATIONS_AGREE, len(leads)), electors // 2 + 1)
        lasting_us = lasting_lead_us(state, station, now_us, spoken=spoken)
        leads = np.sort(leads[leads != NEVER])
        if not len(leads) or len(leads) < enough:
            return cls(newest_us=None, agreed_us=None, lasting_us=lasting_us, few=few)
        middle_us = int(leads[(len(leads) - 1) // 2])
        shared = 2 * int((np.abs(leads - middle_us) <= SLACK_US).sum()) > max(len(leads), electors)
        return cls(newest_us=middle_us, agreed_us=middle_us if shared else None, lasting_us=lasting_us, few=few)


NO_VOTES = Votes(newest_us=None, agreed_us=None, lasting_us=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of both clocks at a look."""

    gap_us: int
    """Wall clock minus judgement clock."""
    behind: bool
    """The wall clock stands before what was judged: it cannot be right, unless a time server sets it."""
    proven: bool
    """The judgement clock was once that of a plausible wall clock, or of the devices; else it is only known to be no
    earlier."""
    voted: bool
    """It was last moved by the devices."""
    synchronised: bool
    """The kernel says that a time server sets the wall clock."""
    waited_us: int
    """Since it was last moved, or agreed with the wall clock."""
    elapsed_us: int
    """Since the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What the judgement clock does."""

    by_us: int = 0
    voted: bool = False
    """The devices moved it, and not the wall clock."""


STAY = Move()


def move(now: Standing, votes: Votes) -> Move:
    """Find out how far the judgement clock must be moved.

    A wall clock within FUTURE_US is followed, back only slowly; unless no time server vouches for it and the devices
    agree on another time. One that is further off is followed where the judgement clock itself was a mere guess, where
    the devices confirm it, or after ALONE_US in which no device said anything; never to before what was judged.
    """
    follow = Move(by_us=now.gap_us)
    if abs(now.gap_us) <= FUTURE_US:
        if not now.synchronised and not votes.few and (lead_us := _against(votes.agreed_us, votes.lasting_us)):
            return Move(by_us=lead_us, voted=True)
        return Move(by_us=max(now.gap_us, -now.elapsed_us // SLEW))
    if now.behind and not now.synchronised:
        lead_us = _against(votes.newest_us, votes.lasting_us)
        return Move(by_us=lead_us, voted=True) if lead_us else STAY
    if not now.proven or (now.voted and now.synchronised):
        return follow
    if votes.agreed_us is not None and abs(votes.agreed_us - now.gap_us) <= FUTURE_US:
        return follow
    if lead_us := _against(votes.agreed_us, votes.lasting_us):
        return Move(by_us=lead_us, voted=True)
    alone = votes.agreed_us is None and not now.voted and now.waited_us >= ALONE_US
    return follow if alone else STAY


def _against(ahead_us: int | None, lasting_us: int | None) -> int:
    """The lead by which devices contradict the judgement clock; 0 where they do not. Ahead they can be by their clocks
    only; behind also by their queues, so that it must last.
    """
    if ahead_us is not None and ahead_us > FUTURE_US:
        return ahead_us
    return lasting_us if lasting_us is not None and abs(lasting_us) > FUTURE_US else 0


def box_is_wrong(state: ClockState, station: Int64, now_us: int) -> bool:
    """Whether the devices agree with each other and not with the judgement clock (`lasting_lead_us`)."""
    lead_us = lasting_lead_us(state, station, now_us)
    return lead_us is not None and abs(lead_us) > FUTURE_US


def lasting_lead_us(state: ClockState, station: Int64, now_us: int, *, spoken: Bool | None = None) -> int | None:
    """The one lead of most devices.

    Parameters
    ----------
    station : (series,) index of the station each belongs to
    now_us : by the judgement clock
    spoken : (series,) those whose leads can be compared; None: all

    Returns
    -------
    lead_us : more than half of the stations heard within HEARD_US, at least STATIONS_AGREE, have it within the slack,
        and each the same for STEADY_US: many queues that drain at once accuse nobody. To one series, a box whose clock
        jumps ahead looks like a queue; to all of them it does not. None where there is no such lead.
    """
    heard = _recent(state, now_us) if spoken is None else spoken & _recent(state, now_us)
    leads = _leads(state, station, heard)
    voted = leads != NEVER
    if not voted.any():
        return None
    middle_us = int(np.sort(leads[voted])[voted.sum() // 2])  # what more than half share, the middle one shares
    lasted = (state.same_us != NEVER) & (state.heard_us >= state.same_us + STEADY_US)
    lasted &= np.abs(state.lead_us - state.same_lead_us) <= SLACK_US
    agree = heard & lasted & (np.abs(state.lead_us - middle_us) <= SLACK_US)
    stations = len(np.unique(station[agree]))
    return middle_us if 2 * stations > voted.sum() and stations >= STATIONS_AGREE else None


def stations_heard(state: ClockState, station: Int64, now_us: int) -> int:
    """How many stations were heard within HEARD_US of a moment."""
    return len(np.unique(station[_recent(state, now_us)]))


def _recent(state: ClockState, now_us: int) -> Bool:
    heard: Bool = (state.heard_us != NEVER) & (np.abs(now_us - np.maximum(state.heard_us, 0)) <= HEARD_US)
    return heard


def _leads(state: ClockState, station: Int64, heard: Bool) -> Int64:
    """(station,) the largest lead of its series that were heard; NEVER where none was."""
    leads = np.full(int(station.max(initial=-1)) + 1, NEVER, dtype=np.int64)
    np.maximum.at(leads, station[heard], state.lead_us[heard])
    return leads
