"""What one connection is told: messages of ours under way to a device, by packet identifier. Pure."""

from ingest.dialect import Dialect
from ingest.packets import Puback, Publish

PACKET_IDS = 65_535
FAILURE = 0x80
"""Reason codes from here on say that the device did not take it."""


class Telling:
    """Writes our PUBLISHes and knows their PUBACKs.

    With QoS 1 never more at a time than the client takes [MQTT5-3.3.4-9]; never again on the same connection, so DUP is
    never set, and what is unacknowledged is forgotten with it, for there is no session.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._under_way: dict[int, tuple[str, str]] = {}  # packet id -> topic and command
        self._last_id = 0

    @property
    def topics(self) -> list[str]:
        """What the client hears."""
        return list(self._dialect.listening)

    def publish(self, topic: str, payload: bytes, command: str) -> bytes:
        """The packet, with the QoS that was granted; QoS 0 where no `command` is to be acknowledged.

        Empty where the client does not hear this, has enough under way, or takes no packet so long.
        """
        granted = self._dialect.listening.get(topic)
        if granted is None or len(self._under_way) >= self._dialect.receive_maximum:
            return b""
        qos = granted if command else 0
        packet_id = self._next_id() if qos else 0
        data = self._dialect.published(Publish(topic.encode(), payload, qos, packet_id))
        if data and qos:
            self._under_way[packet_id] = topic, command
        return data

    def taken(self, packet: Puback) -> tuple[str, str] | None:
        """Topic and command that the device now has; None where it refuses it, or there was none."""
        told = self._under_way.pop(packet.packet_id, None)
        return told if packet.code < FAILURE else None

    def _next_id(self) -> int:
        """An identifier that is not under way [MQTT-2.3.1-2, MQTT5-2.2.1-4]."""
        self._last_id = self._last_id % PACKET_IDS + 1
        while self._last_id in self._under_way:
            self._last_id = self._last_id % PACKET_IDS + 1
        return self._last_id
