"""A Modbus RTU slave, from the specifications (application protocol V1.1b3, serial line V1.02)."""

import math
import struct
from collections import Counter
from dataclasses import dataclass

from firmware_sim.serial.instrument import Port, Truth
from firmware_sim.serial.registers import Kind, Order, Register, image

HOLDING, INPUT = 3, 4
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
READ_MAX = 125
FRAME_BYTES_MAX = 256
PORT = Port(baud=9600)
"""As most gauges leave the factory."""
GAP_S = 0.05
"""A pause that ends a frame. The specification's 3.5 characters are 4 ms at 9600 baud; adapters and pseudo-terminals
deliver in bursts that are further apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What it remembers."""

    heard_s: float = -math.inf
    held: bytes = b""
    """The beginning of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modbus:
    """A gauge that gives its registers when asked with function 3 (holding) or 4 (input). Reads what they name.

    Requests for others, broadcasts and what fails its checksum are left without an answer.

    Raises
    ------
    ValueError : two readings of one table want the same register
    """

    slave: int = 1
    holding: tuple[Register, ...] = ()
    input: tuple[Register, ...] = ()
    port: Port = PORT

    def __post_init__(self) -> None:
        for table in (self.holding, self.input):
            taken = Counter(r.address + at for r in table for at in range(r.words))
            if twice := sorted(address for address, times in taken.items() if times > 1):
                raise ValueError(f"register {twice[0]} is given to two readings; leave {Register.__name__}s apart")

    def start(self, now_s: float) -> State:
        """Listening."""
        del now_s
        return State()

    def step(self, state: State, received: bytes, truth: Truth, now_s: float) -> tuple[State, bytes]:
        """Answer a request that has come whole; see `Instrument.step`."""
        if not received:
            return state, b""
        held = received if now_s - state.heard_s > GAP_S else state.held + received
        if len(held) > FRAME_BYTES_MAX:
            held = b""
        if len(held) < 4 or crc(held[:-2]) != int.from_bytes(held[-2:], "little"):
            return State(heard_s=now_s, held=held), b""
        sent = b""
        if held[0] == self.slave:
            body = bytes((self.slave,)) + self._answer(held[1], held[2:-2], truth)
            sent = body + crc(body).to_bytes(2, "little")
        return State(heard_s=now_s), sent

    def _answer(self, function: int, data: bytes, truth: Truth) -> bytes:
        table = {HOLDING: self.holding, INPUT: self.input}.get(function)
        if table is None:
            return _exception(function, ILLEGAL_FUNCTION)
        if len(data) != 4:
            return _exception(function, ILLEGAL_VALUE)
        first, count = struct.unpack(">HH", data)
        if not 1 <= count <= READ_MAX:
            return _exception(function, ILLEGAL_VALUE)
        words = image(table, truth)
        wanted = range(first, first + count)
        if any(address not in words for address in wanted):
            return _exception(function, ILLEGAL_ADDRESS)
        return struct.pack(f">BB{count}H", function, 2 * count, *(words[address] for address in wanted))


def _exception(function: int, code: int) -> bytes:
    return bytes((function & 0x7F | 0x80, code))


def crc(data: bytes) -> int:
    """CRC-16 of serial Modbus: polynomial A001, reflected, from FFFF; travels low byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register


def level_gauge(*, slave: int = 1, order: Order = Order.ABCD, reading: str = "distance_m") -> Modbus:
    """A radar or ultrasonic level meter: input registers 0-1, metres as float32."""
    return Modbus(
        slave=slave,
        input=(Register(address=0, reading=reading, order=order),),
    )


def rain_gauge(*, slave: int = 2, tip_mm: float = 0.2, kind: Kind = Kind.UINT16) -> Modbus:
    """A tipping bucket that counts its tips in holding register 0; reads `rain_total_mm`, goes round at its end."""
    return Modbus(slave=slave, holding=(Register(address=0, reading="rain_total_mm", kind=kind, scale=tip_mm),))
