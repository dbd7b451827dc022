"""A running endpoint with a thread that can be held or made to fail, and a device that speaks packets by hand."""

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from ingest.certificates import TlsOptions
from ingest.connection import Connection
from ingest.endpoint import Endpoint
from ingest.limits import Limits
from ingest.message import Message, Rejection
from ingest.packets import Connack, ConnackCode, Connect, Packet, PacketReader, Publish, Will, encode
from ingest.pump import Pump
from ingest.topics import Topics

PASSWORD = "right"
PATIENCE_S = 10.0


def until(condition: Callable[[], object]) -> None:
    """Poll until it is so; fail when it does not become so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


class PumpBox:
    """A running pump in a thread of its own, whose thread that stores and judges can be held or made to fail."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.batches: list[list[Message]] = []
        self.refusals: list[tuple[Message, Rejection, int | None]] = []
        self.statuses: list[tuple[str, bytes, int]] = []
        self.now_us = 1_000
        self.gate = threading.Event()
        """While it is clear, the thread that stores and judges stands still."""
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.failures: dict[str, int] = {}
        """Times that a part is still to fail: process, refuse or on_status."""
        self.loop = asyncio.new_event_loop()
        self.defects: list[BaseException] = []
        self.pump = Pump(
            process=self._process,
            refuse=self._refuse,
            on_status=self._on_status,
            limits=limits,
            failed=self.defects.append,
        )
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.run(self.pump.start())

    def run(self, coroutine: object) -> object:
        """Run a coroutine in the pump's loop and wait for it."""
        assert asyncio.iscoroutine(coroutine)
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE_S)

    @property
    def messages(self) -> list[Message]:
        return list(itertools.chain.from_iterable(self.batches))

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    async def close_door(self) -> None:
        """Stop what lets arrivals in."""

    def close(self) -> None:
        self.gate.set()
        self.failures.clear()
        self.run(self.close_door())
        self.run(self.pump.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _pass(self, part: str) -> None:
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        if self.failures.get(part, 0):
            self.failures[part] -= 1
            raise OSError(f"{part}: disk full")

    def _process(self, messages: Sequence[Message]) -> None:
        self._pass("process")
        self.batches.append(list(messages))

    def _refuse(self, message: Message, rejection: Rejection, unread_bytes: int | None) -> None:
        self._pass("refuse")
        self.refusals.append((message, rejection, unread_bytes))

    def _on_status(self, station: str, payload: bytes, at_us: int) -> None:
        self._pass("on_status")
        self.statuses.append((station, payload, at_us))


class Box(PumpBox):
    """An endpoint on a free port."""

    def __init__(
        self, limits: Limits | None = None, prefix: str = "takean/v1", *, tls: TlsOptions | None = None
    ) -> None:
        super().__init__(limits)
        self.tls_port = 0
        self.endpoint = Endpoint(
            pump=self.pump,
            host="127.0.0.1",
            port=0,
            topics=Topics(prefix),
            check=lambda _, password: password == PASSWORD,
            now_us=lambda: self.now_us,
            tls=tls,
        )
        self.run(self.endpoint.start())
        self.port = self.endpoint.address[1]
        if tls is not None:
            self.tls_port = self.endpoint.tls_address[1]

    async def close_door(self) -> None:
        await self.endpoint.stop()


class Device:
    """A client that sends what it is told to, right or wrong."""

    def __init__(self, box: Box, *, receive_bytes: int = 0, port: int = 0) -> None:
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(("127.0.0.1", port or box.port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = PacketReader(1_000_000)
        self._waiting: list[Packet] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *what: Packet | bytes) -> Self:
        self.socket.sendall(b"".join(item if isinstance(item, bytes) else encode(item) for item in what))
        return self

    def receive(self, count: int = 1) -> list[Packet]:
        """The next packets, exactly so many."""
        while len(self._waiting) < count:
            data = self.socket.recv(65_536)
            assert data, f"closed after {self._waiting}"
            self._take(data)
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def receive_all(self) -> list[Packet]:
        """Everything until the server closes."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(65_536):
                self._take(data)
        taken, self._waiting = self._waiting, []
        return taken

    def vanish(self) -> None:
        """Go without a word, as a device does whose battery is empty."""
        self.socket.close()

    def _take(self, data: bytes) -> None:
        self._reader.feed(data)
        self._waiting += self._reader.packets()


def connect(
    box: Box,
    station: str = "WL-01",
    client: str = "gauge",
    *,
    will: bytes | None = None,
    keep_alive_s: int = 60,
) -> Device:
    """A device that has been let in."""
    device = Device(box)
    topic = box.endpoint.topics.status(station)
    given_will = None if will is None else Will(topic, will, 1, True)
    device.send(Connect(client, True, keep_alive_s, given_will, station, PASSWORD.encode()))
    assert device.receive() == [Connack(ConnackCode.ACCEPTED)]
    return device


def data(payload: bytes, packet_id: int = 0, station: str = "WL-01", *, dup: bool = False) -> Publish:
    """A message of readings, QoS 1 if it has a packet id."""
    return Publish(f"takean/v1/{station}/data".encode(), payload, min(packet_id, 1), packet_id, dup)


def numbered(count: int, station: str = "WL-01") -> Iterator[Publish]:
    """Messages 1 to `count`, each with its number as packet id and payload."""
    return (data(b"%d" % number, number, station) for number in range(1, count + 1))


def only(box: Box) -> Connection:
    """The one connection that is open."""
    (guest,) = box.endpoint.door.guests()
    assert isinstance(guest, Connection)
    return guest


def narrow(box: Box) -> None:
    """Let the kernel and the loop keep little of what the one peer does not take."""
    done = threading.Event()

    def act() -> None:
        transport = only(box)._transport
        transport = getattr(transport, "_transport", transport)  # below TLS
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        transport.set_write_buffer_limits(high=8_192)
        done.set()

    box.loop.call_soon_threadsafe(act)
    assert done.wait(10)
