"""The fields packets are made of, MQTT 5 section 1.5: integers, strings, binary data."""

from ingest.packets.codes import ReasonCode
from ingest.packets.errors import Malformed

VARIABLE_MAX = 268_435_455
"""Largest number that the four bytes of a variable byte integer can say."""


class Body:
    """Reads the fields of one packet in order."""

    __slots__ = ("_data", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        """Bytes that have been read."""

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self.at < len(self._data)

    def take(self, count: int) -> bytes:
        """Read so many bytes."""
        end = self.at + count
        if end > len(self._data):
            raise Malformed("packet ends inside a field")
        taken = self._data[self.at : end]
        self.at = end
        return taken

    def byte(self) -> int:
        """Read one byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """Read a two byte integer."""
        return int.from_bytes(self.take(2))

    def large_number(self) -> int:
        """Read a four byte integer."""
        return int.from_bytes(self.take(4))

    def variable(self) -> int:
        """Read a variable byte integer, in as few bytes as it needs [MQTT-1.5.5-1]."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                if shift and not byte:
                    raise Malformed("a variable byte integer is longer than it needs")
                return value
            shift += 7
            if shift > 21:
                raise Malformed("a variable byte integer is longer than four bytes")

    def binary(self) -> bytes:
        """Read binary data."""
        return self.take(self.number())

    def text(self) -> str:
        """Read a string."""
        return text_of(self.binary())

    def packet_id(self) -> int:
        """Read a packet identifier."""
        return sound_packet_id(self.number())

    def finish(self) -> None:
        """Complain if anything is left."""
        if self.more:
            raise Malformed("packet is longer than its fields")


def sound_packet_id(number: int) -> int:
    """Give the packet identifier back; Malformed if it is 0 [MQTT-2.3.1-1, MQTT5-2.2.1-3]."""
    if not number:
        raise Malformed("packet identifier 0", ReasonCode.PROTOCOL_ERROR)
    return number


def text_of(data: bytes) -> str:
    """Read a UTF-8 encoded string as both versions want it: well formed and without U+0000; Malformed otherwise."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a string is not UTF-8") from error  # [MQTT-1.5.3-1, MQTT5-1.5.4-1]
    if "\0" in text:
        raise Malformed("a string holds U+0000")  # [MQTT-1.5.3-2, MQTT5-1.5.4-2]
    return text


def write_number(value: int) -> bytes:
    """Two byte integer."""
    return value.to_bytes(2)


def write_variable(value: int) -> bytes:
    """Variable byte integer; ValueError where it would need more than four bytes."""
    if value > VARIABLE_MAX:
        raise ValueError(f"{value:,} cannot be written as a variable byte integer; at most {VARIABLE_MAX:,}")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_binary(data: bytes) -> bytes:
    """Binary data behind its length; ValueError over 65,535 bytes."""
    if len(data) > 65_535:
        raise ValueError(f"a field of {len(data)} bytes cannot be written; at most 65,535")
    return write_number(len(data)) + data


def write_text(text: str) -> bytes:
    """A string behind its length; ValueError over 65,535 bytes."""
    return write_binary(text.encode())
