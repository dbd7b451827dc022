"""PUBACK means: on disk and judged."""

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from ingest import pump
from ingest.message import Message
from ingest.packets import Connect, Disconnect, Pingreq, Pingresp, Puback, Publish
from tests.ingest.box import Box, Device, connect, data, narrow, numbered, only, until


def test_a_message_arrives_with_its_topic_client_and_time(box: Box) -> None:
    box.now_us = 77
    with connect(box, client="gauge-1") as device:
        device.send(data(b"payload", 9))
        assert device.receive() == [Puback(9)]
    assert box.messages == [Message("takean/v1/WL-01/data", b"payload", 77, "gauge-1")]


def test_no_acknowledgement_leaves_before_the_message_is_processed(box: Box) -> None:
    box.gate.clear()
    with connect(box) as device:
        device.send(data(b"x", 9))
        assert box.entered.acquire(timeout=10)
        assert device.send(Pingreq()).receive() == [Pingresp()]
        box.gate.set()
        assert device.receive() == [Puback(9)]


def test_acknowledgements_leave_in_the_order_of_receipt(box: Box) -> None:
    ids = [5, 3, 65_535, 1, 4, 2]
    with connect(box) as device:
        device.send(*(data(b"%d" % packet_id, packet_id) for packet_id in ids))
        assert device.receive(6) == [Puback(packet_id) for packet_id in ids]
    assert box.payloads == [b"%d" % packet_id for packet_id in ids]


def test_one_batch_takes_what_came_while_the_one_before_was_processed(box: Box) -> None:
    box.gate.clear()
    with connect(box) as device:
        device.send(data(b"first", 1))
        assert box.entered.acquire(timeout=10)
        device.send(*numbered(50), Pingreq())
        assert device.receive() == [Pingresp()]
        box.gate.set()
        assert len(device.receive(51)) == 51
        assert device.send(Pingreq()).receive() == [Pingresp()]
    assert [len(batch) for batch in box.batches] == [1, 50]
    assert box.endpoint.counters.batches == 2


def test_a_batch_has_a_largest_size(make_box: Callable[..., Box]) -> None:
    box = make_box(batch_messages=7)
    with connect(box) as device:
        device.send(*numbered(100))
        assert device.receive(100) == [Puback(number) for number in range(1, 101)]
    assert max(len(batch) for batch in box.batches) <= 7


def test_a_batch_has_a_largest_size_in_bytes(make_box: Callable[..., Box]) -> None:
    box = make_box(batch_bytes=20_000)
    box.gate.clear()
    with connect(box) as device:
        device.send(*(data(bytes(6_000), number) for number in range(1, 31)))
        until(lambda: box.pump.counters.messages == 30)
        box.gate.set()
        assert device.receive(30) == [Puback(number) for number in range(1, 31)]
    assert max(len(batch) for batch in box.batches) == 4


def test_qos_0_is_processed_in_its_turn_and_not_acknowledged(box: Box) -> None:
    with connect(box) as device:
        device.send(data(b"a", 1), data(b"b"), data(b"c", 3))
        assert device.receive(2) == [Puback(1), Puback(3)]
        assert device.send(Pingreq()).receive() == [Pingresp()]
    assert box.payloads == [b"a", b"b", b"c"]


def test_qos_0_of_a_device_that_has_left_is_processed(box: Box) -> None:
    box.gate.clear()
    with connect(box) as device:
        device.send(*(data(b"%d" % number) for number in range(30)), Disconnect())
        assert device.receive_all() == []
    box.gate.set()
    until(lambda: len(box.messages) == 30)


def test_a_message_sent_again_is_a_message(box: Box) -> None:
    with connect(box) as device:
        device.send(data(b"x", 9), data(b"x", 9, dup=True))
        assert device.receive(2) == [Puback(9), Puback(9)]
    assert box.payloads == [b"x", b"x"]


def test_nothing_is_lost_or_reordered_while_storing_fails(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="ingest.pump")
    box.failures["process"] = 3
    with connect(box) as device:
        device.send(*numbered(20))
        until(lambda: not box.pump.healthy)
        device.send(data(b"later", 21))
        assert device.receive(21) == [Puback(number) for number in range(1, 22)]
    assert box.payloads == [b"%d" % number for number in range(1, 21)] + [b"later"]
    assert box.pump.healthy
    assert box.endpoint.counters.failed_batches == 3
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_what_keeps_failing_is_said_again_from_time_to_time(
    box: Box, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "SAY_S", 0.1)
    box.failures["process"] = 1_000_000
    with connect(box) as device:
        device.send(data(b"x", 1))
        until(lambda: caplog.text.count("OSError: process: disk full") >= 3)
        assert box.pump.counters.failed_batches >= 3
        box.failures.clear()
        assert device.receive() == [Puback(1)]


def test_a_defect_of_the_pump_is_told_to_who_can_start_it_anew(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    defect = RuntimeError("a defect")

    def fail(_: object) -> None:
        raise defect

    with connect(box) as device:
        monkeypatch.setattr(box.pump.inbox, "release", fail)
        device.send(data(b"x", 1))
        until(lambda: box.defects)
        assert box.defects == [defect]
        assert not box.pump.healthy
        box.run(box.endpoint.stop(timeout_s=0.01))


def test_the_wait_between_two_tries_grows_to_its_bound(
    make_box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(delay_s: float) -> None:
        waits.append(delay_s)
        await sleep(0)

    box = make_box(retry_s_max=0.3)
    box.failures["process"] = 5
    with connect(box) as device:
        monkeypatch.setattr(pump, "GATHER_S", 0.0)
        monkeypatch.setattr(asyncio, "sleep", note)
        device.send(data(b"x", 1))
        assert device.receive() == [Puback(1)]
        monkeypatch.undo()
    assert [wait for wait in waits if wait] == [0.05, 0.1, 0.2, 0.3, 0.3]


def test_what_was_done_of_a_batch_is_not_done_again_when_the_rest_fails(box: Box) -> None:
    box.gate.clear()
    box.failures["on_status"] = 2
    with connect(box) as device:
        device.send(data(b"a", 1), Publish(b"takean/v1/WL-01/status", b"online", 1, 2), data(b"b", 3))
        assert device.send(Pingreq()).receive() == [Pingresp()]
        box.gate.set()
        assert device.receive(3) == [Puback(1), Puback(2), Puback(3)]
    assert box.payloads == [b"a", b"b"]
    assert box.statuses == [("WL-01", b"online", 1_000)]


def test_a_refusal_that_cannot_be_kept_is_tried_again_before_the_connection_closes(box: Box) -> None:
    box.failures["refuse"] = 2
    with connect(box) as device:
        device.send(Publish(b"elsewhere", b"x", 1, 1))
        assert device.receive_all() == []
    assert [rejection.reason for _, rejection, _ in box.refusals] == ["foreign_topic"]


def test_pending_acknowledgements_die_with_the_connection(box: Box) -> None:
    box.gate.clear()
    first = connect(box)
    first.send(data(b"old", 7))
    assert box.entered.acquire(timeout=10)
    first.vanish()
    with connect(box) as second:
        box.gate.set()
        second.send(data(b"new", 8))
        assert second.receive() == [Puback(8)]
        assert second.send(Pingreq()).receive() == [Pingresp()]
    assert box.payloads == [b"old", b"new"]
    assert box.endpoint.counters.acknowledged == 1


def test_a_device_that_came_back_does_not_overtake_itself(make_box: Callable[..., Box]) -> None:
    box = make_box(batch_messages=3)
    box.gate.clear()
    first = connect(box)
    first.send(*(data(b"%d" % number) for number in range(20)), Pingreq())
    assert first.receive() == [Pingresp()]
    first.vanish()
    with connect(box) as second:
        second.send(*(data(b"%d" % number) for number in range(20, 40)), Pingreq())
        assert second.receive() == [Pingresp()]
    box.gate.set()
    until(lambda: len(box.messages) == 40)
    assert box.payloads == [b"%d" % number for number in range(40)]


def test_a_connection_over_its_bound_is_not_read_until_it_is_acknowledged(make_box: Callable[..., Box]) -> None:
    box = make_box(unacked_messages=10)
    box.gate.clear()
    with connect(box) as device, connect(box, "WL-02") as other:
        device.send(*numbered(300))
        until(lambda: box.endpoint.counters.pauses == 1)
        # What the other one gets shows that nothing more was read meanwhile, and that nobody else is held up.
        assert other.send(Pingreq()).receive() == [Pingresp()]
        assert box.endpoint.counters.messages == 10
        box.gate.set()
        assert device.receive(300) == [Puback(number) for number in range(1, 301)]
    assert max(len(batch) for batch in box.batches) <= 10
    assert box.payloads == [b"%d" % number for number in range(1, 301)]


@pytest.mark.parametrize("bound", ["unacked_bytes", "inbox_bytes"])
def test_large_messages_reach_a_bound_earlier(make_box: Callable[..., Box], bound: str) -> None:
    box = make_box(**{bound: 20_000})
    box.gate.clear()
    with connect(box) as device, connect(box, "WL-02") as other:
        device.send(*(data(bytes(5_000), number) for number in range(1, 21)))
        until(lambda: box.endpoint.counters.pauses == 1)
        assert other.send(Pingreq()).receive() == [Pingresp()]
        assert box.endpoint.counters.messages == 4
        box.gate.set()
        assert device.receive(20) == [Puback(number) for number in range(1, 21)]


def test_a_full_inbox_holds_up_everyone_and_loses_nothing(make_box: Callable[..., Box]) -> None:
    box = make_box(inbox_bytes=20_000)
    box.gate.clear()
    devices = [connect(box, f"WL-{number}") for number in range(8)]
    for number, device in enumerate(devices):
        device.send(*(data(bytes(1_000), packet_id, f"WL-{number}") for packet_id in range(1, 41)))
    until(lambda: box.endpoint.counters.pauses == 8)
    assert box.endpoint.counters.messages <= 14 + 8
    box.gate.set()
    for device in devices:
        assert device.receive(40) == [Puback(number) for number in range(1, 41)]
        device.vanish()


def test_a_device_that_does_not_take_its_answers_is_not_read(box: Box) -> None:
    with Device(box, receive_bytes=4_096) as device:
        device.send(Connect("gauge", user_name="WL-01", password=b"right")).receive()
        narrow(box)
        sender = threading.Thread(target=lambda: device.send(b"\xc0\0" * 100_000))
        sender.start()
        until(lambda: box.endpoint.counters.pauses)
        written = only(box)._transport.get_write_buffer_size()
        assert written <= 8_192 + 2
        assert device.receive(100_000) == [Pingresp()] * 100_000
        sender.join()


def test_a_busy_station_does_not_hold_up_a_quiet_one(make_box: Callable[..., Box]) -> None:
    box = make_box(batch_messages=10)
    box.gate.clear()
    with connect(box, "busy") as busy, connect(box, "quiet") as quiet:
        busy.send(*numbered(200, "busy"), Pingreq())
        assert busy.receive() == [Pingresp()]
        quiet.send(*numbered(5, "quiet"), Pingreq())
        assert quiet.receive() == [Pingresp()]
        box.gate.set()
        assert quiet.receive(5) == [Puback(number) for number in range(1, 6)]
        assert busy.receive(200) == [Puback(number) for number in range(1, 201)]
    served = [message.topic.split("/")[2] for message in box.messages]
    assert served.index("quiet") <= 10
    assert len(served) - served[::-1].index("quiet") <= 20


def test_stopping_finishes_and_acknowledges_what_was_taken_in(make_box: Callable[..., Box]) -> None:
    box = make_box(batch_messages=4)
    box.gate.clear()
    with connect(box, will=b"offline") as device:
        device.send(*numbered(20), Pingreq())
        assert device.receive() == [Pingresp()]
        stopping = threading.Thread(target=lambda: box.run(box.endpoint.stop()))
        stopping.start()
        until(lambda: box.endpoint.stopping)
        box.gate.set()
        assert device.receive_all() == [Puback(number) for number in range(1, 21)]
        stopping.join()
    assert len(box.messages) == 20
    assert box.statuses == []
    with pytest.raises(ConnectionRefusedError):
        Device(box)


def test_stopping_does_not_wait_for_ever(box: Box) -> None:
    box.gate.clear()
    with connect(box) as device:
        device.send(data(b"x", 1))
        assert box.entered.acquire(timeout=10)
        box.run(box.endpoint.stop(timeout_s=0.05))
        assert device.receive_all() == []
    assert box.batches == []
