"""One device's connection: reads packets, answers the cheap ones, hands messages to the inbox."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from ingest.commands import Commands
from ingest.dialect import GOOD_BYES, Dialect, dialect_of, refusal
from ingest.door import Door, judge
from ingest.inbox import MESSAGE_BYTES, Arrival, Inbox, Sender
from ingest.limits import Counters, Limits
from ingest.link import Link
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
    encode_pubacks,
)
from ingest.packets.fields import text_of
from ingest.rights import TOPIC_BYTES_KEPT, Rights
from ingest.telling import Telling
from ingest.topics import Topics

log = logging.getLogger(__name__)

KEEP_ALIVE_FACTOR = 1.5
"""[MQTT-3.1.2-24, MQTT5-3.1.2-22]"""
TURN_S = 0.002
"""So long one connection is dealt with before the others get their turn. In time and not in packets, for no count of
them says what they cost: one of 4 KiB can hold a thousand filters."""
RUN = 64
"""Plain messages that are taken at a time, a few microseconds each: what is left of the turn is looked at between."""


class Host(Protocol):
    """What a connection needs of the endpoint."""

    topics: Topics
    limits: Limits
    counters: Counters
    check: Callable[[str, str], bool]
    reach: Callable[[str], Reach | None]
    now_us: Callable[[], int]
    door: Door
    inbox: Inbox
    commands: Commands

    def turned_away(self, address: str, cause: str, why: str) -> None:
        """Say why somebody was not let in."""

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn."""

    def put_run(self, sender: Sender, arrivals: Sequence[Arrival], payload_bytes: int) -> None:
        """The same of messages; see `Inbox.put_run`."""


class Connection(Link):
    """One TCP connection, from accepting it to its end."""

    def __init__(self, host: Host) -> None:
        super().__init__(host.limits, host.counters)
        self._host = host
        self._reader = PacketReader(host.limits.connect_bytes, topic_aliases=host.limits.topic_aliases)
        self._dialect = Dialect()
        self._fault = (ReasonCode.UNSPECIFIED_ERROR, "")  # why we refuse what the client sent, and in words
        self.is_let_in = False
        self._will: Will | None = None
        self._rights: Rights | None = None
        self._data_field = b""  # see Rights; empty before a station is let in
        self._data_topic = ""
        self._telling: Telling | None = None  # from the first subscription on
        self.station = ""
        self.client = ""
        self.is_network = False
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
        self._host.door.leave(self, was_let_in=self.is_let_in)
        self._host.counters.connections = len(self._host.door)

    # Called by the endpoint, the inbox and the door.

    def acknowledge(self, packet_ids: Sequence[int]) -> bool:
        """Say that these are safe; False where the peer is gone."""
        return self.send(encode_pubacks(packet_ids))

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
        inbox = self._host.inbox
        if self._is_held():
            return
        reader, packets = self._reader, None
        begin_s = self._loop.time()
        while True:
            if not (self._data_field and self._take_run(received_us)):
                packets = packets or reader.packets()
                packet = next(packets, None)
                if packet is None:
                    break
                self._handle(packet, received_us)
            self._alive_s = begin_s
            if self._closed or self._is_held():
                break
            if inbox.is_full_for(self):
                self._wait()
                break
            if reader.is_drained:
                break
            if self._loop.time() - begin_s >= TURN_S:
                self._rest()
                break

    def _take_run(self, received_us: int) -> bool:
        """Take the plain messages that stand next; False where there is none."""
        most, most_bytes = self._host.inbox.room_for(self)
        run = self._reader.run(self._data_field, most if most < RUN else RUN, most_bytes - RUN * MESSAGE_BYTES)
        if not run:
            return False
        host, topic, client = self._host, self._data_topic, self.client
        if len(run) == 1:  # as of most devices
            packet_id, payload = run[0]
            host.put(Arrival(Message(topic, payload, received_us, client), self, packet_id))
        else:
            messages = [Message(topic, payload, received_us, client) for _, payload in run]
            arrivals = [Arrival(message, self, one[0]) for message, one in zip(messages, run, strict=True)]
            host.put_run(self, arrivals, sum([len(message.payload) for message in messages]))
        host.counters.messages += len(run)
        return True

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
            if packet.qos == 2:
                self._refuse(message, Reason.NOT_MQTT, "QoS 2 is not spoken here", ReasonCode.QOS_NOT_SUPPORTED)
            else:
                kind = "the topics of its kind" if self.is_network else "its own data and status topics"
                words = f"may publish only to {kind}"
                self._refuse(message, Reason.FOREIGN_TOPIC, words, _fault_of_topic(packet.topic))
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
