"""Rules as data: typed, with unit, source, author and date; read, checked against the stations, laid out as columns."""

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.episode import Level
from alerts.words import HAZARD_WORDS
from sensors.batch import Float64, Int64
from sensors.quantities import QUANTITIES
from sensors.stations import SECOND_US, ConfigError, Registry

LEVELS = (Level.WATCH, Level.WARNING, Level.CRITICAL)


class LevelRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="level"):
    """A value at or above a threshold, held for a time (contract 5.2, 5.4)."""

    id: str
    version: str
    hazard: str
    level: int
    quantity: str
    unit: Literal["m", "bank", "ug/m3", "mm"]
    """`bank`: fraction of the lower bank's height over the bed, the percentage of the ThaiWater scale."""
    enter: float
    leave: float
    """Below this it may be left; below `enter`, so that a value on the line does not flap."""
    up_for_s: float
    down_for_s: float
    unknown_after: float = 3.0
    """Evidence is unknown when its newest usable reading is older than this many cadences."""
    stations: tuple[str, ...] = ()
    """Empty: every station that measures the quantity (and has banks, where the unit is `bank`). A named station
    takes this rule instead of an unnamed one of the same hazard and level."""
    source: str
    author: str
    date: date


class AbsenceRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="absence"
):
    """A station that promised readings and is silent (contract 5.6)."""

    id: str
    version: str
    hazard: Literal["station"]
    level: Literal[1]
    after: float = 3.0
    """Cadences without any arrival."""
    source: str
    author: str
    date: date


Rule = LevelRule | AbsenceRule


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rule: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladders:
    """All level rules as columns: one ladder per (hazard, series), three steps each.

    A step without a rule of its own is never entered by value (enter = inf); it is left by the line and after the time
    of the step above it, so that a level still comes down one step at a time.
    """

    series: NDArray[np.int32]
    """(p,) index into Registry.series, ascending."""
    hazard: tuple[str, ...]
    enter: Float64
    """(3, p) unit of the series."""
    leave: Float64
    """(3, p)"""
    up_for_us: Int64
    """(3, p)"""
    down_for_us: Int64
    """(3, p)"""
    cover_us: Int64
    """(p,) largest gap between two usable readings that a hold may span; also the age at which evidence becomes
    unknown.
    """
    first: Int64
    """(series + 1,) ladders of series s are first[s] .. first[s + 1]."""
    rules: tuple[tuple[LevelRule | None, LevelRule | None, LevelRule | None], ...]

    def __len__(self) -> int:
        return len(self.series)

    def rule_at(self, ladder: int, level: int) -> LevelRule:
        """The rule that speaks for a step: its own, else the next one above, else the highest below."""
        own = self.rules[ladder]
        for step in (*range(level - 1, 3), *range(level - 2, -1, -1)):
            rule = own[step]
            if rule is not None:
                return rule
        raise AssertionError("a ladder has at least one rule")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSet:
    """Everything a process judges by."""

    rules: tuple[Rule, ...]
    ladders: Ladders
    absence: AbsenceRule | None


def read(path: Path) -> tuple[Rule, ...]:
    """Read `rules.toml`.

    Raises
    ------
    ConfigError : the file is missing, not TOML, or holds an unknown key or a value of the wrong type
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).rule
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; name its folder with TAKEAN_CONFIG"]) from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError([f"{path}: {error}"]) from error


def compile_rules(rules: Sequence[Rule], registry: Registry, *, where: str = "rules") -> RuleSet:
    """Check rules against the stations and lay them out.

    Raises
    ------
    ConfigError : all mistakes at once
    """
    found = [(rule, list(_mistakes(rule, registry))) for rule in rules]
    mistakes = [f"{where}: {m}" for _, own in found for m in own]
    if len({r.id for r in rules}) < len(rules):
        mistakes.append(f"{where}: rule ids must differ")
    absences = [r for r in rules if isinstance(r, AbsenceRule)]
    if len(absences) > 1:
        mistakes.append(f"{where}: more than one absence rule: {', '.join(r.id for r in absences)}")
    steps: dict[tuple[int, str], list[LevelRule | None]] = {}
    for rule in sorted((r for r, own in found if isinstance(r, LevelRule) and not own), key=lambda r: bool(r.stations)):
        for series in _series_of(rule, registry):
            ladder = steps.setdefault((series, rule.hazard), [None, None, None])
            there = ladder[rule.level - 1]
            if there is not None and bool(there.stations) == bool(rule.stations):
                key = registry.series[series].key
                mistakes.append(f"{where}: {there.id} and {rule.id} both speak for {key} level {rule.level}")
            ladder[rule.level - 1] = rule
    ordered = sorted(steps.items())
    for (series, hazard), ladder in ordered:
        mistakes += [
            f"{where}: {registry.series[series].key}, {hazard}: {m}" for m in _disorder(ladder, registry, series)
        ]
    if mistakes:
        raise ConfigError(mistakes)
    return RuleSet(
        rules=tuple(rules),
        ladders=_columns(ordered, registry),
        absence=absences[0] if absences else None,
    )


def threshold(rule: LevelRule, value: float, registry: Registry, series: int) -> float:
    """A rule's number in the unit of the series."""
    if rule.unit != "bank":
        return value
    banks = registry.stations[registry.series[series].station].banks
    assert banks is not None
    return banks.bed_m + value * (banks.lower_m - banks.bed_m)


def _series_of(rule: LevelRule, registry: Registry) -> Iterator[int]:
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
        if rule.after < 1.5:
            yield f"{who}: after is {rule.after} cadences but must be at least 1.5"
        return
    if rule.level not in (1, 2, 3):
        yield f"{who}: level is {rule.level} but must be 1, 2 or 3"
    if rule.hazard not in HAZARD_WORDS:
        yield f"{who}: hazard {rule.hazard!r} is not one of {', '.join(HAZARD_WORDS)}"
    numbers = (rule.enter, rule.leave, rule.up_for_s, rule.down_for_s, rule.unknown_after)
    if not all(math.isfinite(number) for number in numbers):
        yield f"{who}: enter, leave, up_for_s, down_for_s and unknown_after must be finite, not {numbers}"
        return
    if not any(True for _ in _series_of(rule, registry)):
        yield f"{who}: no station measures {rule.quantity}{' and has banks' if rule.unit == 'bank' else ''}"
    quantity = QUANTITIES.get(rule.quantity)
    if quantity is None:
        yield f"{who}: quantity {rule.quantity!r} is not one of {', '.join(QUANTITIES)}"
    elif rule.unit not in (quantity.unit, "bank") or (rule.unit == "bank" and rule.quantity != "stage_m"):
        yield f"{who}: unit {rule.unit!r} does not fit {rule.quantity} ({quantity.unit})"
    if not rule.leave < rule.enter:
        yield f"{who}: leave is {rule.leave} but must be below enter ({rule.enter} {rule.unit})"
    if rule.up_for_s < 0:
        yield f"{who}: up_for_s is {rule.up_for_s} but must not be negative"
    if rule.down_for_s <= 0:
        yield f"{who}: down_for_s is {rule.down_for_s} but must be above 0: a level comes down one step at a time"
    if rule.unknown_after < 1.5:
        yield f"{who}: unknown_after is {rule.unknown_after} cadences but must be at least 1.5"
    for station in rule.stations:
        held = registry.stations.get(station)
        if held is None:
            yield f"{who}: station {station!r} is not in stations.toml"
        elif rule.unit == "bank" and held.banks is None:
            yield f"{who}: station {station} has no banks, but the unit is bank"
    if not rule.source.strip() or not rule.author.strip():
        yield f"{who}: source and author must be said"


def _disorder(ladder: Sequence[LevelRule | None], registry: Registry, series: int) -> Iterator[str]:
    held = [r for r in ladder if r is not None]
    limits = registry.limits
    for rule in held:
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


def _columns(ordered: Sequence[tuple[tuple[int, str], list[LevelRule | None]]], registry: Registry) -> Ladders:
    size = len(ordered)
    enter, leave = np.full((3, size), np.inf), np.full((3, size), np.nan)
    up_for, down_for = np.zeros((3, size), dtype=np.int64), np.zeros((3, size), dtype=np.int64)
    cover = np.zeros(size, dtype=np.int64)
    for p, ((series, _), ladder) in enumerate(ordered):
        held: LevelRule | None = None
        for step in (2, 1, 0):
            rule = ladder[step]
            if rule is not None:
                enter[step, p] = threshold(rule, rule.enter, registry, series)
                up_for[step, p] = round(rule.up_for_s * SECOND_US)
            held = rule or held
            if held is not None:
                leave[step, p] = threshold(held, held.leave, registry, series)
                down_for[step, p] = round(held.down_for_s * SECOND_US)
        covers = [r.unknown_after for r in ladder if r is not None]
        cover[p] = round(min(covers) * registry.series[series].cadence_us)
    series_of = np.array([key[0] for key, _ in ordered], dtype=np.int32)
    return Ladders(
        series=series_of,
        hazard=tuple(key[1] for key, _ in ordered),
        enter=enter,
        leave=leave,
        up_for_us=up_for,
        down_for_us=down_for,
        cover_us=cover,
        first=np.searchsorted(series_of, np.arange(len(registry.series) + 1)).astype(np.int64),
        rules=tuple((x[0], x[1], x[2]) for _, x in ordered),
    )
