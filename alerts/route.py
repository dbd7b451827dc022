"""Who releases a public warning, how it is cleared, by which channels it leaves: for each hazard and level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from alerts.channels import NAMES
from alerts.episode import Kind
from alerts.rules import AbsenceRule, Rule, entries
from alerts.text import ACTIONS
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


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of `routes.toml`."""

    hazard: str
    level: int
    release: Release
    clear: Clear
    channels: tuple[str, ...]
    expires_s: int
    """How long the message may still be sent and believed, s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All routes; a hazard without one (a silent station) never goes public."""

    by: Mapping[tuple[str, int], Route]

    def find(self, hazard: str, level: int) -> Route | None:
        """The route of a level."""
        return self.by.get((hazard, level))

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
            }
        )


def load(path: Path, *, kind: Kind) -> Routes:
    """Read `routes.toml` for one world.

    Raises
    ------
    ConfigError : unreadable, a level twice, or `auto` in the actual world
    """
    return build(entries(path, "route", Route), kind=kind, where=str(path))


def build(routes: Sequence[Route], *, kind: Kind, where: str = "routes") -> Routes:
    """Check routes against each other and the world they serve.

    Raises
    ------
    ConfigError : all mistakes at once
    """
    mistakes = [f"{where}: {m}" for m in _mistakes(routes, kind)]
    if mistakes:
        raise ConfigError(mistakes)
    return Routes(by={(r.hazard, r.level): r for r in routes})


def uncovered(routes: Routes, rules: Sequence[Rule]) -> list[str]:
    """Levels that a rule can reach and that nobody is told of, as mistakes of the configuration."""
    reached = {(rule.hazard, rule.level): rule.id for rule in rules if not isinstance(rule, AbsenceRule)}
    return [
        f"rule {id} reaches {hazard} level {level}, for which routes.toml has no route"
        for (hazard, level), id in sorted(reached.items())
        if routes.find(hazard, level) is None
    ]


def _mistakes(routes: Sequence[Route], kind: Kind) -> list[str]:
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
            if channel not in NAMES:
                found.append(f"{who}: channel {channel!r} is not one of {', '.join(NAMES)}: nothing would leave by it")
        if route.expires_s <= 0:
            found.append(f"{who}: expires_s is {route.expires_s} but must be above 0")
        if kind is Kind.ACTUAL and Release.AUTO in (route.release, route.clear):
            found.append(f"{who}: auto is for exercise and test only; use one or two, and clear = person")
        if kind is Kind.ACTUAL and route.level >= 2 and route.release is not Release.TWO:
            found.append(f'{who}: from level 2 a release needs two people; use release = "two"')
    if len({(r.hazard, r.level) for r in routes}) < len(routes):
        found.append("each hazard and level may have one route")
    return found
