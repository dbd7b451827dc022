"""The broker door against real Mosquitto: acknowledged when safe, and nothing is lost by any part that goes away."""

import asyncio
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bench.mqtt_load import publish as load
from ingest import broker as broker_module
from ingest.broker import Broker, BrokerOptions, back_off_s
from ingest.broker_connection import BrokerConnection
from ingest.endpoint import Endpoint
from ingest.limits import Limits
from tests.ingest.box import until
from tests.ingest.mosquitto import DATA, PREFIX, STATUS, BrokerBox, Mosquitto, publish

MakeBox = Callable[..., BrokerBox]


def numbers(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dial again soon, so that a broker's return is not waited for."""
    monkeypatch.setattr(broker_module, "WAIT_S", 0.02)
    monkeypatch.setattr(broker_module, "WAIT_S_MAX", 0.1)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_messages_arrive_in_order_with_topic_time_and_origin(
    mosquitto: Mosquitto, make_broker_box: MakeBox, protocol: str
) -> None:
    box = make_broker_box(protocol=protocol)
    box.now_us = 77
    publish(mosquitto.port, numbers(3_000))
    until(lambda: len(box.messages) == 3_000)
    assert box.payloads == numbers(3_000)
    assert {(m.topic, m.received_us, m.client) for m in box.messages} == {(DATA, 77, "broker 127.0.0.1")}
    until(lambda: box.pump.counters.acknowledged == 3_000)


def test_nothing_is_acknowledged_before_it_is_processed(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    box = make_broker_box(receive_maximum=1)
    box.gate.clear()
    publish(mosquitto.port, [b"first", b"second"])
    assert box.entered.acquire(timeout=10)
    publish(mosquitto.port, [b"free of the window"], qos=0)
    until(lambda: box.pump.counters.messages == 2)
    assert box.pump.counters.acknowledged == 0
    box.gate.set()
    until(lambda: len(box.messages) == 3)
    assert box.payloads == [b"first", b"free of the window", b"second"]


def test_the_window_holds_and_the_next_start_gets_everything(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    first = make_broker_box(receive_maximum=50)
    first.gate.clear()
    publish(mosquitto.port, numbers(300))
    publish(mosquitto.port, [b"behind"], qos=0)
    until(lambda: first.pump.counters.messages == 51)
    first.run(first.broker.stop(timeout_s=0.05))
    second = make_broker_box(receive_maximum=50)
    until(lambda: len(second.messages) == 300)
    assert second.payloads == numbers(300)
    first.gate.set()
    until(lambda: len(first.messages) == 51)
    assert first.pump.counters.acknowledged == 0


def test_acknowledgements_leave_in_the_order_of_receipt_and_in_runs(
    mosquitto: Mosquitto, broker_box: BrokerBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Sequence[int]] = []
    received: list[int] = []
    connection = broker_box.broker._connection
    assert connection is not None
    client = connection._client
    acknowledge, receive = client.acknowledge, client.receive

    def note_run(packet_ids: Sequence[int]) -> None:
        runs.append(packet_ids)
        acknowledge(packet_ids)

    def note_receipt(topic: bytes, payload: bytes, packet_id: int, is_retained: bool) -> None:
        if topic.startswith(PREFIX.encode()):
            received.append(packet_id)
        receive(topic, payload, packet_id, is_retained)

    monkeypatch.setattr(client, "acknowledge", note_run)
    monkeypatch.setattr(client, "receive", note_receipt)
    broker_box.gate.clear()
    publish(mosquitto.port, [b"first"])
    assert broker_box.entered.acquire(timeout=10)
    publish(mosquitto.port, numbers(500))
    publish(mosquitto.port, [b"online"], STATUS)
    publish(mosquitto.port, [b"unasked"], qos=0)
    until(lambda: len(received) == 503)
    broker_box.gate.set()
    until(lambda: broker_box.pump.counters.acknowledged == 502)
    assert [packet_id for run in runs for packet_id in run] == received[:-1]
    assert len(runs[0]) == 1
    assert len(runs) <= 6, "in runs, however many batches a busy machine made of them"
    assert received[-1] == 0


def test_while_storing_fails_nothing_is_lost_or_reordered(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    broker_box.failures["process"] = 3
    publish(mosquitto.port, numbers(200))
    until(lambda: len(broker_box.messages) == 200)
    assert broker_box.payloads == numbers(200)
    assert broker_box.pump.counters.failed_batches == 3
    until(lambda: broker_box.pump.counters.acknowledged == 200)


FOREIGN = "spBv1.0/+/+/+/#"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_retained_status_is_taken_and_retained_readings_are_no_news(
    mosquitto: Mosquitto, make_broker_box: MakeBox, protocol: str
) -> None:
    publish(mosquitto.port, [b"23"], retain=True)
    publish(mosquitto.port, [b"23"], "spBv1.0/G/NDATA/N", retain=True)
    publish(mosquitto.port, [b"online"], STATUS, retain=True)
    box = make_broker_box(protocol=protocol, topics=(FOREIGN,))
    publish(mosquitto.port, [b"24"], retain=True)
    until(lambda: box.payloads and box.statuses)
    assert box.payloads == [b"24"], "what is published while we listen is news, retained or not"
    assert box.statuses == [("WL-01", b"online", 1_000)]
    refused = [(message.topic, rejection.reason) for message, rejection, _ in box.refusals]
    assert sorted(refused) == ([] if protocol == "5" else [("spBv1.0/G/NDATA/N", "retained"), (DATA, "retained")])
    assert box.broker.connected, "nobody is thrown out for it"


@pytest.mark.parametrize("qos", [0, 1])
def test_foreign_topics_arrive_in_order_where_they_are_asked_for(
    mosquitto: Mosquitto, make_broker_box: MakeBox, qos: int
) -> None:
    box = make_broker_box(topics=("application/+/device/+/event/up", FOREIGN))
    topics = ["spBv1.0/G/NBIRTH/N", "application/a/device/0011223344556677/event/up", "spBv1.0/G/DDATA/N/D"]
    for number, topic in enumerate(topics * 20):
        publish(mosquitto.port, [b"%d" % number], topic, qos=qos)
    publish(mosquitto.port, [b"nobody asked"], "application/a/device/0011223344556677/event/join")
    publish(mosquitto.port, [b"last"])
    until(lambda: b"last" in box.payloads)
    assert box.payloads == [*numbers(60), b"last"]
    assert [message.topic for message in box.messages[:3]] == topics


def test_nothing_foreign_arrives_unasked(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    publish(mosquitto.port, [b"foreign"], "spBv1.0/G/NBIRTH/N")
    publish(mosquitto.port, [b"ours"])
    until(lambda: broker_box.payloads)
    assert broker_box.payloads == [b"ours"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_command_reaches_its_node(mosquitto: Mosquitto, make_broker_box: MakeBox, protocol: str) -> None:
    box = make_broker_box(protocol=protocol, topics=(FOREIGN,))
    node = make_broker_box(client_id="node", topics=("spBv1.0/+/NCMD/N",))
    box.broker.publish("spBv1.0/G/NCMD/#", b"is no topic")
    box.broker.publish("spBv1.0/G/NCMD/N", b"who are you")
    until(lambda: node.payloads)
    assert [(m.topic, m.payload) for m in node.messages] == [("spBv1.0/G/NCMD/N", b"who are you")]
    assert box.broker.connected


def test_a_command_without_a_broker_is_lost_and_hurts_nobody(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    box = make_broker_box(port=mosquitto.port + 1 if mosquitto.port < 65_535 else 1, connected=False)
    box.broker.publish("spBv1.0/G/NCMD/N", b"who are you")
    box.close()
    box.broker.publish("spBv1.0/G/NCMD/N", b"who are you")
    assert not box.defects


@pytest.mark.parametrize("topic", ["", "a/#/b", "a+", "a/b#", "$SYS/#", "$share/us/a", "a\0b", "a" * 1_001])
def test_a_topic_that_cannot_be_asked_for_is_refused_in_the_settings(topic: str) -> None:
    with pytest.raises(ValueError, match="is no topic"):
        BrokerOptions(host="broker", topics=(topic,))


@pytest.mark.usefixtures("in_haste")
def test_a_broker_that_was_stopped_properly_comes_back_with_our_session(
    mosquitto: Mosquitto, make_broker_box: MakeBox
) -> None:
    box = make_broker_box()
    box.gate.clear()
    publish(mosquitto.port, numbers(100))
    until(lambda: box.pump.counters.messages == 100)
    mosquitto.end(signal.SIGTERM)
    until(lambda: not box.broker.connected)
    until(lambda: box.broker.away_since_s is not None)
    box.gate.set()
    until(lambda: box.pump.counters.batches)
    mosquitto.start()
    until(lambda: box.broker.connected)
    publish(mosquitto.port, numbers(100, start=100))
    until(lambda: set(box.payloads) == set(numbers(200)))
    assert box.broker.away_since_s is None
    assert box.alarms == []
    assert box.payloads[:100] == numbers(100)
    # Those that were acknowledged to nobody came again, in order; acknowledgements of the old connection never left.
    assert [p for p in box.payloads[100:] if int(p) < 100] in ([], numbers(100))
    assert box.payloads[-100:] == numbers(100, start=100)


@pytest.mark.usefixtures("in_haste")
def test_a_broker_that_forgot_us_is_listened_to_again_and_told_about(
    mosquitto: Mosquitto, broker_box: BrokerBox
) -> None:
    (mosquitto.folder / "mosquitto.db").unlink(missing_ok=True)
    mosquitto.end(signal.SIGKILL)
    until(lambda: not broker_box.broker.connected)
    (mosquitto.folder / "mosquitto.db").unlink(missing_ok=True)
    mosquitto.start()
    until(lambda: broker_box.broker.connected)
    assert broker_box.alarm_names == ["broker_session_lost"]
    publish(mosquitto.port, [b"again"])
    until(lambda: broker_box.payloads == [b"again"])


@pytest.mark.usefixtures("in_haste")
def test_pending_acknowledgements_die_with_the_connection(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    broker_box.gate.clear()
    publish(mosquitto.port, numbers(10))
    until(lambda: broker_box.pump.counters.messages == 10)
    first = broker_box.broker._connection
    mosquitto.end()
    mosquitto.start()
    until(lambda: broker_box.broker.away_since_s is not None)
    broker_box.gate.set()
    until(lambda: broker_box.broker.connected and broker_box.broker._connection is not first)
    until(lambda: broker_box.pump.counters.acknowledged == 10)
    assert broker_box.payloads == numbers(10) * 2


@pytest.mark.usefixtures("in_haste")
def test_messages_are_not_taken_again_while_they_still_wait(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    broker_box.gate.clear()
    publish(mosquitto.port, numbers(10))
    until(lambda: broker_box.pump.counters.messages == 10)
    mosquitto.end()
    mosquitto.start()
    until(lambda: "not stored" in broker_box.broker._why_away)
    assert broker_box.pump.counters.messages == 10
    broker_box.gate.set()
    until(lambda: broker_box.broker.connected)


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize("method", ["loop_read", "loop_write", "loop_misc"])
def test_a_defect_in_the_client_ends_the_connection_and_nothing_else(
    mosquitto: Mosquitto, broker_box: BrokerBox, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = broker_box.broker._connection
    assert first is not None

    def fail(*_: object) -> None:
        raise RuntimeError("out of the client")

    setattr(first._client, method, fail)
    publish(mosquitto.port, numbers(5))
    until(lambda: broker_box.broker._connection is not first and broker_box.broker.connected)
    until(lambda: set(broker_box.payloads) == set(numbers(5)))
    assert "out of the client" in caplog.text


def test_a_message_that_we_fail_on_does_not_stop_the_others(
    mosquitto: Mosquitto, make_broker_box: MakeBox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = make_broker_box()
    take = BrokerConnection._take

    def fail(self: BrokerConnection, topic: bytes, payload: bytes, packet_id: int, *, is_retained: bool) -> None:
        if payload == b"2":
            raise RuntimeError("a defect of ours")
        take(self, topic, payload, packet_id, is_retained=is_retained)

    monkeypatch.setattr(BrokerConnection, "_take", fail)
    publish(mosquitto.port, numbers(5))
    until(lambda: len(box.messages) == 4)
    assert "a defect of ours" in caplog.text
    monkeypatch.undo()
    box.close()
    again = make_broker_box()
    until(lambda: again.payloads == [b"2"])


def test_a_stop_lets_what_was_taken_in_be_acknowledged(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    box = make_broker_box()
    publish(mosquitto.port, numbers(500))
    until(lambda: box.pump.counters.messages == 500)
    box.close()
    assert box.payloads == numbers(500)
    again = make_broker_box()
    publish(mosquitto.port, [b"new"])
    until(lambda: again.payloads)
    assert again.payloads == [b"new"]


def test_a_stop_while_the_broker_is_away_takes_no_time(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    mosquitto.end()
    box = make_broker_box(connected=False)
    until(lambda: box.broker.away_since_s is not None)
    box.run(asyncio.wait_for(box.broker.stop(), 1.0))


def test_a_stop_at_any_moment_of_dialling_takes_no_time(broker_box: BrokerBox) -> None:
    async def start_and_stop(after_s: float) -> None:
        door = Broker(
            pump=broker_box.pump,
            options=replace(broker_box.broker.options, client_id="another"),
            topics=broker_box.broker.topics,
            now_us=lambda: 0,
            alarm=lambda *_: None,
        )
        await door.start()
        await asyncio.sleep(after_s)
        async with asyncio.timeout(2.0):
            await door.stop()

    for step in range(40):
        broker_box.run(start_and_stop(step * 0.0002))


@pytest.mark.parametrize("limits", [{"inbox_bytes": 40_000}, {"refusals_per_station": 5, "packet_bytes": 400}])
def test_a_full_inbox_holds_up_the_broker_and_loses_nothing(
    mosquitto: Mosquitto, make_broker_box: MakeBox, limits: dict[str, int]
) -> None:
    box = make_broker_box(Limits(**limits))
    box.gate.clear()
    payloads = [b"%6d" % number + bytes(1_000) for number in range(400)]
    publish(mosquitto.port, payloads)
    until(lambda: box.pump.counters.pauses)
    held = box.pump.counters.messages
    assert held < 200
    publish(mosquitto.port, [b"not read"], qos=0)
    assert box.pump.counters.messages == held
    box.gate.set()
    until(lambda: len(box.messages) + len(box.refusals) == 401)


def test_a_broker_does_not_hold_up_devices(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    box = make_broker_box(Limits(inbox_bytes=1_000_000))
    box.gate.clear()
    publish(mosquitto.port, [bytes(10_000)] * 300)
    until(lambda: box.pump.counters.pauses)
    assert not box.pump.inbox.is_full


@pytest.mark.usefixtures("hasty")
def test_both_doors_are_served_in_turns(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    box = make_broker_box(Limits(batch_messages=10))
    endpoint = Endpoint(
        pump=box.pump, host="127.0.0.1", port=0, topics=box.broker.topics, check=lambda *_: True, now_us=lambda: 0
    )
    box.run(endpoint.start())
    box.gate.clear()
    publish(mosquitto.port, numbers(1_000))
    until(lambda: box.pump.counters.messages == 1_000)
    device = threading.Thread(
        target=load, args=("127.0.0.1", endpoint.address[1], "WL-02", "any", f"{PREFIX}/WL-02/data", [b"mine"] * 5)
    )
    device.start()
    until(lambda: box.pump.counters.messages == 1_005)
    box.gate.set()
    device.join()
    until(lambda: box.pump.counters.acknowledged == 1_005)
    box.run(endpoint.stop())
    assert max(at for at, payload in enumerate(box.payloads) if payload == b"mine") < 40
    assert [payload for payload in box.payloads if payload != b"mine"] == numbers(1_000)


def test_waits_grow_to_their_bound_and_are_spread() -> None:
    assert [back_off_s(tries, 0.0) for tries in (0, 1, 2, 5, 6, 7, 1_000)] == [0.5, 1.0, 2.0, 16.0, 30.0, 30.0, 30.0]
    assert back_off_s(3, 1.0) == 2.0


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """With so many files open that a new socket gets a larger number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    held = [os.dup(0) for _ in range(count)]
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_connects_when_more_than_a_thousand_sockets_are_open(mosquitto: Mosquitto, make_broker_box: MakeBox) -> None:
    """select(), which paho's own loop waits with, ends at 1,023."""
    with many_files(1_100):
        box = make_broker_box()
        publish_from_elsewhere(mosquitto.port)
        until(lambda: box.payloads == [b"x"])
        box.close()


def publish_from_elsewhere(port: int) -> None:
    """By another process: paho's own loop cannot, with so many files open."""
    subprocess.run(["mosquitto_pub", "-p", str(port), "-t", DATA, "-q", "1", "-m", "x"], check=True)


def test_topics_of_other_worlds_are_not_asked_for(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    publish(mosquitto.port, [b"drill"], "takean/drill/v1/WL-01/data")
    publish(mosquitto.port, [b"command"], f"{PREFIX}/WL-01/cmd")
    publish(mosquitto.port, [b"ours"])
    until(lambda: broker_box.payloads)
    assert broker_box.payloads == [b"ours"]
