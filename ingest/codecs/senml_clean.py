"""The short way through SenML: packs in which everything is right, read by a strict typed parser.

What is not taken here goes the long way through `ingest.codecs.senml`, which reads these packs just the same.
"""

import sys
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from ingest.codecs.bounds import NAME_CHARS_MAX, READINGS_MAX, TIME_US_MAX
from ingest.codecs.senml import RELATIVE_S, TIME_S_MAX, RefusedError, reading_name
from ingest.message import Rows
from sensors.quantities import QUANTITIES
from sensors.units import convert

_VALUE_MAX = sys.float_info.max
_NAMES_MAX = 20_000
"""Names that are remembered, so many characters each at most."""


_Text = Annotated[str, msgspec.Meta(max_length=NAME_CHARS_MAX)]


class _Record(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A record in which there is nothing but what nearly all have."""

    bn: _Text | UnsetType = UNSET
    bt: float | UnsetType = UNSET
    bu: _Text | UnsetType = UNSET
    bv: float | UnsetType = UNSET
    n: _Text | UnsetType = UNSET
    u: _Text | UnsetType = UNSET
    t: float | UnsetType = UNSET
    v: float | UnsetType = UNSET


_decode = msgspec.json.Decoder(list[_Record]).decode


def decode(pack: bytes | list[object], received_us: int, station: str, index: int, rows: Rows) -> bool:
    """Append the readings of a pack in which everything is right: the short way, which nearly all packs take.

    Parameters
    ----------
    pack : the payload in JSON, or records of another form by their labels of JSON

    Returns
    -------
    Whether it was so. If not, nothing was appended, and the pack must go the long way for its reasons.
    """
    try:
        records = _decode(pack) if isinstance(pack, bytes) else msgspec.convert(pack, list[_Record])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if len(records) > READINGS_MAX:
        return False
    base_name, base_s, base = "", 0.0, 0.0
    base_unit: str | None = None
    names: list[str] = []
    times_us: list[int] = []
    values: list[float] = []
    for record in records:
        if record.bn is not UNSET:
            base_name = record.bn
        if record.bu is not UNSET:
            base_unit = record.bu
        if record.bt is not UNSET:
            base_s = record.bt
        if record.bv is not UNSET:
            base = record.bv
        if record.v is UNSET:
            if record.n is UNSET and record.u is UNSET and record.t is UNSET:
                continue
            return False
        name = base_name if record.n is UNSET else base_name + record.n
        said_unit = base_unit if record.u is UNSET else record.u
        if not 0 < len(name) <= NAME_CHARS_MAX:
            return False
        reading, unit, canonical = _way(name, station, said_unit)
        value = record.v + base
        if unit != canonical:
            converted = convert(value, unit, canonical)
            if converted is None:
                return False
            value = converted
        time_s = base_s if record.t is UNSET else base_s + record.t
        # Whatever is not finite is none of these.
        if not (-_VALUE_MAX <= value <= _VALUE_MAX and -TIME_S_MAX <= time_s <= TIME_S_MAX and reading):
            return False
        time_us = round(time_s * 1e6) + (received_us if time_s < RELATIVE_S else 0)
        if not 0 <= time_us <= TIME_US_MAX:
            return False
        names.append(reading)
        times_us.append(time_us)
        values.append(value)
    rows.station += [station] * len(names)
    rows.name += names
    rows.time_us += times_us
    rows.value += values
    rows.message += [index] * len(names)
    return bool(names)


@lru_cache(maxsize=_NAMES_MAX)
def _way(name: str, station: str, unit: str | None) -> tuple[str, str, str]:
    """Reading name of a record's, and from which unit to which its value goes; remembered, for devices repeat them."""
    try:
        reading = reading_name(name, station)
    except RefusedError:
        return "", "", ""
    quantity = QUANTITIES.get(reading.partition("@")[0])
    return (reading, unit, quantity.unit) if quantity is not None and unit is not None else (reading, "", "")
