"""The worker's side of its local socket: answers the web from threads of its own, so much at a time and no more.

Whoever asks slowly, too much or nonsense loses the connection; the thread that judges never waits for any of it.
"""

import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.deps import WorkerStatus
from ingest.commands import Fate
from sensors.batch import Float64, Int64
from sensors.flags import Flags
from sensors.store import DAY_US, TooSlow
from sensors.store.arrivals import Word, arrivals
from sensors.store.duck import DuckStore
from takean import local, local_mirror
from takean.local import (
    ArrivalsAsk,
    ContentsAnswer,
    ContentsAsk,
    FateAnswer,
    FateAsk,
    HeardAnswer,
    HistoryAsk,
    LateAnswer,
    LateAsk,
    LatestAsk,
    MirrorTell,
    OrderAsk,
    PageAnswer,
    PageAsk,
    Refused,
    ReviewAsk,
    ReviewedAnswer,
    RevisionsAnswer,
    RevisionsAsk,
    RowsAnswer,
    StatusAnswer,
    StatusAsk,
    TotalsAnswer,
    TotalsAsk,
)

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 16
QUERIES_AT_ONCE = 1
"""Questions to the journal that run at the same time; the rest wait their turn."""
TURN_S_MAX = 2.0
MESSAGE_S_MAX = 2.0
"""For the rest of a message that has begun, and for taking an answer."""
IDLE_S_MAX = 60.0
REST_S = 0.1
"""After a connection that could not be taken."""


class Late(Protocol):
    """See `Worker.take_late`."""

    def __call__(
        self, keys: Sequence[str], series: NDArray[np.int32], time_us: Int64, value: Float64, *, store: bool
    ) -> NDArray[np.uint8]:
        """What became of each row."""


class Teller(Protocol):
    """See `takean.orders`."""

    def order(self, station: str, order: Mapping[str, Any], *, id: str, expires_s: float) -> None:
        """Send a command."""

    def fate(self, station: str, id: str) -> Fate | None:
        """What became of it."""


_PEER = struct.Struct("3i")
_SPAN = (np.iinfo(np.int64).min // 2, np.iinfo(np.int64).max // 2)


class LocalServer:
    """Listens from `start` to `stop`.

    Parameters
    ----------
    path : of the Unix socket; an older one is replaced. Mode 0600, and only the same user or root is answered
    sealed : days that the web reads from their files
    late : takes in readings out of files; None takes none
    keys : names of the store's series, for mirrors
    hear : told how a mirror is
    device : takes commands to devices; None takes none
    """

    def __init__(
        self,
        path: Path,
        *,
        store: DuckStore,
        status: Callable[[], WorkerStatus],
        sealed: Callable[[], Collection[int]],
        late: Late | None = None,
        keys: Sequence[str] = (),
        hear: Callable[[Word], None] = lambda _: None,
        device: Teller | None = None,
    ) -> None:
        self._path = path
        self._store = store
        self._status = status
        self._sealed = sealed
        self._late = late
        self._keys = keys
        self._hear = hear
        self._device = device
        self._turn = threading.BoundedSemaphore(QUERIES_AT_ONCE)
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._stopping = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._accept, name="local", daemon=True)

    def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError : the socket cannot be made
        """
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)  # mode at creation: at no moment may another user connect
        try:
            with local.reachable(self._path) as address:
                self._listening.bind(address)
        finally:
            os.umask(before)
        self._listening.listen(CONNECTIONS_MAX)
        self._thread.start()

    def stop(self) -> None:
        """Take no more questions; who waits for an answer gets none."""
        self._stopping.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(timeout=MESSAGE_S_MAX)
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listening.accept()
                self._take(connection)
            except (OSError, RuntimeError) as error:  # no file or thread to be had just now
                if self._stopping.is_set():
                    return
                log.warning("the web's connection could not be taken: %s", error)
                self._stopping.wait(REST_S)

    def _take(self, connection: socket.socket) -> None:
        with ExitStack() as undo:
            undo.callback(connection.close)
            if not _is_ours(connection) or not self._room.acquire(blocking=False):
                return
            undo.callback(self._room.release)
            threading.Thread(target=self._serve, args=(connection,), name="local answer", daemon=True).start()
            undo.pop_all()  # they are the thread's now

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            with connection:
                while not self._stopping.is_set() and self._one(connection):
                    pass
        except (OSError, local.TooLarge) as error:
            if not self._stopping.is_set():
                log.info("a local connection ended: %s", error)
        finally:
            with self._lock:
                self._open.discard(connection)
            self._room.release()

    def _one(self, connection: socket.socket) -> bool:
        connection.settimeout(IDLE_S_MAX)
        if not connection.recv(1, socket.MSG_PEEK):
            return False
        connection.settimeout(MESSAGE_S_MAX)
        message = local.receive(connection, bytes_max=local.ASK_BYTES_MAX)
        if message is None:
            return False
        local.send(connection, self._answer(message))
        return True

    def _answer(self, message: bytes) -> bytes:
        try:
            request = local.decode_request(message)
            if request.version != local.VERSION:
                raise ValueError(f"version {request.version}; this worker speaks {local.VERSION}")
            return local.encode(self._of(request.ask))
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            refused = Refused(code="invalid", text=str(error))
        except TooSlow as error:
            refused = Refused(code="too_slow", text=str(error))
        except Exception as error:
            log.exception("a question of the web could not be answered")
            refused = Refused(code="broken", text=type(error).__name__)
        return local.encode(refused)

    def _of(self, ask: local.Ask) -> local.Answer:
        if isinstance(ask, StatusAsk):
            return StatusAnswer(status=self._status())
        if isinstance(ask, HistoryAsk):
            return self._history(ask)
        if isinstance(ask, ContentsAsk):
            with _Turn(self._turn):
                return ContentsAnswer(contents=self._store.contents(), sealed=sorted(self._sealed()))
        if isinstance(ask, PageAsk):
            return self._page(ask)
        if isinstance(ask, LateAsk):
            return self._take_late(ask)
        if isinstance(ask, ArrivalsAsk):
            return self._arrivals(ask)
        if isinstance(ask, MirrorTell):
            self._hear(ask.word)
            return HeardAnswer()
        if isinstance(ask, OrderAsk | FateAsk):
            return self._command(ask)
        if isinstance(ask, ReviewAsk | RevisionsAsk):
            return self._review(ask)
        if len(ask.keys) > local.KEYS_MAX:
            raise ValueError(f"{len(ask.keys)} series; at most {local.KEYS_MAX} are answered at once")
        if isinstance(ask, LatestAsk):
            time, value, flag = self._store.latest(ask.keys)
            return _rows(time, value, flag, [])
        return self._totals(ask)

    def _command(self, ask: OrderAsk | FateAsk) -> FateAnswer:
        if self._device is None:
            raise ValueError("no commands are sent by this worker")
        if isinstance(ask, OrderAsk):
            self._device.order(ask.station, ask.order, id=ask.id, expires_s=ask.expires_s)
        return FateAnswer(fate=self._device.fate(ask.station, ask.id))

    def _review(self, ask: ReviewAsk | RevisionsAsk) -> local.Answer:
        span = dict(zip(("from_us", "to_us"), _bounded(ask.from_us, ask.to_us), strict=True))
        reviews = self._store.reviews
        with _Turn(self._turn):
            if isinstance(ask, RevisionsAsk):
                limit = max(0, min(ask.limit, local.ROWS_MAX))
                return RevisionsAnswer(revisions=reviews.revisions(ask.key, **span, limit=limit))
            said = reviews.review(ask.key, **span, flag=ask.flag, by=ask.by, reason=ask.reason, at_us=ask.at_us)
            return ReviewedAnswer(readings=said)

    def _history(self, ask: HistoryAsk) -> local.Answer:
        low, high = _bounded(ask.from_us, ask.to_us)
        sealed = [] if ask.whole else _between(self._sealed(), low, high)
        while low // DAY_US in sealed:  # what is left out at the beginning need not be looked through
            low = (low // DAY_US + 1) * DAY_US
        with _Turn(self._turn):
            rows = self._store.history(
                ask.key, from_us=low, to_us=high, limit=min(ask.limit, local.ROWS_MAX), without=sealed
            )
        return _rows(rows.time_us, rows.value, rows.flag, sealed)

    def _arrivals(self, ask: ArrivalsAsk) -> local.Answer:
        rows = max(0, min(ask.rows, local.ROWS_MAX))
        with _Turn(self._turn):
            return local_mirror.answer(
                arrivals(self._store, self._keys, after_seq=max(0, ask.after_seq), mark=ask.mark, rows=rows)
            )

    def _page(self, ask: PageAsk) -> local.Answer:
        low, high = _bounded(ask.of.from_us, ask.of.to_us)
        with _Turn(self._turn):
            found = self._store.page(replace(ask.of, from_us=low, to_us=high, rows=min(ask.of.rows, local.ROWS_MAX)))
        keys, series = np.unique(found["series"].astype(str), return_inverse=True)
        return PageAnswer(
            keys=keys.tolist(),
            series=local.packed(series, np.int32),
            time_us=local.packed(found["time_us"], np.int64),
            value=local.packed(found["value"], np.float64),
            received_us=local.packed(found["received_us"], np.int64),
            flag=local.packed(found["flag"], np.uint8),
            checks=local.packed(found["checks"], np.uint32),
            revision=local.packed(found["revision"], np.uint8),
            seq=local.packed(found["seq"], np.int64),
        )

    def _take_late(self, ask: LateAsk) -> local.Answer:
        series, time_us = np.frombuffer(ask.series, dtype=np.int32), np.frombuffer(ask.time_us, dtype=np.int64)
        value = np.frombuffer(ask.value, dtype=np.float64)
        if self._late is None or not len(series) == len(time_us) == len(value) <= local.LATE_ROWS_MAX:
            raise ValueError(f"late readings come in columns of one length, at most {local.LATE_ROWS_MAX} at once")
        if len(series) and not 0 <= series.min() <= series.max() < len(ask.keys):
            raise ValueError(f"a late reading is of series {series.max()}; {len(ask.keys)} are named")
        if np.isinf(value).any():
            raise ValueError("a late reading is infinite")
        state = self._late(ask.keys, series, time_us, value, store=ask.store)
        return LateAnswer(state=local.packed(state, np.uint8))

    def _totals(self, ask: TotalsAsk) -> local.Answer:
        low, high = _bounded(ask.from_us, ask.to_us)
        sealed = [] if ask.whole else _between(self._sealed(), low, high + 1)
        with _Turn(self._turn):
            total, count = self._store.totals(ask.keys, from_us=low, to_us=high, without=sealed)
        return TotalsAnswer(
            total=local.packed(total, np.float64), count=local.packed(count, np.int64), sealed=sorted(sealed)
        )


class _Turn:
    """One of the questions that may run now."""

    def __init__(self, turn: threading.BoundedSemaphore) -> None:
        self._turn = turn

    def __enter__(self) -> None:
        if not self._turn.acquire(timeout=TURN_S_MAX):
            raise TooSlow("too many questions at once")

    def __exit__(self, *_: object) -> None:
        self._turn.release()


def _rows(time_us: Int64, value: Float64, flag: Flags, sealed: Collection[int]) -> RowsAnswer:
    return RowsAnswer(
        time_us=local.packed(time_us, np.int64),
        value=local.packed(value, np.float64),
        flag=local.packed(flag, np.uint8),
        sealed=sorted(sealed),
    )


def _bounded(low: int, high: int) -> tuple[int, int]:
    return max(low, _SPAN[0]), min(high, _SPAN[1])


def _between(days: Collection[int], low: int, high: int) -> list[int]:
    return [day for day in days if day * DAY_US < high and (day + 1) * DAY_US > low]


def _is_ours(connection: socket.socket) -> bool:
    _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user in (0, os.geteuid())
