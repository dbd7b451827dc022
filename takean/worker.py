"""The worker: the only owner of the journal. Its event loop reads sockets, one thread stores and judges."""

import asyncio
import logging
import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alerts.judge import Judge
from api.deps import BrokerStatus, Latency, WorkerStatus
from ingest import codecs
from ingest.broker_options import BrokerOptions
from ingest.credentials import Credentials, verify
from ingest.endpoint import Endpoint
from ingest.limits import Limits
from ingest.message import Message, Rejection
from ingest.pipeline import Pipeline, Refused
from ingest.pump import Pump
from ingest.quarantine import Quarantine, Row
from ingest.source import Sources
from ingest.topics import Topics
from takean.clock import Clock

if TYPE_CHECKING:
    from ingest.broker import Broker

log = logging.getLogger(__name__)

TICK_S = 0.5
QUARANTINE_PATIENCE_S = 2.0
HEARTBEAT_S_MAX = 3.0
"""A worker that has not ticked for this long is not watching."""
ALARMS_MAX = 100
"""Of our own that wait to be written; the oldest go first."""
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
    listen : address for devices, port 0 for any; None for no endpoint
    broker : another way in; None for none
    failed : called when the worker dies of an error: whoever holds it ends it, for nothing is taken in any more
    beat : called after every turn
    process : name of the process, for /metrics
    """

    def __init__(
        self,
        *,
        judge: Judge,
        topics: Topics,
        credentials: Credentials,
        quarantine: Quarantine,
        clock: Clock,
        listen: tuple[str, int] | None,
        broker: BrokerOptions | None = None,
        failed: Callable[[BaseException], None],
        beat: Callable[[], None] = lambda: None,
        limits: Limits | None = None,
        process: str = "worker",
    ) -> None:
        self._judge = judge
        self._quarantine = quarantine
        self._clock = clock
        self._failed = failed
        self._beat = beat
        self._process_name = process
        self._judging = threading.Lock()
        self._latencies = _Latencies()
        self._devices: dict[str, str] = {}
        self._quarantined = Counter(quarantine.count_by_reason())
        self._unrecorded_since_s: float | None = None
        self._unrecorded = 0
        self._forgotten = quarantine.dropped
        self._beat_s = time.monotonic()
        self._defects: list[BaseException] = []
        self._listening = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        registry = judge.cells.registry
        self._pipeline = Pipeline(
            sources=Sources.of(topics, registry),
            codecs=codecs.standard(),
            index=registry.index,
            take=judge.take,
            refuse=self._refuse_all,
        )
        self._pump = Pump(
            process=self._process,
            refuse=self._refuse,
            on_status=self._on_status,
            limits=limits,
            failed=self._defects.append,
        )
        self._endpoint: Endpoint | None = None
        if listen is not None:
            self._endpoint = Endpoint(
                pump=self._pump,
                host=listen[0],
                port=listen[1],
                topics=topics,
                check=lambda station, secret: verify(credentials, station, secret),
                now_us=clock.now_us,
            )
        self._alarms: deque[tuple[str, str]] = deque(maxlen=ALARMS_MAX)
        self._broker_name = f"{broker.host}:{broker.port}" if broker is not None else ""
        self._broker = self._open_broker(broker, topics) if broker is not None else None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._error: BaseException | None = None

    def start(self) -> tuple[str, int] | None:
        """Judge what the journal holds, then listen; returns the address for devices, None without an endpoint.

        Raises
        ------
        OSError : the address cannot be had
        """
        self._judge.start()
        self._thread.start()
        self._listening.wait()
        if self._error is not None:
            raise self._error
        return self._endpoint.address if self._endpoint is not None else None

    def stop(self) -> None:
        """Finish the running batch, acknowledge it, write the last snapshot."""
        with suppress(RuntimeError):  # its loop is closed when it died
            self._stop()
        self._thread.join(timeout=15)
        with self._judging:
            try:
                self._judge.stop()
            except OSError:
                log.exception("the last snapshot could not be written; the next start judges from an older one")

    def status(self) -> WorkerStatus:
        """What it says of itself; callable from any thread."""
        age_s = time.monotonic() - self._beat_s
        alive = self._thread.is_alive() and age_s <= HEARTBEAT_S_MAX
        reason = ""
        if not self._listening.is_set():
            reason = "starting: what the journal holds is judged first"
        elif not alive:
            reason = f"no heartbeat for {age_s:.0f} s"
        elif not self._judge.healthy:
            reason = "readings are stored but not judged: the ledger cannot be written"
        elif not self._pump.healthy:
            reason = "readings cannot be stored: look at the disk"
        elif self._is_deaf():
            reason = f"the broker {self._broker_name} is away: no readings come in"
        counters, counts, broker = self._pump.counters, self._judge.counts, self._broker
        return WorkerStatus(
            alive=alive,
            ready=not reason,
            reason=reason,
            heartbeat_age_s=age_s,
            stored_seq=self._judge.store.last_seq(),
            judged_seq=self._judge.judged_seq,
            readings={"stored": counts.stored, "repeat": counts.repeat, "conflict": counts.conflict},
            quarantined=self._quarantined.total(),
            unrecorded=counters.unrecorded + self._unrecorded,
            forgotten=self._forgotten,
            broker=BrokerStatus(connected=broker.connected, drops=broker.drops) if broker is not None else None,
            latency=self._latencies.shown(),
            cpu_s={self._process_name: time.process_time()},
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
            self._unrecorded += len(rows)
            log.exception("%d refusals are acknowledged without a record: look at the quarantine's disk", len(rows))
        else:
            self._unrecorded_since_s = None
            self._forgotten = self._quarantine.dropped

    def _on_status(self, station: str, payload: bytes, received_us: int) -> None:
        del received_us
        if station in self._judge.cells.registry.stations:  # a broker lets anybody call itself anything
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
        await self._pump.start()
        if self._endpoint is not None:
            await self._endpoint.start()
        if self._broker is not None:
            await self._broker.start()
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(done.set)
        self._listening.set()
        try:
            while not done.is_set():
                await asyncio.to_thread(self._tick)
                await asyncio.to_thread(self._judge.store.check)
                if self._defects:
                    raise self._defects[0]
                self._beat_s = time.monotonic()
                self._beat()
                try:
                    async with asyncio.timeout(TICK_S):
                        await done.wait()
                except TimeoutError:
                    continue
        finally:
            doors = [door.stop() for door in (self._endpoint, self._broker) if door is not None]
            await asyncio.gather(*doors)
            await self._pump.stop()

    def _open_broker(self, options: BrokerOptions, topics: Topics) -> "Broker":
        from ingest.broker import Broker  # noqa: PLC0415  (most boxes have none)

        return Broker(pump=self._pump, options=options, topics=topics, now_us=self._clock.now_us, alarm=self._alarm)

    def _alarm(self, code: str, text: str) -> None:
        """From the event loop, which must not wait for the ledger: the next tick tells it."""
        self._alarms.append((code, text))

    def _is_deaf(self) -> bool:
        """Whether the only way in is a broker that is away: silence is then not the stations' fault."""
        return self._endpoint is None and self._broker is not None and not self._broker.connected

    def _tick(self) -> None:
        with self._judging:
            try:
                while self._alarms:
                    code, text = self._alarms[0]
                    self._judge.tell(code, self._broker_name, text)
                    self._alarms.popleft()
                self._judge.tick(deaf=self._is_deaf())
            except Exception:
                log.exception("a tick failed; the next one tries again")
