"""What cannot be taken from a broker is quarantined, acknowledged, and in nobody's way."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ingest import codecs
from ingest.limits import Limits
from ingest.message import Message, Reason
from ingest.pipeline import Pipeline
from ingest.quarantine import Quarantine, Row
from ingest.source import Sources
from ingest.topics import Topics
from sensors.batch import ReadingBatch
from tests.builders import T0_US, registry, station
from tests.ingest.box import until
from tests.ingest.mosquitto import DATA, PREFIX, STATUS, BrokerBox, Mosquitto, publish

GOOD = b'{"ts": %d, "values": {"stage_m": 1.2}}' % (T0_US // 1000)


def with_pipeline(box: BrokerBox, quarantine: Quarantine) -> list[ReadingBatch]:
    """Put the real pipeline and quarantine behind a broker door; returns the batches that are judged."""
    taken, reg = list[ReadingBatch](), registry(station("WL-01"))
    pipeline = Pipeline(
        sources=Sources.of(Topics(PREFIX), reg),
        codecs=codecs.standard(),
        index=reg.index,
        take=taken.append,
        refuse=lambda refused: quarantine.put([Row.of(message, why) for message, why in refused]),
    )
    box.now_us = T0_US

    def process(messages: Sequence[Message]) -> None:
        pipeline.process(messages)
        box.batches.append(list(messages))

    box.pump._process = process
    box.pump._refuse = lambda message, why, unread: quarantine.put([Row.of(message, why, unread_bytes=unread)])
    return taken


def test_garbage_is_quarantined_and_acknowledged_and_the_next_message_is_stored(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox], tmp_path: Path
) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db")
    box = make_broker_box(receive_maximum=10)  # so that one without acknowledgement would stop the rest
    taken = with_pipeline(box, quarantine)
    publish(mosquitto.port, [b"\xff\x00{", b"", b"[" * 50_000, b'{"ts": 1, "values": {"stage_m": NaN}}'] * 5)
    publish(mosquitto.port, [GOOD])
    publish(mosquitto.port, [GOOD], f"{PREFIX}/WL 01/data")
    publish(mosquitto.port, [b"online"], f"{PREFIX}/{'x' * 33}/status")
    until(lambda: box.pump.counters.acknowledged == 23)
    assert [batch.value.tolist() for batch in taken] == [[1.2]]
    assert quarantine.count_by_reason() == {"not_json": 15, "bad_number": 5, "foreign_topic": 2}
    assert {row.topic for row in quarantine.list(2)} == {f"{PREFIX}/WL 01/data", f"{PREFIX}/{'x' * 33}/status"}
    assert {row.client for row in quarantine.list(100)} == {"broker 127.0.0.1"}
    quarantine.close()


@pytest.mark.parametrize("topic", [DATA, STATUS])
def test_too_large_is_quarantined_with_its_length_and_acknowledged(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox], topic: str
) -> None:
    box = make_broker_box(Limits(packet_bytes=1_000), receive_maximum=1)
    box.failures["refuse"] = 2
    publish(mosquitto.port, [b"x" * 1_000_000, b"y" * 1_001, b"z" * 1_000], topic)
    until(lambda: box.pump.counters.acknowledged == 3)
    assert [(len(m.payload), why.reason, unread) for m, why, unread in box.refusals] == [
        (4_096, Reason.TOO_LARGE, 1_000_000),
        (1_001, Reason.TOO_LARGE, 1_001),
    ]
    assert (box.payloads or [payload for _, payload, _ in box.statuses]) == [b"z" * 1_000]
    assert box.broker.connected
    assert not box.pump.counters.closed


def test_qos_0_is_taken_and_never_acknowledged(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    """A PUBACK with packet id 0 makes the broker close the connection."""
    connection = broker_box.broker._connection
    publish(mosquitto.port, [b"a", b"b"], qos=0)
    until(lambda: len(broker_box.messages) == 2)
    publish(mosquitto.port, [b"c"])
    until(lambda: broker_box.pump.counters.acknowledged == 1)
    assert broker_box.payloads == [b"a", b"b", b"c"]
    assert broker_box.broker._connection is connection


def test_qos_2_of_a_device_comes_as_qos_1(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    subprocess.run(["mosquitto_pub", "-p", str(mosquitto.port), "-t", DATA, "-q", "2", "-m", "x"], check=True)
    until(lambda: broker_box.pump.counters.acknowledged == 1)
    assert broker_box.payloads == [b"x"]
