"""The value with its sign turned: where the low ones are dangerous, one ladder serves all the same."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from alerts.inputs.machine import Asked, Number
from sensors.batch import Bool, Float64, ReadingBatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nothing:
    """It remembers nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Low:
    """See the module."""

    turned: Float64
    """What a value is multiplied by."""

    hears_still: ClassVar[bool] = False

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """Nothing to know."""
        return cls(turned=asked.every(-1.0))

    def empty(self) -> Nothing:
        """Nothing."""
        return Nothing()

    def follow(self, batch: ReadingBatch, usable: Bool, state: Nothing) -> tuple[Number, Nothing]:
        """The value with its sign turned."""
        return Number.exact(np.where(usable, self.turned[batch.series] * batch.value, np.nan)), state
