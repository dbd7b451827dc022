"""Milesight: a frame is a row of records, each with a channel byte, a type byte and a value of fixed length.

Little endian. Layouts: the tables "Payload" of the vendor's user guides for each model. Position, presence, light and
gas channels are passed over: nothing here needs them.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from ingest.codecs.lorawan.frame import Model, Reading, not_understood
from ingest.codecs.lorawan.moment import EARLIEST_US
from ingest.message import Reason, Rejection


class _Field(NamedTuple):
    """Where a value stands within a record, and how it is counted. `value = raw / divisor`."""

    name: str
    offset: int
    code: str
    divisor: int


class _Record(NamedTuple):
    """What follows a channel and a type byte."""

    length: int
    fields: tuple[_Field, ...] = ()
    timed: bool = False
    """Begins with the device's time, whole seconds since 1970, four bytes."""


_Records = dict[tuple[int, int], _Record]

_UINT8, _UINT16, _INT16 = "<B", "<H", "<h"
_FAULTS: dict[str, Callable[[int], bool]] = {
    _UINT8: lambda raw: raw == 0xFF,
    # Distances, depths and dust: the guides give them as INT16, and none is negative. 0xFFFD (out of range) and 0xFFFF
    # (no answer from the probe) are among them.
    _UINT16: lambda raw: raw >= 0x8000,
    # The same two codes, at the price of -0.1 and -0.3 degrees.
    _INT16: lambda raw: raw in {-1, -3, -0x8000, 0x7FFF},
}


def _single(name: str, code: str, divisor: int = 1, *, tail: int = 0) -> _Record:
    return _Record(struct.calcsize(code) + tail, (_Field(name, 0, code, divisor),))


_COMMON: _Records = {
    (0xFF, 0x01): _Record(1),  # protocol version
    (0xFF, 0x08): _Record(6),  # serial number
    (0xFF, 0x09): _Record(2),  # hardware version
    (0xFF, 0x0A): _Record(2),  # firmware version
    (0xFF, 0x0B): _Record(1),  # power on
    (0xFF, 0x0F): _Record(1),  # class
    (0xFF, 0x16): _Record(8),  # serial number
    (0xFF, 0xFE): _Record(1),  # reset
    (0xFF, 0xFF): _Record(2),  # TSL version
    (0x01, 0x75): _single("battery_pct", _UINT8),
}

EM310_UDL: _Records = _COMMON | {
    (0x03, 0x82): _single("distance_m", _UINT16, 1_000),
    (0x04, 0x00): _Record(1),  # upright or tilted
}
EM400_UDL: _Records = _COMMON | {
    (0x03, 0x67): _single("temperature_c", _INT16, 10),
    (0x04, 0x82): _single("distance_m", _UINT16, 1_000),
    (0x05, 0x00): _Record(1),  # upright or tilted
    (0x06, 0x88): _Record(9),  # place
    (0x83, 0x67): _single("temperature_c", _INT16, 10, tail=1),  # the device's own alarm, a measurement all the same
    (0x84, 0x82): _single("distance_m", _UINT16, 1_000, tail=1),
}
# Not here: 0x83 0xE9, the alarm of newer firmware, whose unit the vendor's table and decoder give differently.
EM500_UDL: _Records = _COMMON | {
    (0x03, 0x82): _single("distance_m", _UINT16, 1_000),
    (0x20, 0xCE): _Record(6, (_Field("distance_m", 4, _UINT16, 1_000),), timed=True),
}
EM500_SWL: _Records = _COMMON | {
    (0x03, 0x77): _single("depth_m", _UINT16, 100),
    (0x20, 0xCE): _Record(6, (_Field("depth_m", 4, _UINT16, 100),), timed=True),
}
AM319: _Records = _COMMON | {
    (0x03, 0x67): _single("temperature_c", _INT16, 10),
    (0x04, 0x68): _single("humidity_pct", _UINT8, 2),
    (0x05, 0x00): _Record(1),  # presence
    (0x06, 0xCB): _Record(1),  # light
    (0x07, 0x7D): _Record(2),  # CO2
    (0x08, 0x7D): _Record(2),  # TVOC
    (0x08, 0xE6): _Record(2),  # TVOC, other unit
    (0x09, 0x73): _Record(2),  # pressure
    (0x0A, 0x7D): _Record(2),  # HCHO
    (0x0B, 0x7D): _single("pm2_5_ug_m3", _UINT16),
    (0x0C, 0x7D): _single("pm10_ug_m3", _UINT16),
    (0x0D, 0x7D): _Record(2),  # O3
    (0x0E, 0x01): _Record(1),  # beep
    (0x20, 0xCE): _Record(
        22,
        (
            _Field("temperature_c", 4, _INT16, 10),
            _Field("humidity_pct", 6, _UINT16, 2),
            _Field("pm2_5_ug_m3", 16, _UINT16, 1),
            _Field("pm10_ug_m3", 18, _UINT16, 1),
        ),
        timed=True,
    ),
}


def _decode(records: _Records, frame: bytes, _parameters: Mapping[str, float]) -> Iterator[Reading | Rejection]:
    at = 0
    while at < len(frame):
        head = frame[at : at + 2]
        record = records.get((head[0], head[1])) if len(head) == 2 else None
        if record is None:
            yield not_understood(f"no record begins with 0x{head.hex()} as here at byte {at} of {len(frame)}")
            return
        body = frame[at + 2 : at + 2 + record.length]
        if len(body) < record.length:
            yield not_understood(f"the frame of {len(frame)} bytes is cut off in the record at byte {at}")
            return
        at += 2 + record.length
        time_us = int.from_bytes(body[:4], "little") * 1_000_000 if record.timed else None
        if time_us is not None and time_us < EARLIEST_US:
            yield Rejection(Reason.BAD_TIME, f"stored at second {time_us // 1_000_000} by a clock that was not set")
            continue
        for name, offset, code, divisor in record.fields:
            (raw,) = struct.unpack_from(code, body, offset)
            yield Reading(name, math.nan if _FAULTS[code](raw) else raw / divisor, time_us)


MODELS: dict[str, Model] = {
    "AM319": Model(partial(_decode, AM319)),
    "EM310-UDL": Model(partial(_decode, EM310_UDL)),
    "EM400-UDL": Model(partial(_decode, EM400_UDL)),
    "EM500-SWL": Model(partial(_decode, EM500_SWL)),
    "EM500-UDL": Model(partial(_decode, EM500_UDL)),
}
