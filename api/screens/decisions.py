"""What an officer may decide about one story: the buttons of its row and of the incident bar."""

from alerts.episode import Episode
from alerts.lifecycle import lower_needs_two, release_needs_two
from api.screens.facts import Facts
from api.views.console import Choice, DecisionView


def decision(facts: Facts, episode: Episode, place: str) -> DecisionView:
    """Every button one story has, and what waits for a second person.

    Parameters
    ----------
    place : where, in the words of the row
    """
    return DecisionView(
        episode=episode.id,
        version=episode.version,
        place=place,
        requested_by=episode.requested_by,
        choices=tuple(choice for choice in (_release(facts, episode), _lower(episode)) if choice is not None),
    )


def _release(facts: Facts, episode: Episode) -> Choice | None:
    """Raise the public warning: agree to what was asked, else go up to what the evidence says."""
    if episode.requested_by and episode.requested_level > episode.public_level:
        return Choice(action="release", level=episode.requested_level, step="confirm")
    level = episode.judged_level
    route = facts.routes.find(episode.hazard, level)
    if route is None or level <= episode.public_level:
        return None
    return Choice(action="release", level=level, step="ask" if release_needs_two(episode, level, route) else "do")


def _lower(episode: Episode) -> Choice | None:
    """Take it down: agree to what was asked, else down to the evidence; against the evidence one step at a time."""
    if episode.requested_by and episode.requested_level < episode.public_level:
        return Choice(action="lower", level=episode.requested_level, step="confirm")
    if not episode.public_level:
        return None
    level = min(episode.judged_level, episode.public_level - 1)
    return Choice(action="lower", level=level, step="ask" if lower_needs_two(episode, level) else "do")
