"""Writes the closed days: true to the journal, in the background."""

import logging
import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from sensors.store import DAY_US
from sensors.store.days import days_in, file_of, sync_folder
from sensors.store.duck import DuckStore

log = logging.getLogger(__name__)

CLOSE_AFTER_US = 600_000_000
"""A day is closed so long after its end: the shortest bound of lateness (contract 5.3)."""
DAYS_KEPT = 400
"""So many days have files. A clock gone astray stamps readings with any year: what is older stays in the journal."""
ROWS_AT_ONCE = 50_000
THROUGH = b"takean.through_seq"
MARK = b"takean.mark"
"""What its journal says of that row: a journal that says otherwise has another past."""
REVISED = b"takean.revised"
"""Which revision of a flag of the day was the newest."""
ASIDE = ".damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a file holds of its day."""

    through_seq: int = 0
    mark: str = ""
    """Of that row, see MARK."""
    revised: str = ""
    """See REVISED."""


class Archive:
    """Keeps the files true to the journal. `write_due` is for one background thread, `sealed` for any.

    A file says up to which arrival number it holds its day: what comes later unseals the day until it is written again.
    So nothing has to be remembered between two starts, and a lost or damaged file is made again, or one of another
    journal: of one that was lost, or of the time after the backup that was brought back. Of a trimmed day the rows that
    left the journal are taken over from the file that is replaced; once that is lost, they are, and the log says so.

    Parameters
    ----------
    days_kept : older days get no file
    """

    def __init__(
        self, store: DuckStore, folder: Path, *, now_us: Callable[[], int], days_kept: int = DAYS_KEPT
    ) -> None:
        self._store = store
        self.folder = folder
        self._now_us = now_us
        self._days_kept = days_kept
        self._lock = threading.Lock()
        self._looked_seq = 0
        self._newest: dict[int, int] = {day: held.through_seq for day, held in store.trimmed.days.items()}
        """Day -> number of its newest row, up to `_looked_seq`."""
        self._written: dict[int, Held] = {}
        """Day -> what its file holds."""
        self._lost: set[int] = set()
        """Days whose rows left the journal and whose file is gone."""
        folder.mkdir(mode=0o700, exist_ok=True)
        for leftover in folder.glob("*.new"):
            leftover.unlink()
        sync_folder(folder)  # what the last run renamed is on disk before anything relies on it

    def sealed(self) -> Collection[int]:
        """Days whose files hold every row that is stored now."""
        with self._lock:
            self._look()
            return frozenset(day for day, held in self._written.items() if self._is_whole(day, held))

    def last_closed(self) -> int:
        """The newest day that may have a file by now."""
        return (self._now_us() - CLOSE_AFTER_US) // DAY_US - 1

    def held(self) -> dict[int, Held]:
        """What the files of sealed days hold."""
        with self._lock:
            self._look()
            return {day: held for day, held in self._written.items() if self._is_whole(day, held)}

    def newest_seq(self, day: int) -> int:
        """Number of a day's newest row, wherever it is."""
        with self._lock:
            return self._newest.get(day, 0)

    def has_strays(self) -> bool:
        """Whether rows came of days that have been let go of."""
        with self._lock:
            return any(day < self._store.trimmed.oldest for day in self._newest)

    def unlink_before(self, oldest: int) -> None:
        """Remove the files of days before this one."""
        with self._lock:
            for day in days_in(self.folder):
                if day < oldest:
                    self._path(day).unlink()
                    self._written.pop(day, None)
                    self._newest.pop(day, None)

    def _is_whole(self, day: int, held: Held) -> bool:
        oldest = self._store.trimmed.oldest
        newest, revised = self._newest.get(day, 0), self._store.flag_stamps().get(day, "")
        return day >= oldest and held.through_seq >= newest and held.revised == revised

    def write_due(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Write every closed day that is not sealed, the newest first; returns how many.

        Raises
        ------
        OSError : no room, or the folder cannot be written
        """
        with self._lock:
            self._look()
            self._written = {day: held for day, held in self._written.items() if self._path(day).exists()}
            last = self.last_closed()
            due = [
                day
                for day in sorted(self._newest, reverse=True)
                if self._store.trimmed.oldest <= day <= last
                and (day > last - self._days_kept or self._path(day).exists())
                and not self._is_whole(day, self._written.get(day, Held()))
            ]
        if self._store.trimmed.doubted:
            self._set_aside_damaged()
        done = 0
        for day in due:
            if stop():
                break
            held = self._held_of(day)
            if self._store.trimmed.doubted:
                self._set_aside_damaged()
            if self._is_lost(day):
                continue
            if not self._is_whole(day, held):
                held = self._write(day)
                done += 1
            with self._lock:
                self._written[day] = held
        return done

    def _path(self, day: int) -> Path:
        return file_of(self.folder, day)

    def _is_lost(self, day: int) -> bool:
        """Whether there is nothing left of a day to write."""
        trimmed = self._store.trimmed.days.get(day)
        if trimmed is None or self._path(day).exists() or self._newest[day] > trimmed.through_seq:
            return False
        if day not in self._lost:
            self._lost.add(day)
            log.error("%s is gone and its readings with it: restore it from a backup", self._path(day))
        return True

    def _set_aside_damaged(self) -> None:
        for day in self._store.trimmed.damaged():
            path = self._path(day)
            log.error("%s cannot be read and is set aside: restore it from a backup", path)
            path.replace(path.with_suffix(ASIDE))

    def _look(self) -> None:
        last = self._store.last_seq()
        if last > self._looked_seq:
            self._newest.update(self._store.days_after(self._looked_seq))
            self._looked_seq = last

    def _write(self, day: int) -> Held:
        from pyarrow import parquet  # noqa: PLC0415  (half a second that no start should wait for)

        path, through = self._path(day), self._store.last_seq()
        revised = self._store.flag_stamps().get(day, "")  # one that comes meanwhile has it written again
        held = Held(through_seq=through, mark=self._store.mark(through), revised=revised)
        beside = path.with_suffix(".new")
        rows = 0
        with beside.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            writer: parquet.ParquetWriter | None = None
            for batch in self._store.day(day, through_seq=through, rows=ROWS_AT_ONCE):
                if writer is None:
                    told = {THROUGH: str(through).encode(), MARK: held.mark.encode(), REVISED: revised.encode()}
                    schema = batch.schema.with_metadata(told)
                    writer = parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=["series"])
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                rows += len(batch)
            assert writer is not None, f"day {day} is due and has no rows"
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
        log.info("closed day %s written, %d rows", path.stem, rows)
        return held

    def _held_of(self, day: int) -> Held:
        """What a file holds of its day: nothing where there is none, an unreadable one or another journal's."""
        from pyarrow import parquet  # noqa: PLC0415

        try:
            told = parquet.read_metadata(self._path(day)).metadata or {}
            held = Held(
                through_seq=int(told.get(THROUGH, b"0")),
                mark=told.get(MARK, b"").decode(),
                revised=told.get(REVISED, b"").decode(),
            )
        except (OSError, ValueError, pa.ArrowException):
            if day in self._store.trimmed.days and self._path(day).exists():
                self._store.trimmed.doubted = True
            return Held()
        trimmed = self._store.trimmed.days.get(day)
        if trimmed is not None and (held.through_seq, held.mark) == (trimmed.file_seq, trimmed.mark):
            return held
        return held if held.mark == self._store.mark(held.through_seq) else Held()
