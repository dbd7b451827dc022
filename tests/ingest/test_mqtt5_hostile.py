"""Any bytes at the endpoint, in both versions: a refusal or a packet comes back, never a crash."""

import asyncio
import contextlib
import itertools
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.packets import Connack, Connect, Disconnect, Packet, PacketReader, Puback, encode
from tests.builders import thorough
from tests.ingest.box import Box, Device, connect, data, until
from tests.ingest.device5 import hello5
from tests.ingest.test_mqtt5_packets import cut, hostile, packets

OLD = Connect("gauge", user_name="WL-01", password=b"right")
pytestmark = pytest.mark.usefixtures("hasty")
lively = settings(thorough(60), suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def crashes(box: Box) -> list[dict[str, Any]]:
    """What the event loop had to swallow."""
    found: list[dict[str, Any]] = []
    box.loop.call_soon_threadsafe(box.loop.set_exception_handler, lambda _, context: found.append(context))
    return found


def answers(box: Box, segments: list[bytes], level: int) -> list[Packet]:
    """Everything that comes back until the connection ends; we close our half first."""
    with Device(box) as device:
        device._reader = PacketReader(1_000_000, level=level)
        with contextlib.suppress(OSError):  # It may be closed before we have said all.
            for segment in segments:
                device.socket.sendall(segment)
            device.socket.shutdown(socket.SHUT_WR)
        return device.receive_all()


@lively
@given(noise=hostile, version=st.sampled_from([4, 5]), places=st.lists(st.integers(0, 500), max_size=4))
def test_noise_behind_a_good_connect_is_answered_in_packets(
    box: Box, crashes: list[dict[str, Any]], noise: bytes, version: int, places: list[int]
) -> None:
    opening = encode(hello5() if version == 5 else OLD)
    found = answers(box, cut(opening + noise, places), version)
    assert not found or isinstance(found[0], Connack)
    assert all(not isinstance(packet, Connack | Disconnect) for packet in found[1:-1])
    assert (crashes, box.pump.healthy) == ([], True)


@lively
@given(noise=st.one_of(hostile, st.builds(lambda body: b"\x10" + bytes((len(body) + 7,)) + b"\0\4MQTT\5" + body, st.binary(max_size=100))))  # fmt: skip  # noqa: E501
def test_noise_instead_of_a_connect_is_refused_or_closed(box: Box, crashes: list[dict[str, Any]], noise: bytes) -> None:
    reader = PacketReader(1_000_000, level=5)
    with Device(box) as device:
        with contextlib.suppress(OSError):
            device.socket.sendall(noise)
            device.socket.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := device.socket.recv(65_536):
                said += piece
    if said != encode(Connack(1)):  # MQTT 3.1 is answered in its own words.
        reader.feed(said)
        found = list(reader.packets())
        assert all(isinstance(packet, Connack) and packet.code >= 0x80 for packet in found)
        assert len(found) <= 1
    assert box.refusals == []
    assert (crashes, box.pump.healthy) == ([], True)


@lively
@given(sent=st.lists(packets, max_size=6), places=st.lists(st.integers(0, 2_000), max_size=6))
def test_any_packets_of_mqtt_5_leave_the_others_alone(
    box: Box, crashes: list[dict[str, Any]], sent: list[Packet], places: list[int]
) -> None:
    stream = encode(hello5()) + b"".join(encode(packet, 5) for packet in sent)
    with connect(box, "WL-02") as other:
        answers(box, cut(stream, places), 5)
        assert other.send(data(b"x", 1, "WL-02")).receive() == [Puback(1)]
    assert crashes == []


def test_cutting_a_conversation_of_mqtt_5_anywhere_changes_nothing(box: Box) -> None:
    stream = encode(hello5()) + b"".join(
        [
            encode(data(b"x", 1), 5),
            b"\x82\x1a\0\2\0\0\x14takean/v1/WL-01/cmd2\1",
            b"\xc0\0",
            b"\xa2\x06\0\3\0\0\1a",
            b"\x30\5\0\1t\1\x7f",  # a property that does not exist
        ]
    )
    whole = answers(box, [stream], 5)
    assert isinstance(whole[-1], Disconnect)
    for place in range(1, len(stream)):
        cut_in_two = answers(box, [stream[:place], stream[place:]], 5)
        assert sorted(map(repr, cut_in_two)) == sorted(map(repr, whole))
        assert cut_in_two[-1] == whole[-1]
    until(lambda: box.endpoint.counters.connections == 0)


def test_the_loop_swallows_nothing_that_the_fuzz_would_miss(box: Box, crashes: list[dict[str, Any]]) -> None:
    async def fail() -> None:
        asyncio.get_running_loop().call_soon(next, itertools.repeat(1, 0))

    box.run(fail())
    until(lambda: crashes)
