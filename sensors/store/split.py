"""A reader that belongs to no owner of the journal: closed days from their files, the rest from whoever has it.

While the owner cannot be asked, it answers from the files and from what it last heard; who shows that must say that it
is old.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import Protocol

import numpy as np

from sensors.batch import Float64, Int64
from sensors.flags import Flag, Flags
from sensors.store import Away, History
from sensors.store.days import DayReader, joined

SERIES_KEPT = 1_000
ROWS_KEPT = 1_000
"""Of each series that was asked for, for the time when nobody answers."""
TOTALS_KEPT = 16
TOTALS_OLD_US = 3_600_000_000
"""The rain of a day says nothing any more when its end lies longer ago."""

log = logging.getLogger(__name__)

Latest = tuple[Int64, Float64, Flags]


class Owner(Protocol):
    """The owner of the journal, asked from afar. Every method raises Away when nobody answers.

    `whole` asks for every row; else the rows of sealed days are left out, whose files hold all of them.
    """

    def history(
        self, key: str, *, from_us: int, to_us: int, limit: int, whole: bool
    ) -> tuple[History, Collection[int]]:
        """Newest `limit` readings, and the sealed days that were left out."""

    def latest(self, keys: list[str]) -> Latest:
        """As `SeriesReader.latest`."""

    def totals(
        self, keys: list[str], *, from_us: int, to_us: int, whole: bool
    ) -> tuple[Float64, Int64, Collection[int]]:
        """As `SeriesReader.totals`, and the sealed days that were left out."""


class SplitReader:
    """A `SeriesReader`. For any number of threads."""

    def __init__(self, owner: Owner, closed: DayReader) -> None:
        self._owner = owner
        self._closed = closed
        self._lock = threading.Lock()
        self._history: OrderedDict[str, History] = OrderedDict()
        self._totals: OrderedDict[tuple[tuple[str, ...], int], tuple[int, Float64, Int64]] = OrderedDict()
        self._latest: dict[str, tuple[int, float, int]] = {}

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        """See the contract."""
        try:
            rows, sealed = self._owner.history(key, from_us=from_us, to_us=to_us, limit=limit, whole=False)
            if sealed:
                try:
                    rows = joined([self._closed.history(key, list(sealed), **_span(from_us, to_us, limit)), rows])
                except OSError:  # a file is gone or damaged: its owner has the rows
                    rows, _ = self._owner.history(key, from_us=from_us, to_us=to_us, limit=limit, whole=True)
            self._keep(key, rows)
            return _newest(rows, limit)
        except Away:
            try:
                closed = self._closed.history(key, self._closed.days(), **_span(from_us, to_us, limit))
            except OSError:  # what is in memory is better than nothing
                log.exception("with nobody to ask, and a closed day that cannot be read")
                closed = joined([])
            with self._lock:
                kept = self._history.get(key)
            if kept is not None:
                inside = (kept.time_us >= from_us) & (kept.time_us < to_us)
                kept = History(time_us=kept.time_us[inside], value=kept.value[inside], flag=kept.flag[inside])
                closed = joined([closed, kept])
            return _newest(closed, limit)

    def latest(self, keys: list[str]) -> Latest:
        """See the contract."""
        try:
            found = self._owner.latest(keys)
        except Away:
            return self._last_heard(keys)
        with self._lock:
            self._latest.update(zip(keys, _by_row(found), strict=True))
        return found

    def _last_heard(self, keys: list[str]) -> Latest:
        """Of each series what was heard last, by whichever screen asked; else what its closed days hold."""
        with self._lock:
            heard = {key: self._latest[key] for key in keys if key in self._latest}
        if missing := [key for key in keys if key not in heard]:
            try:
                heard |= zip(
                    missing, zip(*(c.tolist() for c in self._closed.latest(missing)), strict=True), strict=True
                )
            except OSError:
                log.exception("with nobody to ask, and a closed day that cannot be read")
        rows = [heard.get(key, (0, np.nan, int(Flag.MISSING))) for key in keys]
        return (
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.float64),
            np.array([row[2] for row in rows], dtype=np.uint8),
        )

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        """See the contract. Away, what was last heard of a span as long as this, for an hour; then unknown: count 0."""
        span = (tuple(keys), to_us - from_us)
        try:
            total, count, sealed = self._owner.totals(keys, from_us=from_us, to_us=to_us, whole=False)
            if sealed:
                try:
                    more, times = self._closed.totals(keys, list(sealed), from_us=from_us, to_us=to_us)
                    total, count = total + more, count + times
                except OSError:
                    total, count, _ = self._owner.totals(keys, from_us=from_us, to_us=to_us, whole=True)
        except Away:
            with self._lock:
                heard_us, total, count = self._totals.get(span, (0, np.zeros(0), np.zeros(0, dtype=np.int64)))
            if to_us - heard_us > TOTALS_OLD_US:
                return np.zeros(len(keys)), np.zeros(len(keys), dtype=np.int64)
            return total, count
        with self._lock:
            self._totals[span] = (to_us, total, count)
            self._totals.move_to_end(span)
            if len(self._totals) > TOTALS_KEPT:
                self._totals.popitem(last=False)
        return total, count

    def close(self) -> None:
        """Let go of the files."""
        self._closed.close()

    def _keep(self, key: str, rows: History) -> None:
        with self._lock:
            kept = self._history.get(key)
            self._history[key] = _newest(rows if kept is None else joined([rows, kept]), ROWS_KEPT)
            self._history.move_to_end(key)
            if len(self._history) > SERIES_KEPT:
                self._history.popitem(last=False)


def _span(from_us: int, to_us: int, limit: int) -> dict[str, int]:
    return {"from_us": from_us, "to_us": to_us, "limit": limit}


def _newest(rows: History, limit: int) -> History:
    if len(rows.time_us) <= limit:
        return rows
    start = len(rows.time_us) - max(0, limit)
    return History(time_us=rows.time_us[start:], value=rows.value[start:], flag=rows.flag[start:])


def _by_row(latest: Latest) -> Iterator[tuple[int, float, int]]:
    return zip(*(column.tolist() for column in latest), strict=True)
