"""Payloads of Sparkplug B written by hand from the wire format of protobuf, independently of the codec."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING = range(1, 13)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def chunk(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


@dataclass(frozen=True)
class M:
    """One metric, as its fields go onto the wire; None leaves a field out."""

    name: str | bytes | None = None
    value: float | str | None = None
    datatype: int | None = None
    alias: int | None = None
    time_ms: int | None = None
    quality: int | None = None
    property: str = "Quality"
    """What the number of the quality is called."""
    is_null: bool | None = None
    is_transient: bool | None = None
    is_historical: bool | None = None
    field: int | None = None
    """Number of the value field, where it is not the one of the datatype."""

    def encoded(self) -> bytes:
        out = b""
        if self.name is not None:
            out += chunk(1, self.name.encode() if isinstance(self.name, str) else self.name)
        fields = ((2, self.alias), (3, self.time_ms), (4, self.datatype))
        flags = ((5, self.is_historical), (6, self.is_transient), (7, self.is_null))
        for number, value in (*fields, *flags):
            if value is not None:
                out += whole(number, int(value))
        if self.quality is not None:
            out += chunk(9, chunk(1, self.property.encode()) + chunk(2, whole(1, INT32) + whole(3, self.quality)))
        if self.value is not None:
            out += self._value(self.value)
        return out

    def _value(self, value: float | str) -> bytes:
        kind = self.datatype if self.datatype is not None else DOUBLE
        usual = {FLOAT: 12, DOUBLE: 13, BOOLEAN: 14, STRING: 15, INT64: 11, UINT64: 11}.get(kind, 10)
        field = self.field if self.field is not None else usual
        if field == 12:
            return varint(12 << 3 | 5) + struct.pack("<f", value)
        if field == 13:
            return varint(13 << 3 | 1) + struct.pack("<d", value)
        if field in (15, 16):
            return chunk(field, str(value).encode())
        return whole(field, int(value))


def payload(*metrics: M, seq: int | None = None, time_ms: int | None = None) -> bytes:
    out = b"" if time_ms is None else whole(1, time_ms)
    out += b"".join(chunk(2, metric.encoded()) for metric in metrics)
    return out + (b"" if seq is None else whole(3, seq))


def fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """Fields of a message as (number, value), groups excepted."""
    found: list[tuple[int, int | bytes]] = []
    at = 0

    def read() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(data):
        key = read()
        value: int | bytes
        if key & 7 == 0:
            value = read()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or read()
            value, at = data[at : at + length], at + length
        found.append((key >> 3, value))
    return found


def bd_seq(number: int) -> M:
    return M("bdSeq", number, INT64)


def shuffled(parts: Iterable[bytes], order: Iterable[int]) -> bytes:
    listed = list(parts)
    return b"".join(listed[k] for k in order)
