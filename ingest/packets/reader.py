"""The stream of a TCP connection, cut into packets."""

from collections.abc import Iterator

from ingest.packets.codes import ReasonCode
from ingest.packets.errors import Malformed, TooLarge
from ingest.packets.packet import Packet
from ingest.packets.parse import parse, protocol_level
from ingest.packets.publish import TopicAliases, read_publish

CONTROL_BYTES_MAX = 4096
"""Of any packet but PUBLISH: a SUBSCRIBE of 256 KiB would hold the event loop for a tenth of a second."""
_OPENING_BYTES = 7
"""Of a CONNECT: enough to know its version."""


class PacketReader:
    """Cuts a TCP stream into packets, wherever the segments end.

    `feed` never parses, `packets` never waits. A caller that stops half way through `packets` finds the remaining ones
    at its next call: this is how reading is paused in the middle of a segment.

    Parameters
    ----------
    limit : largest remaining length taken, bytes
    topic_aliases : how many a peer of MQTT 5 may use
    level : version of MQTT; a CONNECT in the stream decides it anew
    """

    __slots__ = ("_aliases", "_buffer", "_needed", "_position", "_tail", "_topic_aliases", "level", "limit")

    def __init__(self, limit: int, *, topic_aliases: int = 0, level: int = 4) -> None:
        self.limit = limit
        """Largest remaining length taken, bytes. May be raised between two packets."""
        self.level = level
        """4 is MQTT 3.1.1, 5 is MQTT 5."""
        self._topic_aliases = topic_aliases
        self._aliases = TopicAliases(topic_aliases) if level == 5 else None
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
        TooLarge : as soon as the fixed header is there, and of CONNECT its version
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
                        if not byte and self.level == 5:
                            raise Malformed("remaining length is longer than it needs")  # [MQTT5-1.5.5-1]
                        break
                    if shift > 21:
                        raise Malformed("remaining length is longer than four bytes")
                else:
                    self._needed = end - position + 1
                    break
            head = buffer[position]
            kind = head >> 4
            if length > CONTROL_BYTES_MAX or length > self.limit:
                if kind == 1 and start + _OPENING_BYTES > end:
                    self._needed = start + _OPENING_BYTES - position
                    break
                self._check_length(kind, length, buffer[start : start + _OPENING_BYTES])
            stop = start + length
            if stop > end:
                self._needed = stop - position
                break
            self._position = stop
            if kind == 3:
                yield read_publish(buffer, head, start, stop, self._aliases)
            else:
                yield self._control(kind, head & 15, buffer[start:stop])
        # A small rest must not keep the whole segment alive on an idle connection.
        self._buffer, self._position = buffer[self._position :], 0

    @property
    def is_drained(self) -> bool:
        """Whether all that was fed has been read; then it is let go of, and a `packets` that was begun is over."""
        if self._position < len(self._buffer) or self._tail:
            return False
        self._buffer, self._position = b"", 0
        return True

    def run(self, topic: bytes, most: int, most_bytes: int) -> list[tuple[int, bytes]]:
        """Take the plain messages that stand next, all at once: (packet identifier, payload) of each.

        Plain is what devices send by the thousand: QoS 1, this topic, no properties, less than 16 KiB. At the first
        packet that is anything else, or not whole, it ends; `packets` reads that one. May be called between two
        of its packets.

        Parameters
        ----------
        topic : behind its length, as it stands in the packet
        most : messages at most
        most_bytes : payloads at most; the last message may go over
        """
        if self._tail:
            self._join()
        buffer, position, is_5 = self._buffer, self._position, self._aliases is not None
        end, longest, head_bytes = len(buffer), self.limit, len(topic) + 2 + is_5
        taken: list[tuple[int, bytes]] = []
        while position + 2 < end and len(taken) < most and most_bytes > 0 and buffer[position] & 0xF6 == 0x32:
            length, start = buffer[position + 1], position + 2
            if length > 127:
                more = buffer[start]
                if not 0 < more < 128:
                    break
                length, start = length & 127 | more << 7, start + 1
            stop, body = start + length, start + head_bytes
            if stop > end or body > stop or length > longest or not buffer.startswith(topic, start):
                break
            packet_id = buffer[body - 1 - is_5] | buffer[body - 2 - is_5] << 8
            if not packet_id or (is_5 and buffer[body - 1]):
                break
            taken.append((packet_id, buffer[body:stop]))
            most_bytes -= stop - body
            position = stop
        self._position = position
        return taken

    def _check_length(self, kind: int, length: int, opening: bytes) -> None:
        if kind == 1:  # A refusal is written in the version of the CONNECT.
            self.level = protocol_level(opening)
        if length > self.limit:
            raise TooLarge(length, self.limit)
        if kind != 3:
            raise Malformed(
                f"a control packet of {length} bytes; at most {CONTROL_BYTES_MAX} are taken",
                ReasonCode.PACKET_TOO_LARGE,
            )

    def _control(self, kind: int, flags: int, data: bytes) -> Packet:
        if kind == 1:
            self.level = protocol_level(data)
            self._aliases = TopicAliases(self._topic_aliases) if self.level == 5 else None
        return parse(kind, flags, data, self.level)

    def _join(self) -> None:
        tail = self._tail
        if tail and len(self._buffer) - self._position + len(tail) >= self._needed:
            self._buffer, self._position = self._buffer[self._position :] + bytes(tail), 0
            self._tail = bytearray()
            self._needed = 0
