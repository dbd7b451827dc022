"""What every wire format keeps to: how much, until when, what is a number and a name, and how to quote the rest."""

import math

from ingest.times import TIME_US_MAX

__all__ = ["NAME_CHARS_MAX", "PAYLOAD_BYTES_MAX", "READINGS_MAX", "TIME_US_MAX", "is_name", "number", "shown"]

PAYLOAD_BYTES_MAX = 256 * 1024
"""Of one message."""
READINGS_MAX = 2_000
"""Readings in one message."""
NAME_CHARS_MAX = 128
"""Of a reading name, with the station before it where SenML has that. A base name of 200 kB before 2,000 records would
be 400 MB of names."""

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
    """Whether this is text that can be a reading name at all: neither empty nor too long, no half surrogate pairs."""
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX:
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
    text = ascii(value[: _SHOWN_CHARS + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
