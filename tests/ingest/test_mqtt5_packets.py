"""Packets of MQTT 5, without a socket."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packets import (
    NO_PROPERTIES,
    Connack,
    Connect,
    Disconnect,
    Malformed,
    Packet,
    PacketReader,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    ReasonCode,
    Suback,
    Subscribe,
    TooLarge,
    Unsuback,
    Unsubscribe,
    UnsupportedProtocol,
    Will,
    encode,
    encode_pubacks,
)
from ingest.packets.codes import CONNACK_CODES, DISCONNECT_CODES, PUBACK_CODES, SUBACK_CODES, UNSUBACK_CODES
from ingest.packets.fields import write_binary, write_variable
from ingest.packets.properties import PROPERTY_BYTES_MAX, USER_PROPERTIES_MAX
from tests.builders import thorough

ALIASES = 16

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
topics = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), max_size=20)
blobs = st.binary(max_size=20)
ids = st.integers(1, 65_535)
small = st.integers(0, 65_535)
large = st.integers(0, 2**32 - 1)


def some(**values: st.SearchStrategy[object]) -> st.SearchStrategy[Properties]:
    """Any of these properties, or none."""
    return st.fixed_dictionaries({}, optional=values).map(lambda found: Properties(**found))  # type: ignore[arg-type]


WORDS = some(reason=texts)
MESSAGE = {
    "payload_is_text": st.booleans(),
    "message_expiry_s": large,
    "content_type": texts,
    "response_topic": topics,
    "correlation_data": blobs,
}
publishes = st.builds(
    lambda topic, payload, qos, packet_id, dup, retain, properties: Publish(
        topic, payload, qos, packet_id if qos else 0, dup and qos > 0, retain, properties
    ),
    st.binary(min_size=1, max_size=40),
    st.binary(max_size=300),
    st.integers(0, 2),
    ids,
    st.booleans(),
    st.booleans(),
    some(**MESSAGE, topic_alias=st.integers(1, ALIASES)),
)
wills = st.builds(Will, texts, blobs, st.integers(0, 2), st.booleans(), some(**MESSAGE, will_delay_s=large))
authentications: st.SearchStrategy[dict[str, object]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"authentication_method": texts}, optional={"authentication_data": blobs}),
)
connect_properties = st.builds(
    lambda found, more: Properties(**found, **more),
    st.fixed_dictionaries(
        {},
        optional={
            "session_expiry_s": large,
            "receive_maximum": ids,
            "maximum_packet_bytes": st.integers(1, 2**32 - 1),
            "topic_alias_maximum": small,
            "request_problem_information": st.booleans(),
            "request_response_information": st.booleans(),
        },
    ),
    authentications,
)
connack_properties = some(
    session_expiry_s=large,
    receive_maximum=ids,
    maximum_qos=st.booleans(),
    retain_available=st.booleans(),
    maximum_packet_bytes=st.integers(1, 2**32 - 1),
    assigned_client_id=texts,
    topic_alias_maximum=small,
    reason=texts,
    wildcards_available=st.booleans(),
    subscription_ids_available=st.booleans(),
    shared_available=st.booleans(),
    server_keep_alive_s=small,
    response_information=texts,
    server_reference=texts,
)
connects = st.builds(
    Connect,
    texts,
    st.booleans(),
    small,
    st.none() | wills,
    st.none() | texts,
    st.none() | blobs,
    st.just(5),
    connect_properties,
)
options = st.sampled_from([qos | local | kept | retained for qos in range(3) for local in (0, 4) for kept in (0, 8) for retained in (0, 16, 32)])  # fmt: skip  # noqa: E501
filters = st.lists(st.tuples(texts, options), min_size=1, max_size=4).map(tuple)


def codes(allowed: Iterable[int], at_least: int = 1) -> st.SearchStrategy[tuple[int, ...]]:
    """Some of these, in any order."""
    return st.lists(st.sampled_from(sorted(allowed)), min_size=at_least, max_size=4).map(tuple)


packets: st.SearchStrategy[Packet] = st.one_of(
    publishes,
    connects,
    st.builds(Connack, st.sampled_from(sorted(CONNACK_CODES)), st.booleans(), connack_properties),
    st.builds(Puback, ids, st.sampled_from(sorted(PUBACK_CODES)), WORDS),
    st.builds(Subscribe, ids, filters, some(subscription_id=st.integers(1, 268_435_455))),
    st.builds(Suback, ids, codes(SUBACK_CODES), WORDS),
    st.builds(Unsubscribe, ids, st.lists(texts, min_size=1, max_size=4).map(tuple)),
    st.builds(Unsuback, ids, codes(UNSUBACK_CODES, 0), WORDS),
    st.just(Pingreq()),
    st.just(Pingresp()),
    st.builds(
        Disconnect,
        st.sampled_from(sorted(DISCONNECT_CODES)),
        some(session_expiry_s=large, reason=texts, server_reference=texts),
    ),
)


def read(segments: Iterable[bytes], limit: int = 256 * 1024, level: int = 5) -> list[Packet]:
    reader = PacketReader(limit, topic_aliases=ALIASES, level=level)
    found: list[Packet] = []
    for segment in segments:
        reader.feed(segment)
        found += reader.packets()
    return found


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@thorough(300)
@given(packets)
def test_what_is_written_in_mqtt_5_is_read_back(packet: Packet) -> None:
    assert read([encode(packet, 5)]) == [packet]


@thorough(100)
@given(st.lists(packets, max_size=8), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_cutting_of_mqtt_5_into_segments_gives_the_same_packets(sent: list[Packet], places: list[int]) -> None:
    stream = b"".join(encode(packet, 5) for packet in sent)
    assert read(cut(stream, places)) == read([stream]) == sent


hostile = st.one_of(
    st.binary(max_size=300),
    # A true fixed header before garbage, so that every packet type's body is reached.
    st.builds(lambda head, body: bytes((head, len(body))) + body, st.integers(0, 255), st.binary(max_size=100)),
    # True properties of every kind in the wrong packet, and true packets with one wrong byte.
    st.builds(
        lambda packet, place, byte: bytes(
            byte if at == place % len(encode(packet, 5)) else old for at, old in enumerate(encode(packet, 5))
        ),
        packets,
        st.integers(0, 10_000),
        st.integers(0, 255),
    ),
)


@thorough(500)
@given(hostile, st.lists(st.integers(0, 10_000), max_size=5))
def test_any_bytes_are_packets_of_mqtt_5_or_malformed_wherever_they_are_cut(data: bytes, places: list[int]) -> None:
    outcomes = []
    for segments in ([data], cut(data, places)):
        found: list[object] = []
        reader = PacketReader(200, topic_aliases=ALIASES, level=5)
        try:
            for segment in segments:
                reader.feed(segment)
                found.extend(reader.packets())
        except Malformed as error:
            found += [type(error), error.reason, error.code, reader.level]
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]


@thorough(100)
@given(packets)
def test_a_packet_of_mqtt_5_without_its_end_is_waited_for(packet: Packet) -> None:
    data = encode(packet, 5)
    assert all(read([data[:length]]) == [] for length in range(len(data)))


def test_the_first_packet_decides_which_version_is_read() -> None:
    message = Publish(b"t", b"x", 1, 1, properties=Properties(content_type="json"))
    stream = encode(Connect("a", level=5)) + encode(message, 5)
    assert read([stream], level=4)[1] == message
    assert read([encode(Connect("a")) + encode(Publish(b"t", b"x", 1, 1))], level=5)[1] == Publish(b"t", b"x", 1, 1)


def test_user_properties_are_read_and_not_kept() -> None:
    pair = b"\x26\0\1k\0\1v"
    body = b"\0\1t" + bytes((2 * len(pair) + 5,)) + pair + b"\2\0\0\0\x3c" + pair + b"payload"
    assert read([bytes((0x30, len(body))) + body]) == [
        Publish(b"t", b"payload", properties=Properties(message_expiry_s=60))
    ]


def test_success_is_said_in_short() -> None:
    assert encode(Puback(7), 5) == b"\x40\2\0\7" == encode_pubacks([7])
    assert encode(Disconnect(), 5) == b"\xe0\0"
    assert encode(Disconnect(0x8B), 5) == b"\xe0\1\x8b"
    assert read([b"\x40\3\0\7\x10", b"\xe0\1\4"]) == [Puback(7, 0x10), Disconnect(4)]


def publish_with(properties: bytes, *, topic: bytes = b"t") -> bytes:
    body = len(topic).to_bytes(2) + topic + bytes((len(properties),)) + properties
    return bytes((0x30, len(body))) + body


def connect_with(properties: bytes, flags: int = 2, rest: bytes = b"\0\1a") -> bytes:
    body = b"\0\4MQTT\5" + bytes((flags,)) + b"\0\x3c" + bytes((len(properties),)) + properties + rest
    return bytes((0x10, len(body))) + body


PAIR = b"\x26\0\1k\0\1v"
WRONG = {
    "a property that does not exist": (publish_with(b"\x7f\0"), 0x81),
    "a property number of two bytes": (publish_with(b"\xff\1\0"), 0x81),
    "a property of CONNECT in PUBLISH": (publish_with(b"\x21\0\1"), 0x81),
    "a will delay in CONNECT itself": (connect_with(b"\x18\0\0\0\1"), 0x81),
    "a session expiry in the will": (connect_with(b"", 6, b"\0\1a\5\x11\0\0\0\1\0\1t\0\1m"), 0x81),
    "a property twice": (publish_with(b"\2\0\0\0\1\2\0\0\0\1"), 0x82),
    "a number cut short": (publish_with(b"\2\0\0\0"), 0x81),
    "a string longer than the properties": (publish_with(b"\3\0\5a"), 0x81),
    "a string that is not UTF-8": (publish_with(b"\3\0\1\xff"), 0x81),
    "a string with U+0000": (publish_with(b"\3\0\1\0"), 0x81),
    "a user property that is not UTF-8": (publish_with(b"\x26\0\1k\0\1\xff"), 0x81),
    "half a user property": (publish_with(b"\x26\0\1k"), 0x81),
    "properties longer than the packet": (b"\x30\5\0\1t\7\1", 0x81),
    "properties without their length": (b"\x30\3\0\1t", 0x81),
    "a length that is longer than it needs": (b"\x30\5\0\1t\x80\0", 0x81),
    "a length of five bytes": (b"\x30\x09\0\1t\x80\x80\x80\x80\1x", 0x81),
    "user properties by the dozen": (publish_with(b"\x26\0\0\0\0" * 17), 0x97),
    "properties of more than 4 KiB": (b"\x30\x88\x20\0\1t\x84\x20" + PAIR * 588 + b"x" * 3, 0x97),
    "a payload format that is neither": (publish_with(b"\1\2"), 0x82),
    "a response topic with a wildcard": (publish_with(b"\x08\0\1#"), 0x82),
    "a subscription identifier from a client": (publish_with(b"\x0b\1"), 0x82),
    "a topic alias of 0": (publish_with(b"\x23\0\0"), 0x94),
    "a topic alias of 0 among others": (publish_with(b"\1\1\x23\0\0"), 0x94),
    "a topic alias above the maximum": (publish_with(b"\x23\0\x11"), 0x94),
    "a topic alias that has no topic": (publish_with(b"\x23\0\1", topic=b""), 0x82),
    "neither topic nor alias": (publish_with(b"", topic=b""), 0x82),
    "neither topic nor alias but something else": (publish_with(b"\1\1", topic=b""), 0x82),
    "PUBLISH with QoS 3": (b"\x36\6\0\1t\0\1\0", 0x81),
    "PUBLISH of QoS 0 with DUP": (b"\x38\4\0\1t\0", 0x81),
    "PUBLISH with packet identifier 0": (b"\x32\6\0\1t\0\0\0", 0x82),
    "a receive maximum of 0": (connect_with(b"\x21\0\0"), 0x82),
    "a maximum packet size of 0": (connect_with(b"\x27\0\0\0\0"), 0x82),
    "a flag that is neither": (connect_with(b"\x17\2"), 0x82),
    "authentication data without a method": (connect_with(b"\x16\0\1x"), 0x82),
    "CONNECT with the reserved flag": (connect_with(b"", 3), 0x81),
    "CONNECT with will QoS 3": (connect_with(b"", 0x1E, b"\0\1a\0\0\1t\0\1m"), 0x81),
    "CONNECT with will QoS but no will": (connect_with(b"", 0x0A), 0x81),
    "CONNECT with will retain but no will": (connect_with(b"", 0x22), 0x81),
    "CONNECT without the user name it announces": (connect_with(b"", 0x82), 0x81),
    "CONNECT with more than it announces": (connect_with(b"", 2, b"\0\1a\0\1u"), 0x81),
    "CONNECT without properties": (b"\x10\x0a\0\4MQTT\5\2\0\x3c", 0x81),
    "SUBSCRIBE with reserved bits": (b"\x82\7\0\1\0\0\1a\x40", 0x81),
    "SUBSCRIBE with QoS 3": (b"\x82\7\0\1\0\0\1a\3", 0x82),
    "SUBSCRIBE with retain handling 3": (b"\x82\7\0\1\0\0\1a\x30", 0x82),
    "SUBSCRIBE that is shared and not local": (b"\x82\x10\0\1\0\0\x0a$share/a/b\4", 0x82),
    "SUBSCRIBE with identifier 0": (b"\x82\x09\0\1\2\x0b\0\0\1a\0", 0x82),
    "SUBSCRIBE without a filter": (b"\x82\3\0\1\0", 0x82),
    "SUBSCRIBE with packet identifier 0": (b"\x82\7\0\0\0\0\1a\0", 0x82),
    "SUBSCRIBE with flags 0": (b"\x80\7\0\1\0\0\1a\0", 0x81),
    "UNSUBSCRIBE without a filter": (b"\xa2\3\0\1\0", 0x82),
    "UNSUBSCRIBE with flags 0": (b"\xa0\6\0\1\0\0\1a", 0x81),
    "PUBACK with a reason it cannot have": (b"\x40\3\0\1\x8b", 0x81),
    "PUBACK with a property it cannot have": (b"\x40\7\0\1\0\3\x21\0\1", 0x81),
    "DISCONNECT with a reason it cannot have": (b"\xe0\1\x84", 0x81),
    "DISCONNECT with flags": (b"\xe1\0", 0x81),
    "DISCONNECT longer than its fields": (b"\xe0\3\0\0x", 0x81),
    "SUBACK with a code that does not exist": (b"\x90\4\0\1\0\3", 0x81),
    "PINGREQ with a body": (b"\xc0\1x", 0x81),
    "PUBREC": (b"\x50\2\0\1", 0x9B),
    "PUBREL": (b"\x62\2\0\1", 0x9B),
    "AUTH": (b"\xf0\0", 0x82),
    "packet type 0": (b"\0\0", 0x81),
    "a remaining length that is longer than it needs": (b"\xc0\x80\0", 0x81),
}


@pytest.mark.parametrize(("data", "code"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_in_mqtt_5_is_said_by_its_code(data: bytes, code: int) -> None:
    with pytest.raises(Malformed) as raised:
        read([data])
    assert raised.value.code == code
    assert type(raised.value) is Malformed


def test_most_properties_are_taken() -> None:
    most = PAIR * USER_PROPERTIES_MAX
    blob = bytes(PROPERTY_BYTES_MAX - len(most) - 3)
    body = b"\0\1t" + write_variable(PROPERTY_BYTES_MAX) + most + b"\x09" + write_binary(blob) + b"payload"
    assert read([b"\x30" + write_variable(len(body)) + body]) == [
        Publish(b"t", b"payload", properties=Properties(correlation_data=blob))
    ]


def test_an_alias_stands_for_its_topic_until_it_is_given_another() -> None:
    sent = [
        Publish(b"one", b"1", properties=Properties(topic_alias=1)),
        Publish(b"sixteen", b"2", properties=Properties(topic_alias=16)),
        Publish(b"", b"3", properties=Properties(topic_alias=1)),
        Publish(b"", b"4", properties=Properties(topic_alias=16, content_type="json")),
        Publish(b"other", b"5", properties=Properties(topic_alias=1)),
        Publish(b"", b"6", 1, 9, properties=Properties(topic_alias=1)),
        Publish(b"plain", b"7"),
    ]
    found = read([b"".join(encode(packet, 5) for packet in sent)])
    assert [packet.topic for packet in found if isinstance(packet, Publish)] == [
        b"one", b"sixteen", b"one", b"sixteen", b"other", b"other", b"plain",
    ]  # fmt: skip


def test_another_connection_does_not_know_the_aliases_of_this_one() -> None:
    again = encode(Connect("a", level=5))
    first = encode(Publish(b"one", b"1", properties=Properties(topic_alias=1)), 5)
    with pytest.raises(Malformed, match="has not been given a topic"):
        read([again, first, again, publish_with(b"\x23\0\1", topic=b"")])


@pytest.mark.parametrize("opening", [b"\0\4MQTT\6", b"\0\4MQTT\x85", b"\0\4MQTT\x7f"])
def test_a_version_after_5_is_told_from_garbage(opening: bytes) -> None:
    body = opening + b"\2\0\x3c\0whatever follows in that version"
    reader = PacketReader(1_000)
    reader.feed(bytes((0x10, len(body))) + body)
    with pytest.raises(UnsupportedProtocol) as raised:
        list(reader.packets())
    assert (raised.value.code, reader.level) == (ReasonCode.UNACCEPTABLE_PROTOCOL_VERSION, 5)


@pytest.mark.parametrize("level", [4, 5])
def test_of_a_connect_that_is_too_large_the_version_is_still_read(level: int) -> None:
    reader = PacketReader(1_000)
    for byte in b"\x10\xe9\x07\0\4MQTT":
        reader.feed(bytes((byte,)))
        assert list(reader.packets()) == []
    reader.feed(bytes((level,)))
    with pytest.raises(TooLarge) as raised:
        list(reader.packets())
    assert (raised.value.code, reader.level) == (ReasonCode.PACKET_TOO_LARGE, level)


def test_a_field_of_mqtt_5_that_does_not_fit_is_not_written() -> None:
    with pytest.raises(ValueError, match="65,535"):
        encode(Disconnect(0x81, Properties(reason="x" * 65_536)), 5)
    with pytest.raises(ValueError, match="268,435,455"):
        encode(Subscribe(1, (("a", 0),), Properties(subscription_id=268_435_456)), 5)


def test_without_properties_their_length_is_0() -> None:
    assert encode(Subscribe(1, (("a", 1),)), 5) == b"\x82\7\0\1\0\0\1a\1"
    assert read([encode(Unsuback(1, (0x11,)), 5)]) == [Unsuback(1, (0x11,), NO_PROPERTIES)]
