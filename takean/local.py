"""What the worker and the web say to each other on their own machine: a length, then one MessagePack value, in turns.

The web asks, the worker answers. Columns travel as bytes, little-endian: int64 for times and counts, float64, uint8.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.deps import WorkerStatus
from ingest.commands import Fate
from sensors.store import Contents, PageOf, Revision
from sensors.store.arrivals import Word

VERSION = 1
SOCKET = "worker.socket"
ASK_BYTES_MAX = 2 << 20
ANSWER_BYTES_MAX = 16 << 20
ROWS_MAX = 50_000
KEYS_MAX = 50_000
LATE_ROWS_MAX = 5_000
"""The judge takes so many at a time: live readings wait no longer than for a batch of their own."""
PATH_BYTES_MAX = 100
"""A Unix socket's address holds 108 bytes; longer paths are reached through their folder."""
_LENGTH = struct.Struct(">I")

assert sys.byteorder == "little", "columns travel as they lie in memory"


class StatusAsk(msgspec.Struct, frozen=True, tag="status"):
    """What the worker says of itself."""


class HistoryAsk(msgspec.Struct, frozen=True, kw_only=True, tag="history"):
    """See `sensors.store.split.Owner.history`."""

    key: str
    from_us: int
    to_us: int
    limit: int
    whole: bool


class LatestAsk(msgspec.Struct, frozen=True, kw_only=True, tag="latest"):
    """Newest reading of each series."""

    keys: list[str]


class TotalsAsk(msgspec.Struct, frozen=True, kw_only=True, tag="totals"):
    """Sums over from_us < time <= to_us."""

    keys: list[str]
    from_us: int
    to_us: int
    whole: bool


class ContentsAsk(msgspec.Struct, frozen=True, tag="contents"):
    """What the journal holds."""


class PageAsk(msgspec.Struct, frozen=True, kw_only=True, tag="page"):
    """Rows of one day with everything that is stored of them."""

    of: PageOf


class LateAsk(msgspec.Struct, frozen=True, kw_only=True, tag="late"):
    """Readings out of a file, see `takean.late`."""

    keys: list[str]
    series: bytes
    """int32, index into `keys`"""
    time_us: bytes
    value: bytes
    store: bool


class ArrivalsAsk(msgspec.Struct, frozen=True, kw_only=True, tag="arrivals"):
    """See `sensors.store.arrivals.Feed.after`."""

    after_seq: int
    mark: str
    rows: int


class MirrorTell(msgspec.Struct, frozen=True, kw_only=True, tag="mirror"):
    """A mirror says how it is."""

    word: Word


class OrderAsk(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """A command to a device; answered like the question after it."""

    station: str
    id: str
    order: dict[str, Any]
    expires_s: float


class FateAsk(msgspec.Struct, frozen=True, kw_only=True, tag="fate"):
    """What became of a command."""

    station: str
    id: str


class ReviewAsk(msgspec.Struct, frozen=True, kw_only=True, tag="review"):
    """See `sensors.store.Reviewer.review`."""

    key: str
    from_us: int
    to_us: int
    flag: int
    by: str
    reason: str
    at_us: int


class RevisionsAsk(msgspec.Struct, frozen=True, kw_only=True, tag="revisions"):
    """See `sensors.store.Reviewer.revisions`."""

    key: str
    from_us: int
    to_us: int
    limit: int


Ask = (
    StatusAsk
    | HistoryAsk
    | LatestAsk
    | TotalsAsk
    | ContentsAsk
    | PageAsk
    | LateAsk
    | ArrivalsAsk
    | MirrorTell
    | OrderAsk
    | FateAsk
    | ReviewAsk
    | RevisionsAsk
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question."""

    version: int
    ask: Ask


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """All of it."""

    status: WorkerStatus


class RowsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="rows"):
    """To history and latest."""

    time_us: bytes
    value: bytes
    flag: bytes
    sealed: list[int] = []


class TotalsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="totals"):
    """To totals."""

    total: bytes
    count: bytes
    sealed: list[int]


class ContentsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="contents"):
    """And which of its days lie in files that hold every row."""

    contents: Contents
    sealed: list[int]


class PageAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="page"):
    """Columns as `queries.page` gives them."""

    keys: list[str]
    series: bytes
    """int32, index into `keys`"""
    time_us: bytes
    value: bytes
    received_us: bytes
    flag: bytes
    checks: bytes
    """uint32"""
    revision: bytes
    """uint8"""
    seq: bytes


TOO_YOUNG = 3
"""Beside `State`: a reading out of a file that is still within its station's bound of lateness."""


class LateAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="late"):
    """What became of each row, or would become."""

    state: bytes
    """uint8, see `takean.late`"""


class ArrivalsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="arrivals"):
    """Columns of `sensors.store.arrivals.Arrivals`."""

    keys: list[str]
    seq: bytes
    series: bytes
    """int32, index into `keys`"""
    time_us: bytes
    value: bytes
    received_us: bytes
    flag: bytes
    revision: bytes
    """bool"""
    through_seq: int
    mark: str
    last_seq: int
    same: bool


class HeardAnswer(msgspec.Struct, frozen=True, tag="heard"):
    """To what was told."""


class FateAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="fate"):
    """None of a command that is not known."""

    fate: Fate | None


class ReviewedAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="reviewed"):
    """How many readings there are."""

    readings: int


class RevisionsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="revisions"):
    """Newest first."""

    revisions: list[Revision]


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """A question that is not answered."""

    code: Literal["invalid", "too_slow", "broken"]
    text: str


Answer = (
    StatusAnswer
    | RowsAnswer
    | TotalsAnswer
    | ContentsAnswer
    | PageAnswer
    | LateAnswer
    | ArrivalsAnswer
    | HeardAnswer
    | FateAnswer
    | ReviewedAnswer
    | RevisionsAnswer
    | Refused
)

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


class TooLarge(Exception):
    """The other side announces more than it may send."""


def packed(column: NDArray[Any], dtype: type[np.generic]) -> bytes:
    """A column as it travels."""
    return np.ascontiguousarray(column, dtype=dtype).tobytes()


def send(connection: socket.socket, message: bytes) -> None:
    """One message; the socket's own time-out bounds it."""
    connection.sendall(_LENGTH.pack(len(message)) + message)


def receive(connection: socket.socket, *, bytes_max: int) -> bytes | None:
    """The next message, None when the other side has gone.

    Raises
    ------
    TooLarge : see there
    TimeoutError : the socket's own time-out ran out
    """
    head = _exactly(connection, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > bytes_max:
        raise TooLarge(f"{length} bytes announced, at most {bytes_max} are taken")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(min(size - len(received), 1 << 16))
        if not piece:
            return None
        received += piece
    return bytes(received)


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """The path as an address that is short enough, while the block lasts."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
