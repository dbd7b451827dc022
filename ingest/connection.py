"""One device's connection: what it says and is told, from accepting it to its end."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Protocol

from ingest.commands import Commands
from ingest.dialect import GOOD_BYES, Dialect, dialect_of, refusal
from ingest.door import Door, judge
from ingest.inbox import Arrival
from ingest.intake import Intake, Taker
from ingest.message import Message, Reason, Rejection
from ingest.networks import Reach
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
    Will,
    encode,
)
from ingest.rights import TOPIC_BYTES_KEPT, Rights
from ingest.telling import Telling
from ingest.topics import Topics

log = logging.getLogger(__name__)

KEEP_ALIVE_FACTOR = 1.5
"""[MQTT-3.1.2-24, MQTT5-3.1.2-22]"""


class Host(Taker, Protocol):
    """What a connection needs of the endpoint."""

    topics: Topics
    check: Callable[[str, str], bool]
    reach: Callable[[str], Reach | None]
    door: Door
    commands: Commands

    def turned_away(self, address: str, cause: str, why: str) -> None:
        """Say why somebody was not let in."""


class Connection(Intake):
    """Of a station, or of a network that speaks for many."""

    _host: Host

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._dialect = Dialect()
        self._fault = (ReasonCode.UNSPECIFIED_ERROR, "")  # why we refuse what the client sent, and in words
        self.is_let_in = False
        self._will: Will | None = None
        self._rights: Rights | None = None
        self._telling: Telling | None = None  # from the first subscription on
        self.is_network = False

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

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self._closed:
            self._end("lost")
        self._cancel_timer()
        self._host.door.leave(self, was_let_in=self.is_let_in)
        self._host.counters.connections = len(self._host.door)

    # Called by the endpoint and the door.

    def tell(self, topic: str, payload: bytes, command: str) -> bool:
        """Publish to the device, which must hear this; see `ingest.commands.Listener`."""
        if self._telling is None or self._closed or self._choked:
            return False
        data = self._telling.publish(topic, payload, command)
        return bool(data) and self.send(data)

    def turn_away(self, cause: str, why: str) -> None:
        """Close, and say why where nobody had been let in; afterwards the log names the station."""
        if not self.is_let_in and not self._closed:
            self._host.turned_away(self.address, cause, why)
        self.close(cause)

    def close(self, cause: str) -> None:
        """Close from our side, after what was written is out; a peer that does not take it is cut off."""
        if self._closed:
            return
        self._host.counters.closed[cause] += 1
        if self.is_let_in and cause != "disconnect":
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
        if self._telling is not None:
            host.commands.leave(self, self._telling.topics)
        will, self._will = self._will, None
        # A device that came back under another client id is not away because its old connection at last timed out.
        if will is None or cause == "stopped" or (not self.is_network and host.door.is_present(self.station)):
            return
        if host.inbox.is_full:  # It cannot be made to wait; the station will be found by its silence.
            host.counters.dropped_wills += 1
            return
        message = Message(will.topic, will.payload, host.now_us(), self.client)
        place = self._rights.place(will.topic.encode()) if self._rights is not None else None
        host.put(Arrival(message, self, status_of=place.status_of if place is not None else ""))

    # What it says.

    def _handle(self, packet: Packet, received_us: int) -> None:
        """Answer anything but plain data."""
        rights = self._rights
        if rights is None:
            if not isinstance(packet, Connect):
                raise Malformed("something else before CONNECT")  # [MQTT-3.1.0-1]
            self._connect(packet)
            return
        match packet:
            case Publish():
                self._publish(packet, received_us, rights)
            case Pingreq():
                self.send(encode(Pingresp()))
            case Subscribe():
                self._subscribe(packet, rights)
            case Unsubscribe():
                self._unsubscribe(packet, rights)
            case Disconnect():
                if self._dialect.voids_will(packet):
                    self._will = None
                self.close("disconnect")
            case Puback():
                if self._telling is not None and (told := self._telling.taken(packet)) is not None:
                    self._host.commands.taken(*told)
            case Connect():
                raise Malformed("a second CONNECT", ReasonCode.PROTOCOL_ERROR)  # [MQTT-3.1.0-2]
            case _:
                name = type(packet).__name__.upper()
                raise Malformed(f"{name}, which only a server sends", ReasonCode.PROTOCOL_ERROR)

    def _connect(self, packet: Connect) -> None:
        host = self._host
        code, station = judge(
            packet,
            topics=host.topics,
            check=host.check,
            reach=host.reach,
            client_id_chars=host.limits.client_id_chars,
        )
        if code != ReasonCode.SUCCESS:
            self.send(refusal(code, packet.level))
            self.turn_away(code.name.lower(), f"as {(packet.user_name or '')[:32]!r}: {code.name}")
            return
        self.station = station
        self.client = packet.client_id or f"unnamed-{secrets.token_hex(6)}"
        self._dialect = dialect_of(packet, host.limits)
        reach = host.reach(station)
        self.is_network = reach is not None
        self._rights = rights = Rights(station, host.topics, reach)
        self._data_topic, self._data_field = rights.data_topic, rights.data_field
        self.is_let_in = True
        host.door.let_in(self)
        self._will = packet.will
        self._reader.limit = host.limits.packet_bytes
        self._cancel_timer()
        self._keep_alive(packet.keep_alive_s * KEEP_ALIVE_FACTOR)
        self.send(self._dialect.accepted(None if packet.client_id else self.client))

    def _subscribe(self, packet: Subscribe, rights: Rights) -> None:
        self.send(self._dialect.subscribed(packet, rights.hears))
        if not self._dialect.listening:
            return
        if self._telling is None:
            self._telling = Telling(self._dialect)
        for topic in dict.fromkeys(rights.hears(name) for name, _ in packet.filters):
            if topic in self._dialect.listening:
                self._host.commands.listen(self, topic)

    def _unsubscribe(self, packet: Unsubscribe, rights: Rights) -> None:
        before = set(self._dialect.listening)
        self.send(self._dialect.unsubscribed(packet, rights.hears))
        self._host.commands.leave(self, list(before - self._dialect.listening.keys()))

    def _publish(self, packet: Publish, received_us: int, rights: Rights) -> None:
        """Take a message that is not plain data: a status, an answer, one of a network, or one to be refused."""
        place = rights.place(packet.topic)
        if place is None or packet.qos == 2:
            topic = packet.topic[:TOPIC_BYTES_KEPT].decode("utf-8", "replace")
            message = Message(topic, packet.payload, received_us, self.client)
            self._refuse(message, *rights.fault(packet))
            return
        message = Message(place.topic, packet.payload, received_us, self.client)
        if place.answer_of:
            self._answer(place.answer_of, message, packet.packet_id)
        else:
            self._host.counters.messages += 1
            self._host.put(Arrival(message, self, packet.packet_id, status_of=place.status_of))

    def _answer(self, station: str, message: Message, packet_id: int) -> None:
        """Take what a device says of a command; it is acknowledged in its turn."""
        self._host.counters.messages += 1
        rejection = self._host.commands.answered(station, message.payload)
        if rejection is None:
            self._host.put(Arrival(message, self, packet_id, status_of=station, is_done=True))
        elif self._host.inbox.has_room_for_refusal(self.station):
            self._host.put(Arrival(message, self, packet_id, rejection=rejection, ends=False))
        else:
            self._host.counters.unrecorded += 1
            self.close("refused")

    def _breach(self, error: Malformed, received_us: int) -> None:
        """Deal with bytes after which nothing more can be read."""
        if not self.is_let_in:
            self.send(refusal(error.code, self._reader.level))
            causes = {UnsupportedProtocol: "unsupported_protocol", TooLarge: "too_large"}
            self.turn_away(causes.get(type(error), "malformed"), error.reason)
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
        who = "network" if self.is_network else "station"
        rejection = Rejection(reason, f"{who} {self.station}: {detail}")
        self._host.put(Arrival(message, self, rejection=rejection, unread_bytes=unread_bytes))
