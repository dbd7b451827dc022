"""A device that wants every message acknowledged: QoS 1 over a raw socket, with a window, across crashes of the server.

Written from the standard and docs/wire.md alone, so that it shares no mistake with the endpoint it loads.

    python -m bench.mqtt_load --port 1883 --station WL-01 --password SECRET --messages 50000 --window 200
"""

import argparse
import os
import socket
import ssl
import struct
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

PACKET_IDS = 65_535
CHUNK = 64
"""Messages handed to the kernel at a time."""
MQTT_5 = 5
PUBACK, DISCONNECT = 0x40, 0xE0
FAILURE = 0x80
"""Reason codes from here on say that something went wrong (MQTT 5 section 2.4)."""
_PUBACK_BYTES = 4
_SIZES = {0x11: 4, 0x13: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_TEXTS = frozenset({0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})
_USER_PROPERTY = 0x26
"""Properties of CONNACK by their length, MQTT 5 section 2.2.2.2."""


@dataclass(slots=True)
class Report:
    """What became of the payloads."""

    acked: list[int] = field(default_factory=list)
    """Indexes of the payloads, in the order their PUBACKs came."""
    unacked: list[int] = field(default_factory=list)
    """Indexes sent or about to be sent, without PUBACK when the attempts to reconnect ran out."""
    resent: int = 0
    connections: int = 0
    seconds: float = 0.0


class Refused(Exception):
    """The server answered CONNECT with another return code than 0, or PUBACK with a failure."""


def publish(
    host: str,
    port: int,
    station: str,
    password: str,
    topic: str,
    payloads: Iterable[bytes],
    window: int = 200,
    *,
    attempts: int = 40,
    retry_s: float = 0.25,
    timeout_s: float = 30.0,
    level: int = 4,
    report: Report | None = None,
) -> Report:
    """Publish every payload with QoS 1 and wait for every PUBACK.

    Parameters
    ----------
    window : most messages under way, 1 to 65,535
    attempts : connections in a row that brought no PUBACK before giving up; at the start too
    retry_s : wait between two tries, seconds
    timeout_s : silence of the server that counts as a lost connection, seconds
    level : protocol level, 4 for MQTT 3.1.1 and 5 for MQTT 5
    report : to be filled, for who wants to look on meanwhile

    Returns
    -------
    The report; `unacked` is empty when all went well. After a lost connection what was under way is sent again, in
    order and with the DUP flag.

    Raises
    ------
    Refused : the credential is not accepted
    """
    if not 1 <= window <= PACKET_IDS:
        raise ValueError(f"window is {window}, but must be 1 to {PACKET_IDS}")
    sender = _Sender(text(topic), enumerate(payloads), report or Report(), level)
    begin = time.perf_counter()
    failures = 0
    while failures < attempts:
        acked = len(sender.report.acked)
        try:
            connection, room = connect(host, port, station, password, timeout_s, level)
            with connection:
                sender.report.connections += 1
                if sender.run(connection, min(window, room)):
                    break
        except OSError:
            pass
        failures = 0 if len(sender.report.acked) > acked else failures + 1
        if failures < attempts:
            time.sleep(retry_s)
    sender.report.seconds = time.perf_counter() - begin
    sender.report.unacked = [index for index, _ in sender.under_way.values()]
    return sender.report


@dataclass(slots=True)
class _Sender:
    topic: bytes
    payloads: Iterator[tuple[int, bytes]]
    report: Report
    level: int
    under_way: OrderedDict[int, tuple[int, bytes]] = field(default_factory=OrderedDict)
    """Packet id -> index and payload, in the order first sent."""
    _next_id: int = 0
    _exhausted: bool = False

    def run(self, connection: socket.socket, window: int) -> bool:
        """Work on one connection. True when all is acknowledged, False when the server closed."""
        again = [self._packet(packet_id, payload, dup=True) for packet_id, (_, payload) in self.under_way.items()]
        self.report.resent += len(again)
        for start in range(0, len(again), CHUNK):
            connection.sendall(b"".join(again[start : start + CHUNK]))
        received = b""
        while True:
            out = self._fill(window)
            if out:
                connection.sendall(out)
            if not self.under_way and self._exhausted:
                connection.sendall(b"\xe0\x00")
                return True
            data = connection.recv(65_536)
            if not data:
                return False
            received = self._take_acks(received + data)

    def _fill(self, window: int) -> bytes:
        """New packets up to the window; none while little room is free, so that the kernel is not asked for each."""
        room = window - len(self.under_way)
        if self._exhausted or room < min(CHUNK, (window + 1) // 2):
            return b""
        packets = []
        for _ in range(room):
            item = next(self.payloads, None)
            if item is None:
                self._exhausted = True
                break
            packet_id = self._free_id()
            self.under_way[packet_id] = item
            packets.append(self._packet(packet_id, item[1], dup=False))
        return b"".join(packets)

    def _take_acks(self, data: bytes) -> bytes:
        if data[0] == DISCONNECT:  # MQTT 5: the server says why it leaves
            raise ConnectionError(f"DISCONNECT {data[:4].hex()}")
        start = 0
        while len(data) - start >= _PUBACK_BYTES:
            head, length, packet_id = struct.unpack_from(">BBH", data, start)
            if head != PUBACK or (length != 2 and self.level < MQTT_5):
                raise ConnectionError(f"packet {head:#x} of {length} bytes where only PUBACK was due")
            if len(data) < start + 2 + length:
                break
            if length > 2 and data[start + 4] >= FAILURE:
                raise Refused(f"PUBACK with reason code {data[start + 4]:#x}")
            item = self.under_way.pop(packet_id, None)
            if item is not None:
                self.report.acked.append(item[0])
            start += 2 + length
        return data[start:]

    def _free_id(self) -> int:
        while True:
            self._next_id = self._next_id % PACKET_IDS + 1
            if self._next_id not in self.under_way:
                return self._next_id

    def _packet(self, packet_id: int, payload: bytes, *, dup: bool) -> bytes:
        properties = b"\0" if self.level == MQTT_5 else b""
        body = self.topic + struct.pack(">H", packet_id) + properties + payload
        return packet(0x3A if dup else 0x32, body)


def connect(
    host: str,
    port: int,
    station: str,
    password: str,
    timeout_s: float,
    level: int = 4,
    tls: ssl.SSLContext | None = None,
) -> tuple[socket.socket, int]:
    """A connection that the server has let in, and how many messages it takes at a time."""
    connection = socket.create_connection((host, port), timeout=timeout_s)
    if tls is not None:
        connection = tls.wrap_socket(connection, server_hostname=host)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fields = b"".join(map(text, (f"load-{station}-{os.getpid()}", station, password)))
        properties = b"\0" if level == MQTT_5 else b""
        head = b"\0\4MQTT" + bytes([level, 0xC2]) + struct.pack(">H", 600)
        connection.sendall(packet(0x10, head + properties + fields))
        answer = _exactly(connection, 2)
        answer += _exactly(connection, answer[1])
        if answer[3]:
            raise Refused(f"CONNACK with return code {answer[3]}")
    except BaseException:
        connection.close()
        raise
    return connection, _receive_maximum(answer[5:]) if level == MQTT_5 else PACKET_IDS


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        data = connection.recv(count - len(received))
        if not data:
            raise ConnectionError("closed before CONNACK")
        received += data
    return received


def _receive_maximum(properties: bytes) -> int:
    """The Receive Maximum among the properties of a CONNACK, MQTT 5 section 3.2.2.3.

    Raises
    ------
    ConnectionError : a property that CONNACK does not have
    """
    at = 0
    while at < len(properties):
        name = properties[at]
        if name == 0x21:
            return int.from_bytes(properties[at + 1 : at + 3])
        if name in _TEXTS:
            at += 3 + int.from_bytes(properties[at + 1 : at + 3])
        elif name == _USER_PROPERTY:
            at += 3 + int.from_bytes(properties[at + 1 : at + 3])
            at += 2 + int.from_bytes(properties[at : at + 2])
        elif name in _SIZES:
            at += 1 + _SIZES[name]
        else:
            raise ConnectionError(f"CONNACK has property {name:#x}")
    return PACKET_IDS


def text(value: str) -> bytes:
    """A string as MQTT writes it."""
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(head: int, body: bytes) -> bytes:
    """A packet: first byte, remaining length, body."""
    out, length = bytearray([head]), len(body)
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    out.append(length)
    return bytes(out) + body


def readings(count: int, start_ms: int) -> Iterator[bytes]:
    """Payloads of a gauge that is read every second: two values each, about 90 bytes."""
    for index in range(count):
        stage_m = 2 + (index % 997) / 1000
        yield (
            b'{"ts": %d, "seq": %d, "values": {"stage_m": %.3f, "battery_v": 3.91}}'
            % (start_ms + index * 1000, index, stage_m)
        )


def main() -> None:
    """Load an endpoint that is already running and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--prefix", default="takean/v1")
    parser.add_argument("--station", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--window", type=int, default=200)
    parser.add_argument("--level", type=int, choices=(4, 5), default=4, help="5 for MQTT 5")
    given = parser.parse_args()
    payloads = readings(given.messages, round(time.time() * 1000) - given.messages * 1000)
    topic = f"{given.prefix}/{given.station}/data"
    report = publish(
        given.host, given.port, given.station, given.password, topic, payloads, given.window, level=given.level
    )
    print(f"acknowledged {len(report.acked)} of {given.messages} in {report.seconds:.2f} s")
    print(f"{len(report.acked) / report.seconds:,.0f} messages/s, {report.resent} sent again")


if __name__ == "__main__":
    main()
