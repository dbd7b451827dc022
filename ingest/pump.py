"""The one place behind every way in: gathers a batch, has it stored and judged, acknowledges it in runs.

The doors (`ingest.endpoint`, `ingest.broker`) live on the event loop and `put` what arrived; one thread stores and
judges, batch after batch. What arrives while the thread is busy waits in the inbox, which is bounded by not reading
from those who fill it. A batch is never given up: acknowledgement means *on disk and judged*, or *its refusal is*.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ingest.inbox import Arrival, Inbox, Sender
from ingest.limits import Counters, Limits
from ingest.message import Message, Rejection

log = logging.getLogger(__name__)

GATHER_S = 0.025
"""A batch holds at least what arrived in this time: a commit costs the same for one message and for hundreds. 10 ms
cost nearly twice the processor at a thousand messages a second, and no river is that quick.
"""
ANSWER_S = 0.005
"""And at least so long after the acknowledgements of the one before: devices that wait for them send again at once, and
would otherwise fall into two groups that take turns in batches of half the size.
"""
RETRY_S = 0.05
"""First wait after a batch could not be stored or judged; doubled up to Limits.retry_s_max."""
SAY_S = 60.0
"""How often it is said why a batch still cannot be stored or judged."""
LOOK_S = 0.005
"""How often a door that closes looks whether its last arrivals are done."""


class Pump:
    """Takes arrivals of all doors in fair turns and acknowledges each when it is safe.

    Everything but the three functions is called on the event loop that `start` ran on.

    Parameters
    ----------
    process : stores and judges messages, in order; called in one thread, never twice at once. Returns when all of them
        may be acknowledged. If it raises, the same messages are handed over again after a while: it must be idempotent.
    refuse : (message, rejection, length of a body that was not read or None) -> durable when it returns; same thread
    on_status : (station, payload, arrival in microseconds) for births and last wills, in order; same thread
    limits : bounds of what waits
    failed : called once, with what it was, when a defect of ours ended the pump: nothing is taken in from then on
    """

    def __init__(
        self,
        *,
        process: Callable[[Sequence[Message]], None],
        refuse: Callable[[Message, Rejection, int | None], None],
        on_status: Callable[[str, bytes, int], None],
        limits: Limits | None = None,
        failed: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self.limits = limits or Limits()
        self.counters = Counters()
        self.inbox = Inbox(self.limits)
        self.healthy = True
        """False from a batch that could not be stored or judged until it could."""
        self._process = process
        self._refuse = refuse
        self._on_status = on_status
        self._failed = failed
        self._stopping = False
        self._gather_until_s = 0.0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ingest")
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to store and judge."""
        self._running = asyncio.get_running_loop().create_task(self._run())
        self._running.add_done_callback(self._ended)

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Finish and acknowledge what has been taken in; the doors are stopped before. Takes `timeout_s` at most.

        What is not finished by then stays unacknowledged, and whoever sent it will send it again.
        """
        self._stopping = True
        self._wake.set()
        if self._running is not None:
            _, unfinished = await asyncio.wait([self._running], timeout=timeout_s)
            if unfinished:
                log.error("ingest: stopped after %g s without storing all; the senders keep the rest", timeout_s)
                self._running.cancel()
                await asyncio.wait([self._running])
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def finish(self, senders: Collection[Sender], timeout_s: float) -> bool:
        """Wait until everything of these senders is done; False where the time ran out first."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while any(sender.unacked for sender in senders):
            if loop.time() >= deadline_s:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn; whether there is room the door asks `inbox` before."""
        if not self.inbox.size:
            self._gather_until_s = asyncio.get_running_loop().time() + GATHER_S
            self._wake.set()
        self.inbox.put(arrival)

    def put_run(self, sender: Sender, arrivals: Sequence[Arrival], payload_bytes: int) -> None:
        """Take in a run of messages of one sender, with so many bytes in all; see `Inbox.put_run`."""
        if not self.inbox.size:
            self._gather_until_s = asyncio.get_running_loop().time() + GATHER_S
            self._wake.set()
        self.inbox.put_run(sender, arrivals, payload_bytes)

    # One batch after the other.

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping or self.inbox.size:
            if not self.inbox.size:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self._stopping:
                await asyncio.sleep(max(0.0, self._gather_until_s - loop.time()))
            batch = self.inbox.take()
            self._gather_until_s = loop.time() + GATHER_S
            await self._finish(batch)
            self._acknowledge(batch)
            self._gather_until_s = max(self._gather_until_s, loop.time() + ANSWER_S)

    def _ended(self, running: asyncio.Task[None]) -> None:
        if not running.cancelled() and (error := running.exception()) is not None:
            self.healthy = False
            log.critical("ingest: a defect of ours; nothing is taken in until a restart", exc_info=error)
            self._failed(error)

    async def _finish(self, batch: Sequence[Arrival]) -> None:
        """Have a batch done, however often it takes; nothing behind it overtakes it."""
        loop = asyncio.get_running_loop()
        work = _Work.of(batch)
        wait_s, say_s = RETRY_S, 0.0
        while True:
            try:
                spent_s = await loop.run_in_executor(self._thread, self._do, work)
            except Exception:  # Whatever it was: a batch is never given up.
                self.counters.failed_batches += 1
                self.healthy = False
                if loop.time() >= say_s:
                    log.exception("ingest: a batch of %d could not be stored or judged; trying again", len(batch))
                    say_s = loop.time() + SAY_S
                await asyncio.sleep(min(wait_s, self.limits.retry_s_max))
                wait_s *= 2
            else:
                if not self.healthy:
                    log.warning("ingest: batches are stored and judged again")
                self.healthy = True
                self.inbox.learn(spent_s)
                return

    def _do(self, work: "_Work") -> float:
        """Run in the thread; returns the seconds of the processor it took. Keeps account of what is done, so that a
        second try goes on where the first one failed.
        """
        begin_s = time.thread_time()
        if work.readings:
            self._process(work.readings)
            work.readings = []
        while work.others:
            arrival = work.others[0]
            if arrival.rejection is not None:
                self._refuse(arrival.message, arrival.rejection, arrival.unread_bytes)
            elif not arrival.is_done:
                self._on_status(arrival.status_of, arrival.message.payload, arrival.message.received_us)
            work.others.popleft()
        return time.thread_time() - begin_s

    def _acknowledge(self, batch: Sequence[Arrival]) -> None:
        runs: dict[Sender, list[int]] = {}
        ended: list[Sender] = []
        for arrival in batch:
            if arrival.packet_id:
                runs.setdefault(arrival.sender, []).append(arrival.packet_id)
            if arrival.rejection is not None:
                self.counters.refused[arrival.rejection.reason] += 1
                if arrival.ends:
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
