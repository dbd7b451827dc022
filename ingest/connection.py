"""One device's connection: reads packets, answers the cheap ones, hands messages to the inbox."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from ingest.dialect import GOOD_BYES, Dialect, dialect_of, refusal
from ingest.door import Door, judge
from ingest.inbox import Arrival, Inbox
from ingest.limits import Counters, Limits
from ingest.link import Link
from ingest.message import Message, Reason, Rejection
from ingest.packets import (
    Connect,
    Disconnect,
    Malformed,
    Packet,
    PacketReader,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    ReasonCode,
    Subscribe,
    TooLarge,
    Unsubscribe,
    UnsupportedProtocol,
    encode,
    encode_pubacks,
)
from ingest.packets.fields import text_of
from ingest.topics import Topics

log = logging.getLogger(__name__)

KEEP_ALIVE_FACTOR = 1.5
"""[MQTT-3.1.2-24, MQTT5-3.1.2-22]"""
TURN_S = 0.002
"""So long one connection is dealt with before the others get their turn. In time and not in packets, for no count of
them says what they cost: one of 4 KiB can hold a thousand filters."""
TOPIC_BYTES_KEPT = 256
"""Of a foreign topic, for the quarantine: a topic may have 64 KiB."""


class Host(Protocol):
    """What a connection needs of the endpoint."""

    topics: Topics
    limits: Limits
    counters: Counters
    check: Callable[[str, str], bool]
    now_us: Callable[[], int]
    door: Door
    inbox: Inbox

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn."""


class Connection(Link):
    """One TCP connection, from accepting it to its end."""

    def __init__(self, host: Host) -> None:
        super().__init__(host.limits, host.counters)
        self._host = host
        self._reader = PacketReader(host.limits.connect_bytes, topic_aliases=host.limits.topic_aliases)
        self._dialect = Dialect()
        self._fault = (ReasonCode.UNSPECIFIED_ERROR, "")  # why we refuse what the client sent, and in words
        self._let_in = False
        self._will: bytes | None = None
        self._data_topic = b""
        self._data_topic_text = ""
        self._status_topic = b""
        self.station = ""
        self.client = ""
        self.unacked = 0
        self.unacked_bytes = 0

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        host = self._host
        self._open(transport)
        may_stay = host.door.enter(self)
        host.counters.accepted += 1
        host.counters.connections = len(host.door)
        if not may_stay:
            self.close("too_many_connections")
            return
        self._after(host.limits.connect_s, lambda: self.close("no_connect"))

    def data_received(self, data: bytes) -> None:
        if not self._closed:
            self._reader.feed(data)
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self._closed:
            self._end("lost")
        self._cancel_timer()
        self._host.door.leave(self, was_let_in=self._let_in)
        self._host.counters.connections = len(self._host.door)

    # Called by the endpoint, the inbox and the door.

    def acknowledge(self, packet_ids: Sequence[int]) -> bool:
        """Say that these are safe; False where the peer is gone."""
        return self.send(encode_pubacks(packet_ids))

    def go_on(self) -> None:
        """Read again, first what had been received already; wait again where there is still no room."""
        if self._closed or self._ending:
            return
        if self._host.inbox.is_full_for(self):
            self._host.inbox.wait(self)
            return
        self._waiting = False
        self._beat()  # While nothing was read, silence was not the peer's fault.
        self._read()

    def close(self, cause: str) -> None:
        """Close from our side, after what was written is out; a peer that does not take it is cut off."""
        if self._closed:
            return
        self._host.counters.closed[cause] += 1
        if self._let_in and cause != "disconnect":
            log.info("ingest: connection of %s as %r closed: %s", self.station, self.client, cause)
            self.send(self._dialect.good_bye(*GOOD_BYES.get(cause, self._fault)))
        self._end(cause)
        self._transport.close()
        self._after(self._host.limits.close_s, self._transport.abort)

    def _end(self, cause: str) -> None:
        """Do once what the end of a connection asks for, whoever ended it."""
        host = self._host
        self._closed = True
        self._cancel_timer()
        self._cancel_choke_timer()
        self._reader = PacketReader(0)  # What waits in the inbox holds on to us; let it not hold half a packet too.
        host.inbox.forget(self)
        host.door.disown(self)
        will, self._will = self._will, None
        # A device that came back under another client id is not away because its old connection at last timed out.
        if will is None or cause == "stopped" or host.door.is_present(self.station):
            return
        if host.inbox.is_full:  # It cannot be made to wait; the station will be found by its silence.
            host.counters.dropped_wills += 1
            return
        message = Message(self._status_topic.decode(), will, host.now_us(), self.client)
        host.put(Arrival(message, self, status_of=self.station))

    # Reading.

    def _read(self) -> None:
        """Deal with what has been received, as far as the bounds allow, and not longer than a turn."""
        if self._closed:
            return
        received_us = self._host.now_us()
        try:
            self._read_packets(received_us)
        except Malformed as error:
            self._breach(error, received_us)
        self._adjust()

    def _read_packets(self, received_us: int) -> None:
        host, inbox = self._host, self._host.inbox
        if self._is_held():
            return
        now_s, any_read = self._loop.time, False
        end_s = now_s() + TURN_S
        for packet in self._reader.packets():
            any_read = True
            if type(packet) is Publish and packet.topic == self._data_topic and packet.qos < 2:
                message = Message(self._data_topic_text, packet.payload, received_us, self.client)
                host.put(Arrival(message, self, packet.packet_id))
                host.counters.messages += 1
            else:
                self._handle(packet, received_us)
            if self._closed or self._is_held():
                break
            if inbox.is_full_for(self):
                self._wait()
                break
            if now_s() >= end_s:
                self._rest()
                break
        if any_read:
            self._beat()

    def _handle(self, packet: Packet, received_us: int) -> None:
        """Answer anything but plain data."""
        if not self._let_in:
            if not isinstance(packet, Connect):
                raise Malformed("something else before CONNECT")  # [MQTT-3.1.0-1]
            self._connect(packet)
            return
        match packet:
            case Publish():
                self._publish(packet, received_us)
            case Pingreq():
                self.send(encode(Pingresp()))
            case Subscribe():
                self.send(self._dialect.subscribed(packet, self._host.topics.cmd(self.station)))
            case Unsubscribe():
                self.send(self._dialect.unsubscribed(packet, self._host.topics.cmd(self.station)))
            case Disconnect():
                if self._dialect.voids_will(packet):
                    self._will = None
                self.close("disconnect")
            case Puback():
                pass  # Answers nothing of ours: no message of QoS 1 is ever sent.
            case Connect():
                raise Malformed("a second CONNECT", ReasonCode.PROTOCOL_ERROR)  # [MQTT-3.1.0-2]
            case _:
                name = type(packet).__name__.upper()
                raise Malformed(f"{name}, which only a server sends", ReasonCode.PROTOCOL_ERROR)

    def _connect(self, packet: Connect) -> None:
        host = self._host
        code, station = judge(packet, topics=host.topics, check=host.check, client_id_chars=host.limits.client_id_chars)
        if code != ReasonCode.SUCCESS:
            self.send(refusal(code, packet.level))
            self.close(code.name.lower())
            return
        self.station = station
        self.client = packet.client_id or f"unnamed-{secrets.token_hex(6)}"
        self._dialect = dialect_of(packet, host.limits)
        self._data_topic_text = host.topics.data(station)
        self._data_topic = self._data_topic_text.encode()
        self._status_topic = host.topics.status(station).encode()
        self._let_in = True
        host.door.let_in(self)
        self._will = None if packet.will is None else packet.will.payload
        self._reader.limit = host.limits.packet_bytes
        self._cancel_timer()
        self._keep_alive(packet.keep_alive_s * KEEP_ALIVE_FACTOR)
        self.send(self._dialect.accepted(None if packet.client_id else self.client))

    def _publish(self, packet: Publish, received_us: int) -> None:
        """Take a message that is not plain data: a status, or one to be refused."""
        topic = packet.topic[:TOPIC_BYTES_KEPT].decode("utf-8", "replace")
        message = Message(topic, packet.payload, received_us, self.client)
        if packet.qos == 2:
            self._refuse(message, Reason.NOT_MQTT, "QoS 2 is not spoken here", ReasonCode.QOS_NOT_SUPPORTED)
        elif packet.topic == self._status_topic:
            self._host.counters.messages += 1
            self._host.put(Arrival(message, self, packet.packet_id, status_of=self.station))
        else:
            words = "may publish only to its own data and status topics"
            self._refuse(message, Reason.FOREIGN_TOPIC, words, _fault_of_topic(packet.topic))

    def _breach(self, error: Malformed, received_us: int) -> None:
        """Deal with bytes after which nothing more can be read."""
        if not self._let_in:
            self.send(refusal(error.code, self._reader.level))
            causes = {UnsupportedProtocol: "unsupported_protocol", TooLarge: "too_large"}
            self.close(causes.get(type(error), "malformed"))
            return
        message = Message("", b"", received_us, self.client)
        if isinstance(error, TooLarge):
            self._refuse(message, Reason.TOO_LARGE, error.reason, error.code, unread_bytes=error.length)
        else:
            self._refuse(message, Reason.NOT_MQTT, error.reason, error.code, unread_bytes=0)

    def _refuse(
        self, message: Message, reason: Reason, detail: str, fault: ReasonCode, *, unread_bytes: int | None = None
    ) -> None:
        """Send to quarantine in its turn. Nothing more is read; the connection is closed when the row is durable."""
        self._fault = fault, detail
        log.info("ingest: refused from %s as %r: %s: %s", self.station, self.client, reason, detail)
        if not self._host.inbox.has_room_for_refusal(self.station):
            self._host.counters.unrecorded += 1
            self.close("refused")
            return
        self._ending = True
        rejection = Rejection(reason, f"station {self.station}: {detail}")
        self._host.put(Arrival(message, self, rejection=rejection, unread_bytes=unread_bytes))

    def _wait(self) -> None:
        """Read no more until the inbox has room."""
        self._waiting = True
        self._host.counters.pauses += 1
        self._host.inbox.wait(self)


def _fault_of_topic(topic: bytes) -> ReasonCode:
    """Say what is wrong with the topic of a message that is not taken."""
    try:
        name = text_of(topic)  # [MQTT-3.3.2-1, MQTT5-3.3.2-1]
    except Malformed as error:
        return error.code
    return ReasonCode.TOPIC_NAME_INVALID if "+" in name or "#" in name else ReasonCode.NOT_AUTHORIZED
