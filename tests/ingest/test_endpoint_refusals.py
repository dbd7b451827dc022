"""What is not taken: quarantine, then the connection closes."""

import contextlib
import random
from collections.abc import Callable

import pytest

from ingest.message import Reason
from ingest.packets import Pingreq, Pingresp, Puback, Publish, encode
from tests.ingest.box import Box, Device, connect, data, numbered, until

FOREIGN = [
    b"takean/v1/WL-02/data",
    b"takean/v1/WL-01/cmd",
    b"takean/v1/WL-01/data/",
    b"takean/v1/WL-01/Data",
    b"takean/v1/WL-01",
    b"takean/drill/v1/WL-01/data",
    b"takean/v1/+/data",
    b"takean/v1/WL-01/#",
    b"#",
    b"/",
    b"",
    b"$SYS/broker",
    b"takean/v1/WL-01\0/data",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "takean/v1/สถานี/data".encode(),
]


@pytest.mark.parametrize("topic", FOREIGN)
def test_a_foreign_topic_is_quarantined_and_closes_the_connection(box: Box, topic: bytes) -> None:
    with connect(box, client="gauge-1") as device:
        device.send(Publish(topic, b"payload", 1, 1), data(b"x", 2))
        assert device.receive_all() == []
    ((message, rejection, unread_bytes),) = box.refusals
    assert message.topic == topic.decode("utf-8", "replace")
    assert (message.payload, message.client, unread_bytes) == (b"payload", "gauge-1", None)
    assert rejection.reason is Reason.FOREIGN_TOPIC
    assert box.messages == []
    assert box.endpoint.counters.refused == {"foreign_topic": 1}
    assert box.endpoint.counters.closed == {"refused": 1}


def test_what_came_before_a_foreign_topic_is_acknowledged(box: Box) -> None:
    box.gate.clear()
    with connect(box) as device:
        device.send(*numbered(30), Publish(b"elsewhere", b"x", 1, 31), *numbered(5))
        box.gate.set()
        assert device.receive_all() == [Puback(number) for number in range(1, 31)]
    assert len(box.messages) == 30


def test_the_connection_closes_only_when_the_refusal_is_kept(box: Box) -> None:
    box.gate.clear()
    with connect(box) as device:
        device.send(Publish(b"elsewhere", b"x"))
        assert box.entered.acquire(timeout=10)
        assert not box.endpoint.counters.closed
        box.gate.set()
        assert device.receive_all() == []
    assert len(box.refusals) == 1


def test_a_full_connection_stays_shut_until_its_refusal_is_kept(make_box: Callable[..., Box]) -> None:
    box = make_box(unacked_messages=2, batch_messages=1)
    with connect(box) as device:
        device.send(*numbered(4), Publish(b"elsewhere", b"x", 1, 9), data(b"after", 10))
        assert device.receive_all() == [Puback(number) for number in range(1, 5)]
    assert b"after" not in box.payloads
    assert len(box.refusals) == 1


def test_too_large_is_refused_from_the_header(make_box: Callable[..., Box]) -> None:
    box = make_box(packet_bytes=1_000)
    with connect(box, client="gauge-1") as device:
        device.send(b"\x32\xe9\x07")
        assert device.receive_all() == []
    ((message, rejection, unread_bytes),) = box.refusals
    assert rejection.reason is Reason.TOO_LARGE
    assert "WL-01" in rejection.detail
    assert (message.payload, message.client, unread_bytes) == (b"", "gauge-1", 1_001)


def test_too_large_is_refused_with_its_body_on_the_way(box: Box) -> None:
    with connect(box) as device:
        try:
            device.send(data(bytes(300_000), 1))
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            assert device.receive_all() == []
    until(lambda: box.refusals)
    ((_, rejection, unread_bytes),) = box.refusals
    assert rejection.reason is Reason.TOO_LARGE
    assert unread_bytes == len(encode(data(bytes(300_000), 1))) - 4


def test_the_largest_message_is_taken(box: Box) -> None:
    largest = bytes(256 * 1024 - 2 - len("takean/v1/WL-01/data") - 2)
    with connect(box) as device:
        assert device.send(data(largest, 1)).receive() == [Puback(1)]
    assert box.payloads == [largest]


def test_qos_2_is_quarantined_and_closes_the_connection(box: Box) -> None:
    with connect(box, client="gauge-1") as device:
        assert device.send(data(b"a", 1), Publish(b"takean/v1/WL-01/data", b"x", 2, 2)).receive_all() == [Puback(1)]
    ((message, rejection, unread_bytes),) = box.refusals
    assert (message.topic, message.payload, message.client) == ("takean/v1/WL-01/data", b"x", "gauge-1")
    assert (rejection.reason, unread_bytes) == (Reason.NOT_MQTT, None)
    assert box.payloads == [b"a"]
    assert box.endpoint.counters.closed == {"refused": 1}


@pytest.mark.parametrize(
    "breach",
    [
        b"\xf0\0",
        b"\x50\2\0\1",
        b"\x30\xff\xff\xff\xff\1",
        b"\x36\6\0\1a\0\1x",
        b"\x82\2\0\1",
        b"\xc1\0",
        b"\x10\x12\0\4MQTT\5\xc2\0\x3c\0\0\5gauge",
    ],
)
def test_a_malformed_packet_closes_the_connection_and_says_whose_it_was(box: Box, breach: bytes) -> None:
    with connect(box, client="gauge-1") as device:
        assert device.send(data(b"a", 1), breach, data(b"b", 2)).receive_all() == [Puback(1)]
    ((message, rejection, unread_bytes),) = box.refusals
    assert rejection.reason is Reason.NOT_MQTT
    assert "WL-01" in rejection.detail
    assert (message.payload, message.client, unread_bytes) == (b"", "gauge-1", 0)
    assert box.payloads == [b"a"]
    assert box.endpoint.counters.refused == {"not_mqtt": 1}
    assert box.endpoint.counters.closed == {"refused": 1}


def test_who_was_not_let_in_writes_no_row(box: Box) -> None:
    with Device(box) as device:
        assert device.send(b"\xf0\0").receive_all() == []
    assert box.endpoint.counters.closed == {"malformed": 1}
    assert box.refusals == []


@pytest.mark.parametrize("breach", [b"\xf0\0", encode(Publish(b"elsewhere", b"x"))])
def test_a_flood_of_refused_connections_writes_few_rows(make_box: Callable[..., Box], breach: bytes) -> None:
    box = make_box(refusals_per_station=3)
    box.gate.clear()
    for number in range(40):
        with connect(box, client=f"gauge-{number}") as device:
            device.send(breach)
            until(lambda number=number: box.endpoint.counters.unrecorded + 3 > number)  # type: ignore[misc]
    until(lambda: box.endpoint.counters.unrecorded == 37)
    with connect(box, "WL-02") as other:
        other.send(data(b"x", 1, "WL-02"))
        box.gate.set()
        assert other.receive() == [Puback(1)]
    until(lambda: len(box.refusals) == 3)
    with connect(box) as device:  # Once they are written, there is room again.
        assert device.send(breach).receive_all() == []
    assert len(box.refusals) == 4


def test_a_long_foreign_topic_is_not_kept_whole(box: Box) -> None:
    with connect(box) as device:
        assert device.send(Publish(b"\xff" * 60_000, b"x", 1, 1)).receive_all() == []
    ((message, _, _),) = box.refusals
    assert message.topic == "\ufffd" * 256


def test_an_empty_payload_is_a_message(box: Box) -> None:
    with connect(box) as device:
        assert device.send(data(b"", 1)).receive() == [Puback(1)]
    assert box.payloads == [b""]


@pytest.mark.usefixtures("hasty")
def test_noise_harms_nobody_else(box: Box) -> None:
    noise = random.Random(20260801)
    with connect(box, "WL-02") as good:
        for number in range(1, 121):
            with Device(box) as hostile:
                if number % 2:
                    hostile.send(encode_connect(number))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    hostile.send(noise.randbytes(noise.randrange(1, 400)))
            assert good.send(data(b"%d" % number, number, "WL-02")).receive() == [Puback(number)]
        assert good.send(Pingreq()).receive() == [Pingresp()]
    until(lambda: box.endpoint.counters.connections == 0)
    assert [payload for payload in box.payloads if payload.isdigit()] == [b"%d" % number for number in range(1, 121)]
    assert box.pump.healthy


def encode_connect(number: int) -> bytes:
    """A good CONNECT, so that the noise after it is read by the part behind the door."""
    user, client = b"\0\5WL-01\0\5right", b"\0\4%04d" % number
    body = b"\0\4MQTT\4\xc2\0\x3c" + client + user
    return bytes((0x10, len(body))) + body
