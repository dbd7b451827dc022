"""Decentlab: a header with flags that say which groups of 16-bit words follow. Big endian.

Layout: protocol version 2, device id (2 bytes), flags (2 bytes, the lowest for the first group), then the groups; the
formulas are those of the vendor's data sheets. 0xFFFF is what a probe that did not answer leaves behind.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from ingest.codecs.lorawan.frame import Model, Reading, not_understood, positive
from ingest.message import Reason, Rejection

VERSION = 2
RESOLUTION, P_MAX = "resolution_mm", "p_max_bar"
_HEADER = struct.Struct(">BHH")

METRES_PER_BAR = 1e5 / (1000.0 * 9.80665)
"""Of fresh water, 1000 kg/m3, at standard gravity."""

_Readings = Iterator[Reading | Rejection]
_Group = tuple[int, Callable[[Sequence[int], Mapping[str, float]], _Readings]]
"""Words of a group, and what they mean."""


def _scaled(word: int, divisor: float, zero: int = 0) -> float:
    return math.nan if word == 0xFFFF else (word - zero) / divisor


def _weather(word: int, divisor: float) -> float:
    """Read a word of the ATM41, which counts from the middle; both ends of its range are faults."""
    return math.nan if word == 0 else _scaled(word, divisor, zero=0x8000)


def _never_negative(value: float) -> float:
    return value if value >= 0.0 else math.nan


def _battery(words: Sequence[int], _: Mapping[str, float]) -> _Readings:
    yield Reading("battery_v", _scaled(words[0], 1_000))


def _mbx(words: Sequence[int], _: Mapping[str, float]) -> _Readings:
    """Distance in mm, and from how many echoes. MaxBotix say 'no echo' by the end of the range: 5 m or 9.999 m."""
    distance_mm, echoes = words
    nothing = echoes == 0 or distance_mm in {0, 5_000} or distance_mm >= 9_999
    yield Reading("distance_m", math.nan if nothing else distance_mm / 1_000)


def _tbrg(words: Sequence[int], parameters: Mapping[str, float]) -> _Readings:
    """Tips since the last frame, its seconds, and all tips in 32 bits, the low word first."""
    tips, _, low, high = words
    tip_mm = positive(parameters, RESOLUTION)
    if tip_mm is None:
        yield _missing(RESOLUTION)
        return
    total = low + (high << 16)
    # Tips x decimal resolution is no exact float: 16538 x 0.1 is 1653.8000000000002.
    yield Reading("rain_mm", math.nan if tips == 0xFFFF else round(tips * tip_mm, 6))
    yield Reading("rain_total_mm", math.nan if total == 0xFFFFFFFF else round(total * tip_mm, 6))


def _pr26(words: Sequence[int], parameters: Mapping[str, float]) -> _Readings:
    """Pressure over that of the air as a part of the span, and temperature in the water (Keller 26 series)."""
    pressure, temperature = words
    top_bar = positive(parameters, P_MAX)
    if top_bar is None:
        yield _missing(P_MAX)
    else:
        part = math.nan if pressure == 0 else _scaled(pressure, 32_768, zero=16_384)
        yield Reading("depth_m", part * top_bar * METRES_PER_BAR)
    yield Reading("temperature_c@water", _scaled(temperature, 320, zero=384 + 50 * 320))


def _atm41(words: Sequence[int], _: Mapping[str, float]) -> _Readings:
    """Eleven parameters; those a flood or smoke platform needs. Rain is since the last frame."""
    yield Reading("rain_mm", _never_negative(_weather(words[1], 1_000)))
    yield Reading("wind_m_s", _never_negative(_weather(words[4], 100)))
    yield Reading("temperature_c", _weather(words[7], 10))
    yield Reading("humidity_pct", _never_negative(_weather(words[10], 10)))


def _pm_mass(words: Sequence[int], _: Mapping[str, float]) -> _Readings:
    """Mass of four sizes in 0.1 ug/m3, then typical size and numbers, which are passed over."""
    yield Reading("pm1_ug_m3", _scaled(words[0], 10))
    yield Reading("pm2_5_ug_m3", _scaled(words[1], 10))
    yield Reading("pm10_ug_m3", _scaled(words[3], 10))


def _pm_air(words: Sequence[int], _: Mapping[str, float]) -> _Readings:
    """Air as Sensirion's two-wire probes count it."""
    yield Reading("temperature_c", 175.72 * _scaled(words[0], 65_536) - 46.85)
    yield Reading("humidity_pct", 125.0 * _scaled(words[1], 65_536) - 6.0)


def _passed_over(_words: Sequence[int], _: Mapping[str, float]) -> _Readings:
    yield from ()


def _decode(groups: Sequence[_Group], frame: bytes, parameters: Mapping[str, float]) -> _Readings:
    if len(frame) < _HEADER.size:
        yield not_understood(f"{len(frame)} bytes are no frame")
        return
    version, _, flags = _HEADER.unpack_from(frame)
    if version != VERSION:
        yield not_understood(f"protocol version {version} where {VERSION} is expected")
        return
    present = [group for bit, group in enumerate(groups) if flags >> bit & 1]
    expected = _HEADER.size + 2 * sum(length for length, _ in present)
    if not present or flags >> len(groups) or len(frame) != expected:
        yield not_understood(f"flags 0x{flags:04x} and {len(frame)} bytes do not belong together")
        return
    words = struct.unpack_from(f">{(expected - _HEADER.size) // 2}H", frame, _HEADER.size)
    at = 0
    for length, read in present:
        yield from read(words[at : at + length], parameters)
        at += length


def _missing(name: str) -> Rejection:
    return Rejection(Reason.UNKNOWN_DEVICE, f"{name} of [station.device.parameters] is missing; the label says it")


_BATTERY: _Group = (1, _battery)
MODELS: dict[str, Model] = {
    "DL-ATM41": Model(partial(_decode, [(17, _atm41), _BATTERY])),
    "DL-MBX": Model(partial(_decode, [(2, _mbx), _BATTERY])),
    "DL-PM": Model(partial(_decode, [_BATTERY, (10, _pm_mass), (2, _pm_air), (1, _passed_over)])),
    "DL-PR26": Model(partial(_decode, [(2, _pr26), _BATTERY]), {P_MAX: "the end of its pressure range, bar"}),
    "DL-TBRG": Model(partial(_decode, [(4, _tbrg), _BATTERY]), {RESOLUTION: "the rain of one tip, mm"}),
}
