"""From messages to a batch: what is good goes on, what is bad is set aside with its reason."""

import json

import pytest

from ingest import codecs
from ingest.message import Message, Reason, Rejection, Rows
from ingest.pipeline import Pipeline, Refused, assemble
from ingest.source import Format, Source, Sources
from ingest.topics import Topics
from sensors.batch import ReadingBatch
from sensors.stations import Device
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


def test_what_a_network_device_measures_beside_is_no_refusal() -> None:
    def decode(payload: bytes, source: Source, received_us: int, index: int, rows: Rows) -> list[Rejection]:
        for name in payload.decode().split():
            rows.station.append(source.station)
            rows.name.append(name)
            rows.time_us.append(T0_US)
            rows.value.append(1.0)
            rows.message.append(index)
        return []

    device = Device(via="chirpstack", id="0011223344556677")
    sources = Sources(Topics("takean/v1"), {("chirpstack", device.id): ("A", device)}, REG.stations)
    topic = f"application/one/device/{device.id}/event/up"
    batch, refused = assemble(
        [message(b"stage_m battery_v", topic=topic), message(b"battery_v", topic=topic)],
        sources=sources,
        codecs={**CODECS, Format.CHIRPSTACK: decode},
        index=REG.index,
    )
    assert batch.value.tolist() == [1.0]
    assert [(why.reason, which.payload) for which, why in refused] == [(Reason.UNKNOWN_NAME, b"battery_v")]


def test_a_codec_that_fails_holds_up_nobody_else() -> None:
    def fails(payload: bytes, source: Source, received_us: int, index: int, rows: Rows) -> list[Rejection]:
        if payload == b"poison":
            rows.station.append("A")  # in the middle of a reading
            raise KeyError(payload)
        return codecs.decode(payload, source, received_us, index, rows)

    messages = [
        message([{"n": "stage_m", "v": 1.0}]),
        message(b"poison"),
        message([{"n": "stage_m", "v": 2.0}], topic="takean/v1/B/data"),
    ]
    batch, ((about, rejection),) = assemble(
        messages, sources=SOURCES, codecs=CODECS | {Format.OWN: fails}, index=REG.index
    )
    assert batch.value.tolist() == [1.0, 2.0]
    assert about is messages[1]
    assert "KeyError" in rejection.detail


def test_topics_of_any_length_are_read_and_long_ones_are_not_remembered() -> None:
    sources = Sources(Topics("takean/v1"), {})
    long = "application/" + "x" * 60_000 + "/device/0011223344556677/event/up"
    for number in range(20):
        source = sources.find(long.replace("xxxx", f"{number:04d}", 1))
        assert source is not None
        assert source.id == "0011223344556677"
        assert sources.find(f"{number}" + "y" * 60_000) is None
    assert sum(map(len, sources._known)) < 10_000
