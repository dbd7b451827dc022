"""Hours of every series, kept for ever: one Parquet file for each month (UTC), made from the files of closed days.

A month's file says which file of each day it was made of, so a day that was written again is rolled up again, and one
that has been let go of stays as it was.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from sensors.store import DAY_US, Hours, SeriesReader
from sensors.store.days import DAYS_CONFIG, asked, file_of, sync_folder

HOUR_US = 3_600_000_000
DAYS = b"takean.days"
"""JSON: day -> what it was made of."""
ROWS_AT_ONCE = 50_000
LIVE_ROWS_MAX = 20_000
"""Of what no closed day holds yet."""

log = logging.getLogger(__name__)

_HOURS = f"""
select series, time_us - time_us % {HOUR_US} as hour_us, count(*) as readings,
    count(*) filter (where good) as usable, sum(value) filter (where good) as sum,
    min(value) filter (where good) as min, max(value) filter (where good) as max,
    arg_min(value, time_us) filter (where good) as first, arg_max(value, time_us) filter (where good) as last,
    max(flag) as worst_flag
from (select *, flag in (1, 2) and isfinite(value) as good from {{rows}}) where not revision
group by 1, 2 order by 1, 2
"""  # noqa: S608


class Rollups:
    """Writes the months; for one background thread."""

    def __init__(self, folder: Path, days: Path) -> None:
        self._folder = folder
        self._days = days
        folder.mkdir(mode=0o700, exist_ok=True)
        for leftover in folder.glob("*.new"):
            leftover.unlink()
        sync_folder(folder)
        self._made: dict[int, str] = {}
        for path in folder.glob("*.parquet"):
            self._made |= _made_of(path)

    @property
    def made(self) -> Mapping[int, str]:
        """Day -> what its hours were made of."""
        return self._made

    def update(self, days: Mapping[int, str], stop: Callable[[], bool] = lambda: False) -> int:
        """Roll up every day that is not yet, or was written again since; returns how many.

        Parameters
        ----------
        days : days that have a whole file, with what tells the present file from any other

        Raises
        ------
        OSError : no room, or a file cannot be read
        """
        stale = {day: made_of for day, made_of in days.items() if self._made.get(day) != made_of}
        for month in sorted({month_of(day) for day in stale}):
            if stop():
                break
            now = {day: made_of for day, made_of in sorted(stale.items()) if month_of(day) == month}
            self._write(self._folder / f"{month}.parquet", now)
            self._made |= now
        return len(stale)

    def _write(self, path: Path, days: Mapping[int, str]) -> None:
        from pyarrow import parquet  # noqa: PLC0415  (half a second that no start should wait for)

        kept = {day: made_of for day, made_of in _made_of(path).items() if day not in days}
        told = {DAYS: msgspec.json.encode({str(day): made_of for day, made_of in (kept | dict(days)).items()})}
        beside = path.with_suffix(".new")
        writer: parquet.ParquetWriter | None = None
        try:
            with beside.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                for table in (*_groups(path, kept), *map(self._hours, days)):
                    if writer is None:
                        schema = table.schema.with_metadata(told)
                        writer = parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=["series"])
                    writer.write_table(table.replace_schema_metadata(told), row_group_size=ROWS_AT_ONCE)
                assert writer is not None
                writer.close()
                file.flush()
                os.fsync(file.fileno())
        except (duckdb.Error, pa.ArrowException) as error:
            raise OSError(f"{path}: hours cannot be made. {error}") from error
        beside.replace(path)
        sync_folder(path.parent)

    def _hours(self, day: int) -> pa.Table:
        with duckdb.connect(":memory:", config=DAYS_CONFIG) as db:
            path = str(file_of(self._days, day))
            return db.sql(_HOURS.format(rows="read_parquet($path)"), params={"path": path}).to_arrow_table()


class HourReader:
    """Answers from the months, and of what no closed day holds yet from the readings. Any number of threads may ask.

    Raises, whatever is asked: as `DayReader`, and what the readings' own reader raises.
    """

    def __init__(self, folder: Path, readings: SeriesReader) -> None:
        self._folder = folder
        self._readings = readings
        self._db = duckdb.connect(":memory:", config=DAYS_CONFIG)

    def hourly(self, key: str, *, from_us: int, to_us: int) -> Hours:
        """Hours of one series that begin at from_us <= time < to_us; unknown key: empty."""
        first, last = _month(from_us), _month(to_us - 1)
        files = sorted(path for path in self._folder.glob("*.parquet") if first <= path.stem <= last)
        day = max((day for path in files for day in _made_of(path)), default=None)
        live_us = from_us if day is None else max(from_us, (day + 1) * DAY_US)
        parts = []
        if files:
            values = {"files": [str(path) for path in files], "key": key, "low": from_us, "high": to_us}
            parts.append(asked(self._db, _ASKED, values, what=self._folder))
        if live_us < to_us:
            parts.append(self._live(key, live_us, to_us))
        columns = {name: np.concatenate([part[name] for part in parts]) for name in _COLUMNS} if parts else _NONE
        return Hours(**{name: columns[name].astype(dtype) for name, dtype in _COLUMNS.items()})

    def _live(self, key: str, from_us: int, to_us: int) -> Mapping[str, Any]:
        rows = self._readings.history(key, from_us=from_us, to_us=to_us, limit=LIVE_ROWS_MAX)
        arriving = pa.table(
            {
                "series": pa.array([key] * len(rows.time_us), pa.string()),
                "time_us": rows.time_us,
                "value": rows.value,
                "flag": rows.flag,
                "revision": np.zeros(len(rows.time_us), dtype=np.bool_),
            }
        )
        with duckdb.connect(":memory:", config=DAYS_CONFIG) as db:
            db.register("arriving", arriving)
            found = db.execute(f"select {_SHOWN} from ({_HOURS.format(rows='arriving')}) order by hour_us").fetchnumpy()  # noqa: S608
            return {name: np.asarray(column) for name, column in found.items()}

    def close(self) -> None:
        """Let go of the memory."""
        self._db.close()


_NAN = "'nan'::double"
_SHOWN = f"""
hour_us, usable, coalesce(sum / usable, {_NAN}) as mean, coalesce(min, {_NAN}) as min, coalesce(max, {_NAN}) as max,
worst_flag as flag
"""
_ASKED = f"""
select {_SHOWN} from read_parquet($files::varchar[]) where series = $key and hour_us >= $low and hour_us < $high
order by hour_us
"""  # noqa: S608
_COLUMNS = {
    "hour_us": np.int64,
    "usable": np.int64,
    "mean": np.float64,
    "min": np.float64,
    "max": np.float64,
    "flag": np.uint8,
}
_NONE: Mapping[str, Any] = {name: np.zeros(0, dtype=dtype) for name, dtype in _COLUMNS.items()}


def month_of(day: int) -> str:
    """`2026-11`."""
    return _month(day * DAY_US)


def _month(time_us: int) -> str:
    try:
        return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m")
    except (ValueError, OverflowError, OSError):  # no calendar reaches so far
        return "9999-12" if time_us > 0 else "0000-01"


def _made_of(path: Path) -> dict[int, str]:
    """What the days of a month were made of; nothing of one that cannot be read."""
    from pyarrow import parquet  # noqa: PLC0415

    try:
        told = (parquet.read_metadata(path).metadata or {}).get(DAYS, b"{}")
        return {int(day): made_of for day, made_of in msgspec.json.decode(told, type=dict[str, str]).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, pa.ArrowException):
        log.exception("%s: hours that cannot be read", path)
        return {}


def _groups(path: Path, days: Mapping[int, str]) -> Iterator[pa.Table]:
    """The groups of rows of these days, one after the other: none holds two days."""
    from pyarrow import parquet  # noqa: PLC0415

    if not days:
        return
    with parquet.ParquetFile(path) as file:
        at = file.schema_arrow.get_field_index("hour_us")
        for group in range(file.num_row_groups):
            if file.metadata.row_group(group).column(at).statistics.min // DAY_US in days:
                yield file.read_row_group(group)
