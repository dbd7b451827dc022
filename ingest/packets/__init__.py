"""MQTT packets, versions 3.1.1 and 5: bytes to values and back. Pure; the socket is elsewhere.

`packet` says what a packet is, `properties` what it may say in MQTT 5 beside its fields, `codes` what its numbers mean;
`reader` cuts the stream and reads (`parse`, and `publish` for the one that comes by the thousand), `write` writes.
"""

from ingest.packets.codes import (
    DISCONNECT_CODES,
    DISCONNECT_CODES_OF_CLIENTS,
    SUBSCRIPTION_REFUSED,
    ConnackCode,
    ReasonCode,
)
from ingest.packets.errors import Malformed, TooLarge, UnsupportedProtocol
from ingest.packets.packet import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from ingest.packets.properties import NO_PROPERTIES, Properties
from ingest.packets.reader import PacketReader
from ingest.packets.write import encode, encode_pubacks

__all__ = [
    "DISCONNECT_CODES",
    "DISCONNECT_CODES_OF_CLIENTS",
    "NO_PROPERTIES",
    "SUBSCRIPTION_REFUSED",
    "Connack",
    "ConnackCode",
    "Connect",
    "Disconnect",
    "Malformed",
    "Packet",
    "PacketReader",
    "Pingreq",
    "Pingresp",
    "Properties",
    "Puback",
    "Publish",
    "ReasonCode",
    "Suback",
    "Subscribe",
    "TooLarge",
    "Unsuback",
    "Unsubscribe",
    "UnsupportedProtocol",
    "Will",
    "encode",
    "encode_pubacks",
]
