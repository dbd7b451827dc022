"""From events to what must be sent because of them. Pure."""

from collections.abc import Sequence

from alerts import text
from alerts.episode import Episode, Event, EventType, FanOut, Purpose, Used
from alerts.route import Routes
from sensors.stations import SECOND_US, Registry


def plan(
    changes: Sequence[tuple[Event, Episode]],
    now_us: int,
    *,
    registry: Registry,
    routes: Routes,
    used: Sequence[Used] = (),
) -> tuple[FanOut, ...]:
    """One fan-out for every release, and one all-clear when the public level falls to normal.

    Parameters
    ----------
    changes : events with the story after each, as they will be recorded
    now_us : judgement clock
    used : readings that last decided this story before these changes, for a release by a person
    """
    made: list[FanOut] = []
    for event, _ in changes:
        used = event.used or used
        if event.type is EventType.RELEASED:
            made.append(_fan_out(event, Purpose.ALERT, event.to_level, used, now_us, registry, routes))
        elif event.type is EventType.LOWERED and event.to_level == 0:
            made.append(_fan_out(event, Purpose.ALL_CLEAR, event.from_level, (), now_us, registry, routes))
    return tuple(made)


def _fan_out(
    event: Event,
    purpose: Purpose,
    level: int,
    used: Sequence[Used],
    now_us: int,
    registry: Registry,
    routes: Routes,
) -> FanOut:
    route = routes.find(event.hazard, level)  # an all-clear leaves by the channels of the warning it ends
    assert route is not None, f"{event.hazard} level {level} went public without a route"
    areas = registry.descendants(event.area)
    expires_us = now_us + route.expires_s * SECOND_US
    newest = used[-1] if used else None
    facts = text.Facts(
        kind=event.kind,
        place=registry.place.name,
        phone=registry.place.phone,
        hazard=event.hazard,
        level=level,
        areas=text.area_list(
            registry.areas[event.area].name, [registry.areas[a].short or registry.areas[a].name for a in areas[1:]]
        ),
        station=registry.stations[newest.series.split("/")[0]].name if newest else "",
        used=newest,
        now_us=now_us,
        expires_us=expires_us,
    )
    return FanOut(
        id=f"{event.episode}#{event.version}",
        episode=event.episode,
        version=event.version,
        kind=event.kind,
        purpose=purpose,
        level=event.to_level,
        areas=areas,
        channels=route.channels,
        text=text.alert(facts) if purpose is Purpose.ALERT else text.all_clear(facts),
        created_us=now_us,
        expires_us=expires_us,
    )
