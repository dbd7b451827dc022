"""Plantower dust sensors: PMS3003 (24 bytes), PMS5003, PMS7003, PMSA003, PMS5003T (32), PMS5003ST (40). Pure.

9600 baud; 0x42 0x4D, length of the rest, big-endian words, sum of all bytes before it. The first three words are
PM1, PM2.5 and PM10 with CF=1, the next three those of the atmosphere; then, but for the PMS3003, particles in 0.1 l
above 0.3 um and larger sizes. Sources: the makers' data sheets; PyPMS, plantower/pmsx003.py.
"""

import math
from collections.abc import Sequence
from struct import Struct

from ingest.serial.heard import HEAD_BYTES, Fault, Frame, Heard, Refused
from ingest.serial.hunt import Found, Hunt, Seen

NAMES = ("pm1_ug_m3", "pm2_5_ug_m3", "pm10_ug_m3", "pm2_5_cf1_ug_m3")
WAKE = bytes.fromhex("424DE400010174")
STREAM = bytes.fromhex("424DE100010171")
"""Send measurements without being asked; the sensor remembers other masters' wishes until its power goes."""

_ANSWER = 4
"""Length in an answer to a command."""
_LENGTHS = {20: Struct(">9H"), 28: Struct(">13H"), 36: Struct(">17H")}
_NO_COUNTS = 20
_PARTICLES = 6
"""Which word holds the particles above 0.3 um."""


class Plantower:
    """It speaks by itself, about once a second."""

    due_s = math.inf

    def __init__(self) -> None:
        self._hunt = Hunt(look)

    def begin(self) -> bytes:
        """Wake it and have it speak; a sensor whose RX is not wired does both anyway."""
        self._hunt.reset()
        return WAKE + STREAM

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


def look(data: bytes | bytearray, at: int) -> Seen | Found:
    """Whether a frame begins here."""
    left = len(data) - at
    if data[at] != 0x42 or (left > 1 and data[at + 1] != 0x4D):
        return Seen.NOTHING
    if left < 4:
        return Seen.MORE
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    words = _LENGTHS.get(length)
    if words is None and length != _ANSWER:
        return Seen.BROKEN
    if left < 4 + length:
        return Seen.MORE
    end = at + 2 + length
    if sum(data[at:end]) & 0xFFFF != int.from_bytes(data[end : end + 2], "big"):
        return Seen.BROKEN
    if words is None:
        return Found(4 + length)
    return Found(4 + length, _heard(words.unpack_from(data, at + 4), length, bytes(data[at : at + HEAD_BYTES])))


def _heard(words: tuple[int, ...], length: int, frame: bytes) -> Heard:
    """Judge what one frame says: without a single particle there can be no dust, and air without any does not exist.

    While it warms up a sensor sends zeros. A PMS3003 counts no particles; only its unused words could tell.
    """
    is_blank = not any(words) if length == _NO_COUNTS else not words[_PARTICLES]
    if is_blank:
        fault = Fault.INCONSISTENT if any(words[:_PARTICLES]) else Fault.WARMING_UP
        return Refused(fault, frame[: 4 + length])
    return Frame(
        {
            "pm1_ug_m3": float(words[3]),
            "pm2_5_ug_m3": float(words[4]),
            "pm10_ug_m3": float(words[5]),
            "pm2_5_cf1_ug_m3": float(words[1]),
        }
    )
