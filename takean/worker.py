"""The worker: the only owner of the journal. Its event loop reads sockets, one thread stores and judges.

A reading comes in by one of the doors (`takean.doors`), waits in the pump's inbox and is handed with its batch to
`Worker._process`, which has it decoded, stored and judged; what is refused goes to `takean.refusals`. Twice a second
there is a turn, in which time passes for those who say nothing.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from alerts.judge import Judge
from alerts.notices import off_by
from api.deps import WorkerStatus
from ingest import codecs
from ingest.births import Births
from ingest.broker_options import BrokerOptions
from ingest.certificates import TlsOptions
from ingest.credentials import Credentials, Keys
from ingest.limits import Limits
from ingest.message import Message
from ingest.pipeline import Pipeline
from ingest.pump import Pump
from ingest.quarantine import Quarantine
from ingest.serial.options import SerialLine
from ingest.source import Format, Sources
from ingest.topics import Topics
from ingest.unregistered import Unregistered
from takean.clock import JudgementClock
from takean.doors import Doors
from takean.late import LateReadings
from takean.mirror_watch import MirrorWatch
from takean.newcomers import Newcomers
from takean.orders import Orders
from takean.presence import Presence
from takean.refusals import Refusals
from takean.vitals import Vitals

log = logging.getLogger(__name__)

TICK_S = 0.5
STOP_S_MAX = 15.0
ALARMS_MAX = 100
"""Of our own that wait to be written; the oldest go first."""


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
        tls: TlsOptions | None = None,
        broker: BrokerOptions | None = None,
        serial: Sequence[SerialLine] = (),
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
        self._clock = clock
        self._failed = failed
        self._beat = beat
        self._judging = threading.Lock()
        self._defects: list[BaseException] = []
        self._alarms: deque[tuple[str, str, str]] = deque(maxlen=ALARMS_MAX)
        self._clock_off_us = 0
        registry = judge.cells.registry
        sources = Sources.of(topics, registry)
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
        self._refusals = Refusals(quarantine, self._newcomers)
        self._pump = Pump(
            process=self._process,
            refuse=self._refusals.one,
            on_status=self._on_status,
            limits=limits,
            failed=self._defects.append,
        )
        self._doors = Doors(
            pump=self._pump,
            topics=topics,
            sources=sources,
            registry=registry,
            keys=Keys(credentials, credentials_file),
            now_us=clock.now_us,
            alarm=self._alarm,
            listen=listen,
            tls=tls,
            broker=broker,
            serial=serial,
        )
        self.orders = Orders(self._doors.commands, stations=registry.stations, now_us=clock.now_us)
        self._births = Births(births, registry.devices, ask=self.orders.ask)
        self._pipeline = Pipeline(
            sources=sources,
            codecs={**codecs.standard(), Format.SPARKPLUG: self._births.codec},
            index=registry.index,
            take=judge.take,
            refuse=self._refusals.all,
        )
        self._presence = Presence(judge)
        self._started = threading.Event()
        """Set too when it could not start."""
        self.late = LateReadings(judge, judging=self._judging, now_us=clock.now_us, has_started=self._started.is_set)
        self.mirrors = MirrorWatch(mirrors, last_seq=judge.store.last_seq, now_us=clock.now_us)
        self._vitals = Vitals(
            judge=judge,
            clock=clock,
            pump=self._pump,
            doors=self._doors,
            refusals=self._refusals,
            presence=self._presence,
            mirrors=self.mirrors,
            process=process,
        )
        self._stop: Callable[[], object] = lambda: None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> tuple[str, int] | None:
        """Judge what the journal holds, then listen; returns the address for devices, None without an endpoint.

        Raises
        ------
        OSError : the address cannot be had
        """
        self._judge.start()
        self._presence.begin()
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error
        return self._doors.address

    def stop(self) -> None:
        """Finish the running batch, acknowledge it, write the last snapshot."""
        with suppress(RuntimeError):  # its loop is closed when it died
            self._stop()
        self._thread.join(timeout=STOP_S_MAX)
        with self._judging:
            try:
                self._judge.stop()
            except OSError:
                log.exception("the last snapshot could not be written; the next start judges from an older one")
            self._births.close()

    def status(self) -> WorkerStatus:
        """What it says of itself; callable from any thread."""
        return self._vitals.status(has_started=self._started.is_set(), runs=self._thread.is_alive())

    # ---- its thread, with the event loop

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._error = error
            if self._started.is_set():
                log.exception("the worker died")
                self._failed(error)
        finally:
            self._started.set()

    async def _main(self) -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self.orders.begin(loop)
        await self._pump.start()
        await self._doors.open()
        self._stop = lambda: loop.call_soon_threadsafe(done.set)
        self._started.set()
        try:
            while not done.is_set():
                await asyncio.to_thread(self._turn)
                await asyncio.to_thread(self._judge.store.check)
                await self._doors.turn()
                if self._defects:
                    raise self._defects[0]
                self._vitals.turned()
                self._beat()
                try:
                    async with asyncio.timeout(TICK_S):
                        await done.wait()
                except TimeoutError:
                    continue
        finally:
            await self._doors.close()
            await self._pump.stop()

    def _alarm(self, code: str, subject: str, text: str) -> None:
        """From the event loop, which must not wait for the ledger: the next turn tells it."""
        self._alarms.append((code, subject, text))

    # ---- the pump's thread

    def _process(self, messages: Sequence[Message]) -> None:
        """Store and judge a batch; when it returns, all of it may be acknowledged."""
        with self._judging:
            try:
                self._pipeline.process(messages)
            except Exception:
                self._births.again()
                raise
            self._presence.heard(self._births.settle(self._clock.now_us()))
        self._vitals.decided(messages[0].received_us, len(messages))

    def _on_status(self, station: str, payload: bytes, received_us: int) -> None:
        with self._judging:
            self._presence.said(station, payload, received_us)

    # ---- a turn, in a thread

    def _turn(self) -> None:
        """Whichever of its parts fails holds up no other: a clock's file that cannot be written is no reason to stop
        looking who is silent.
        """
        with self._judging:
            for part in (self._tell_alarms, self._look_at_clock, self._pass_time, self._take_in_newcomers):
                try:
                    part()
                except Exception:
                    log.exception("a part of the turn failed (%s); the next turn tries again", part.__name__)

    def _tell_alarms(self) -> None:
        while self._alarms:
            self._judge.tell(*self._alarms[0])
            self._alarms.popleft()
        for code, mirror, text in self.mirrors.alarms():
            self._judge.tell(code, mirror, text)

    def _look_at_clock(self) -> None:
        self._clock.look(self._judge.clocks, self._judge.cells.station)
        off_us = self._clock.off_us
        if off_us and not self._clock_off_us:
            self._judge.tell("box_clock", "box", off_by(off_us))
        self._clock_off_us = off_us

    def _pass_time(self) -> None:
        self._judge.tick(deaf=self._doors.is_deaf)

    def _take_in_newcomers(self) -> None:
        if self._newcomers is not None:
            self._newcomers.take_in()
