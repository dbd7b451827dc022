"""The times that can be kept, and how devices and people write them as text."""

import re
from datetime import UTC, datetime, timedelta

TIME_US_MAX = (2**63 - 1) // 1_000
"""2262-04-11, the last day that nanoseconds in 64 bits can name: pandas, InfluxDB and Parquet readers end there."""
BUDDHIST_ERA = 543
_BUDDHIST_FROM = 2400
"""A year from here on is counted in the Buddhist era: no reading is of a Christian year so late, or a Buddhist one so
early."""
_THAILAND = timedelta(hours=7)
"""What a time without a zone is meant in. Thailand has had no other since 1920, and no summer time."""
_ZONE_MAX = timedelta(hours=14)
_CHARS_MAX = 48
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Digits are European or Thai, which int() reads alike.
_D = "[0-9๐-๙]"
_TEXT = re.compile(
    rf"""(?:(?P<year>{_D}{{4}})(?P<mark_0>[/-])(?P<month>{_D}{{2}})(?P=mark_0)(?P<day>{_D}{{2}})
          |(?P<day_1>{_D}{{1,2}})(?P<mark>[/-])(?P<month_1>{_D}{{1,2}})(?P=mark)(?P<year_1>{_D}{{4}}))
         (?:[Tt]|\ +)
         (?P<hour>{_D}{{1,2}}):(?P<minute>{_D}{{2}})(?::(?P<second>{_D}{{2}})(?:[.,](?P<fraction>{_D}{{1,9}}))?)?
         \ ?(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>{_D}{{2}})(?::?(?P<zone_minute>{_D}{{2}}))?)?""",
    re.VERBOSE,
)


def read_us(text: str) -> int | None:
    """Read a date with a time of day.

    Parameters
    ----------
    text : `2026-11-22T18:00:05.25+07:00`, `2026/11/22 18:00`, or day first `22/11/2569 18:00:05`; European or Thai
        digits. A year from 2400 on is of the Buddhist era. Without a zone it is Thai time, +07:00. 24:00 is the end of
        the day (ISO 8601).

    Returns
    -------
    Microseconds UTC, digits behind them cut off; None for anything else, days that no calendar has among it, and for
    times outside 1970 to 2262.
    """
    found = _TEXT.fullmatch(text) if len(text) <= _CHARS_MAX else None
    if found is None:
        return None
    year, month, day = (int(found[part] or found[f"{part}_1"]) for part in ("year", "month", "day"))
    if year >= _BUDDHIST_FROM:
        year -= BUDDHIST_ERA
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    micros = int((found["fraction"] or "0").ljust(6, "0")[:6])
    end_of_day = hour == 24
    if end_of_day and (minute or second or int(found["fraction"] or 0)):
        return None
    zone = _zone(found)
    if zone is None:
        return None
    try:
        local = datetime(year, month, day, 0 if end_of_day else hour, minute, second, micros, tzinfo=UTC)
    except ValueError:
        return None
    time_us = (local - _EPOCH + timedelta(days=end_of_day) - zone) // _MICROSECOND
    return time_us if 0 <= time_us <= TIME_US_MAX else None


def _zone(found: re.Match[str]) -> timedelta | None:
    """What is to be taken off a local time; None for a zone that the earth does not have."""
    if not found["zone"]:
        return _THAILAND
    if not found["sign"]:
        return timedelta(0)
    hours, minutes = int(found["zone_hour"]), int(found["zone_minute"] or 0)
    distance = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or distance > _ZONE_MAX:
        return None
    return -distance if found["sign"] == "-" else distance
