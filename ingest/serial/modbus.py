"""Modbus RTU: level, rain and other gauges, one register map for all devices of a line. Pure.

pymodbus makes the questions and reads the answers. Finding an answer is ours: adapters echo the question, a line that
was silent for long begins with a stray byte, and pymodbus drops an answer with what stands before it.
"""

import math
from collections import deque
from collections.abc import Sequence

from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU, ReadHoldingRegistersRequest
from pymodbus.pdu.register_message import ReadInputRegistersRequest

from ingest.serial.heard import HEAD_BYTES, Fault, Frame, Heard, Refused
from ingest.serial.hunt import Found, Hunt, Seen
from ingest.serial.options import Register
from sensors.quantities import QUANTITIES
from sensors.units import convert

ANSWER_S = 1.0
"""What a device gets for its answer."""
POLLS = 5
"""How often each register is read for one reading, if there is time."""
POLL_S_MIN = 1.0

_DATATYPE = ModbusClientMixin.DATATYPE
_TYPES = {
    "u16": _DATATYPE.UINT16,
    "i16": _DATATYPE.INT16,
    "u32": _DATATYPE.UINT32,
    "i32": _DATATYPE.INT32,
    "f32": _DATATYPE.FLOAT32,
}
_REQUESTS = {"holding": ReadHoldingRegistersRequest, "input": ReadInputRegistersRequest}
_FRAMER = FramerRTU(DecodePDU(is_server=False))
_EXCEPTION = 0x80


class Modbus:
    """It speaks when it is asked: one register after the other.

    Parameters
    ----------
    registers : what to ask for, in this order
    every_s : of one reading
    """

    def __init__(self, registers: Sequence[Register], every_s: float) -> None:
        self.due_s = 0.0
        self._registers = registers
        self._poll_s = max(POLL_S_MIN, every_s / POLLS)
        self._round_s = 0.0
        self._left: deque[Register] = deque()
        self._asked: Register | None = None
        self._hunt = Hunt(self._look)

    def begin(self) -> bytes:
        """Begin the next round at once."""
        self._left.clear()
        self._asked = None
        self.due_s = self._round_s = 0.0
        self._hunt.reset()
        return b""

    def feed(self, chunk: bytes) -> Sequence[Heard]:
        """See `Instrument`."""
        asked = self._asked
        heard = [_named(one, asked) for one in self._hunt.feed(chunk)]
        if self._asked is None and asked is not None:
            self.due_s = 0.0 if self._left else self._round_s
        return heard

    def turn(self, now_s: float) -> tuple[bytes, Sequence[Heard]]:
        """The next question, where the one before is answered or was asked long enough ago."""
        if now_s < self.due_s:
            return b"", ()
        heard = self._give_up(now_s)
        if not self._left:
            if now_s < self._round_s:
                self.due_s = self._round_s
                return b"", heard
            self._round_s = now_s + self._poll_s
            self._left.extend(self._registers)
        self._asked = self._left.popleft()
        self._hunt.reset()
        self.due_s = now_s + ANSWER_S
        return request(self._asked), heard

    def end(self) -> bytes:
        """Nothing to be said."""
        return b""

    def _give_up(self, now_s: float) -> list[Heard]:
        """Wait no longer for the answer, and ask its device nothing more in this round.

        An answer does not say what it answers: one that comes late would be taken for that to the next question.
        """
        asked, self._asked = self._asked, None
        if asked is None:
            return []
        self._left = deque(register for register in self._left if register.device != asked.device)
        self._round_s = max(self._round_s, now_s + ANSWER_S)
        return [_named(one, asked) for one in self._hunt.flush()]

    def _look(self, data: bytes | bytearray, at: int) -> Seen | Found:
        asked, left = self._asked, len(data) - at
        if asked is None:
            return Found(left)  # nobody was asked: this is for somebody else
        if data[at] != asked.device:
            return Seen.NOTHING
        if left < 3:
            return Seen.MORE
        function, content_bytes = _REQUESTS[asked.function].function_code, 2 * _count(asked)
        if data[at + 1] == function | _EXCEPTION:
            length = 5
        elif data[at + 1] == function and data[at + 2] == content_bytes:
            length = 5 + content_bytes
        else:
            return Seen.NOTHING
        if left < length:
            return Seen.MORE
        frame = bytes(data[at : at + length])
        if not FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
            return Seen.BROKEN
        self._asked = None
        _, answer = _FRAMER.handleFrame(frame, asked.device, 0)
        if answer is None or answer.isError():
            return Found(length, Refused(Fault.INSTRUMENT, frame[:HEAD_BYTES], (asked.reading,)))
        return Found(length, Frame({asked.reading: value(asked, answer.registers)}))


def request(register: Register) -> bytes:
    """The frame that asks for a register."""
    asked: ModbusPDU = _REQUESTS[register.function](
        address=register.address, count=_count(register), dev_id=register.device
    )
    return _FRAMER.buildFrame(asked)


def value(register: Register, words: Sequence[int]) -> float:
    """What the registers say, in the canonical unit of the reading; NaN where they say that there is nothing."""
    if register.order in ("BADC", "DCBA"):
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    raw = ModbusClientMixin.convert_from_registers(
        list(words), _TYPES[register.type], word_order="big" if register.order in ("ABCD", "BADC") else "little"
    )
    if not isinstance(raw, int | float) or not math.isfinite(raw) or raw in register.missing:
        return math.nan
    unit = QUANTITIES[register.reading.partition("@")[0]].unit
    found = convert(raw * register.scale + register.offset, register.unit or unit, unit)
    return math.nan if found is None else found


def _count(register: Register) -> int:
    return 2 if register.type.endswith("32") else 1


def _named(heard: Heard, asked: Register | None) -> Heard:
    """A refusal concerns the register that was asked for, not the others."""
    if isinstance(heard, Refused) and not heard.names and asked is not None:
        return Refused(heard.fault, heard.head, (asked.reading,))
    return heard
