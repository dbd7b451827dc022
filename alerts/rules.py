"""Rules as data: read from `rules.toml`, checked against the stations, laid out as columns."""

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from alerts.ladders import Ladders, Rung, Steps, lay_out, threshold
from alerts.rule import AbsenceRule, LevelRule, RiseRule, Rule, StepRule
from alerts.words import HAZARD_WORDS
from sensors.quantities import QUANTITIES
from sensors.stations import ConfigError, Registry
from sensors.trend import POINTS

__all__ = [
    "AbsenceRule",
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSet:
    """Everything a process judges by."""

    rules: tuple[Rule, ...]
    ladders: Ladders
    absence: AbsenceRule | None


def entries(path: Path, table: str, type_: Any) -> list[Any]:
    """The `[[table]]` entries of a TOML file as typed values; the file holds nothing else.

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
    mistakes = [f"{path}: Object contains unknown field `{key}`" for key in data if key != table]
    rows, found = data.get(table, []), []
    if not isinstance(rows, list) or not rows:
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
    ladders: dict[Rung, Steps] = {}
    sound = [r for r, own in found if not isinstance(r, AbsenceRule) and not own]
    for rule in sorted(sound, key=lambda r: bool(r.stations)):
        for series in _series_of(rule, registry):
            steps = ladders.setdefault((series, isinstance(rule, RiseRule), rule.hazard), [None, None, None])
            there = steps[rule.level - 1]
            if there is not None and bool(there.stations) == bool(rule.stations):
                key = registry.series[series].key
                mistakes.append(f"{there.id} and {rule.id} both speak for {key} level {rule.level}")
            steps[rule.level - 1] = rule
    ordered = sorted(ladders.items())
    for (series, _, hazard), steps in ordered:
        mistakes += [f"{registry.series[series].key}, {hazard}: {m}" for m in _disorder(steps, registry, series)]
    mistakes += _spans(ordered, registry)
    if mistakes:
        raise ConfigError([f"{where}: {m}" for m in mistakes])
    return RuleSet(rules=tuple(rules), ladders=lay_out(ordered, registry), absence=absences[0] if absences else None)


def _series_of(rule: StepRule, registry: Registry) -> Iterator[int]:
    for index, series in enumerate(registry.series):
        station = registry.stations[series.station]
        if series.quantity != rule.quantity or (rule.stations and station.id not in rule.stations):
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
    if rule.level not in (1, 2, 3):
        yield f"{who}: level is {rule.level} but must be 1, 2 or 3"
    if rule.hazard not in HAZARD_WORDS:
        yield f"{who}: hazard {rule.hazard!r} is not one of {', '.join(HAZARD_WORDS)}"
    if not any(True for _ in _series_of(rule, registry)):
        yield f"{who}: no station measures {rule.quantity}{' and has banks' if rule.unit == 'bank' else ''}"
    yield from _unfit(who, rule)
    numbers = {name: getattr(rule, name) for name in ("enter", "leave", "up_for_s", "down_for_s", "unknown_after")}
    if isinstance(rule, RiseRule):
        numbers |= {"over_s": rule.over_s, "gate": rule.gate}
    endless = [f"{name} is {value}" for name, value in numbers.items() if not math.isfinite(value)]
    if endless:
        yield f"{who}: {', '.join(endless)}, but must be finite"
    if rule.leave >= rule.enter:
        yield f"{who}: leave is {rule.leave} but must be below enter ({rule.enter} {rule.unit})"
    if rule.up_for_s < 0:
        yield f"{who}: up_for_s is {rule.up_for_s} but must not be negative"
    if rule.down_for_s <= 0:
        yield f"{who}: down_for_s is {rule.down_for_s} but must be above 0: a level comes down one step at a time"
    if rule.unknown_after < 1.5:
        yield f"{who}: unknown_after is {rule.unknown_after} cadences but must be at least 1.5"
    if isinstance(rule, RiseRule) and rule.gate > rule.leave:
        yield f"{who}: gate is {rule.gate} but must not be above leave ({rule.leave} {rule.unit})"
    for station in rule.stations:
        held = registry.stations.get(station)
        if held is None:
            yield f"{who}: station {station!r} is not in stations.toml"
        elif rule.unit == "bank" and held.banks is None:
            yield f"{who}: station {station} has no banks, but the unit is bank"
    if not rule.source.strip() or not rule.author.strip():
        yield f"{who}: source and author must be said"


def _unfit(who: str, rule: StepRule) -> Iterator[str]:
    quantity = QUANTITIES.get(rule.quantity)
    if quantity is None:
        yield f"{who}: quantity {rule.quantity!r} is not one of {', '.join(QUANTITIES)}"
        return
    own = f"{quantity.unit}/h" if isinstance(rule, RiseRule) else quantity.unit
    if rule.unit != own and not (rule.unit == "bank" and rule.quantity == "stage_m"):
        yield f"{who}: unit {rule.unit!r} does not fit {rule.quantity} ({own})"


def _disorder(steps: Steps, registry: Registry, series: int) -> Iterator[str]:
    held = [r for r in steps if r is not None]
    limits = registry.limits
    for rule in held:
        if isinstance(rule, RiseRule):
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
    """A series has one slope; and it must be possible to have one."""
    over: dict[int, RiseRule] = {}
    for (series, _, _), steps in ordered:
        one = registry.series[series]
        for rule in (r for r in steps if isinstance(r, RiseRule)):
            first = over.setdefault(series, rule)
            if first.over_s != rule.over_s:
                yield (
                    f"{one.key}: over_s of {rule.id} ({rule.over_s:g}) differs from that of {first.id} "
                    f"({first.over_s:g}): a series has one slope"
                )
            if rule.over_s * 1e6 < (POINTS - 1) * one.cadence_us:
                yield (
                    f"{one.key}: over_s of {rule.id} is {rule.over_s:g} but must span {POINTS} readings, "
                    f"{(POINTS - 1) * one.cadence_us / 1e6:g} s"
                )
