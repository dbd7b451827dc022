"""MQTT 3.1.1 packets: bytes to values and back. Pure; the socket is elsewhere.

Numbers in brackets are the normative statements of MQTT Version 3.1.1, OASIS Standard, 29 October 2014.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum

import msgspec

PACKET_BYTES_MAX = 268_435_455
CONTROL_BYTES_MAX = 4096
"""Of any packet but PUBLISH: a SUBSCRIBE of 256 KiB would hold the event loop for a tenth of a second."""
"""Largest remaining length that four bytes can say."""


class Malformed(ValueError):
    """The peer broke the protocol; the connection cannot be read any further."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooLarge(Malformed):
    """A packet longer than we take, known from its fixed header; its body has not been read."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"packet of {length} bytes is over the bound of {limit}")
        self.length = length
        """Remaining length as the header says, bytes."""


class UnsupportedProtocol(Malformed):
    """CONNECT of a version of MQTT that is not spoken here; answered with CONNACK 0x01."""


class ConnackCode(IntEnum):
    """Connect return codes, table 3.1."""

    ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USER_NAME_OR_PASSWORD = 4
    NOT_AUTHORIZED = 5


SUBSCRIPTION_REFUSED = 0x80
"""SUBACK return code for a filter that is not granted."""


class Will(msgspec.Struct, frozen=True):
    """What the server is to say when the device falls silent."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Connect(msgspec.Struct, frozen=True):
    """First packet of a connection."""

    client_id: str
    clean_session: bool = True
    keep_alive_s: int = 0
    will: Will | None = None
    user_name: str | None = None
    password: bytes | None = None


class Connack(msgspec.Struct, frozen=True):
    """Answer to CONNECT."""

    code: int
    session_present: bool = False


class Publish(msgspec.Struct, frozen=True):
    """One message. The topic stays bytes, so that the usual one is recognised by a comparison."""

    topic: bytes
    payload: bytes
    qos: int = 0
    packet_id: int = 0
    """1 to 65535; 0 with QoS 0, which has none."""
    dup: bool = False
    retain: bool = False


class Puback(msgspec.Struct, frozen=True):
    """Answer to a PUBLISH of QoS 1."""

    packet_id: int


class Subscribe(msgspec.Struct, frozen=True):
    """Topic filters with the QoS that is asked for each."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


class Suback(msgspec.Struct, frozen=True):
    """One return code for each filter: granted QoS, or SUBSCRIPTION_REFUSED."""

    packet_id: int
    codes: tuple[int, ...]


class Unsubscribe(msgspec.Struct, frozen=True):
    """Topic filters that are no longer wanted."""

    packet_id: int
    filters: tuple[str, ...]


class Unsuback(msgspec.Struct, frozen=True):
    """Answer to UNSUBSCRIBE."""

    packet_id: int


class Pingreq(msgspec.Struct, frozen=True):
    """Sign of life of a client."""


class Pingresp(msgspec.Struct, frozen=True):
    """Sign of life of the server."""


class Disconnect(msgspec.Struct, frozen=True):
    """A client's good bye: its last will is void."""


Packet = (
    Connect | Connack | Publish | Puback | Subscribe | Suback | Unsubscribe | Unsuback | Pingreq | Pingresp | Disconnect
)


class PacketReader:
    """Cuts a TCP stream into packets, wherever the segments end.

    `feed` never parses, `packets` never waits. A caller that stops half way through `packets` finds the remaining ones
    at its next call: this is how reading is paused in the middle of a segment.
    """

    __slots__ = ("_buffer", "_needed", "_position", "_tail", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Largest remaining length taken, bytes. May be raised between two packets."""
        self._buffer = b""
        self._position = 0
        self._tail = bytearray()  # what came after an unfinished packet; joined once, when it is complete
        self._needed = 0

    def feed(self, data: bytes) -> None:
        """Take what the socket gave."""
        if self._position == len(self._buffer) and not self._tail:
            self._buffer, self._position = data, 0
        else:
            self._tail += data

    def packets(self) -> Iterator[Packet]:
        """Give every complete packet, oldest first.

        Raises
        ------
        Malformed : after the good packets before it; nothing more can be read from this stream
        TooLarge : as soon as the fixed header is there
        UnsupportedProtocol : a CONNECT of another version
        """
        self._join()
        buffer, end = self._buffer, len(self._buffer)
        while self._position < end:
            position = self._position
            if position + 1 == end:
                self._needed = 2
                break
            length, start = buffer[position + 1], position + 2
            if length > 127:
                shift, length = 7, length & 127
                while start < end:
                    byte = buffer[start]
                    start += 1
                    length |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                    if shift > 21:
                        raise Malformed("remaining length is longer than four bytes")
                else:
                    self._needed = end - position + 1
                    break
            kind, flags = buffer[position] >> 4, buffer[position] & 15
            if length > CONTROL_BYTES_MAX and kind != 3 and length <= self.limit:
                raise Malformed(f"a control packet of {length} bytes; at most {CONTROL_BYTES_MAX} are taken")
            if length > self.limit:
                raise TooLarge(length, self.limit)
            stop = start + length
            if stop > end:
                self._needed = stop - position
                break
            self._position = stop
            if kind == 3:
                yield _publish(buffer, flags, start, stop)
            else:
                yield _parse(kind, flags, buffer[start:stop])
        # A small rest must not keep the whole segment alive on an idle connection.
        self._buffer, self._position = buffer[self._position :], 0

    def _join(self) -> None:
        tail = self._tail
        if tail and len(self._buffer) - self._position + len(tail) >= self._needed:
            self._buffer, self._position = self._buffer[self._position :] + bytes(tail), 0
            self._tail = bytearray()
            self._needed = 0


def _publish(buffer: bytes, flags: int, start: int, stop: int) -> Publish:
    """Parse a PUBLISH in place: the one packet that comes by the thousand."""
    if stop - start < 2:
        raise Malformed("PUBLISH without a topic")
    begin = start + 2
    after = begin + (buffer[start] << 8 | buffer[start + 1])
    qos = flags >> 1 & 3
    packet_id = 0
    payload_start = after
    if qos:
        if qos == 3:
            raise Malformed("PUBLISH with QoS 3")  # [MQTT-3.3.1-4]
        payload_start = after + 2
        if payload_start <= stop:
            packet_id = buffer[after] << 8 | buffer[after + 1]
            if not packet_id:
                raise Malformed("PUBLISH with packet identifier 0")  # [MQTT-2.3.1-1]
    elif flags & 8:
        raise Malformed("PUBLISH of QoS 0 with the DUP flag")  # [MQTT-3.3.1-2]
    if payload_start > stop:
        raise Malformed("PUBLISH ends inside its header")
    return Publish(buffer[begin:after], buffer[payload_start:stop], qos, packet_id, flags & 8 != 0, flags & 1 != 0)


class _Body:
    """Reads the fields of one packet in order."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise Malformed("packet ends inside a field")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.take(2))

    def binary(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        return text_of(self.binary())

    def packet_id(self) -> int:
        number = self.number()
        if not number:
            raise Malformed("packet identifier 0")  # [MQTT-2.3.1-1]
        return number

    def finish(self) -> None:
        if self.more:
            raise Malformed("packet is longer than its fields")


def text_of(data: bytes) -> str:
    """Read a UTF-8 encoded string as section 1.5.3 wants it: well formed and without U+0000; Malformed otherwise."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a string is not UTF-8") from error  # [MQTT-1.5.3-1]
    if "\0" in text:
        raise Malformed("a string holds U+0000")  # [MQTT-1.5.3-2]
    return text


def _connect(body: _Body) -> Connect:
    name, level = body.binary(), body.byte()
    if name not in {b"MQTT", b"MQIsdp"}:
        raise Malformed("not MQTT")  # [MQTT-3.1.2-1]
    if name != b"MQTT" or level != 4:
        raise UnsupportedProtocol(f"protocol level {level} is not spoken here, only 4 (MQTT 3.1.1)")
    flags, keep_alive_s = body.byte(), body.number()
    has_will, will_qos, will_retain = flags & 0x04 != 0, flags >> 3 & 3, flags & 0x20 != 0
    has_password, has_user = flags & 0x40 != 0, flags & 0x80 != 0
    if flags & 1:
        raise Malformed("CONNECT with the reserved flag")  # [MQTT-3.1.2-3]
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise Malformed("CONNECT with impossible will flags")  # [MQTT-3.1.2-13, -14, -15]
    if has_password and not has_user:
        raise Malformed("CONNECT with a password but no user name")  # [MQTT-3.1.2-22]
    client_id = body.text()
    will = Will(body.text(), body.binary(), will_qos, will_retain) if has_will else None
    user_name = body.text() if has_user else None
    password = body.binary() if has_password else None
    return Connect(client_id, flags & 2 != 0, keep_alive_s, will, user_name, password)


def _connack(body: _Body) -> Connack:
    flags, code = body.byte(), body.byte()
    if flags > 1:
        raise Malformed("CONNACK with reserved flags")
    return Connack(code, flags == 1)


def _subscribe(body: _Body) -> Subscribe:
    packet_id, filters = body.packet_id(), []
    while body.more:
        topic_filter, qos = body.text(), body.byte()
        if qos > 2:
            raise Malformed("SUBSCRIBE with an impossible QoS")  # [MQTT-3.8.3-4]
        filters.append((topic_filter, qos))
    if not filters:
        raise Malformed("SUBSCRIBE without a topic filter")  # [MQTT-3.8.3-3]
    return Subscribe(packet_id, tuple(filters))


def _suback(body: _Body) -> Suback:
    packet_id, codes = body.packet_id(), []
    while body.more:
        codes.append(body.byte())
    if not codes or any(code > 2 and code != SUBSCRIPTION_REFUSED for code in codes):
        raise Malformed("SUBACK with impossible return codes")  # [MQTT-3.9.3-2]
    return Suback(packet_id, tuple(codes))


def _unsubscribe(body: _Body) -> Unsubscribe:
    packet_id, filters = body.packet_id(), []
    while body.more:
        filters.append(body.text())
    if not filters:
        raise Malformed("UNSUBSCRIBE without a topic filter")  # [MQTT-3.10.3-2]
    return Unsubscribe(packet_id, tuple(filters))


# Packet type -> the flags its fixed header must have [MQTT-2.2.2-1], and the reader of its body.
_FORMS: dict[int, tuple[int, Callable[[_Body], Packet]]] = {
    1: (0, _connect),
    2: (0, _connack),
    4: (0, lambda body: Puback(body.packet_id())),
    8: (2, _subscribe),
    9: (0, _suback),
    10: (2, _unsubscribe),
    11: (0, lambda body: Unsuback(body.packet_id())),
    12: (0, lambda _: Pingreq()),
    13: (0, lambda _: Pingresp()),
    14: (0, lambda _: Disconnect()),
}


def _parse(kind: int, flags: int, data: bytes) -> Packet:
    if kind in {5, 6, 7}:
        raise Malformed("QoS 2 is not spoken here")
    if kind not in _FORMS:
        raise Malformed(f"packet type {kind} does not exist")
    fixed_flags, read = _FORMS[kind]
    if flags != fixed_flags:
        raise Malformed(f"packet type {kind} with flags {flags}")  # [MQTT-2.2.2-2]
    body = _Body(data)
    packet = read(body)
    body.finish()
    return packet


def encode(packet: Packet) -> bytes:
    """Write one packet as it goes over the wire.

    Raises
    ------
    ValueError : a field does not fit its place (a string over 65,535 bytes, a body over PACKET_BYTES_MAX)
    """
    match packet:
        case Connect():
            return _encode_connect(packet)
        case Connack(code, session_present):
            return bytes((0x20, 2, session_present, code))
        case Publish(topic, payload, qos, packet_id, dup, retain):
            head = 0x30 | dup << 3 | qos << 1 | retain
            return _frame(head, _binary(topic), _number(packet_id) if qos else b"", payload)
        case Puback(packet_id):
            return encode_pubacks([packet_id])
        case Subscribe(packet_id, filters):
            asked = (_binary(name.encode()) + bytes((qos,)) for name, qos in filters)
            return _frame(0x82, _number(packet_id), *asked)
        case Suback(packet_id, codes):
            return _frame(0x90, _number(packet_id), bytes(codes))
        case Unsubscribe(packet_id, filters):
            return _frame(0xA2, _number(packet_id), *(_binary(name.encode()) for name in filters))
        case Unsuback(packet_id):
            return _frame(0xB0, _number(packet_id))
        case Pingreq():
            return b"\xc0\0"
        case Pingresp():
            return b"\xd0\0"
        case Disconnect():
            return b"\xe0\0"


def encode_pubacks(packet_ids: Sequence[int]) -> bytes:
    """Write the PUBACKs of a run of messages as one piece, in the order given."""
    words = [0x4002] * (2 * len(packet_ids))
    words[1::2] = packet_ids
    return struct.pack(f">{len(words)}H", *words)


def _encode_connect(packet: Connect) -> bytes:
    flags = packet.clean_session << 1
    fields: list[bytes] = [_binary(packet.client_id.encode())]
    if (will := packet.will) is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        fields += [_binary(will.topic.encode()), _binary(will.payload)]
    if packet.user_name is not None:
        flags |= 0x80
        fields.append(_binary(packet.user_name.encode()))
    if packet.password is not None:
        flags |= 0x40
        fields.append(_binary(packet.password))
    return _frame(0x10, b"\0\4MQTT\4", bytes((flags,)), _number(packet.keep_alive_s), *fields)


def _frame(head: int, *fields: bytes) -> bytes:
    body = b"".join(fields)
    length = len(body)
    if length > PACKET_BYTES_MAX:
        raise ValueError(f"a packet of {length} bytes cannot be written; at most {PACKET_BYTES_MAX}")
    return bytes((head, *_length_bytes(length))) + body


def _length_bytes(length: int) -> Iterable[int]:
    while length > 127:
        yield length & 127 | 128
        length >>= 7
    yield length


def _number(value: int) -> bytes:
    return value.to_bytes(2)


def _binary(data: bytes) -> bytes:
    if len(data) > 65_535:
        raise ValueError(f"a field of {len(data)} bytes cannot be written; at most 65,535")
    return _number(len(data)) + data
