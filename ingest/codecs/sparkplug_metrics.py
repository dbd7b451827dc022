"""Metrics of Sparkplug B as readings: what they are called by their birth, and what the registry makes of it. Pure."""

import math
from collections.abc import Collection, Container

import msgspec

from ingest.codecs.bounds import READINGS_MAX, TIME_US_MAX, shown
from ingest.codecs.sparkplug_payload import NUMERIC, Metric, Payload, number
from ingest.message import Reason, Rejection, Rows
from ingest.source import Source
from sensors.quantities import QUANTITIES
from sensors.units import convert

BD_SEQ = "bdSeq"
NAMES_SHOWN = 5
_CONTROLS = ("Node Control/", "Device Control/")


class Birth(msgspec.Struct, frozen=True):
    """What a node, or a device behind it, said of its metrics."""

    types: dict[str, int]
    """Name -> datatype."""
    aliases: dict[int, str]
    """Alias -> name."""


def read_birth(said: Payload) -> tuple[Birth, list[Rejection]]:
    """Names, types and aliases. An alias of two metrics is an alias of none."""
    types: dict[str, int] = {}
    aliases: dict[int, str] = {}
    twice: set[int] = set()
    for metric in said.metrics:
        if not metric.name or metric.datatype is None:
            continue
        types[metric.name] = metric.datatype
        if metric.alias is not None and aliases.setdefault(metric.alias, metric.name) != metric.name:
            twice.add(metric.alias)
    for alias in twice:
        del aliases[alias]
    detail = f"aliases that stand for two metrics: {_some(twice)}"
    return Birth(types, aliases), [Rejection(Reason.WRONG_SHAPE, detail)] if twice else []


class _RefusedError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


_WHY = {
    Reason.UNBORN: "metrics that its birth does not name",
    Reason.WRONG_SHAPE: "metrics of another type or alias than in its birth",
    Reason.BAD_NUMBER: "metrics without a number that their type can have",
    Reason.BAD_TIME: "metrics without a time from 1970 to 2262",
    Reason.UNKNOWN_UNIT: "metrics whose unit does not convert to that of the reading",
}


def take(said: Payload, birth: Birth, source: Source, index: int, rows: Rows) -> tuple[list[Rejection], bool]:
    """Append what is a reading; returns the refusals, and whether the birth does not tell all."""
    refused: dict[Reason, list[str]] = {}
    readings: list[tuple[str, int, float]] = []
    for metric in said.metrics:
        name = metric.name or birth.aliases.get(metric.alias if metric.alias is not None else -1, "")
        try:
            if name not in birth.types:
                raise _RefusedError(Reason.UNBORN)
            if metric.alias is not None and birth.aliases.get(metric.alias, name) != name:
                raise _RefusedError(Reason.WRONG_SHAPE)
            if found := _reading(name, metric, said.time_ms, birth, source):
                readings.append(found)
        except _RefusedError as error:
            refused.setdefault(error.reason, []).append(name or f"alias {metric.alias}")
    if len(readings) > READINGS_MAX:
        detail = f"{len(readings)} readings in one message; at most {READINGS_MAX}"
        return [Rejection(Reason.TOO_MANY, detail)], False
    for name, time_us, value in readings:
        rows.station.append(source.station)
        rows.name.append(name)
        rows.time_us.append(time_us)
        rows.value.append(value)
        rows.message.append(index)
    told = [Rejection(why, f"{len(names)} {_WHY[why]}: {_some(names)}") for why, names in refused.items()]
    return told, bool({Reason.UNBORN, Reason.WRONG_SHAPE} & refused.keys())


def _reading(
    own: str, metric: Metric, time_ms: int | None, birth: Birth, source: Source
) -> tuple[str, int, float] | None:
    """Name, time in microseconds UTC, value in the canonical unit; None for what is no reading."""
    names = source.device.names if source.device is not None else {}
    mapped = names.get(own)
    datatype = birth.types[own]
    if mapped is None and not _is_offered(own, metric, datatype, source, names):
        return None
    if metric.datatype not in (None, datatype):
        raise _RefusedError(Reason.WRONG_SHAPE)
    value = math.nan
    if metric.is_good and not metric.is_null:
        found = number(metric, datatype) if datatype in NUMERIC else None
        if found is None or not math.isfinite(found):
            raise _RefusedError(Reason.BAD_NUMBER)
        value = float(found)
    at_ms = metric.time_ms if metric.time_ms is not None else time_ms
    if at_ms is None or at_ms * 1_000 > TIME_US_MAX:
        raise _RefusedError(Reason.BAD_TIME)
    if mapped is None:
        return own, at_ms * 1_000, value
    if mapped.unit and not math.isnan(value):
        quantity = QUANTITIES.get(mapped.reading.partition("@")[0])
        converted = convert(value, mapped.unit, quantity.unit) if quantity is not None else None
        if converted is None or not math.isfinite(converted):
            raise _RefusedError(Reason.UNKNOWN_UNIT)
        value = converted
    return mapped.reading, at_ms * 1_000, value


def _is_offered(own: str, metric: Metric, datatype: int, source: Source, names: Container[str]) -> bool:
    """Whether a metric that nobody named is a reading: of a number that is kept, and called like one.

    A name that is none is offered too where the registry names nothing of this device, so that somebody sees it.
    """
    if datatype not in NUMERIC or metric.is_transient or own == BD_SEQ or own.startswith(_CONTROLS):
        return False
    if source.device is None and source.is_registered:
        return False  # a node that only carries the devices behind it
    return own.partition("@")[0] in QUANTITIES or not names


def _some(names: Collection[object]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(shown(each) for each in list(names)[:NAMES_SHOWN]) + more
