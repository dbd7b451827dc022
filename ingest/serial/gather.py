"""Makes one reading of all that was heard in a while, and one refusal of all that was refused. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import fmean, median

from ingest.serial.heard import Fault, Frame, Heard, Refused

REFUSALS_S = 60.0
"""At most one row of the quarantine in so much time: a wrong baud rate refuses hundreds of frames a second."""
VALUES_MAX = 100_000
"""Of one period; no instrument is that quick, and a hostile one fills no memory."""

_MEDIAN = ("stage_m", "distance_m", "depth_m")
"""Waves and stray echoes fall far off; a mean would follow them."""
_NEWEST = ("rain_total_mm",)
"""A counter is what it last said."""


class Gather:
    """What one line said since its last reading.

    Parameters
    ----------
    names : the instrument's own name of a value -> reading name of docs/wire.md; what is not named is left out
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._values: dict[str, list[float]] = {}
        self.heard_us: int | None = None
        """Judgement clock of the newest that counts for the reading; None: nothing was heard."""

    def add(self, heard: Iterable[Heard], now_us: int) -> None:
        """Take frames, and that something spoke that could not be used."""
        for one in heard:
            values = one.values if isinstance(one, Frame) else dict.fromkeys(one.names or self._names, math.nan)
            for name, value in values.items():
                if name in self._names:
                    self.heard_us = now_us
                    held = self._values.setdefault(name, [])
                    if not math.isnan(value) and len(held) < VALUES_MAX:
                        held.append(value)

    def close(self) -> dict[str, float | None]:
        """The reading, None for what was measured in vain; empty where nothing was heard. Begins the next."""
        reading = {self._names[name]: _one(name, values) for name, values in self._values.items()}
        self._values = {}
        self.heard_us = None
        return reading


def _one(name: str, values: list[float]) -> float | None:
    if not values:
        return None
    quantity = name.partition("@")[0]
    if quantity in _NEWEST:
        return values[-1]
    return median(values) if quantity in _MEDIAN else fmean(values)


class Refusals:
    """What a line's refusals come to, row by row."""

    def __init__(self) -> None:
        self._count: Counter[Fault] = Counter()
        self._head = b""
        self._since_s = -math.inf
        self._told_s = -math.inf

    def add(self, heard: Iterable[Heard], now_s: float) -> None:
        """Count those that are refusals."""
        for one in heard:
            if isinstance(one, Refused):
                if not self._count:
                    self._head, self._since_s = one.head, now_s
                self._count[one.fault] += 1

    @property
    def due_s(self) -> float:
        """When a row may be written; infinite where there is nothing to write."""
        return self._told_s + REFUSALS_S if self._count else math.inf

    def take(self, now_s: float) -> tuple[str, bytes] | None:
        """What to write and the first bytes refused, if it is time; begins anew."""
        if now_s < self.due_s:
            return None
        what = ", ".join(f"{count} x {fault}" for fault, count in self._count.most_common())
        text = f"{self._count.total()} refused within {now_s - self._since_s:.0f} s: {what}; the first began with"
        head, self._told_s = self._head, now_s
        self._count.clear()
        return f"{text} {head[:16].hex(' ')}", head
