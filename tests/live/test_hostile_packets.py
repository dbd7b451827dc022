"""Broken, confused and hostile packets on our own endpoint: each costs its own connection, and nobody else anything."""

import itertools
import socket
import struct
from contextlib import ExitStack

import pytest

from bench.mqtt_load import packet, text
from tests.live.crash import until
from tests.live.evidence import Refused, assert_goes_on, good, kept
from tests.live.records import payload
from tests.live.ways import PREFIX, EndpointWay, closed, device, published, topic

pytestmark = pytest.mark.live

TEN_MB = 10_000_000
HEADER_10_MB = packet(0x32, bytes(TEN_MB))[:5]


def test_ten_megabytes_are_refused_from_their_header(endpoint_way: EndpointWay) -> None:
    refused = Refused(endpoint_way)
    with device(endpoint_way, "S-1") as sender:
        sender.socket.sendall(HEADER_10_MB)  # and not one byte more
        assert sender.is_closed()
    rows = refused.rows()
    assert [(row.reason, row.length, row.sha256, row.head) for row in rows] == [("too_large", TEN_MB, "", b"")]
    assert_goes_on(endpoint_way)


def test_ten_megabytes_sent_nevertheless_cost_one_connection(endpoint_way: EndpointWay) -> None:
    refused = Refused(endpoint_way)
    with device(endpoint_way, "S-1") as sender, pytest.raises((BrokenPipeError, ConnectionResetError)):
        sender.socket.sendall((HEADER_10_MB + bytes(TEN_MB)) * 8)
    assert refused.reasons() == ["too_large"]
    assert_goes_on(endpoint_way)


@pytest.mark.parametrize(
    "foreign",
    [
        topic("S-2"),
        topic("nobody"),
        f"{PREFIX}/S-1/cmd",
        f"{PREFIX}/S-1",
        "takean/v1/S-1/data",
        "$SYS/broker/clients/total",
        "x" * 65_535,
        f"{PREFIX}/{'y' * 65_000}/data",
    ],
    ids=["another station's", "nobody's", "a command", "no leaf", "the real world", "$SYS", "64 KiB", "64 KiB station"],
)
def test_a_foreign_topic_is_refused_and_the_connection_closed(endpoint_way: EndpointWay, foreign: str) -> None:
    refused, forged = Refused(endpoint_way), good("S-2")
    with device(endpoint_way, "S-1") as sender:
        sender.publish(foreign, payload(forged))
        assert sender.is_closed()
    rows = refused.rows()
    assert [(row.reason, row.topic) for row in rows] == [("foreign_topic", foreign[:256])]
    assert kept(endpoint_way, [forged]) == {}, "nobody speaks for another station"
    assert_goes_on(endpoint_way, "S-1")
    assert_goes_on(endpoint_way, "S-2")


@pytest.mark.parametrize(
    "bytes_",
    [
        packet(0x34, text(topic("S-1")) + b"\0\1" + b"{}"),
        packet(0x36, text(topic("S-1")) + b"\0\1" + b"{}"),
        packet(0x32, text(topic("S-1")) + b"\0\0" + b"{}"),
        packet(0x32, struct.pack(">H", 60_000) + b"short"),
        packet(0x32, text(f"{PREFIX}/+/data") + b"\0\1{}"),
        packet(0x32, b"\0\2\xff\xfe" + b"\0\1{}"),
        b"\x32\xff\xff\xff\xff\xff",
        packet(0x00, b""),
        packet(0xF0, b""),
        packet(0x20, b"\0\0"),
        packet(0x10, b"\0\4MQTT\4\2\0\0" + text("again")),
    ],
    ids=[
        "QoS 2",
        "QoS 3",
        "packet id 0",
        "a topic longer than its packet",
        "a wildcard",
        "a topic that is not UTF-8",
        "a length without end",
        "kind 0",
        "kind 15",
        "CONNACK",
        "a second CONNECT",
    ],
)
def test_what_is_not_mqtt_is_refused_and_the_connection_closed(endpoint_way: EndpointWay, bytes_: bytes) -> None:
    refused = Refused(endpoint_way)
    with device(endpoint_way, "S-1") as sender:
        sender.socket.sendall(bytes_)
        assert sender.is_closed()
    assert refused.reasons() in (["not_mqtt"], ["foreign_topic"])
    assert_goes_on(endpoint_way)


@pytest.mark.parametrize("cut", [1, 2, 5, 30, -1])
def test_a_half_sent_message_is_nothing(endpoint_way: EndpointWay, cut: int) -> None:
    refused, reading = Refused(endpoint_way), good("S-1")
    with device(endpoint_way, "S-1") as sender:
        sender.socket.sendall(published(topic("S-1"), payload(reading), 1)[:cut])
    assert_goes_on(endpoint_way)
    assert refused.rows() == []
    assert kept(endpoint_way, [reading]) == {}


def test_messages_in_drops_of_a_byte_are_messages(endpoint_way: EndpointWay) -> None:
    reading = good("S-1")
    with device(endpoint_way, "S-1") as sender:
        for byte in published(topic("S-1"), payload(reading), 1):
            sender.socket.sendall(bytes([byte]))
        sender.acknowledged(1)
    assert list(kept(endpoint_way, [reading])) == [reading]


def test_of_two_clients_with_one_id_the_older_one_ends_and_nothing_is_lost(endpoint_way: EndpointWay) -> None:
    older = device(endpoint_way, "S-1")
    reading = good("S-1")
    older.publish(topic("S-1"), payload(reading))
    with device(endpoint_way, "S-1") as newer, older:
        assert older.is_closed()
        newer.publish(topic("S-1"), payload(reading))
        newer.acknowledged(1)
    assert list(kept(endpoint_way, [reading])) == [reading]
    assert_goes_on(endpoint_way)


@pytest.mark.parametrize(
    "greeting",
    [
        b"GET / HTTP/1.1\r\n" + b"Accept: text/html\r\n" * 9,
        b"\x16\x03\x01\x02\0" + bytes(512),
        packet(0x32, b"\0\1a\0\1"),
        b"\0" * 100,
    ],
    ids=["a browser", "TLS", "a message before CONNECT", "zeros"],
)
def test_a_stranger_is_shut_out(endpoint_way: EndpointWay, greeting: bytes) -> None:
    refused = Refused(endpoint_way)
    with socket.create_connection(("127.0.0.1", endpoint_way.port)) as stranger:
        stranger.sendall(greeting)
        assert closed(stranger)
    assert_goes_on(endpoint_way)
    assert refused.rows() == [], "what has no station is not worth a row: anybody could fill the quarantine"


def test_strangers_who_only_hold_the_line_do_not_keep_devices_out(endpoint_way: EndpointWay) -> None:
    with ExitStack() as stack:
        # From another address than the devices': each has a share of the places before CONNECT.
        for _ in range(200):
            stranger = socket.create_connection(("127.0.0.1", endpoint_way.port), source_address=("127.0.0.2", 0))
            stack.enter_context(stranger)
        assert_goes_on(endpoint_way)


def test_devices_that_never_take_an_answer_do_not_hold_up_the_others(endpoint_way: EndpointWay) -> None:
    payloads = [payload(good("S-2")) for _ in range(50)]
    with ExitStack() as stack:
        for number in range(8):
            deaf = stack.enter_context(_named(endpoint_way, "S-2", f"deaf-{number}"))
            for packet_id, content in zip(itertools.count(1), payloads * 4, strict=False):
                deaf.sendall(published(topic("S-2"), content, packet_id % 65_535 + 1))
        assert_goes_on(endpoint_way, "S-1")
    until(lambda: endpoint_way.box.metric("takean_connections") == 0, "the deaf to be gone")


def _named(endpoint_way: EndpointWay, station: str, client: str) -> socket.socket:
    """A connection under a client id of its own."""
    line = socket.create_connection(("127.0.0.1", endpoint_way.port))
    fields = b"".join(map(text, (client, station, endpoint_way.secrets[station])))
    line.sendall(packet(0x10, b"\0\4MQTT\4\xc2\0\0" + fields))
    assert line.recv(4)[3] == 0
    return line


def test_a_wrong_secret_is_refused_while_others_go_on(endpoint_way: EndpointWay) -> None:
    with socket.create_connection(("127.0.0.1", endpoint_way.port)) as stranger:
        fields = b"".join(map(text, ("x", "S-1", "guess")))
        stranger.sendall(packet(0x10, b"\0\4MQTT\4\xc2\0\0" + fields))
        assert stranger.recv(4) == b"\x20\x02\0\x05"
        assert closed(stranger)
    assert_goes_on(endpoint_way)
