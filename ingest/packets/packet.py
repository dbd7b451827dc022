"""What a packet is, in MQTT 3.1.1 and 5. Properties and most reason codes exist in 5 only."""

import msgspec

from ingest.packets.properties import NO_PROPERTIES, Properties


class Will(msgspec.Struct, frozen=True):
    """What the server is to say when the device falls silent."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


class Connect(msgspec.Struct, frozen=True):
    """First packet of a connection; it decides which version of MQTT is spoken."""

    client_id: str
    clean_session: bool = True
    keep_alive_s: int = 0
    will: Will | None = None
    user_name: str | None = None
    password: bytes | None = None
    level: int = 4
    """4 is MQTT 3.1.1, 5 is MQTT 5."""
    properties: Properties = NO_PROPERTIES


class Connack(msgspec.Struct, frozen=True):
    """Answer to CONNECT."""

    code: int
    """ConnackCode in MQTT 3.1.1, ReasonCode in 5."""
    session_present: bool = False
    properties: Properties = NO_PROPERTIES


class Publish(msgspec.Struct, frozen=True):
    """One message. The topic stays bytes, so that the usual one is recognised by a comparison."""

    topic: bytes
    """With its topic alias resolved."""
    payload: bytes
    qos: int = 0
    packet_id: int = 0
    """1 to 65535; 0 with QoS 0, which has none."""
    dup: bool = False
    retain: bool = False
    properties: Properties = NO_PROPERTIES


class Puback(msgspec.Struct, frozen=True):
    """Answer to a PUBLISH of QoS 1."""

    packet_id: int
    code: int = 0
    properties: Properties = NO_PROPERTIES


class Subscribe(msgspec.Struct, frozen=True):
    """Topic filters with what is asked for each: a QoS in MQTT 3.1.1, the subscription options in 5."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]
    properties: Properties = NO_PROPERTIES


class Suback(msgspec.Struct, frozen=True):
    """One code for each filter: granted QoS, or why not."""

    packet_id: int
    codes: tuple[int, ...]
    properties: Properties = NO_PROPERTIES


class Unsubscribe(msgspec.Struct, frozen=True):
    """Topic filters that are no longer wanted."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES


class Unsuback(msgspec.Struct, frozen=True):
    """Answer to UNSUBSCRIBE; one code for each filter in MQTT 5, none in 3.1.1."""

    packet_id: int
    codes: tuple[int, ...] = ()
    properties: Properties = NO_PROPERTIES


class Pingreq(msgspec.Struct, frozen=True):
    """Sign of life of a client."""


class Pingresp(msgspec.Struct, frozen=True):
    """Sign of life of the server."""


class Disconnect(msgspec.Struct, frozen=True):
    """Good bye: a client's, or in MQTT 5 the server's with the reason."""

    code: int = 0
    properties: Properties = NO_PROPERTIES


Packet = (
    Connect | Connack | Publish | Puback | Subscribe | Suback | Unsubscribe | Unsuback | Pingreq | Pingresp | Disconnect
)
