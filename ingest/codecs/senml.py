"""SenML, RFC 8428: name, time, unit and value of a record lean on base fields that stay until they are changed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from ingest.codecs.bounds import NAME_CHARS_MAX, READINGS_MAX, TIME_US_MAX, is_name, number, shown
from ingest.message import Reason, Rejection, Rows
from sensors.quantities import QUANTITIES
from sensors.units import convert

_BASE = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_VALUES = {"v": "a number", "vs": "text", "vb": "true or false", "vd": "data"}
_OWN = frozenset({"n", "u", "t", "v", "s"})
"""Fields that base fields change."""
_KEYS = _BASE | _OWN | _VALUES.keys() | {"ut"}
_VERSION = 10
"""RFC 8428 section 4.4: the version a pack has when it does not say one, and the newest there is."""
RELATIVE_S = 2**28
"""RFC 8428 section 4.5.3: a time below this is a distance from now."""
TIME_S_MAX = TIME_US_MAX / 1e6

# Section 4.2: a sum is the integral of a value over time, in its unit times seconds. Of what is measured here only rain
# is the integral of something, of its rate: (unit of the rate) -> (unit of the sum, how many seconds too many).
_SUMS = frozenset({"rain_total_mm"})
_RATES = {"m/s": ("m", 1), "m/h": ("m", 3_600), "mm/h": ("mm", 3_600)}


class RefusedError(ValueError):
    """What cannot be resolved, with the reason of the refusal."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Record:
    """A record to which the base fields were applied (section 4.6), as far as they change it."""

    name: str
    unit: str | None
    time_us: int
    value: float | None
    """None: it has no `v`."""
    sum: float | None
    """None: it has neither `s` nor a base sum."""


@dataclass(frozen=True, slots=True)
class _Base:
    """Base fields in force (section 4.1)."""

    name: str = ""
    time_s: float = 0.0
    unit: str | None = None
    value: float = 0.0
    sum: float | None = None

    def after(self, record: Mapping[str, object]) -> Self:
        """Take over the base fields of a record; RefusedError where one cannot be read."""
        if _BASE.isdisjoint(record):
            return self
        name = record.get("bn", self.name)
        if not isinstance(name, str) or len(name) > NAME_CHARS_MAX:
            expected = f"text of at most {NAME_CHARS_MAX} characters is expected"
            raise RefusedError(Reason.WRONG_SHAPE, f"bn is {shown(name)}; {expected}")
        return replace(
            self,
            name=name,
            unit=_unit(record, "bu", self.unit),
            time_s=_number(record, "bt", self.time_s, Reason.BAD_TIME),
            value=_number(record, "bv", self.value, Reason.BAD_NUMBER),
            sum=_number(record, "bs", 0.0, Reason.BAD_NUMBER) if "bs" in record else self.sum,
        )

    def applied(self, record: Mapping[str, object], now_us: int) -> _Record:
        """Resolve a record; RefusedError where it cannot be done."""
        own_name = record.get("n", "")
        if not isinstance(own_name, str):
            raise RefusedError(Reason.WRONG_SHAPE, f"n is {shown(own_name)}; text is expected")
        name = self.name + own_name
        if not is_name(name):
            raise RefusedError(Reason.UNKNOWN_NAME, f"{shown(name)} cannot be a name")
        unit = _unit(record, "u", self.unit)
        value = total = None
        if "v" in record:
            value = _finite(name, _number(record, "v", 0.0, Reason.BAD_NUMBER) + self.value)
        if "s" in record or self.sum is not None:
            total = _finite(name, _number(record, "s", 0.0, Reason.BAD_NUMBER) + (self.sum or 0.0))
        time_us = _time_us(self.time_s + _number(record, "t", 0.0, Reason.BAD_TIME), now_us)
        kinds = [kind for kind in _VALUES if kind in record]
        if len(kinds) > 1:  # Section 4.2: exactly one, or none beside a sum.
            raise RefusedError(Reason.WRONG_SHAPE, f"{shown(name)} has {' and '.join(kinds)}; one value is allowed")
        if not kinds and total is None:
            raise RefusedError(Reason.BAD_NUMBER, f"{shown(name)} has no value")
        return _Record(name, unit, time_us, value, total)


def _is_base(record: Mapping[str, object]) -> bool:
    """Whether a record only sets base fields, ones to come among them (section 4.4: their labels begin with b)."""
    return all(key.startswith("b") for key in record)


def is_senml(first: Mapping[str, object]) -> bool:
    """Whether an array that begins with this object is SenML. One with `values` is flat JSON, whatever else it has."""
    return not _KEYS.isdisjoint(first) and "values" not in first


def resolve(records: Sequence[Mapping[str, object]], now_us: int) -> list[dict[str, object]]:
    """Resolve a pack: no base fields, no relative times, in chronological order (section 4.6).

    Parameters
    ----------
    records : fields by their labels of JSON
    now_us : what relative times count from, microseconds UTC

    Returns
    -------
    One dictionary for each record that has more than base fields; `t` in seconds, to the microsecond. Fields that this
    version does not know are kept. `bver` stands in each where it is not 10.

    Raises
    ------
    RefusedError : a field cannot be read, a record has no value, or the pack must not be used (section 4.4)
    """
    version = _version(records)
    resolved: list[dict[str, object]] = []
    base = _Base()
    for record in records:
        base = base.after(record)
        if _is_base(record):
            continue
        found = base.applied(record, now_us)
        fields: dict[str, object] = {"n": found.name, "t": found.time_us / 1e6}
        fields |= {"u": found.unit} if found.unit is not None else {}
        fields |= {"v": found.value} if found.value is not None else {}
        fields |= {"s": found.sum} if found.sum is not None else {}
        fields |= {"bver": version} if version != _VERSION else {}
        resolved.append(fields | {k: v for k, v in record.items() if k not in _OWN and not k.startswith("b")})
    return sorted(resolved, key=lambda record: record["t"])  # type: ignore[arg-type, return-value]


def decode(records: Sequence[object], received_us: int, station: str, index: int, rows: Rows) -> list[Rejection]:
    """Append the good records of a pack, and say of every other what is wrong with it.

    A base field that cannot be read ends the pack: what follows would be given a wrong name, time or value.
    """
    if len(records) > READINGS_MAX:
        return [Rejection(Reason.TOO_MANY, f"more than {READINGS_MAX} records in one message")]
    try:
        _version(record for record in records if isinstance(record, dict))
    except RefusedError as error:
        return [Rejection(error.reason, str(error))]
    refused: list[Rejection] = []
    before = len(rows.value)
    base = _Base()
    for position, record in enumerate(records):
        where = f"record {position}: "
        if not isinstance(record, dict):
            refused.append(Rejection(Reason.WRONG_SHAPE, f"{where}{shown(record)} where a record is expected"))
            continue
        try:
            base = base.after(record)
        except RefusedError as error:
            detail = f"{where}{error}; this record and the {len(records) - position - 1} after it are refused"
            refused.append(Rejection(error.reason, detail))
            break
        if _is_base(record):
            continue
        try:
            resolved = base.applied(record, received_us)
            name = reading_name(resolved.name, station)
            value = _reading(name, resolved, record)
        except RefusedError as error:
            refused.append(Rejection(error.reason, f"{where}{error}"))
            continue
        rows.station.append(station)
        rows.name.append(name)
        rows.time_us.append(resolved.time_us)
        rows.value.append(value)
        rows.message.append(index)
    if not refused and len(rows.value) == before:
        return [Rejection(Reason.WRONG_SHAPE, "no record of the pack has a value")]
    return refused


def _version(records: Sequence[Mapping[str, object]] | Iterator[Mapping[str, object]]) -> int:
    """Read the version of a pack; RefusedError if it, or a field it must be understood by, is not known here."""
    found = _VERSION
    for record in records:
        for key in record:
            if key.endswith("_"):  # Section 4.4: such a field must be understood, or nothing of the pack is used.
                raise RefusedError(Reason.WRONG_SHAPE, f"the field {shown(key)} must be understood, and is not")
        if "bver" in record:
            version = number(record["bver"])
            if version is None or not version.is_integer() or not 0 < version <= _VERSION:
                raise RefusedError(Reason.WRONG_SHAPE, f"bver is {shown(record['bver'])}; 1 to 10 is understood")
            found = int(version)
    return found


def reading_name(name: str, station: str) -> str:
    """Give the reading name. SenML names have no @ (section 4.5.1), so `stage_m:left` is the same as `stage_m@left`."""
    own = name.removeprefix(f"{station}/")
    if not own:
        raise RefusedError(Reason.UNKNOWN_NAME, f"{shown(name)} is a station, and no reading of it")
    quantity, colon, sensor = own.partition(":")
    return f"{quantity}@{sensor}" if colon and sensor and quantity in QUANTITIES else own


def _reading(name: str, record: _Record, fields: Mapping[str, object]) -> float:
    """Give the reading of a record, in the canonical unit where the quantity is known."""
    quantity = QUANTITIES.get(name.partition("@")[0])
    if quantity is not None and quantity.name in _SUMS and record.sum is not None:
        if record.unit in _RATES:  # A `v` beside it is the rate, which is not what this name stands for.
            unit, seconds = _RATES[record.unit]
            return _in_unit(name, record.sum / seconds, unit, quantity.unit)
        if record.value is None and record.unit is None:
            return record.sum
        if record.value is None:
            expected = ", ".join(_RATES)
            detail = (
                f"the sum of {name} in {shown(record.unit)} times seconds; {expected} is expected, or the total as v"
            )
            raise RefusedError(Reason.UNKNOWN_UNIT, detail)
    if record.value is None:
        kind = next((said for key, said in _VALUES.items() if key in fields), "a sum")
        raise RefusedError(Reason.BAD_NUMBER, f"{shown(name)} is {kind}, and only numbers in v are taken")
    if quantity is None or record.unit is None:
        return record.value  # Without a unit the name says it. An unknown name is refused by who knows the station.
    return _in_unit(name, record.value, record.unit, quantity.unit)


def _in_unit(name: str, value: float, unit: str, canonical: str) -> float:
    converted = convert(value, unit, canonical)
    if converted is None:
        detail = f"{shown(name)} in {shown(unit)}; {canonical} or what converts to it is expected"
        raise RefusedError(Reason.UNKNOWN_UNIT, detail)
    return _finite(name, converted)


def _time_us(time_s: float, now_us: int) -> int:
    if abs(time_s) <= TIME_S_MAX:  # neither NaN nor so large that microseconds of it are no number
        time_us = round(time_s * 1e6) + (now_us if time_s < RELATIVE_S else 0)
        if 0 <= time_us <= TIME_US_MAX:
            return time_us
    raise RefusedError(Reason.BAD_TIME, f"the time {time_s:g} s is outside 1970 to 2262")


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise RefusedError(Reason.BAD_NUMBER, f"{shown(name)} is too large a number")
    return value


def _unit(record: Mapping[str, object], key: str, default: str | None) -> str | None:
    """Read a unit; null is none, and no way to say that the base unit is not meant."""
    if key not in record:
        return default
    unit = record[key]
    if not isinstance(unit, str):
        raise RefusedError(Reason.UNKNOWN_UNIT, f"{key} is {shown(unit)}; text is expected")
    return unit


def _number(record: Mapping[str, object], key: str, default: float, reason: Reason) -> float:
    if key not in record:
        return default
    value = number(record[key])
    if value is None:
        raise RefusedError(reason, f"{key} is {shown(record[key])}; a number is expected")
    return value
