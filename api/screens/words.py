"""Numbers and times in the words of the screens."""

import math

import numpy as np

from alerts.episode import Level
from alerts.words import (
    LEVEL_ENGLISH,
    LEVEL_WORDS,
    SILENT_ENGLISH,
    SILENT_WORD,
    UNKNOWN_ENGLISH,
    UNKNOWN_WORD,
    duration,
    local,
    thai_clock,
    thai_date,
)
from api.screens.facts import HOUR_US, MINUTE_US
from api.views import Moment
from sensors.rain.classes import HEAVIEST, UNKNOWN, WORDS, classes

MINUS = "\N{MINUS SIGN}"
NO_VALUE = "–"
NOT_ANNOUNCED = "ยังไม่มีประกาศ"
"""Public level 0 of an open story: normal is what it is not."""

FAULT = -1
UNHEARD = -2

UNIT_WORDS = {
    "m": "ม.",
    "mm": "มม.",
    "ug/m3": "มคก./ลบ.ม.",
    "Cel": "°C",
    "%RH": "%",
    "m/s": "ม./วินาที",
    "%EL": "%",
    "V": "V",
}
"""Canonical unit -> as people read it."""

FLAG_WORDS = {1: "ดี", 2: "รอตรวจ", 3: "น่าสงสัย", 4: "ใช้ไม่ได้", 9: "ขาดหาย"}


def moment(time_us: int, now_us: int, *, language: str = "th") -> Moment:
    """A time for people. Whole minutes only, so that a page changes no more often than a reader could notice."""
    whole = time_us - time_us % MINUTE_US
    there = local(whole)
    return Moment(
        iso=there.isoformat(),
        clock=thai_clock(whole),
        date=thai_date(whole) if language == "th" else there.strftime("%a %-d %b %Y"),
        ago=ago(time_us, now_us, language=language),
    )


def ago(time_us: int, now_us: int, *, language: str = "th") -> str:
    """`2 นาทีที่แล้ว`; what lies ahead of the clock is `เมื่อสักครู่`, the skew is judged elsewhere."""
    age = (now_us - now_us % MINUTE_US) - (time_us - time_us % MINUTE_US)
    if age < MINUTE_US:
        return "just now" if language == "en" else "เมื่อสักครู่"
    if language == "en":
        hours, minutes = age // HOUR_US, age // MINUTE_US % 60
        return (
            " ".join(([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes or not hours else [])) + " ago"
        )
    return f"{duration(age)}ที่แล้ว"


def short_age(span_us: int) -> str:
    """`25 นาที`, `2 ชม.`, `3 วัน`: its largest unit only, for where there is little room."""
    minutes = max(0, span_us) // MINUTE_US
    if minutes >= 1440:
        return f"{minutes // 1440} วัน"
    return f"{minutes // 60} ชม." if minutes >= 60 else f"{minutes} นาที"


def signed(value: float, decimals: int = 2) -> str:
    """`−0.42`, `+0.18`, `0.00` with a true minus sign; NaN is a dash."""
    if math.isnan(value):
        return NO_VALUE
    shown = rounded(value, decimals)
    if shown == 0:
        return f"{0:.{decimals}f}"
    return f"{'+' if shown > 0 else MINUS}{abs(shown):.{decimals}f}"


def number(value: float, decimals: int) -> str:
    """`96.5`; negative with a true minus sign, NaN is a dash."""
    if math.isnan(value):
        return NO_VALUE
    shown = rounded(value, decimals)
    return f"{MINUS if shown < 0 else ''}{abs(shown):.{decimals}f}"


def rounded(value: float, decimals: int) -> float:
    """Rounded without the noise of binary fractions: 85 % of 4.50 m is 3.825, computed a hair less, and must read the
    same wherever it is shown.
    """
    return round(round(value, decimals + 4), decimals)


def level_word(level: int, *, language: str = "th") -> str:
    """The word of a danger level, of a fault (-1) or of ignorance (-2)."""
    english = language == "en"
    if level == UNHEARD:
        return UNKNOWN_ENGLISH if english else UNKNOWN_WORD
    if level == FAULT:
        return SILENT_ENGLISH if english else SILENT_WORD
    return (LEVEL_ENGLISH if english else LEVEL_WORDS)[Level(level)]


def rain_word(total_mm: float, *, complete: bool, language: str = "th") -> str:
    """Official word for a 24 h sum; empty where it may not be given.

    The service's day runs from 07:00 to 07:00; here it is always the last 24 hours, and the cards say so. An
    incomplete day may only grow, so the only class it can be given is the highest.
    """
    number = int(classes(np.array([total_mm]))[0])
    if number == UNKNOWN or not (complete or number == HEAVIEST):
        return ""
    thai, english = WORDS[number]
    return english if language == "en" else thai
