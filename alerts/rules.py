"""Rules as data: read from `rules.toml`, checked against the stations, laid out as columns."""

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from alerts import composites
from alerts.inputs.ahead import AheadRule
from alerts.inputs.band import BandRule
from alerts.inputs.jump import JumpRule
from alerts.inputs.rain_sum import SumRule
from alerts.inputs.stuck import StuckRule
from alerts.ladders import PLAIN, Ladders, Rung, Steps, lay_out, threshold
from alerts.rule import RISE, VALUE, AbsenceRule, CompositeRule, LevelRule, Listens, RiseRule, StepRule
from alerts.words import HAZARD_WORDS, STATION_HAZARDS
from sensors.quantities import QUANTITIES
from sensors.stations import SECOND_US, ConfigError, Registry

__all__ = [
    "AbsenceRule",
    "CompositeRule",
    "Ladders",
    "LevelRule",
    "RiseRule",
    "Rule",
    "RuleSet",
    "StepRule",
    "compile_rules",
    "entries",
    "read",
    "threshold",
]


Rule = LevelRule | RiseRule | AheadRule | SumRule | BandRule | JumpRule | StuckRule | AbsenceRule | CompositeRule
"""Every kind; one that is added here can stand in `rules.toml`."""
LISTENERS_MAX = 64
"""Different inputs that the rules of a world may name beside the value and the slope."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSet:
    """Everything a process judges by."""

    rules: tuple[Rule, ...]
    ladders: Ladders
    absence: AbsenceRule | None
    idle: tuple[str, ...] = ()
    """Ids of rules for which there is nothing to listen to: no station measures the quantity."""


def entries(path: Path, table: str, type_: Any, *, beside: Sequence[str] = (), least: int = 1) -> list[Any]:
    """The `[[table]]` entries of a TOML file as typed values; the file holds nothing else.

    Parameters
    ----------
    beside : other tables that it may hold
    least : fewer are a mistake

    Raises
    ------
    ConfigError : the file is missing or not TOML, or what each entry gets wrong by an unknown key or a value of the
        wrong type
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; name its folder with TAKEAN_CONFIG"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    mistakes = [f"{path}: Object contains unknown field `{key}`" for key in data if key not in (table, *beside)]
    rows, found = data.get(table, []), []
    if not isinstance(rows, list) or len(rows) < least:
        mistakes.append(f"{path}: expected [[{table}]] entries")
        rows = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(msgspec.convert(row, type_))
        except msgspec.ValidationError as error:
            name = row.get("id", "") if isinstance(row, dict) else ""
            mistakes.append(f"{path}: {table} {number}{f' ({name})' if name else ''}: {error}")
    if mistakes:
        raise ConfigError(mistakes)
    return found


def read(path: Path) -> tuple[Rule, ...]:
    """Read `rules.toml`.

    Raises
    ------
    ConfigError : see `entries`
    """
    return tuple(entries(path, "rule", Rule))


def compile_rules(rules: Sequence[Rule], registry: Registry, *, where: str = "rules") -> RuleSet:
    """Check rules against the stations and lay them out.

    Raises
    ------
    ConfigError : all mistakes at once
    """
    found = [(rule, list(_mistakes(rule, registry))) for rule in rules]
    mistakes = [m for _, own in found for m in own]
    if len({r.id for r in rules}) < len(rules):
        mistakes.append("rule ids must differ")
    absences = [r for r in rules if isinstance(r, AbsenceRule)]
    if len(absences) > 1:
        mistakes.append(f"more than one absence rule: {', '.join(r.id for r in absences)}")
    mistakes += _unnamed(rules)
    sound = [r for r, own in found if isinstance(r, StepRule) and not own]
    listens = [VALUE, RISE, *sorted({r.listens() for r in sound} - {VALUE, RISE})]
    if len(listens) > PLAIN + LISTENERS_MAX:
        mistakes.append(
            f"the rules listen to {len(listens) - PLAIN} different inputs but must not to more than {LISTENERS_MAX}"
        )
    ladders: dict[Rung, Steps] = {}
    idle: list[str] = []
    for rule in sorted(sound, key=lambda r: bool(r.stations)):
        own_series = list(_series_of(rule, registry))
        if not own_series:
            idle.append(rule.id)
        for series in own_series:
            rung = _rung(rule, series, listens, registry)
            steps = ladders.setdefault(rung, [None, None, None])
            at = max(rule.level, 1) - 1
            there = steps[at]
            if there is not None and bool(there.stations) == bool(rule.stations):
                key = registry.series[series].key
                mistakes.append(f"{there.id} and {rule.id} both speak for {key} level {rule.level}")
            steps[at] = rule
    ordered = sorted(ladders.items(), key=lambda one: one[0])
    for rung, steps in ordered:
        who = f"{registry.series[rung.series].key}, {rung.hazard or rung.sign}"
        mistakes += [f"{who}: {m}" for m in _disorder(steps, registry, rung.series)]
    mistakes += _spans(ordered, registry)
    if mistakes:
        raise ConfigError([f"{where}: {m}" for m in mistakes])
    held = [
        (rung.areas or registry.stations[registry.series[rung.series].station].areas, steps) for rung, steps in ordered
    ]
    laid, unled = composites.lay([r for r in rules if isinstance(r, CompositeRule)], held)
    return RuleSet(
        rules=tuple(rules),
        ladders=lay_out(ordered, listens, registry, laid),
        absence=absences[0] if absences else None,
        idle=(*idle, *unled),
    )


def _rung(rule: StepRule, series: int, listens: Sequence[Listens], registry: Registry) -> Rung:
    sign, areas = "" if rule.level else rule.id, rule.for_areas
    if rule.hazard in STATION_HAZARDS and rule.level:
        areas = (registry.series[series].station,)
    hazard = rule.hazard if rule.level else ""
    return Rung(series=series, input=listens.index(rule.listens()), hazard=hazard, areas=areas, sign=sign)


def _unnamed(rules: Sequence[Rule]) -> Iterator[str]:
    """Composite rules that name what does not stand before them, or ask for more than they name."""
    before: set[str] = set()
    for rule in rules:
        if isinstance(rule, CompositeRule):
            for id in (*rule.all, *rule.any, *rule.none):
                if id not in before:
                    yield f"rule {rule.id}: {id!r} is no rule that stands before it"
        if not isinstance(rule, AbsenceRule):
            before.add(rule.id)


def _series_of(rule: StepRule, registry: Registry) -> Iterator[int]:
    for index, series in enumerate(registry.series):
        station = registry.stations[series.station]
        if series.superseded:
            continue
        if rule.quantity not in (series.quantity, series.name) or (rule.stations and station.id not in rule.stations):
            continue
        if rule.unit == "bank" and station.banks is None:
            continue
        yield index


def _mistakes(rule: Rule, registry: Registry) -> Iterator[str]:
    who = f"rule {rule.id}"
    if isinstance(rule, AbsenceRule):
        if not 1.5 <= rule.after < math.inf:
            yield f"{who}: after is {rule.after} cadences but must be at least 1.5 and finite"
        return
    if rule.level not in (0, 1, 2, 3):
        yield f"{who}: level is {rule.level} but must be 1, 2 or 3; or 0 for a sign"
    if rule.hazard not in HAZARD_WORDS:
        yield f"{who}: hazard {rule.hazard!r} is not one of {', '.join(HAZARD_WORDS)}"
    if not rule.source.strip() or not rule.author.strip():
        yield f"{who}: source and author must be said"
    yield from (f"{who}: {m}" for m in (_composed(rule) if isinstance(rule, CompositeRule) else _step(rule, registry)))


def _composed(rule: CompositeRule) -> Iterator[str]:
    if not (rule.all or rule.any):
        yield "names neither all nor any; what is only not true warns of nothing"
    if rule.hazard in STATION_HAZARDS:
        yield f"hazard {rule.hazard} is of a station, but a composite rule speaks for an area; use another hazard"
    if not 1 <= rule.at_least <= max(len(rule.any), 1) and not rule.each_sensor:
        yield f"at_least is {rule.at_least} but must be 1 to {len(rule.any)}, as many as any names"
    elif rule.at_least < 1:
        yield f"at_least is {rule.at_least} but must be 1 or more"


def _step(rule: StepRule, registry: Registry) -> Iterator[str]:
    if rule.stations and not any(True for _ in _series_of(rule, registry)):
        yield f"no station measures {rule.quantity}{' and has banks' if rule.unit == 'bank' else ''}"
    yield from _unfit(rule)
    endless = [f"{name} is {value}" for name, value in rule.numbers().items() if not math.isfinite(value)]
    if endless:
        yield f"{', '.join(endless)}, but must be finite"
    if rule.turned and rule.leave <= rule.enter:
        yield f"leave is {rule.leave} but must be above enter ({rule.enter} {rule.unit}): it holds below"
    if not rule.turned and rule.leave >= rule.enter:
        yield f"leave is {rule.leave} but must be below enter ({rule.enter} {rule.unit})"
    if rule.up_for_s < 0:
        yield f"up_for_s is {rule.up_for_s} but must not be negative"
    if rule.down_for_s <= 0:
        yield f"down_for_s is {rule.down_for_s} but must be above 0: a level comes down one step at a time"
    if rule.unknown_after < 1.5:
        yield f"unknown_after is {rule.unknown_after} cadences but must be at least 1.5"
    if rule.travel_s < 0 or (rule.travel_s and not rule.for_areas):
        yield f"travel_s is {rule.travel_s:g} but must not be negative, and needs for_areas: the areas it travels to"
    yield from rule.wrong()
    for area in rule.for_areas:
        if area not in registry.areas:
            yield f"for_areas {area!r} is not in stations.toml"
    for station in rule.stations:
        held = registry.stations.get(station)
        if held is None:
            yield f"station {station!r} is not in stations.toml"
        elif rule.unit == "bank" and held.banks is None:
            yield f"station {station} has no banks, but the unit is bank"


def _unfit(rule: StepRule) -> Iterator[str]:
    quantity = QUANTITIES.get(rule.quantity.partition("@")[0])
    if quantity is None:
        yield f"quantity {rule.quantity!r} is not one of {', '.join(QUANTITIES)}"
        return
    units = rule.units(quantity)
    if not units:
        yield f"quantity {rule.quantity} must be another one: there is no such number of it"
    elif rule.unit not in units or (rule.turned and rule.unit == "bank"):
        yield f"unit {rule.unit!r} does not fit {rule.quantity} ({', '.join(units)})"


def _disorder(steps: Steps, registry: Registry, series: int) -> Iterator[str]:
    held = [r for r in steps if r is not None]
    limits = registry.limits
    for rule in held:
        if rule.listens() != VALUE:
            continue  # whatever a station may show, it may rise by
        enter = threshold(rule, rule.enter, registry, series)
        for name, limit in (("suspect", limits.suspect_high[series]), ("gross", limits.fail_high[series])):
            if enter >= limit:
                yield f"{rule.id} holds from {enter:g}, but above the {name} range ({limit:g}) no reading is believed"
    for low, high in pairwise(held):
        for name in ("enter", "leave"):
            lower = threshold(low, getattr(low, name), registry, series)
            upper = threshold(high, getattr(high, name), registry, series)
            if not lower < upper:
                yield f"{name} of {low.id} ({lower}) must be below that of {high.id} ({upper})"


def _spans(ordered: Sequence[tuple[Rung, Steps]], registry: Registry) -> Iterator[str]:
    """A series has one slope; and it must be possible to have a number."""
    over: dict[int, RiseRule] = {}
    for rung, steps in ordered:
        one = registry.series[rung.series]
        for rule in (r for r in steps if r is not None):
            yield from (f"{one.key}: {m}" for m in rule.wrong_at(one.cadence_us / SECOND_US))
            if isinstance(rule, RiseRule):
                first = over.setdefault(rung.series, rule)
                if first.over_s != rule.over_s:
                    yield (
                        f"{one.key}: over_s of {rule.id} ({rule.over_s:g}) differs from that of {first.id} "
                        f"({first.over_s:g}): a series has one slope"
                    )
