"""Where exported rows come from: a running worker and the files of its closed days, or a journal at rest."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from sensors.store import Away, Contents, PageOf, TooSlow, queries, retention_rows
from sensors.store.days import file_of
from takean.exchange import STORED, Columns, ExchangeError
from takean.local import PageAnswer, PageAsk
from takean.local_client import LocalOwner

T = TypeVar("T")
PAGE_ROWS = 20_000
ATTEMPTS = 5
RETRY_S = 1.0
MEMORY_LIMIT = "256MB"


class Rows(Protocol):
    """A journal that can be read from the outside."""

    @property
    def contents(self) -> Contents:
        """What it held when it was opened: what comes later is not exported."""

    def day(self, first: PageOf) -> Iterator[Columns]:
        """Rows of one day in order of key, time and number, some at a time."""


@contextmanager
def opened(*, socket: Path, journal: Path, days: Path) -> Iterator[Rows]:
    """The journal of a world, whether or not it is running.

    Parameters
    ----------
    socket : where its worker answers
    journal : its file, for when nobody does
    days : folder of its closed days

    Raises
    ------
    ExchangeError : neither can be read
    """
    owner = LocalOwner(socket)
    try:
        if socket.exists() and owner.status().alive:
            yield _Running(owner, days)
            return
    finally:
        owner.close()
    if not journal.exists():
        raise ExchangeError(f"{journal}: there is no journal yet")
    try:
        db = duckdb.connect(str(journal), read_only=True, config={"threads": 1, "memory_limit": MEMORY_LIMIT})
    except duckdb.Error as error:
        raise ExchangeError(f"{journal}: it cannot be read, and no worker answers at {socket}: {error}") from error
    try:
        yield _Resting(db, days)
    finally:
        db.close()


class _Resting:
    def __init__(self, db: duckdb.DuckDBPyConnection, days: Path) -> None:
        self._db = db
        self._files = retention_rows.files_of(retention_rows.of_journal(db), days)
        self.contents = queries.contents(self._ask)

    def day(self, first: PageOf) -> Iterator[Columns]:
        files = {day: file for day, file in self._files.items() if day == first.day}
        yield from _pages(first, lambda of: queries.page(self._ask, of, files))

    def _ask(self, sql: str, values: queries.Values) -> Columns:
        return {name: np.asarray(column) for name, column in self._db.execute(sql, dict(values)).fetchnumpy().items()}


class _Running:
    def __init__(self, owner: LocalOwner, days: Path) -> None:
        self._owner = owner
        self._days = days
        told = _patiently(owner.contents)
        self.contents = told.contents
        self._sealed = frozenset(told.sealed)

    def day(self, first: PageOf) -> Iterator[Columns]:
        """A sealed day from its file, which costs the worker nothing."""
        if first.day in self._sealed:
            yield from _of_file(file_of(self._days, first.day), first)
        else:
            yield from _pages(first, self._page)

    def _page(self, of: PageOf) -> Columns:
        return _columns(_patiently(partial(self._owner.page, PageAsk(of=of))))


def _patiently(ask: Callable[[], T]) -> T:
    """An answer of the worker, which has rivers and screens to look after first."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return ask()
        except TooSlow as error:
            if not left:
                raise ExchangeError(f"the worker is too busy, nothing was written: {error}") from error
            time.sleep(RETRY_S)
        except Away as error:
            raise ExchangeError(f"the worker went away, nothing was written: {error}") from error
    raise AssertionError("the last attempt returns or raises")


def _pages(first: PageOf, ask: Callable[[PageOf], Columns]) -> Iterator[Columns]:
    of = first
    while len((found := ask(of))["seq"]):
        yield found
        of = replace(of, key=str(found["series"][-1]), time_us=int(found["time_us"][-1]), seq=int(found["seq"][-1]))


def _columns(answer: PageAnswer) -> Columns:
    return {
        "series": np.array(answer.keys, dtype=object)[np.frombuffer(answer.series, dtype=np.int32)],
        "time_us": np.frombuffer(answer.time_us, dtype=np.int64),
        "value": np.frombuffer(answer.value, dtype=np.float64),
        "received_us": np.frombuffer(answer.received_us, dtype=np.int64),
        "flag": np.frombuffer(answer.flag, dtype=np.uint8),
        "checks": np.frombuffer(answer.checks, dtype=np.uint32),
        "revision": np.frombuffer(answer.revision, dtype=np.uint8),
        "seq": np.frombuffer(answer.seq, dtype=np.int64),
    }


def _of_file(path: Path, of: PageOf) -> Iterator[Columns]:
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(of.rows):
                rows = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in STORED}
                time_us = rows["time_us"]
                wanted = (time_us >= of.from_us) & (time_us < of.to_us) & (rows["seq"] <= of.through_seq)
                if of.keys:
                    wanted &= np.isin(rows["series"].astype(str), of.keys)
                if wanted.any():
                    yield {name: column[wanted] for name, column in rows.items()}
    except (OSError, pa.ArrowException) as error:
        raise ExchangeError(f"{path}: the file of a closed day cannot be read: {error}") from error
