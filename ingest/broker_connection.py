"""One connection to a broker, from dialling to its end.

A new connection is a new object with a new paho client. So acknowledgements that were still due die with the
connection they belong to: the broker uses packet ids again, and will send the messages again.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.broker_link import BrokerLink
from ingest.broker_options import BrokerOptions
from ingest.broker_terms import DROPS_TOPIC, Unreachable, objection, refusal, subscriptions
from ingest.buffered import make_client
from ingest.inbox import Arrival
from ingest.message import Message, Reason, Rejection
from ingest.pump import Pump
from ingest.topics import Leaf, Topics

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 30
DIAL_S = 10.0
"""Name, TCP, TLS."""
ANSWER_S = 10.0
"""For CONNACK and SUBACK together."""
HEAD_BYTES = 4096
"""Of a message that is too large: what the quarantine keeps."""
TOPIC_CHARS_KEPT = 256
MESSAGES_MAX = 10_000
"""Unacknowledged or QoS 0, of one connection; beyond it nothing is read. Above any receive maximum, so that a stalled
store stops the broker by missing PUBACKs, and keep alive goes on."""


class Hub(Protocol):
    """What a connection needs of the broker door."""

    options: BrokerOptions
    topics: Topics
    pump: Pump
    now_us: Callable[[], int]

    answered: Callable[[str, bytes], Rejection | None]

    def dropped(self, payload: bytes) -> None:
        """Take the broker's own count of messages it dropped."""


class BrokerConnection(BrokerLink):
    """A sender (`ingest.inbox.Sender`) that speaks for every station behind the broker."""

    station = ""

    def __init__(self, hub: Hub) -> None:
        options = hub.options
        super().__init__(
            make_client(self._receive, options.client_id_in(hub.topics), is_mqtt_5=options.protocol == "5")
        )
        self.unacked = 0
        self.unacked_bytes = 0
        self.session_present = False
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Resolves once, to the reason why the connection is over."""
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._hub = hub
        self._client_name = f"broker {options.host}"[:TOPIC_CHARS_KEPT]
        self._place = lru_cache(maxsize=8_192)(self._parse)
        self._is_leaving = False
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect

    async def open(self, dialler: Executor) -> None:
        """Connect and subscribe; `dialler` runs the part that blocks.

        Raises
        ------
        Unreachable : not connected; nothing is left open
        """
        try:
            async with asyncio.timeout(DIAL_S):
                await self._loop.run_in_executor(dialler, self._dial)
            self._attach()
            async with asyncio.timeout(ANSWER_S):
                await self._subscribed
        except TimeoutError:
            self._end("no answer in time")
            raise Unreachable("no answer in time") from None
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one, a broken CA file
            self._end(str(error))
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self._end("refused")
            raise

    async def leave(self, timeout_s: float) -> None:
        """Read no more, acknowledge what is done in time, say good-bye; the session stays at the broker."""
        self._is_leaving = True
        self._hold()
        await self._hub.pump.finish([self], timeout_s)
        if not self._is_attached:
            return
        self._client.disconnect()
        deadline_s = self._loop.time() + 1.0
        while self._is_attached and self._loop.time() < deadline_s:
            await asyncio.sleep(0.005)
        self._end("stopped")

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Send something; with QoS 0, and where this connection ends first, it may be lost."""
        if not self._is_attached:
            return
        try:
            self._client.publish(topic, payload, qos)
        except ValueError as error:  # no topic to publish to
            log.warning("broker: nothing is sent to %r: %s", topic[:TOPIC_CHARS_KEPT], error)

    # What a sender does; called by the pump.

    def acknowledge(self, packet_ids: Sequence[int]) -> bool:
        """Say that these are safe; False where the connection is over."""
        if not self._is_attached:
            return False
        self._client.acknowledge(packet_ids)
        return True

    def close(self, cause: str) -> None:
        """End the connection."""
        self._end(cause)

    def go_on(self) -> None:
        """Read again, or wait again where there is still no room."""
        if not self._is_attached or self._is_leaving:
            return
        if self._is_full():
            self._hub.pump.inbox.wait(self)
        else:
            self._read_on()

    def _dial(self) -> None:
        """Run in a thread: everything that can block."""
        options, client = self._hub.options, self._client
        if options.ca_file:
            client.encrypt(ssl.create_default_context(cafile=options.ca_file))
        if options.username:
            client.username_pw_set(options.username, options.password)
        client.connect_timeout = DIAL_S / 2
        if options.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = options.session_expiry_s
            properties.ReceiveMaximum = options.receive_maximum
            client.connect(options.host, options.port, KEEP_ALIVE_S, clean_start=False, properties=properties)
        else:
            client.connect(options.host, options.port, KEEP_ALIVE_S)
        if self.lost.done():  # nobody waits any more
            self._shut()

    def _detach(self) -> None:
        super()._detach()
        self._hub.pump.inbox.forget(self)

    def _end(self, reason: str) -> None:
        """Be over; once."""
        self._detach()
        self._shut()
        self._over(Unreachable(reason))

    def _over(self, why: Unreachable) -> None:
        if not self.lost.done():
            self.lost.set_result(why.reason)
        if not self._subscribed.done():
            self._subscribed.set_exception(why)
            self._subscribed.exception()  # seen, also where nobody waits for it

    def _is_full(self) -> bool:
        """Whether we hold enough of this broker's; the stations that come by themselves keep half of the inbox."""
        inbox = self._hub.pump.inbox
        return (
            inbox.is_full
            or self.unacked >= MESSAGES_MAX
            or self.unacked_bytes >= self._hub.pump.limits.inbox_bytes // 2
            or not inbox.has_room_for_refusal(self.station)
        )

    def _wait(self) -> None:
        self._hub.pump.counters.pauses += 1
        self._hold()
        self._hub.pump.inbox.wait(self)

    # Called by paho, inside of `BrokerLink`.

    def _on_disconnect(self, client: Client, data: Any, flags: DisconnectFlags, code: ReasonCode, props: Any) -> None:  # noqa: ARG002
        self._over(Unreachable(f"the broker says: {code}" if flags.is_disconnect_packet_from_server else str(code)))

    def _on_connect(self, client: Client, data: Any, flags: ConnectFlags, code: ReasonCode, props: Any) -> None:  # noqa: ARG002
        if code.is_failure:
            self._over(refusal(code))
            return
        self.session_present = flags.session_present
        self._client.subscribe(subscriptions(self._hub.topics, self._hub.options))

    def _on_subscribe(self, client: Client, data: Any, mid: int, codes: list[ReasonCode], props: Any) -> None:  # noqa: ARG002
        why = objection(self._hub.topics, self._hub.options, codes)
        if why is not None:
            self._over(why)
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _receive(self, topic: bytes, payload: bytes, packet_id: int, is_retained: bool) -> None:
        """Take one message; never raises. One that we fail on stays unacknowledged: the broker keeps it."""
        try:
            self._take(topic, payload, packet_id, is_retained=is_retained)
        except Exception:
            log.exception("broker: a message to %r could not be taken in", topic[:TOPIC_CHARS_KEPT])

    def _take(self, topic: bytes, payload: bytes, packet_id: int, *, is_retained: bool) -> None:
        hub = self._hub
        name, leaf, station, is_drops = self._place(topic)
        status_of = station if leaf is Leaf.STATUS else ""
        if is_drops:
            hub.dropped(payload)
            return
        hub.pump.counters.messages += 1
        bound = hub.pump.limits.packet_bytes
        if len(payload) > bound:
            rejection = Rejection(Reason.TOO_LARGE, f"message of {len(payload)} bytes is over the bound of {bound}")
            message = Message(name, payload[:HEAD_BYTES], hub.now_us(), self._client_name)
            hub.pump.put(Arrival(message, self, packet_id, rejection=rejection, ends=False, unread_bytes=len(payload)))
            return
        if is_retained and not status_of:  # only a broker of MQTT 3.1.1 sends it, which cannot be asked not to
            rejection = Rejection(Reason.RETAINED, "kept by the broker from before we subscribed; no news")
            message = Message(name, payload[:HEAD_BYTES], hub.now_us(), self._client_name)
            hub.pump.put(Arrival(message, self, packet_id, rejection=rejection, ends=False))
            return
        if leaf is Leaf.ACK:
            wrong = hub.answered(station, payload)
            message = Message(name, payload[:HEAD_BYTES], hub.now_us(), self._client_name)
            status_of = "" if wrong else station
            hub.pump.put(Arrival(message, self, packet_id, status_of, wrong, ends=False, is_done=wrong is None))
            return
        # A topic that is nobody's goes with the readings: the pipeline refuses it, and a thousand in one commit.
        message = Message(name, payload, hub.now_us(), self._client_name)
        hub.pump.put(Arrival(message, self, packet_id, status_of=status_of))

    def _parse(self, topic: bytes) -> tuple[str, Leaf | None, str, bool]:
        """Read a topic as (text, what it is about, station, whether it is the count of drops)."""
        text = topic.decode("utf-8", "replace")[:TOPIC_CHARS_KEPT]
        place = self._hub.topics.parse(text)
        station, leaf = place or ("", None)
        return text, leaf, station, text == DROPS_TOPIC
