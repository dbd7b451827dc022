"""Properties, MQTT 5 section 2.2.2: which exist, of what type, and in which packets."""

from collections.abc import Callable
from typing import Any

import msgspec

from ingest.packets.codes import ReasonCode
from ingest.packets.errors import Malformed
from ingest.packets.fields import Body, write_binary, write_number, write_text, write_variable

PROPERTY_BYTES_MAX = 4096
"""Of one packet; a PUBLISH may have 256 KiB."""
USER_PROPERTIES_MAX = 16
"""Of one packet: empty ones are five bytes each, and by the hundred they would hold the event loop."""

WILL, CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT = (
    0, 1, 2, 3, 4, 8, 9, 10, 11, 14,
)  # fmt: skip
"""Packet types; a will, which travels inside CONNECT, has properties of its own."""


class Properties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a packet says beside its fixed fields; None where it does not say it. User properties are not kept."""

    payload_is_text: bool | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_id: int | None = None
    session_expiry_s: int | None = None
    assigned_client_id: str | None = None
    server_keep_alive_s: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: bool | None = None
    will_delay_s: int | None = None
    request_response_information: bool | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: bool | None = None
    retain_available: bool | None = None
    maximum_packet_bytes: int | None = None
    wildcards_available: bool | None = None
    subscription_ids_available: bool | None = None
    shared_available: bool | None = None


NO_PROPERTIES = Properties()


class _Form(msgspec.Struct, frozen=True):
    """How one property is read and written, and where it may stand."""

    name: str
    read: Callable[[Body], Any]
    write: Callable[[Any], bytes]
    packets: frozenset[int]


def _flag(body: Body) -> bool:
    value = body.byte()
    if value > 1:
        raise Malformed(f"a property that is 0 or 1 says {value}", ReasonCode.PROTOCOL_ERROR)
    return value == 1


def _some(read: Callable[[Body], int], code: ReasonCode) -> Callable[[Body], int]:
    """Read a number that must not be 0."""

    def reading(body: Body) -> int:
        value = read(body)
        if not value:
            raise Malformed("a property says 0 that must not", code)
        return value

    return reading


def _topic(body: Body) -> str:
    name = body.text()
    if "+" in name or "#" in name:
        raise Malformed("a response topic with a wildcard", ReasonCode.PROTOCOL_ERROR)  # [MQTT5-3.3.2-14]
    return name


_FLAG = (_flag, lambda value: bytes((value,)))
_NUMBER = (Body.number, write_number)
_SOME = (_some(Body.number, ReasonCode.PROTOCOL_ERROR), write_number)
_ALIAS = (_some(Body.number, ReasonCode.TOPIC_ALIAS_INVALID), write_number)
_LARGE = (Body.large_number, lambda value: value.to_bytes(4))
_LARGE_SOME = (_some(Body.large_number, ReasonCode.PROTOCOL_ERROR), lambda value: value.to_bytes(4))
_VARIABLE_SOME = (_some(Body.variable, ReasonCode.PROTOCOL_ERROR), write_variable)
_TEXT = (Body.text, write_text)
_BINARY = (Body.binary, write_binary)

_ANSWERS = (CONNACK, PUBACK, SUBACK, UNSUBACK, DISCONNECT)
USER_PROPERTY = 38

_FORMS: dict[int, _Form] = {
    number: _Form(name, read, write, frozenset(packets))
    for number, name, (read, write), packets in (
        (1, "payload_is_text", _FLAG, (PUBLISH, WILL)),
        (2, "message_expiry_s", _LARGE, (PUBLISH, WILL)),
        (3, "content_type", _TEXT, (PUBLISH, WILL)),
        (8, "response_topic", (_topic, write_text), (PUBLISH, WILL)),
        (9, "correlation_data", _BINARY, (PUBLISH, WILL)),
        (11, "subscription_id", _VARIABLE_SOME, (PUBLISH, SUBSCRIBE)),
        (17, "session_expiry_s", _LARGE, (CONNECT, CONNACK, DISCONNECT)),
        (18, "assigned_client_id", _TEXT, (CONNACK,)),
        (19, "server_keep_alive_s", _NUMBER, (CONNACK,)),
        (21, "authentication_method", _TEXT, (CONNECT, CONNACK)),
        (22, "authentication_data", _BINARY, (CONNECT, CONNACK)),
        (23, "request_problem_information", _FLAG, (CONNECT,)),
        (24, "will_delay_s", _LARGE, (WILL,)),
        (25, "request_response_information", _FLAG, (CONNECT,)),
        (26, "response_information", _TEXT, (CONNACK,)),
        (28, "server_reference", _TEXT, (CONNACK, DISCONNECT)),
        (31, "reason", _TEXT, _ANSWERS),
        (33, "receive_maximum", _SOME, (CONNECT, CONNACK)),
        (34, "topic_alias_maximum", _NUMBER, (CONNECT, CONNACK)),
        (35, "topic_alias", _ALIAS, (PUBLISH,)),
        (36, "maximum_qos", _FLAG, (CONNACK,)),
        (37, "retain_available", _FLAG, (CONNACK,)),
        (39, "maximum_packet_bytes", _LARGE_SOME, (CONNECT, CONNACK)),
        (40, "wildcards_available", _FLAG, (CONNACK,)),
        (41, "subscription_ids_available", _FLAG, (CONNACK,)),
        (42, "shared_available", _FLAG, (CONNACK,)),
    )
}  # fmt: skip
"""MQTT 5, table 2-4."""


def read_properties(body: Body, packet: int) -> Properties:
    """Read the properties of a packet of this type (or of a WILL), their length first.

    Raises
    ------
    Malformed : one that does not exist or does not belong there, twice the same, a value of another type, or too many
    """
    length = body.variable()
    if not length:
        return NO_PROPERTIES
    if length > PROPERTY_BYTES_MAX:
        raise Malformed(
            f"properties of {length} bytes; at most {PROPERTY_BYTES_MAX} are taken", ReasonCode.QUOTA_EXCEEDED
        )
    return _read_fields(Body(body.take(length)), packet)


def _read_fields(body: Body, packet: int) -> Properties:
    found: dict[str, Any] = {}
    user_properties = 0
    while body.more:
        number = body.variable()
        if number == USER_PROPERTY:  # In every packet, more than once; nobody here asks for it.
            user_properties += 1
            if user_properties > USER_PROPERTIES_MAX:
                raise Malformed(
                    f"more user properties than the {USER_PROPERTIES_MAX} that are taken", ReasonCode.QUOTA_EXCEEDED
                )
            body.text()
            body.text()
            continue
        form = _FORMS.get(number)
        if form is None or packet not in form.packets:
            raise Malformed(f"property {number} does not belong there")
        if form.name in found:
            raise Malformed(f"property {number} comes twice", ReasonCode.PROTOCOL_ERROR)
        found[form.name] = form.read(body)
    if "authentication_data" in found and "authentication_method" not in found:
        raise Malformed("authentication data without a method", ReasonCode.PROTOCOL_ERROR)
    return Properties(**found)


def write_properties(properties: Properties) -> bytes:
    """Write properties, their length first."""
    if properties == NO_PROPERTIES:
        return b"\0"
    fields = b"".join(
        bytes((number,)) + form.write(value)
        for number, form in _FORMS.items()
        if (value := getattr(properties, form.name)) is not None
    )
    return write_variable(len(fields)) + fields
