"""Rolling-origin trial of a forecaster: learn from earlier rows, foretell the next ones, move on.

Beside it two forecasters that have learned nothing, persistence (it stays as it is) and a straight line (it goes on as
it did), each with the interval of its own errors on the same earlier rows, so that an interval alone wins nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from alerts.forecast.features import HORIZONS_US, Gauge, Layout, features, line, targets
from alerts.forecast.model import QUANTILES, Model, predict
from sensors.batch import Bool, Float64, Int64
from sensors.trend import HOUR_US

SLOT_US = HOUR_US // 4
"""A reading every two minutes says the same seven times over."""
FOLDS = 5
FIRST_SHARE = 1 / 3
"""Of the rows, before the first origin."""
STEEPEST = 0.9
"""A rise is steeper than this share of the earlier rows."""
LEARNED, PERSISTENCE, LINEAR = "learned", "persistence", "linear"
METHODS = (LEARNED, PERSISTENCE, LINEAR)
LEAST_ROWS = 30
"""Nothing is learned from fewer."""
Fit = Callable[[Float64, Float64], Model]
"""(n, k) what is heard, (n, horizons) how much it rose -> a model."""
Progress = Callable[[int, int], None]
"""(done, of all)"""


def unseen(done: int, of: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """What a record gives to learn from: rows at which everything is known."""

    time_us: Int64
    """(n,) rising"""
    x: Float64
    """(n, k)"""
    rise: Float64
    """(n, horizons) how much the water rose from then; NaN where nobody measured it."""
    straight: Float64
    """(n, horizons) how much the straight line says."""
    slopes: Float64
    """(n, gauges) per hour, of its own line and of those upstream."""

    def __len__(self) -> int:
        return len(self.time_us)

    def steep(self) -> Float64:
        """(gauges,) how fast a rise is at least."""
        return np.maximum(np.quantile(self.slopes, STEEPEST, axis=0), 0.0)

    def in_rise(self, steep: Float64) -> Bool:
        """(n,) whether it rises so fast, here or upstream."""
        return np.asarray((self.slopes > steep).any(axis=1), dtype=np.bool_)

    def __getitem__(self, mask: Bool) -> "Rows":
        return Rows(
            time_us=self.time_us[mask],
            x=self.x[mask],
            rise=self.rise[mask],
            straight=self.straight[mask],
            slopes=self.slopes[mask],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Of one horizon, over all rows or over those in a rise alone."""

    horizon_h: float
    rises: bool
    rows: int
    mae: dict[str, float]
    """By method: how far the middle is off, unit of the series."""
    pinball: dict[str, float]
    """By method: mean pinball loss of the three quantiles."""
    inside: float
    """Share of what came that lay within the learned 80 % interval."""
    folds: int
    """That had such rows."""
    won: int
    """Of them, with the lowest pinball loss learned."""


def rows_of(layout: Layout, own: Gauge, upstream: Sequence[Gauge]) -> Rows:
    """Lay a record out: a row for the first reading of each SLOT_US."""
    slot = own.time_us // SLOT_US
    first = np.ones(len(slot), dtype=np.bool_)
    first[1:] = slot[1:] != slot[:-1]
    at_us, level = own.time_us[first], own.value[first]
    x = features(layout, own, upstream, at_us)
    lines = [line(gauge, at_us) for gauge in (own, *upstream)]
    slopes = np.column_stack([slope for _, slope in lines])
    ends, slope = lines[0]
    hours = np.array(HORIZONS_US) / HOUR_US
    straight = (ends - level)[:, None] + slope[:, None] * hours
    known = np.asarray(np.isfinite(x).all(axis=1) & np.isfinite(slopes).all(axis=1), dtype=np.bool_)
    return Rows(time_us=at_us, x=x, rise=targets(own, at_us) - level[:, None], straight=straight, slopes=slopes)[known]


def origins(time_us: Int64) -> list[tuple[int, int]]:
    """(first, end) times of the folds: equally many rows in each, and FIRST_SHARE of all before the first."""
    if len(time_us) < FOLDS + 1:
        return []
    edges = np.linspace(FIRST_SHARE * len(time_us), len(time_us), FOLDS + 1).astype(int)
    at = [int(time_us[k]) for k in edges[:-1]] + [int(time_us[-1]) + 1]
    return list(pairwise(at))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fold:
    rises: Bool
    came: Float64
    """(n, horizons)"""
    said: dict[str, Float64]
    """By method (n, horizons, quantiles)."""


def trial(rows: Rows, fit: Fit, *, progress: Progress = unseen) -> list[Score]:
    """Foretell every fold from what was known at its origin, and score it; empty where there is too little.

    A row counts as earlier only if what came of it within the longest horizon was known at the origin.
    """
    folds = origins(rows.time_us)
    found: list[_Fold] = []
    for done, (first_us, end_us) in enumerate(folds):
        progress(done, len(folds))
        early = rows[rows.time_us + HORIZONS_US[-1] < first_us]
        if np.isfinite(early.rise).sum(axis=0).min() >= LEAST_ROWS:
            late = rows[(rows.time_us >= first_us) & (rows.time_us < end_us)]
            found.append(_fold(early, late, fit(early.x, early.rise)))
    progress(len(folds), len(folds))
    return list(_scores(found)) if found else []


def _fold(early: Rows, late: Rows, model: Model) -> _Fold:
    steep = early.steep()
    rises, were = late.in_rise(steep), early.in_rise(steep)
    said = {LEARNED: predict(model, late.x)}
    for name, now, then in (
        (PERSISTENCE, np.zeros_like(late.straight), np.zeros_like(early.straight)),
        (LINEAR, late.straight, early.straight),
    ):
        said[name] = _dressed(now, rises, early.rise - then, were)
    return _Fold(rises=rises, came=late.rise, said=said)


def _dressed(point: Float64, rises: Bool, errors: Float64, were: Bool) -> Float64:
    """(n, horizons, quantiles) a point with the quantiles of its errors, those in rises apart from the others."""
    said = np.repeat(point[:, :, None], len(QUANTILES), axis=2)
    for state in (False, True):
        past = errors[were == state] if (were == state).any() else errors
        spread = np.nanquantile(past, QUANTILES, axis=0).T
        spread[:, QUANTILES.index(0.5)] = 0.0  # the point is what it says
        said[rises == state] += spread
    return np.sort(said, axis=2)


def _scores(folds: Sequence[_Fold]) -> Iterator[Score]:
    for h, horizon_us in enumerate(HORIZONS_US):
        for rises in (False, True):
            counted = [np.isfinite(one.came[:, h]) & (one.rises if rises else True) for one in folds]
            came = [one.came[some, h] for one, some in zip(folds, counted, strict=True)]
            losses: dict[str, list[Float64]] = {name: [] for name in METHODS}
            off: dict[str, list[Float64]] = {name: [] for name in METHODS}
            inside = []
            for one, some, true in zip(folds, counted, came, strict=True):
                for name in METHODS:
                    said = one.said[name][some, h]
                    losses[name].append(_pinball(said, true))
                    off[name].append(np.abs(said[:, QUANTILES.index(0.5)] - true))
                learned = one.said[LEARNED][some, h]
                inside.append((learned[:, 0] <= true) & (true <= learned[:, -1]))
            if not any(map(len, came)):
                continue
            full = [k for k, true in enumerate(came) if len(true)]
            won = [k for k in full if losses[LEARNED][k].mean() == min(losses[name][k].mean() for name in METHODS)]
            yield Score(
                horizon_h=horizon_us / HOUR_US,
                rises=rises,
                rows=sum(map(len, came)),
                mae={name: _mean(off[name]) for name in METHODS},
                pinball={name: _mean(losses[name]) for name in METHODS},
                inside=_mean(inside),
                folds=len(full),
                won=len(won),
            )


def _pinball(said: Float64, came: Float64) -> Float64:
    """(n,) mean over the quantiles."""
    over = came[:, None] - said
    q = np.array(QUANTILES)
    loss: Float64 = np.maximum(q * over, (q - 1) * over).mean(axis=1)
    return loss


def _mean(parts: Sequence[Float64] | Sequence[Bool]) -> float:
    return float(np.concatenate(parts).mean())
