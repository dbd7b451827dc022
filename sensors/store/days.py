"""Closed days as files: one Parquet file for each UTC day, sorted by series and time, replaced whole.

Any process may read them, this program's or another's, while the journal belongs to the worker alone.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from sensors.batch import Float64, Int64
from sensors.flags import Flags
from sensors.store import DAY_US, History, queries
from sensors.store.answers import in_time

EPOCH = date(1970, 1, 1)

FILES_AT_ONCE = 32
LATEST_DAYS = 32
"""How far back the newest reading of a series is looked for."""
MEMORY_LIMIT = "128MB"
DAYS_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": MEMORY_LIMIT,
    "autoinstall_known_extensions": "false",  # nothing leaves the box
    "autoload_known_extensions": "false",
}
_ROWS = "read_parquet($files::varchar[])"


def file_of(folder: Path, day: int) -> Path:
    """Where a day lies: `2026-11-22.parquet`."""
    return folder / f"{EPOCH + timedelta(days=day)}.parquet"


def days_in(folder: Path) -> list[int]:
    """The days that have a file, rising."""
    found = []
    for path in folder.glob("*.parquet"):
        with suppress(ValueError):
            found.append((datetime.strptime(path.stem, "%Y-%m-%d").replace(tzinfo=UTC).date() - EPOCH).days)
    return sorted(found)


def sync_folder(folder: Path) -> None:
    """The names in a folder are on disk when it returns."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class DayReader:
    """Answers from the files of closed days. Any number of threads may ask.

    Raises, whatever is asked
    -------------------------
    OSError : a file is missing or damaged
    TooSlow : it took longer than a screen may cost
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._db = duckdb.connect(":memory:", config=DAYS_CONFIG)

    def days(self) -> list[int]:
        """The days that have a file, rising."""
        return days_in(self._folder)

    def history(self, key: str, days: Sequence[int], *, from_us: int, to_us: int, limit: int) -> History:
        """See `SeriesReader.history`, of these days only."""
        parts: list[History] = []
        wanted = sorted((d for d in days if d * DAY_US < to_us and (d + 1) * DAY_US > from_us), reverse=True)
        left = max(0, limit)
        for start in range(0, len(wanted), FILES_AT_ONCE):
            if not left:
                break
            files = self._files(wanted[start : start + FILES_AT_ONCE])
            if files:
                part = queries.history(self._ask, _ROWS, key, from_us=from_us, to_us=to_us, limit=left, files=files)
                parts.append(part)
                left -= len(part.time_us)
        return joined(parts)

    def latest(self, keys: Sequence[str]) -> tuple[Int64, Float64, Flags]:
        """See `SeriesReader.latest`, of the newest days only."""
        files = self._files(self.days()[-LATEST_DAYS:])
        return queries.latest(self._ask, _ROWS, list(keys) if files else [None] * len(keys), files=files)

    def totals(self, keys: Sequence[str], days: Sequence[int], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        """See `SeriesReader.totals`, of these days only."""
        files = self._files(d for d in days if d * DAY_US <= to_us and (d + 1) * DAY_US > from_us)
        series: list[int | str | None] = list(keys) if files else [None] * len(keys)
        return queries.totals(self._ask, _ROWS, series, from_us=from_us, to_us=to_us, files=files)

    def close(self) -> None:
        """Let go of the memory."""
        self._db.close()

    def _files(self, days: Iterable[int]) -> list[str]:
        return [str(file_of(self._folder, day)) for day in days]

    def _ask(self, sql: str, values: queries.Values) -> queries.Columns:
        return asked(self._db, sql, values, what=self._folder)


def asked(db: duckdb.DuckDBPyConnection, sql: str, values: queries.Values, *, what: Path) -> queries.Columns:
    """An answer for a screen from the files of a folder: in time or not at all.

    Raises
    ------
    OSError : a file is missing or damaged
    TooSlow : it took longer than a screen may cost
    """
    cursor = db.cursor()
    try:
        return in_time(cursor, sql, values, who=what.name)
    except duckdb.Error as error:
        raise OSError(f"{what}: cannot be read. {error}") from error
    finally:
        cursor.close()


def joined(parts: Sequence[History]) -> History:
    """Histories of one series as one, in order of time, each time once; of two, the part that comes first."""
    if len(parts) == 1:
        return parts[0]

    def column(name: str, dtype: type) -> NDArray[np.generic]:
        arrays = [getattr(p, name) for p in parts]
        return np.concatenate(arrays) if arrays else np.zeros(0, dtype=dtype)

    time, first = np.unique(column("time_us", np.int64), return_index=True)
    return History(
        time_us=time.astype(np.int64),
        value=column("value", np.float64)[first].astype(np.float64),
        flag=column("flag", np.uint8)[first].astype(np.uint8),
    )
