"""Where readings are kept: the journal of the box."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Float64, Int64, ReadingBatch
from sensors.flags import Flags


class State:
    """What became of an appended row."""

    STORED = 0
    REPEAT = 1
    """The same series, time and value were there: nothing was written."""
    CONFLICT = 2
    """Another value was there for this series and time: kept beside it as a revision, flag 3."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Appended:
    """Answer to `append`, aligned with its rows."""

    seq: Int64
    """(n,) arrival number, rising from 1 without holes over stored and conflicting rows; 0 for repeats."""
    state: NDArray[np.uint8]
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Journal:
    """Stored rows in order of arrival, conflicts among them."""

    seq: Int64
    batch: ReadingBatch
    flag: Flags
    checks: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """One series in order of time, first value of each time only."""

    time_us: Int64
    value: Float64
    flag: Flags


class SeriesReader(Protocol):
    """What screens need of the store."""

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        """Newest `limit` readings of one series with from_us <= time < to_us; unknown key: empty."""

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        """Newest reading of each series by event time; time 0, NaN and MISSING where there is none."""

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        """Sum of the usable values (flag 1 or 2) of each series over from_us < time <= to_us, and their count."""


class SeriesStore(SeriesReader, Protocol):
    """The journal: append-only, idempotent on (series, time, value), durable when `append` returns.

    One process, one appending thread; readers may call from other threads. `series` indexes in batches refer to the
    keys given at opening; the keys of an older registry stay readable.
    """

    def append(self, batch: ReadingBatch, flag: Flags, checks: NDArray[np.uint32]) -> Appended:
        """Commit all rows in one transaction. Repeats inside the batch are found too."""

    def scan(self, *, after_seq: int, rows: int) -> Iterator[Journal]:
        """Stored rows with seq > after_seq in chunks of at most `rows`; rows of series no longer registered are left
        out.
        """

    def last_seq(self) -> int:
        """Newest arrival number, 0 when empty."""

    def close(self) -> None:
        """Flush and let go of the file."""
