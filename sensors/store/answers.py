"""How DuckDB is asked: by a cursor for each question, and for a screen in time or not at all."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import numpy as np

from sensors.store import TooSlow
from sensors.store.queries import Columns, Values

ANSWER_S_MAX = 2.0
"""A screen's question that takes longer is given up: the machine has rivers to watch."""


def columns(db: duckdb.DuckDBPyConnection, sql: str, values: Values) -> Columns:
    """An answer as plain arrays; none of the queries here returns a null."""
    return {name: np.asarray(column) for name, column in db.execute(sql, dict(values)).fetchnumpy().items()}


def in_time(cursor: duckdb.DuckDBPyConnection, sql: str, values: Values, *, who: str) -> Columns:
    """An answer for a screen.

    Parameters
    ----------
    who : is asked, for the words of the error

    Raises
    ------
    TooSlow : it took longer than a screen may cost
    """
    timer = threading.Timer(ANSWER_S_MAX, cursor.interrupt)
    timer.start()
    try:
        return columns(cursor, sql, values)
    except duckdb.InterruptException:
        raise TooSlow(f"{who} did not answer within {ANSWER_S_MAX:g} s: ask for less") from None
    finally:
        timer.cancel()
        timer.join()  # not that it interrupts the next one


class Cursors:
    """Answers of the journal, to any thread: as many cursors are kept as were ever needed at once."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        self._idle: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()

    def read(self, sql: str, values: Values) -> Columns:
        """An answer, however long it takes."""
        with self._one() as cursor:
            return columns(cursor, sql, values)

    def ask(self, sql: str, values: Values) -> Columns:
        """See `in_time`."""
        with self._one() as cursor:
            return in_time(cursor, sql, values, who="the journal")

    def close(self) -> None:
        """Let go of those that are idle."""
        while not self._idle.empty():
            self._idle.get().close()

    @contextmanager
    def _one(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            cursor = self._idle.get_nowait()
        except queue.Empty:
            cursor = self._db.cursor()
        try:
            yield cursor
        finally:
            self._idle.put(cursor)
