"""From events to what must be sent because of them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from alerts import text
from alerts.duty import on_call
from alerts.episode import Episode, Event, EventType, FanOut, Purpose, Used
from alerts.route import Routes
from alerts.words import input_words, thai_clock
from sensors.quantities import QUANTITIES
from sensors.stations import SECOND_US, Registry

CALL_US = 3600 * SECOND_US
"""A call is still tried so long after the next one was due: two who know are better than none."""
Newest = Callable[[str], tuple[int, float] | None]
"""Series key -> time and value of its newest usable reading; None where nobody knows."""


def nobody_knows(series: str) -> None:
    """For a plan that is made in the moment of its reading."""
    del series


def plan(
    changes: Sequence[tuple[Event, Episode]],
    now_us: int,
    *,
    registry: Registry,
    routes: Routes,
    used: Sequence[Used] = (),
    newest: Newest = nobody_knows,
) -> tuple[FanOut, ...]:
    """One fan-out for every release, one all-clear when the public level falls to normal, and one call for every turn
    of a chain whose people are known.

    Parameters
    ----------
    changes : events with the story after each, as they will be recorded
    now_us : judgement clock
    used : readings that last decided this story before these changes, for a release by a person
    newest : how the deciding series stands now, which people are told when a release comes later than its reading
    """
    made: list[FanOut] = []
    for event, after in changes:
        used = event.used or used
        if event.type is EventType.RELEASED:
            made.append(
                _fan_out(event, Purpose.ALERT, event.to_level, _now(used, newest), now_us, registry, routes, text.alert)
            )
        elif event.type is EventType.LOWERED and event.to_level == 0:
            # Two officers may take a warning back against the evidence: then nobody is told that all is well.
            calm = after.judged_level == 0 and after.known
            words = text.all_clear if calm else text.withdrawn
            made.append(_fan_out(event, Purpose.ALL_CLEAR, event.from_level, (), now_us, registry, routes, words))
        elif event.type is EventType.CALLED and routes.contacts:
            made.append(_call(event, after, _now(used, newest), now_us, registry, routes))
    return tuple(made)


def person(contact: str) -> str:
    """Area of the addresses of somebody who can be called."""
    return f"person:{contact}"


def _call(
    event: Event, story: Episode, used: Sequence[Used], now_us: int, registry: Registry, routes: Routes
) -> FanOut:
    """To those of the role who are on call now, though it was due while the box was off; until the next turn."""
    people = on_call(routes.contacts, event.note, now_us)
    return FanOut(
        id=f"{event.episode}#{event.version}",
        episode=event.episode,
        version=event.version,
        kind=event.kind,
        purpose=Purpose.CALL,
        level=event.to_level,
        areas=tuple(person(one.id) for one in people),
        channels=tuple(sorted({channel for one in people for channel in one.channels})),
        text=text.call(
            kind=event.kind,
            hazard=event.hazard,
            level=event.to_level,
            area=_name(registry, event.area),
            reading=_reading(registry, used[-1]) if used else "",
            since_us=story.rang_us,
        ),
        created_us=now_us,
        expires_us=max(now_us, event.until_us or now_us) + CALL_US,
    )


def _now(used: Sequence[Used], newest: Newest) -> Sequence[Used]:
    """The deciding reading, or the same series as it stands now."""
    if not used or used[-1].per_h or used[-1].input:
        return used
    if (known := newest(used[-1].series)) is None or known[0] <= used[-1].time_us:
        return used
    return (*used[:-1], replace(used[-1], time_us=known[0], value=known[1]))


def _fan_out(
    event: Event,
    purpose: Purpose,
    level: int,
    used: Sequence[Used],
    now_us: int,
    registry: Registry,
    routes: Routes,
    words: Callable[[text.Facts], str],
) -> FanOut:
    route = routes.find(event.hazard, level) or routes.highest(event.hazard)
    areas = registry.descendants(event.area)
    expires_us = now_us + route.expires_s * SECOND_US
    decided = used[-1] if used else None
    facts = text.Facts(
        kind=event.kind,
        place=registry.place.name,
        phone=registry.place.phone,
        hazard=event.hazard,
        level=level,
        areas=text.area_list(_name(registry, event.area), [_name(registry, a) for a in areas[1:]]),
        reading=_reading(registry, decided) if decided else "",
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
        text=words(facts),
        created_us=now_us,
        expires_us=expires_us,
    )


def _name(registry: Registry, area: str) -> str:
    """Short name of an area; its id where the configuration has lost it: a warning must leave all the same."""
    known = registry.areas.get(area)
    return (known.short or known.name) if known else area


def _reading(registry: Registry, used: Used) -> str:
    """`ระดับน้ำสะพานบ้านโพนยาง 4.62 ม. (เกณฑ์ 4.50 ม.)` in the words and the unit of what was compared; of a station
    upstream also when the water arrives.
    """
    station, _, name = used.series.partition("/")
    quantity, known = QUANTITIES.get(name.partition("@")[0]), registry.stations.get(station)
    what, unit = (quantity.thai, text.UNITS.get(quantity.unit, quantity.unit)) if quantity else (name, "")
    what, unit = input_words(used.input, what=what, unit=unit, per_h=used.per_h)
    decimals = quantity.decimals if quantity else 2
    arrives = f" น้ำจะถึงพื้นที่ราว {thai_clock(used.arrives_us)} น." if used.arrives_us else ""
    measured = text.reading(
        what=what,
        where=known.name if known else station,
        value=f"{used.value:.{decimals}f}",
        threshold=f"{used.threshold:.{decimals}f}",
        unit=unit,
        time_us=used.time_us,
    )
    return f"{measured}{arrives}"
