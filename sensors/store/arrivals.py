"""Readings in order of arrival, as a mirror is fed with them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64
from sensors.flags import Flags
from sensors.store import Journal, SeriesStore

STRANGE_CHUNKS = 20
"""Of rows that are gone, or of series that are no longer registered, one question looks through: there may be millions,
and whoever asks has little patience.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrivals:
    """Rows of the journal behind some number; equal-length columns."""

    keys: Sequence[str]
    """Names of the series that occur."""
    seq: Int64
    series: NDArray[np.int32]
    """(n,) index into `keys`: whoever asks may know another registry."""
    time_us: Int64
    value: Float64
    received_us: Int64
    flag: Flags
    revision: Bool
    """(n,) rows that contradict an earlier one of their series and time."""
    through_seq: int
    """Everything up to here was looked at."""
    mark: str
    """What the journal says of row `through_seq`, see `Archive.MARK`."""
    last_seq: int
    same: bool = True
    """False: the journal has another past than the asker's mark; it must begin anew."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a mirror says of itself."""

    name: str
    sent_seq: int
    waiting_us: int | None
    """Arrival of the oldest row that is known to wait."""
    reason: str
    """Why it does not get on; empty when it does."""
    refused: Mapping[str, int]
    """Rows that the server does not hold, by reason; and what it says that it dropped."""


class Marked(SeriesStore, Protocol):
    """A journal that can be told from its own older copies."""

    def mark(self, seq: int) -> str:
        """See `DuckStore.mark`; empty where there is no such row."""

    def scan(self, *, after_seq: int, rows: int, through_seq: int = ...) -> Iterator[Journal]:
        """See the contract; a chunk that begins behind `through_seq` is not looked for."""


class Feed(Protocol):
    """Where a mirror gets its rows from."""

    def after(self, seq: int, *, mark: str, rows: int) -> Arrivals:
        """At most `rows` rows behind number `seq`, which bore `mark` when it was read.

        Raises
        ------
        Away : the journal cannot be asked
        TooSlow : it has no time just now
        """


def arrivals(store: Marked, keys: Sequence[str], *, after_seq: int, mark: str, rows: int) -> Arrivals:
    """Answer `Feed.after` from a journal whose series are named by `keys`.

    A row that is gone (empty mark) proves nothing; one that is another, or was never reached, does.
    """
    last_seq = store.last_seq()
    if mark and (after_seq > last_seq or store.mark(after_seq) not in ("", mark)):
        return _none(0, "", last_seq, same=False)
    if not rows or after_seq >= last_seq:
        return _none(after_seq, mark, last_seq, same=True)
    through = min(last_seq, after_seq + rows * STRANGE_CHUNKS)
    chunk = next(store.scan(after_seq=after_seq, rows=rows, through_seq=through), None)
    if chunk is None:
        return _none(through, store.mark(through), last_seq, same=True)
    occurring, series = np.unique(chunk.batch.series, return_inverse=True)
    through = int(chunk.seq[-1])
    return Arrivals(
        keys=[keys[i] for i in occurring.tolist()],
        seq=chunk.seq,
        series=series.astype(np.int32),
        time_us=chunk.batch.time_us,
        value=chunk.batch.value,
        received_us=chunk.batch.received_us,
        flag=chunk.flag,
        revision=chunk.conflict,
        through_seq=through,
        mark=store.mark(through),
        last_seq=last_seq,
    )


def _none(through_seq: int, mark: str, last_seq: int, *, same: bool) -> Arrivals:
    whole = np.zeros(0, dtype=np.int64)
    return Arrivals(
        keys=(),
        seq=whole,
        series=whole.astype(np.int32),
        time_us=whole,
        value=whole.astype(np.float64),
        received_us=whole,
        flag=whole.astype(np.uint8),
        revision=whole.astype(np.bool_),
        through_seq=through_seq,
        mark=mark,
        last_seq=last_seq,
        same=same,
    )
