"""The least MQTT 3.1.1 endpoint that a device can talk to, on raw sockets: it acknowledges, or not."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from types import TracebackType
from typing import NamedTuple, Self

CONNACK_REFUSED = 5
"""Not authorized."""


class Packet(IntEnum):
    CONNECT = 1
    PUBLISH = 3
    SUBSCRIBE = 8
    PINGREQ = 12
    DISCONNECT = 14


class Published(NamedTuple):
    packet_id: int
    repeated: bool
    retained: bool
    topic: str
    payload: bytes


class Connected(NamedTuple):
    client: str
    user: str
    password: str
    will_topic: str
    will: bytes


class Acceptor:
    """Listens on loopback; everything received is kept in order. `away` and `back` play an outage."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.connects: list[Connected] = []
        self.published: list[Published] = []
        self.disconnects = 0
        self.acknowledges = threading.Event()
        self.acknowledges.set()
        self.most_unacknowledged = 0
        self.to_say: list[bytes] = []
        """To whoever subscribes."""
        self.port = 0
        self._refuse = refuse
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.away()

    def back(self) -> None:
        """Listen, on the same port as before."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._sockets.append(listener)
        self._start(self._accept, listener)

    def away(self) -> None:
        """Close everything, listener first, and wait until nothing runs."""
        while self._sockets:
            connection = self._sockets.pop(0)
            with suppress(OSError):  # the other side was faster
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def data(self, station: str) -> list[Published]:
        """What arrived on a station's data topic."""
        with self._lock:
            return [p for p in self.published if p.topic.endswith(f"/{station}/data")]

    def _tell(self, connection: socket.socket, body: bytes) -> None:
        """Grant a subscription, and send what is to be said, QoS 0."""
        (size,) = struct.unpack_from("!H", body, 2)
        topic = body[4 : 4 + size]
        connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
        for said in self.to_say:
            whole = struct.pack("!H", size) + topic + said
            assert len(whole) < 128
            connection.sendall(bytes((0x30, len(whole))) + whole)

    def _start(self, work: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(connection,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                self._sockets.append(connection)
                self._start(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        owed = 0
        with connection, connection.makefile("rb") as stream:
            try:
                while header := stream.read(1):
                    body = stream.read(_remaining_length(stream.read))
                    match Packet(header[0] >> 4):
                        case Packet.CONNECT:
                            self.connects.append(_connect(body))
                            connection.sendall(bytes((0x20, 2, 0, CONNACK_REFUSED if self._refuse else 0)))
                        case Packet.PUBLISH:
                            published = _publish(header[0], body)
                            with self._lock:
                                self.published.append(published)
                            if self.acknowledges.is_set():
                                connection.sendall(b"\x40\x02" + struct.pack("!H", published.packet_id))
                            else:
                                owed += 1
                                self.most_unacknowledged = max(self.most_unacknowledged, owed)
                        case Packet.SUBSCRIBE:
                            self._tell(connection, body)
                        case Packet.PINGREQ:
                            connection.sendall(b"\xd0\x00")
                        case Packet.DISCONNECT:
                            self.disconnects += 1
            except OSError:
                return


def _remaining_length(read: Callable[[int], bytes]) -> int:
    length, shift = 0, 0
    while True:
        (byte,) = read(1)
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length
        shift += 7


def _publish(header: int, body: bytes) -> Published:
    assert header >> 1 & 3 == 1, "QoS 1 was promised"
    (size,) = struct.unpack_from("!H", body)
    (packet_id,) = struct.unpack_from("!H", body, 2 + size)
    return Published(
        packet_id=packet_id,
        repeated=bool(header & 8),
        retained=bool(header & 1),
        topic=body[2 : 2 + size].decode(),
        payload=body[4 + size :],
    )


def _connect(body: bytes) -> Connected:
    assert body[:7] == b"\x00\x04MQTT\x04", "MQTT 3.1.1 was promised"
    fields, at = [], 10
    while at < len(body):
        (size,) = struct.unpack_from("!H", body, at)
        fields.append(body[at + 2 : at + 2 + size])
        at += 2 + size
    client, will_topic, will, user, password = fields
    return Connected(client.decode(), user.decode(), password.decode(), will_topic.decode(), will)
