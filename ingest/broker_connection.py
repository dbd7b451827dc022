"""One connection to a broker, from dialling to its end: paho-mqtt on our event loop, without a thread of its own.

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
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.broker_options import BrokerOptions
from ingest.buffered import make_client
from ingest.inbox import Arrival
from ingest.message import Message, Reason, Rejection
from ingest.pump import Pump
from ingest.topics import Leaf, Topics

log = logging.getLogger(__name__)

DROPS_TOPIC = "$SYS/broker/publish/messages/dropped"
"""Mosquitto's count of messages it did not deliver, since its start; other brokers do not send it."""
KEEP_ALIVE_S = 30
DIAL_S = 10.0
"""Name, TCP, TLS."""
ANSWER_S = 10.0
"""For CONNACK and SUBACK together."""
MISC_S = 1.0
"""How often paho looks at its keep alive."""
HEAD_BYTES = 4096
"""Of a message that is too large: what the quarantine keeps."""
TOPIC_CHARS_KEPT = 256
MESSAGES_MAX = 10_000
"""Unacknowledged or QoS 0, of one connection; beyond it nothing is read. Above any receive maximum, so that a stalled
store stops the broker by missing PUBACKs, and keep alive goes on."""


class Unreachable(Exception):
    """There is no connection, and why.

    `remedy`: what to do where the broker is there but does not give us what we need; empty otherwise.
    """

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Hub(Protocol):
    """What a connection needs of the broker door."""

    options: BrokerOptions
    topics: Topics
    pump: Pump
    now_us: Callable[[], int]

    answered: Callable[[str, bytes], Rejection | None]

    def dropped(self, payload: bytes) -> None:
        """Take the broker's own count of messages it dropped."""


class BrokerConnection:
    """A sender (`ingest.inbox.Sender`) that speaks for every station behind the broker."""

    station = ""

    def __init__(self, hub: Hub) -> None:
        self.unacked = 0
        self.unacked_bytes = 0
        self.session_present = False
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = loop.create_future()
        """Resolves once, to the reason why the connection is over."""
        self._subscribed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._hub = hub
        self._client_name = f"broker {hub.options.host}"[:TOPIC_CHARS_KEPT]
        self._place = lru_cache(maxsize=8_192)(self._parse)
        self._is_attached = False
        self._is_held = False
        self._is_leaving = False
        self._misc: asyncio.TimerHandle | None = None
        self._client = make_client(
            self._receive, hub.options.client_id_in(hub.topics), is_mqtt_5=hub.options.protocol == "5"
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_socket_close = self._on_socket_close
        self._client.on_socket_register_write = self._on_write_wanted
        self._client.on_socket_unregister_write = self._on_write_done

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
            self._is_held = False
            self._loop.add_reader(self._fileno, self._on_readable)

    # The socket. paho closes it itself when the broker goes; it tells `_on_socket_close` before.

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

    def _attach(self) -> None:
        found = self._client.socket()
        if found is None:
            raise ConnectionError("closed at once")
        self._fileno = found.fileno()
        self._is_attached = True
        self._loop.add_reader(self._fileno, self._on_readable)
        if self._client.want_write():
            self._loop.add_writer(self._fileno, self._on_writable)
        self._misc = self._loop.call_later(MISC_S, self._on_time)

    def _detach(self) -> None:
        if self._is_attached:
            self._is_attached = False
            self._loop.remove_reader(self._fileno)
            self._loop.remove_writer(self._fileno)
            self._hub.pump.inbox.forget(self)
        if self._misc is not None:
            self._misc.cancel()

    def _shut(self) -> None:
        if (found := self._client.socket()) is not None:
            found.close()

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

    def _hold(self) -> None:
        if self._is_attached and not self._is_held:
            self._is_held = True
            self._loop.remove_reader(self._fileno)

    def _is_full(self) -> bool:
        """Whether we hold enough of this broker's; the stations that come by themselves keep half of the inbox."""
        inbox = self._hub.pump.inbox
        return (
            inbox.is_full
            or self.unacked >= MESSAGES_MAX
            or self.unacked_bytes >= self._hub.pump.limits.inbox_bytes // 2
            or not inbox.has_room_for_refusal(self.station)
        )

    def _guarded(self, work: Callable[[], object]) -> None:
        """Have paho do something; whatever it throws ends this connection and nothing else."""
        try:
            work()
        except Exception as error:
            log.exception("broker: a defect in reading; connecting anew")
            self._end(f"a defect: {error!r}")

    def _on_readable(self) -> None:
        self._guarded(self._client.loop_read)
        if self._is_attached and self._is_full():
            self._hub.pump.counters.pauses += 1
            self._hold()
            self._hub.pump.inbox.wait(self)

    def _on_writable(self) -> None:
        self._guarded(self._client.loop_write)

    def _on_time(self) -> None:
        self._misc = self._loop.call_later(MISC_S, self._on_time)
        self._guarded(self._client.loop_misc)

    # Called by paho, inside of the above.

    def _on_write_wanted(self, *_: Any) -> None:
        if self._is_attached:
            self._loop.add_writer(self._fileno, self._on_writable)

    def _on_write_done(self, *_: Any) -> None:
        if self._is_attached:
            self._loop.remove_writer(self._fileno)

    def _on_socket_close(self, *_: Any) -> None:
        if self._is_attached:
            self._detach()

    def _on_disconnect(self, client: Client, data: Any, flags: DisconnectFlags, code: ReasonCode, props: Any) -> None:  # noqa: ARG002
        self._over(Unreachable(f"the broker says: {code}" if flags.is_disconnect_packet_from_server else str(code)))

    def _on_connect(self, client: Client, data: Any, flags: ConnectFlags, code: ReasonCode, props: Any) -> None:  # noqa: ARG002
        if code.is_failure:
            remedy = _LET_IN if code.value in _LOGIN_REFUSED else ""
            self._over(Unreachable(f"the broker refuses: {code}", remedy=remedy))
            return
        self.session_present = flags.session_present
        # QoS 1 at most, so that QoS 2 never comes. The count is a courtesy: a broker may keep it from us.
        data, status = self._data_topics(), self._hub.topics.status("+")
        ack = self._hub.topics.ack("+")
        if self._client.is_mqtt_5:
            new = SubscribeOptions(qos=1, noLocal=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            kept = {status: SubscribeOptions(qos=1), ack: new, DROPS_TOPIC: SubscribeOptions(qos=0)}
            self._client.subscribe([*((topic, new) for topic in data), *kept.items()])
        else:
            self._client.subscribe([*((topic, 1) for topic in data), (status, 1), (ack, 1), (DROPS_TOPIC, 0)])

    def _data_topics(self) -> list[str]:
        return [self._hub.topics.data("+"), *self._hub.options.topics]

    def _on_subscribe(self, client: Client, data: Any, mid: int, codes: list[ReasonCode], props: Any) -> None:  # noqa: ARG002
        *codes, ack, drops = codes
        for topic, code in zip([*self._data_topics(), self._hub.topics.status("+")], codes, strict=True):
            if code.is_failure or code.value < 1:
                remedy = _LET_IN if code.is_failure else _GRANT_QOS_1
                self._over(Unreachable(f"the broker answers our subscription to {topic} with: {code}", remedy=remedy))
                return
        if ack.is_failure:
            log.warning("broker: it does not let us read answers to commands; look at its acl_file")
        if drops.is_failure:
            log.warning("broker: it does not let us see %s; what it drops will not be noticed", DROPS_TOPIC)
        if not self._subscribed.done():
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


_LET_IN = (
    "Set user name and password as the broker has them (mosquitto_passwd), and let this user read the topics (acl_file)"
)
_GRANT_QOS_1 = (
    "Let it grant QoS 1 (mosquitto.conf: no max_qos 0): by QoS 0 it keeps nothing for us and hears no acknowledgement"
)
_LOGIN_REFUSED = frozenset({0x04, 0x05, 0x86, 0x87})
"""CONNACK: bad user name or password, not authorised; in MQTT 3.1.1 and 5. paho gives those of 5 for both."""
