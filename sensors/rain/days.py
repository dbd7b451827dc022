"""The Thai rain day, from 07:00 to 07:00, its class, and how wet the days before have left the ground."""

from datetime import date, timedelta
from math import ceil, log

import numpy as np

from sensors.batch import Bool, Float64, Int64
from sensors.rain.sums import Sums

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
KEPT = 0.90
"""Share of its wetness the ground keeps from day to day; 0.80 to 0.98 are in use (AMS Glossary; a public Thai flood
plan takes 0.92)."""
FORGOTTEN = 0.05
"""A day whose share has sunk below this counts no more, and need not be known."""


def rain_day(time_us: Int64) -> Int64:
    """(n,) number of the rain day since 1970: 07:00 in Thailand is midnight UTC. A tip at 07:00 is of the new day."""
    return time_us // DAY_US


def first_date(day: int) -> date:
    """The date on which a rain day begins at 07:00; the weather service reports it at 07:00 of the next."""
    return date(1970, 1, 1) + timedelta(days=day)


def daily(time_us: Int64, value_mm: Float64, usable: Bool, *, from_day: int, to_day: int, cadence_us: int) -> Sums:
    """Sum up the readings of one series whose times lie in each rain day.

    Parameters
    ----------
    time_us : (n,) rising
    value_mm : (n,) since the reading before
    usable : (n,) rows that count; none of them NaN
    from_day, to_day : numbers of rain days; the last is not included
    cadence_us : each reading speaks for the time since the one before, and for so long at most

    Returns
    -------
    sums : (to_day - from_day,) 0 mm and 0 covered where nothing was heard
    """
    time, value = time_us[usable], value_mm[usable]
    spoken = np.minimum(np.diff(time, prepend=time[:1] - cadence_us), cadence_us)
    day, days = rain_day(time) - from_day, to_day - from_day
    inside = (day >= 0) & (day < days)
    fell_mm, covered_us = np.zeros(days), np.zeros(days, dtype=np.int64)
    np.add.at(fell_mm, day[inside], value[inside])
    np.add.at(covered_us, day[inside], spoken[inside])
    return Sums(fell_mm=fell_mm.round(6), covered=np.minimum(covered_us / DAY_US, 1.0))


def daily_of_hours(
    hour_us: Int64, usable: Int64, mean_mm: Float64, *, from_day: int, to_day: int, cadence_us: int
) -> Sums:
    """Sum up clock hours by rain days; see `daily`.

    Parameters
    ----------
    hour_us : (n,) where each begins
    usable : (n,) how many readings count
    mean_mm : (n,) their mean; NaN where none counts
    """
    heard = usable > 0
    day, days = rain_day(hour_us[heard]) - from_day, to_day - from_day
    inside = (day >= 0) & (day < days)
    fell_mm, covered_us = np.zeros(days), np.zeros(days, dtype=np.int64)
    np.add.at(fell_mm, day[inside], (usable[heard] * mean_mm[heard])[inside])
    np.add.at(covered_us, day[inside], np.minimum(usable[heard] * cadence_us, HOUR_US)[inside])
    return Sums(fell_mm=fell_mm.round(6), covered=np.minimum(covered_us / DAY_US, 1.0))


def days_counted(kept: float = KEPT) -> int:
    """How many days the wetness of one rests on."""
    return max(ceil(log(FORGOTTEN) / log(kept)), 1)


def wetness(daily_mm: Float64, *, kept: float = KEPT) -> Float64:
    """Antecedent precipitation index: each day keeps a share of the day before, and its own rain comes on top.

    Parameters
    ----------
    daily_mm : (days,) or (stations, days) of whole rain days, oldest first; NaN where a day is not known
    kept : 0 to 1, not included

    Returns
    -------
    index_mm : of the same shape; NaN until as many days are known as count, and as long as a day that is not known
        counts: a gap is not dry
    """
    count = days_counted(kept)
    index_mm = np.full(daily_mm.shape, np.nan)
    if daily_mm.shape[-1] >= count:
        spans = np.lib.stride_tricks.sliding_window_view(daily_mm, count, axis=-1)
        index_mm[..., count - 1 :] = spans @ kept ** np.arange(count)[::-1]
    return index_mm
