"""The newest few entries of each series, laid out so that those before any row of a batch lie together."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Int64
from sensors.groups import Groups

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rings:
    """Of each series in a batch what was held, and behind it what its rows add."""

    entries: Int64
    """(all, fields) of one series together, oldest first."""
    first: Index
    """(n,) where the `slots` newest entries at each row begin, its own among them."""
    slots: int
    _series: NDArray[np.int32]
    _last: Index

    @classmethod
    def of(cls, rows: Groups, held: Int64, adds: Bool, added: Int64) -> Self:
        """Lay out.

        Parameters
        ----------
        held : (series, slots, fields) what was held before the batch, oldest first
        adds : (n,) rows that add an entry, in the order of the groups
        added : (adding rows, fields)
        """
        slots, fields = held.shape[1:]
        touched = rows.series[rows.starts]
        running: Index = np.cumsum(adds)
        earlier = running[rows.starts] - adds[rows.starts]
        base = np.arange(len(touched)) * slots + earlier
        first = base[rows.group] + running - earlier[rows.group]
        entries = np.empty((len(touched) * slots + len(added), fields), dtype=np.int64)
        entries[base[:, None] + np.arange(slots)] = held[touched]
        entries[first[adds] + slots - 1] = added
        return cls(entries=entries, first=first, slots=slots, _series=touched, _last=first[rows.ends])

    def since(self, field: int, bound: Int64) -> Index:
        """(n,) where the first of the `slots` entries at each row stands whose `field` is above a bound.

        Parameters
        ----------
        field : one that rises from entry to entry
        bound : (n,) below the newest entry's field
        """
        column, end = self.entries[:, field], self.first + self.slots
        last = self.first - 1
        stride = 1 << (self.slots.bit_length() - 1)
        while stride:  # a search by halves, all rows at once
            next_ = last + stride
            last = np.where((next_ < end) & (column[np.minimum(next_, end - 1)] <= bound), next_, last)
            stride >>= 1
        return last + 1

    def after(self, held: Int64) -> Int64:
        """(series, slots, fields) what is held after the batch."""
        result = held.copy()
        result[self._series] = self.entries[self._last[:, None] + np.arange(self.slots)]
        return result
