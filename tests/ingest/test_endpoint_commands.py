"""Commands over real sockets: who listens is told, what is not taken comes again, answers are acknowledged in turn."""

import json
from collections.abc import Callable

import pytest

from ingest.commands import Stage
from ingest.dialect import LISTENING_MAX
from ingest.message import Reason
from ingest.networks import Network, Reach
from ingest.packets import (
    NO_PROPERTIES,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    ReasonCode,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from tests.ingest.box import Box, Device, connect, data, until
from tests.ingest.device5 import connect5
from tests.ingest.test_networks import SOURCES, TOPICS, come_in, reach

CMD, ACK = "takean/v1/WL-01/cmd", b"takean/v1/WL-01/ack"
MINUTE_US = 60_000_000


def order(box: Box, id: str = "c1", station: str = "WL-01") -> None:
    async def act() -> None:
        box.endpoint.commands.order(station, {"do": "report"}, id=id, expires_us=box.now_us + MINUTE_US)

    box.run(act())


def stage(box: Box, id: str = "c1") -> Stage:
    fate = box.endpoint.commands.fate("WL-01", id)
    assert fate is not None
    return fate.stage


def listening(box: Box, qos: int = 1, client: str = "gauge") -> Device:
    device = connect(box, client=client)
    assert device.send(Subscribe(1, ((CMD, qos),))).receive() == [Suback(1, (qos,))]
    return device


def told(packet: object) -> str:
    assert isinstance(packet, Publish)
    assert (packet.topic, packet.retain, packet.dup) == (CMD.encode(), False, False)
    assert packet.properties == NO_PROPERTIES
    command = json.loads(packet.payload)
    assert command.pop("expires") == MINUTE_US // 1_000 + 1
    assert command.pop("do") == "report"
    return str(command["id"])


def answer(id: str, packet_id: int) -> Publish:
    return Publish(ACK, json.dumps({"id": id, "ok": True}).encode(), 1, packet_id)


def test_a_device_that_listens_is_told_takes_and_answers(box: Box) -> None:
    with listening(box) as device:
        order(box)
        (command,) = device.receive()
        assert told(command) == "c1"
        assert isinstance(command, Publish)
        assert (command.qos, stage(box)) == (1, Stage.SENT)
        device.send(Puback(command.packet_id), Pingreq()).receive()
        assert stage(box) is Stage.TAKEN
        assert device.send(answer("c1", 5)).receive() == [Puback(5)]
        assert stage(box) is Stage.ANSWERED
    assert box.statuses == [], "an answer is no status"
    assert box.messages == []


def test_an_answer_is_acknowledged_in_its_turn(box: Box) -> None:
    box.gate.clear()
    with listening(box) as device:
        order(box)
        device.receive()
        device.send(data(b"x", 1), answer("c1", 2), data(b"y", 3), Pingreq())
        assert device.receive() == [Pingresp()]
        assert stage(box) is Stage.ANSWERED
        box.gate.set()
        assert device.receive(3) == [Puback(1), Puback(2), Puback(3)]


def test_what_was_not_taken_comes_again_with_the_next_subscription(box: Box) -> None:
    with listening(box) as device:
        order(box)
        assert told(device.receive()[0]) == "c1"
    until(lambda: stage(box) is Stage.QUEUED)
    with listening(box) as device:
        (again,) = device.receive()
        assert told(again) == "c1"
        assert isinstance(again, Publish)
        device.send(Puback(again.packet_id), Pingreq()).receive()
    until(lambda: box.endpoint.counters.connections == 0)
    with listening(box) as device:
        assert device.send(Pingreq()).receive() == [Pingresp()], "it has it, and is not told again"


def test_a_command_of_qos_0_needs_no_puback_and_is_answered(box: Box) -> None:
    with listening(box, qos=0) as device:
        order(box)
        (command,) = device.receive()
        assert isinstance(command, Publish)
        assert (told(command), command.qos, command.packet_id) == ("c1", 0, 0)
        device.send(answer("c1", 5)).receive()
        assert stage(box) is Stage.ANSWERED


def test_a_command_that_has_expired_is_not_sent(box: Box) -> None:
    order(box)
    box.now_us += MINUTE_US
    with listening(box) as device:
        assert device.send(Pingreq()).receive() == [Pingresp()]
    assert stage(box) is Stage.EXPIRED


def test_who_listens_no_more_is_not_told(box: Box) -> None:
    with listening(box) as device:
        assert device.send(Unsubscribe(2, (CMD,))).receive() == [Unsuback(2)]
        order(box)
        assert device.send(Pingreq()).receive() == [Pingresp()]
    assert stage(box) is Stage.QUEUED


def test_who_is_taken_over_takes_no_more_commands(box: Box) -> None:
    with listening(box) as older, listening(box) as newer:
        assert older.receive_all() == []
        order(box)
        assert told(newer.receive()[0]) == "c1"


def test_commands_are_told_one_after_the_other_by_identifiers_of_their_own(box: Box) -> None:
    with listening(box) as device:
        for number in range(3):
            order(box, f"c{number}")
        found = device.receive(3)
        assert [told(packet) for packet in found] == ["c0", "c1", "c2"]
        assert len({packet.packet_id for packet in found if isinstance(packet, Publish)}) == 3


def test_a_device_of_mqtt_5_is_sent_no_more_at_a_time_than_it_takes(box: Box) -> None:
    with connect5(box, properties=Properties(receive_maximum=1)) as device:
        device.send(Subscribe(1, ((CMD, 1),))).receive()
        order(box, "c1")
        order(box, "c2")
        first = device.receive()[0]
        assert told(first) == "c1"
        assert device.send(Pingreq()).receive() == [Pingresp()]
        assert isinstance(first, Publish)
        device.send(Puback(first.packet_id), Pingreq()).receive()
        box.loop.call_soon_threadsafe(box.endpoint.commands.retry)
        assert told(device.receive()[0]) == "c2"


def test_a_device_of_mqtt_5_may_refuse_a_command(box: Box) -> None:
    with connect5(box) as device:
        device.send(Subscribe(1, ((CMD, 1),))).receive()
        order(box)
        (command,) = device.receive()
        assert isinstance(command, Publish)
        device.send(Puback(command.packet_id, ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR), Pingreq()).receive()
        assert stage(box) is Stage.SENT, "it does not have it"


def test_a_command_that_is_too_long_for_the_client_is_not_sent(box: Box) -> None:
    with connect5(box, properties=Properties(maximum_packet_bytes=64)) as device:
        device.send(Subscribe(1, ((CMD, 1),))).receive()
        order(box)
        assert device.send(Pingreq()).receive() == [Pingresp()]
    assert stage(box) is Stage.QUEUED


@pytest.mark.parametrize("packet_id", [1, 77, 65_535])
def test_a_puback_for_what_was_never_sent_is_ignored(box: Box, packet_id: int) -> None:
    with listening(box) as device:
        assert device.send(Puback(packet_id), Pingreq()).receive() == [Pingresp()]
        order(box)
        assert told(device.receive()[0]) == "c1"


def test_what_is_no_answer_is_quarantined_and_the_connection_stays(box: Box) -> None:
    with connect(box) as device:
        assert device.send(Publish(ACK, b"ok", 1, 5)).receive() == [Puback(5)]
        assert device.send(data(b"x", 6)).receive() == [Puback(6)]
    ((message, rejection, _),) = box.refusals
    assert (message.topic.encode(), message.payload, rejection.reason) == (ACK, b"ok", Reason.NOT_JSON)


def test_a_flood_of_wrong_answers_writes_few_rows(make_box: Callable[..., Box]) -> None:
    box = make_box(refusals_per_station=3)
    box.gate.clear()
    with connect(box) as device:
        device.send(*(Publish(ACK, b"ok", 1, number) for number in range(1, 10)))
        until(lambda: box.endpoint.counters.unrecorded == 1)
        box.gate.set()
        device.receive_all()
    until(lambda: len(box.refusals) == 3)


def test_an_answer_for_another_station_closes_the_connection(box: Box) -> None:
    with connect(box, "WL-02") as device:
        assert device.send(answer("c1", 5)).receive_all() == []
    assert [rejection.reason for _, rejection, _ in box.refusals] == [Reason.FOREIGN_TOPIC]


def test_a_device_that_does_not_read_holds_up_no_command_of_others(box: Box) -> None:
    with listening(box) as deaf, connect(box, "WL-02") as other:
        other.send(Subscribe(1, (("takean/v1/WL-02/cmd", 1),))).receive()
        for number in range(16):
            order(box, f"c{number}")
        order(box, "other", "WL-02")
        (command,) = other.receive()
        assert isinstance(command, Publish)
        assert json.loads(command.payload)["id"] == "other"
        deaf.send(Disconnect()).receive_all()


def test_before_connect_nobody_is_told_anything(box: Box) -> None:
    order(box)
    with Device(box) as device:
        assert device.send(Subscribe(1, ((CMD, 1),)), Connect("x")).receive_all() == []
    assert stage(box) is Stage.QUEUED


@pytest.mark.parametrize("asked", ["spBv1.0/river/NCMD/n1", "spBv1.0/river/NCMD/n1/#"])
def test_a_sparkplug_node_hears_what_it_is_asked(box: Box, asked: str) -> None:
    box.endpoint.reach = reach
    with come_in(box, "sp") as node:
        filters = (asked, "spBv1.0/river/NCMD/+", "spBv1.0/lake/NCMD/n1", "spBv1.0/river/NDATA/n1", CMD)
        wanted = tuple((name, 1) for name in filters)
        assert node.send(Subscribe(1, wanted)).receive() == [Suback(1, (1, 0x80, 0x80, 0x80, 0x80))]
        box.loop.call_soon_threadsafe(box.endpoint.commands.say, "spBv1.0/river/NCMD/n1", b"rebirth")
        assert node.receive() == [Publish(b"spBv1.0/river/NCMD/n1", b"rebirth")]


def test_a_gateway_hears_and_answers_for_the_stations_it_lists(box: Box) -> None:
    box.endpoint.reach = reach
    with come_in(box, "gw") as gateway:
        wanted = ((CMD, 1), ("takean/v1/WL-03/cmd", 1))
        assert gateway.send(Subscribe(1, wanted)).receive() == [Suback(1, (1, 0x80))]
        order(box)
        assert told(gateway.receive()[0]) == "c1"
        assert gateway.send(answer("c1", 5)).receive() == [Puback(5)]
        assert stage(box) is Stage.ANSWERED
        foreign = Publish(b"takean/v1/WL-03/ack", b'{"id": "c1"}', 1, 6)
        assert gateway.send(foreign).receive_all() == []


def test_one_connection_has_so_many_subscriptions(box: Box) -> None:
    stations = tuple(f"S-{number}" for number in range(LISTENING_MAX + 1))
    network = Network(via="stations", stations=stations)
    box.endpoint.reach = lambda name: Reach(name, network, sources=SOURCES, topics=TOPICS)
    with come_in(box, "gw") as gateway:
        codes: list[int] = []
        for start in range(0, len(stations), 100):
            wanted = tuple((f"takean/v1/{one}/cmd", 1) for one in stations[start : start + 100])
            (suback,) = gateway.send(Subscribe(1, wanted)).receive()
            assert isinstance(suback, Suback)
            codes += suback.codes
    assert codes == [1] * LISTENING_MAX + [0x80]
