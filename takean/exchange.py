"""Readings as files that other programs read and write: what stands in them. Pure.

One row is one reading: station, reading name, time in UTC, value in the unit beside it, flags, and how it arrived.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensors.batch import Int64
from sensors.flags import Check, unpack
from sensors.quantities import QUANTITIES

SUFFIXES = {".csv": "csv", ".parquet": "parquet"}
CHECKS = tuple(f"check_{check.name.lower()}" for check in Check)
NEEDED = ("station", "reading", "time_utc", "value")
"""What an import must find; `unit` it minds where there is one; everything else is made anew."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
THAI = timezone(timedelta(hours=7))
MICROSECOND = timedelta(microseconds=1)
TIME_MAX_US = 253_402_300_799_999_999
"""The last moment of the year 9999: later ones have no ISO 8601 text."""

EVER = (-(1 << 62), 1 << 62)
STORED = ("series", "time_us", "value", "received_us", "flag", "checks", "revision", "seq")
Columns = Mapping[str, NDArray[Any]]
"""As `sensors.store.queries.page` gives them."""


Progress = Callable[[int, int], None]
"""(done, of all)"""


def unseen(done: int, of: int) -> None:
    """Progress that nobody looks at."""


class ExchangeError(Exception):
    """It cannot be done, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is exported: from_us <= time < to_us."""

    stations: Sequence[str] = ()
    """Empty: all."""
    readings: Sequence[str] = ()
    """Reading names, or quantities, which stand for all readings of theirs; empty: all."""
    from_us: int = EVER[0]
    to_us: int = EVER[1]

    def keys(self, there: Sequence[str]) -> list[str]:
        """Of the series that are there those that are wanted.

        Raises
        ------
        ExchangeError : names a station or reading of which nothing is there
        """
        pairs = [(key, *key.split("/", 1)) for key in there]
        for name in self.stations:
            if not any(station == name for _, station, _ in pairs):
                raise ExchangeError(f"no readings of a station {name!r}; there are {_listed({p[1] for p in pairs})}")
        for name in self.readings:
            if not any(name in (reading, _quantity(reading)) for _, _, reading in pairs):
                raise ExchangeError(f"no readings named {name!r}; there are {_listed({p[2] for p in pairs})}")
        return [
            key
            for key, station, reading in pairs
            if (not self.stations or station in self.stations)
            and (not self.readings or reading in self.readings or _quantity(reading) in self.readings)
        ]


def unit_of(reading: str) -> str:
    """The unit that a reading is kept in; empty for a quantity that this version does not know."""
    quantity = QUANTITIES.get(_quantity(reading))
    return quantity.unit if quantity is not None else ""


def moment(text: str, *, naive: timezone | None = None) -> int:
    """Microseconds UTC of an ISO 8601 time.

    Parameters
    ----------
    naive : the zone of a time that names none; None refuses it

    Raises
    ------
    ValueError : it is none, or names no zone
    """
    time = datetime.fromisoformat(text.strip())
    if time.tzinfo is None:
        if naive is None:
            raise ValueError("names no zone")
        time = time.replace(tzinfo=naive)
    return (time - EPOCH) // MICROSECOND


def iso(time_us: Int64, *, zone: timezone = UTC) -> list[str]:
    """Times as ISO 8601 texts, with a fraction only where there is one."""
    offset_us = zone.utcoffset(None) // MICROSECOND
    local = (np.clip(time_us, -TIME_MAX_US, TIME_MAX_US) + offset_us).astype("datetime64[us]")
    seconds, micros = np.datetime_as_string(local, unit="s"), np.datetime_as_string(local, unit="us")
    suffix = "Z" if offset_us == 0 else f"+{offset_us // 3_600_000_000:02d}:00"
    return np.char.add(np.where(time_us % 1_000_000 == 0, seconds, micros), suffix).tolist()  # type: ignore[no-any-return]


def table(rows: Columns, *, thai: bool = False) -> pa.Table:
    """Stored rows as they stand in a file; NaN, which is nothing measured, is null.

    Parameters
    ----------
    thai : with a second column of times as clocks in Thailand show them
    """
    keys, at = np.unique(rows["series"].astype(str), return_inverse=True)
    names = [str(key).split("/", 1) for key in keys]

    def named(texts: Sequence[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(at, pa.int32()), pa.array(texts, pa.string())).cast(pa.string())

    time = pa.array(rows["time_us"].astype(np.int64), pa.int64())
    columns: dict[str, pa.Array] = {
        "station": named([station for station, _ in names]),
        "reading": named([reading for _, reading in names]),
        "time_utc": time.cast(pa.timestamp("us", "UTC")),
    }
    if thai:
        columns["time_thai"] = time.cast(pa.timestamp("us", "Asia/Bangkok"))
    value = rows["value"].astype(np.float64)
    columns["value"] = pa.array(value, pa.float64(), mask=np.isnan(value))
    columns["unit"] = named([unit_of(reading) for _, reading in names])
    columns["flag"] = pa.array(rows["flag"].astype(np.uint8))
    flags = unpack(rows["checks"].astype(np.uint32))
    columns |= {name: pa.array(flags[at]) for at, name in enumerate(CHECKS)}
    columns["received_utc"] = pa.array(rows["received_us"].astype(np.int64)).cast(pa.timestamp("us", "UTC"))
    columns["seq"] = pa.array(rows["seq"].astype(np.int64))
    columns["revision"] = pa.array(rows["revision"].astype(np.bool_))
    return pa.table(columns)


def schema(*, thai: bool = False) -> pa.Schema:
    """Columns of a file."""
    nothing = {name: np.zeros(0, dtype=np.int64) for name in STORED}
    return table(nothing, thai=thai).schema


def lines(part: pa.Table) -> list[tuple[object, ...]]:
    """The rows of a table as CSV holds them: empty for null, the shortest text that is read back as the same float."""
    columns: list[list[object]] = []
    for name in part.column_names:
        column = part.column(name)
        if pa.types.is_timestamp(column.type):
            zone = UTC if column.type.tz == "UTC" else THAI
            columns.append(list(iso(column.cast(pa.int64()).to_numpy(), zone=zone)))
        elif pa.types.is_boolean(column.type):
            columns.append(["true" if value else "false" for value in column.to_pylist()])
        else:
            columns.append(column.to_pylist())
    return list(zip(*columns, strict=True))


def _quantity(reading: str) -> str:
    return reading.split("@", 1)[0]


def _listed(names: set[str]) -> str:
    some = sorted(names)
    return ", ".join(some[:8]) + (f" and {len(some) - 8} more" if len(some) > 8 else "") if some else "none"
