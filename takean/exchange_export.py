"""Export: rows to one CSV or Parquet file, some at a time, which appears whole or not at all."""

import csv
import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
from pyarrow import parquet

from sensors.store import DAY_US, PageOf
from takean import exchange
from takean.exchange import Progress, Wanted, unseen
from takean.exchange_rows import PAGE_ROWS, Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    rows: int
    series: int
    days: int


Write = Callable[[pa.Table], object]


def export(
    rows: Rows,
    wanted: Wanted,
    path: Path,
    *,
    format: str,
    thai: bool = False,
    page_rows: int = PAGE_ROWS,
    progress: Progress = unseen,
) -> Exported:
    """Write what is wanted, day by day, in each the series one after the other, in each the readings in order of time.

    Raises
    ------
    ExchangeError : nothing is there of what is wanted by name
    OSError : no room, or the folder cannot be written
    """
    there = rows.contents
    keys = wanted.keys(there.keys)
    days = [day for day in there.days if day * DAY_US < wanted.to_us and (day + 1) * DAY_US > wanted.from_us]
    many, series = 0, set[str]()
    with _appearing(path) as file, WRITERS[format](file, exchange.schema(thai=thai)) as write:
        for done, day in enumerate(days if keys else []):
            progress(done, len(days))
            first = PageOf(
                day=day,
                keys=[] if len(keys) == len(there.keys) else keys,
                from_us=wanted.from_us,
                to_us=wanted.to_us,
                through_seq=there.last_seq,
                rows=page_rows,
            )
            for found in rows.day(first):
                write(exchange.table(found, thai=thai))
                many += len(found["seq"])
                series.update(found["series"].tolist())
        progress(len(days), len(days))
    return Exported(rows=many, series=len(series), days=len(days))


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only when it is whole and on disk."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def _csv(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(schema.names)
    yield lambda part: out.writerows(exchange.lines(part))
    text.flush()
    text.detach()  # whoever opened the file closes it


@contextmanager
def _parquet(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=texts) as writer:
        yield writer.write_table


WRITERS: dict[str, Callable[[IO[bytes], pa.Schema], AbstractContextManager[Write]]] = {
    "csv": _csv,
    "parquet": _parquet,
}
