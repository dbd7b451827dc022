"""Hostile devices behind a broker: it keeps most of them from us, and what it lets through is refused and recorded."""

import contextlib
import hashlib
import socket

import pytest

from bench.mqtt_load import packet, text
from tests.live.crash import kill_worker, until
from tests.live.evidence import Refused, assert_goes_on, good, kept
from tests.live.records import payload
from tests.live.ways import PREFIX, QUIET_S, BrokerWay, closed, device, published, topic

pytestmark = pytest.mark.live


def test_what_the_broker_takes_and_we_do_not_is_recorded(broker_way: BrokerWay) -> None:
    refused, large = Refused(broker_way), b"x" * 300_000
    broker_way.deliver("S-1", [large])
    rows = refused.rows()
    assert [(row.reason, row.length, row.head) for row in rows] == [("too_large", len(large), large[:4096])]
    assert_goes_on(broker_way)


def test_ten_megabytes_stop_at_the_broker(broker_way: BrokerWay) -> None:
    refused = Refused(broker_way)
    with device(broker_way, "S-1") as sender, contextlib.suppress(OSError):  # it may hang up before it has read all
        sender.socket.sendall(published(topic("S-1"), bytes(10_000_000), 1))
    assert_goes_on(broker_way)
    assert refused.rows() == []


@pytest.mark.parametrize(
    "foreign",
    [topic("S-2"), topic("nobody"), f"{PREFIX}/S-1/cmd", "takean/v1/S-2/data", f"{PREFIX}/{'y' * 65_000}/data"],
    ids=["another station's", "nobody's", "a command", "the real world", "64 KiB"],
)
def test_nobody_speaks_for_another_station(broker_way: BrokerWay, foreign: str) -> None:
    refused, forged = Refused(broker_way), good("S-2")
    with device(broker_way, "S-1") as sender:
        sender.publish(foreign, payload(forged))
        # Debian's Mosquitto acknowledges to MQTT 3.1.1 what its access list forbids, and throws it away.
        sender.acknowledged(1)
    assert_goes_on(broker_way, "S-1")
    assert_goes_on(broker_way, "S-2")
    assert kept(broker_way, [forged]) == {}
    assert refused.rows() == []


@pytest.mark.parametrize("cut", [2, 30, -1])
def test_a_half_sent_message_is_nothing(broker_way: BrokerWay, cut: int) -> None:
    refused, reading = Refused(broker_way), good("S-1")
    with device(broker_way, "S-1") as sender:
        sender.socket.sendall(published(topic("S-1"), payload(reading), 1)[:cut])
    assert_goes_on(broker_way)
    assert refused.rows() == []
    assert kept(broker_way, [reading]) == {}


def test_of_two_clients_with_one_id_the_older_one_ends_and_nothing_is_lost(broker_way: BrokerWay) -> None:
    reading = good("S-1")
    with device(broker_way, "S-1") as older:
        older.publish(topic("S-1"), payload(reading))
        with device(broker_way, "S-1") as newer:
            assert older.is_closed()
            newer.publish(topic("S-1"), payload(reading))
            newer.acknowledged(1)
    until(lambda: list(kept(broker_way, [reading])) == [reading], "the reading")
    assert_goes_on(broker_way)


def test_a_stranger_is_shut_out(broker_way: BrokerWay) -> None:
    with socket.create_connection(("127.0.0.1", broker_way.port), timeout=QUIET_S) as stranger:
        stranger.sendall(packet(0x10, b"\0\4MQTT\4\2\0\0" + text("nobody")))
        assert stranger.recv(4)[3] != 0
        assert closed(stranger)
    assert_goes_on(broker_way)


def test_retained_garbage_comes_again_with_every_start_and_stops_nothing(broker_way: BrokerWay) -> None:
    refused, garbage = Refused(broker_way), b"garbage that stays"
    broker_way.deliver("S-2", [garbage], retain=True)
    kill_worker(broker_way.box)
    assert_goes_on(broker_way, "S-2")
    assert {row.sha256 for row in refused.rows()} == {hashlib.sha256(garbage).hexdigest()}
    assert len(refused.rows()) <= 3, "once for each subscription, and not in a circle"
    broker_way.deliver("S-2", [b""], retain=True)
