"""SenML JSON, RFC 8428: name, time, unit and value of a record lean on base fields that stay until they are changed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from ingest.codecs.bounds import READINGS_MAX, TIME_US_MAX, is_name, number, shown
from ingest.message import Reason, Rejection, Rows
from sensors.quantities import QUANTITIES
from sensors.units import convert

_BASE = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_KEYS = _BASE | {"n", "u", "v", "vs", "vb", "vd", "s", "t", "ut"}
_VERSION_MAX = 10
"""RFC 8428 section 4.4: the version a pack has when it does not say one."""
_RELATIVE_S = 2**28
"""RFC 8428 section 4.5.3: a time below this is a distance from now."""


def is_senml(first: Mapping[str, object]) -> bool:
    """Whether an array that begins with this object is SenML. One with `values` is flat JSON, whatever else it has."""
    return not _KEYS.isdisjoint(first) and "values" not in first


class _RefusedError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Base:
    """Base fields in force (section 4.1)."""

    name: str = ""
    time_s: float = 0.0
    unit: str | None = None
    value: float = 0.0

    def after(self, record: Mapping[str, object]) -> Self:
        """Take over the base fields of a record; _RefusedError where one cannot be read."""
        if _BASE.isdisjoint(record):
            return self
        version = number(record.get("bver", _VERSION_MAX))
        if version is None or not 0 < version <= _VERSION_MAX:
            raise _RefusedError(Reason.WRONG_SHAPE, f"bver is {shown(record['bver'])}; at most 10 is understood")
        name, unit = record.get("bn", self.name), record.get("bu", self.unit)
        if not isinstance(name, str):
            raise _RefusedError(Reason.WRONG_SHAPE, f"bn is {shown(name)}; text is expected")
        if unit is not None and not isinstance(unit, str):
            raise _RefusedError(Reason.UNKNOWN_UNIT, f"bu is {shown(unit)}; text is expected")
        return replace(
            self,
            name=name,
            unit=unit,
            time_s=_number(record, "bt", self.time_s, Reason.BAD_TIME),
            value=_number(record, "bv", self.value, Reason.BAD_NUMBER),
        )


def decode(records: list[object], received_us: int, station: str, index: int, rows: Rows) -> list[Rejection]:
    """Append the good records of a pack, and say of every other what is wrong with it.

    A base field that cannot be read ends the pack: what follows would be given a wrong name, time or value.
    """
    if len(records) > READINGS_MAX:
        return [Rejection(Reason.TOO_MANY, f"{len(records)} records in one message; at most {READINGS_MAX}")]
    for record in records:
        foreign = [key for key in record if key.endswith("_")] if isinstance(record, dict) else []
        if foreign:  # Section 4.4: a pack with such a label must not be used by one who does not know it.
            return [Rejection(Reason.WRONG_SHAPE, f"the field {shown(foreign[0])} must be understood, and is not")]
    refused: list[Rejection] = []
    base = _Base()
    for position, record in enumerate(records):
        where = f"record {position}: "
        if not isinstance(record, dict):
            detail = f"{where}{shown(record)} where an object is expected"
            refused.append(Rejection(Reason.WRONG_SHAPE, detail))
            continue
        try:
            base = base.after(record)
        except _RefusedError as error:
            detail = f"{where}{error}; this record and the {len(records) - position - 1} after it are refused"
            refused.append(Rejection(error.reason, detail))
            break
        if record.keys() <= _BASE:
            continue
        try:
            name, time_us, value = _resolve(record, base, received_us, station)
        except _RefusedError as error:
            refused.append(Rejection(error.reason, f"{where}{error}"))
            continue
        rows.station.append(station)
        rows.name.append(name)
        rows.time_us.append(time_us)
        rows.value.append(value)
        rows.message.append(index)
    return refused


def _resolve(record: Mapping[str, object], base: _Base, received_us: int, station: str) -> tuple[str, int, float]:
    """Give reading name, time in microseconds UTC, and value in the canonical unit where the quantity is known."""
    own_name, unit = record.get("n", ""), record.get("u", base.unit)
    if not isinstance(own_name, str):
        raise _RefusedError(Reason.WRONG_SHAPE, f"n is {shown(own_name)}; text is expected")
    name = (base.name + own_name).removeprefix(f"{station}/")
    if not is_name(name):
        raise _RefusedError(Reason.UNKNOWN_NAME, f"{shown(name)} cannot be a reading name")
    if "v" not in record:
        raise _RefusedError(Reason.BAD_NUMBER, f"{shown(name)} has no v, and only numbers are taken")
    value = _number(record, "v", 0.0, Reason.BAD_NUMBER) + base.value
    time_us = _time_us(base.time_s + _number(record, "t", 0.0, Reason.BAD_TIME), received_us)
    value = _canonical(name, value, unit)
    if not math.isfinite(value):
        raise _RefusedError(Reason.BAD_NUMBER, f"{shown(name)} is too large a number")
    return name, time_us, value


def _time_us(time_s: float, received_us: int) -> int:
    if math.isfinite(time_s):
        time_us = round(time_s * 1e6) + (received_us if time_s < _RELATIVE_S else 0)
        if 0 <= time_us <= TIME_US_MAX:
            return time_us
    raise _RefusedError(Reason.BAD_TIME, f"the time {time_s:g} s is outside 1970 to 2262")


def _canonical(name: str, value: float, unit: object) -> float:
    quantity = QUANTITIES.get(name.partition("@")[0])
    if quantity is None or unit is None:
        return value  # Without a unit, the name says it. An unknown name is refused later, by who knows the station.
    converted = convert(value, unit, quantity.unit) if isinstance(unit, str) else None
    if converted is None:
        raise _RefusedError(
            Reason.UNKNOWN_UNIT, f"{name} in {shown(unit)}; {quantity.unit} or what converts to it is expected"
        )
    return converted


def _number(record: Mapping[str, object], key: str, default: float, reason: Reason) -> float:
    if key not in record:
        return default
    value = number(record[key])
    if value is None:
        raise _RefusedError(reason, f"{key} is {shown(record[key])}; a number is expected")
    return value
