"""Rivers of our own making: a gamma-shaped flood now and then upon a base flow, a reading every quarter."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensors.batch import ReadingBatch
from tests.builders import MINUTE_US, T0_US

QUARTER_US = 15 * MINUTE_US
Values = NDArray[np.float64]


def river(
    floods: Sequence[tuple[float, float, float]], *, days: float = 40.0, base_m: float = 0.6, noise_m: float = 0.004
) -> Values:
    """Stage of a river.

    Parameters
    ----------
    floods : (day, height over the base in m, hours from the first rise to the peak) of each
    noise_m : of a good level sensor
    """
    t = np.arange(0, days * 24, 0.25)
    level = np.full(len(t), base_m) + 0.1 * np.exp(-t / 240)
    for day, height_m, peak_h in floods:
        x = np.maximum(t - 24 * day, 0) / peak_h
        level += height_m * (x * np.exp(1 - x)) ** 3
    return level + noise_m * np.random.default_rng(3).standard_normal(len(t))


def batch(level: Values) -> ReadingBatch:
    """As it would have come in."""
    time_us = T0_US + np.arange(len(level)) * QUARTER_US
    return ReadingBatch.of(series=np.zeros(len(level)), time_us=time_us, value=np.round(level, 3), received_us=time_us)
