"""Where readings are kept: the journal of the box."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flags, usable

DAY_US = 86_400_000_000
"""Days are counted from 1970-01-01 in UTC. In Thailand such a day begins at 07:00: it is the rain day."""
BY_CHECKS = "takean/checks"
"""Who says a flag anew when no person does. What a person said stands: no check says anything against it."""


class Away(Exception):
    """Whoever holds the readings cannot be asked just now."""


class TooSlow(Exception):
    """The question was given up: it took longer than a screen may cost."""


class State:
    """What a row is to the store."""

    STORED = 0
    REPEAT = 1
    """The same series, time and value are there: it is not written again."""
    CONFLICT = 2
    """Another value is there for this series and time: kept beside it as a revision, flag 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a journal holds, for whoever takes all of it away."""

    keys: list[str]
    days: list[int]
    """That have rows, rising."""
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOf:
    """Which rows of one day, and behind which row of it: in the order of key, time and number."""

    day: int
    keys: list[str]
    """Series; an empty list means all."""
    from_us: int
    to_us: int
    """from_us <= time < to_us"""
    through_seq: int
    key: str = ""
    time_us: int = 0
    seq: int = 0
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Journal:
    """Stored rows in order of arrival, conflicts among them."""

    seq: Int64
    batch: ReadingBatch
    flag: Flags
    checks: NDArray[np.uint32]
    conflict: Bool
    """(n,) rows that contradicted a stored one when they came."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """One series in order of time, first value of each time only."""

    time_us: Int64
    value: Float64
    flag: Flags


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hours:
    """One series by the hour, in order of time; hours without a reading are not there."""

    hour_us: Int64
    """(n,) the hour's beginning, UTC"""
    usable: Int64
    """(n,) readings with flag 1 or 2"""
    mean: Float64
    """(n,) of those, as `min` and `max`; NaN where there is none"""
    min: Float64
    max: Float64
    flag: Flags
    """(n,) the worst"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A flag that was said anew."""

    number: int
    """Rising."""
    time_us: int
    """Of the reading."""
    flag: int
    checks: int
    flag_before: int
    by: str
    """Account of a person, or `takean/checks`."""
    reason: str
    """A person's."""
    at_us: int


class Reviewer(Protocol):
    """Lets people say anew how far readings can be believed. Nothing that is stored is changed."""

    def review(self, key: str, *, from_us: int, to_us: int, flag: int, by: str, reason: str, at_us: int) -> int:
        """Give all readings of a series with from_us <= time < to_us a person's flag; how many there are.

        Raises
        ------
        ValueError : there are too many
        """

    def revisions(self, key: str, *, from_us: int, to_us: int, limit: int) -> list[Revision]:
        """The newest that were said anew of readings with from_us <= time < to_us, newest first."""


class SeriesReader(Protocol):
    """What screens need of the store."""

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        """Newest `limit` readings of one series with from_us <= time < to_us; unknown key: empty."""

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        """Newest reading of each series by event time; time 0, NaN and MISSING where there is none."""

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        """Sum of the usable values (flag 1 or 2) of each series over from_us < time <= to_us, and their count."""


def newest_usable(reader: SeriesReader, key: str) -> tuple[int, float] | None:
    """Time and value of the newest reading of a series; None where there is none, it is doubted, or nobody can say."""
    try:
        time_us, value, flag = reader.latest([key])
    except (Away, TooSlow, OSError):
        return None
    return (int(time_us[0]), float(value[0])) if usable(flag)[0] and np.isfinite(value[0]) else None


class SeriesStore(SeriesReader, Protocol):
    """The journal: append-only, idempotent on (series, time, value), durable when `append` returns.

    One process, one appending thread; readers may call from other threads. `series` indexes in batches refer to the
    keys given at opening; the keys of an older registry stay readable.
    """

    def recognise(self, batch: ReadingBatch) -> NDArray[np.uint8]:
        """(n,) State of each row, compared with what is stored and with the rows of the batch that come before it."""

    def append(self, batch: ReadingBatch, conflict: Bool, flag: Flags, checks: NDArray[np.uint32]) -> Int64:
        """Commit all rows in one transaction, and number them.

        Parameters
        ----------
        batch : n rows, none of which `recognise` calls a repeat
        conflict : (n,) rows that it calls a conflict: kept as revisions

        Returns
        -------
        seq : (n,) arrival numbers, rising from 1 without holes
        """

    def scan(self, *, after_seq: int, rows: int) -> Iterator[Journal]:
        """Stored rows with seq > after_seq in chunks of at most `rows`; rows of series no longer registered are left
        out.
        """

    def last_seq(self) -> int:
        """Newest arrival number, 0 when empty."""

    def revise(self, key: str, time_us: int, flag: int, checks: int, *, by: str, at_us: int) -> None:
        """Say anew how far a reading can be trusted: the first value of a series and time. Readers show the newest flag
        from now on; `scan` goes on giving the one it was stored and judged with, and every revision is kept. From any
        thread.

        Parameters
        ----------
        flag, checks : as of `append`
        by : who or what found it
        at_us : when

        Raises
        ------
        KeyError : there is no such reading
        """

    def check(self) -> None:
        """Raise what makes the store useless until it is opened anew; callable from any thread."""

    def close(self) -> None:
        """Flush and let go of the file."""
