"""Our own MQTT 3.1.1 endpoint: devices connect straight to the box, and PUBACK means *on disk and judged*.

One event loop reads and writes sockets; one thread stores and judges, batch after batch. What arrives while the thread
is busy waits in the inbox, which is bounded by not reading from those who fill it. Nothing is routed between clients.

`ingest.connection` is one device's socket, `ingest.door` who may come in, `ingest.inbox` what waits; here they meet.
docs/wire.md is the contract, docs/mqtt.md says which statement of the standard is kept by which test.
"""

import asyncio
import logging
import resource
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ingest.connection import Connection
from ingest.door import Door
from ingest.inbox import Arrival, Inbox, Sender
from ingest.limits import Counters, Limits
from ingest.message import Message, Rejection
from ingest.topics import Topics

__all__ = ["Counters", "Endpoint", "Limits"]

log = logging.getLogger(__name__)

GATHER_S = 0.025
"""A batch holds at least what arrived in this time: a commit costs the same for one message and for hundreds. 10 ms
cost nearly twice the processor at a thousand messages a second, and no river is that quick.
"""
RETRY_S = 0.05
"""First wait after a batch could not be stored or judged; doubled up to Limits.retry_s_max."""
FILES_OF_OTHERS = 500
"""File descriptors left to the stores and the web when every connection is taken."""


class Endpoint:
    """Takes messages from devices and acknowledges each when it is safe.

    Parameters
    ----------
    host, port : where to listen; port 0 takes a free one, `address` says which
    topics : the world that is served
    check : (station, password) -> whether to let in; called on the event loop, must not block
    now_us : clock of judgement, microseconds UTC
    process : stores and judges messages, in order; called in one thread, never twice at once. Returns when all of them
        may be acknowledged. If it raises, the same messages are handed over again after a while: it must be idempotent.
    refuse : (message, rejection, length of a body that was not read or None) -> durable when it returns; same thread
    on_status : (station, payload, arrival in microseconds) for births and last wills, in order; same thread
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        topics: Topics,
        check: Callable[[str, str], bool],
        now_us: Callable[[], int],
        process: Callable[[Sequence[Message]], None],
        refuse: Callable[[Message, Rejection, int | None], None],
        on_status: Callable[[str, bytes, int], None],
        limits: Limits | None = None,
    ) -> None:
        self.topics = topics
        self.limits = limits or Limits()
        self.counters = Counters()
        self.check = check
        self.now_us = now_us
        self.door = Door(self.limits)
        self.inbox = Inbox(self.limits)
        self._host = host
        self._port = port
        self._process = process
        self._refuse = refuse
        self._on_status = on_status
        self._gather_until_s = 0.0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ingest")
        self._server: asyncio.Server | None = None
        self._pump: asyncio.Task[None] | None = None
        self.stopping = False
        self.healthy = True
        """False from a batch that could not be stored or judged until it could."""

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError : the address cannot be had
        """
        _allow_files(self.limits.connections + FILES_OF_OTHERS)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), self._host, self._port, backlog=1024)
        self._pump = loop.create_task(self._run())
        self._pump.add_done_callback(self._pump_ended)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened to, after `start`."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the endpoint is not listening")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting and reading, finish and acknowledge what has been taken in, close. Takes `timeout_s` at most.

        What is not finished by then stays unacknowledged, and the devices will send it again. Last wills are not taken:
        it is we who leave.
        """
        if self._server is None or self._pump is None:
            self._thread.shutdown(wait=False)
            return
        self.stopping = True
        self.door.is_shut = True
        self._server.close()
        for connection in self.door.guests():
            connection.hold()
        self._wake.set()
        _, unfinished = await asyncio.wait([self._pump], timeout=timeout_s)
        if unfinished:
            log.error("ingest: stopped after %g s without storing all; the devices keep the rest", timeout_s)
            self._pump.cancel()
            await asyncio.wait([self._pump])
        for connection in self.door.guests():
            connection.close("stopped")
        deadline_s = asyncio.get_running_loop().time() + self.limits.close_s + 0.5
        while len(self.door) and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(0.005)
        await self._server.wait_closed()
        self._thread.shutdown(wait=False, cancel_futures=True)

    # One batch after the other.

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn."""
        if not self.inbox.size:
            self._gather_until_s = asyncio.get_running_loop().time() + GATHER_S
            self._wake.set()
        self.inbox.put(arrival)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping or self.inbox.size:
            if not self.inbox.size:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self.stopping:
                await asyncio.sleep(max(0.0, self._gather_until_s - loop.time()))
            batch = self.inbox.take(self.limits.batch_messages)
            self._gather_until_s = loop.time() + GATHER_S
            await self._finish(batch)
            self._acknowledge(batch)

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        if not pump.cancelled() and (error := pump.exception()) is not None:
            self.healthy = False
            log.critical("ingest: a defect of ours; nothing is taken in until a restart", exc_info=error)

    async def _finish(self, batch: Sequence[Arrival]) -> None:
        """Have a batch done, however often it takes; nothing behind it overtakes it."""
        loop = asyncio.get_running_loop()
        work = _Work.of(batch)
        wait_s = RETRY_S
        while True:
            try:
                await loop.run_in_executor(self._thread, self._do, work)
            except Exception:  # Whatever it was: a batch is never given up.
                self.counters.failed_batches += 1
                if self.healthy:
                    log.exception("ingest: a batch of %d could not be stored or judged; trying again", len(batch))
                self.healthy = False
                await asyncio.sleep(min(wait_s, self.limits.retry_s_max))
                wait_s *= 2
            else:
                if not self.healthy:
                    log.warning("ingest: batches are stored and judged again")
                self.healthy = True
                return

    def _do(self, work: "_Work") -> None:
        """Run in the thread. Keeps account of what is done, so that a second try goes on where the first one failed."""
        if work.readings:
            self._process(work.readings)
            work.readings = []
        while work.others:
            arrival = work.others[0]
            if arrival.rejection is not None:
                self._refuse(arrival.message, arrival.rejection, arrival.unread_bytes)
            else:
                self._on_status(arrival.status_of, arrival.message.payload, arrival.message.received_us)
            work.others.popleft()

    def _acknowledge(self, batch: Sequence[Arrival]) -> None:
        runs: dict[Sender, list[int]] = {}
        ended: list[Sender] = []
        for arrival in batch:
            if arrival.packet_id:
                runs.setdefault(arrival.sender, []).append(arrival.packet_id)
            if arrival.rejection is not None:
                self.counters.refused[arrival.rejection.reason] += 1
                ended.append(arrival.sender)
        self.inbox.release(batch)
        for sender, packet_ids in runs.items():
            if sender.acknowledge(packet_ids):
                self.counters.acknowledged += len(packet_ids)
        for sender in ended:
            sender.close("refused")
        self.counters.batches += 1
        self.inbox.resume()


@dataclass(slots=True)
class _Work:
    """What is left to do of a batch."""

    readings: Sequence[Message]
    others: deque[Arrival]

    @classmethod
    def of(cls, batch: Sequence[Arrival]) -> "_Work":
        work = cls([], deque())
        readings = []
        for arrival in batch:
            if arrival.status_of or arrival.rejection is not None:
                work.others.append(arrival)
            else:
                readings.append(arrival.message)
        work.readings = readings
        return work


def _allow_files(wanted: int) -> None:
    """Raise this process' bound of open files: sockets must never leave the stores without one.

    1,024, which many systems begin with, is less than the connections we take; then the journal could not be opened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reached = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reached, hard))
    if reached < wanted:
        log.warning(
            "ingest: %d open files are allowed, but %d may be needed; raise the limit (nofile)", reached, wanted
        )
