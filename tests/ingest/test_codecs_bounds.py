"""One message, however it is made, costs little, makes few rows of quarantine, and says nothing for somebody else."""

import json
import math
import time
import tracemalloc
from collections.abc import Callable

import cbor2
import pytest

from ingest.codecs import standard
from ingest.codecs.bounds import PAYLOAD_BYTES_MAX
from ingest.message import Message, Reason
from ingest.pipeline import Refused, assemble
from ingest.source import Sources
from ingest.topics import Topics
from sensors.batch import ReadingBatch
from sensors.stations import Device, Metric
from tests.builders import T0_US

EUI = "a84041000181c061"
DUST = Device(via="chirpstack", id=EUI, names={"dust": Metric(reading="pm2_5_ug_m3", unit="mg/m3")})
OWN, UPLINK = "takean/v1/A/data", f"application/1/device/{EUI}/event/up"
INDEX = {("A", "stage_m"): 0, ("A", "pm2_5_ug_m3"): 1, ("wl-01", "stage_m"): 2, ("ffffffffffffffff", "stage_m"): 3}
SOURCES = Sources(Topics("takean/v1"), {("chirpstack", EUI): ("A", DUST)}, {"A", "wl-01", "ffffffffffffffff"})
LONG = "x" * 200_000


def uplink(**fields: object) -> bytes:
    return json.dumps({"deviceInfo": {"devEui": EUI}, "time": "2026-11-22T10:00:00Z", "fPort": 1} | fields).encode()


def read(payload: bytes, topic: str = OWN) -> tuple[ReadingBatch, list[Refused]]:
    return assemble([Message(topic, payload, T0_US, "c")], sources=SOURCES, codecs=standard(), index=INDEX)


def to_cbor(pack: list[dict[str, object]]) -> bytes:
    labels = {"bn": -2, "n": 0, "v": 2}
    return cbor2.dumps([{labels[key]: value for key, value in record.items()} for record in pack])


HOSTILE = {
    "a long base name": (OWN, json.dumps([{"bn": LONG}, *({"n": f"b{i}", "v": 1} for i in range(1900))]).encode()),
    "the same in CBOR": (OWN, cbor2.dumps([{-2: LONG}, *({0: f"b{i}", 2: 1} for i in range(1900))])),
    "a long base name, not clean": (OWN, json.dumps([{"bn": LONG}, *[{"n": "b", "v": 1, "z": 1}] * 1900]).encode()),
    "a long field of many": (UPLINK, uplink(object={"k" * 60_000: {f"n{i}": 1 for i in range(1990)}})),
    "the same that begins as ours": (
        UPLINK,
        uplink(object={f"stage_m@{LONG[:60_000]}": dict.fromkeys(map(str, range(1990)), 1)}),
    ),
    "a long name": (OWN, json.dumps({"ts": 1, "values": {LONG: 1}}).encode()),
    "bad records": (OWN, json.dumps([{"n": "stage_m", "vs": "high"}] * 2000).encode()),
    "bad values": (OWN, json.dumps({"ts": 1, "values": {f"n{i}": "high" for i in range(2000)}}).encode()),
    "bad fields": (UPLINK, uplink(object={f"stage_m@{i}": "high" for i in range(1999)})),
}


@pytest.mark.parametrize(("topic", "payload"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_message_costs_little_and_makes_a_row_for_each_reason(topic: str, payload: bytes) -> None:
    assert len(payload) <= PAYLOAD_BYTES_MAX
    began_s = time.process_time()
    batch, refused = read(payload, topic)
    spent_s = time.process_time() - began_s
    tracemalloc.start()
    read(payload, topic)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(batch) == 0
    assert refused
    assert len({rejection.reason for _, rejection in refused}) == len(refused)
    assert max(len(rejection.detail) for _, rejection in refused) < 1_500
    assert spent_s < 0.2
    assert peak < 20 * PAYLOAD_BYTES_MAX


def test_the_row_of_many_bad_records_says_how_many() -> None:
    _, ((_, rejection),) = read(HOSTILE["bad records"][1])
    assert rejection.reason is Reason.BAD_NUMBER
    assert rejection.detail.startswith("record 0: ")
    assert rejection.detail.endswith("; and 1995 more")


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (
            "application/1/device/ffffffffffffffff/event/up",
            uplink(deviceInfo={"devEui": "ffffffffffffffff"}, object={"stage_m": 9.9}),
        ),
        (
            "v3/app@ttn/devices/wl-01/up",
            json.dumps(
                {
                    "end_device_ids": {"device_id": "wl-01"},
                    "uplink_message": {"received_at": "2026-11-22T10:00:00Z", "decoded_payload": {"stage_m": 9.9}},
                }
            ).encode(),
        ),
    ],
    ids=["chirpstack", "things_stack"],
)
def test_a_stranger_called_like_a_station_says_nothing_for_it(topic: str, payload: bytes) -> None:
    batch, refused = read(payload, topic)
    assert len(batch) == 0
    assert [rejection.reason for _, rejection in refused] == [Reason.UNREGISTERED]


def test_what_is_infinite_in_our_unit_is_no_reading() -> None:
    batch, ((_, rejection),) = read(uplink(object={"dust": 1e308}), UPLINK)
    assert len(batch) == 0
    assert rejection.reason is Reason.BAD_NUMBER
    batch, _ = read(uplink(object={"dust": 0.012}), UPLINK)
    assert math.isclose(batch.value[0], 12.0)


def test_a_unit_that_is_null_does_not_stand_for_the_canonical_one() -> None:
    batch, ((_, rejection),) = read(b'[{"bu": "cm", "bn": "A/"}, {"n": "stage_m", "u": null, "v": 231.4}]')
    assert len(batch) == 0
    assert rejection.reason is Reason.UNKNOWN_UNIT


@pytest.mark.parametrize("write", [lambda pack: json.dumps(pack).encode(), to_cbor], ids=["json", "cbor"])
def test_a_base_name_that_is_too_long_is_refused_although_nobody_uses_it(
    write: Callable[[list[dict[str, object]]], bytes],
) -> None:
    pack: list[dict[str, object]] = [
        {"bn": "A/", "n": "stage_m", "v": 1},
        {"bn": "x" * 129},
        {"bn": "A/", "n": "stage_m", "v": 2},
    ]
    batch, ((_, rejection),) = read(write(pack))
    assert batch.value.tolist() == [1.0]
    assert rejection.reason is Reason.WRONG_SHAPE
