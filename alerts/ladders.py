"""Step rules as columns: a ladder of three steps for each (series, hazard, input)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.rule import RiseRule, StepRule
from sensors.batch import Bool, Float64, Int64
from sensors.stations import SECOND_US, Registry
from sensors.trend import HOUR_US

Rung = tuple[int, bool, str]
"""(series, whether it listens to the slope, hazard): names a ladder; in this order."""
Steps = list[StepRule | None]
"""Rules of the three steps."""

LOSS_SPAN_US = HOUR_US
"""How far the slope of a series without a rise rule looks back, to tell whether it was lost while rising: as far as
its threshold may lie ahead (contract 5.6)."""
LOSS_CADENCES = 8
"""But at least so many promised readings: a slope needs five."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladders:
    """All level and rise rules as columns: one ladder per (series, hazard, input), three steps each.

    A step without a rule of its own is never entered by value (enter = inf); it is left by the line and after the time
    of the step above it, so that a level still comes down one step at a time.
    """

    series: NDArray[np.int32]
    """(p,) index into Registry.series, ascending; of one series those by level come first."""
    rise: Bool
    """(p,) whether the ladder listens to the slope of its series instead of the value."""
    hazard: tuple[str, ...]
    enter: Float64
    """(3, p) unit of the series, per hour where `rise`."""
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
    rules: tuple[tuple[StepRule | None, StepRule | None, StepRule | None], ...]
    span_us: Int64
    """(series,) how far the slope of a series looks back; 0 where no rule listens to the series."""
    gate_per_h: Float64
    """(series,) see `RiseRule.gate`; -inf where there is no rise rule."""
    sloped: Bool
    """(series,) whether a rise rule listens to it."""

    def __len__(self) -> int:
        return len(self.series)

    def rule_at(self, ladder: int, level: int) -> StepRule:
        """The rule that speaks for a step: its own, else the next one above, else the highest below."""
        own = self.rules[ladder]
        for step in (*range(level - 1, 3), *range(level - 2, -1, -1)):
            rule = own[step]
            if rule is not None:
                return rule
        raise AssertionError("a ladder has at least one rule")

    def by_level(self, series: int) -> int:
        """The first ladder of a series that listens to its value, -1 where there is none."""
        ladder = int(self.first[series])
        return ladder if ladder < self.first[series + 1] and not self.rise[ladder] else -1


def threshold(rule: StepRule, value: float, registry: Registry, series: int) -> float:
    """A rule's number in the unit of the series (per hour for a rise)."""
    if rule.unit != "bank":
        return value
    banks = registry.stations[registry.series[series].station].banks
    assert banks is not None
    return banks.bed_m + value * (banks.lower_m - banks.bed_m)


def lay_out(ordered: Sequence[tuple[Rung, Steps]], registry: Registry) -> Ladders:
    """Make the columns.

    Parameters
    ----------
    ordered : ladders by rising key, with the rules of their steps
    """
    size, many = len(ordered), len(registry.series)
    enter, leave = np.full((3, size), np.inf), np.full((3, size), np.nan)
    up_for, down_for = np.zeros((3, size), dtype=np.int64), np.zeros((3, size), dtype=np.int64)
    cover = np.zeros(size, dtype=np.int64)
    span, gate = np.zeros(many, dtype=np.int64), np.full(many, -np.inf)
    for p, ((series, rise, _), steps) in enumerate(ordered):
        cadence_us = registry.series[series].cadence_us
        held: StepRule | None = None
        for step in (2, 1, 0):
            rule = steps[step]
            if rule is not None:
                enter[step, p] = threshold(rule, rule.enter, registry, series)
                up_for[step, p] = round(rule.up_for_s * SECOND_US)
            held = rule or held
            if held is not None:
                leave[step, p] = threshold(held, held.leave, registry, series)
                down_for[step, p] = round(held.down_for_s * SECOND_US)
        cover[p] = round(min(r.unknown_after for r in steps if r is not None) * cadence_us)
        rises = [r for r in steps if isinstance(r, RiseRule)]
        if rises:
            span[series] = round(rises[0].over_s * SECOND_US)
            low = min(r.gate for r in rises)
            gate[series] = low if np.isneginf(gate[series]) else min(gate[series], low)
        elif not rise:
            span[series] = max(LOSS_SPAN_US, LOSS_CADENCES * cadence_us)
    series_of = np.array([key[0] for key, _ in ordered], dtype=np.int32)
    rise_of = np.array([key[1] for key, _ in ordered], dtype=np.bool_)
    sloped = np.zeros(many, dtype=np.bool_)
    sloped[series_of[rise_of]] = True
    return Ladders(
        series=series_of,
        rise=rise_of,
        hazard=tuple(key[2] for key, _ in ordered),
        enter=enter,
        leave=leave,
        up_for_us=up_for,
        down_for_us=down_for,
        cover_us=cover,
        first=np.searchsorted(series_of, np.arange(many + 1)).astype(np.int64),
        rules=tuple((x[0], x[1], x[2]) for _, x in ordered),
        span_us=span,
        gate_per_h=gate,
        sloped=sloped,
    )
