"""How well warnings went before events: hits, misses, false alarms, lead. Pure.

An event is a crossing of a threshold; runs above it that lie close together are one. A warning counts once in a run:
the first that comes after so long without any. A hit is a warning after the rise began and before the threshold was
reached; a false alarm is a run with no event within the window behind it and none under way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from sensors.batch import Float64, Int64
from sensors.trend import HOUR_US

WINDOW_US = 48 * HOUR_US
"""A warning speaks for so long; without one for so long, the next is a new one."""
APART_US = 12 * HOUR_US
"""Runs above a threshold that lie no further apart are one event: so do rivers; tides take WINDOW_US."""
BEFORE_US = 72 * HOUR_US
"""A rise is looked for in so long before the threshold was reached."""
STILL_LOW = 0.1
"""It began where the water last stood within this part of the way from the lowest to the peak."""
YEAR_US = 8766 * HOUR_US
DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One time at or above a threshold; microseconds UTC."""

    rise_us: int
    """Before this no warning can fairly be asked for."""
    onset_us: int
    end_us: int
    whole: bool = True
    """False: it was under way when the record began, so nothing could have warned of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A contingency table without its empty corner; tables are added."""

    hits: int = 0
    misses: int = 0
    false_alarms: int = 0
    warnings: int = 0
    """Runs of them."""
    covered_us: int = 0
    """Length of the record."""
    leads_us: tuple[int, ...] = ()
    """Of each hit: threshold reached minus first warning."""

    def __add__(self, other: "Skill") -> "Skill":
        return Skill(
            hits=self.hits + other.hits,
            misses=self.misses + other.misses,
            false_alarms=self.false_alarms + other.false_alarms,
            warnings=self.warnings + other.warnings,
            covered_us=self.covered_us + other.covered_us,
            leads_us=self.leads_us + other.leads_us,
        )

    @classmethod
    def pooled(cls, parts: Iterable[Self]) -> "Skill":
        """All of them as one."""
        whole = Skill()
        for part in parts:
            whole = whole + part
        return whole

    @property
    def pod(self) -> float:
        """Probability of detection; NaN without events."""
        return _ratio(self.hits, self.hits + self.misses)

    @property
    def far(self) -> float:
        """False alarm ratio; NaN without warnings."""
        return _ratio(self.false_alarms, self.hits + self.false_alarms)

    @property
    def csi(self) -> float:
        """Critical success index; NaN where nothing happened and nobody warned."""
        return _ratio(self.hits, self.hits + self.misses + self.false_alarms)

    @property
    def false_per_year(self) -> float:
        """NaN for a record without length."""
        return _ratio(self.false_alarms, self.covered_us / YEAR_US)

    @property
    def warnings_per_day(self) -> float:
        """NaN for a record without length."""
        return _ratio(self.warnings, self.covered_us / DAY_US)

    def lead_h(self, quantile: float = 0.5) -> float:
        """Hours at a quantile of the hits; NaN without any."""
        return float(np.quantile(self.leads_us, quantile)) / HOUR_US if self.leads_us else float("nan")


def events(time_us: Int64, value: Float64, threshold: float, *, apart_us: int = APART_US) -> list[Event]:
    """Find the events of a record.

    Parameters
    ----------
    time_us, value : (n,) ascending in time; NaN is below everything
    apart_us : runs that lie no further apart are one
    """
    above = np.flatnonzero(value >= threshold)
    if not len(above):
        return []
    cuts = np.flatnonzero(np.diff(time_us[above]) > apart_us)
    found = []
    for begin, end in zip(above[np.r_[0, cuts + 1]].tolist(), above[np.r_[cuts, len(above) - 1]].tolist(), strict=True):
        onset_us = int(time_us[begin])
        from_ = int(np.searchsorted(time_us, onset_us - BEFORE_US))
        peak = begin + int(np.nanargmax(value[begin : end + 1]))
        lowest, highest = np.nanmin(value[from_ : peak + 1]), value[peak]
        low = np.flatnonzero(value[from_ : begin + 1] <= lowest + STILL_LOW * (highest - lowest))
        rise_us = int(time_us[from_ + low[-1]]) if len(low) else onset_us - WINDOW_US
        found.append(Event(rise_us=rise_us, onset_us=onset_us, end_us=int(time_us[end]), whole=begin > 0))
    return found


def score(happened: Sequence[Event], raised_us: Sequence[int], until_us: Sequence[int], *, covered_us: int) -> Skill:
    """Compare warnings with events.

    Parameters
    ----------
    raised_us, until_us : when each warning was given and ended, in order; one in force when a rise begins counts as
        given there
    covered_us : length of the record
    """
    leads: list[int] = []
    missed = 0
    for event in happened:
        given = [at for at in raised_us if event.rise_us <= at < event.onset_us]
        if not given and any(at < event.rise_us <= until for at, until in zip(raised_us, until_us, strict=True)):
            given = [event.rise_us]
        if event.whole and given:
            leads.append(event.onset_us - given[0])
        elif event.whole:
            missed += 1
    runs = [at for k, at in enumerate(raised_us) if k == 0 or at - raised_us[k - 1] > WINDOW_US]
    false = sum(not any(_answers(at, event) for event in happened) for at in runs)
    return Skill(
        hits=len(leads),
        misses=missed,
        false_alarms=false,
        warnings=len(runs),
        covered_us=covered_us,
        leads_us=tuple(leads),
    )


def _answers(at_us: int, event: Event) -> bool:
    """Whether the event came within the window behind a warning, or was under way."""
    return at_us <= event.onset_us <= at_us + WINDOW_US or event.onset_us <= at_us <= event.end_us


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
