"""What the clock alone decides of a story that waits for people: who is called next, when an acknowledgement or a shelf
is over, what becomes of a chain that nobody answers (contract 5.7, 5.9, 5.10). Pure.

Every due time is absolute, stands on the record with the event before it, and is the event time of what becomes due: it
does not matter when somebody looks.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence

from alerts.duty import Step
from alerts.episode import Episode, EventType
from alerts.lifecycle import SHELF_MAX_US, Change, ruled, times_out
from alerts.route import ACKNOWLEDGED_MIN_MAX, Route, Routes
from alerts.shelf import SILENCE_MAX_US, Above, Silencing, quiet_until_us

MINUTE_US = 60_000_000
ACKNOWLEDGED_MAX_US = round(ACKNOWLEDGED_MIN_MAX * MINUTE_US)
LATE_US = 10 * MINUTE_US
"""An end of a chain that is found later than this was not lived through: nobody could be called meanwhile, so its timed
release waits for a reading that speaks for now."""


def pending(
    stories: Iterable[Episode],
    *,
    routes: Routes,
    silences: Sequence[Silencing],
    above: Above,
    now_us: int,
    leapt_us: int = 0,
) -> Iterator[Change]:
    """All that is due by now, story by story, in the order in which it became due.

    Parameters
    ----------
    stories : the open ones
    silences : those of this world that were not over when the oldest of the stories rang
    leapt_us : how far the clock was moved since this was last asked: what people have left of their minutes stays
    """
    silences = [one for one in silences if one.end_us - now_us <= SILENCE_MAX_US]
    for story in stories:
        yield from _of(story, routes, silences, above, now_us, leapt_us)


def _of(
    story: Episode, routes: Routes, silences: Sequence[Silencing], above: Above, now_us: int, leapt_us: int
) -> Iterator[Change]:
    if leapt_us and story.due_us is not None:
        story = yield from _one(story, EventType.MOVED, due_us=now_us, now_us=now_us, until_us=story.due_us + leapt_us)
    if story.shelved_until_us is not None and _is_over(story.shelved_until_us, SHELF_MAX_US, now_us):
        story = yield from _one(
            story, EventType.UNSHELVED, due_us=_ended_us(story.shelved_until_us, story, now_us), now_us=now_us
        )
    seen_until_us, is_up = story.seen_until_us, story.judged_level > 0 and not story.shelved
    if is_up and seen_until_us is not None and _is_over(seen_until_us, ACKNOWLEDGED_MAX_US, now_us):
        story = yield from _one(story, EventType.EXPIRED, due_us=_ended_us(seen_until_us, story, now_us), now_us=now_us)
    route = routes.find(story.hazard, story.judged_level)
    if route is None or not route.chain or not waits(story):
        return
    quiet_us = quiet_until_us(story, silences, above)
    while waits(story) and (due_us := _due_us(story, quiet_us, now_us)) <= now_us:
        if story.called < len(route.chain):
            step = route.chain[story.called]
            until_us = due_us + _minutes_us(step)
            story = yield from _one(
                story, EventType.CALLED, due_us=due_us, now_us=now_us, until_us=until_us, note=step.role
            )
        else:
            story = yield from _one(story, EventType.UNANSWERED, due_us=due_us, now_us=now_us)
            yield from _timed(story, route, due_us=due_us, now_us=now_us)
    longest_us = max(_minutes_us(step) for step in route.chain)
    if story.due_us is not None and story.due_us - now_us > longest_us:
        # Only a clock that was put back while nobody looked explains it: the wait begins again.
        yield from _one(story, EventType.MOVED, due_us=now_us, now_us=now_us, until_us=now_us + longest_us)


def waits(story: Episode) -> bool:
    """Whether a story wants an answer that nobody has given yet."""
    return (
        story.judged_level > story.public_level
        and story.closed_us is None
        and story.unacknowledged
        and not story.shelved
        and story.unanswered_level < story.judged_level
    )


def _is_over(until_us: int, longest_us: int, now_us: int) -> bool:
    """Whether what a person set has ended. What would last longer than anybody may ask for lies behind a clock that was
    put back.
    """
    return not now_us < until_us <= now_us + longest_us


def _ended_us(until_us: int, story: Episode, now_us: int) -> int:
    """When it ended: not before the alarm came, which may have been away meanwhile."""
    return min(max(until_us, story.rang_us), now_us)


def _due_us(story: Episode, quiet_us: int, now_us: int) -> int:
    """When the next of the chain is to be called, or the chain ends."""
    if story.due_us is None:
        return max(min(story.rang_us, now_us), quiet_us)
    return max(story.due_us, quiet_us)


def _timed(story: Episode, route: Route, *, due_us: int, now_us: int) -> Iterator[Change]:
    """The timed release, where the evidence needs no second sample any more and somebody could have answered."""
    lived = now_us - due_us <= LATE_US
    if lived and times_out(story, route) and story.confirmed_level >= story.judged_level:
        yield from ruled(
            story, EventType.RELEASED, story.judged_level, event_us=due_us, now_us=now_us, note="unanswered"
        )


def _one(
    story: Episode, type: EventType, *, due_us: int, now_us: int, until_us: int | None = None, note: str = ""
) -> Generator[Change, None, Episode]:
    """One event of the rule; returns the story after it."""
    (change,) = ruled(story, type, story.judged_level, event_us=due_us, now_us=now_us, until_us=until_us, note=note)
    yield change
    return change[1]


def _minutes_us(step: Step) -> int:
    return round(step.minutes * MINUTE_US)
