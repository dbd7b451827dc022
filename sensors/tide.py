"""What the tide did at this hour of its last two rounds."""

import numpy as np

from sensors.batch import Bool, Float64, Int64
from sensors.trend import HOUR_US

ROUND_US = 44_714_160_000
"""The principal lunar semidiurnal tide M2, 12.4206 h; two rounds are the lunar day (IHO constituent list)."""
DAY_SLOTS = 28
"""Hourly readings remembered: the lunar day, the horizon's end, and one before."""
SHARE = 0.7
"""So much of a lift comes again: springs and surges pass."""
SWING = 0.4
"""A tide has risen and fallen by this part of its range in each of two rounds."""
GAP_US = 2 * HOUR_US


def lift(entries: Int64, time_us: Int64, horizon_us: Float64) -> Float64:
    """How far the water rose within the horizon behind the same hour of the last two tides: the lesser of the two.

    Parameters
    ----------
    entries : (n, DAY_SLOTS, 2) time and value of hourly readings up to each row, oldest first
    time_us, horizon_us : (n,)

    Returns
    -------
    lift : (n,) unit of the values, at least 0; inf where the water is not tidal or its last day is not known
    """
    times = np.maximum(entries[..., 0], (time_us - 3 * ROUND_US)[:, None])  # what was never is long ago
    values = entries[..., 1].astype(np.float64)
    least = np.full(len(time_us), np.inf)
    tidal = _is_tidal(times, values, time_us)
    at = np.flatnonzero(tidal)
    for rounds in (1, 2):
        since = times[at] - (time_us[at] - rounds * ROUND_US)[:, None]
        last = np.maximum((since <= 0).sum(axis=1) - 1, 0)
        row = np.arange(len(at))
        before_us, after_us = since[row, last], since[row, last + 1]
        before, after = values[at][row, last], values[at][row, last + 1]
        then = before + (after - before) * (-before_us / (after_us - before_us))
        ahead = (since > 0) & (since <= (horizon_us[at] + HOUR_US // 2)[:, None])
        highest = np.where(ahead, values[at], -np.inf).max(axis=1)
        least[at] = np.minimum(least[at], SHARE * np.maximum(highest - then, 0.0))
    return least


def _is_tidal(times: Int64, values: Float64, time_us: Int64) -> Bool:
    """Whether it rose and fell by much of its range in each of the last two rounds."""
    known = times >= (time_us - 2 * ROUND_US - HOUR_US)[:, None]
    steps_us, steps = np.diff(times, axis=1), np.diff(values, axis=1)
    steps[~known[:, :-1]] = 0.0
    whole = (known & (times <= (time_us - 2 * ROUND_US)[:, None])).any(axis=1)
    whole &= ~((steps_us > GAP_US) & known[:, :-1]).any(axis=1)
    spread = np.where(known, values, -np.inf).max(axis=1) - np.where(known, values, np.inf).min(axis=1)
    newer = times[:, 1:] > (time_us - ROUND_US)[:, None]
    tidal = np.asarray(whole)
    for part in (newer, ~newer):
        rose = np.where(part, np.maximum(steps, 0.0), 0.0).sum(axis=1)
        fell = np.where(part, np.maximum(-steps, 0.0), 0.0).sum(axis=1)
        tidal = tidal & (np.minimum(rose, fell) >= SWING * spread)
    return tidal
