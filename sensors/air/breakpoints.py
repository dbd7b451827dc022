"""An index of air quality: a table of concentrations for each pollutant, and straight lines between its edges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from sensors.batch import Float64, Int64

ABOVE = np.inf
"""Index of a concentration above the last edge: it has no number of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the numbers of a table come from."""

    title: str
    effective_from: date
    retrieved: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakpoints:
    """Upper edges of the bands of one pollutant over one averaging time; the first band begins at 0."""

    hours: int
    """Averaging time."""
    decimals: int
    """Digits after the point that an edge has; a concentration is cut to them before it is looked up."""
    upper: tuple[float, ...]
    """Upper edges of the bands that have a number, rising."""
    skipped: int = 0
    """Lowest bands that this averaging time does not speak of; then `upper` begins with the edge below it."""
    beyond: float = ABOVE
    """Index beyond the last edge; where another averaging time goes on from there, that of the last edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An air quality index."""

    name: str
    source: Source
    upper: tuple[int, ...]
    """Upper edges of the bands of the index that have a number, rising."""
    cut: Literal["round", "truncate"]
    """How a concentration comes to the digits of the table; a half goes up."""
    tables: Mapping[str, tuple[Breakpoints, ...]]
    """Pollutant -> its averaging times."""

    def sub_index(self, pollutant: str, concentration: Float64, *, hours: int | None = None) -> Float64:
        """Index of one pollutant.

        Parameters
        ----------
        pollutant : key of `tables`; its name carries the unit
        concentration : (n,) mean over the averaging time. Below 0 there is no concentration: stations write -1 for none
        hours : averaging time, where a pollutant has more than one; None: its first

        Returns
        -------
        index : (n,) whole numbers; `ABOVE` beyond the last edge of the index; NaN where the concentration is NaN, below
            0, or below what this averaging time speaks of

        Raises
        ------
        KeyError : a pollutant or an averaging time the index does not have
        """
        table = self._table(pollutant, hours)
        value, first = self._cut(concentration, table), table.skipped
        step = 10.0**-table.decimals
        low = np.array([-step if not first else table.upper[0], *table.upper[bool(first) :]])
        edges = np.array([0, *self.upper], dtype=np.float64)[first:]
        band = np.searchsorted(low[1:], value, side="left")
        known = np.minimum(band, len(low) - 2)
        # A band begins one step of the table above the edge below it, and there the index is one more.
        from_value, to_value = low[known] + step, low[known + 1]
        from_index = edges[known] + np.where(known + first > 0, 1, 0)
        index = from_index + (edges[known + 1] - from_index) / (to_value - from_value) * (value - from_value)
        index = np.where(band > known, table.beyond, np.floor(index + 0.5 + 1e-9))
        return np.where(value >= from_value - step / 2, index, np.nan)

    def band(self, index: Float64) -> Int64:
        """(n,) number of the band an index lies in, from 1; 0 where it is NaN. The band above the last edge counts."""
        found = np.searchsorted(np.array(self.upper, dtype=np.float64), index, side="left") + 1
        return np.where(np.isnan(index), 0, found)

    def text(self, index: float) -> str:
        """As it is printed: `72`, `>200`; empty where it is not known."""
        if np.isnan(index):
            return ""
        return f">{self.upper[-1]}" if index == ABOVE else f"{index:.0f}"

    def _table(self, pollutant: str, hours: int | None) -> Breakpoints:
        tables = self.tables[pollutant]
        found = [t for t in tables if hours is None or t.hours == hours]
        if not found:
            raise KeyError(f"{self.name} has no mean of {pollutant} over {hours} h, only {[t.hours for t in tables]}")
        return found[0]

    def _cut(self, concentration: Float64, table: Breakpoints) -> Float64:
        scale = 10.0**table.decimals
        half = 0.5 if self.cut == "round" else 0.0
        # The sliver undoes the binary form: 35.4 * 10 may be 353.99999999999994.
        cut: Float64 = np.floor(np.asarray(concentration, dtype=np.float64) * scale + half + 1e-6) / scale
        return np.where(np.asarray(concentration) >= 0, cut, np.nan)


def overall(indices: Float64) -> Float64:
    """(n,) the largest of several pollutants' indices (pollutants, n); NaN only where none is known."""
    worst: Float64 = np.fmax.reduce(indices, axis=0)
    return worst
