"""Coming, staying and going: CONNECT, keep alive, takeover, last will, subscriptions."""

import time
from collections.abc import Callable

import pytest

from ingest.packets import (
    Connack,
    ConnackCode,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    encode,
)
from tests.ingest.box import Box, Device, connect, data, until

GOOD = Connect("gauge", user_name="WL-01", password=b"right")
STATUS = "takean/v1/WL-01/status"


@pytest.mark.parametrize(
    "packet",
    [
        GOOD,
        Connect("x" * 64, user_name="WL-01", password=b"right"),
        Connect("สถานี", user_name="WL-01", password=b"right"),
        Connect("gauge", clean_session=False, user_name="WL-01", password=b"right"),
        Connect("", user_name="WL-01", password=b"right"),
        Connect("gauge", True, 0, Will(STATUS, b"offline", 1, True), "WL-01", b"right"),
    ],
    ids=["plain", "long client id", "Thai client id", "session", "no client id", "will"],
)
def test_who_may_come_in_comes_in_without_a_session(box: Box, packet: Connect) -> None:
    with Device(box) as device:
        assert device.send(packet).receive() == [Connack(ConnackCode.ACCEPTED, session_present=False)]
        assert device.send(data(b"x", 1)).receive() == [Puback(1)]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (Connect("gauge", user_name="WL-01", password=b"wrong"), ConnackCode.NOT_AUTHORIZED),
        (Connect("gauge", user_name="WL-01", password=b""), ConnackCode.NOT_AUTHORIZED),
        (Connect("gauge", user_name="WL-01"), ConnackCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("gauge"), ConnackCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("gauge", user_name="", password=b"right"), ConnackCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("gauge", user_name="WL/01", password=b"right"), ConnackCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("gauge", user_name="+", password=b"right"), ConnackCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("gauge", user_name="WL-01", password=b"\xff"), ConnackCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("x" * 65, user_name="WL-01", password=b"right"), ConnackCode.IDENTIFIER_REJECTED),
        (Connect("", False, user_name="WL-01", password=b"right"), ConnackCode.IDENTIFIER_REJECTED),
        (
            Connect("gauge", True, 0, Will("takean/v1/WL-02/status", b"offline"), "WL-01", b"right"),
            ConnackCode.NOT_AUTHORIZED,
        ),
        (
            Connect("gauge", True, 0, Will("takean/v1/WL-01/data", b"{}"), "WL-01", b"right"),
            ConnackCode.NOT_AUTHORIZED,
        ),
    ],
)
def test_who_may_not_is_told_why_and_nothing_more_is_heard(box: Box, packet: Connect, code: ConnackCode) -> None:
    with Device(box) as device:
        device.send(packet, data(b"x", 1), Pingreq())
        assert device.receive_all() == [Connack(code)]
    assert box.endpoint.counters.closed == {code.name.lower(): 1}
    assert box.endpoint.counters.messages == 0
    assert box.statuses == []


@pytest.mark.parametrize(
    "opening",
    [
        b"\x10\x11\0\4MQTT\3\2\0\x3c\0\5gauge",
        b"\x10\x13\0\6MQIsdp\3\2\0\x3c\0\5gauge",
    ],
    ids=["level 3", "MQTT 3.1"],
)
def test_another_version_of_mqtt_is_told_so(box: Box, opening: bytes) -> None:
    with Device(box) as device:
        device.send(opening)
        assert device.receive_all() == [Connack(ConnackCode.UNACCEPTABLE_PROTOCOL_VERSION)]


@pytest.mark.parametrize(
    "opening",
    [
        encode(Pingreq()),
        encode(data(b"x", 1)),
        encode(Subscribe(1, (("a", 0),))),
        encode(Disconnect()),
        encode(Connack(0)),
        b"GET / HTTP/1.1\r\nHost: box\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x10\x09\0\4MQTT\4\3\0",
    ],
)
def test_before_connect_nothing_else_is_answered(make_box: Callable[..., Box], opening: bytes) -> None:
    box = make_box(connect_s=0.2)
    with Device(box) as device:
        device.send(opening)
        assert device.receive_all() == []
    assert box.endpoint.counters.messages == 0
    assert box.refusals == []


def test_messages_may_follow_connect_at_once(box: Box) -> None:
    with Device(box) as device:
        device.send(GOOD, data(b"x", 1), data(b"y", 2))
        assert device.receive(3) == [Connack(0), Puback(1), Puback(2)]


def test_byte_by_byte_is_as_good_as_at_once(box: Box) -> None:
    stream = encode(GOOD) + encode(data(b"x" * 200, 1)) + encode(Pingreq())
    with Device(box) as device:
        for place in range(len(stream)):
            device.send(stream[place : place + 1])
        assert sorted(map(repr, device.receive(3))) == sorted(map(repr, [Connack(0), Puback(1), Pingresp()]))


def test_a_second_connect_ends_the_connection(box: Box) -> None:
    with connect(box) as device:
        assert device.send(GOOD, data(b"x", 1)).receive_all() == []
    assert box.endpoint.counters.refused == {"not_mqtt": 1}
    assert "second CONNECT" in box.refusals[0][1].detail


def test_a_silent_peer_is_closed(make_box: Callable[..., Box]) -> None:
    box = make_box(connect_s=0.05)
    with Device(box) as device, Device(box) as slow:
        slow.send(encode(GOOD)[:-1])
        assert device.receive_all() == []
        assert slow.receive_all() == []
    assert box.endpoint.counters.closed == {"no_connect": 2}


def test_who_came_in_in_time_stays(make_box: Callable[..., Box]) -> None:
    box = make_box(connect_s=0.3)
    with connect(box) as device, Device(box) as silent:
        assert silent.receive_all() == []
        assert device.send(Pingreq()).receive() == [Pingresp()]


def test_a_long_connect_is_closed_from_its_header(box: Box) -> None:
    with Device(box) as device:
        device.send(b"\x10\x81\x08\0\4MQTT\4")
        assert device.receive_all() == []
    assert box.endpoint.counters.closed == {"too_large": 1}
    assert box.refusals == []


def test_one_address_has_few_connections_that_are_not_let_in(make_box: Callable[..., Box]) -> None:
    box = make_box(unconnected_per_address=2)
    with Device(box) as first, Device(box) as second:
        until(lambda: box.endpoint.counters.connections == 2)
        with Device(box) as third:
            assert third.receive_all() == []
        for number, device in enumerate((first, second)):
            device.send(Connect(f"gauge-{number}", user_name="WL-01", password=b"right"))
            assert device.receive() == [Connack(0)]
        with connect(box, client="gauge-3"), connect(box, client="gauge-4"):
            assert box.endpoint.counters.connections == 4
    assert box.endpoint.counters.closed == {"too_many_connections": 1}


def test_places_of_those_who_left_are_free_again(make_box: Callable[..., Box]) -> None:
    box = make_box(connections=2, unconnected_per_address=2)
    for _ in range(3):
        with connect(box, client="a"), connect(box, client="b"), Device(box) as third:
            assert third.receive_all() == []
        until(lambda: box.endpoint.counters.connections == 0)
    assert box.endpoint.counters.closed == {"too_many_connections": 3}
    door = box.endpoint.door
    assert (len(door), door._knocking, door._knocking_from, door._clients, door._of_station) == (0, {}, {}, {}, {})


def test_the_same_client_id_takes_over(box: Box) -> None:
    with connect(box) as older, connect(box) as newer:
        assert older.receive_all() == []
        assert newer.send(data(b"x", 1)).receive() == [Puback(1)]
    assert box.endpoint.counters.closed == {"taken_over": 1}


def test_another_client_id_does_not(box: Box) -> None:
    with connect(box, client="a") as one, connect(box, client="b") as other:
        for device in (one, other):
            assert device.send(data(b"x", 1)).receive() == [Puback(1)]


def test_a_station_cannot_push_out_another_by_its_client_id(box: Box) -> None:
    with connect(box, "WL-01", "esp32") as one, connect(box, "WL-02", "esp32"):
        assert one.send(data(b"x", 1)).receive() == [Puback(1)]


def test_clients_without_an_id_are_not_the_same(box: Box) -> None:
    with connect(box, client="") as one, connect(box, client="") as other:
        for device in (one, other):
            assert device.send(data(b"x", 1)).receive() == [Puback(1)]
    assert len({message.client for message in box.messages}) == 2


def test_a_status_is_handed_on_in_order_with_its_time(box: Box) -> None:
    with connect(box) as device:
        device.send(Publish(STATUS.encode(), b"birth", 1, 1, retain=True), Publish(STATUS.encode(), b"again"))
        assert device.receive() == [Puback(1)]
    until(lambda: len(box.statuses) == 2)
    assert box.statuses == [("WL-01", b"birth", 1_000), ("WL-01", b"again", 1_000)]
    assert box.messages == []


def test_a_device_that_falls_silent_leaves_its_will(box: Box) -> None:
    device = connect(box, will=b"offline")
    device.vanish()
    until(lambda: box.statuses)
    assert box.statuses == [("WL-01", b"offline", 1_000)]


def test_a_will_comes_after_what_the_device_sent_before(box: Box) -> None:
    box.gate.clear()
    device = connect(box, will=b"offline")
    device.send(data(b"x"), Publish(STATUS.encode(), b"online"), Pingreq())
    assert device.receive() == [Pingresp()]
    device.vanish()
    until(lambda: box.endpoint.counters.connections == 0)
    box.gate.set()
    until(lambda: len(box.statuses) == 2)
    assert [payload for _, payload, _ in box.statuses] == [b"online", b"offline"]
    assert box.payloads == [b"x"]


def test_who_says_good_bye_leaves_no_will(box: Box) -> None:
    with connect(box, will=b"offline") as device:
        assert device.send(Disconnect()).receive_all() == []
    until(lambda: box.endpoint.counters.connections == 0)
    with connect(box) as other:
        assert other.send(data(b"x", 1)).receive() == [Puback(1)]
    assert box.statuses == []
    assert box.endpoint.counters.closed["disconnect"] == 1


def test_nothing_is_heard_after_good_bye(box: Box) -> None:
    with connect(box) as device:
        assert device.send(Disconnect(), data(b"x", 1)).receive_all() == []
    assert box.endpoint.counters.messages == 0


@pytest.mark.parametrize("breach", [b"\xf0\0", encode(Connack(0)), encode(Publish(b"elsewhere", b"x"))])
def test_a_breach_of_the_protocol_leaves_the_will(box: Box, breach: bytes) -> None:
    with connect(box, will=b"offline") as device:
        assert device.send(breach).receive_all() == []
    until(lambda: box.statuses)
    assert box.statuses == [("WL-01", b"offline", 1_000)]


def test_the_will_of_the_older_connection_comes_before_the_birth_of_the_newer(box: Box) -> None:
    with connect(box, will=b"offline"), connect(box) as newer:
        newer.send(Publish(STATUS.encode(), b"online", 1, 1))
        assert newer.receive() == [Puback(1)]
    assert [payload for _, payload, _ in box.statuses] == [b"offline", b"online"]


def test_a_station_that_is_back_under_another_client_id_is_not_said_to_be_away(box: Box) -> None:
    older = connect(box, client="boot-1", will=b"offline")
    with connect(box, client="boot-2", will=b"offline") as newer:
        older.vanish()
        until(lambda: box.endpoint.counters.connections == 1)
        assert newer.send(Publish(STATUS.encode(), b"online", 1, 1)).receive() == [Puback(1)]
        assert [payload for _, payload, _ in box.statuses] == [b"online"]
    until(lambda: len(box.statuses) == 2)
    assert box.statuses[-1][1] == b"offline"


def test_silence_of_one_and_a_half_keep_alives_ends_the_connection(box: Box) -> None:
    with connect(box, will=b"offline", keep_alive_s=1) as silent, connect(box, "WL-02", keep_alive_s=1) as lively:
        begin = time.monotonic()
        silent.socket.setblocking(False)
        while not box.endpoint.counters.closed:
            assert lively.send(Pingreq()).receive() == [Pingresp()]
            assert time.monotonic() < begin + 10
            time.sleep(0.02)
        assert time.monotonic() - begin > 1.45
        silent.socket.setblocking(True)
        assert silent.receive_all() == []
        assert lively.send(Pingreq()).receive() == [Pingresp()]
    assert box.endpoint.counters.closed == {"keep_alive": 1}
    until(lambda: box.statuses)
    assert box.statuses == [("WL-01", b"offline", 1_000)]


def test_a_piece_of_a_packet_is_no_sign_of_life(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.connection.KEEP_ALIVE_FACTOR", 0.1)
    with connect(box, keep_alive_s=1) as device:
        stream = encode(data(bytes(10_000), 1))
        place = iter(range(len(stream)))
        while not box.endpoint.counters.closed:
            device.socket.sendall(stream[(at := next(place)) : at + 1])
            time.sleep(0.005)
    assert box.endpoint.counters.closed == {"keep_alive": 1}


def test_nobody_is_silent_while_we_do_not_read(make_box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.connection.KEEP_ALIVE_FACTOR", 0.2)
    box = make_box(unacked_messages=1)
    box.gate.clear()
    with connect(box, "WL-02", keep_alive_s=2) as later, connect(box, keep_alive_s=1) as device:
        device.send(data(b"x", 1), Pingreq())
        assert later.receive_all() == []  # It has twice the time, so the other's is over.
        box.gate.set()
        assert device.receive(2) == [Puback(1), Pingresp()]


def test_after_a_pause_the_silence_is_counted_anew(
    make_box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.connection.KEEP_ALIVE_FACTOR", 0.2)
    box = make_box(unacked_messages=1)
    box.gate.clear()
    with connect(box, "WL-02", keep_alive_s=3) as later, connect(box, keep_alive_s=2) as device:
        device.send(data(b"x", 1))
        assert later.receive_all() == []  # 0.6 s after the start: half way between two looks at the paused one.
        resumed_s = time.monotonic()
        box.gate.set()
        assert device.receive_all() == [Puback(1)]
        assert time.monotonic() - resumed_s > 0.39
    assert box.endpoint.counters.closed == {"keep_alive": 2}


def test_a_keep_alive_of_zero_is_none(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.connection.KEEP_ALIVE_FACTOR", 0.01)
    with connect(box, keep_alive_s=0) as patient, connect(box, "WL-02", keep_alive_s=1) as other:
        assert other.receive_all() == []
        assert patient.send(Pingreq()).receive() == [Pingresp()]


def test_a_device_may_listen_to_its_own_commands_only(box: Box) -> None:
    own = "takean/v1/WL-01/cmd"
    asked = [(own, 0), (own, 1), (own, 2), ("takean/v1/WL-02/cmd", 1), ("takean/v1/WL-01/data", 0), ("#", 0), ("+", 2)]
    with connect(box) as device:
        assert device.send(Subscribe(7, tuple(asked))).receive() == [Suback(7, (0, 1, 1, 0x80, 0x80, 0x80, 0x80))]


def test_unsubscribing_is_confirmed_whether_or_not_there_was_a_subscription(box: Box) -> None:
    with connect(box) as device:
        device.send(Unsubscribe(8, ("takean/v1/WL-01/cmd", "#")))
        assert device.receive() == [Unsuback(8)]


def test_nothing_is_routed_between_clients(box: Box) -> None:
    with connect(box, client="a") as one, connect(box, client="b") as other:
        assert other.send(Subscribe(1, (("takean/v1/WL-01/cmd", 1),))).receive() == [Suback(1, (1,))]
        assert one.send(Publish(STATUS.encode(), b"online", 1, 1, retain=True)).receive() == [Puback(1)]
        assert other.send(Pingreq()).receive() == [Pingresp()]


def test_an_answer_to_what_we_never_sent_is_ignored(box: Box) -> None:
    with connect(box) as device:
        assert device.send(Puback(5), Pingreq()).receive() == [Pingresp()]


@pytest.mark.parametrize("packet", [Connack(0), Suback(1, (0,)), Unsuback(1), Pingresp()])
def test_what_only_a_server_says_ends_the_connection(box: Box, packet: Connack) -> None:
    with connect(box) as device:
        assert device.send(packet).receive_all() == []
    assert box.endpoint.counters.refused == {"not_mqtt": 1}
