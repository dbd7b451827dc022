"""The web's side of the worker's local socket."""

import queue
import socket
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from api.deps import WorkerStatus
from ingest.commands import Fate
from sensors.batch import Float64, Int64
from sensors.flags import Flags
from sensors.store import Away, History, Revision, TooSlow
from sensors.store.arrivals import Arrivals, Word
from takean import local, local_mirror
from takean.local import (
    ArrivalsAnswer,
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

STATUS_S_MAX = 1.0
"""Memory is asked: a worker that takes longer does not work."""
ANSWER_S_MAX = 3.0
"""More than the worker gives a question and its turn."""
LONG_S_MAX = 30.0
"""Of an export or import: behind live readings and screens."""
AT_ONCE = 12
"""Questions under way, whatever the browsers do: with the one for the status fewer than the worker's connections."""
REST_S = 1.0
"""After a question that got no answer in time, nobody is made to wait again for so long."""
T = TypeVar(
    "T",
    StatusAnswer,
    RowsAnswer,
    TotalsAnswer,
    ContentsAnswer,
    PageAnswer,
    LateAnswer,
    ArrivalsAnswer,
    HeardAnswer,
    FateAnswer,
    ReviewedAnswer,
    RevisionsAnswer,
)
NOBODY = WorkerStatus(alive=False, ready=False, reason="", heartbeat_age_s=0.0, stored_seq=0, judged_seq=0)


class Invalid(Away):
    """A question that the worker does not answer, however often it is asked."""


class LocalOwner:
    """An `Owner` of readings, and its status. For any number of threads."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._own = _Lines(path, 1, clock)
        """For the status: no crowd of readers may make a worker look dead."""
        self._reads = _Lines(path, AT_ONCE, clock)
        self._turn = threading.Lock()
        self._sent_s = float("-inf")
        """When the newest question was sent that got an answer."""
        self._heard = (NOBODY, clock())
        self._silent = False
        """Whether the newest question got no answer: then nobody waits for another before the status was told again."""

    def status(self) -> WorkerStatus:
        """What the worker says now, or what it last said with `alive` False."""
        asked_s = self._clock()
        try:
            if not self._turn.acquire(timeout=STATUS_S_MAX):
                raise Away(f"the worker did not answer within {STATUS_S_MAX:g} s")
            try:
                if self._sent_s < asked_s:  # else one who came after us was told meanwhile
                    sent_s = self._clock()
                    answer = self._own.ask(StatusAsk(), StatusAnswer, STATUS_S_MAX)
                    self._sent_s, self._heard = sent_s, (answer.status, self._clock())
                    self._silent = False
                return self._heard[0]
            finally:
                self._turn.release()
        except (Away, TooSlow) as error:
            self._silent = True
            last, heard_s = self._heard
            age_s = self._clock() - heard_s + last.heartbeat_age_s
            return replace(last, alive=False, ready=False, reason=str(error), heartbeat_age_s=age_s)

    def history(
        self, key: str, *, from_us: int, to_us: int, limit: int, whole: bool
    ) -> tuple[History, Collection[int]]:
        """See `Owner`."""
        ask = HistoryAsk(key=key, from_us=from_us, to_us=to_us, limit=limit, whole=whole)
        answer = self._read(ask, RowsAnswer)
        time_us, value, flag = _columns(answer)
        return History(time_us=time_us, value=value, flag=flag), answer.sealed

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        """See `Owner`."""
        return _columns(self._read(LatestAsk(keys=keys), RowsAnswer))

    def totals(
        self, keys: list[str], *, from_us: int, to_us: int, whole: bool
    ) -> tuple[Float64, Int64, Collection[int]]:
        """See `Owner`."""
        answer = self._read(TotalsAsk(keys=keys, from_us=from_us, to_us=to_us, whole=whole), TotalsAnswer)
        return np.frombuffer(answer.total), np.frombuffer(answer.count, dtype=np.int64), answer.sealed

    def contents(self) -> ContentsAnswer:
        """What the journal holds. For whoever has time: it may take `LONG_S_MAX`, as the two below."""
        return self._own.ask(ContentsAsk(), ContentsAnswer, LONG_S_MAX)

    def page(self, ask: PageAsk) -> PageAnswer:
        """See `queries.page`."""
        return self._own.ask(ask, PageAnswer, LONG_S_MAX)

    def take_late(self, ask: LateAsk) -> LateAnswer:
        """See `takean.late`."""
        return self._own.ask(ask, LateAnswer, LONG_S_MAX)

    def after(self, seq: int, *, mark: str, rows: int) -> Arrivals:
        """See `sensors.store.arrivals.Feed`."""
        ask = ArrivalsAsk(after_seq=seq, mark=mark, rows=rows)
        return local_mirror.rows(self._read(ask, ArrivalsAnswer))

    def tell(self, word: Word) -> None:
        """Say how a mirror is."""
        self._read(MirrorTell(word=word), HeardAnswer)

    def order(self, ask: OrderAsk) -> Fate | None:
        """Send a command to a device; see `Worker.order`. What has become of it already."""
        return self._read(ask, FateAnswer).fate

    def fate(self, station: str, id: str) -> Fate | None:
        """What became of a command."""
        return self._read(FateAsk(station=station, id=id), FateAnswer).fate

    def review(self, key: str, *, from_us: int, to_us: int, flag: int, by: str, reason: str, at_us: int) -> int:
        """See `sensors.store.Reviewer`."""
        ask = ReviewAsk(key=key, from_us=from_us, to_us=to_us, flag=flag, by=by, reason=reason, at_us=at_us)
        return self._read(ask, ReviewedAnswer).readings

    def revisions(self, key: str, *, from_us: int, to_us: int, limit: int) -> list[Revision]:
        """See `sensors.store.Reviewer`."""
        ask = RevisionsAsk(key=key, from_us=from_us, to_us=to_us, limit=limit)
        return self._read(ask, RevisionsAnswer).revisions

    def _read(self, ask: local.Ask, kind: type[T]) -> T:
        if self._silent:
            self.status()
        if self._silent:
            raise Away("the worker does not answer")
        try:
            return self._reads.ask(ask, kind, ANSWER_S_MAX)
        except Away:
            self._silent = True
            raise

    def close(self) -> None:
        """Let go of the connections."""
        self._own.close()
        self._reads.close()


class _Lines:
    """So many connections to the worker, one question on each at a time."""

    def __init__(self, path: Path, at_once: int, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._places = threading.BoundedSemaphore(at_once)
        self._idle: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._rest_until_s = float("-inf")

    def ask(self, ask: local.Ask, kind: type[T], patience_s: float) -> T:
        """One question over a connection of its own.

        Raises
        ------
        Away : nobody answers
        TooSlow : the worker gave it up, or it found no place in time
        """
        message = local.encode(local.Request(version=local.VERSION, ask=ask))
        if not self._places.acquire(timeout=patience_s):
            raise TooSlow("too many questions at once")
        try:
            if self._clock() < self._rest_until_s:
                raise Away("the worker does not answer")
            answer = self._exchange(message, patience_s)
        except TimeoutError:
            self._rest_until_s = self._clock() + REST_S
            raise Away(f"the worker did not answer within {patience_s:g} s") from None
        except (OSError, msgspec.MsgspecError, local.TooLarge) as error:
            raise Away(f"the worker cannot be asked: {error}") from None
        finally:
            self._places.release()
        if isinstance(answer, local.Refused):
            if answer.code == "too_slow":
                raise TooSlow(answer.text)
            if answer.code == "invalid":
                raise Invalid(f"the worker refused a question: {answer.text}")
            raise Away(f"the worker refused a question: {answer.text}")
        if not isinstance(answer, kind):
            raise Away(f"the worker answered {type(answer).__name__} to {type(ask).__name__}")
        return answer

    def close(self) -> None:
        """Let go of the connections."""
        while not self._idle.empty():
            self._idle.get().close()

    def _exchange(self, message: bytes, patience_s: float) -> local.Answer:
        """Over a kept connection if it still stands: a worker that was restarted has closed them all."""
        while True:
            try:
                connection, kept = self._idle.get_nowait(), True
            except queue.Empty:
                connection, kept = self._connect(patience_s), False
            try:
                connection.settimeout(patience_s)
                local.send(connection, message)
                received = local.receive(connection, bytes_max=local.ANSWER_BYTES_MAX)
                if received is None:
                    raise ConnectionError("it closed the connection")
                answer: local.Answer = local.decode_answer(received)
            except BaseException as error:
                connection.close()
                if kept and isinstance(error, ConnectionError):
                    continue
                raise
            self._idle.put(connection)
            return answer

    def _connect(self, patience_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(patience_s)
            with local.reachable(self._path) as address:
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection


def _columns(answer: RowsAnswer) -> tuple[Int64, Float64, Flags]:
    return (
        np.frombuffer(answer.time_us, dtype=np.int64),
        np.frombuffer(answer.value),
        np.frombuffer(answer.flag, dtype=np.uint8),
    )
