"""The worker: the only owner of the journal. Its event loop reads sockets, one thread stores and judges."""

import asyncio
import logging
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from alerts.judge import Judge
from api.deps import Latency, WorkerStatus
from ingest.credentials import Credentials, verify
from ingest.endpoint import Endpoint, Limits
from ingest.message import Message, Rejection
from ingest.pipeline import Pipeline, Refused
from ingest.quarantine import Quarantine, Row
from ingest.topics import Topics
from takean.clock import Clock

log = logging.getLogger(__name__)

TICK_S = 0.5
QUARANTINE_PATIENCE_S = 2.0
HEARTBEAT_S_MAX = 3.0
"""A worker that has not ticked for this long is not watching."""
LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class _Latencies:
    """Seconds from arrival to decision."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_S) + 1))
    sum_s: float = 0.0

    def add(self, seconds: float, times: int) -> None:
        self.counts[bisect_left(LATENCY_S, seconds)] += times
        self.sum_s += seconds * times

    def shown(self) -> Latency:
        total, buckets = 0, []
        for bound, count in zip(LATENCY_S, self.counts, strict=False):
            total += count
            buckets.append((bound, total))
        return Latency(buckets=buckets, sum_s=self.sum_s, count=sum(self.counts))


class Worker:
    """Runs in a thread of its own between `start` and `stop`.

    Parameters
    ----------
    judge : not started yet
    clock : of judgement
    failed : called when the worker dies of an error
    """

    def __init__(
        self,
        *,
        judge: Judge,
        topics: Topics,
        credentials: Credentials,
        quarantine: Quarantine,
        clock: Clock,
        host: str,
        port: int,
        failed: Callable[[BaseException], None],
        limits: Limits | None = None,
    ) -> None:
        self._judge = judge
        self._quarantine = quarantine
        self._clock = clock
        self._failed = failed
        self._judging = threading.Lock()
        self._latencies = _Latencies()
        self._devices: dict[str, str] = {}
        self._quarantined = Counter(quarantine.count_by_reason())
        self._unrecorded_since_s: float | None = None
        self._beat_s = time.monotonic()
        self._listening = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._pipeline = Pipeline(
            topics=topics, index=judge.cells.registry.index, take=judge.take, refuse=self._refuse_all
        )
        self._endpoint = Endpoint(
            host=host,
            port=port,
            topics=topics,
            check=lambda station, secret: verify(credentials, station, secret),
            now_us=clock.now_us,
            process=self._process,
            refuse=self._refuse,
            on_status=self._on_status,
            limits=limits,
        )
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._error: BaseException | None = None

    def start(self) -> tuple[str, int]:
        """Judge what the journal holds, then listen; returns the address.

        Raises
        ------
        OSError : the address cannot be had
        """
        self._judge.start()
        self._thread.start()
        self._listening.wait()
        if self._error is not None:
            raise self._error
        return self._endpoint.address

    def stop(self) -> None:
        """Finish the running batch, acknowledge it, write the last snapshot."""
        with suppress(RuntimeError):  # its loop is closed when it died
            self._stop()
        self._thread.join(timeout=15)
        with self._judging:
            self._judge.stop()

    def status(self) -> WorkerStatus:
        """What it says of itself; callable from any thread."""
        age_s = time.monotonic() - self._beat_s
        alive = self._thread.is_alive() and age_s <= HEARTBEAT_S_MAX
        reason = ""
        if not alive:
            reason = f"no heartbeat for {age_s:.0f} s"
        elif not self._judge.healthy:
            reason = "readings are stored but not judged: the ledger cannot be written"
        elif not self._endpoint.healthy:
            reason = "readings cannot be stored: look at the disk"
        counters, counts = self._endpoint.counters, self._judge.counts
        return WorkerStatus(
            alive=alive,
            ready=not reason,
            reason=reason,
            heartbeat_age_s=age_s,
            stored_seq=self._judge.store.last_seq(),
            judged_seq=self._judge.judged_seq,
            readings={"stored": counts.stored, "repeat": counts.repeat, "conflict": counts.conflict},
            quarantined=self._quarantined.total(),
            latency=self._latencies.shown(),
            cpu_s={"takean": time.process_time()},
            connections=counters.connections,
            device_status=dict(self._devices),
        )

    # ---- in the worker's own threads

    def _process(self, messages: Sequence[Message]) -> None:
        with self._judging:
            self._pipeline.process(messages)
        spent_s = (self._clock.now_us() - messages[0].received_us) / 1e6 / self._clock.speed
        self._latencies.add(max(0.0, spent_s), len(messages))

    def _refuse(self, message: Message, rejection: Rejection, unread_bytes: int | None) -> None:
        self._keep([Row.of(message, rejection, unread_bytes=unread_bytes)])

    def _refuse_all(self, refused: Sequence[Refused]) -> None:
        self._keep([Row.of(message, rejection) for message, rejection in refused])

    def _keep(self, rows: Sequence[Row]) -> None:
        """Keep refusals; after some patience without a place for them, go on: no refusal may hold up a judgement."""
        self._quarantined.update(row.reason for row in rows)
        try:
            self._quarantine.put(rows)
        except Exception:
            now_s = time.monotonic()
            if self._unrecorded_since_s is None:
                self._unrecorded_since_s = now_s
            if now_s - self._unrecorded_since_s <= QUARANTINE_PATIENCE_S:
                self._quarantined.subtract(row.reason for row in rows)
                raise
            log.exception("%d refusals are acknowledged without a record: look at the quarantine's disk", len(rows))
        else:
            self._unrecorded_since_s = None

    def _on_status(self, station: str, payload: bytes, received_us: int) -> None:
        del received_us
        self._devices[station] = "offline" if b'"offline"' in payload else "online"

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._error = error
            if self._listening.is_set():
                log.exception("the worker died")
                self._failed(error)
        finally:
            self._listening.set()

    async def _main(self) -> None:
        await self._endpoint.start()
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(done.set)
        self._listening.set()
        try:
            while not done.is_set():
                await asyncio.to_thread(self._tick)
                self._beat_s = time.monotonic()
                try:
                    async with asyncio.timeout(TICK_S):
                        await done.wait()
                except TimeoutError:
                    continue
        finally:
            await self._endpoint.stop()

    def _tick(self) -> None:
        with self._judging:
            try:
                self._judge.tick()
            except Exception:
                log.exception("a tick failed; the next one tries again")
