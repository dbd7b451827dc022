"""What has been: the readings and the stories behind a chart or a timeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alerts.episode import Episode, Event, EventType
from api.screens.facts import DAY_US, HOUR_US
from sensors.store import History

WINDOWS_US: Mapping[str, int] = {"6h": 6 * HOUR_US, "24h": DAY_US, "3d": 3 * DAY_US, "7d": 7 * DAY_US}
"""What may be asked for, by its name in the address."""
WINDOW_WORDS: Mapping[str, tuple[str, str]] = {
    "6h": ("6 ชม.", "6 h"),
    "24h": ("24 ชม.", "24 h"),
    "3d": ("3 วัน", "3 d"),
    "7d": ("7 วัน", "7 d"),
}
GAP_CADENCES = 3
"""A gap is longer than so many promised intervals (QARTOD test 1, as the rule about silent stations)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """One station over a window."""

    from_us: int
    to_us: int
    main: History
    heard_before: bool
    """Whether the main series spoke before the window: what is missing at its beginning is a gap only then."""
    gauge: str
    """Station whose rain is drawn; empty for none."""
    rain: History
    battery: History
    stories: Mapping[str, Sequence[Event]]
    """Episode -> its events, of the areas the station speaks for, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of one judged level."""

    from_us: int
    to_us: int
    level: int
    known: bool


def nothing() -> History:
    """No readings."""
    return History(
        time_us=np.zeros(0, dtype=np.int64), value=np.zeros(0, dtype=np.float64), flag=np.zeros(0, dtype=np.uint8)
    )


def overlaps(episode: Episode, from_us: int, to_us: int) -> bool:
    """Whether a story was open during a window."""
    return episode.opened_us < to_us and (episode.closed_us is None or episode.closed_us >= from_us)


def bands(events: Sequence[Event], *, from_us: int, to_us: int) -> tuple[Band, ...]:
    """The judged level of one story over time, clipped to a window; without what lies before its first event.

    Parameters
    ----------
    events : of one story, by version
    """
    found: list[Band] = []
    level, known, since = 0, True, 0
    for event in (*events, None):
        at = to_us if event is None else event.event_us if event.type is EventType.JUDGED else event.recorded_us
        start, end = max(since, from_us), min(at, to_us)
        if since and start < end and (level > 0 or not known):
            if found and (found[-1].level, found[-1].known, found[-1].to_us) == (level, known, start):
                start = found.pop().from_us
            found.append(Band(from_us=start, to_us=end, level=level, known=known))
        if event is None:
            break
        since = max(since, at)
        match event.type:
            case EventType.JUDGED:
                level = event.to_level
            case EventType.LOST:
                known = False
            case EventType.HEARD:
                known = True
            case EventType.CLOSED:
                level, known = 0, True
    return tuple(found)
