"""What every wire format keeps to: how much, until when, what is a number and a name, and how to quote the rest."""

import math

READINGS_MAX = 2_000
"""Readings in one message."""
TIME_US_MAX = (2**63 - 1) // 1_000
"""2262-04-11, the last day that nanoseconds in 64 bits can name: pandas, InfluxDB and Parquet readers end there."""

_SHOWN_CHARS = 60


def number(value: object) -> float | None:
    """Read a parsed JSON value as a finite number; None for anything else, true and false among it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None


def is_name(value: object) -> bool:
    """Whether this is text that can be a reading name at all: not empty, and without half surrogate pairs."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """Write a value from outside into a sentence: short, printable, on one line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
