"""When a story begins and when one goes on (contract 5.5). Pure.

What rises again soon after it closed, and to no more than its peak, is the same event: its people, its messages and its
warnings belong together, so the closed story goes on with its next version. Later, or higher, is a new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from alerts.episode import Episode, Event, EventType, apply
from alerts.lifecycle import Change
from alerts.route import Routes
from sensors.stations import SECOND_US


def goes_on(last: Episode, event: Event, routes: Routes) -> bool:
    """Whether a story that closed goes on with the first event of what would be the next one."""
    if last.closed_us is None or event.type is not EventType.JUDGED or event.to_level > last.peak_level:
        return False
    rearm_us = routes.rearm_s(event.hazard, event.to_level) * SECOND_US
    return rearm_us > 0 and event.event_us - last.closed_us < rearm_us


def continued(changes: Sequence[Change], ended: Mapping[tuple[str, str], Episode], routes: Routes) -> list[Change]:
    """The same changes, with new stories made the next versions of those that they continue.

    Parameters
    ----------
    changes : as they were decided by somebody who knows the open stories only
    ended : (area, hazard) -> its newest closed story
    """
    known, going, made = dict(ended), dict[str, Episode](), list[Change]()
    for event, story in changes:
        key = (event.area, event.hazard)
        last = known.get(key)
        if event.version == 1 and last is not None and goes_on(last, event, routes):
            going[event.episode] = last
        if (before := going.get(event.episode)) is not None:
            event = replace(event, episode=before.id, version=before.version + 1)  # noqa: PLW2901
            story = apply(before, event)  # noqa: PLW2901
            going[changes[len(made)][0].episode] = story
        if event.type is EventType.CLOSED:
            known[key] = story
        made.append((event, story))
    return made
