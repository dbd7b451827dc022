"""Ultrasonic rangers that send 0xFF, high byte, low byte, sum: A01NYUB, A02YYUW, ME007YS and their kin. Pure.

9600 baud, several frames a second. 0xFF may also be data, so a frame is where the sum holds. But a sum of one byte
holds by chance: a floating wire or a wrong baud would be a distance every minute. After anything that is no frame
the next one counts only if another follows it at once. Sources: the maker's pages on SEN0311, SEN0312, SEN0313
(millimetres) and SEN0627 (centimetres).
"""

import math
from collections.abc import Collection, Sequence

from ingest.serial.heard import Frame, Heard
from ingest.serial.hunt import Found, Hunt, Seen

NAME = "distance_m"
NO_ECHO = frozenset({0, 0xFFFD, 0xFFFE, 0xFFFF})
"""Nothing in reach, or disturbed by another ranger; of several makers, in one because no river is that far."""
PER_M = {"mm": 1000, "cm": 100}


class Ultrasonic:
    """It speaks by itself.

    Parameters
    ----------
    unit : of what it sends, mm or cm
    no_echo : further values that mean that nothing came back
    """

    due_s = math.inf

    def __init__(self, unit: str, no_echo: Collection[int] = ()) -> None:
        self._hunt = Hunt(self._look)
        self._per_m = PER_M[unit]
        self._no_echo = NO_ECHO | set(no_echo)

    def begin(self) -> bytes:
        """It needs no word."""
        self._hunt.reset()
        return b""

    def feed(self, chunk: bytes) -> Sequence[Heard]:
        """See `Instrument`."""
        return self._hunt.feed(chunk)

    def turn(self, now_s: float) -> tuple[bytes, Sequence[Heard]]:
        """It is never asked."""
        del now_s
        return b"", ()

    def end(self) -> bytes:
        """It goes on."""
        return b""

    def _look(self, data: bytes | bytearray, at: int) -> Seen | Found:
        seen = _sum(data, at)
        if seen is None and not self._hunt.is_locked:
            seen = Seen.MORE if len(data) == at + 4 else _sum(data, at + 4)
        if seen is not None:
            return seen
        distance = int.from_bytes(data[at + 1 : at + 3], "big")
        return Found(4, Frame({NAME: math.nan if distance in self._no_echo else distance / self._per_m}))


def _sum(data: bytes | bytearray, at: int) -> Seen | None:
    """None where a frame stands and its sum holds."""
    if data[at] != 0xFF:
        return Seen.NOTHING
    if len(data) - at < 4:
        return Seen.MORE
    return None if sum(data[at : at + 3]) & 0xFF == data[at + 3] else Seen.BROKEN
