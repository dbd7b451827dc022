"""The bodies of all packets but PUBLISH, in MQTT 3.1.1 and 5.

Numbers in brackets are the normative statements of MQTT Version 3.1.1 (OASIS Standard, 29 October 2014), and behind
MQTT5 those of Version 5.0 (OASIS Standard, 7 March 2019).
"""

from collections.abc import Callable, Container

from ingest.packets import properties as props
from ingest.packets.codes import (
    CONNACK_CODES,
    DISCONNECT_CODES,
    PUBACK_CODES,
    SUBACK_CODES,
    SUBSCRIPTION_REFUSED,
    UNSUBACK_CODES,
    ReasonCode,
)
from ingest.packets.errors import Malformed, UnsupportedProtocol
from ingest.packets.fields import Body
from ingest.packets.packet import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from ingest.packets.properties import NO_PROPERTIES, Properties, read_properties

BRIDGE_BIT = 0x80
"""Set beside the level by brokers that pretend to be clients."""


def protocol_level(opening: bytes) -> int:
    """Version of MQTT that a CONNECT is written in, from its first seven bytes; 4 where they do not say."""
    return 5 if opening[:6] == b"\0\4MQTT" and opening[6:7] and opening[6] & ~BRIDGE_BIT >= 5 else 4


def parse(kind: int, flags: int, data: bytes, level: int) -> Packet:
    """Read the body of a packet; Malformed where it is none."""
    if kind in {5, 6, 7}:
        raise Malformed("QoS 2 is not spoken here", ReasonCode.QOS_NOT_SUPPORTED)
    if kind == 15 and level == 5:
        raise Malformed("AUTH without an authentication method", ReasonCode.PROTOCOL_ERROR)  # [MQTT5-4.12.0-7]
    if kind not in _FORMS:
        raise Malformed(f"packet type {kind} does not exist")
    if kind == 1 and flags == 6:
        raise Malformed("it speaks TLS, and this port is for plain MQTT")
    fixed_flags, read = _FORMS[kind]
    if flags != fixed_flags:
        raise Malformed(f"packet type {kind} with flags {flags}")  # [MQTT-2.2.2-2, MQTT5-2.1.3-1]
    body = Body(data)
    packet = read(body, level)
    body.finish()
    return packet


def _properties(body: Body, level: int, packet: int) -> Properties:
    return read_properties(body, packet) if level == 5 else NO_PROPERTIES


def _connect(body: Body, _: int) -> Connect:
    name, level = body.binary(), body.byte()
    if name not in {b"MQTT", b"MQIsdp"}:
        raise Malformed("not MQTT")  # [MQTT-3.1.2-1]
    if name != b"MQTT" or level not in {4, 5}:
        raise UnsupportedProtocol(level)
    flags, keep_alive_s = body.byte(), body.number()
    has_will, will_qos, will_retain = flags & 0x04 != 0, flags >> 3 & 3, flags & 0x20 != 0
    has_password, has_user = flags & 0x40 != 0, flags & 0x80 != 0
    if flags & 1:
        raise Malformed("CONNECT with the reserved flag")  # [MQTT-3.1.2-3]
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise Malformed("CONNECT with impossible will flags")  # [MQTT-3.1.2-13, -14, -15]
    if has_password and not has_user and level == 4:
        raise Malformed("CONNECT with a password but no user name")  # [MQTT-3.1.2-22]
    properties = _properties(body, level, props.CONNECT)
    client_id = body.text()
    will = _will(body, level, will_qos, will_retain) if has_will else None
    user_name = body.text() if has_user else None
    password = body.binary() if has_password else None
    return Connect(client_id, flags & 2 != 0, keep_alive_s, will, user_name, password, level, properties)


def _will(body: Body, level: int, qos: int, retain: bool) -> Will:
    properties = _properties(body, level, props.WILL)
    return Will(body.text(), body.binary(), qos, retain, properties)


def _connack(body: Body, level: int) -> Connack:
    flags, code = body.byte(), body.byte()
    if flags > 1:
        raise Malformed("CONNACK with reserved flags")
    if level == 5:
        _sound(code, CONNACK_CODES)
    return Connack(code, flags == 1, _properties(body, level, props.CONNACK))


def _puback(body: Body, level: int) -> Puback:
    packet_id = body.packet_id()
    if level == 4 or not body.more:  # In short for success.
        return Puback(packet_id)
    code = _sound(body.byte(), PUBACK_CODES)  # [MQTT5-3.4.2-1]
    return Puback(packet_id, code, read_properties(body, props.PUBACK) if body.more else NO_PROPERTIES)


def _subscribe(body: Body, level: int) -> Subscribe:
    packet_id = body.packet_id()
    properties = _properties(body, level, props.SUBSCRIBE)
    filters = []
    while body.more:
        topic_filter, options = body.text(), body.byte()
        if options > 2 and (level == 4 or options & 0xC0):
            raise Malformed("SUBSCRIBE with an impossible QoS or option")  # [MQTT-3.8.3-4, MQTT5-3.8.3-5]
        if options & 0x03 == 3 or options & 0x30 == 0x30:
            raise Malformed("SUBSCRIBE with an option that does not exist", ReasonCode.PROTOCOL_ERROR)
        if options & 0x04 and topic_filter.startswith("$share/"):
            raise Malformed("SUBSCRIBE that is shared and not local", ReasonCode.PROTOCOL_ERROR)  # [MQTT5-3.8.3-4]
        filters.append((topic_filter, options))
    if not filters:
        raise Malformed("SUBSCRIBE without a topic filter", ReasonCode.PROTOCOL_ERROR)  # [MQTT-3.8.3-3, MQTT5-3.8.3-2]
    return Subscribe(packet_id, tuple(filters), properties)


def _suback(body: Body, level: int) -> Suback:
    packet_id = body.packet_id()
    properties = _properties(body, level, props.SUBACK)
    codes = _codes(body, SUBACK_CODES if level == 5 else {0, 1, 2, SUBSCRIPTION_REFUSED})  # [MQTT-3.9.3-2]
    if not codes:
        raise Malformed("SUBACK without a code")
    return Suback(packet_id, codes, properties)


def _unsubscribe(body: Body, level: int) -> Unsubscribe:
    packet_id = body.packet_id()
    properties = _properties(body, level, props.UNSUBSCRIBE)
    filters = []
    while body.more:
        filters.append(body.text())
    if not filters:
        raise Malformed("UNSUBSCRIBE without a topic filter", ReasonCode.PROTOCOL_ERROR)  # [MQTT-3.10.3-2]
    return Unsubscribe(packet_id, tuple(filters), properties)


def _unsuback(body: Body, level: int) -> Unsuback:
    packet_id = body.packet_id()
    properties = _properties(body, level, props.UNSUBACK)
    return Unsuback(packet_id, _codes(body, UNSUBACK_CODES) if level == 5 else (), properties)  # [MQTT5-3.11.3-2]


def _disconnect(body: Body, level: int) -> Disconnect:
    if level == 4 or not body.more:  # In short for a normal good bye.
        return Disconnect()
    code = _sound(body.byte(), DISCONNECT_CODES)  # [MQTT5-3.14.2-1]
    return Disconnect(code, read_properties(body, props.DISCONNECT) if body.more else NO_PROPERTIES)


def _codes(body: Body, allowed: Container[int]) -> tuple[int, ...]:
    codes = []
    while body.more:
        codes.append(_sound(body.byte(), allowed))
    return tuple(codes)


def _sound(code: int, allowed: Container[int]) -> int:
    if code not in allowed:
        raise Malformed(f"code 0x{code:02x} does not belong there")
    return code


# Packet type -> the flags its fixed header must have [MQTT-2.2.2-1], and the reader of its body at a protocol level.
_FORMS: dict[int, tuple[int, Callable[[Body, int], Packet]]] = {
    1: (0, _connect),
    2: (0, _connack),
    4: (0, _puback),
    8: (2, _subscribe),
    9: (0, _suback),
    10: (2, _unsubscribe),
    11: (0, _unsuback),
    12: (0, lambda *_: Pingreq()),
    13: (0, lambda *_: Pingresp()),
    14: (0, _disconnect),
}
