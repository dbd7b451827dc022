"""Peers that mean harm, or are broken in a way that looks like it: nobody else notices, and memory stays bounded."""

import contextlib
import resource
import socket
import threading
from collections.abc import Callable

import pytest

from ingest.connection import Connection
from ingest.intake import TURN_S
from ingest.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Suback,
    Subscribe,
    encode,
)
from tests.ingest.box import Box, Device, connect, data, narrow, numbered, only, until

GOOD = Connect("", user_name="WL-01", password=b"right")


def test_slow_peers_from_many_addresses_do_not_keep_an_honest_device_out(make_box: Callable[..., Box]) -> None:
    box = make_box(unconnected=5)
    slow = [Device(box) for _ in range(20)]
    for device in slow:
        device.send(encode(GOOD)[:3])
    with connect(box) as honest:
        assert honest.send(data(b"x", 1)).receive() == [Puback(1)]
    for device in slow[:15]:
        assert device.receive_all() == []
    for device in slow:
        device.vanish()
    until(lambda: box.endpoint.counters.connections == 0)
    assert box.endpoint.counters.closed["too_many_unconnected"] >= 15


def test_a_device_that_never_closes_its_old_connections_loses_the_oldest(make_box: Callable[..., Box]) -> None:
    box = make_box(connections_per_station=2)
    with contextlib.ExitStack() as stack:
        devices = [
            stack.enter_context(connect(box, client=f"boot-{number}", will=b"offline", keep_alive_s=0))
            for number in range(5)
        ]
        other = stack.enter_context(connect(box, "WL-02"))
        for device in devices[:3]:
            assert device.receive_all() == []
        for device in (*devices[3:], other):
            assert device.send(Pingreq()).receive() == [Pingresp()]
        assert box.endpoint.counters.closed == {"too_many_of_station": 3}
        assert box.statuses == []  # The station is here all the time.


def test_clients_without_an_id_that_connect_at_once_are_not_the_same(box: Box) -> None:
    with Device(box) as one, Device(box) as other:
        until(lambda: box.endpoint.counters.accepted == 2)
        for device in (one, other):
            assert device.send(GOOD).receive() == [Connack(0)]
        for device in (one, other):
            assert device.send(data(b"x", 1)).receive() == [Puback(1)]


def test_a_peer_that_never_takes_its_answers_is_cut_off(make_box: Callable[..., Box]) -> None:
    box = make_box(answers_s=0.1, close_s=0.1)
    with Device(box, receive_bytes=4_096) as device:
        device.send(Connect("gauge", user_name="WL-01", password=b"right")).receive()
        narrow(box)

        def send() -> None:
            with contextlib.suppress(OSError):
                device.send(b"\xc0\0" * 1_000_000)

        sender = threading.Thread(target=send)
        sender.start()
        until(lambda: box.endpoint.counters.closed)
        sender.join()
        until(lambda: box.endpoint.counters.connections == 0)
    assert box.endpoint.counters.closed == {"answers_not_taken": 1}


def test_nothing_is_heard_after_closing_even_if_answers_were_still_to_be_taken(box: Box) -> None:
    with connect(box) as device:
        connection = only(box)

        def act() -> None:
            connection.pause_writing()
            connection.data_received(encode(data(b"x", 1)))
            connection.close("taken_over")
            connection.resume_writing()  # As the loop does when the last answers have left.

        box.loop.call_soon_threadsafe(act)
        assert device.receive_all() == []
    assert box.endpoint.counters.messages == 0


COSTLY = Subscribe(1, (("", 0),) * 1_300)
"""About a millisecond of work in 4 KiB."""


@pytest.mark.parametrize(
    ("turn_s", "packet", "answer", "count"),
    [(0.0, Pingreq(), Pingresp(), 1_000), (TURN_S, COSTLY, Suback(1, (0x80,) * 1_300), 100)],
    ids=["small", "costly"],
)
def test_many_packets_do_not_take_the_turn_of_others(
    box: Box, monkeypatch: pytest.MonkeyPatch, turn_s: float, packet: Packet, answer: Packet, count: int
) -> None:
    monkeypatch.setattr("ingest.intake.TURN_S", turn_s)
    with connect(box) as busy, connect(box, "WL-02") as quiet:
        until(lambda: box.endpoint.counters.connections == 2)
        order: list[str] = []
        for guest in box.endpoint.door.guests():
            assert isinstance(guest, Connection)
            monkeypatch.setattr(guest, "send", _noting(guest, order))
        box.loop.call_soon_threadsafe(_feed_at_once, box, {"WL-01": encode(packet) * count, "WL-02": b"\xc0\0"})
        assert quiet.receive() == [Pingresp()]
        assert busy.receive(count) == [answer] * count
    assert order.index("WL-02") <= 10


def _noting(connection: Connection, order: list[str]) -> Callable[[bytes], bool]:
    send = connection.send

    def note(data: bytes) -> bool:
        order.append(connection.station)
        return send(data)

    return note


def _feed_at_once(box: Box, segments: dict[str, bytes]) -> None:
    for guest in sorted(box.endpoint.door.guests(), key=lambda guest: guest.station):
        assert isinstance(guest, Connection)
        guest.data_received(segments[guest.station])


def test_a_turn_ends_and_nothing_is_lost_or_reordered(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.intake.TURN_S", 0.0)
    with connect(box) as device:
        device.send(*numbered(500), Disconnect())
        until(lambda: len(box.messages) == 500)
    assert box.payloads == [b"%d" % number for number in range(1, 501)]


def test_half_a_packet_is_forgotten_with_its_connection(box: Box) -> None:
    box.gate.clear()
    device = connect(box)
    device.send(data(b"x", 1), encode(data(bytes(200_000), 2))[:-1])
    connection = only(box)
    until(lambda: len(connection._reader._buffer) + len(connection._reader._tail) > 200_000)
    device.vanish()
    until(lambda: box.endpoint.counters.connections == 0)
    assert box.messages == []  # The message still waits, and holds on to its connection.
    assert (connection._reader._buffer, bytes(connection._reader._tail)) == (b"", b"")


def test_connections_that_come_and_go_while_the_inbox_is_full_leave_nothing_behind(
    make_box: Callable[..., Box],
) -> None:
    box = make_box(inbox_bytes=2_000)
    box.gate.clear()
    with connect(box, "WL-02") as filler:
        filler.send(data(bytes(2_000), 1, "WL-02"))
        until(lambda: box.endpoint.inbox.is_full)
        filled = box.endpoint.inbox.bytes
        for number in range(30):
            with connect(box, will=b"offline") as device:
                device.send(data(b"%d" % number))
        newest = connect(box, client="newest")
        until(lambda: box.endpoint.counters.closed["taken_over"] == 29)
        assert box.endpoint.inbox.bytes == filled
        assert len(box.endpoint.inbox._waiting) <= 3
        assert box.endpoint.counters.dropped_wills == 29
        box.gate.set()
        assert filler.receive() == [Puback(1)]
        assert newest.send(data(b"y", 1)).receive() == [Puback(1)]
        newest.vanish()


def test_a_dead_peer_is_found_by_the_kernel(box: Box) -> None:
    with connect(box, keep_alive_s=0):
        peer = only(box)._transport.get_extra_info("socket")
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 600
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 60
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 5


def test_connections_leave_files_for_the_stores(make_box: Callable[..., Box]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
    try:
        make_box(connections=150)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (650, hard)
        make_box(connections=100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (650, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "client", [b"\xff", b"\xed\xa0\x80", b"a\0b", b"x" * 900], ids=["not UTF-8", "surrogate", "NUL", "huge"]
)
def test_an_impossible_client_id_comes_in_nowhere(box: Box, client: bytes) -> None:
    body = b"\0\4MQTT\4\xc2\0\x3c" + len(client).to_bytes(2) + client + b"\0\5WL-01\0\5right"
    length = bytes((len(body),)) if len(body) < 128 else bytes((len(body) & 127 | 128, len(body) >> 7))
    with Device(box) as device, connect(box, "WL-02") as other:
        assert device.send(b"\x10" + length + body).receive_all() in ([], [Connack(2)])
        assert other.send(Pingreq()).receive() == [Pingresp()]
    assert box.endpoint.door.is_present("WL-01") is False


def test_connects_by_the_hundred_leave_an_honest_device_alone(box: Box) -> None:
    with connect(box, "WL-02") as honest:
        for number in range(1, 401):
            with connect(box, client=f"c-{number}"):
                pass
            if not number % 50:
                assert honest.send(data(b"x", number, "WL-02")).receive() == [Puback(number)]
        until(lambda: box.endpoint.counters.connections == 1)
        assert box.endpoint.counters.accepted == 401
