"""Coming, staying and going in MQTT 5: what CONNACK says, and with which reason a connection ends."""

from collections.abc import Callable

import pytest

from ingest.dialect import CONNACK_BYTES_MAX, Dialect5
from ingest.limits import Limits
from ingest.packets import (
    NO_PROPERTIES,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    ReasonCode,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    encode,
)
from tests.ingest.box import Box, Device, connect, data, only, until
from tests.ingest.device5 import Device5, connect5, hello5

STATUS = "takean/v1/WL-01/status"
CMD = "takean/v1/WL-01/cmd"
OFFLINE = Will(STATUS, b"offline", 1, True)
BOUNDS = Properties(
    receive_maximum=2_000,
    maximum_qos=True,
    maximum_packet_bytes=256 * 1024 + 4,
    topic_alias_maximum=16,
    wildcards_available=False,
    subscription_ids_available=False,
    shared_available=False,
)
"""What CONNACK says to a client that asks for nothing, with the bounds of docs/wire.md."""


def parting(device: Device) -> Disconnect:
    """The DISCONNECT that a connection ends with, after anything else."""
    last = device.receive_all()[-1]
    assert isinstance(last, Disconnect)
    return last


def test_connack_says_what_is_not_offered(box: Box) -> None:
    with Device5(box) as device:
        assert device.send(hello5()).receive() == [Connack(0, session_present=False, properties=BOUNDS)]


def test_connack_says_the_bounds_that_are_kept(make_box: Callable[..., Box]) -> None:
    box = make_box(packet_bytes=1_000, unacked_messages=100_000, topic_aliases=3)
    with Device5(box) as device:
        (answer,) = device.send(hello5()).receive()
        assert isinstance(answer, Connack)
        said = answer.properties
        assert (said.maximum_packet_bytes, said.receive_maximum, said.topic_alias_maximum) == (1_003, 65_535, 3)
        largest = data(bytes(1_003 - 3 - 2 - len("takean/v1/WL-01/data") - 2 - 1), 1)
        assert len(encode(largest, 5)) == 1_003
        assert device.send(largest).receive() == [Puback(1)]


def test_a_session_that_is_asked_for_is_not_kept_and_connack_says_so(box: Box) -> None:
    with Device5(box) as device:
        device.send(hello5(clean=False, properties=Properties(session_expiry_s=3_600)))
        (answer,) = device.receive()
        assert isinstance(answer, Connack)
        assert (answer.session_present, answer.properties.session_expiry_s) == (False, 0)


@pytest.mark.parametrize("clean", [True, False])
def test_who_has_no_client_id_is_given_one(box: Box, clean: bool) -> None:
    given = []
    with Device5(box) as one, Device5(box) as other:
        for device in (one, other):
            (answer,) = device.send(hello5("", clean=clean)).receive()
            assert isinstance(answer, Connack)
            given.append(answer.properties.assigned_client_id)
        for device in (one, other):
            assert device.send(data(b"x", 1)).receive() == [Puback(1)]
    assert None not in given
    assert {message.client for message in box.messages} == set(given)
    assert len(set(given)) == 2


def test_both_versions_are_spoken_on_one_port(box: Box) -> None:
    with connect(box, client="old") as old, connect5(box, client="new") as new:
        for device in (old, new):
            assert device.send(data(b"x", 1)).receive() == [Puback(1)]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (hello5(password=b"wrong"), ReasonCode.NOT_AUTHORIZED),
        (hello5(password=b"\xff"), ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        (hello5(station="WL/01"), ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("gauge", user_name="WL-01", level=5), ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("gauge", password=b"right", level=5), ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        (hello5("x" * 65), ReasonCode.IDENTIFIER_REJECTED),
        (hello5(will=Will("takean/v1/WL-02/status", b"offline")), ReasonCode.NOT_AUTHORIZED),
        (hello5(will=Will(STATUS, b"offline", 2)), ReasonCode.QOS_NOT_SUPPORTED),
        (hello5(properties=Properties(authentication_method="SCRAM-SHA-1")), ReasonCode.BAD_AUTHENTICATION_METHOD),
        (hello5(properties=Properties(maximum_packet_bytes=CONNACK_BYTES_MAX - 1)), ReasonCode.PACKET_TOO_LARGE),
        (b"\x10\x0a\0\4MQTT\5\3\0\x3c", ReasonCode.MALFORMED_PACKET),
        (b"\x10\x10\0\4MQTT\5\2\0\x3c\3\x21\0\0\0\0", ReasonCode.PROTOCOL_ERROR),
        (b"\x10\x10\0\4MQTT\6\2\0\x3c\3\x21\0\0\0\0", ReasonCode.UNACCEPTABLE_PROTOCOL_VERSION),
        (b"\x10\x81\x08\0\4MQTT\5", ReasonCode.PACKET_TOO_LARGE),
    ],
)
def test_who_may_not_come_in_by_mqtt_5_is_told_why_and_nothing_more_is_heard(
    box: Box, packet: Connect | bytes, code: ReasonCode
) -> None:
    with Device5(box) as device:
        device.send(packet, data(b"x", 1), Pingreq())
        assert device.receive_all() == [Connack(code)]
    assert box.endpoint.counters.messages == 0
    assert (box.statuses, box.refusals) == ([], [])


@pytest.mark.parametrize("opening", [encode(Pingreq()), b"\xf0\0", encode(Disconnect(4), 5)])
def test_before_a_connect_of_mqtt_5_nothing_is_answered(box: Box, opening: bytes) -> None:
    with Device5(box) as device:
        assert device.send(opening, hello5()).receive_all() == []


def test_the_longest_connack_fits_the_smallest_client(make_box: Callable[..., Box]) -> None:
    box = make_box(packet_bytes=200_000_000)
    with Device5(box) as device:
        asked = Properties(maximum_packet_bytes=CONNACK_BYTES_MAX, session_expiry_s=1)
        (answer,) = device.send(hello5("", properties=asked)).receive()
        assert len(encode(answer, 5)) <= CONNACK_BYTES_MAX


def test_a_will_delay_ends_with_the_session_that_is_not_kept(box: Box) -> None:
    device = connect5(box, will=Will(STATUS, b"offline", 1, True, Properties(will_delay_s=3_600)))
    device.vanish()
    until(lambda: box.statuses)
    assert box.statuses == [("WL-01", b"offline", 1_000)]


@pytest.mark.parametrize("code", [0x04, 0x80, 0x81, 0x97])
def test_who_leaves_for_a_reason_leaves_its_will(box: Box, code: int) -> None:
    with connect5(box, will=OFFLINE) as device:
        assert device.send(Disconnect(code)).receive_all() == []
    until(lambda: box.statuses)
    assert box.statuses == [("WL-01", b"offline", 1_000)]
    assert box.endpoint.counters.closed == {"disconnect": 1}


@pytest.mark.parametrize("farewell", [b"\xe0\0", b"\xe0\1\0", b"\xe0\2\0\0", b"\xe0\x09\0\7\x1f\0\4done"])
def test_who_says_good_bye_in_mqtt_5_leaves_no_will(box: Box, farewell: bytes) -> None:
    with connect5(box, will=OFFLINE) as device:
        assert device.send(farewell, data(b"x", 1)).receive_all() == []
    until(lambda: box.endpoint.counters.connections == 0)
    with connect(box) as other:
        assert other.send(data(b"y", 1)).receive() == [Puback(1)]
    assert box.statuses == []
    assert box.payloads == [b"y"]


def test_a_good_bye_may_change_the_session_that_was_asked_for(box: Box) -> None:
    with connect5(box, will=OFFLINE, properties=Properties(session_expiry_s=60)) as device:
        assert device.send(Disconnect(0, Properties(session_expiry_s=120))).receive_all() == []
    assert box.endpoint.counters.closed == {"disconnect": 1}


@pytest.mark.parametrize(
    "farewell",
    [Disconnect(0, Properties(session_expiry_s=60)), Disconnect(ReasonCode.SERVER_SHUTTING_DOWN)],
    ids=["a session that was not asked for", "a reason only a server has"],
)
def test_a_good_bye_that_cannot_be_is_none(box: Box, farewell: Disconnect) -> None:
    with connect5(box, will=OFFLINE) as device:
        assert parting(device.send(farewell)).code == ReasonCode.PROTOCOL_ERROR
    until(lambda: box.statuses)
    assert box.endpoint.counters.refused == {"not_mqtt": 1}


def test_who_is_replaced_is_told_so(box: Box) -> None:
    with connect5(box) as older, connect5(box) as newer:
        assert older.receive_all() == [Disconnect(ReasonCode.SESSION_TAKEN_OVER)]
        assert newer.send(Pingreq()).receive() == [Pingresp()]


def test_who_was_silent_is_told_so(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.connection.KEEP_ALIVE_FACTOR", 0.05)
    with connect5(box, keep_alive_s=1, will=OFFLINE) as device:
        assert device.receive_all() == [Disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT)]
    until(lambda: box.statuses)


def test_who_has_too_many_connections_is_told_so(make_box: Callable[..., Box]) -> None:
    box = make_box(connections_per_station=1)
    with connect5(box, "one") as older, connect5(box, "two"):
        assert parting(older).code == ReasonCode.QUOTA_EXCEEDED


def test_stopping_is_said(box: Box) -> None:
    with connect5(box) as device, Device5(box) as unknown:
        until(lambda: box.endpoint.counters.connections == 2)
        box.run(box.endpoint.stop())
        assert device.receive_all() == [Disconnect(ReasonCode.SERVER_SHUTTING_DOWN)]
        assert unknown.receive_all() == []


def test_a_second_connect_of_mqtt_5_ends_the_connection(box: Box) -> None:
    with connect5(box) as device:
        said = parting(device.send(hello5()))
    assert (said.code, said.properties.reason) == (ReasonCode.PROTOCOL_ERROR, "a second CONNECT")


def test_a_second_connect_of_another_version_is_no_less_an_error(box: Box) -> None:
    with connect5(box) as device:
        said = parting(device.send(b"\x10\x10\0\4MQTT\6\2\0\x3c\3\x21\0\0\0\0"))
    assert said.code == ReasonCode.PROTOCOL_ERROR


@pytest.mark.parametrize("packet", [Connack(0), Suback(1, (0,)), Unsuback(1, (0,)), Pingresp()])
def test_what_only_a_server_says_is_a_protocol_error(box: Box, packet: Connack) -> None:
    with connect5(box) as device:
        assert parting(device.send(packet)).code == ReasonCode.PROTOCOL_ERROR


def test_auth_is_a_protocol_error(box: Box) -> None:
    with connect5(box) as device:
        assert parting(device.send(b"\xf0\2\x18\0")).code == ReasonCode.PROTOCOL_ERROR


def test_a_device_of_mqtt_5_may_listen_to_its_own_commands_only(box: Box) -> None:
    asked = ((CMD, 0), (CMD, 1), (CMD, 2 | 4 | 8 | 32), ("takean/v1/WL-02/cmd", 1), ("takean/v1/WL-01/data", 0))
    with connect5(box) as device:
        assert device.send(Subscribe(7, asked)).receive() == [Suback(7, (0, 1, 1, 0x87, 0x87))]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (Subscribe(1, (("takean/v1/#", 0),)), ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
        (Subscribe(1, ((CMD, 0), ("+/cmd", 0))), ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
        (Subscribe(1, ((f"$share/group/{CMD}", 0),)), ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        (Subscribe(1, ((CMD, 0),), Properties(subscription_id=1)), ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED),
    ],
)
def test_a_subscription_of_a_kind_that_connack_ruled_out_ends_the_connection(
    box: Box, packet: Subscribe, code: ReasonCode
) -> None:
    with connect5(box) as device:
        assert parting(device.send(packet)).code == code


def test_unsubscribing_in_mqtt_5_says_what_there_was(box: Box) -> None:
    with connect5(box) as device:
        device.send(
            Unsubscribe(1, (CMD, "#")), Subscribe(2, ((CMD, 1),)), Unsubscribe(3, ("other", CMD, CMD)), Pingreq()
        )
        assert device.receive(4) == [
            Unsuback(1, (0x11, 0x11)),
            Suback(2, (1,)),
            Unsuback(3, (0x11, 0, 0x11)),
            Pingresp(),
        ]


def test_an_answer_that_is_too_long_for_the_client_is_not_sent(box: Box) -> None:
    with connect5(box, properties=Properties(maximum_packet_bytes=CONNACK_BYTES_MAX)) as device:
        short = Subscribe(1, ((CMD, 1),) * (CONNACK_BYTES_MAX - 5))
        long = Subscribe(2, ((CMD, 1),) * (CONNACK_BYTES_MAX - 4))
        device.send(short, long, Unsubscribe(3, (CMD,) * 60), Pingreq())
        answer, pong = device.receive(2)
        assert (len(encode(answer, 5)), pong) == (CONNACK_BYTES_MAX, Pingresp())


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        (NO_PROPERTIES, "a second CONNECT"),
        (Properties(request_problem_information=True), "a second CONNECT"),
        (Properties(request_problem_information=False), None),
    ],
)
def test_words_are_for_those_who_want_them(box: Box, properties: Properties, words: str | None) -> None:
    with connect5(box, properties=properties) as device:
        assert parting(device.send(hello5())).properties.reason == words


def test_words_that_do_not_fit_are_left_out() -> None:
    dialect = Dialect5(hello5(properties=Properties(maximum_packet_bytes=CONNACK_BYTES_MAX)), Limits())
    fitting = "x" * (CONNACK_BYTES_MAX - 7)
    assert len(dialect.good_bye(ReasonCode.NOT_AUTHORIZED, fitting)) == CONNACK_BYTES_MAX
    assert dialect.good_bye(ReasonCode.NOT_AUTHORIZED, fitting + "x") == b"\xe0\1\x87"


def test_nothing_that_was_not_asked_for_is_returned(box: Box) -> None:
    asked = Properties(request_response_information=False, receive_maximum=1, topic_alias_maximum=0)
    with Device5(box) as device:
        (answer,) = device.send(hello5(properties=asked)).receive()
    assert answer == Connack(0, properties=BOUNDS)


def test_a_silent_peer_gets_no_reason_for_it_said_no_version(make_box: Callable[..., Box]) -> None:
    box = make_box(connect_s=0.05)
    with Device5(box) as device:
        device.send(encode(hello5(), 5)[:-1])
        assert device.receive_all() == []


def test_a_client_id_of_one_version_is_taken_over_by_the_other(box: Box) -> None:
    with connect(box) as old, connect5(box) as new:
        assert old.receive_all() == []
        assert new.send(Pingreq()).receive() == [Pingresp()]
        assert only(box).client == "gauge"


def test_the_bounds_are_those_of_the_page() -> None:
    assert BOUNDS.receive_maximum == Limits().unacked_messages
    assert BOUNDS.topic_alias_maximum == Limits().topic_aliases
