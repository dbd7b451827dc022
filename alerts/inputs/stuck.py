"""How long a series has stood still: a sensor that hangs tells nobody so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from alerts.inputs.machine import Asked, Number
from alerts.rule import Listens, StepRule
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flat import still
from sensors.groups import Groups
from sensors.quantities import Quantity
from sensors.trend import HOUR_US
from sensors.window import NEVER

SILENCE_CADENCES = 3
"""A longer time between two readings is not covered: nobody knows whether it stood still in it."""


class StuckRule(StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="stuck"):
    """How long the value has stood within `eps`, in hours of readings."""

    eps: float

    def listens(self) -> Listens:
        """The hours."""
        return Listens("stuck", (self.eps,))

    def units(self, quantity: Quantity) -> tuple[str, ...]:  # noqa: ARG002 - of whatever
        """Hours."""
        return ("h",)

    def numbers(self) -> dict[str, float]:
        """With eps."""
        return {**StepRule.numbers(self), "eps": self.eps}

    def wrong(self) -> Iterator[str]:
        """A width cannot be negative."""
        if self.eps < 0:
            yield f"eps is {self.eps:g} but must not be negative"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StuckState:
    """The newest reading, and how long the series has stood still."""

    last_us: Int64
    last_value: Float64
    still_us: Int64
    """(series, 2) see `sensors.flat.still`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stuck:
    """See the module."""

    eps: Float64
    cadence_us: Int64
    hears_still: ClassVar[bool] = True

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The width of standing still, and the cadences."""
        return cls(eps=asked.every(asked.listens.numbers[0]), cadence_us=asked.cadence_us)

    def empty(self) -> StuckState:
        """Nothing heard yet."""
        size = len(self.eps)
        return StuckState(
            last_us=np.full(size, NEVER, dtype=np.int64),
            last_value=np.full(size, np.nan),
            still_us=np.zeros((size, 2), dtype=np.int64),
        )

    def follow(self, batch: ReadingBatch, usable: Bool, state: StuckState) -> tuple[Number, StuckState]:
        """Hours for which the series has stood still, at each reading."""
        number = np.full(len(batch), np.nan)
        at = np.flatnonzero(usable)
        if not len(at):
            return Number.exact(number), state
        rows = Groups.of(batch.series[at])
        at, series = at[rows.order], rows.series
        time_us, value = batch.time_us[at], batch.value[at]
        before_us = rows.before(time_us, state.last_us)
        step_us = time_us - np.where(before_us == NEVER, time_us, before_us)
        counted_us = np.where(step_us > SILENCE_CADENCES * self.cadence_us[series], 0, step_us)
        before = rows.before(value, state.last_value)
        stood_us = still(rows, value, before, counted_us, self.eps[series], state.still_us)
        number[at] = stood_us.max(axis=1) / HOUR_US
        last_us, last_value, still_us = state.last_us.copy(), state.last_value.copy(), state.still_us.copy()
        touched = series[rows.ends]
        last_us[touched], last_value[touched] = time_us[rows.ends], value[rows.ends]
        still_us[touched] = stood_us[rows.ends]
        return Number.exact(number), StuckState(last_us=last_us, last_value=last_value, still_us=still_us)
