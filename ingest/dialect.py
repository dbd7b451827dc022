"""What a version of MQTT lets us say to a client, and how it is said. Pure: bytes out, nothing sent.

`Dialect` is MQTT 3.1.1, whose server may refuse but not explain; `Dialect5` is MQTT 5.
"""

from collections.abc import Callable

from ingest.limits import Limits
from ingest.packets import (
    DISCONNECT_CODES,
    DISCONNECT_CODES_OF_CLIENTS,
    NO_PROPERTIES,
    SUBSCRIPTION_REFUSED,
    Connack,
    ConnackCode,
    Connect,
    Disconnect,
    Malformed,
    Packet,
    Properties,
    Publish,
    ReasonCode,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    encode,
)
from ingest.packets.fields import VARIABLE_MAX, write_variable

CONNACK_BYTES_MAX = 64
"""Our longest CONNACK fits. A client of MQTT 5 that takes less is not let in: we could not tell it our bounds."""

LISTENING_MAX = 256
"""Subscriptions of one connection; a station has one, a gateway one for each of its stations."""
Hears = Callable[[str], str | None]
"""Filter of a subscription -> the one topic that it may hear by it, None for none."""

GOOD_BYES = {
    "stopped": (ReasonCode.SERVER_SHUTTING_DOWN, ""),
    "keep_alive": (ReasonCode.KEEP_ALIVE_TIMEOUT, ""),
    "taken_over": (ReasonCode.SESSION_TAKEN_OVER, ""),
    "too_many_of_station": (ReasonCode.QUOTA_EXCEEDED, "too many connections of this station"),
    "secret_removed": (ReasonCode.NOT_AUTHORIZED, "the secret lets in no more"),
    "answers_not_taken": (ReasonCode.QUOTA_EXCEEDED, "answers were not taken"),
}
"""Cause of closing -> what a client of MQTT 5 is told; one that is refused is told what was wrong."""


def refusal(code: ReasonCode, level: int) -> bytes:
    """CONNACK that lets nobody in; empty where the version has no word for the reason and closing must do."""
    if level == 5:
        return encode(Connack(code), 5)
    known = ConnackCode.__members__.get(code.name)
    return b"" if known is None else encode(Connack(known))


def dialect_of(connect: Connect, limits: Limits) -> "Dialect":
    """How to speak with a client that is let in."""
    return Dialect5(connect, limits) if connect.level == 5 else Dialect()


class Dialect:
    """MQTT 3.1.1 with one client."""

    receive_maximum = 65_535
    """Messages of QoS 1 that the client takes at a time."""

    def __init__(self) -> None:
        self.listening: dict[str, int] = {}
        """Topic that the client hears -> QoS that was granted."""

    def accepted(self, assigned_client_id: str | None) -> bytes:  # noqa: ARG002
        """CONNACK; says the client id where we chose it."""
        return encode(Connack(ConnackCode.ACCEPTED))

    def subscribed(self, packet: Subscribe, hears: Hears) -> bytes:
        """SUBACK; what is granted stands in `listening`."""
        codes = tuple(self._granted(hears(name), qos, SUBSCRIPTION_REFUSED) for name, qos in packet.filters)
        return encode(Suback(packet.packet_id, codes))

    def _granted(self, topic: str | None, qos: int, refused: int) -> int:
        """QoS that is granted for a topic, at most 1."""
        if topic is None or (len(self.listening) >= LISTENING_MAX and topic not in self.listening):
            return refused
        self.listening[topic] = min(qos, 1)
        return self.listening[topic]

    def unsubscribed(self, packet: Unsubscribe, hears: Hears) -> bytes:
        """UNSUBACK, whether or not there was a subscription."""
        for name in packet.filters:
            self.listening.pop(hears(name) or "", None)
        return encode(Unsuback(packet.packet_id))

    def published(self, packet: Publish) -> bytes:
        """A message to the client; empty where it is longer than the client takes."""
        return encode(packet)

    def voids_will(self, packet: Disconnect) -> bool:  # noqa: ARG002
        """Whether a client that says good bye so takes its will back [MQTT-3.14.4-3]."""
        return True

    def good_bye(self, code: ReasonCode, why: str) -> bytes:  # noqa: ARG002
        """What is said before closing: nothing, for the server has no DISCONNECT."""
        return b""


class Dialect5(Dialect):
    """MQTT 5 with one client; never a packet longer than it takes [MQTT5-3.1.2-24]."""

    def __init__(self, connect: Connect, limits: Limits) -> None:
        super().__init__()
        self._asked = connect.properties
        self._limits = limits
        self.receive_maximum = connect.properties.receive_maximum or 65_535

    def accepted(self, assigned_client_id: str | None) -> bytes:
        """CONNACK with everything in which we are less than the standard's default."""
        limits = self._limits
        properties = Properties(
            session_expiry_s=0 if self._asked.session_expiry_s else None,
            receive_maximum=min(limits.unacked_messages, 65_535),
            maximum_qos=True,
            maximum_packet_bytes=1 + len(write_variable(limits.packet_bytes)) + limits.packet_bytes,
            assigned_client_id=assigned_client_id,
            topic_alias_maximum=limits.topic_aliases,
            wildcards_available=False,
            subscription_ids_available=False,
            shared_available=False,
        )
        return self._fitting(Connack(ReasonCode.SUCCESS, properties=properties))

    def subscribed(self, packet: Subscribe, hears: Hears) -> bytes:
        """SUBACK.

        Raises
        ------
        Malformed : a kind of subscription that CONNACK said is not available
        """
        if packet.properties.subscription_id is not None:
            raise Malformed("a subscription identifier", ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)
        for name, _ in packet.filters:
            if name.startswith("$share/"):
                raise Malformed("a shared subscription", ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
            if "+" in name or "#" in name:
                raise Malformed("a subscription with a wildcard", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED)
        codes = tuple(
            self._granted(hears(name), options & 3, ReasonCode.NOT_AUTHORIZED) for name, options in packet.filters
        )
        return self._fitting(Suback(packet.packet_id, codes))

    def unsubscribed(self, packet: Unsubscribe, hears: Hears) -> bytes:
        """UNSUBACK, filter by filter."""
        codes = []
        for name in packet.filters:
            existed = self.listening.pop(hears(name) or "", None) is not None
            codes.append(ReasonCode.SUCCESS if existed else ReasonCode.NO_SUBSCRIPTION_EXISTED)
        return self._fitting(Unsuback(packet.packet_id, tuple(codes)))

    def published(self, packet: Publish) -> bytes:
        """A message to the client [MQTT5-3.1.2-25]; without an alias, whatever Topic Alias Maximum it names."""
        return self._fitting(packet)

    def voids_will(self, packet: Disconnect) -> bool:
        """Whether it is a normal good bye [MQTT5-3.14.4-3].

        Raises
        ------
        Malformed : a reason that only a server has, or a session wanted that was not wanted at CONNECT
        """
        if packet.code not in DISCONNECT_CODES_OF_CLIENTS:
            raise Malformed(f"DISCONNECT with 0x{packet.code:02x}, which only a server says", ReasonCode.PROTOCOL_ERROR)
        if packet.properties.session_expiry_s and not self._asked.session_expiry_s:
            raise Malformed("DISCONNECT wants a session that CONNECT did not", ReasonCode.PROTOCOL_ERROR)
        return packet.code == ReasonCode.SUCCESS

    def good_bye(self, code: ReasonCode, why: str) -> bytes:
        """DISCONNECT with a reason, and in words where the client wants them and they fit [MQTT5-3.14.2-3]."""
        if code not in DISCONNECT_CODES:  # A second CONNECT has faults of its own.
            code = ReasonCode.PROTOCOL_ERROR
        if why and self._asked.request_problem_information is not False:
            told = self._fitting(Disconnect(code, Properties(reason=why)))
            if told:
                return told
        return self._fitting(Disconnect(code, NO_PROPERTIES))

    def _fitting(self, packet: Packet) -> bytes:
        """The packet, or nothing where it is longer than the client takes [MQTT5-3.1.2-25]."""
        data = encode(packet, 5)
        return data if len(data) <= (self._asked.maximum_packet_bytes or VARIABLE_MAX) else b""
