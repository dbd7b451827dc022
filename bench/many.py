"""Many devices from one process, as cheap as can be: single readings with QoS 1, a window over all of them.

Payloads and packets are made before the clock starts; while it runs there is a `send`, a `recv` and a count for each
handful of messages, so that the two cores belong to what is measured.
"""

import selectors
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.mqtt_load import connect

PUBACK_BYTES = 4


@dataclass(slots=True)
class _Line:
    """One connection."""

    socket: socket.socket
    packets: list[bytes]
    """Every message as a packet, in order."""
    window: int
    sent: int = 0
    answered_bytes: int = 0

    @property
    def acked(self) -> int:
        return self.answered_bytes // PUBACK_BYTES

    def fill(self) -> None:
        """Send what the window allows."""
        upto = min(len(self.packets), self.acked + self.window)
        if upto > self.sent:
            self.socket.sendall(b"".join(self.packets[self.sent : upto]))
            self.sent = upto


def packets_of(topic: str, payloads: Sequence[bytes]) -> list[bytes]:
    """Each payload as a PUBLISH of QoS 1, ids 1 to 60,000 in turn."""
    head = struct.pack(">H", len(topic)) + topic.encode()
    made = []
    for i, payload in enumerate(payloads):
        body = head + struct.pack(">H", i % 60_000 + 1) + payload
        assert len(body) < 16_384
        length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 127 | 128, len(body) >> 7])
        made.append(b"\x32" + length + body)
    return made


def drive(
    host: str,
    port: int,
    packets: Mapping[str, list[bytes]],
    secrets: Mapping[str, str],
    *,
    window: int,
    tls: ssl.SSLContext | None = None,
    begin: Callable[[], None] = lambda: None,
) -> float:
    """Send everything and wait for every PUBACK.

    Parameters
    ----------
    packets : station -> its packets; one connection for each station
    window : most messages under way on one connection
    begin : called when all are connected, before the first message

    Returns
    -------
    seconds from the first message to the last PUBACK
    """
    poll, lines = selectors.DefaultSelector(), []
    for station, own in packets.items():
        raw, _ = connect(host, port, station, secrets[station], 30.0, tls=tls)
        lines.append(_Line(raw, own, window))
        raw.setblocking(True)
        poll.register(raw, selectors.EVENT_READ, lines[-1])
    begin()
    start, open_lines = time.perf_counter(), len(lines)
    for line in lines:
        line.fill()
    while open_lines:
        for key, _ in poll.select(30.0):
            line = key.data
            data = line.socket.recv(65_536)
            assert data, "the connection was closed where a PUBACK was due"
            line.answered_bytes += len(data)
            if line.acked == len(line.packets):
                poll.unregister(line.socket)
                open_lines -= 1
            else:
                line.fill()
    seconds = time.perf_counter() - start
    for line in lines:
        line.socket.close()
    poll.close()
    return seconds
