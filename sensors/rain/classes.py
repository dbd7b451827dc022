"""Words of the Thai weather service for the rain of 24 hours.

Source: Thai Meteorological Department, DetailDailyRain, retrieved 2026-11-22. There are none for the rain of an hour.
"""

from collections.abc import Mapping

import numpy as np

from sensors.batch import Float64, Int64

HEAVIEST = 5
_UPPER_MM = np.array([10.0, 35.0, 90.0])
_TRACE_MM = 0.1

UNKNOWN, NONE, TRACE = -1, 0, 1
WORDS: Mapping[int, tuple[str, str]] = {
    NONE: ("ไม่มีฝน", "no rain"),
    TRACE: ("ฝนวัดจำนวนไม่ได้", "trace"),
    2: ("ฝนเล็กน้อย", "light rain"),
    3: ("ฝนปานกลาง", "moderate rain"),
    4: ("ฝนหนัก", "heavy rain"),
    5: ("ฝนหนักมาก", "very heavy rain"),
}
"""Number of the class -> Thai, English. A day without rain has no class of the service: the word is ours."""


def classes(mm_24h: Float64) -> Int64:
    """(n,) number of the class of each sum of 24 h, rounded to the tenth of the table, a half up; UNKNOWN where NaN."""
    tenths = np.floor(mm_24h * 10 + 0.5 + 1e-6) / 10
    found = 2 + np.searchsorted(_UPPER_MM, tenths, side="left")
    found = np.where(mm_24h < _TRACE_MM - 1e-9, np.where(mm_24h > 0, TRACE, NONE), found)
    return np.where(np.isnan(mm_24h), UNKNOWN, found)
