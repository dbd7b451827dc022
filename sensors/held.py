"""The newest few entries of each series in rings, and those a batch adds to them: looked up without moving any."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Int64
from sensors.groups import Groups

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """What is remembered between batches. Entries are numbered from 0 on; a ring holds the newest of them."""

    fields: Int64
    """(series, fields, slots) entry e of a series stands at e modulo slots."""
    count: Int64
    """(series,) entries there ever were."""

    @classmethod
    def empty(cls, fields: int, series: int, slots: int) -> Self:
        """Nothing yet."""
        return cls(fields=np.zeros((series, fields, slots), dtype=np.int64), count=np.zeros(series, dtype=np.int64))

    @property
    def slots(self) -> int:
        """How many entries of a series are held."""
        return int(self.fields.shape[2])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entries:
    """Held entries, and those that the rows of a batch add."""

    held: Held
    added: Int64
    """(fields, added)"""
    end: Int64
    """(n,) number behind the newest entry at each row, its own among them."""
    _series: NDArray[np.int32]
    _adds: Bool
    _shift: Int64
    """(n,) an entry of a row's series that was added stands in `added` at its number and this."""
    _line: Int64 | None
    """(fields, all) where rows are many: of each series what was held, oldest first, and behind it what is added."""
    _begin: Int64
    """(n,) an entry of a row's series stands in `_line` at its number and this."""

    @classmethod
    def of(cls, rows: Groups, held: Held, adds: Bool, added: Int64) -> Self:
        """Number the entries.

        Parameters
        ----------
        adds : (n,) rows that add an entry, in the order of the groups
        added : (fields, adding rows)
        """
        running = np.cumsum(adds)
        firsts: Index = running[rows.starts] - adds[rows.starts]
        touched = rows.series[rows.starts]
        count = held.count[touched]
        earlier, before = firsts[rows.group], count[rows.group]
        line, begin = None, np.arange(len(touched)) * held.slots + firsts + held.slots - count
        if len(rows.series) >= held.slots // 4 * len(touched):
            line = np.empty((len(added), held.slots * len(touched) + added.shape[1]), dtype=np.int64)
            ring = (count[:, None] + np.arange(held.slots)) % held.slots
            old = held.fields[touched[:, None], :, ring].transpose(2, 0, 1)
            line[:, ((begin + count)[:, None] + np.arange(-held.slots, 0)).ravel()] = old.reshape(len(added), -1)
            places = (begin[rows.group] + before + running - 1 - earlier)[adds]
            for field, column in zip(line, added, strict=True):
                field[places] = column
        return cls(
            held=held,
            added=added,
            end=before + running - earlier,
            _series=rows.series,
            _adds=adds,
            _shift=earlier - before,
            _line=line,
            _begin=begin[rows.group],
        )

    def take(self, field: int, row: Index, number: Int64) -> Int64:
        """Field of some entries.

        Parameters
        ----------
        row : rows whose series they are of
        number : of the same shape; from `end` - slots to `end` - 1. What is below 0 or beyond gives anything
        """
        if self._line is not None:
            of: Int64 = self._line[field].take(number + self._begin[row], mode="clip")
            return of
        series = self._series[row]
        found: Int64 = self.held.fields[series, field, number % self.held.slots]
        new = (number >= self.held.count[series]) & (number < self.end[row])
        found[new] = self.added[field][(number + self._shift[row])[new]]
        return found

    def first_above(self, field: int, bound: Int64) -> Int64:
        """(n,) number of the oldest entry at each row whose field is above a bound.

        Parameters
        ----------
        field : one that rises from entry to entry
        bound : (n,) below the newest entry's field
        """
        row = np.arange(len(bound))
        low, high = np.maximum(self.end - self.held.slots, 0), self.end - 1
        for _ in range(self.held.slots.bit_length()):  # a search by halves, all rows at once
            middle = (low + high) // 2
            below = self.take(field, row, middle) <= bound
            low, high = np.where(below, np.minimum(middle + 1, high), low), np.where(below, high, middle)
        return low

    def after(self) -> Held:
        """What is held after the batch."""
        if not self._adds.any():
            return self.held
        slots, series, number = self.held.slots, self._series[self._adds], self.end[self._adds] - 1
        fields, count = self.held.fields.copy(), self.held.count.copy()
        np.maximum.at(count, series, number + 1)
        kept = number >= count[series] - slots
        fields[series[kept], :, number[kept] % slots] = self.added[:, kept].T
        return Held(fields=fields, count=count)
