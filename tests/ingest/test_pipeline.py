"""From messages to a batch: what is good goes on, what is bad is set aside with its reason."""

import json

import pytest

from ingest import codecs
from ingest.message import Message, Reason
from ingest.pipeline import Pipeline, Refused, assemble
from ingest.source import Sources
from ingest.topics import Topics
from sensors.batch import ReadingBatch
from tests.builders import T0_US, registry, station

REG = registry(station("A"), station("B"))
SOURCES = Sources.of(Topics("takean/v1"), REG)
CODECS = codecs.standard()
MS = T0_US // 1000


def message(payload: object, *, topic: str = "takean/v1/A/data", received_us: int = T0_US) -> Message:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic, raw, received_us, "client")


def test_readings_come_out_in_order_of_arrival() -> None:
    messages = [
        message({"ts": MS + 60_000, "values": {"stage_m": 1.2}}),
        message({"ts": MS, "values": {"stage_m": 1.1}}, topic="takean/v1/B/data", received_us=T0_US + 5),
    ]
    batch, refused = assemble(messages, sources=SOURCES, codecs=CODECS, index=REG.index)
    assert not refused
    assert batch.series.tolist() == [0, 1]
    assert batch.value.tolist() == [1.2, 1.1]
    assert batch.received_us.tolist() == [T0_US, T0_US + 5]


def test_the_good_half_of_a_pack_is_kept_and_the_bad_half_refused() -> None:
    pack = [{"ts": MS, "values": {"stage_m": 1.0, "speed": 3.0}}, {"ts": MS + 1000, "values": {"stage_m": "wet"}}]
    batch, refused = assemble([message(pack)], sources=SOURCES, codecs=CODECS, index=REG.index)
    assert batch.value.tolist() == [1.0]
    assert sorted(r.reason for _, r in refused) == [Reason.BAD_NUMBER, Reason.UNKNOWN_NAME]


def test_nothing_good_makes_an_empty_batch() -> None:
    batch, refused = assemble([message(b"{")], sources=SOURCES, codecs=CODECS, index=REG.index)
    assert len(batch) == 0
    assert [r.reason for _, r in refused] == [Reason.NOT_JSON]


def test_a_thousand_unknown_names_make_one_short_refusal() -> None:
    values = {f"{'x' * 200}{i}": 1.0 for i in range(1000)}
    _, refused = assemble([message({"ts": MS, "values": values})], sources=SOURCES, codecs=CODECS, index=REG.index)
    ((_, rejection),) = refused
    assert rejection.detail.startswith("1000 readings")
    assert len(rejection.detail) < 600


def test_readings_are_judged_although_refusals_cannot_be_kept() -> None:
    taken: list[ReadingBatch] = []

    def full(_: object) -> None:
        raise OSError("disk full")

    pipeline = Pipeline(sources=SOURCES, codecs=CODECS, index=REG.index, take=taken.append, refuse=full)
    with pytest.raises(OSError, match="disk full"):
        pipeline.process([message({"ts": MS, "values": {"stage_m": 1.0}}), message(b"?")])
    assert len(taken) == 1


def test_a_message_without_refusals_does_not_touch_the_quarantine() -> None:
    def never(_: list[Refused]) -> None:
        raise AssertionError

    Pipeline(sources=SOURCES, codecs=CODECS, index=REG.index, take=len, refuse=never).process(  # type: ignore[arg-type]
        [message({"ts": MS, "values": {"stage_m": None}})]
    )
