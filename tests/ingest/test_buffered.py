"""paho's private parts that are replaced: as paho does it, only sooner; and paho's own where they have changed."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.buffered import PRIVATE, READ_BYTES, BufferedClient, BufferedSocket, make_client, split_publish
from tests.builders import thorough
from tests.ingest.box import until
from tests.ingest.mosquitto import BrokerBox, Mosquitto, publish


def ignore(topic: bytes, payload: bytes, packet_id: int, is_retained: bool) -> None:
    """Take a message nowhere."""


def test_this_release_of_paho_is_read_through_the_buffer(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(make_client(ignore, "x", is_mqtt_5=True), BufferedClient)
    assert not caplog.records


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_another_release_of_paho_is_used_as_it_comes_and_said_so(
    mosquitto: Mosquitto,
    make_broker_box: Callable[..., BrokerBox],
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("ingest.buffered.PRIVATE", (*PRIVATE, "_not_there"))
    box = make_broker_box(protocol=protocol)
    assert "_not_there" in caplog.text
    publish(mosquitto.port, [b"%d" % number for number in range(500)])
    publish(mosquitto.port, [b"unasked"], qos=0)
    until(lambda: len(box.messages) == 501)
    assert box.payloads == [b"%d" % number for number in range(500)] + [b"unasked"]
    until(lambda: box.pump.counters.acknowledged == 500)
    box.close()
    again = make_broker_box(protocol=protocol)
    publish(mosquitto.port, [b"new"])
    until(lambda: again.payloads)
    assert again.payloads == [b"new"]


def test_another_major_version_of_paho_is_used_as_it_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("paho.mqtt.__version__", "3.0.0")
    assert not isinstance(make_client(ignore, "x", is_mqtt_5=True), BufferedClient)
    assert "3.0.0" in caplog.text


@thorough(200)
@given(
    topic=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
    payload=st.binary(max_size=300),
    packet_id=st.integers(0, 65_535),
    properties=st.dictionaries(st.text("ab", max_size=3), st.text("cdé", max_size=150), max_size=3),
    is_mqtt_5=st.booleans(),
)
def test_a_publish_is_split_as_paho_splits_it(
    topic: str, payload: bytes, packet_id: int, properties: dict[str, str], is_mqtt_5: bool
) -> None:
    first_byte = 0x32 if packet_id else 0x30
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name + (struct.pack("!H", packet_id) if packet_id else b"")
    if is_mqtt_5:
        packed = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        packed.UserProperty = list(properties.items())
        body += packed.pack()  # type: ignore[no-untyped-call]
    body += payload
    version = MQTTProtocolVersion.MQTTv5 if is_mqtt_5 else MQTTProtocolVersion.MQTTv311
    expected = decode_publish(first_byte, body, version)
    assert split_publish(first_byte, body, is_mqtt_5) == (expected.topic, expected.payload, expected.mid)


@thorough(200)
@given(st.integers(0, 255), st.binary(max_size=60), st.booleans())
def test_noise_is_a_publish_or_a_value_error(first_byte: int, body: bytes, is_mqtt_5: bool) -> None:
    try:
        topic, payload, packet_id = split_publish(first_byte, body, is_mqtt_5)
    except ValueError:
        return
    assert len(topic) + len(payload) <= len(body)
    assert bool(packet_id) == bool(first_byte >> 1 & 3)


class Source:
    """A socket that gives what it has in pieces, and then none."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = list(pieces)
        self.reads = 0

    def recv(self, count: int) -> bytes:
        self.reads += 1
        assert count == READ_BYTES
        if not self.pieces:
            raise BlockingIOError
        return self.pieces.pop(0)

    def send(self, data: bytes) -> int:
        return len(data)

    def fileno(self) -> int:
        return 0

    def setblocking(self, flag: bool) -> None:
        """Be as before."""

    def close(self) -> None:
        """Be as before."""


@thorough(200)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=9))
def test_a_buffered_socket_gives_the_same_bytes(pieces: list[bytes], counts: list[int]) -> None:
    source = Source(pieces)
    buffered = BufferedSocket(source)
    received, turn = b"", 0
    while source.pieces or buffered.pending():
        buffered.may_read = True
        reads = source.reads
        try:
            while True:
                data = buffered.recv(counts[turn % len(counts)])
                assert 0 < len(data) <= counts[turn % len(counts)]
                assert buffered.pending() >= 0
                received += data
                turn += 1
        except BlockingIOError:
            assert source.reads - reads <= 1
    assert received == b"".join(pieces)


def test_the_private_parts_that_are_replaced_are_pahos() -> None:
    assert all(callable(getattr(Client, name)) for name in PRIVATE)
