"""Numbers as Modbus registers: sixteen bits each, in whichever order the maker chose."""

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from firmware_sim.serial.instrument import Truth


class Kind(StrEnum):
    """How a number is written."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    FLOAT32 = "float32"


class Order(StrEnum):
    """Order of the bytes of a number on the line; A is its highest. Two-byte numbers know AB and BA: the first two."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


FORMS = {Kind.UINT16: ">H", Kind.INT16: ">h", Kind.UINT32: ">I", Kind.INT32: ">i", Kind.FLOAT32: ">f"}
MISSING = {Kind.UINT16: 0xFFFF, Kind.INT16: -0x8000, Kind.UINT32: 0xFFFF_FFFF, Kind.INT32: -0x8000_0000}
"""What whole numbers say where nothing was measured; a float says NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Where one reading stands."""

    address: int
    """As on the line, from 0; a manual that counts from 1 or 40001 means one less."""
    reading: str
    """Name in the truth."""
    kind: Kind = Kind.FLOAT32
    order: Order = Order.ABCD
    scale: float = 1.0
    """Of the reading, for one count."""

    @property
    def words(self) -> int:
        """Registers it takes."""
        return struct.calcsize(FORMS[self.kind]) // 2


def words(register: Register, value: float) -> list[int]:
    """A value as registers: unsigned counters go round, signed numbers stop at their ends."""
    kind = register.kind
    form = FORMS[kind]
    if kind is Kind.FLOAT32:
        packed = struct.pack(form, value / register.scale)
    else:
        packed = struct.pack(form, _count(value / register.scale, kind))
    high_first = [packed[at : at + 2] for at in range(0, len(packed), 2)]
    if register.order in (Order.CDAB, Order.DCBA):
        high_first.reverse()
    swapped = register.order in (Order.BADC, Order.DCBA)
    return [int.from_bytes(word, "little" if swapped else "big") for word in high_first]


def image(registers: Iterable[Register], truth: Truth) -> Mapping[int, int]:
    """Every register of a table by its address."""
    return {
        register.address + at: word
        for register in registers
        for at, word in enumerate(words(register, truth[register.reading]))
    }


def _count(value: float, kind: Kind) -> int:
    if math.isnan(value):
        return MISSING[kind]
    bits = 16 if kind in (Kind.UINT16, Kind.INT16) else 32
    if kind in (Kind.UINT16, Kind.UINT32):
        # A total that is exactly so many tips must not lose one to the last bit of a float.
        return math.floor(value + 1e-6) % (1 << bits)
    return min(max(round(value), -(1 << bits - 1)), (1 << bits - 1) - 1)
