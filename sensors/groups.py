"""Rows of a batch put together by series: what came before each, inside the batch or remembered from before it."""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool

T = TypeVar("T", bound=np.generic)
Index = NDArray[np.intp]
_LONG = 4
"""Rows of a series from which on repeating a value is cheaper than looking it up."""
_DIGITS = 16
"""Bits of a number that are sorted by counting, which costs a tenth of comparing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """n rows, those of one series together and in the order they came."""

    order: Index
    """(n,) row numbers in the order of the groups; the other columns are in this order."""
    series: NDArray[np.int32]
    """(n,)"""
    starts: Index
    """(groups,) positions of the first rows."""
    group: Index
    """(n,) which group each row belongs to."""

    @classmethod
    def of(cls, series: NDArray[np.int32]) -> Self:
        """Put rows together."""
        if bool((series[1:] >= series[:-1]).all()):
            return cls.adjacent(series)
        order = _order(series)
        return cls.adjacent(series[order], order)

    @classmethod
    def adjacent(cls, series: NDArray[np.int32], order: Index | None = None) -> Self:
        """Rows that are together already."""
        n = len(series)
        begins = np.ones(n, dtype=np.bool_)
        np.not_equal(series[1:], series[:-1], out=begins[1:])
        starts, group = np.flatnonzero(begins), np.cumsum(begins) - 1
        return cls(
            order=np.arange(n) if order is None else order,
            series=series,
            starts=starts,
            group=group,
        )

    @property
    def ends(self) -> Index:
        """(groups,) positions of the last rows."""
        return np.append(self.starts[1:], len(self.series))[: len(self.starts)] - 1

    @property
    def start(self) -> Index:
        """(n,) position of the first row of each row's series."""
        return self.starts[self.group]

    def spread(self, column: NDArray[T]) -> NDArray[T]:
        """(n,) of a column (series,) what belongs to each row."""
        if len(self.series) < _LONG * len(self.starts):
            return column[self.series]
        return np.repeat(column[self.series[self.starts]], np.diff(self.starts, append=len(self.series)))

    def before(self, column: NDArray[T], remembered: NDArray[T]) -> NDArray[T]:
        """(n,) the value of the row before each, of the same series.

        Parameters
        ----------
        column : (n,) in the order of the groups
        remembered : (series,) the value before each first row
        """
        moved = np.empty_like(column)
        moved[1:] = column[:-1]
        moved[self.starts] = remembered[self.series[self.starts]]
        return moved

    def newest(self, marked: Bool) -> Index:
        """(n,) position of the newest marked row at or before each, -1 where its series has none in the batch."""
        found = np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))
        return np.where(found >= self.start, found, -1)

    def at(self, position: Index, column: NDArray[T], remembered: NDArray[T]) -> NDArray[T]:
        """(n,) the values at positions, and what was remembered of the series where the position is -1."""
        return np.where(position >= 0, column[position], remembered[self.series])


def _order(series: NDArray[np.int32]) -> Index:
    """(n,) row numbers by series, those of one series in their order."""
    order: Index = np.argsort(series.astype(np.uint16), kind="stable")
    if int(series.max()) >> _DIGITS:
        order = order[np.argsort((series[order] >> _DIGITS).astype(np.uint16), kind="stable")]
    return order
