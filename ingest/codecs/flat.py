"""Flat JSON: `{"ts": time, "values": {name: number or null}}`, an array of such objects, or one object of readings."""

import math

from ingest.codecs.bounds import READINGS_MAX, TIME_US_MAX, is_name, number, shown
from ingest.message import Reason, Rejection, Rows
from ingest.times import read_us
from sensors.quantities import QUANTITIES

OBJECTS_MAX = 500
"""Objects in one array of flat JSON."""

_TIME_MS_MAX = TIME_US_MAX // 1_000
_TIMES = frozenset(
    {"ts", "time", "timestamp", "datetime", "date", "devicetime", "measuredat", "recordedat", "createdat", "epoch"}
    | {"unixtime", "utc", "t", "dt", "tsms", "timems", "timestampms"}
)
"""Names, without capitals and what is between words, by which devices mean the time of a measurement."""


def decode(parsed: object, received_us: int, station: str, index: int, rows: Rows) -> list[Rejection]:
    """Append what is good of parsed JSON, and say of every other part what is wrong with it."""
    if isinstance(parsed, dict) and _is_bare(parsed):
        return _take_bare(parsed, received_us, station, index, rows)
    objects = parsed if isinstance(parsed, list) else [parsed]
    if not any(isinstance(each, dict) for each in objects):
        return [Rejection(Reason.WRONG_SHAPE, f"{shown(parsed)} is neither an object with ts and values nor SenML")]
    if len(objects) > OBJECTS_MAX:
        return [Rejection(Reason.TOO_MANY, f"{len(objects)} objects in one array; at most {OBJECTS_MAX}")]
    count = sum(_values_of(each) for each in objects)
    if count > READINGS_MAX:
        return [Rejection(Reason.TOO_MANY, f"{count} readings in one message; at most {READINGS_MAX}")]
    refused: list[Rejection] = []
    for position, each in enumerate(objects):
        where = f"object {position}: " if isinstance(parsed, list) else ""
        refused += _take(each, where, station, index, rows)
    return refused


def _is_bare(parsed: dict[str, object]) -> bool:
    """Whether an object is readings without a time: it has none of the two fields, and one of our names.

    Our names carry their unit, so that no other program writes them by chance.
    """
    return parsed.keys().isdisjoint(("ts", "values")) and any(_is_ours(name) for name in parsed)


def _is_ours(name: str) -> bool:
    return name.partition("@")[0] in QUANTITIES


def _take_bare(parsed: dict[str, object], received_us: int, station: str, index: int, rows: Rows) -> list[Rejection]:
    """Take the readings of an object without a time as of now. Its other texts and switches are none.

    One with a time by another name is refused: a backlog would be taken for the water of now.
    """
    said = next((name for name in parsed if name.replace("_", "").replace("-", "").lower() in _TIMES), None)
    if said is not None:
        detail = f"{shown(said)} may be a time: ts beside values is one; without it, readings are of their arrival"
        return [Rejection(Reason.BAD_TIME, detail)]
    readings = {n: v for n, v in parsed.items() if _is_ours(n) or (n != "seq" and number(v) is not None)}
    if len(readings) > READINGS_MAX:
        return [Rejection(Reason.TOO_MANY, f"{len(readings)} readings in one message; at most {READINGS_MAX}")]
    return _take_values(readings, received_us, "", station, index, rows)


def _values_of(each: object) -> int:
    values = each.get("values") if isinstance(each, dict) else None
    return len(values) if isinstance(values, dict) else 0


def _take(each: object, where: str, station: str, index: int, rows: Rows) -> list[Rejection]:
    if not isinstance(each, dict):
        return [Rejection(Reason.WRONG_SHAPE, f"{where}{shown(each)} where an object is expected")]
    values = each.get("values")
    if not isinstance(values, dict) or not values:
        detail = "values must be an object with at least one reading"
        if "values" not in each:
            detail = 'neither {"ts": ..., "values": {...}} nor an object with a reading name of docs/wire.md'
        return [Rejection(Reason.WRONG_SHAPE, where + detail)]
    time_us = _time_us(each.get("ts"))
    if time_us is None:
        what = f"ts is {shown(each['ts'])}" if "ts" in each else "ts is missing"
        expected = "whole milliseconds or a date with a time of day, 1970 to 2262,"
        return [Rejection(Reason.BAD_TIME, f"{where}{what}; {expected} are expected")]
    return _take_values(values, time_us, where, station, index, rows)


def _time_us(ts: object) -> int | None:
    if isinstance(ts, str):
        return read_us(ts)
    time_ms = number(ts)
    if time_ms is None or not time_ms.is_integer() or not 0 <= time_ms <= _TIME_MS_MAX:
        return None
    return int(time_ms) * 1_000


def _take_values(
    values: dict[str, object], time_us: int, where: str, station: str, index: int, rows: Rows
) -> list[Rejection]:
    refused: list[Rejection] = []
    for name, raw in values.items():
        value = math.nan if raw is None else number(raw)
        if not is_name(name):
            refused.append(Rejection(Reason.UNKNOWN_NAME, f"{where}{shown(name)} cannot be a reading name"))
        elif value is None:
            refused.append(
                Rejection(Reason.BAD_NUMBER, f"{where}{shown(name)} is {shown(raw)}; a number or null is expected")
            )
        else:
            rows.station.append(station)
            rows.name.append(name)
            rows.time_us.append(time_us)
            rows.value.append(value)
            rows.message.append(index)
    return refused
