"""Rows that have left the journal: of some days those up to some number, which lie in the day's file.

What the store holds is the journal and these rows. A day is trimmed in one transaction, so a row is in one of the two
places at any moment, whatever is killed.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from sensors.store import DAY_US, queries
from sensors.store.days import file_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """One day that was trimmed."""

    through_seq: int
    """Its rows up to here have left the journal; its file holds them."""
    file_seq: int
    """Up to where the file held the day then, at least as far."""
    mark: str
    """What the journal said of that row, see `DuckStore.mark`: the row itself may have left since."""


class TrimmedDays:
    """What has left one journal, and where it lies now. `trim` and `forget` are for one background thread.

    Parameters
    ----------
    db : the journal; every call takes a cursor of its own
    folder : of the files of closed days; None for a journal that has none
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
        self._db = db
        self._folder = folder
        self._lock = threading.Lock()
        self._days: Mapping[int, Trimmed] = of_journal(db)
        self.oldest = forgotten_before(db)
        """Days before this one have been let go of, files and all."""
        self.doubted = False
        """Whether a file could not be read."""
        if self._days and folder is None:
            raise OSError("this journal has been trimmed: it needs the folder of its closed days")

    @property
    def days(self) -> Mapping[int, Trimmed]:
        """Every trimmed day that is still kept."""
        return self._days

    def files(self, days: Iterable[int] | None = None) -> queries.Files:
        """Where the rows of these days lie, of those that were trimmed; None means all."""
        if not self._days or self._folder is None:
            return {}
        return files_of(
            self._days if days is None else {d: self._days[d] for d in days if d in self._days}, self._folder
        )

    def consistently(self, ask: Callable[[], T]) -> T:
        """An answer during which no row changed its place: asked again if one did."""
        while True:
            before = self._days
            try:
                found = ask()
            except (duckdb.IOException, duckdb.InvalidInputException):  # a file may leave while it is being read
                with self._lock:
                    if before is self._days:
                        self.doubted = self.doubted or bool(before)
                        raise
                continue
            with self._lock:
                if before is self._days:
                    return found

    def damaged(self) -> list[int]:
        """Days whose file is there and cannot be read to its end; each is looked at, and no doubt is left."""
        self.doubted = False
        return [day for day, (path, _) in self.files().items() if not self._is_sound(path)]

    def sound(self, files: queries.Files) -> queries.Files:
        """Those of some files that can be read: a damaged one must not keep new readings out."""
        good = {day: file for day, file in files.items() if self._is_sound(file[0])}
        self.doubted = self.doubted or len(good) < len(files)
        return good

    def _is_sound(self, path: str) -> bool:
        cursor = self._db.cursor()
        try:
            cursor.execute("select bit_xor(hash(f)) from read_parquet($path) f", {"path": path}).fetchone()
        except (duckdb.IOException, duckdb.InvalidInputException):
            return False
        else:
            return True
        finally:
            cursor.close()

    def trim(self, day: int, held: Trimmed) -> int:
        """Let rows of one day leave the journal, all or none; returns how many. The file must be on disk."""

        def leave(cursor: duckdb.DuckDBPyConnection) -> int:
            gone = cursor.execute(
                "delete from reading where time_us >= $low and time_us < $high and seq <= $through",
                {"low": day * DAY_US, "high": (day + 1) * DAY_US, "through": held.through_seq},
            ).fetchone()
            cursor.execute("delete from trimmed where day = ?", [day])
            cursor.execute("insert into trimmed values (?, ?, ?, ?)", [day, held.through_seq, held.file_seq, held.mark])
            return int(gone[0]) if gone else 0

        return self._commit(leave, {**self._days, day: held}, self.oldest)

    def forget(self, before: int) -> None:
        """Let go of every day before this one: no file of theirs belongs to the store any more."""

        def leave(cursor: duckdb.DuckDBPyConnection) -> None:
            cursor.execute("delete from trimmed where day < ?", [before])
            cursor.execute("delete from forgotten")
            cursor.execute("insert into forgotten values (?)", [before])

        self._commit(leave, {day: held for day, held in self._days.items() if day >= before}, before)

    def drop_strays(self, *, received_before_us: int, through_seq: int) -> int:
        """Rows of days that were let go of, which came after that; returns how many left the journal for good."""

        def leave(cursor: duckdb.DuckDBPyConnection) -> int:
            gone = cursor.execute(
                "delete from reading where time_us < $low and received_us < $received and seq <= $through",
                {"low": self.oldest * DAY_US, "received": received_before_us, "through": through_seq},
            ).fetchone()
            return int(gone[0]) if gone else 0

        return self._commit(leave, self._days, self.oldest)

    def _commit(self, work: Callable[[duckdb.DuckDBPyConnection], T], days: Mapping[int, Trimmed], oldest: int) -> T:
        cursor = self._db.cursor()
        try:
            cursor.execute("begin")
            done = work(cursor)
            with self._lock:  # whoever has asked meanwhile looks here afterwards
                cursor.execute("commit")
                self._days, self.oldest = days, oldest
            return done
        finally:
            cursor.close()


def of_journal(db: duckdb.DuckDBPyConnection) -> dict[int, Trimmed]:
    """The trimmed days of a journal."""
    rows = db.execute("select day, through_seq, file_seq, mark from trimmed").fetchall()
    return {int(day): Trimmed(through_seq=int(t), file_seq=int(f), mark=str(mark)) for day, t, f, mark in rows}


def forgotten_before(db: duckdb.DuckDBPyConnection) -> int:
    """The oldest day that is kept; a very old one where all are."""
    row = db.execute("select coalesce(max(day), -2147483648) from forgotten").fetchone()
    assert row is not None
    return int(row[0])


def files_of(days: Mapping[int, Trimmed], folder: Path) -> queries.Files:
    """Where the rows of trimmed days lie. A file that is gone took its rows with it: the rest is still answered."""
    places = {day: (file_of(folder, day), held.through_seq) for day, held in days.items()}
    return {day: (str(path), through) for day, (path, through) in places.items() if path.exists()}
