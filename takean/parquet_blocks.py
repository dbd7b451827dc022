"""Years of readings out of one Parquet file: whole columns, no look at any single row, in blocks of series x time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from ingest.times import TIME_US_MAX
from sensors.batch import Float64, Int64, ReadingBatch
from sensors.stations import Registry
from takean.exchange import NEEDED, unit_of

BLOCK_ROWS = 65_536
"""Readings judged at once: what is computed of them stays within the cache of a core."""
NAMED = ("station", "reading", "unit")


class Unfit(Exception):
    """Not to be read as columns, and why: `takean.exchange_files` reads it row by row, and says it of each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Readings by series, those of one series in ascending time, each time once."""

    series: NDArray[np.int32]
    """(k,) those that have any, ascending."""
    edges: NDArray[np.intp]
    """(k + 1,) readings of series k are edges[k] .. edges[k + 1]."""
    time_us: Int64
    value: Float64
    """Canonical unit; NaN where nothing was measured."""

    def __len__(self) -> int:
        return len(self.time_us)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[ReadingBatch]:
        """All readings, each as if it had arrived at its time: spans of time one after the other, about so many
        readings in each, in each span the series one after the other.
        """
        if not len(self):
            return
        firsts, lasts = self.time_us[self.edges[:-1]], self.time_us[self.edges[1:] - 1]
        begin_us, end_us = int(firsts.min()), int(lasts.max()) + 1
        spans = max(1, len(self) // rows)
        bounds = [begin_us + (end_us - begin_us) * k // spans for k in range(1, spans)] + [end_us]
        of = [self.time_us[a:b] for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]
        at = self.edges[:-1]
        for bound in bounds:
            upto = self.edges[:-1] + np.array([np.searchsorted(one, bound) for one in of], dtype=np.intp)
            pieces = [slice(a, b) for a, b in zip(at.tolist(), upto.tolist(), strict=True)]
            time_us = np.concatenate([self.time_us[piece] for piece in pieces])
            value = np.concatenate([self.value[piece] for piece in pieces])
            series = np.repeat(self.series, upto - at)
            at = upto
            if len(series):
                yield ReadingBatch(series=series, time_us=time_us, value=value, received_us=time_us)


def read(path: Path, registry: Registry) -> History:
    """Read a file as `takean export` names its columns.

    Raises
    ------
    Unfit : a station, reading or unit that is not the registry's, a row without a time or with an infinite value, two
        rows for one moment
    """
    try:
        schema = parquet.read_schema(path)
        there = set(schema.names)
        if not there.issuperset(NEEDED) or not getattr(schema.field("time_utc").type, "tz", None):
            raise Unfit("no file of readings with times in a zone")
        names = [*NEEDED, *({"unit"} & there)]
        with parquet.ParquetFile(path, read_dictionary=[name for name in NAMED if name in there]) as file:
            size, end = file.metadata.num_rows, 0
            series, time_us, value = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int64), np.empty(size)
            for group in range(file.num_row_groups):
                part = _columns(file.read_row_group(group, columns=names, use_threads=False), registry)
                begin, end = end, end + len(part[0])
                series[begin:end], time_us[begin:end], value[begin:end] = part
    except (OSError, pa.ArrowException) as error:
        raise Unfit(str(error)) from error
    return _by_series(series, time_us, value)


def _by_series(series: NDArray[np.int32], time_us: Int64, value: Float64) -> History:
    together, later = series[1:] == series[:-1], time_us[1:] > time_us[:-1]
    if not bool(((series[1:] > series[:-1]) | (together & later)).all()):
        order = np.lexsort((time_us, series))
        series, time_us, value = series[order], time_us[order], value[order]
        if bool(((series[1:] == series[:-1]) & (time_us[1:] == time_us[:-1])).any()):
            raise Unfit("two readings of one series for one moment")
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    return History(
        series=series[begins], edges=np.append(begins, len(series)).astype(np.intp), time_us=time_us, value=value
    )


def _columns(table: pa.Table, registry: Registry) -> tuple[NDArray[np.int32], Int64, Float64]:
    time = table.column("time_utc").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    if time.null_count:
        raise Unfit("a row without a time")
    time_us: Int64 = time.to_numpy()
    value: Float64 = table.column("value").cast(pa.float64()).to_numpy()
    if len(time_us) and (time_us.min() < 0 or time_us.max() > TIME_US_MAX or np.isinf(value).any()):
        raise Unfit("a time outside 1970 to 2262, or an infinite value")
    return _series(table, registry), time_us, value


def _series(table: pa.Table, registry: Registry) -> NDArray[np.int32]:
    """(n,) from what few names each row has."""
    code = np.zeros(table.num_rows, dtype=np.int64)
    texts: list[list[str | None]] = []
    for name in (name for name in NAMED if name in table.column_names):
        column = table.column(name).combine_chunks()
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        texts.append([*column.dictionary.to_pylist(), None])
        indices = column.indices.fill_null(len(texts[-1]) - 1).to_numpy()
        code = code * len(texts[-1]) + indices
    first = code[:1]
    found = first if bool((code == first).all()) else np.unique(code)
    known = np.empty(len(found), dtype=np.int32)
    places = np.unravel_index(found, [len(own) for own in texts])
    for k, at in enumerate(zip(*(place.tolist() for place in places), strict=True)):
        station, reading, *unit = named = [own[place] for own, place in zip(texts, at, strict=True)]
        index = registry.index.get((station or "", reading or ""))
        if index is None or (unit and unit[0] not in (None, "", unit_of(reading or ""))):
            raise Unfit(f"{named} is nothing the registry keeps")
        known[k] = index
    return known[np.searchsorted(found, code)] if len(found) > 1 else np.repeat(known, len(code))
