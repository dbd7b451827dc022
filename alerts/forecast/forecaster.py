"""A trained forecaster: what it is for, what it was trained on, what it is worth, and its arrays."""

from dataclasses import dataclass

import numpy as np

from alerts.forecast.features import HORIZONS_US, Layout, Link
from alerts.forecast.model import Model
from alerts.forecast.trial import Fit, Progress, Rows, Score, trial, unseen
from alerts.forecast.verdict import Verdict, verdicts
from sensors.batch import Bool
from sensors.stations import SECOND_US, Registry, Series
from sensors.trend import HOUR_US

QUANTITY = "stage_m"
HORIZONS_H = tuple(horizon_us / HOUR_US for horizon_us in HORIZONS_US)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecaster:
    """See the module."""

    layout: Layout
    trained_us: int
    """When."""
    from_us: int
    until_us: int
    """First and last row it was trained on."""
    rows: int
    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]
    """One for each horizon."""
    model: Model | None
    """None where no horizon is accepted: nobody can use it by mistake."""

    @property
    def accepted(self) -> Bool:
        """(horizons,)"""
        return np.array([one.accepted for one in self.verdicts], dtype=np.bool_)


def main_stage(registry: Registry, station: str) -> Series | None:
    """The water level a station is known by; None where it measures none."""
    own = (s for s in registry.series if s.station == station and s.quantity == QUANTITY and not s.superseded)
    return next(own, None)


def layout_of(registry: Registry, station: str) -> Layout | None:
    """What a forecaster of a station hears, as the configuration has it; None where it measures no water level."""
    own = main_stage(registry, station)
    if own is None:
        return None
    links = []
    for above in registry.stations[station].upstream:
        series = main_stage(registry, above.station)
        assert series is not None, "checked when the stations were read"
        links.append(Link(series=series.key, cadence_us=series.cadence_us, travel_us=round(above.travel_s * SECOND_US)))
    return Layout(series=own.key, cadence_us=own.cadence_us, upstream=tuple(links))


def train(layout: Layout, rows: Rows, fit: Fit, *, now_us: int, progress: Progress = unseen) -> Forecaster:
    """Try it by rolling origin, and learn from everything if that was worth it.

    Parameters
    ----------
    rows : see `alerts.forecast.trial.rows_of`
    now_us : when this is
    """
    scores = tuple(trial(rows, fit, progress=progress))
    found = verdicts(scores, HORIZONS_H)
    accepted = any(one.accepted for one in found)
    return Forecaster(
        layout=layout,
        trained_us=now_us,
        from_us=int(rows.time_us[0]) if len(rows) else 0,
        until_us=int(rows.time_us[-1]) if len(rows) else 0,
        rows=len(rows),
        scores=scores,
        verdicts=found,
        model=fit(rows.x, rows.rise) if accepted else None,
    )
