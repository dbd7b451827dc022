"""The second way in: a broker between the devices and us. Same inbox, same promise: acknowledged when safe.

What a broker promises to the devices is its own affair and less than what our endpoint does; docs/broker.md says what,
and what to do about each alarm. Here the connection is kept: dialled, dialled again with growing waits, and watched
for what it loses.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ingest.broker_connection import BrokerConnection
from ingest.broker_options import BrokerOptions
from ingest.broker_terms import Unreachable
from ingest.message import Rejection
from ingest.pump import Pump
from ingest.topics import Topics

__all__ = ["Broker", "BrokerOptions"]

log = logging.getLogger(__name__)

AWAY_S = 10.0
"""So long without the broker is told; a restart of it is shorter."""
WAIT_S = 0.5
"""First wait before dialling again; doubled up to the next, and spread by half."""
WAIT_S_MAX = 30.0
STEADY_S = 30.0
"""A connection that held so long begins the waits anew. Two of us with one client id throw each other out at once."""
COUNT_MAX = 2**53 - 1
"""Of dropped messages: more is no count, and no number in JSON either."""
DONE_S = 0.05
"""How often we look whether the last connection's messages are done before dialling again."""


class Broker:
    """Takes messages from a broker, each acknowledged to it when it is safe.

    Everything is called on the event loop of the pump; nothing of it waits for the broker but `stop`, a while.

    Parameters
    ----------
    pump : started before and stopped after this
    options : where the broker is and who we are
    topics : the world that is listened to
    now_us : clock of judgement, microseconds UTC
    alarm : (name, what happened and what to do), called on the event loop; must not block. The names: `broker_away`,
        `broker_refused`, `broker_session_lost`, `broker_drops`
    answered : takes a station's answer to a command, or says what is wrong with it
    """

    def __init__(
        self,
        *,
        pump: Pump,
        options: BrokerOptions,
        topics: Topics,
        now_us: Callable[[], int],
        alarm: Callable[[str, str], None],
        answered: Callable[[str, bytes], Rejection | None] = lambda *_: None,
    ) -> None:
        self.answered = answered
        self.pump = pump
        self.options = options
        self.topics = topics
        self.now_us = now_us
        self.connected = False
        """Connected and subscribed."""
        self.away_since_s: float | None = None
        """Monotonic time since which it is not connected; None while it is, and before the start."""
        self.drops = 0
        """Messages the broker says it dropped: since its start, over all its starts that we saw."""
        self._alarm = alarm
        self._drops_seen = 0
        self._had_session = False
        self._is_refused = False  # and said so
        self._is_away_said = False
        self._connection: BrokerConnection | None = None
        self._away_timer: asyncio.TimerHandle | None = None
        self._why_away = ""
        self._dialler = ThreadPoolExecutor(1, thread_name_prefix="broker-dial")
        self._staying: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Send a command to a device; lost where the broker is away. Callable from any thread, and returns at once."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: we stop
                self._loop.call_soon_threadsafe(self._publish, topic, payload, qos)

    def _publish(self, topic: str, payload: bytes, qos: int) -> None:
        if self.connected and self._connection is not None:
            self._connection.publish(topic, payload, qos)

    async def start(self) -> None:
        """Begin to connect; returns at once, whether or not the broker is there."""
        self._loop = asyncio.get_running_loop()
        self._count_away()
        self._staying = asyncio.get_running_loop().create_task(self._stay())

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Read no more, let what has been taken in be acknowledged, sign off. Takes `timeout_s` and a second at most.

        The session stays: the broker keeps what comes meanwhile, and sends again what was not acknowledged.
        """
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait([self._staying])
        if self.connected and self._connection is not None:
            await self._connection.leave(timeout_s)
        self.connected = False
        self._cancel_away()
        self._dialler.shutdown(wait=False, cancel_futures=True)

    def dropped(self, payload: bytes) -> None:
        """Look at the broker's count of dropped messages, which begins anew when the broker does."""
        count = int(payload) if payload.isdigit() and len(payload) <= len(str(COUNT_MAX)) else COUNT_MAX + 1
        if count > COUNT_MAX:
            return
        growth = count - self._drops_seen if count >= self._drops_seen else count
        self._drops_seen = count
        if growth:
            self.drops = min(self.drops + growth, COUNT_MAX)
            self._tell(
                "broker_drops",
                f"{growth} messages dropped by the broker since we looked last (or since its start); readings may be"
                " lost although the broker acknowledged them. Set max_queued_messages 0, max_queued_bytes 0 and"
                " max_inflight_messages 2000 as in deploy/mosquitto.conf, and look at the broker's log for the client",
            )

    # Staying connected.

    async def _stay(self) -> None:
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            connection = self._connection = BrokerConnection(self)
            held_s = 0.0
            try:
                await connection.open(self._dialler)
                self._arrive(connection)
                arrived_s = loop.time()
                why = await connection.lost
                held_s = loop.time() - arrived_s
            except Unreachable as error:
                why = error.reason
                if error.remedy:
                    self._refused(why, error.remedy)
            except Exception as error:  # Whatever it was: we keep trying.
                log.exception("broker: a defect of ours; trying again")
                why = repr(error)
            self._leave_off(why)
            if held_s >= STEADY_S:
                tries = 0
            await asyncio.sleep(back_off_s(tries, random.random()))  # noqa: S311
            tries += 1
            await self._until_done(connection)

    async def _until_done(self, connection: BrokerConnection) -> None:
        """Do not take the same messages in again while they still wait: the broker will send them all."""
        while connection.unacked:
            self._why_away = "what came from it before is not stored and judged yet"
            await asyncio.sleep(DONE_S)

    def _arrive(self, connection: BrokerConnection) -> None:
        self._is_away_said = self._is_refused = False
        self._cancel_away()
        log.info(
            "broker: connected to %s:%d, %s session",
            self.options.host,
            self.options.port,
            "the same" if connection.session_present else "a new",
        )
        if self._had_session and not connection.session_present:
            self._tell(
                "broker_session_lost",
                "the broker has forgotten our session: what it held for us is gone, although it had acknowledged it to"
                " the devices. Switch persistence on, and stop the broker with SIGTERM, as in deploy/mosquitto.conf;"
                " look whether session_expiry_s or persistent_client_expiration is shorter than we were away",
            )
        self._had_session = True
        self.connected, self.away_since_s = True, None

    def _leave_off(self, why: str) -> None:
        """Note that there is no connection; the first time in a row aloud."""
        self.connected = False
        self._why_away = why
        if self._is_away_said:
            log.debug("broker: still away: %s", why)
            return
        self._is_away_said = True
        log.warning("broker: %s:%d is away, trying again and again: %s", self.options.host, self.options.port, why)
        if self.away_since_s is None:
            self._count_away()

    def _count_away(self) -> None:
        loop = asyncio.get_running_loop()
        self.away_since_s = loop.time()
        self._away_timer = loop.call_later(AWAY_S, self._tell_away)

    def _tell_away(self) -> None:
        self._tell(
            "broker_away",
            f"no connection to the broker {self.options.host}:{self.options.port} for more than {AWAY_S:g} s"
            f" ({self._why_away}); no readings come by it. Look whether it runs and can be reached",
        )

    def _cancel_away(self) -> None:
        if self._away_timer is not None:
            self._away_timer.cancel()
            self._away_timer = None

    def _refused(self, why: str, remedy: str) -> None:
        if self._is_refused:
            return
        self._is_refused = True
        self._tell(
            "broker_refused",
            f"no messages by the broker as {self.options.username or 'nobody'!r}: {why}. {remedy}",
        )

    def _tell(self, name: str, text: str) -> None:
        log.error("broker: %s: %s", name, text)
        try:
            self._alarm(name, text)
        except Exception:
            log.exception("broker: the alarm %s could not be given", name)


def back_off_s(tries: int, spread: float) -> float:
    """Seconds to wait after so many tries in a row: doubled each time up to WAIT_S_MAX.

    `spread` from 0 to 1 takes up to half of it off, so that many clients do not come back to a broker at once.
    """
    return float(min(WAIT_S_MAX, WAIT_S * 2.0 ** min(tries, 20)) * (1 - spread / 2))
