"""Sensirion SPS30: SHDLC at 115200 baud, asked once a second. Pure.

A frame is 0x7E, address, command, (in an answer: state), length, data, checksum, 0x7E, with 0x7E, 0x7D, 0x11 and 0x13
inside written as two bytes. Sources: the maker's data sheet, chapter 5; PyPMS, sensirion/sps30.py.
"""

import math
from collections.abc import Sequence
from struct import Struct

from ingest.serial.heard import HEAD_BYTES, Fault, Frame, Heard, Refused
from ingest.serial.hunt import Found, Hunt, Seen

NAMES = ("pm1_ug_m3", "pm2_5_ug_m3", "pm10_ug_m3")
START = bytes.fromhex("7E0000020103F97E")
"""Measure, in floats."""
READ = bytes.fromhex("7E000300FC7E")
STOP = bytes.fromhex("7E000100FE7E")
POLL_S = 1.0
"""It measures once a second."""

_EDGE = 0x7E
_STUFFED = {0x5E: 0x7E, 0x5D: 0x7D, 0x31: 0x11, 0x33: 0x13}
_FRAME_BYTES_MAX = 2 * (5 + 255) + 2
_READ_COMMAND = 0x03
_NOT_NOW = 0x43
"""Answer to a command that the state does not allow: READ while it does not measure, START while it does."""
_STATE_FAULT = 0x80
"""Fan, laser or fan speed: what it measures then is not to be trusted."""
_VALUES = Struct(">10f")


class Sps30:
    """It measures from START to STOP and is asked for each value."""

    def __init__(self) -> None:
        self.due_s = 0.0
        self._hunt = Hunt(self._look)
        self._is_idle = False

    def begin(self) -> bytes:
        """Have it measure; where it does already it says so and goes on."""
        self._hunt.reset()
        self._is_idle = False
        return START

    def feed(self, chunk: bytes) -> Sequence[Heard]:
        """See `Instrument`."""
        return self._hunt.feed(chunk)

    def turn(self, now_s: float) -> tuple[bytes, Sequence[Heard]]:
        """Ask, or have it begin again where its power was gone for a moment."""
        if now_s < self.due_s:
            return b"", ()
        self.due_s = now_s + POLL_S
        words = START if self._is_idle else READ
        self._is_idle = False
        return words, ()

    def end(self) -> bytes:
        """Let its fan and its laser rest."""
        return STOP

    def _look(self, data: bytes | bytearray, at: int) -> Seen | Found:
        if data[at] != _EDGE:
            return Seen.NOTHING
        end = data.find(_EDGE, at + 1, at + _FRAME_BYTES_MAX)
        if end < 0:
            return Seen.MORE if len(data) - at < _FRAME_BYTES_MAX else Seen.BROKEN
        if end == at + 1:
            return Found(1)  # the end of one frame and the beginning of the next
        body = unstuffed(data[at + 1 : end])
        if body is None or len(body) < 5 or sum(body) & 0xFF != 0xFF or body[3] != len(body) - 5:
            return Seen.BROKEN
        # The last edge stays: where one was lost it is also the first of the next frame.
        return Found(end - at, self._heard(body, bytes(data[at : min(end + 1, at + HEAD_BYTES)])))

    def _heard(self, body: bytes, frame: bytes) -> Heard | None:
        command, state, data = body[1], body[2], body[4:-1]
        if command != _READ_COMMAND:
            return None
        if state & ~_STATE_FAULT == _NOT_NOW:
            self._is_idle = True
            return Refused(Fault.WARMING_UP, frame)
        if state:
            return Refused(Fault.INSTRUMENT, frame)
        if not data:
            return Frame(dict.fromkeys(NAMES, math.nan))  # nothing new since the last question
        if len(data) != _VALUES.size:
            return Refused(Fault.INCONSISTENT, frame)
        pm1, pm2_5, _, pm10, *rest = _VALUES.unpack(data)
        if not all(math.isfinite(value) and value >= 0 for value in (pm1, pm2_5, pm10, *rest)):
            return Refused(Fault.INCONSISTENT, frame)
        return Frame({"pm1_ug_m3": pm1, "pm2_5_ug_m3": pm2_5, "pm10_ug_m3": pm10})


def unstuffed(data: bytes | bytearray) -> bytes | None:
    """The bytes that were meant; None where a pair means nothing."""
    if 0x7D not in data:
        return bytes(data)
    meant, pairs = bytearray(), iter(data)
    for byte in pairs:
        if byte == 0x7D:
            one = _STUFFED.get(next(pairs, -1))
            if one is None:
                return None
            meant.append(one)
        else:
            meant.append(byte)
    return bytes(meant)
