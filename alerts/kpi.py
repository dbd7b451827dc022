"""How the alarms treat the people who must answer them: indicators after ANSI/ISA-18.2-2016, clause 16. Pure.

An *alarm* is a rise of a judged level, or an acknowledgement that expired while its level stood: both ring. Its source
is the (area, hazard). Times are those of the record, by the judgement clock.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from alerts.episode import Episode, Event, EventType
from sensors.batch import Int64

MINUTE_US = 60_000_000
WINDOW_US = 10 * MINUTE_US
"""The standard counts in windows of ten minutes."""
DAY_US = 1440 * MINUTE_US
FLOOD_BEGINS = 10
"""More alarms than this within ten minutes begin a flood."""
FLOOD_ENDS = 5
"""Fewer than this within ten minutes end it."""
CHATTER_COUNT = 3
"""So many alarms of one source ..."""
CHATTER_US = MINUTE_US
"""... within a minute chatter."""
STALE_US = DAY_US
"""An alarm that stands longer is stale."""
TOP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """A stretch in which nobody can follow any more."""

    from_us: int
    to_us: int
    alarms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of alarms."""

    area: str
    hazard: str
    alarms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKpis:
    """Indicators of one period. Shares are fractions; NaN where there is nothing to divide by."""

    from_us: int
    to_us: int
    operators: int
    alarms: int
    per_day: float
    """Alarms per day and operator; the standard finds about 150 likely acceptable, 300 the most."""
    per_ten_minutes: float
    """Mean per ten minutes and operator; about 1 is likely acceptable, 2 the most."""
    peak_ten_minutes: int
    """Most alarms in any ten minutes; 10 at most."""
    flooded_share: float
    """Part of the period in floods; below 0.01."""
    floods: tuple[Flood, ...]
    chattering: tuple[Source, ...]
    """Sources that chattered, with how many of their alarms did; none is acceptable."""
    stale: tuple[str, ...]
    """Stories whose alarm stands longer than a day at the end; fewer than 5."""
    top: tuple[Source, ...]
    """The ten most frequent sources."""
    top_share: float
    """Their part of all alarms; 0.05 at most, where there are many sources."""
    answered: int
    """Alarms that were acknowledged by the end."""
    unanswered: int
    """Alarms that rose no further, fell to normal or stand, and were not acknowledged."""
    answer_median_s: float
    """Time from an alarm to its acknowledgement."""
    answer_p90_s: float
    escalated: int
    """Turns of chains that were called."""
    shelved: int
    """How often an alarm was put aside."""
    shelved_now: int
    """How many are, at the end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alarms:
    """Alarms as columns, in order of time."""

    at_us: Int64
    source: Int64
    """(n,) index into `sources`."""
    sources: tuple[tuple[str, str], ...]
    answered_us: Int64
    """(n,) when each was acknowledged; -1 where it was not. A rise of a story that was already waiting belongs to it:
    one word answers both."""

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self:
        """Collect them.

        Parameters
        ----------
        events : of all stories, in order of record
        """
        at: list[int] = []
        source: list[int] = []
        answered: list[int] = []
        sources: dict[tuple[str, str], int] = {}
        waiting: dict[str, list[int]] = {}
        for event in events:
            if event.rises or event.type is EventType.EXPIRED:
                waiting.setdefault(event.episode, []).append(len(at))
                at.append(event.recorded_us)
                source.append(sources.setdefault((event.area, event.hazard), len(sources)))
                answered.append(-1)
            elif event.type is EventType.ACKNOWLEDGED:
                for alarm in waiting.pop(event.episode, ()):
                    answered[alarm] = event.recorded_us
        return cls(
            at_us=np.array(at, dtype=np.int64),
            source=np.array(source, dtype=np.int64),
            sources=tuple(sources),
            answered_us=np.array(answered, dtype=np.int64),
        )


def alarm_kpis(
    events: Sequence[Event], standing: Sequence[Episode], *, from_us: int, to_us: int, operators: int
) -> AlarmKpis:
    """Indicators of from_us <= time < to_us.

    Parameters
    ----------
    events : of the period, in order of record (`AlertReader.recorded`)
    standing : the stories that are open at the end
    operators : how many share the alarms; at least 1 is taken

    Raises
    ------
    ValueError : an empty period
    """
    if from_us >= to_us:
        raise ValueError(f"from_us {from_us} must be before to_us {to_us}")
    shared = max(1, operators)
    alarms = Alarms.of([event for event in events if from_us <= event.recorded_us < to_us])
    at_us, span_us = alarms.at_us, to_us - from_us
    within = within_window(at_us, WINDOW_US)
    floods = find_floods(at_us, until_us=to_us)
    counted = Counter(alarms.source.tolist())
    top = [_source(alarms, source, count) for source, count in sorted(counted.items(), key=lambda c: (-c[1], c[0]))]
    took_s = (alarms.answered_us - at_us)[alarms.answered_us >= 0] / 1e6
    types = Counter(event.type for event in events)
    return AlarmKpis(
        from_us=from_us,
        to_us=to_us,
        operators=operators,
        alarms=len(at_us),
        per_day=len(at_us) / shared * DAY_US / span_us,
        per_ten_minutes=len(at_us) / shared * WINDOW_US / span_us,
        peak_ten_minutes=int(within.max(initial=0)),
        flooded_share=sum(flood.to_us - flood.from_us for flood in floods) / span_us,
        floods=floods,
        chattering=chattering(alarms),
        stale=tuple(sorted(one.id for one in standing if one.judged_level and to_us - one.rang_us > STALE_US)),
        top=tuple(top[:TOP]),
        top_share=sum(one.alarms for one in top[:TOP]) / len(at_us) if len(at_us) else float("nan"),
        answered=len(took_s),
        unanswered=len(at_us) - len(took_s),
        answer_median_s=float(np.median(took_s)) if len(took_s) else float("nan"),
        answer_p90_s=float(np.quantile(took_s, 0.9)) if len(took_s) else float("nan"),
        escalated=types[EventType.CALLED],
        shelved=types[EventType.SHELVED],
        shelved_now=sum(one.shelved for one in standing),
    )


def within_window(at_us: Int64, window_us: int) -> Int64:
    """(n,) how many alarms there were in the window that ends with each, itself included."""
    first = np.searchsorted(at_us, at_us - window_us, side="right")
    # Those of one moment are all in the window of each of them.
    counts: Int64 = np.searchsorted(at_us, at_us, side="right") - first
    return counts


def find_floods(at_us: Int64, *, until_us: int) -> tuple[Flood, ...]:
    """Stretches from the alarm that made more than FLOOD_BEGINS in ten minutes until fewer than FLOOD_ENDS are left."""
    found: list[Flood] = []
    begins = np.flatnonzero(within_window(at_us, WINDOW_US) > FLOOD_BEGINS)
    while len(begins):
        from_us = int(at_us[begins[0]])
        # An alarm leaves the window ten minutes after it: then only those behind it are counted.
        leaves_us = at_us + WINDOW_US
        left = np.searchsorted(at_us, leaves_us, side="right") - np.arange(1, len(at_us) + 1)
        over = np.flatnonzero((leaves_us > from_us) & (left < FLOOD_ENDS))
        to_us = min(int(leaves_us[over[0]]), until_us)
        found.append(Flood(from_us=from_us, to_us=to_us, alarms=int(((at_us >= from_us) & (at_us <= to_us)).sum())))
        begins = begins[at_us[begins] > to_us]
    return tuple(found)


def chattering(alarms: Alarms) -> tuple[Source, ...]:
    """Sources with CHATTER_COUNT alarms and more within CHATTER_US, most first."""
    found = []
    for source in np.unique(alarms.source).tolist():
        own = alarms.at_us[alarms.source == source]
        many = within_window(own, CHATTER_US) >= CHATTER_COUNT
        if many.any():
            first = np.searchsorted(own, own[many] - CHATTER_US, side="right")
            rows = {
                row
                for a, b in zip(first.tolist(), np.flatnonzero(many).tolist(), strict=True)
                for row in range(a, b + 1)
            }
            found.append(_source(alarms, source, len(rows)))
    return tuple(sorted(found, key=lambda one: (-one.alarms, one.area, one.hazard)))


def _source(alarms: Alarms, source: int, count: int) -> Source:
    area, hazard = alarms.sources[source]
    return Source(area=area, hazard=hazard, alarms=count)
