"""Writes the closed days: true to the journal, in the background."""

import logging
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa

from sensors.store import DAY_US
from sensors.store.days import file_of
from sensors.store.duck import DuckStore

log = logging.getLogger(__name__)

CLOSE_AFTER_US = 600_000_000
"""A day is closed so long after its end: the shortest bound of lateness (contract 5.3)."""
DAYS_KEPT = 400
"""A clock gone astray stamps readings with any year: days older than this stay in the journal only."""
ROWS_AT_ONCE = 50_000
THROUGH = b"takean.through_seq"
MARK = b"takean.mark"
"""What its journal says of that row: a journal that says otherwise has another past."""


class Archive:
    """Keeps the files true to the journal. `write_due` is for one background thread, `sealed` for any.

    A file says up to which arrival number it holds its day: what comes later unseals the day until it is written again.
    So nothing has to be remembered between two starts, and a lost or damaged file is made again, or one of another
    journal: of one that was lost, or of the time after the backup that was brought back.
    """

    def __init__(self, store: DuckStore, folder: Path, *, now_us: Callable[[], int]) -> None:
        self._store = store
        self._folder = folder
        self._now_us = now_us
        self._lock = threading.Lock()
        self._looked_seq = 0
        self._newest: dict[int, int] = {}
        """Day -> number of its newest row, up to `_looked_seq`."""
        self._written: dict[int, int] = {}
        """Day -> number up to which its file holds it."""
        folder.mkdir(mode=0o700, exist_ok=True)
        for leftover in folder.glob("*.new"):
            leftover.unlink()

    def sealed(self) -> Collection[int]:
        """Days whose files hold every row that is stored now."""
        with self._lock:
            self._look()
            return frozenset(d for d, through in self._written.items() if through >= self._newest.get(d, 0))

    def write_due(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Write every closed day that is not sealed, the newest first; returns how many.

        Raises
        ------
        OSError : no room, or the folder cannot be written
        """
        with self._lock:
            self._look()
            self._written = {day: seq for day, seq in self._written.items() if file_of(self._folder, day).exists()}
            last = (self._now_us() - CLOSE_AFTER_US) // DAY_US - 1
            due = [
                (day, seq)
                for day, seq in sorted(self._newest.items(), reverse=True)
                if last - DAYS_KEPT < day <= last and self._written.get(day, 0) < seq
            ]
        done = 0
        for day, _ in due:
            if stop():
                break
            through = self._store.last_seq()
            path = file_of(self._folder, day)
            there = self._through_of(path)
            if there < self._newest[day]:
                self._write(path, day, through)
            else:
                through = there
            with self._lock:
                self._written[day] = through
            done += 1
        return done

    def _look(self) -> None:
        last = self._store.last_seq()
        if last > self._looked_seq:
            self._newest.update(self._store.days_after(self._looked_seq))
            self._looked_seq = last

    def _write(self, path: Path, day: int, through: int) -> None:
        from pyarrow import parquet  # noqa: PLC0415  (half a second that no start should wait for)

        beside = path.with_suffix(".new")
        rows = 0
        with beside.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            writer: parquet.ParquetWriter | None = None
            for batch in self._store.day(day, through_seq=through, rows=ROWS_AT_ONCE):
                if writer is None:
                    told = {THROUGH: str(through).encode(), MARK: self._store.mark(through).encode()}
                    schema = batch.schema.with_metadata(told)
                    writer = parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=["series"])
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                rows += len(batch)
            assert writer is not None, f"day {day} is due and has no rows"
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        log.info("closed day %s written, %d rows", path.stem, rows)

    def _through_of(self, path: Path) -> int:
        """Up to which number a file holds its day; 0 where there is none, an unreadable one or another journal's."""
        from pyarrow import parquet  # noqa: PLC0415

        try:
            told = parquet.read_metadata(path).metadata or {}
            through = int(told.get(THROUGH, b"0"))
        except (OSError, ValueError, pa.ArrowException):
            return 0
        return through if told.get(MARK) == self._store.mark(through).encode() else 0
