"""Who releases a public warning, how it is cleared, by which channels it leaves: for each hazard and level."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

import msgspec

from alerts import duty
from alerts.channels import NAMES
from alerts.duty import Contact, Step
from alerts.episode import Kind, Level
from alerts.rules import Rule, entries
from alerts.text import ACTIONS
from alerts.words import STATION_HAZARDS
from sensors.stations import ConfigError


class Release(StrEnum):
    """Who lets a warning go public."""

    AUTO = "auto"
    """The rule itself: exercise and test only."""
    ONE = "one"
    TWO = "two"


class Clear(StrEnum):
    """Who takes it down."""

    AUTO = "auto"
    PERSON = "person"


class Unanswered(StrEnum):
    """What becomes of a chain that nobody answered: never a closed ticket."""

    STANDING = "standing"
    """A red alarm that stands until somebody answers."""
    RELEASE = "release"
    """The rule releases: the timed release, which in the actual world the council switches on."""


class Council(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision that switched a timed release on."""

    resolution: str
    date: date


ACKNOWLEDGED_MIN = 480.0
"""A shift: whoever took note of it goes home then."""
ACKNOWLEDGED_MIN_MAX = 1440.0
REARM_S = 1800.0
"""NWS merges events closer than 30 min (design 5, sources in domain.md)."""
DAY_S = 86_400.0


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of `routes.toml`."""

    hazard: str
    level: int
    release: Release
    clear: Clear
    channels: tuple[str, ...]
    expires_s: int
    """How long the message may still be sent and believed, s."""
    chain: tuple[Step, ...] = ()
    """Who is called in turn until somebody answers; empty: nobody is."""
    unanswered: Unanswered = Unanswered.STANDING
    council: Council | None = None
    """Who switched `unanswered = "release"` on, and when."""
    acknowledged_min: float = ACKNOWLEDGED_MIN
    """An acknowledgement is over after so many minutes, if its officer says no other time: it rings again if the level
    still stands."""
    rearm_s: float = REARM_S
    """A story that closed goes on when the level rises again within so many seconds to no more than its peak; later, or
    higher, begins a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All routes; a hazard without one (a silent station) never goes public."""

    by: Mapping[tuple[str, int], Route]
    contacts: tuple[Contact, ...] = ()
    """Everybody who can be called."""

    def find(self, hazard: str, level: int) -> Route | None:
        """The route of a level."""
        return self.by.get((hazard, level))

    def acknowledged_min(self, hazard: str, level: int) -> float:
        """Minutes after which an acknowledgement of a level is over."""
        route = self.find(hazard, level)
        return route.acknowledged_min if route else ACKNOWLEDGED_MIN

    def rearm_s(self, hazard: str, level: int) -> float:
        """Seconds within which a closed story goes on; 0 where there is no route."""
        route = self.find(hazard, level)
        return route.rearm_s if route else 0.0

    @property
    def rearm_max_s(self) -> float:
        """The longest of them."""
        return max((route.rearm_s for route in self.by.values()), default=0.0)

    def highest(self, hazard: str) -> Route:
        """The route of the highest level that has one: what went public must be able to end, whatever became of its
        route.

        Raises
        ------
        LookupError : the hazard has none at all
        """
        found = [route for (of, _), route in self.by.items() if of == hazard]
        if not found:
            raise LookupError(f"routes.toml has no route for {hazard}: nobody can be told")
        return max(found, key=lambda route: route.level)

    def automatic(self) -> "Routes":
        """The same routes with release and clearing left to the rules: for exercises."""
        return Routes(
            by={
                key: msgspec.structs.replace(route, release=Release.AUTO, clear=Clear.AUTO)
                for key, route in self.by.items()
            },
            contacts=self.contacts,
        )


def load(path: Path, *, kind: Kind) -> Routes:
    """Read `routes.toml` for one world.

    Raises
    ------
    ConfigError : unreadable, a level twice, or `auto` in the actual world
    """
    contacts = entries(path, "contact", Contact, beside=("route",), least=0)
    return build(entries(path, "route", Route, beside=("contact",)), contacts, kind=kind, where=str(path))


def build(
    routes: Sequence[Route],
    contacts: Sequence[Contact] = (),
    *,
    kind: Kind,
    where: str = "routes",
    channels: Sequence[str] = NAMES,
) -> Routes:
    """Check routes against each other, the people they call and the world they serve.

    Parameters
    ----------
    channels : those that are built

    Raises
    ------
    ConfigError : all mistakes at once
    """
    found = [*_mistakes(routes, kind, channels), *duty.mistakes(contacts, channels=channels)]
    found += _chain_mistakes(routes, contacts, kind)
    if found:
        raise ConfigError([f"{where}: {m}" for m in found])
    return Routes(by={(r.hazard, r.level): r for r in routes}, contacts=tuple(contacts))


def unwatched(routes: Routes) -> list[str]:
    """Hazards whose critical level could find nobody, as mistakes of an actual world (contract 5.10)."""
    found = []
    for (hazard, level), route in sorted(routes.by.items()):
        if level != Level.CRITICAL or route.unanswered is Unanswered.RELEASE:
            continue
        if lacks := duty.uncalled(route.chain, routes.contacts):
            found.append(
                f"{hazard} level 3 may find nobody: {lacks}; or let the council switch the timed release on "
                '(unanswered = "release" with council)'
            )
    return found


def uncovered(routes: Routes, rules: Sequence[Rule]) -> list[str]:
    """Levels that a rule can reach and that nobody is told of, as mistakes of the configuration."""
    public = (rule for rule in rules if rule.level and rule.hazard not in STATION_HAZARDS)
    reached = {(rule.hazard, rule.level): rule.id for rule in public}
    return [
        f"rule {id} reaches {hazard} level {level}, for which routes.toml has no route"
        for (hazard, level), id in sorted(reached.items())
        if routes.find(hazard, level) is None
    ]


def _mistakes(routes: Sequence[Route], kind: Kind, channels: Sequence[str]) -> list[str]:
    found = []
    for route in routes:
        who = f"route {route.hazard} level {route.level}"
        if route.level not in (1, 2, 3):
            found.append(f"{who}: level must be 1, 2 or 3")
        elif (route.hazard, route.level) not in ACTIONS:
            found.append(
                f"{who}: there are no reviewed words for it; expected {', '.join(sorted({h for h, _ in ACTIONS}))}"
            )
        if not route.channels:
            found.append(f"{who}: channels is empty; a warning that leaves by no channel warns nobody")
        for channel in route.channels:
            if channel not in channels:
                found.append(
                    f"{who}: channel {channel!r} is not one of {', '.join(channels)}: nothing would leave by it"
                )
        if route.expires_s <= 0:
            found.append(f"{who}: expires_s is {route.expires_s} but must be above 0")
        if kind is Kind.ACTUAL and Release.AUTO in (route.release, route.clear):
            found.append(f"{who}: auto is for exercise and test only; use one or two, and clear = person")
        if kind is Kind.ACTUAL and route.level >= 2 and route.release is not Release.TWO:
            found.append(f'{who}: from level 2 a release needs two people; use release = "two"')
    if len({(r.hazard, r.level) for r in routes}) < len(routes):
        found.append("each hazard and level may have one route")
    return found


def _chain_mistakes(routes: Sequence[Route], contacts: Sequence[Contact], kind: Kind) -> Iterator[str]:
    roles = Counter(one.role for one in contacts)
    for route in routes:
        who = f"route {route.hazard} level {route.level}"
        yield from duty.chain_mistakes(who, route.chain, roles)
        if not 0 < route.acknowledged_min <= ACKNOWLEDGED_MIN_MAX:
            most = f"{ACKNOWLEDGED_MIN_MAX:g} at most"
            yield f"{who}: acknowledged_min is {route.acknowledged_min:g} but must be above 0, {most}"
        if not 0 <= route.rearm_s <= DAY_S:
            yield f"{who}: rearm_s is {route.rearm_s:g} but must be 0 to {DAY_S:g}"
        if route.unanswered is Unanswered.STANDING:
            continue
        if not route.chain:
            yield f"{who}: unanswered = release needs a chain: its minutes are the time that people have"
        if kind is Kind.ACTUAL and (route.council is None or not route.council.resolution.strip()):
            yield f"{who}: a timed release is the council's to switch on; name its resolution and date in council"
