"""The shape of an input: numbers for a ladder, computed causally from the readings of one series at a time."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from alerts.rule import Listens
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.stations import SECOND_US, Registry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Number:
    """What a ladder hears at each reading."""

    value: Float64
    """(n,) NaN where nothing is known."""
    most: Float64
    """(n,) what it may be at most: a step is left by this one. NaN where it has no bound, as a sum of which parts are
    missing: it may raise and cannot end. The value itself where that is known."""

    @classmethod
    def exact(cls, value: Float64) -> Self:
        """Numbers that are known or not."""
        return cls(value=value, most=value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What a machine is made from: one input of k series."""

    listens: Listens
    registry: Registry
    series: NDArray[np.int32]
    """(k,) ascending."""
    rest: Float64
    """(k,) no rule cares for numbers below this."""

    @property
    def cadence_us(self) -> Int64:
        """(k,)"""
        return self.registry.limits.cadence_us[self.series]

    def every(self, number: float) -> Float64:
        """(k,) the same for all."""
        return np.full(len(self.series), number, dtype=np.float64)

    def every_us(self, seconds: float) -> Int64:
        """(k,) the same for all."""
        return np.full(len(self.series), round(seconds * SECOND_US), dtype=np.int64)


class Machine(Protocol):
    """One input of k series: a frozen dataclass of (k,) arrays, so that some series can be picked."""

    hears_still: ClassVar[bool]
    """Whether it counts what is doubted for standing still alone."""

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """For k series of a registry."""
        ...

    def empty(self) -> Any:
        """The state before the first reading: a dataclass of arrays that begin with (k,)."""
        ...

    def follow(self, batch: ReadingBatch, usable: Bool, state: Any) -> tuple[Number, Any]:
        """Numbers at the usable readings.

        Parameters
        ----------
        batch : n readings, numbered by the k series; usable ones of one series in ascending time
        usable : (n,) rows that count; none of them NaN
        state : not modified

        Returns
        -------
        number, state : two batches one after the other give what both at once would
        """
        ...
