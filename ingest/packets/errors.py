"""What is wrong with bytes that are not a packet we take."""

from ingest.packets.codes import ReasonCode


class Malformed(ValueError):
    """The peer broke the protocol; the connection cannot be read any further."""

    def __init__(self, reason: str, code: ReasonCode = ReasonCode.MALFORMED_PACKET) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        """What MQTT 5 calls it; 3.1.1 has no name for it."""


class TooLarge(Malformed):
    """A packet longer than we take, known from its fixed header; its body has not been read."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"packet of {length} bytes is over the bound of {limit}", ReasonCode.PACKET_TOO_LARGE)
        self.length = length
        """Remaining length as the header says, bytes."""


class UnsupportedProtocol(Malformed):
    """CONNECT of a version of MQTT that is not spoken here."""

    def __init__(self, level: int) -> None:
        super().__init__(
            f"protocol level {level} is not spoken here, only 4 (MQTT 3.1.1) and 5",
            ReasonCode.UNACCEPTABLE_PROTOCOL_VERSION,
        )
