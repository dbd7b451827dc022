"""Catchments of our own making: rain that nobody measures, a gauge upstream, and one that its water comes to later."""

import numpy as np

from alerts.forecast.features import Gauge, Layout, Link
from sensors.batch import Float64
from sensors.trend import HOUR_US
from tests.builders import T0_US

STEP_US = HOUR_US // 2
TRAVEL_H = 4.0
LAYOUT = Layout(
    series="LOW/stage_m",
    cadence_us=STEP_US,
    upstream=(Link(series="HIGH/stage_m", cadence_us=STEP_US, travel_us=round(TRAVEL_H * HOUR_US)),),
)
ALONE = Layout(series="LOW/stage_m", cadence_us=STEP_US)


def gauge(values: Float64, *, step_us: int = STEP_US) -> Gauge:
    return Gauge.of(T0_US + step_us * np.arange(len(values)), values, step_us)


def catchment(days: float = 120.0, *, seed: int = 5, noise_m: float = 0.004) -> tuple[Gauge, Gauge]:
    """(downstream, upstream): what stands upstream stands downstream TRAVEL_H later, a little flatter."""
    rng = np.random.default_rng(seed)
    hours = np.arange(0, 24 * days, STEP_US / HOUR_US)

    def water(at_h: Float64) -> Float64:
        level = np.full(len(at_h), 0.8)
        for start_h, height_m, peak_h in floods:
            x = np.maximum(at_h - start_h, 0) / peak_h
            level = level + height_m * (x * np.exp(1 - x)) ** 2
        return level

    many = round(days / 3)
    floods = list(
        zip(
            rng.uniform(-24, 24 * days, many).tolist(),
            rng.exponential(0.9, many).tolist(),
            rng.uniform(3, 9, many).tolist(),
            strict=True,
        )
    )
    high = water(hours) + noise_m * rng.standard_normal(len(hours))
    low = 0.4 + 0.8 * water(hours - TRAVEL_H) + noise_m * rng.standard_normal(len(hours))
    return gauge(low), gauge(high)


def walk(rows: int, *, seed: int = 7) -> Gauge:
    """A level that nobody can foretell."""
    return gauge(2.0 + 0.02 * np.cumsum(np.random.default_rng(seed).standard_normal(rows)))
