"""paho-mqtt with a buffered receive side and acknowledgements in runs: the same protocol for less of the processor.

paho asks the kernel four times for each message and builds an object for every header and property of it: 38 to 50 µs
of processor a message, here 7 to 9 (`python -m bench.broker`). Two of its private methods are replaced and three are
called; they are named in `PRIVATE`. Where a release of paho has others, its own way is used, with a warning.
"""

import logging
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from typing import Any, cast

import paho.mqtt
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode, MQTTProtocolVersion

log = logging.getLogger(__name__)

Receive = Callable[[bytes, bytes, int, bool], None]
"""(topic, payload, packet id or 0 for QoS 0, whether the broker had kept it from before we subscribed), on the thread
that reads; must not raise."""

PRIVATE = ("_create_socket", "_handle_publish", "_packet_read", "_packet_queue", "_loop_rc_handle")
"""What of paho is replaced or called below and is not in its manual; in 2.1 and 2.2 all of it is the same."""
READ_BYTES = 65_536
_PUBACK = struct.Struct("!BBH")


class BrokerClient(Client):
    """paho as it comes: every message goes to `receive` and waits for `acknowledge`."""

    def __init__(self, receive: Receive, client_id: str, *, is_mqtt_5: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if is_mqtt_5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if is_mqtt_5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.receive = receive
        self.is_mqtt_5 = is_mqtt_5
        self.on_message = self._deliver

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak TLS; to be called before connecting."""
        self.tls_set_context(context)

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        """Send PUBACKs in this order."""
        for packet_id in packet_ids:
            self.ack(packet_id, 1)

    def _deliver(self, client: Client, userdata: Any, message: MQTTMessage) -> None:  # noqa: ARG002
        try:
            topic = message.topic.encode()
        except UnicodeDecodeError:
            topic = b"\xff"  # Whatever it was: no topic of ours.
        self.receive(topic, bytes(message.payload), message.mid if message.qos else 0, message.retain)


class BufferedClient(BrokerClient):
    """The same, reading through a buffer, decoding PUBLISH in one go and writing a run of PUBACKs at once."""

    _source: "BufferedSocket"
    _context: ssl.SSLContext | None = None

    def encrypt(self, context: ssl.SSLContext) -> None:
        self._context = context

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        run = b"".join(_PUBACK.pack(MessageType.PUBACK, 2, packet_id) for packet_id in packet_ids)
        self._packet_queue(MessageType.PUBACK, run, 0, 0)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002
        """Deal with what one read of the kernel gives, so that nobody waits long for their turn."""
        if self.socket() is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        self._source.may_read = True
        while True:
            code = self._packet_read()
            if code > 0:
                return self._loop_rc_handle(code)
            # paho's AGAIN (below zero) is no end either: it also stops after a hundred pieces of one large packet.
            if not self._source.pending():
                return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _create_socket(self) -> Any:
        found = socket.create_connection((self.host, self.port), timeout=self.connect_timeout)
        if self._context is not None:
            # paho's own way leaves the socket open when a certificate is refused; this closes it.
            found = self._context.wrap_socket(found, server_hostname=self.host)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._source = BufferedSocket(found)
        return self._source

    def _handle_publish(self) -> MQTTErrorCode:
        try:
            publish = split_publish(self._in_packet["command"], bytes(self._in_packet["packet"]), self.is_mqtt_5)
        except ValueError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self.receive(*publish, bool(self._in_packet["command"] & 1))
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class BufferedSocket:
    """A socket whose `recv` serves small reads from one large one; TCP or TLS, not blocking."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._is_tls = isinstance(inner, ssl.SSLSocket)
        self._data = b""
        self._at = 0
        self.may_read = True
        """Whether the kernel may be asked: once, and then set again from outside."""
        # What paho calls besides.
        self.send: Callable[[bytes], int] = inner.send
        self.fileno: Callable[[], int] = inner.fileno
        self.setblocking: Callable[[bool], None] = inner.setblocking
        self.close: Callable[[], None] = inner.close

    def recv(self, count: int) -> bytes:
        """As of a socket: at most so many bytes; b"" at the end; BlockingIOError or ssl.SSLWantReadError for none."""
        data, at = self._data, self._at
        if at >= len(data):
            if not self.may_read and not (self._is_tls and self._inner.pending()):
                raise BlockingIOError
            self.may_read = False
            data, at = cast("bytes", self._inner.recv(READ_BYTES)), 0
            if len(data) <= count:
                self._data, self._at = b"", 0
                return data
            self._data = data
        self._at = min(at + count, len(data))
        return data[at : self._at]

    def pending(self) -> int:
        """Bytes that can be read although the kernel has none."""
        return len(self._data) - self._at or (self._inner.pending() if self._is_tls else 0)


def split_publish(first_byte: int, body: bytes, is_mqtt_5: bool) -> tuple[bytes, bytes, int]:
    """Split a PUBLISH into topic, payload and packet id (0 for QoS 0). Properties are skipped: we ask for none.

    Raises
    ------
    ValueError : it is not one, or of a QoS that was not subscribed to
    """
    qos = first_byte >> 1 & 3
    if qos > 1:
        raise ValueError("QoS 2")
    try:
        (topic_bytes,) = struct.unpack_from("!H", body)
        at = 2 + topic_bytes
        topic, packet_id = body[2:at], 0
        if qos:
            (packet_id,) = struct.unpack_from("!H", body, at)
            at += 2
        if is_mqtt_5:
            at = _after_properties(body, at)
    except (struct.error, IndexError):
        raise ValueError("cut off") from None
    if at > len(body) or (qos and not packet_id):
        raise ValueError("cut off, or packet id 0")
    return topic, body[at:], packet_id


def _after_properties(body: bytes, at: int) -> int:
    """Where the payload begins: behind a variable byte integer and as many bytes as it says (MQTT 5, 2.2.2)."""
    length = body[at]
    if length >= 0x80:
        length, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            if shift > 21:
                raise ValueError("a length of more than four bytes")
            byte = body[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
        return at + length
    return at + 1 + length


def make_client(receive: Receive, client_id: str, *, is_mqtt_5: bool) -> BrokerClient:
    """The buffered client where this release of paho allows it, otherwise paho as it comes."""
    missing = [name for name in PRIVATE if not callable(getattr(Client, name, None))]
    if not missing and paho.mqtt.__version__.startswith("2."):
        return BufferedClient(receive, client_id, is_mqtt_5=is_mqtt_5)
    log.warning(
        "broker: paho-mqtt %s is not one that ingest/buffered.py knows (%s); messages are read unbuffered, "
        "which costs about five times the processor and loses nothing",
        paho.mqtt.__version__,
        ", ".join(missing) or "not 2.x",
    )
    return BrokerClient(receive, client_id, is_mqtt_5=is_mqtt_5)
