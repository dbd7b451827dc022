"""Messages in MQTT 5: aliases, properties, acknowledgement, and the reason that a refused device is told."""

from collections.abc import Callable

import pytest

from ingest.message import Reason
from ingest.packets import Disconnect, Packet, Properties, Puback, Publish, ReasonCode, encode
from tests.ingest.box import Box, data, numbered, until
from tests.ingest.device5 import connect5
from tests.ingest.test_mqtt5_connection import OFFLINE, parting
from tests.ingest.test_mqtt5_packets import publish_with

DATA = b"takean/v1/WL-01/data"
STATUS = b"takean/v1/WL-01/status"


def test_messages_of_mqtt_5_are_acknowledged_in_short_when_they_are_safe(box: Box) -> None:
    box.gate.clear()
    with connect5(box) as device:
        device.send(*numbered(3))
        assert box.entered.acquire(timeout=10)
        until(lambda: box.endpoint.counters.messages == 3)
        assert box.endpoint.counters.acknowledged == 0
        box.gate.set()
        assert device.socket.recv(12, 0x100) == b"\x40\2\0\1\x40\2\0\2\x40\2\0\3"  # MSG_WAITALL
    assert box.payloads == [b"1", b"2", b"3"]


def test_what_a_message_says_beside_its_payload_changes_nothing(box: Box) -> None:
    said = Properties(
        payload_is_text=True,
        message_expiry_s=0,
        content_type="application/senml+json",
        response_topic="elsewhere",
        correlation_data=b"\xff",
    )
    with connect5(box) as device:
        assert device.send(Publish(DATA, b"\xff", 1, 1, properties=said)).receive() == [Puback(1)]
        assert device.send(Publish(STATUS, b"online", 1, 2, retain=True, properties=said)).receive() == [Puback(2)]
    assert box.payloads == [b"\xff"]
    assert box.statuses == [("WL-01", b"online", 1_000)]


def test_an_alias_saves_the_topic(box: Box) -> None:
    with connect5(box) as device:
        device.send(
            Publish(DATA, b"1", 1, 1, properties=Properties(topic_alias=1)),
            Publish(STATUS, b"online", 1, 2, properties=Properties(topic_alias=16)),
            Publish(b"", b"2", 1, 3, properties=Properties(topic_alias=1)),
            Publish(b"", b"offline", properties=Properties(topic_alias=16)),
            Publish(b"", b"3", 1, 4, properties=Properties(topic_alias=1)),
        )
        received: list[Packet] = device.receive(4)
    assert sorted(map(repr, received)) == [repr(Puback(number)) for number in (1, 2, 3, 4)]
    until(lambda: len(box.statuses) == 2)
    assert [(message.topic, message.payload) for message in box.messages] == [
        (DATA.decode(), payload) for payload in (b"1", b"2", b"3")
    ]
    assert [payload for _, payload, _ in box.statuses] == [b"online", b"offline"]


def test_an_alias_dies_with_its_connection(box: Box) -> None:
    with connect5(box) as device:
        assert device.send(Publish(DATA, b"1", 1, 1, properties=Properties(topic_alias=1))).receive() == [Puback(1)]
    with connect5(box) as device:
        said = parting(device.send(Publish(b"", b"2", 1, 2, properties=Properties(topic_alias=1))))
    assert said.code == ReasonCode.PROTOCOL_ERROR
    assert box.payloads == [b"1"]


def test_an_alias_cannot_hide_a_foreign_topic(box: Box) -> None:
    with connect5(box) as device:
        device.send(
            Publish(b"takean/v1/WL-02/data", b"1", 1, 1, properties=Properties(topic_alias=1)),
            Publish(b"", b"2", 1, 2, properties=Properties(topic_alias=1)),
        )
        assert device.receive_all()[-1:] == [
            Disconnect(0x87, Properties(reason="may publish only to its own data and status topics"))
        ]
    ((message, rejection, _),) = box.refusals
    assert (message.topic, message.payload) == ("takean/v1/WL-02/data", b"1")
    assert rejection.reason is Reason.FOREIGN_TOPIC
    assert box.messages == []


REFUSED: dict[str, tuple[bytes, Reason, ReasonCode]] = {
    "another station's topic": (
        encode(Publish(b"takean/v1/WL-02/data", b"x", 1, 2), 5),
        Reason.FOREIGN_TOPIC,
        ReasonCode.NOT_AUTHORIZED,
    ),
    "a topic with a wildcard": (
        encode(Publish(b"takean/v1/WL-01/#", b"x", 1, 2), 5),
        Reason.FOREIGN_TOPIC,
        ReasonCode.TOPIC_NAME_INVALID,
    ),
    "a topic that is not text": (
        encode(Publish(b"\xff", b"x", 1, 2), 5),
        Reason.FOREIGN_TOPIC,
        ReasonCode.MALFORMED_PACKET,
    ),
    "QoS 2": (encode(Publish(DATA, b"x", 2, 2), 5), Reason.NOT_MQTT, ReasonCode.QOS_NOT_SUPPORTED),
    "PUBREL": (b"\x62\2\0\1", Reason.NOT_MQTT, ReasonCode.QOS_NOT_SUPPORTED),
    "too large": (b"\x32\xe9\x07", Reason.TOO_LARGE, ReasonCode.PACKET_TOO_LARGE),
    "a topic alias above the maximum": (
        publish_with(b"\x23\0\x11"),
        Reason.NOT_MQTT,
        ReasonCode.TOPIC_ALIAS_INVALID,
    ),
    "a property twice": (publish_with(b"\1\1\1\1"), Reason.NOT_MQTT, ReasonCode.PROTOCOL_ERROR),
    "a property that does not exist": (publish_with(b"\x7f"), Reason.NOT_MQTT, ReasonCode.MALFORMED_PACKET),
    "flags that cannot be": (b"\xc1\0", Reason.NOT_MQTT, ReasonCode.MALFORMED_PACKET),
}


@pytest.mark.parametrize(("packet", "reason", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_packet_is_kept_then_its_device_is_told_why_and_leaves_its_will(
    make_box: Callable[..., Box], packet: bytes, reason: Reason, code: ReasonCode
) -> None:
    box = make_box(packet_bytes=1_000)
    with connect5(box, will=OFFLINE) as device:
        box.gate.clear()
        device.send(data(b"a", 1), packet, data(b"b", 3))
        assert box.entered.acquire(timeout=10)
        assert not box.endpoint.counters.closed
        box.gate.set()
        first, last = device.receive_all()
    assert first == Puback(1)
    assert isinstance(last, Disconnect)
    assert last.code == code
    ((_, rejection, _),) = box.refusals
    assert rejection.reason is reason
    assert rejection.detail == f"station WL-01: {last.properties.reason}"
    assert box.payloads == [b"a"]
    until(lambda: box.statuses)
    assert box.statuses == [("WL-01", b"offline", 1_000)]


def test_a_refusal_that_writes_no_row_is_told_all_the_same(make_box: Callable[..., Box]) -> None:
    box = make_box(refusals_per_station=0)
    with connect5(box) as device:
        assert parting(device.send(b"\xc1\0")).code == ReasonCode.MALFORMED_PACKET
    assert box.refusals == []


def test_who_sends_more_than_the_receive_maximum_is_held_back_and_loses_nothing(make_box: Callable[..., Box]) -> None:
    box = make_box(unacked_messages=5)
    box.gate.clear()
    with connect5(box) as device:
        device.send(*numbered(50))
        until(lambda: box.endpoint.counters.messages == 5)
        assert box.entered.acquire(timeout=10)
        assert box.endpoint.counters.messages == 5
        box.gate.set()
        assert device.receive(50) == [Puback(number) for number in range(1, 51)]
    assert box.payloads == [b"%d" % number for number in range(1, 51)]
