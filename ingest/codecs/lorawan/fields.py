"""Readings out of what a network server decoded with a codec of its own."""

import math
from collections.abc import Iterator, Mapping

import msgspec

from ingest.codecs.bounds import NAME_CHARS_MAX, READINGS_MAX, is_name, number, shown
from ingest.codecs.lorawan.frame import Reading
from ingest.codecs.lorawan.models import TELL_MODEL
from ingest.message import Reason, Rejection
from sensors.quantities import QUANTITIES
from sensors.stations import Metric
from sensors.units import convert

DEPTH_MAX = 4
"""Objects within objects: `{"distance": {"value": 1234}}` is two deep."""
NAMES_SHOWN = 5


def named(fields: bytes, names: Mapping[str, Metric]) -> Iterator[Reading | Rejection]:
    """Find the fields that somebody named, and those that bear one of our names already.

    Parameters
    ----------
    fields : JSON object; a field within a field is called `outer.inner`, one of a list by its number
    names : field -> reading and unit

    Yields
    ------
    Readings in the canonical unit, NaN for null; a Rejection for each such field that is no number or has no way to
    the unit. Other fields are passed over: a codec delivers many that nobody asked for. One Rejection that lists them
    where nothing else was found.
    """
    try:
        parsed = msgspec.json.decode(fields)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        yield Rejection(Reason.BAD_NUMBER, f"what the network server decoded cannot be read: {shown(str(error))}")
        return
    others: list[str] = []
    found = False
    for count, (name, raw) in enumerate(_leaves(parsed, "", DEPTH_MAX)):
        if count >= READINGS_MAX:
            yield Rejection(Reason.TOO_MANY, f"more than {READINGS_MAX} fields were decoded")
            return
        metric = names.get(name)
        if metric is None and name.partition("@")[0] not in QUANTITIES:
            others.append(name)
            continue
        found = True
        yield _reading(name, raw, metric or Metric(reading=name))
    if not found:
        yield Rejection(
            Reason.UNKNOWN_DEVICE,
            f"none of the {len(others)} decoded fields is a reading ("
            + ", ".join(shown(name) for name in others[:NAMES_SHOWN])
            + f"); {TELL_MODEL}",
        )


def _leaves(value: object, path: str, depth: int) -> Iterator[tuple[str, object]]:
    if len(path) > NAME_CHARS_MAX:
        return  # nobody's name, and before each of thousands of fields it would be long
    children: Iterator[tuple[object, object]]
    if isinstance(value, dict):
        children = iter(value.items())
    elif isinstance(value, list):
        children = iter(enumerate(value))
    else:
        yield path, value
        return
    if depth:
        for key, child in children:
            yield from _leaves(child, f"{path}.{key}" if path else f"{key}", depth - 1)


def _reading(name: str, raw: object, metric: Metric) -> Reading | Rejection:
    if not is_name(metric.reading):
        return Rejection(Reason.UNKNOWN_NAME, f"{shown(metric.reading)} cannot be a reading name")
    value = math.nan if raw is None else number(raw)
    if value is None:
        return Rejection(Reason.BAD_NUMBER, f"{shown(name)} is {shown(raw)}; a number or null is expected")
    quantity = QUANTITIES.get(metric.reading.partition("@")[0])
    if not metric.unit or quantity is None:
        return Reading(metric.reading, value)  # Of an unknown name, who knows the station says so later.
    converted = convert(value, metric.unit, quantity.unit)
    if converted is None:
        detail = f"{shown(name)} in {shown(metric.unit)}; {quantity.unit} or what converts to it is expected"
        return Rejection(Reason.UNKNOWN_UNIT, detail)
    if math.isinf(converted):
        return Rejection(Reason.BAD_NUMBER, f"{shown(name)} is too large a number")
    return Reading(metric.reading, converted)
