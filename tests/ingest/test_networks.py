"""Credentials that speak for many, at the endpoint: what each kind may publish, and what happens to the rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from ingest.message import Reason
from ingest.networks import Network, Reach, filters
from ingest.packets import Connack, ConnackCode, Connect, Disconnect, Puback, Publish, Will
from ingest.rights import TOPIC_BYTES_KEPT, TOPICS_KEPT
from ingest.source import Sources
from ingest.topics import Topics
from sensors.stations import Device
from tests.ingest.box import PASSWORD, Box, connect, data, only, until
from tests.ingest.box import Device as Client

TOPICS = Topics("takean/v1")
UPLINK = "application/a/device/0011223344556677/event/up"
NETWORKS = {
    "cs": Network(via="chirpstack"),
    "tts": Network(via="things_stack"),
    "sp": Network(via="sparkplug", group="river"),
    "gw": Network(via="stations", stations=("WL-01", "WL-02")),
}
SOURCES = Sources(TOPICS, {("sparkplug", "river/n1"): ("WL-09", Device(via="sparkplug", id="river/n1"))}, {"WL-01"})


def reach(name: str) -> Reach | None:
    network = NETWORKS.get(name)
    return Reach(name, network, sources=SOURCES, topics=TOPICS) if network is not None else None


@pytest.fixture
def open_box(box: Box) -> Iterator[Box]:
    """An endpoint that knows the networks."""
    box.endpoint.reach = reach
    return box  # type: ignore[return-value]


def come_in(box: Box, name: str, client: str = "c", will: Will | None = None) -> Client:
    device = Client(box)
    device.send(Connect(client, True, 60, will, name, PASSWORD.encode()))
    assert device.receive() == [Connack(ConnackCode.ACCEPTED)]
    return device


def message(topic: str, number: int = 1, payload: bytes = b"{}") -> Publish:
    return Publish(topic.encode(), payload, 1, number)


@pytest.mark.parametrize(
    ("name", "topic", "is_to_be"),
    [
        ("cs", UPLINK, ""),
        ("cs", "application/a/device/0011223344556677/event/join", "cs"),
        ("cs", "application/a/device/no-eui/event/up", "cs"),
        ("cs", "v3/app@ttn/devices/dev-1/up", None),
        ("cs", "takean/v1/WL-01/data", None),
        ("cs", "application/+/device/0011223344556677/event/up", None),
        ("tts", "v3/app@ttn/devices/dev-1/up", ""),
        ("tts", "v3/app@ttn/devices/dev-1/down/ack", "tts"),
        ("tts", UPLINK, None),
        ("sp", "spBv1.0/river/NBIRTH/n1", ""),
        ("sp", "spBv1.0/river/DDATA/n1/d1", ""),
        ("sp", "spBv1.0/river/ELSE/n1", "sp"),
        ("sp", "spBv1.0/lake/NBIRTH/n1", None),
        ("sp", "spBv1.0/riverside/NBIRTH/n1", None),
        ("sp", "spBv1.0/STATE/host", None),
        ("gw", "takean/v1/WL-01/data", ""),
        ("gw", "takean/v1/WL-02/status", "WL-02"),
        ("gw", "takean/v1/WL-02/cmd", None),
        ("gw", "takean/v1/WL-03/data", None),
        ("gw", "takean/drill/v1/WL-01/data", None),
        ("gw", UPLINK, None),
    ],
)
def test_a_network_may_publish_what_is_of_its_kind_and_nothing_else(
    name: str, topic: str, is_to_be: str | None
) -> None:
    of_network = reach(name)
    assert of_network is not None
    assert of_network.of(topic) == is_to_be


def test_what_a_broker_is_told_is_what_brings_readings() -> None:
    assert {name: filters(network, TOPICS) for name, network in NETWORKS.items()} == {
        "cs": ["application/+/device/+/event/up"],
        "tts": ["v3/+/devices/+/up"],
        "sp": ["spBv1.0/river/#"],
        "gw": [f"takean/v1/{s}/{leaf}" for s in ("WL-01", "WL-02") for leaf in ("data", "status", "ack")],
    }


def test_uplinks_go_to_the_readings_and_other_events_are_acknowledged_in_order(open_box: Box) -> None:
    with come_in(open_box, "cs") as server:
        join = UPLINK.replace("/up", "/join")
        server.send(message(UPLINK, 1, b"one"), message(join, 2), message(UPLINK, 3, b"two"))
        assert server.receive(3) == [Puback(1), Puback(2), Puback(3)]
    assert [(m.topic, m.payload) for m in open_box.messages] == [(UPLINK, b"one"), (UPLINK, b"two")]
    assert [station for station, _, _ in open_box.statuses] == ["cs"]
    assert open_box.refusals == []


def test_a_gateway_speaks_for_the_stations_it_lists_and_is_closed_for_another(open_box: Box) -> None:
    with come_in(open_box, "gw") as gateway:
        birth = message("takean/v1/WL-02/status", 2, b'{"state": "online"}')
        gateway.send(data(b"a", 1, "WL-01"), birth, data(b"b", 3, "WL-03"))
        assert gateway.receive_all() == [Puback(1), Puback(2)]
    assert open_box.payloads == [b"a"]
    assert open_box.statuses == [("WL-02", b'{"state": "online"}', open_box.now_us)]
    ((refused, rejection, _),) = open_box.refusals
    assert (refused.topic, rejection.reason) == ("takean/v1/WL-03/data", Reason.FOREIGN_TOPIC)
    assert "network gw" in rejection.detail


def test_a_station_is_not_helped_by_networks(open_box: Box) -> None:
    with connect(open_box, "WL-01") as device:
        device.send(message(UPLINK))
        assert device.receive_all() == []
    assert [rejection.reason for _, rejection, _ in open_box.refusals] == [Reason.FOREIGN_TOPIC]


def test_the_death_of_a_sparkplug_node_comes_on_its_own_topic(open_box: Box) -> None:
    death = Will("spBv1.0/river/NDEATH/n1", b"dead", 1, False)
    other = come_in(open_box, "sp", "n2", Will("spBv1.0/river/NDEATH/n2", b"never", 1, False))
    with other:
        come_in(open_box, "sp", "n1", death).vanish()
        until(lambda: open_box.messages)
        other.send(Disconnect())
        other.receive_all()
    assert [(m.topic, m.payload, m.client) for m in open_box.messages] == [(death.topic, b"dead", "n1")]


@pytest.mark.parametrize("topic", ["spBv1.0/lake/NDEATH/n1", "takean/v1/WL-01/status", "spBv1.0/river/NDEATH/+"])
def test_a_network_leaves_no_will_that_is_not_its_to_say(open_box: Box, topic: str) -> None:
    with Client(open_box) as device:
        device.send(Connect("c", True, 60, Will(topic, b"x", 1, False), "sp", PASSWORD.encode()))
        assert device.receive_all() == [Connack(ConnackCode.NOT_AUTHORIZED)]


def test_a_network_may_have_more_connections_than_a_station(make_box: Any) -> None:
    box = make_box(connections_per_station=1, connections_per_network=2)
    box.endpoint.reach = reach
    nodes = [come_in(box, "sp", f"n{i}") for i in range(3)]
    assert nodes[0].receive_all() == [], "the oldest of three is closed"
    for node in nodes[1:]:
        node.send(message("spBv1.0/river/NDATA/n1"))
        assert node.receive() == [Puback(1)]
    for node in nodes:
        node.vanish()


def test_whoever_came_in_by_a_secret_that_was_removed_is_closed_and_nobody_else(open_box: Box) -> None:
    with connect(open_box, "WL-01") as one, connect(open_box, "WL-02") as two:
        open_box.loop.call_soon_threadsafe(open_box.endpoint.expel, {"WL-01"})
        assert one.receive_all() == []
        two.send(data(b"still here", 1, "WL-02"))
        assert two.receive() == [Puback(1)]
    assert open_box.endpoint.counters.closed["secret_removed"] == 1


def test_a_network_that_invents_topics_by_the_thousand_is_remembered_a_thousand(open_box: Box) -> None:
    with come_in(open_box, "cs") as server:
        for start in range(0, 2_500, 500):
            numbers = range(start + 1, start + 501)
            server.send(*(message(UPLINK.replace("/a/", f"/a{n}/").replace("/up", "/join"), n) for n in numbers))
            assert server.receive(500) == [Puback(n) for n in numbers]
        rights = only(open_box)._rights
        assert rights is not None
        assert 0 < len(rights._places) <= TOPICS_KEPT
        server.send(message(UPLINK.replace("/a/", f"/{'a' * 60_000}/").replace("/up", "/join"), 9))
        assert server.receive() == [Puback(9)]
        assert max(map(len, rights._places)) <= TOPIC_BYTES_KEPT, "64 KiB each would be 64 MB for every connection"
