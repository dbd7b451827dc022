"""What every way in hands over, and how a payload is refused."""

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as it arrived, not yet acknowledged.

    A Struct, because it is made for every message; without gc, because text, bytes and a number cannot form a cycle.
    """

    topic: str
    payload: bytes
    received_us: int
    """Judgement clock at arrival."""
    client: str
    """MQTT client id, for the record."""


class Reason(StrEnum):
    """Why something was refused; see docs/wire.md."""

    NOT_JSON = "not_json"
    NOT_CBOR = "not_cbor"
    NOT_SPARKPLUG = "not_sparkplug"
    WRONG_SHAPE = "wrong_shape"
    BAD_NUMBER = "bad_number"
    BAD_TIME = "bad_time"
    UNKNOWN_NAME = "unknown_name"
    UNKNOWN_UNIT = "unknown_unit"
    UNKNOWN_DEVICE = "unknown_device"
    """No decoder for what this device sends."""
    SIMULATED = "simulated"
    """A network server says that nobody measured this."""
    UNREGISTERED = "unregistered"
    """Nobody registered the station."""
    UNBORN = "unborn"
    """Data of a Sparkplug node of which no birth says what they are."""
    TOO_MANY = "too_many"
    TOO_LARGE = "too_large"
    FOREIGN_TOPIC = "foreign_topic"
    NOT_MQTT = "not_mqtt"
    RETAINED = "retained"
    """A broker had kept it from before."""
    BAD_FRAME = "bad_frame"
    """Of an instrument on a serial line."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal: a reason from the list and a sentence for the person who must mend it."""

    reason: Reason
    detail: str


@dataclass(slots=True)
class Rows:
    """Columns under construction: decoded readings of many messages."""

    station: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    """Reading name as in docs/wire.md: quantity, or quantity@sensor."""
    time_us: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    """Canonical unit; NaN for a null."""
    message: list[int] = field(default_factory=list)
    """Index of the message the row came from."""
