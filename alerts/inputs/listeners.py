"""Inputs beside the value and the slope, laid out for the series whose rules listen to them; others cost nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from alerts.inputs.kinds import KINDS
from alerts.inputs.machine import Asked, Machine, Number
from alerts.rule import Listens
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.stations import Registry

States = tuple[Any, ...]
"""One for each listener."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listener:
    """One input, the k series it is computed for, and the ladders that listen to it."""

    listens: Listens
    machine: Machine
    series: NDArray[np.int32]
    """(k,) ascending."""
    slot: NDArray[np.int32]
    """(series,) number among the k, -1 where it is none of them."""
    ladder: NDArray[np.intp]
    """Ladders of the first of the k series, then of the next."""
    first: Int64
    """(k + 1,) where those of each begin."""

    @classmethod
    def of(
        cls, listens: Listens, ladder: NDArray[np.intp], series: NDArray[np.int32], leave: Float64, registry: Registry
    ) -> Self:
        """Lay out.

        Parameters
        ----------
        ladder : (m,) those that listen
        series, leave : (m,) of each its series, ascending, and the lowest number by which it is left
        """
        own, begins, many = np.unique(series, return_index=True, return_counts=True)
        own_series = own.astype(np.int32)
        asked = Asked(listens=listens, registry=registry, series=own_series, rest=np.minimum.reduceat(leave, begins))
        return cls(
            listens=listens,
            machine=KINDS[listens.kind].of(asked),
            series=own_series,
            slot=_slots(own_series, len(registry.series)),
            ladder=ladder,
            first=np.r_[0, np.cumsum(many)].astype(np.int64),
        )

    def of_some(self, series: NDArray[np.intp], ladders: NDArray[np.intp]) -> Self:
        """For some series and ladders alone, which ascend and are numbered anew."""
        own = np.isin(self.series, series)
        kept = np.repeat(own, np.diff(self.first))
        renumbered = np.searchsorted(series, self.series[own]).astype(np.int32)
        columns = {f.name: getattr(self.machine, f.name)[own] for f in fields(self.machine)}  # type: ignore[arg-type]
        return replace(
            self,
            machine=replace(self.machine, **columns),  # type: ignore[type-var]
            series=renumbered,
            slot=_slots(renumbered, len(series)),
            ladder=np.searchsorted(ladders, self.ladder[kept]).astype(np.intp),
            first=np.r_[0, np.cumsum(np.diff(self.first)[own])].astype(np.int64),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What ladders hear of one input in a batch: each row once for every ladder of its series."""

    rows: NDArray[np.intp]
    """(m,) of the batch."""
    ladder: NDArray[np.intp]
    value: Float64
    most: Float64
    """See `alerts.inputs.machine.Number`."""

    def some(self, at: Bool) -> Self:
        """Some of them."""
        return replace(self, rows=self.rows[at], ladder=self.ladder[at], value=self.value[at], most=self.most[at])


def empty(listeners: Iterable[Listener]) -> States:
    """States before the first reading."""
    return tuple(one.machine.empty() for one in listeners)


def uses(listeners: Sequence[Listener], series: int) -> NDArray[np.uint64]:
    """(series,) which listeners each has, a bit for each."""
    found = np.zeros(series, dtype=np.uint64)
    for number, one in enumerate(listeners):
        found[one.series] |= np.uint64(1 << number)
    return found


def listen(
    batch: ReadingBatch,
    usable: Bool,
    alive: Bool,
    states: States,
    *,
    listeners: Sequence[Listener],
    uses: NDArray[np.uint64],
) -> tuple[tuple[Heard, ...], States]:
    """Compute what the ladders of a batch hear beside values and slopes.

    Parameters
    ----------
    usable : (n,) rows the rules listen to
    alive : (n,) these and the ones doubted for standing still alone
    states : of each listener; not modified

    Returns
    -------
    heard, states : two batches one after the other give what both at once would
    """
    if not listeners or not len(batch):
        return (), states
    wanted = uses[batch.series]
    some = int(np.bitwise_or.reduce(wanted))
    heard: list[Heard] = []
    after = list(states)
    for number, one in enumerate(listeners):
        if not some >> number & 1:
            continue
        rows = np.flatnonzero(wanted & np.uint64(1 << number))
        counts = (alive if one.machine.hears_still else usable)[rows]
        if not counts.any():
            continue
        rows = rows[counts]
        slot = one.slot[batch.series[rows]]
        own = replace(batch[rows], series=slot)
        found, after[number] = one.machine.follow(own, np.ones(len(rows), dtype=np.bool_), states[number])
        heard.append(_for_ladders(one, rows, slot, found))
    return tuple(heard), tuple(after)


def _for_ladders(one: Listener, rows: NDArray[np.intp], slot: NDArray[np.int32], found: Number) -> Heard:
    if len(one.ladder) == len(one.series):
        return Heard(rows=rows, ladder=one.ladder[slot], value=found.value, most=found.most)
    first = one.first[slot]
    many = one.first[slot + 1] - first
    repeated = np.repeat(np.arange(len(rows)), many)
    offset = np.arange(len(repeated)) - np.repeat(np.cumsum(many) - many, many)
    return Heard(
        rows=rows[repeated],
        ladder=one.ladder[first[repeated] + offset],
        value=found.value[repeated],
        most=found.most[repeated],
    )


def _slots(series: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    slot = np.full(size, -1, dtype=np.int32)
    slot[series] = np.arange(len(series), dtype=np.int32)
    return slot
