"""The worker: the only owner of the journal. Its event loop reads sockets, one thread stores and judges."""

import asyncio
import logging
import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from alerts.judge import Judge
from alerts.notices import off_by
from api.deps import BrokerStatus, ClockSkew, Latency, WorkerStatus
from ingest import codecs
from ingest.births import Births, Heard, says_gone
from ingest.broker_options import BrokerOptions
from ingest.commands import Commands, Fate
from ingest.credentials import Credentials, Keys, verify
from ingest.endpoint import Endpoint
from ingest.limits import Limits
from ingest.message import Message, Rejection
from ingest.networks import Reach
from ingest.pipeline import Pipeline, Refused
from ingest.pump import Pump
from ingest.quarantine import Quarantine, Row
from ingest.source import Format, Sources
from ingest.topics import Topics
from ingest.unregistered import Unregistered
from sensors.batch import Float64, Int64, ReadingBatch
from sensors.clocks import watched
from sensors.store import State, TooSlow
from takean.clock import JudgementClock
from takean.local import TOO_YOUNG
from takean.mirror_watch import MirrorWatch
from takean.newcomers import Newcomers

if TYPE_CHECKING:
    from ingest.broker import Broker
    from ingest.certificates import TlsOptions
    from ingest.serial.door import SerialDoor
    from ingest.serial.options import SerialLine

log = logging.getLogger(__name__)

TICK_S = 0.5
KEYS_S = 1.0
"""How often it is looked whether secrets have changed."""
QUARANTINE_PATIENCE_S = 2.0
HEARTBEAT_S_MAX = 3.0
"""A worker that has not ticked for this long is not watching."""
ALARMS_MAX = 100
"""Of our own that wait to be written; the oldest go first."""
COMMAND_S_MAX = 2.0
"""The event loop is asked for commands; it is never so busy."""
T = TypeVar("T")
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
    listen : address for devices, port 0 for any; None for none without TLS
    tls : the same with TLS
    broker : another way in; None for none
    serial : lines of this box with instruments
    credentials_file : where secrets may change while it runs; None: they do not
    unregistered : list of who speaks and is not registered; None: none is kept
    births : file of what Sparkplug nodes last said of themselves; None: they are asked anew after each start
    mirrors : names of other servers that are sent every reading
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
        clock: JudgementClock,
        listen: tuple[str, int] | None,
        tls: "TlsOptions | None" = None,
        broker: BrokerOptions | None = None,
        serial: Sequence["SerialLine"] = (),
        credentials_file: Path | None = None,
        unregistered: Unregistered | None = None,
        births: Path | None = None,
        mirrors: Sequence[str] = (),
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
        self._clock_off_us = 0
        self._forgotten = quarantine.dropped
        self._beat_s = time.monotonic()
        self._defects: list[BaseException] = []
        self._listening = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        registry = judge.cells.registry
        sources = Sources.of(topics, registry)
        self._topics, self._sources = topics, sources
        self._keys, self._looked_s = Keys(credentials, credentials_file), 0.0
        self._newcomers: Newcomers | None = None
        if unregistered is not None:
            self._newcomers = Newcomers(
                unregistered,
                quarantine=quarantine,
                sources=sources,
                index=registry.index,
                take=partial(judge.take, heard=False),
                now_us=clock.now_us,
            )
        self._births = Births(births, registry.devices, ask=self._ask)
        self._pipeline = Pipeline(
            sources=sources,
            codecs={**codecs.standard(), Format.SPARKPLUG: self._births.codec},
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
        self._commands = Commands(topics, clock.now_us, self._publish_elsewhere)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoint: Endpoint | None = None
        if listen is not None or tls is not None:
            self._endpoint = Endpoint(
                pump=self._pump,
                host=listen[0] if listen is not None else "",
                port=listen[1] if listen is not None else None,
                tls=tls,
                commands=self._commands,
                topics=topics,
                check=lambda name, secret: verify(self._keys.now, name, secret, now_us=clock.now_us()),
                now_us=clock.now_us,
                reach=self._reach,
            )
        self.mirrors = MirrorWatch(mirrors, last_seq=judge.store.last_seq, now_us=clock.now_us)
        self._alarms: deque[tuple[str, str, str]] = deque(maxlen=ALARMS_MAX)
        self._broker_name = f"{broker.host}:{broker.port}" if broker is not None else ""
        self._broker = self._open_broker(broker, topics) if broker is not None else None
        self._serial = [self._open_serial(line, topics) for line in serial]
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._error: BaseException | None = None

    def start(self) -> tuple[str, int] | None:
        """Judge what the journal holds, then listen; returns the address for devices, None without an endpoint.

        Raises
        ------
        OSError : the address cannot be had
        """
        self._judge.start()
        self._devices = {one: "offline" for one in self._judge.cells.registry.stations if self._judge.is_gone(one)}
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
            self._births.close()

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
            mirrors=self.mirrors.status(),
            latency=self._latencies.shown(),
            cpu_s={self._process_name: time.process_time()},
            connections=counters.connections,
            device_status={station: self._word(station, word) for station, word in list(self._devices.items())},
            clock_off_s=self._clock.off_us / 1e6,
            skews=self._skews(),
        )

    def _word(self, station: str, word: str) -> str:
        """Whether a device is there: one that went and speaks again is, though it did not say so."""
        return word if self._judge.is_gone(station) else "online"

    def _skews(self) -> dict[str, ClockSkew]:
        """Stations whose clocks are minutes off; nothing is known of any before the start."""
        if not self._listening.is_set():
            return {}
        series, clocks = self._judge.cells.registry.series, self._judge.clocks
        return {
            series[i].station: ClockSkew(seconds=int(clocks.lead_us[i]) / 1e6, steady=bool(clocks.steady[i]))
            for i in watched(clocks).tolist()
        }

    def take_late(
        self, keys: Sequence[str], series: NDArray[np.int32], time_us: Int64, value: Float64, *, store: bool
    ) -> NDArray[np.uint8]:
        """Take in readings out of a file, through the same checks as any other; from any thread.

        They count as arrived now, so their rules find them beyond the bound of lateness and warn nobody. What is
        younger than that bound belongs to the live way and is not taken. They end nobody's silence.

        Parameters
        ----------
        keys : series
        series : (n,) index into `keys`
        store : False only says what would become of them

        Returns
        -------
        state : (n,) `State`, or TOO_YOUNG

        Raises
        ------
        ValueError : a series that nobody registered
        TooSlow : it is still starting
        """
        if not self._listening.is_set():
            raise TooSlow("the worker is still starting")
        cells = self._judge.cells
        index = {key: at for at, key in enumerate(cells.registry.keys())}
        if unknown := [key for key in keys if key not in index]:
            raise ValueError(f"the running worker does not know {unknown[0]}; it reads stations.toml when it starts")
        own = np.array([index[key] for key in keys], dtype=np.int32)[series]
        with self._judging:
            now_us = self._clock.now_us()
            batch = ReadingBatch.of(
                series=own, time_us=time_us, value=value, received_us=np.full(len(own), now_us, dtype=np.int64)
            )
            state = self._judge.store.recognise(batch)
            young = (time_us > now_us - cells.late_us[own]) & (state != State.REPEAT)
            if store and not young.all():
                self._judge.take(batch[~young], heard=False)
        state[young] = TOO_YOUNG
        return state

    def order(self, station: str, order: Mapping[str, Any], *, id: str, expires_s: float) -> None:
        """Send a command to a device; from any thread. See `ingest.commands.Commands.order`.

        Raises
        ------
        ValueError : nobody registered it, it has too many commands, or this is none
        TooSlow : it is still starting, or stops
        """
        if station not in self._judge.cells.registry.stations:
            raise ValueError(f"{station} is not in stations.toml, or the running worker has not read it yet")
        expires_us = self._clock.now_us() + round(expires_s * 1e6)
        self._on_loop(lambda: self._commands.order(station, order, id=id, expires_us=expires_us))

    def fate(self, station: str, id: str) -> Fate | None:
        """What became of a command; from any thread. None of one that is not known."""
        return self._on_loop(lambda: self._commands.fate(station, id))

    def _on_loop(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        if self._loop is None:
            raise TooSlow("the worker is still starting")
        doing = run()
        try:
            return asyncio.run_coroutine_threadsafe(doing, self._loop).result(COMMAND_S_MAX)
        except TimeoutError:
            raise TooSlow("the worker has no time for it") from None
        except RuntimeError:  # the loop is closed
            doing.close()
            raise TooSlow("the worker stops") from None

    def _publish_elsewhere(self, topic: str, payload: bytes) -> bool:
        """Publish by the broker what is for a device that is not connected to us; whether there is one."""
        if self._broker is None or not self._broker.connected:
            return False
        self._broker.publish(topic, payload, 1)
        return True

    # ---- in the worker's own threads

    def _process(self, messages: Sequence[Message]) -> None:
        with self._judging:
            try:
                self._pipeline.process(messages)
            except Exception:
                self._births.again()
                raise
            self._note(self._births.settle(self._clock.now_us()))
        spent_s = (self._clock.now_us() - messages[0].received_us) / 1e6 / self._clock.speed
        self._latencies.add(max(0.0, spent_s), len(messages))

    def _refuse(self, message: Message, rejection: Rejection, unread_bytes: int | None) -> None:
        self._keep([Row.of(message, rejection, unread_bytes=unread_bytes)])

    def _refuse_all(self, refused: Sequence[Refused]) -> None:
        self._keep([Row.of(message, rejection) for message, rejection in refused])
        if self._newcomers is not None:
            self._newcomers.note(refused)

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

    def _reach(self, name: str) -> Reach | None:
        network = self._keys.now.networks.get(name)
        return Reach(name, network, sources=self._sources, topics=self._topics) if network is not None else None

    async def _follow_keys(self) -> None:
        """Let in by the secrets of now; who came in by one that is void must come again."""
        if time.monotonic() - self._looked_s < KEYS_S:
            return
        self._looked_s = time.monotonic()
        names = await asyncio.to_thread(self._keys.refresh)
        if names and self._endpoint is not None:
            self._endpoint.expel(names)

    def _on_status(self, station: str, payload: bytes, received_us: int) -> None:
        if station not in self._judge.cells.registry.stations:  # a broker lets anybody call itself anything
            return
        is_gone = says_gone(payload)
        with self._judging:
            self._note(Heard(deaths={station: received_us} if is_gone else {}, states={station: not is_gone}))

    def _note(self, heard: Heard) -> None:
        """Devices that came and went."""
        for station, at_us in heard.deaths.items():
            self._judge.died(station, at_us)
        for station, is_there in heard.states.items():
            self._devices[station] = "online" if is_there else "offline"
        for node, text in heard.gaps.items():
            self._judge.tell("sparkplug_gap", node, text)

    def _ask(self, topic: str, payload: bytes) -> None:
        """Send a command to a node; lost where it neither listens here nor a broker leads to it."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: we stop
                self._loop.call_soon_threadsafe(self._commands.say, topic, payload)

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
        self._loop = asyncio.get_running_loop()
        await self._pump.start()
        if self._endpoint is not None:
            await self._endpoint.start()
        if self._broker is not None:
            await self._broker.start()
        for line in self._serial:
            await line.start()
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(done.set)
        self._listening.set()
        try:
            while not done.is_set():
                await asyncio.to_thread(self._tick)
                await asyncio.to_thread(self._judge.store.check)
                await self._follow_keys()
                self._commands.retry()
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
            doors = [door.stop() for door in (self._endpoint, self._broker, *self._serial) if door is not None]
            await asyncio.gather(*doors)
            await self._pump.stop()

    def _open_broker(self, options: BrokerOptions, topics: Topics) -> "Broker":
        from ingest.broker import Broker  # noqa: PLC0415  (most boxes have none)

        def alarm(code: str, text: str) -> None:
            self._alarm(code, self._broker_name, text)

        return Broker(
            pump=self._pump,
            options=options,
            topics=topics,
            now_us=self._clock.now_us,
            alarm=alarm,
            answered=self._commands.answered,
        )

    def _open_serial(self, options: "SerialLine", topics: Topics) -> "SerialDoor":
        from ingest.serial.door import SerialDoor  # noqa: PLC0415  (as above)

        station = self._judge.cells.registry.stations[options.station]
        known = {sensor.name for sensor in station.sensor}
        return SerialDoor(
            pump=self._pump,
            options=options,
            topics=topics,
            known=known,
            now_us=self._clock.now_us,
            alarm=self._alarm,
        )

    def _alarm(self, code: str, subject: str, text: str) -> None:
        """From the event loop, which must not wait for the ledger: the next tick tells it."""
        self._alarms.append((code, subject, text))

    def _is_deaf(self) -> bool:
        """Whether the only way in is a broker that is away: silence is then not the stations' fault."""
        return self._endpoint is None and self._broker is not None and not self._broker.connected

    def _look_at_clock(self) -> None:
        self._clock.look(self._judge.clocks, self._judge.cells.station)
        off_us = self._clock.off_us
        if off_us and not self._clock_off_us:
            self._judge.tell("box_clock", "box", off_by(off_us))
        self._clock_off_us = off_us

    def _tell_alarms(self) -> None:
        while self._alarms:
            self._judge.tell(*self._alarms[0])
            self._alarms.popleft()
        for code, mirror, text in self.mirrors.alarms():
            self._judge.tell(code, mirror, text)

    def _pass_time(self) -> None:
        self._judge.tick(deaf=self._is_deaf())

    def _take_in_newcomers(self) -> None:
        if self._newcomers is not None:
            self._newcomers.take_in()

    def _tick(self) -> None:
        """One turn. Whichever of its parts fails holds up no other: a clock's file that cannot be written is no reason
        to stop looking who is silent.
        """
        with self._judging:
            for part in (self._tell_alarms, self._look_at_clock, self._pass_time, self._take_in_newcomers):
                try:
                    part()
                except Exception:
                    log.exception("a part of the turn failed (%s); the next turn tries again", part.__name__)
