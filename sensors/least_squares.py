"""How fast a series rises by least squares, with its interval: beside Theil-Sen, which outliers do not move.

The interval is Student's, for errors that do not know of each other. Levels of a river do, so it is rather too narrow:
it is for comparing, and no rule raises by it.
"""

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64
from sensors.trend import HOUR_US, POINTS, Slopes, Trend, Z
from sensors.window import NEVER


def slopes(trend: Trend, series: NDArray[np.integer], now_us: int, *, span_us: Int64) -> Slopes:
    """How fast some series rise now, with the 80 % interval; see `trend.slopes`, which has the same readings.

    Parameters
    ----------
    series : (k,) indices
    now_us : readings of the span before this count
    span_us : (series,)

    Returns
    -------
    slopes : NaN where fewer than POINTS readings count
    """
    last_us = trend.last_us[series]
    time = np.column_stack([trend.slot_time_us[series], last_us])
    value = np.column_stack([trend.slot_value[series], trend.last_value[series]])
    valid = time >= np.maximum(now_us - span_us[series], NEVER + 1)[:, None]
    valid[:, :-1] &= time[:, :-1] < last_us[:, None]  # the newest may have opened its slot: it counts once
    rise, reach = fit(np.where(valid, time - last_us[:, None], 0) / HOUR_US, value, valid)
    return Slopes(
        rise_per_h=rise,
        low_per_h=rise - reach,
        high_per_h=rise + reach,
        last_us=last_us,
        last_value=trend.last_value[series],
    )


def fit(hours: Float64, value: Float64, valid: Bool, *, least: int = POINTS) -> tuple[Float64, Float64]:
    """Straight lines through many small sets of points at once.

    Parameters
    ----------
    hours, value : (k, points)
    valid : (k, points) those that count
    least : fewer have no line, at least 2

    Returns
    -------
    slope, reach : (k,) unit per hour, and half the width of its 80 % interval; NaN where fewer than `least` count or
        all at one time, and no interval where fewer than POINTS do
    """
    points = valid.sum(axis=1)
    enough = points >= least
    count = np.maximum(points, 1)[:, None]
    x, y = np.where(valid, hours, 0.0), np.where(valid, value, 0.0)
    x = np.where(valid, x - x.sum(axis=1, keepdims=True) / count, 0.0)
    y = np.where(valid, y - y.sum(axis=1, keepdims=True) / count, 0.0)
    spread = (x * x).sum(axis=1)
    enough &= spread > 0
    spread = np.where(enough, spread, 1.0)
    slope = (x * y).sum(axis=1) / spread
    sure = enough & (points >= POINTS)
    free = np.where(sure, points - 2, 1)
    left = ((y - slope[:, None] * x) ** 2).sum(axis=1) / free
    reach = student(free) * np.sqrt(left / spread)
    return np.where(enough, slope, np.nan), np.where(sure, reach, np.nan)


def student(free: NDArray[np.integer]) -> Float64:
    """(k,) two-sided 80 % of Student's distribution, for 3 degrees of freedom and more to 0.1 %.

    Source: the expansion of Fisher and Cornish (Abramowitz and Stegun 26.7.5).
    """
    z, n = Z, np.asarray(free, dtype=np.float64)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    total = np.full(n.shape, z)
    for power, term in enumerate(terms, start=1):
        total += term / n**power
    return total
