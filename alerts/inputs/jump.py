"""How far a reading lies above the median of those before it: smoke, which the slope of an hour would flatten."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from alerts.inputs.machine import Asked, Number
from alerts.rule import Listens, StepRule
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.groups import Groups
from sensors.quantities import Quantity
from sensors.rings import Rings
from sensors.window import NEVER

SLOTS = 24
"""The window is remembered in so many slots, the first reading of each: an outlier more or less moves no median."""
POINTS = 5
"""Fewer before a reading say nothing of what is usual."""
PARTS = 1_000_000
"""Values are remembered in whole millionths: a median does not depend on how it is computed."""
RATIO = "ratio"


class JumpRule(StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="jump"):
    """How sudden: the value over the trailing median, as a ratio or as a difference."""

    over_s: float
    """How far the median looks back."""
    floor: float = 0.0
    """Of a ratio: the median counts as at least this much, so that a little over nothing is no jump. With `enter = 3`
    and a floor of 16.7 nothing below 50 enters."""

    def listens(self) -> Listens:
        """The ratio over a floor, or the difference."""
        return Listens("jump", (self.over_s, self.floor if self.unit == RATIO else 0.0))

    def units(self, quantity: Quantity) -> tuple[str, ...]:
        """A ratio has none."""
        return (RATIO, quantity.unit)

    def numbers(self) -> dict[str, float]:
        """With the span and the floor."""
        return {**StepRule.numbers(self), "over_s": self.over_s, "floor": self.floor}

    def wrong(self) -> Iterator[str]:
        """A ratio over nothing has no bound."""
        if (self.unit == RATIO) != (self.floor > 0):
            yield f"floor is {self.floor:g} but must be above 0 for a ratio, and left out for a difference"

    def wrong_at(self, cadence_s: float) -> Iterator[str]:
        """A median needs some readings."""
        least_s = 2 * POINTS * cadence_s
        if self.over_s < least_s:
            yield f"over_s of {self.id} is {self.over_s:g} but must span {2 * POINTS} readings, {least_s:g} s"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JumpState:
    """The first usable reading of each of the newest SLOTS slots that had one, and the newest of all."""

    slots: Int64
    """(series, SLOTS, 2) time and value in millionths, oldest first; NEVER where there is none yet."""
    last_us: Int64
    """(series,) newest usable reading; NEVER before the first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jump:
    """See the module."""

    span_us: Int64
    floor: Float64
    """0: a difference is asked for."""
    rest: Float64
    """Below this no ladder cares for the number."""
    hears_still: ClassVar[bool] = False

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The span, the floor, and what spares the median."""
        span_s, floor = asked.listens.numbers
        return cls(span_us=asked.every_us(span_s), floor=asked.every(floor), rest=asked.rest)

    def empty(self) -> JumpState:
        """Nothing heard yet."""
        size = len(self.span_us)
        return JumpState(
            slots=np.full((size, SLOTS, 2), NEVER, dtype=np.int64), last_us=np.full(size, NEVER, dtype=np.int64)
        )

    def follow(self, batch: ReadingBatch, usable: Bool, state: JumpState) -> tuple[Number, JumpState]:
        """The jump at each reading over the median of the span before it; NaN where that holds fewer than POINTS or
        less than half of the span. A ratio that could not reach `rest` over the floor itself is that one: at most.
        """
        number = np.full(len(batch), np.nan)
        at = np.flatnonzero(usable)
        if not len(at):
            return Number.exact(number), state
        rows = Groups.of(batch.series[at])
        at, series = at[rows.order], rows.series
        time_us, value, span_us, floor = batch.time_us[at], batch.value[at], self.span_us[series], self.floor[series]
        slot_us = -(-span_us // SLOTS)
        before = rows.before(time_us, state.last_us)
        opens = (before == NEVER) | (time_us // slot_us > before // slot_us)
        fresh = np.column_stack([time_us, np.rint(value * PARTS).astype(np.int64)])[opens]
        rings = Rings.of(rows, state.slots, opens, fresh)
        ratio = floor > 0
        over_floor = value / np.where(ratio, floor, 1.0)
        low = ratio & (over_floor < self.rest[series])
        asked = np.flatnonzero(~low)
        median = _medians(rings, asked, time_us[asked], span_us[asked])
        jump = over_floor
        of = ratio[asked]
        jump[asked] = np.where(
            of, value[asked] / np.maximum(median, np.where(of, floor[asked], 1.0)), value[asked] - median
        )
        number[at] = jump
        last_us = state.last_us.copy()
        last_us[series[rows.ends]] = time_us[rows.ends]
        return Number.exact(number), JumpState(slots=rings.after(state.slots), last_us=last_us)


def _medians(rings: Rings, asked: NDArray[np.intp], time_us: Int64, span_us: Int64) -> Float64:
    """(k,) medians of what was remembered before some rows; NaN where that is too little."""
    held = rings.entries[rings.first[asked][:, None] + np.arange(rings.slots)]
    then_us, value = held[..., 0], held[..., 1]
    counts = (then_us >= (time_us - span_us)[:, None]) & (then_us < time_us[:, None])
    many = counts.sum(axis=1)
    oldest_us = np.where(counts, then_us, time_us[:, None]).min(axis=1, initial=np.iinfo(np.int64).max)
    enough = (many >= POINTS) & (2 * (time_us - oldest_us) >= span_us)
    ordered = np.sort(np.where(counts, value, np.iinfo(np.int64).max), axis=1)
    low, high = (np.maximum(many - 1, 0) // 2)[:, None], (np.minimum(many // 2, rings.slots - 1))[:, None]
    found = np.take_along_axis(ordered, np.hstack([low, high]), axis=1)
    middle: Float64 = np.where(enough, (found[:, 0] + (found[:, 1] - found[:, 0]) / 2) / PARTS, np.nan)
    return middle
