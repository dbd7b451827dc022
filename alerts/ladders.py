"""Step rules as columns: a ladder of three steps for each (series, input, hazard)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.composites import Composites
from alerts.inputs.listeners import Listener, uses
from alerts.rule import RISE, VALUE, CompositeRule, Listens, RiseRule, StepRule
from sensors.batch import Bool, Float64, Int64
from sensors.stations import SECOND_US, Registry
from sensors.trend import HOUR_US

LOSS_SPAN_US = HOUR_US
"""How far the slope of a series without a rise rule looks back, to tell whether it was lost while rising: as far as
its threshold may lie ahead (contract 5.6)."""
LOSS_CADENCES = 8
"""But at least so many promised readings: a slope needs five."""
NO_SERIES = -1
"""Series of a ladder that composite rules climb."""
PLAIN = 2
"""Inputs that every series has: the value and the slope."""


class Rung(NamedTuple):
    """Names a ladder; in this order."""

    series: int
    input: int
    """0 the value, 1 the slope, then the others: see `Ladders.listens`."""
    hazard: str
    areas: tuple[str, ...] = ()
    """Areas it speaks for; empty: those of its station."""
    sign: str = ""
    """Id of the rule, where it is a sign: it speaks for no area by itself."""


Steps = list[StepRule | None]
"""Rules of the three steps; a sign is the first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladders:
    """All step rules as columns: one ladder per (series, input, hazard), three steps each; behind them one for each
    (area, hazard) of composite rules, which no number climbs (`alerts.composites`).

    A step without a rule of its own is never entered by value (enter = inf); it is left by the line and after the time
    of the step above it, so that a level still comes down one step at a time.
    """

    series: NDArray[np.int32]
    """(p,) index into Registry.series, ascending; of one series those by level come first. NO_SERIES at the end."""
    input: NDArray[np.int16]
    """(p,) what it listens to: 0 the value, 1 the slope, then `listeners`."""
    hazard: tuple[str, ...]
    """Empty where the rules are signs, of which no story is told."""
    areas: tuple[tuple[str, ...], ...]
    """Areas (or the station, of a hazard of stations) that each speaks for."""
    names: tuple[str, ...]
    """Series key, and what else tells a ladder from the others of its series: `RF-01/rain_mm sum 3`."""
    enter: Float64
    """(3, p) unit of the series, per hour where `rise`, else of the input; the sign turned where low ones count."""
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
    travel_us: Int64
    """(p,) how long the water takes to `areas`; see `StepRule.travel_s`."""
    member: Bool
    """(p,) whether composite rules name one of its rules."""
    rules: tuple[tuple[StepRule | CompositeRule | None, ...], ...]
    span_us: Int64
    """(series,) how far the slope of a series looks back; 0 where no rule listens to the series."""
    gate_per_h: Float64
    """(series,) see `RiseRule.gate`; -inf where there is no rise rule."""
    sloped: Bool
    """(series,) whether a rise rule listens to it."""
    many: int
    """How many series there are."""
    listeners: tuple[Listener, ...] = ()
    """Who listens to another input."""
    composites: Composites = field(default_factory=Composites)
    rise: Bool = field(init=False)
    """(p,) whether the ladder listens to the slope of its series."""
    by_value: Bool = field(init=False)
    """(p,) whether it listens to the value itself: its thresholds are heights of the series."""
    lowest: Float64 = field(init=False)
    """(p,) of enter."""
    lowest_of: Float64 = field(init=False)
    """(2, series) of the ladders by value and of those by slope; inf where there is none."""
    first: Int64 = field(init=False)
    """(series + 1,) ladders of series s are first[s] .. first[s + 1]."""
    plain: NDArray[np.intp] = field(init=False)
    """Ladders by value and slope, in order."""
    plain_first: Int64 = field(init=False)
    """(series + 1,) where those of each series begin in `plain`."""
    uses: NDArray[np.uint64] = field(init=False)
    """(series,) which `listeners` each has, a bit for each."""
    heard_by_others: bool = field(init=False)
    """Whether any is a member."""

    def __post_init__(self) -> None:
        every, plain = np.arange(self.many + 1), np.flatnonzero((self.input >= 0) & (self.input < PLAIN))
        derived = {
            "rise": self.input == 1,
            "by_value": self.input == 0,
            "lowest": self.enter.min(axis=0),
            "first": np.searchsorted(self.series[self.series != NO_SERIES], every).astype(np.int64),
            "plain": plain.astype(np.intp),
            "plain_first": np.searchsorted(self.series[plain], every).astype(np.int64),
            "lowest_of": _lowest_of(self.input[plain], self.series[plain], self.enter[:, plain], self.many),
            "uses": uses(self.listeners, self.many),
            "heard_by_others": bool(self.member.any()),
        }
        for name, column in derived.items():
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.series)

    def rule_at(self, ladder: int, level: int) -> StepRule | CompositeRule:
        """The rule that speaks for a step: its own, else the next one above, else the highest below."""
        own = self.rules[ladder]
        for step in (*range(level - 1, 3), *range(level - 2, -1, -1)):
            rule: StepRule | CompositeRule | None = own[step]
            if rule is not None:
                return rule
        raise AssertionError("a ladder has at least one rule")

    def by_level(self, series: int) -> int:
        """The first ladder of a series that listens to its value, -1 where there is none."""
        for ladder in range(int(self.first[series]), int(self.first[series + 1])):
            if self.by_value[ladder] and self.hazard[ladder]:
                return ladder
        return -1

    def listens(self, ladder: int) -> Listens:
        """What a ladder listens to."""
        number = int(self.input[ladder])
        return (VALUE, RISE)[number] if number < PLAIN else self.listeners[number - PLAIN].listens

    def shown(self, ladder: int, number: float) -> float:
        """A number of its input as people know it."""
        return -number if self.listens(ladder).kind == "low" else number

    def of_some(self, series: NDArray[np.intp]) -> tuple["Ladders", NDArray[np.intp]]:
        """For some series alone, which ascend, numbered anew; and which ladders they have. Composite ones have none."""
        at = np.flatnonzero(np.isin(self.series, series))
        own = np.searchsorted(series, self.series[at]).astype(np.int32)
        return Ladders(
            series=own,
            many=len(series),
            input=self.input[at],
            hazard=tuple(self.hazard[p] for p in at.tolist()),
            areas=tuple(self.areas[p] for p in at.tolist()),
            names=tuple(self.names[p] for p in at.tolist()),
            enter=self.enter[:, at],
            leave=self.leave[:, at],
            up_for_us=self.up_for_us[:, at],
            down_for_us=self.down_for_us[:, at],
            cover_us=self.cover_us[at],
            travel_us=self.travel_us[at],
            member=self.member[at],
            rules=tuple(self.rules[p] for p in at.tolist()),
            span_us=self.span_us[series],
            gate_per_h=self.gate_per_h[series],
            sloped=self.sloped[series],
            listeners=tuple(one.of_some(series, at) for one in self.listeners),
        ), at


def _lowest_of(input_: NDArray[np.int16], series: NDArray[np.int32], enter: Float64, many: int) -> Float64:
    found = np.full((PLAIN, many), np.inf)
    np.minimum.at(found, (input_, series), enter.min(axis=0))
    return found


def threshold(rule: StepRule, value: float, registry: Registry, series: int) -> float:
    """A rule's number as its ladder has it: in the unit of the series (per hour for a rise) or of its input."""
    if rule.turned:
        return -value
    if rule.unit != "bank":
        return value
    banks = registry.stations[registry.series[series].station].banks
    assert banks is not None
    return banks.bed_m + value * (banks.lower_m - banks.bed_m)


def lay_out(
    ordered: Sequence[tuple[Rung, Steps]],
    listens: Sequence[Listens],
    registry: Registry,
    composites: Composites | None = None,
) -> Ladders:
    """Make the columns.

    Parameters
    ----------
    ordered : ladders by rising key, with the rules of their steps
    listens : of each number of an input
    composites : of these ladders
    """
    held, many = composites or Composites(), len(registry.series)
    climbed, size = len(held.ladders), len(ordered) + len(held.ladders)
    enter, leave = np.full((3, size), np.inf), np.full((3, size), np.nan)
    up_for, down_for = np.zeros((3, size), dtype=np.int64), np.zeros((3, size), dtype=np.int64)
    cover, travel = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    span, gate = np.zeros(many, dtype=np.int64), np.full(many, -np.inf)
    sloped = np.zeros(many, dtype=np.bool_)
    areas: list[tuple[str, ...]] = []
    names: list[str] = []
    for p, (rung, steps) in enumerate(ordered):
        one = registry.series[rung.series]
        own = [rule for rule in steps if rule is not None]
        last: StepRule | None = None
        for step in (2, 1, 0):
            rule = steps[step]
            if rule is not None:
                enter[step, p] = threshold(rule, rule.enter, registry, rung.series)
                up_for[step, p] = round(rule.up_for_s * SECOND_US)
            last = rule or last
            if last is not None:
                leave[step, p] = threshold(last, last.leave, registry, rung.series)
                down_for[step, p] = round(last.down_for_s * SECOND_US)
        cover[p] = round(min(r.unknown_after for r in own) * one.cadence_us)
        travel[p] = round(max(r.travel_s for r in own) * SECOND_US)
        areas.append(rung.areas or registry.stations[one.station].areas)
        label = listens[rung.input].label() if rung.input >= PLAIN else ""
        names.append(" ".join(part for part in (one.key, label, *rung.areas, rung.sign) if part))
        rises = [r for r in own if isinstance(r, RiseRule)]
        if rises:
            sloped[rung.series] = True
            span[rung.series] = round(rises[0].over_s * SECOND_US)
            low = min(r.gate for r in rises)
            gate[rung.series] = low if np.isneginf(gate[rung.series]) else min(gate[rung.series], low)
        elif rung.input == 0 and not sloped[rung.series]:
            span[rung.series] = max(LOSS_SPAN_US, LOSS_CADENCES * one.cadence_us)
    begin = len(ordered)
    for k, climbed_by in enumerate(held.ladders):
        down_for[:, begin + k] = down_for[:, climbed_by.members].max(initial=0)
        cover[begin + k] = cover[climbed_by.members].max(initial=0)
    member = np.zeros(size, dtype=np.bool_)
    member[held.members] = True
    series = np.array([rung.series for rung, _ in ordered] + [NO_SERIES] * climbed, dtype=np.int32)
    input_ = np.array([rung.input for rung, _ in ordered] + [NO_SERIES] * climbed, dtype=np.int16)
    listeners = []
    for number in range(PLAIN, len(listens)):
        at = np.flatnonzero(input_ == number)
        listeners.append(Listener.of(listens[number], at, series[at], np.nanmin(leave[:, at], axis=0), registry))
    return Ladders(
        series=series,
        many=many,
        input=input_,
        hazard=(*(rung.hazard for rung, _ in ordered), *(one.hazard for one in held.ladders)),
        areas=(*areas, *((one.area,) for one in held.ladders)),
        names=(*names, *(f"composite {one.area}" for one in held.ladders)),
        enter=enter,
        leave=leave,
        up_for_us=up_for,
        down_for_us=down_for,
        cover_us=cover,
        travel_us=travel,
        member=member,
        rules=(*(tuple(steps) for _, steps in ordered), *(one.rules for one in held.ladders)),
        span_us=span,
        gate_per_h=gate,
        sloped=sloped,
        listeners=tuple(listeners),
        composites=held,
    )
