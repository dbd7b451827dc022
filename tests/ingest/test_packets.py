"""MQTT 3.1.1 packets, without a socket."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.packets import (
    Connack,
    Connect,
    Disconnect,
    Malformed,
    Packet,
    PacketReader,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
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

LIMIT = 256 * 1024
GENTLE = settings(derandomize=True, deadline=None, max_examples=150)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
ids = st.integers(1, 65_535)
publishes = st.one_of(
    st.builds(Publish, st.binary(max_size=40), st.binary(max_size=300), retain=st.booleans()),
    st.builds(
        Publish,
        st.binary(max_size=40),
        st.binary(max_size=300),
        st.sampled_from([1, 2]),
        ids,
        st.booleans(),
        st.booleans(),
    ),
)
connects = st.builds(
    lambda client, clean, keep, will, user, password: Connect(
        client, clean, keep, will, user, password if user is not None else None
    ),
    texts,
    st.booleans(),
    st.integers(0, 65_535),
    st.none() | st.builds(Will, texts, st.binary(max_size=40), st.integers(0, 2), st.booleans()),
    st.none() | texts,
    st.none() | st.binary(max_size=40),
)
packets: st.SearchStrategy[Packet] = st.one_of(
    publishes,
    connects,
    st.builds(Connack, st.integers(0, 5), st.booleans()),
    st.builds(Puback, ids),
    st.builds(Subscribe, ids, st.lists(st.tuples(texts, st.integers(0, 2)), min_size=1, max_size=4).map(tuple)),
    st.builds(Suback, ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=4).map(tuple)),
    st.builds(Unsubscribe, ids, st.lists(texts, min_size=1, max_size=4).map(tuple)),
    st.builds(Unsuback, ids),
    st.just(Pingreq()),
    st.just(Pingresp()),
    st.just(Disconnect()),
)


def read(segments: Iterable[bytes], limit: int = LIMIT) -> list[Packet]:
    reader = PacketReader(limit)
    found: list[Packet] = []
    for segment in segments:
        reader.feed(segment)
        found += reader.packets()
    return found


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@GENTLE
@given(packets)
def test_what_is_written_is_read_back(packet: Packet) -> None:
    assert read([encode(packet)]) == [packet]


@GENTLE
@given(st.lists(packets, max_size=8), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_cutting_into_segments_gives_the_same_packets(sent: list[Packet], places: list[int]) -> None:
    stream = b"".join(map(encode, sent))
    assert read(cut(stream, places)) == sent


@GENTLE
@given(st.lists(packets, max_size=4))
def test_byte_by_byte_gives_the_same_packets(sent: list[Packet]) -> None:
    stream = b"".join(map(encode, sent))
    assert read(stream[i : i + 1] for i in range(len(stream))) == sent


@settings(derandomize=True, deadline=None, max_examples=250)
@given(
    st.one_of(
        st.binary(max_size=300),
        # A true fixed header before garbage, so that every packet type's body is reached.
        st.builds(lambda head, body: bytes((head, len(body))) + body, st.integers(0, 255), st.binary(max_size=100)),
        st.builds(
            lambda packet, place, byte: bytes(
                byte if at == place % len(encode(packet)) else old for at, old in enumerate(encode(packet))
            ),
            packets,
            st.integers(0, 10_000),
            st.integers(0, 255),
        ),
    ),
    st.lists(st.integers(0, 10_000), max_size=5),
)
def test_any_bytes_are_packets_or_malformed_wherever_they_are_cut(data: bytes, places: list[int]) -> None:
    outcomes = []
    for segments in ([data], cut(data, places)):
        found: list[object] = []
        reader = PacketReader(200)
        try:
            for segment in segments:
                reader.feed(segment)
                found.extend(reader.packets())
        except Malformed as error:
            found += [type(error), error.reason]
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]


def test_reading_may_stop_between_two_packets_and_go_on_later() -> None:
    sent: list[Packet] = [Publish(b"t", b"%d" % i, 1, i + 1) for i in range(5)]
    stream = b"".join(map(encode, sent))
    reader = PacketReader(LIMIT)
    reader.feed(stream[:-3])
    first = next(reader.packets())
    reader.feed(stream[-3:])
    assert [first, *reader.packets()] == sent


def test_good_packets_before_a_malformed_one_are_read() -> None:
    reader = PacketReader(LIMIT)
    reader.feed(encode(Pingreq()) + b"\xf0\x00")
    stream = reader.packets()
    assert next(stream) == Pingreq()
    with pytest.raises(Malformed):
        next(stream)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 200_000])
def test_the_length_of_a_packet_takes_as_many_bytes_as_it_needs(length: int) -> None:
    packet = Publish(b"", bytes(max(0, length - 2)))
    assert read([encode(packet)]) == [packet]


def test_too_large_is_known_from_the_header_alone() -> None:
    reader = PacketReader(1000)
    reader.feed(b"\x30\xe9\x07")
    with pytest.raises(TooLarge) as raised:
        list(reader.packets())
    assert raised.value.length == 1001


def test_the_largest_packet_is_not_too_large() -> None:
    packet = Publish(b"t", bytes(997))
    assert read([encode(packet)], limit=1000) == [packet]


def test_the_bound_may_rise_between_two_packets() -> None:
    large = Publish(b"t", bytes(500))
    reader = PacketReader(100)
    reader.feed(encode(Connect("a")) + encode(large))
    stream = reader.packets()
    assert isinstance(next(stream), Connect)
    reader.limit = 1000
    assert next(stream) == large


def test_a_length_of_five_bytes_is_malformed() -> None:
    with pytest.raises(Malformed, match="four bytes"):
        read([b"\x30\xff\xff\xff\xff\x01"])


def test_a_length_of_four_bytes_is_waited_for() -> None:
    assert read([b"\x30\xff\xff\xff"]) == []


def connect_with(flags: int, rest: bytes = b"\0\1a") -> bytes:
    body = b"\0\4MQTT\4" + bytes((flags,)) + b"\0\x3c" + rest
    return bytes((0x10, len(body))) + body


MALFORMED = {
    "packet type 0": b"\x00\x00",
    "packet type 15": b"\xf0\x00",
    "PUBREC": b"\x50\x02\x00\x01",
    "PUBREL": b"\x62\x02\x00\x01",
    "PUBCOMP": b"\x70\x02\x00\x01",
    "PINGREQ with flags": b"\xc1\x00",
    "PINGREQ with a body": b"\xc0\x01x",
    "DISCONNECT with flags": b"\xe4\x00",
    "SUBSCRIBE with flags 0": b"\x80\x06\0\1\0\1a\0",
    "SUBSCRIBE without a filter": b"\x82\x02\0\1",
    "SUBSCRIBE with packet identifier 0": b"\x82\x06\0\0\0\1a\0",
    "SUBSCRIBE without its QoS": b"\x82\x05\0\1\0\1a",
    "SUBSCRIBE with QoS 3": b"\x82\x06\0\1\0\1a\3",
    "SUBSCRIBE with reserved bits": b"\x82\x06\0\1\0\1a\x81",
    "SUBSCRIBE to what is not UTF-8": b"\x82\x06\0\1\0\1\xff\0",
    "SUBSCRIBE to U+0000": b"\x82\x06\0\1\0\1\0\0",
    "SUBSCRIBE to a surrogate": b"\x82\x08\0\1\0\3\xed\xa0\x80\0",
    "UNSUBSCRIBE with flags 0": b"\xa0\x05\0\1\0\1a",
    "UNSUBSCRIBE without a filter": b"\xa2\x02\0\1",
    "UNSUBSCRIBE with packet identifier 0": b"\xa2\x05\0\0\0\1a",
    "PUBLISH without a topic": b"\x30\x01\0",
    "PUBLISH with a topic that is too long": b"\x30\x04\0\4ab",
    "PUBLISH with QoS 3": b"\x36\x06\0\1a\0\1x",
    "PUBLISH with packet identifier 0": b"\x32\x06\0\1a\0\0x",
    "PUBLISH without packet identifier": b"\x32\x04\0\1a\0",
    "PUBLISH of QoS 0 with DUP": b"\x38\x04\0\1ax",
    "PUBACK with packet identifier 0": b"\x40\x02\0\0",
    "PUBACK that is too long": b"\x40\x03\0\1x",
    "SUBACK with a return code that does not exist": b"\x90\x03\0\1\3",
    "CONNACK with reserved flags": b"\x20\x02\2\0",
    "CONNECT of another protocol": b"\x10\x0d\0\4HTTP\4\2\0\x3c\0\1a",
    "CONNECT with the reserved flag": connect_with(0x03),
    "CONNECT with will QoS 3": connect_with(0x1E, b"\0\1a\0\1t\0\1m"),
    "CONNECT with will QoS but no will": connect_with(0x0A),
    "CONNECT with will retain but no will": connect_with(0x22),
    "CONNECT with a password but no user name": connect_with(0x42, b"\0\1a\0\1p"),
    "CONNECT without the user name it announces": connect_with(0x82),
    "CONNECT without the password it announces": connect_with(0xC2, b"\0\1a\0\1u"),
    "CONNECT with more than it announces": connect_with(0x02, b"\0\1a\0\1u"),
    "CONNECT without a client id": connect_with(0x02, b""),
    "CONNECT with a client id that is not UTF-8": connect_with(0x02, b"\0\1\xff"),
    "CONNECT that ends in its flags": b"\x10\x07\0\4MQTT\4",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_is_said_to_be_so(data: bytes) -> None:
    with pytest.raises(Malformed) as raised:
        read([data])
    assert type(raised.value) is Malformed


@pytest.mark.parametrize("opening", [b"\0\4MQTT\6", b"\0\4MQTT\3", b"\0\4MQTT\x84", b"\0\6MQIsdp\3"])
def test_another_version_is_told_from_garbage(opening: bytes) -> None:
    body = opening + b"\2\0\x3c\0whatever follows in that version"
    with pytest.raises(UnsupportedProtocol):
        read([bytes((0x10, len(body))) + body])


def test_text_beyond_ascii_and_the_byte_order_mark_are_text() -> None:
    packet = Connect("สถานี\ufeff")
    assert read([encode(packet)]) == [packet]


def test_pubacks_in_one_piece_keep_their_order() -> None:
    sent = [3, 65_535, 1, 2]
    assert read([encode_pubacks(sent)]) == [Puback(packet_id) for packet_id in sent]


def test_a_field_that_does_not_fit_is_not_written() -> None:
    with pytest.raises(ValueError, match="65,535"):
        encode(Publish(bytes(65_536), b""))


def test_a_control_packet_of_absurd_length_is_refused_from_its_header() -> None:
    reader = PacketReader(limit=256 * 1024)
    reader.feed(bytes([0x82, 0x81, 0x20]))  # SUBSCRIBE, remaining length 4,097
    with pytest.raises(Malformed, match="4097 bytes"):
        list(reader.packets())
