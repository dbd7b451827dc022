"""Flat JSON: `{"ts": milliseconds, "values": {name: number or null}}`, or an array of such objects."""

import math

import msgspec

from ingest.codecs.bounds import READINGS_MAX, TIME_US_MAX, is_name, number, shown
from ingest.message import Reason, Rejection, Rows

OBJECTS_MAX = 500
"""Objects in one array of flat JSON."""

_TIME_MS_MAX = TIME_US_MAX // 1_000


class _Object(msgspec.Struct, gc=False):
    ts: int
    values: dict[str, float | None]


_decode_one = msgspec.json.Decoder(_Object).decode
_decode_many = msgspec.json.Decoder(list[_Object]).decode


def decode_clean(payload: bytes, station: str, index: int, rows: Rows) -> bool:
    """Append the readings of a payload in which everything is right: the short way, which nearly all messages take.

    Returns whether it was so. If not, nothing was appended, and the payload must go the long way for its reasons.
    """
    try:
        objects = _decode_many(payload) if payload[:1] == b"[" else [_decode_one(payload)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    count = 0
    for each in objects:
        if not each.values or not 0 <= each.ts <= _TIME_MS_MAX:
            return False
        count += len(each.values)
    if not 0 < count <= READINGS_MAX or len(objects) > OBJECTS_MAX:
        return False
    for each in objects:
        values = each.values
        rows.time_us += [each.ts * 1_000] * len(values)
        rows.name += values
        rows.value += [math.nan if value is None else value for value in values.values()]
    rows.station += [station] * count
    rows.message += [index] * count
    return True


def decode(parsed: object, station: str, index: int, rows: Rows) -> list[Rejection]:
    """Append what is good of parsed JSON, and say of every other part what is wrong with it."""
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


def _values_of(each: object) -> int:
    values = each.get("values") if isinstance(each, dict) else None
    return len(values) if isinstance(values, dict) else 0


def _take(each: object, where: str, station: str, index: int, rows: Rows) -> list[Rejection]:
    if not isinstance(each, dict):
        return [Rejection(Reason.WRONG_SHAPE, f"{where}{shown(each)} where an object is expected")]
    values = each.get("values")
    if not isinstance(values, dict) or not values:
        return [Rejection(Reason.WRONG_SHAPE, f"{where}values must be an object with at least one reading")]
    time_ms = number(each.get("ts"))
    if time_ms is None or not time_ms.is_integer() or not 0 <= time_ms <= _TIME_MS_MAX:
        what = f"ts is {shown(each['ts'])}" if "ts" in each else "ts is missing"
        return [Rejection(Reason.BAD_TIME, f"{where}{what}; whole milliseconds, 1970 to 2262, are expected")]
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
            rows.time_us.append(int(time_ms) * 1_000)
            rows.value.append(value)
            rows.message.append(index)
    return refused
