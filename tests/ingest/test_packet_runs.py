"""Plain messages taken by the run are the packets that they are one by one, whatever stands between and behind them."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packets import NO_PROPERTIES, Malformed, Packet, PacketReader, Pingreq, Properties, Publish, encode
from tests.builders import thorough
from tests.ingest.test_mqtt5_packets import cut

TOPIC = b"takean/v1/WL-01/data"
FIELD = len(TOPIC).to_bytes(2) + TOPIC
LIMIT = 20_000
LENGTHS = (0, 1, 100, 102, 103, 104, 105, 127, 128, 16_350, 16_400)
"""Of payloads, around those where the packet's own length takes one byte more."""
ALIAS = Properties(topic_alias=3)
OTHERS = (
    Pingreq(),
    Publish(TOPIC, b"of QoS 0"),
    Publish(TOPIC, b"of QoS 2", 2, 9),
    Publish(TOPIC + b"x", b"elsewhere", 1, 9),
    Publish(TOPIC[:-1], b"elsewhere", 1, 9),
    Publish(TOPIC, b"with a property", 1, 9, properties=ALIAS),
)
FAULTS = (
    b"",
    b"\x32\x18" + FIELD + b"\0\0",  # packet identifier 0
    b"\x32\x16" + FIELD,  # ends where it should stand
    b"\x32\x80\x00",
    b"\x32\xff\xff\xff\xff\xff",
    b"\x32\xff\xff\x7f",
    b"\x36\x18" + FIELD + b"\0\1",
)


def one_by_one(reader: PacketReader) -> Iterator[Packet]:
    return reader.packets()


def by_the_run(reader: PacketReader, most: int) -> Iterator[Packet]:
    """As a connection reads."""
    packets = reader.packets()
    while not reader.is_drained:
        if run := reader.run(FIELD, most, 1 << 20):
            assert len(run) <= most
            yield from (Publish(TOPIC, payload, 1, packet_id) for packet_id, payload in run)
        elif (packet := next(packets, None)) is not None:
            yield packet
        else:
            return


def read(
    level: int, pieces: Iterable[bytes], way: Callable[[PacketReader], Iterator[Packet]]
) -> tuple[list[Packet], str]:
    """Everything, without the flags DUP and RETAIN, which nothing of ours asks for; and what was wrong behind it."""
    reader, seen = PacketReader(LIMIT, topic_aliases=16, level=level), list[Packet]()
    try:
        for piece in pieces:
            reader.feed(piece)
            for one in way(reader):
                is_plain = isinstance(one, Publish) and one.properties == NO_PROPERTIES
                seen.append(Publish(one.topic, one.payload, one.qos, one.packet_id) if is_plain else one)  # type: ignore[union-attr]
    except Malformed as error:
        return seen, error.reason
    return seen, ""


@thorough(120)
@given(
    st.lists(st.sampled_from(LENGTHS) | st.sampled_from(LENGTHS) | st.sampled_from(OTHERS), max_size=12),
    st.sampled_from(FAULTS),
    st.lists(st.integers(0, 50_000), max_size=8),
    st.integers(1, 5),
    st.sampled_from([4, 5]),
)
def test_by_the_run_the_same_is_read_as_one_by_one(
    sent: list[int | Packet], fault: bytes, places: list[int], most: int, level: int
) -> None:
    packets = [
        Publish(TOPIC, bytes(one), 1, number, number % 2 == 0, number % 3 == 0) if isinstance(one, int) else one
        for number, one in enumerate(sent, 1)
    ]
    pieces = cut(b"".join(encode(packet, level) for packet in packets) + fault, places)
    assert read(level, pieces, lambda reader: by_the_run(reader, most)) == read(level, pieces, one_by_one)


@pytest.mark.parametrize("level", [4, 5])
def test_a_run_stops_at_its_bounds(level: int) -> None:
    reader = PacketReader(LIMIT, topic_aliases=16, level=level)
    reader.feed(b"".join(encode(Publish(TOPIC, bytes(100), 1, number), level) for number in range(1, 11)))
    assert [number for number, _ in reader.run(FIELD, 3, 10_000)] == [1, 2, 3]
    assert [number for number, _ in reader.run(FIELD, 100, 201)] == [4, 5, 6], "the last may go over"
    assert reader.run(FIELD, 0, 10_000) == reader.run(FIELD, 100, 0) == []
    assert not reader.is_drained
    assert len(reader.run(FIELD, 100, 10_000)) == 4
    assert reader.is_drained


def test_a_message_over_the_bound_is_not_taken_by_the_run() -> None:
    reader = PacketReader(100)
    reader.feed(encode(Publish(TOPIC, bytes(100), 1, 1)))
    assert reader.run(FIELD, 10, 10_000) == []
