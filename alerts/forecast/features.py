"""What a forecaster hears at a moment: how its gauge stands and has moved, and what is on its way from upstream.

Every number is made of readings at or before the moment, each looked up by itself: no running sum, no state. So the
same readings give the same bits however they are cut, live and in a backtest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from sensors.batch import Float64, Int64
from sensors.trend import GAP_CADENCES, HOUR_US

HORIZONS_US = (HOUR_US, 3 * HOUR_US, 6 * HOUR_US)
LAGS_US = tuple(round(hours * HOUR_US) for hours in (0.25, 0.5, 1, 2, 3, 6, 12))
"""How far back a change is looked at; those shorter than the cadence are left out."""
LINE_POINTS = 5
"""A line is drawn through so many moments of its span."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauge:
    """The usable readings of one series."""

    time_us: Int64
    """(n,) rising"""
    value: Float64
    """(n,) finite"""
    cadence_us: int

    def __post_init__(self) -> None:
        assert (np.diff(self.time_us) > 0).all(), "times do not rise"
        assert np.isfinite(self.value).all(), "a reading that measured nothing"

    @classmethod
    def of(cls, time_us: Int64, value: Float64, cadence_us: int) -> Self:
        """Those that measured something, in order of time; of several of one time the first."""
        some = np.isfinite(value)
        times, first = np.unique(time_us[some], return_index=True)
        return cls(time_us=times, value=value[some][first], cadence_us=cadence_us)

    def known(self, when_us: Int64, now_us: Int64) -> Float64:
        """(n,) how the water stood at moments, as it was known at others.

        Between two readings in a straight line; behind the newest one that was known as it stands. NaN before the first
        reading, and in or behind a silence of more than GAP_CADENCES cadences.

        Parameters
        ----------
        when_us : (n,) at or before `now_us`
        now_us : (n,) no later reading counts
        """
        found = np.full(len(when_us), np.nan)
        if not len(self.time_us):
            return found
        last = len(self.time_us) - 1
        before = np.searchsorted(self.time_us, when_us, side="right") - 1
        at = np.maximum(before, 0)
        after = np.minimum(at + 1, last)
        since_us, step_us = when_us - self.time_us[at], self.time_us[after] - self.time_us[at]
        gap_us = GAP_CADENCES * self.cadence_us
        next_known = (step_us > 0) & (self.time_us[after] <= now_us)
        share = np.where(next_known & (since_us > 0), since_us / np.maximum(step_us, 1), 0.0)
        value = self.value[at] + share * (self.value[after] - self.value[at])
        whole = (since_us == 0) | np.where(next_known, step_us <= gap_us, since_us <= gap_us)
        return np.where((before >= 0) & whole, value, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A gauge upstream."""

    series: str
    """`WL-02/stage_m`"""
    cadence_us: int
    travel_us: int
    """How long its water takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which numbers, in which order."""

    series: str
    cadence_us: int
    upstream: tuple[Link, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """(k,) of the numbers, for whoever looks into a model."""
        own = ["level", *(f"change {lag / HOUR_US:g} h" for lag in lags_us(self.cadence_us))]
        for link in self.upstream:
            own += [f"{link.series} level", *(f"{link.series} change {lag / HOUR_US:g} h" for lag in _lags_of(link))]
            own += [f"{link.series} on its way in {h / HOUR_US:g} h" for h in HORIZONS_US]
        return tuple(own)

    @property
    def back_us(self) -> int:
        """How far before a moment a reading can matter to it."""
        furthest = max(LAGS_US[-1], *(link.travel_us for link in self.upstream), 0)
        gap_us = GAP_CADENCES * max(self.cadence_us, *(link.cadence_us for link in self.upstream), 0)
        return max(furthest, _line_us(self.cadence_us)) + gap_us


def lags_us(cadence_us: int) -> tuple[int, ...]:
    """The lags that a gauge can tell from each other."""
    return tuple(lag for lag in LAGS_US if lag >= cadence_us)


def _lags_of(link: Link) -> tuple[int, ...]:
    travelled = (link.travel_us,) if link.travel_us not in LAGS_US else ()
    return tuple(sorted({*lags_us(link.cadence_us), *(lag for lag in travelled if lag > 0)}))


def features(layout: Layout, own: Gauge, upstream: Sequence[Gauge], at_us: Int64) -> Float64:
    """(n, k) what is heard at some moments; NaN where it is not known.

    Parameters
    ----------
    upstream : in the order of `layout.upstream`
    at_us : (n,)
    """
    level = own.known(at_us, at_us)
    columns = [level, *(level - own.known(at_us - lag, at_us) for lag in lags_us(layout.cadence_us))]
    for link, gauge in zip(layout.upstream, upstream, strict=True):
        stands = gauge.known(at_us, at_us)
        columns += [stands, *(stands - gauge.known(at_us - lag, at_us) for lag in _lags_of(link))]
        arriving = gauge.known(at_us - link.travel_us, at_us)
        for horizon_us in HORIZONS_US:
            columns.append(gauge.known(at_us - max(link.travel_us - horizon_us, 0), at_us) - arriving)
    return np.column_stack(columns)


def line(own: Gauge, at_us: Int64) -> tuple[Float64, Float64]:
    """(n,) where the straight line through the last hour ends, and its slope per hour.

    Least squares through LINE_POINTS moments of the last hour, of the last four readings where they are rarer.
    """
    span_us = _line_us(own.cadence_us)
    steps = np.arange(LINE_POINTS) - (LINE_POINTS - 1)
    points = [own.known(at_us + span_us * int(k) // (LINE_POINTS - 1), at_us) for k in steps]
    centre = steps.mean()
    mean, slope = np.zeros(len(at_us)), np.zeros(len(at_us))
    for k, value in zip(steps, points, strict=True):
        mean = mean + value / LINE_POINTS
        slope = slope + (k - centre) * value
    slope = slope / float(((steps - centre) ** 2).sum())
    return mean - slope * centre, slope * (LINE_POINTS - 1) / (span_us / HOUR_US)


def _line_us(cadence_us: int) -> int:
    return max(HOUR_US, (LINE_POINTS - 1) * cadence_us)


def targets(own: Gauge, at_us: Int64) -> Float64:
    """(n, horizons) how the water came to stand; NaN where nobody measured it. This alone looks ahead."""
    if not len(own.time_us):
        return np.full((len(at_us), len(HORIZONS_US)), np.nan)
    last_us = own.time_us[-1]
    later = [at_us + horizon for horizon in HORIZONS_US]
    ever = np.broadcast_to(last_us, len(at_us))
    return np.column_stack([np.where(when <= last_us, own.known(when, ever), np.nan) for when in later])


assert all(a < b for a, b in pairwise(HORIZONS_US))
