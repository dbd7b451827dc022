"""NowCast of dust: what the daily mean may become, from twelve clock hours, weighted by how they vary.

Source: USEPA sensortoolkit, `_nowcast_pm25.py`; MazamaScience AirMonitor 4.0.2, `monitor_nowcast.R`, which left out the
demand for the current hour in September 2024 to agree with AirNow. Retrieved 2026-11-22.
"""

import numpy as np

from sensors.batch import Float64

HOURS = 12
RECENT = 3
RECENT_NEEDED = 2
WEIGHT_MIN = 0.5
"""Of PM2.5 and PM10."""


def nowcast(hours: Float64) -> Float64:
    """Weigh the newest twelve hours; the weight of an hour falls with its age, known or not what lies between.

    Parameters
    ----------
    hours : (k, 12 or more) means of clock hours, the newest first. NaN, or below 0 where no dust can be: not known

    Returns
    -------
    nowcast : (k,) not yet cut to the digits of a table: `US_AQI` truncates. NaN where fewer than two of the newest
        three hours are known
    """
    newest = np.where(hours[:, :HOURS] >= 0, hours[:, :HOURS], np.nan)
    known = np.isfinite(newest)
    low = np.where(known, newest, np.inf).min(axis=1)
    high = np.where(known, newest, -np.inf).max(axis=1)
    even = ~(high > 0)  # all hours are 0, or none is known
    weight = np.maximum(np.where(even, 1.0, np.where(even, 1.0, low) / np.where(even, 1.0, high)), WEIGHT_MIN)
    # 1 - (max - min) / max is min / max; powers by multiplication, which is the same on any machine.
    powers = np.repeat(weight[:, None], HOURS, axis=1)
    powers[:, 0] = 1.0
    weights = np.where(known, powers.cumprod(axis=1), 0.0)
    total = weights.sum(axis=1)
    answer = (weights * np.where(known, newest, 0.0)).sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(known[:, :RECENT].sum(axis=1) >= RECENT_NEEDED, answer, np.nan)
