"""Packets as they go over the wire."""

import struct
from collections.abc import Sequence

from ingest.packets.fields import write_binary, write_number, write_text, write_variable
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
)
from ingest.packets.properties import NO_PROPERTIES, Properties, write_properties


def encode(packet: Packet, level: int = 4) -> bytes:
    """Write one packet for a peer that speaks this version; a CONNECT says its own.

    Raises
    ------
    ValueError : a field does not fit its place (a string over 65,535 bytes, a body over 268,435,455)
    """
    match packet:
        case Connect():
            return _connect(packet)
        case Connack(code, session_present, properties):
            return _frame(0x20, bytes((session_present, code)), _some(properties, level))
        case Publish(topic, payload, qos, packet_id, dup, retain, properties):
            head = 0x30 | dup << 3 | qos << 1 | retain
            number = write_number(packet_id) if qos else b""
            return _frame(head, write_binary(topic), number, _some(properties, level), payload)
        case Puback(packet_id, code, properties):
            return _frame(0x40, write_number(packet_id), *_short(code, properties, level))
        case Subscribe(packet_id, filters, properties):
            asked = (write_text(name) + bytes((options,)) for name, options in filters)
            return _frame(0x82, write_number(packet_id), _some(properties, level), *asked)
        case Suback(packet_id, codes, properties):
            return _frame(0x90, write_number(packet_id), _some(properties, level), bytes(codes))
        case Unsubscribe(packet_id, filters, properties):
            return _frame(0xA2, write_number(packet_id), _some(properties, level), *map(write_text, filters))
        case Unsuback(packet_id, codes, properties):
            return _frame(0xB0, write_number(packet_id), _some(properties, level), bytes(codes if level == 5 else ()))
        case Pingreq():
            return b"\xc0\0"
        case Pingresp():
            return b"\xd0\0"
        case Disconnect(code, properties):
            return _frame(0xE0, *_short(code, properties, level))


def encode_pubacks(packet_ids: Sequence[int]) -> bytes:
    """Write the PUBACKs of a run of messages as one piece, in the order given; the same bytes in both versions."""
    words = [0x4002] * (2 * len(packet_ids))
    words[1::2] = packet_ids
    return struct.pack(f">{len(words)}H", *words)


def _connect(packet: Connect) -> bytes:
    level = packet.level
    flags = packet.clean_session << 1
    fields: list[bytes] = [_some(packet.properties, level), write_text(packet.client_id)]
    if (will := packet.will) is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        fields += [_some(will.properties, level), write_text(will.topic), write_binary(will.payload)]
    if packet.user_name is not None:
        flags |= 0x80
        fields.append(write_text(packet.user_name))
    if packet.password is not None:
        flags |= 0x40
        fields.append(write_binary(packet.password))
    return _frame(0x10, b"\0\4MQTT", bytes((level, flags)), write_number(packet.keep_alive_s), *fields)


def _some(properties: Properties, level: int) -> bytes:
    return write_properties(properties) if level == 5 else b""


def _short(code: int, properties: Properties, level: int) -> tuple[bytes, ...]:
    """Code and properties of an answer, left out where the standard lets nothing mean success."""
    if level == 4 or (not code and properties == NO_PROPERTIES):
        return ()
    if properties == NO_PROPERTIES:
        return (bytes((code,)),)
    return bytes((code,)), write_properties(properties)


def _frame(head: int, *fields: bytes) -> bytes:
    body = b"".join(fields)
    return bytes((head,)) + write_variable(len(body)) + body
