"""The two ways from a device to a running box, so that one test goes through both."""

import itertools
import os
import signal
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from bench.mqtt_load import connect, packet, text
from tests import certificates
from tests.live.crash import await_successor, kill_worker, until, worker_pid
from tests.live.installation import Installation, free_port
from tests.live.mosquitto import TAKEAN, Mosquitto
from tests.live.tap import Acknowledged, PacketStream, Tap

QUIET_S = 20.0
"""Longest wait for an answer to one message."""
PREFIX = "takean/drill/v1"
PUBACK_KIND = 4


class Device:
    """One connection that speaks packets by hand."""

    def __init__(self, port: int, station: str, secret: str, context: ssl.SSLContext | None = None) -> None:
        self.socket, _ = connect("127.0.0.1", port, station, secret, QUIET_S, tls=context)
        self._ids = itertools.cycle(range(1, 65_536))
        self._packets = PacketStream()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send one message of QoS 1."""
        self.socket.sendall(published(topic, payload, next(self._ids), retain=retain))

    def acknowledged(self, count: int) -> None:
        """Wait for so many PUBACKs."""
        while count > 0:
            data = self.socket.recv(65_536)
            assert data, "the connection was closed where a PUBACK was due"
            count -= sum(packet.kind == PUBACK_KIND for packet in self._packets.feed(data))

    def is_closed(self) -> bool:
        """Whether the server closes; it is waited for."""
        return closed(self.socket)


def published(topic: str, payload: bytes, packet_id: int, *, retain: bool = False) -> bytes:
    """A PUBLISH of QoS 1 as MQTT 3.1.1 writes it."""
    return packet(0x33 if retain else 0x32, text(topic) + struct.pack(">H", packet_id) + payload)


def closed(connection: socket.socket) -> bool:
    """Whether the other side closes the connection; it is waited for."""
    connection.settimeout(QUIET_S)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


class Way(Protocol):
    """From devices to a box that runs."""

    box: Installation
    port: int
    """Where devices connect."""
    secrets: dict[str, str]

    def deliver(self, station: str, payloads: Sequence[bytes], *, retain: bool = False) -> None:
        """Publish as a station; returns when the worker has acknowledged each payload."""

    def deliver_and_kill(self, station: str, payload: bytes) -> None:
        """Publish one message, kill the worker with -9 at its acknowledgement, wait until the box is ready again."""


def device(way: Way, station: str) -> Device:
    """A connection of a station by this way."""
    return Device(way.port, station, way.secrets[station], way.context if isinstance(way, EndpointWay) else None)


def topic(station: str, prefix: str = PREFIX) -> str:
    """Where a station publishes its readings."""
    return f"{prefix}/{station}/data"


class EndpointWay:
    """Straight to our own endpoint, whose PUBACK is the worker's."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        stations: Sequence[str],
        *,
        cadence_s: float = 60.0,
        tls: bool = False,
        box: Installation | None = None,
    ) -> None:
        self.box = box or Installation(folder / "box", stations, cadence_s=cadence_s)
        self.port, self.secrets = self.box.mqtt_port, self.box.secrets
        self.context: ssl.SSLContext | None = None
        """What devices connect with, where by TLS."""
        if tls:
            self.port = free_port()
            certificate, key = certificates.make(self.box.config)
            file = self.box.config / "takean.toml"
            named = f'tls_port = {self.port}\ncertificate_file = "{certificate.name}"\nkey_file = "{key.name}"\n'
            file.write_text(file.read_text(encoding="utf-8").replace("[mqtt]\n", f"[mqtt]\nplain = false\n{named}"))
            self.context = ssl.create_default_context(cafile=str(certificate))
        stack.callback(self.box.stop)
        self.box.start()

    def deliver(self, station: str, payloads: Sequence[bytes], *, retain: bool = False) -> None:
        with device(self, station) as sender:
            for payload in payloads:
                sender.publish(topic(station), payload, retain=retain)
            sender.acknowledged(len(payloads))

    def deliver_and_kill(self, station: str, payload: bytes) -> None:
        self.deliver(station, [payload])
        kill_worker(self.box)


class BrokerWay:
    """Through a real broker; what counts is the worker's PUBACK, heard by a tap between the two."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        stations: Sequence[str],
        *,
        cadence_s: float = 60.0,
        box: Installation | None = None,
        heard: Callable[[Acknowledged], None] = lambda _: None,
    ) -> None:
        self.box = box or Installation(folder / "box", stations, cadence_s=cadence_s)
        self._listener = heard
        self.secrets, password = self.box.secrets, "the password of the worker"
        self.mosquitto = Mosquitto(folder / "mosquitto", {**self.secrets, TAKEAN: password})
        self.port = self.mosquitto.port
        stack.callback(self.mosquitto.stop)
        self.mosquitto.start()
        self.tap = Tap(self.mosquitto.port, on_ack=self._heard)
        stack.callback(self.tap.close)
        self._counting = threading.Lock()
        self._count = Counter[tuple[str, bytes]]()
        self._deadly: bytes | None = None
        self._listen_to_broker(password)
        stack.callback(self.box.stop)
        self.box.start()

    def deliver(self, station: str, payloads: Sequence[bytes], *, retain: bool = False) -> None:
        with self._counting:
            wanted = Counter((topic(station), content) for content in payloads)
            due = {message: self._count[message] + times for message, times in wanted.items()}
        with device(self, station) as sender:
            for content in payloads:
                sender.publish(topic(station), content, retain=retain)
            sender.acknowledged(len(payloads))
        until(lambda: self._reached(due), "the worker's PUBACKs")

    def deliver_and_kill(self, station: str, payload: bytes) -> None:
        self._deadly, killed = payload, worker_pid(self.box)
        self.deliver(station, [payload])
        await_successor(self.box, killed)

    def distinct(self) -> int:
        """How many different messages the worker has acknowledged."""
        return len(self._count)

    def acknowledged(self) -> set[tuple[str, bytes]]:
        """Topic and payload of what the worker has acknowledged."""
        with self._counting:
            return set(self._count)

    def _reached(self, due: dict[tuple[str, bytes], int]) -> bool:
        with self._counting:
            return all(self._count[message] >= times for message, times in due.items())

    def _heard(self, acknowledged: Acknowledged) -> None:
        if acknowledged.payload == self._deadly:
            self._deadly = None
            os.kill(worker_pid(self.box), signal.SIGKILL)
        with self._counting:
            self._count[acknowledged.topic, acknowledged.payload] += 1
        self._listener(acknowledged)

    def _listen_to_broker(self, password: str) -> None:
        """Configure the box: no endpoint of its own, and the tap in place of the broker."""
        secret = self.box.config / "broker.password"
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="utf-8")
        file = self.box.config / "takean.toml"
        rest = file.read_text(encoding="utf-8").replace("[mqtt]\n", "[mqtt]\nenabled = false\n")
        broker = f'port = {self.tap.port}\nusername = "{TAKEAN}"\npassword_file = "{secret.name}"\n'
        file.write_text(f'{rest}[broker]\nhost = "127.0.0.1"\n{broker}', encoding="utf-8")
