"""A tap on the line between worker and broker: hears which message the worker acknowledged, and when.

Written from the two standards alone (MQTT 3.1.1 and 5.0), so that it shares no mistake with the worker it listens to.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
MQTT_5 = 5
FAILURE = 0x80
"""Reason codes from here on say that something went wrong (MQTT 5 section 2.4)."""


class Packet(NamedTuple):
    """One MQTT packet, its header read and nothing else."""

    kind: int
    flags: int
    body: bytes


class Acknowledged(NamedTuple):
    """A message that the worker has acknowledged."""

    topic: str
    payload: bytes
    at_s: float
    """time.perf_counter()"""


class PacketStream:
    """Cuts a stream of bytes into packets."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Packets that are whole now."""
        self._held += data
        start = 0
        while (body := _body(self._held, start)) is not None:
            yield Packet(self._held[start] >> 4, self._held[start] & 15, self._held[body])
            start = body.stop
        self._held = self._held[start:]


def _body(held: bytes, start: int) -> slice | None:
    """Where the body of the packet at `start` lies; None where it is not whole yet."""
    length, shift = 0, 0
    for at in range(start + 1, min(start + 5, len(held))):
        length |= (held[at] & 127) << shift
        shift += 7
        if held[at] < 128:
            return slice(at + 1, at + 1 + length) if at + 1 + length <= len(held) else None
    return None


class Conversation:
    """One connection: what the broker delivered and the worker has not acknowledged yet. Packet ids mean nothing beyond
    it.
    """

    def __init__(self, heard: Callable[[Acknowledged], None], strange: Callable[[str], None]) -> None:
        self._heard = heard
        self._strange = strange
        self._level = 0
        self._delivered: dict[int, tuple[str, bytes]] = {}
        self._aliases: dict[int, bytes] = {}
        self._from_worker, self._from_broker = PacketStream(), PacketStream()

    def worker_says(self, data: bytes) -> None:
        """Read what goes to the broker: the protocol level, and PUBACKs."""
        for packet in self._from_worker.feed(data):
            if packet.kind == CONNECT:
                self._level = packet.body[2 + int.from_bytes(packet.body[:2])]
            elif packet.kind == PUBACK:
                packet_id = int.from_bytes(packet.body[:2])
                message = self._delivered.pop(packet_id, None)
                if message is None:
                    self._strange(f"PUBACK of {packet_id}, which was not delivered on this connection")
                elif len(packet.body) > 2 and packet.body[2] >= FAILURE:
                    self._strange(f"PUBACK of {packet_id} with reason code {packet.body[2]:#x}")
                else:
                    self._heard(Acknowledged(message[0], message[1], time.perf_counter()))

    def broker_says(self, data: bytes) -> None:
        """Read what goes to the worker: messages of QoS 1."""
        for packet in self._from_broker.feed(data):
            if packet.kind == PUBLISH and packet.flags >> 1 & 3 == 1:
                packet_id, topic, payload = self._published(packet.body)
                self._delivered[packet_id] = (topic.decode("utf-8", "replace"), payload)

    def _published(self, body: bytes) -> tuple[int, bytes, bytes]:
        """Packet id, topic and payload of a PUBLISH of QoS 1 (MQTT 5 section 3.3)."""
        at = 2 + int.from_bytes(body[:2])
        topic, packet_id, at = body[2:at], int.from_bytes(body[at : at + 2]), at + 2
        if self._level == MQTT_5:
            length, at = _variable(body, at)
            properties, at = body[at : at + length], at + length
            topic = self._unaliased(topic, properties)
        return packet_id, topic, body[at:]

    def _unaliased(self, topic: bytes, properties: bytes) -> bytes:
        """The topic, by its Topic Alias where it is empty. Brokers write that property first, or we hear nothing."""
        if properties[:1] == b"\x23":
            alias = int.from_bytes(properties[1:3])
            if topic:
                self._aliases[alias] = topic
            return self._aliases[alias]
        assert topic, "a message without topic and alias"
        return topic


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer and what follows it."""
    value, shift = 0, 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


class Tap:
    """Listens on a port of its own and passes everything on to the broker's port, both ways."""

    def __init__(self, broker_port: int, *, on_ack: Callable[[Acknowledged], None] = lambda _: None) -> None:
        self.acknowledged: list[Acknowledged] = []
        """In the order of the worker's PUBACKs; repeats among them."""
        self.strange: list[str] = []
        """What no client may do."""
        self.connections = 0
        self.on_ack = on_ack
        self._broker_port = broker_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._wires: list[_Wire] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        """Hang up."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for wire in self._wires:
            wire.hang_up()
            wire.join()

    def _heard(self, acknowledged: Acknowledged) -> None:
        self.acknowledged.append(acknowledged)
        self.on_ack(acknowledged)

    def _accept(self) -> None:
        while True:
            try:
                worker, _ = self._listening.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:  # it is down, and so are we
                worker.close()
                continue
            self.connections += 1
            self._wires.append(_Wire(worker, broker, Conversation(self._heard, self.strange.append)))


class _Wire:
    """One connection through the tap, carried by two threads so that neither direction waits for the other."""

    def __init__(self, worker: socket.socket, broker: socket.socket, talk: Conversation) -> None:
        self._ends = (worker, broker)
        self._threads = [
            threading.Thread(target=self._carry, args=way)
            for way in ((worker, broker, talk.worker_says), (broker, worker, talk.broker_says))
        ]
        self._left = len(self._threads)
        self._leaving = threading.Lock()
        for thread in self._threads:
            thread.start()

    def hang_up(self) -> None:
        """End both directions."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Wait until both directions have ended."""
        for thread in self._threads:
            thread.join()

    def _carry(self, source: socket.socket, sink: socket.socket, listen: Callable[[bytes], None]) -> None:
        """Carry one direction until either side ends. Listened to first: what is passed on has been heard."""
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := source.recv(65_536):
                listen(data)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            self.hang_up()
            with self._leaving:
                self._left -= 1
                if not self._left:  # the last one out closes: a number of a closed socket is soon another's
                    for end in self._ends:
                        end.close()
