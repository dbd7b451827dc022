"""Import, first half: the rows of CSV and Parquet files as columns, and what cannot be read of them, with its line."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ingest.times import TIME_US_MAX
from sensors.batch import Float64, Int64
from sensors.stations import Registry
from sensors.units import convert
from takean import exchange
from takean.exchange import NEEDED, ExchangeError, Progress, unseen

CHUNK_ROWS = 2_000
LINE_CHARS_MAX = 65_536
"""Of CSV; without it a file that never ends a line fills the memory."""
NAMES_SHOWN = 12

Refuse = Callable[[int, str], None]
"""(line, why)"""
Raw = tuple[int, str, str, str | int | None, str | float | None, str]
"""Line, station, reading, time (text, or microseconds UTC), value, unit ("" where the file names none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows that can be read; equal-length columns."""

    line: Int64
    """CSV: where the row ends, the header being 1. Parquet: its number, from 1."""
    series: Int64
    """Index into `Registry.series`."""
    time_us: Int64
    value: Float64
    """Canonical unit; NaN where nothing was measured."""


def chunks(
    path: Path, registry: Registry, refuse: Refuse, *, progress: Progress = unseen, rows: int = CHUNK_ROWS
) -> Iterator[Chunk]:
    """The rows of a file in its order.

    Raises
    ------
    ExchangeError : it is no file of readings, from the place that is named
    """
    read = _parquet_rows if path.suffix == ".parquet" else _csv_rows
    reader = _Reader(registry)
    kept: list[tuple[int, int, int, float]] = []
    try:
        for raw in read(path, refuse, progress):
            try:
                kept.append((raw[0], *reader.read(raw)))
            except ValueError as error:
                refuse(raw[0], str(error))
            if len(kept) == rows:
                yield _chunk(kept)
                kept = []
    except (OSError, csv.Error, pa.ArrowException) as error:
        raise ExchangeError(f"{path}: cannot be read on: {error}") from error
    if kept:
        yield _chunk(kept)


class _Reader:
    """One row after the other; what was looked up once is remembered."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[str, str, str], tuple[int, str]] = {}

    def read(self, raw: Raw) -> tuple[int, int, float]:
        """Series, time, value.

        Raises
        ------
        ValueError : why not
        """
        _, station, reading, time, value, unit = raw
        name = (station, reading, unit)
        series, canonical = self._known.get(name) or self._look_up(name)
        number = _number(value)
        if unit and unit != canonical:
            converted = convert(number, unit, canonical)
            assert converted is not None, "looked up"
            number = converted
        return series, _time_us(time), number

    def _look_up(self, name: tuple[str, str, str]) -> tuple[int, str]:
        station, reading, unit = name
        if station not in self._registry.stations:
            raise ValueError(f"station {station[:40]!r} is not in stations.toml")
        series = self._registry.index.get((station, reading))
        if series is None:
            raise ValueError(f"station {station} has no reading {reading[:40]!r}; add it to stations.toml first")
        canonical = exchange.unit_of(reading)
        if unit and convert(0.0, unit, canonical) is None:
            raise ValueError(f"unit {unit[:20]!r} is none of {reading}, which is kept in {canonical}")
        self._known[name] = series, canonical
        return series, canonical


def _number(value: str | float | None) -> float:
    if value is None or value == "":
        return math.nan
    try:
        number = float(value) if "_" not in str(value) else math.inf  # Python reads 1_5 as 15
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise ValueError(f"value {str(value)[:40]!r} is no number; leave it empty where nothing was measured")
    return number


def _time_us(time: str | int | None) -> int:
    try:
        moment_us = time if isinstance(time, int) else exchange.moment(time or "")
    except ValueError:
        raise ValueError(
            f"time {str(time)[:40]!r} is no ISO 8601 time with its zone, such as 2026-11-22T06:50:00Z"
        ) from None
    if not 0 <= moment_us <= TIME_US_MAX:
        raise ValueError(f"time {str(time)[:40]!r} lies outside 1970 to 2262")
    return moment_us


def _csv_rows(path: Path, refuse: Refuse, progress: Progress) -> Iterator[Raw]:
    size = path.stat().st_size
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(_lines(path, file))
        header = next(rows, [])
        at = {name.strip(): place for place, name in enumerate(header)}
        _has_needed(path, at)
        station, reading, time, value = (at[name] for name in NEEDED)
        unit = at.get("unit")
        for row in rows:
            if rows.line_num % 1_000 == 0:
                progress(raw.tell(), size)
            if not row:
                continue
            if len(row) != len(header):  # any field may be another's: none of them is believed
                refuse(rows.line_num, f"{len(row)} fields under {len(header)} names")
                continue
            named = row[unit].strip() if unit is not None else ""
            yield rows.line_num, row[station], row[reading], row[time], row[value].strip(), named
        progress(size, size)


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    while line := file.readline(LINE_CHARS_MAX):
        if len(line) == LINE_CHARS_MAX:
            raise ExchangeError(f"{path}: a line of {LINE_CHARS_MAX} characters or more is none of readings")
        yield line


def _parquet_rows(path: Path, refuse: Refuse, progress: Progress) -> Iterator[Raw]:
    del refuse  # every row has every column
    with parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        _has_needed(path, {name: place for place, name in enumerate(schema.names)})
        form = schema.field("time_utc").type
        if getattr(form, "tz", None) is None:
            raise ExchangeError(f"{path}: column time_utc is {form}; expected times with a zone")
        names = [*NEEDED, *(["unit"] if "unit" in schema.names else [])]
        done, size = 0, file.metadata.num_rows
        for batch in file.iter_batches(CHUNK_ROWS, columns=names):
            time_us = batch.column("time_utc").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
            columns = [(time_us if name == "time_utc" else batch.column(name)).to_pylist() for name in NEEDED]
            units = batch.column("unit").to_pylist() if len(names) > len(NEEDED) else [""] * len(batch)
            for station, reading, time, value, unit in zip(*columns, units, strict=True):
                done += 1
                yield done, str(station), str(reading), time, value, unit or ""
            progress(done, size)


def _has_needed(path: Path, there: Mapping[str, int]) -> None:
    if missing := [name for name in NEEDED if name not in there]:
        some = [name[:20] for name in list(there)[:NAMES_SHOWN]]
        names = ", ".join(name if name.isprintable() else repr(name) for name in some)
        raise ExchangeError(f"{path}: no column {', '.join(missing)}; it has {names or 'none'}")


def _chunk(kept: list[tuple[int, int, int, float]]) -> Chunk:
    line, series, time_us, value = zip(*kept, strict=True)
    return Chunk(
        line=np.array(line, dtype=np.int64),
        series=np.array(series, dtype=np.int64),
        time_us=np.array(time_us, dtype=np.int64),
        value=np.array(value, dtype=np.float64),
    )
