"""Routes that call people, and a flood that waits for them."""

import msgspec

from alerts.duty import Step
from alerts.episode import Event, EventType
from alerts.route import Routes, Unanswered
from tests.alerts.judge_world import MANUAL, World
from tests.builders import MINUTE_US, batch

ROLES = ("officer", "head", "mayor")


def chained(*minutes: float, unanswered: Unanswered = Unanswered.STANDING, **more: object) -> Routes:
    """Three roles called in turn, at every level; `more` goes into each route."""
    chain = tuple(Step(role=role, minutes=m) for role, m in zip(ROLES, minutes, strict=False))
    changes = {"chain": chain, "unanswered": unanswered, **more}
    return Routes(by={key: msgspec.structs.replace(route, **changes) for key, route in MANUAL.by.items()})


def rise(world: World, *values: float, series: int = 0) -> None:
    """Readings a minute apart from now on, arriving at once."""
    world.take(batch(values, series=series, start_us=world.now_us + MINUTE_US))
    world.tick()


def of(world: World, *types: EventType) -> list[Event]:
    """The events of some types, in order of record."""
    return [event for event in world.events() if event.type in types]


def minutes_of(world: World, *types: EventType) -> list[tuple[str, str, float]]:
    """(type, note, minutes after the first alarm at which it was due) of those events."""
    began_us = next(event.recorded_us for event in world.events() if event.rises)
    return [(str(e.type), e.note, (e.event_us - began_us) / MINUTE_US) for e in of(world, *types)]
