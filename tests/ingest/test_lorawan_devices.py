"""Device decoders: frames made here, byte by byte, from the layouts that the makers publish."""

import json
import math
import re
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import standard
from ingest.codecs.lorawan.frame import Reading
from ingest.codecs.lorawan.models import MODELS, mistakes, recognise
from ingest.codecs.lorawan.moment import EARLIEST_US
from ingest.message import Message, Reason, Rejection
from ingest.pipeline import assemble
from ingest.source import Sources
from ingest.topics import Topics
from sensors.quantities import QUANTITIES
from sensors.stations import Device, Metric, Sensor
from tests.builders import registry, station, thorough
from tests.ingest.lorawan import EUI, HEARD_US, NOW_US, chirpstack

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
PARAMETERS = {"resolution_mm": 0.2, "p_max_bar": 2.5}
JOINED = bytes.fromhex("ff0bff ff0101 ff166329c42503920003 ff090100 ff0a0101 ff0f00")
"""What a Milesight device says of itself when it joins."""


def run(model: str, frame: bytes, **parameters: float) -> tuple[list[Reading], list[Rejection]]:
    parts = list(MODELS[model].decode(frame, parameters or PARAMETERS))
    return [p for p in parts if isinstance(p, Reading)], [p for p in parts if isinstance(p, Rejection)]


def decentlab(flags: int, *words: int, version: int = 2) -> bytes:
    return struct.pack(f">BHH{len(words)}H", version, 0x1234, flags, *words)


def middle(*offsets: int) -> list[int]:
    """Seventeen words of a weather station that counts from the middle."""
    return [0x8000 + offset for offset in (*offsets, *[0] * (17 - len(offsets)))]


def only(model: str, frame: bytes) -> dict[str, float]:
    readings, refused = run(model, frame)
    assert refused == []
    assert all(reading.time_us is None for reading in readings)
    return {reading.name: reading.value for reading in readings}


@pytest.mark.parametrize(
    ("model", "frame", "expected"),
    [
        ("EM310-UDL", "01755f 03821a0b 040000", {"battery_pct": 95, "distance_m": 2.842}),
        (
            "EM400-UDL",
            "017550 03671801 04821a0b 050000",
            {"battery_pct": 80, "temperature_c": 28.0, "distance_m": 2.842},
        ),
        ("EM400-UDL", "0367f6ff", {"temperature_c": -1.0}),
        ("EM400-UDL", "84821a0b01", {"distance_m": 2.842}),
        ("EM400-UDL", "8367180101", {"temperature_c": 28.0}),
        ("EM500-UDL", "017564 0382e803", {"battery_pct": 100, "distance_m": 1.0}),
        ("EM500-SWL", "03772c01", {"depth_m": 3.0}),
        (
            "AM319",
            "0367ff00 046883 050001 06cb02 077da803 087d2500 097366270a7d0400 0b7d5b00 0c7d7800 0e0100",
            {"temperature_c": 25.5, "humidity_pct": 65.5, "pm2_5_ug_m3": 91, "pm10_ug_m3": 120},
        ),
        ("AM319", "08e62500 0d7d0100 0b7d0000", {"pm2_5_ug_m3": 0}),
    ],
)
def test_a_milesight_frame_becomes_readings(model: str, frame: str, expected: dict[str, float]) -> None:
    assert only(model, bytes.fromhex(frame)) == expected


@pytest.mark.parametrize("model", ["AM319", "EM310-UDL", "EM400-UDL", "EM500-SWL", "EM500-UDL"])
def test_a_device_that_joins_has_measured_nothing(model: str) -> None:
    assert only(model, JOINED) == {}


@pytest.mark.parametrize(
    ("model", "frame", "name"),
    [
        ("EM310-UDL", "0382ffff", "distance_m"),
        ("EM500-UDL", "0382fdff", "distance_m"),
        ("EM500-UDL", "03820080", "distance_m"),
        ("EM400-UDL", "0482ffff", "distance_m"),
        ("EM400-UDL", "0367fdff", "temperature_c"),
        ("EM400-UDL", "0367ffff", "temperature_c"),
        ("EM500-SWL", "0377ffff", "depth_m"),
        ("AM319", "0b7dffff", "pm2_5_ug_m3"),
        ("AM319", "0c7dfeff", "pm10_ug_m3"),
        ("AM319", "0468ff", "humidity_pct"),
        ("AM319", "0175ff", "battery_pct"),
    ],
)
def test_a_fault_code_of_milesight_is_a_measurement_that_gave_nothing(model: str, frame: str, name: str) -> None:
    (value,) = only(model, bytes.fromhex(frame)).values()
    assert math.isnan(value), name


@pytest.mark.parametrize(
    ("model", "record", "expected"),
    [
        ("EM500-UDL", struct.pack("<H", 1500), {"distance_m": 1.5}),
        ("EM500-SWL", struct.pack("<H", 250), {"depth_m": 2.5}),
        (
            "AM319",
            struct.pack("<hHBBHHHHHH", 255, 131, 1, 2, 600, 37, 10_086, 91, 120, 4),
            {"temperature_c": 25.5, "humidity_pct": 65.5, "pm2_5_ug_m3": 91.0, "pm10_ug_m3": 120.0},
        ),
    ],
)
def test_history_has_the_time_of_the_device(model: str, record: bytes, expected: dict[str, float]) -> None:
    times = (1_795_330_200, 1_795_330_800)
    frame = b"".join(b"\x20\xce" + struct.pack("<I", time) + record for time in times)
    readings, refused = run(model, b"\x01\x75\x40" + frame)
    assert refused == []
    assert readings[0] == Reading("battery_pct", 64.0)
    assert readings[1:] == [
        Reading(name, value, time * 1_000_000) for time in times for name, value in expected.items()
    ]


def test_history_of_a_clock_that_was_not_set_is_refused_and_its_neighbours_are_not() -> None:
    frame = b"\x20\xce" + struct.pack("<IH", 3600, 250) + b"\x03\x77\xfa\x00"
    readings, (refusal,) = run("EM500-SWL", frame)
    assert readings == [Reading("depth_m", 2.5)]
    assert refusal.reason is Reason.BAD_TIME
    assert "3600" in refusal.detail


@pytest.mark.parametrize("rest", ["", "03", "0382", "03821a", "0499aabb", "fe0201", "83e9000000000001"])
def test_what_milesight_does_not_explain_ends_the_frame_and_what_stood_before_it_is_kept(rest: str) -> None:
    readings, refused = run("EM500-UDL", bytes.fromhex("01755f" + rest))
    assert readings == [Reading("battery_pct", 95.0)]
    assert [refusal.reason for refusal in refused] == ([Reason.UNKNOWN_DEVICE] if rest else [])


@pytest.mark.parametrize(
    ("model", "frame", "expected"),
    [
        ("DL-MBX", decentlab(3, 2842, 15, 3012), {"distance_m": 2.842, "battery_v": 3.012}),
        ("DL-MBX", decentlab(2, 3012), {"battery_v": 3.012}),
        (
            "DL-TBRG",
            decentlab(3, 4, 600, 0x409A, 1, 3012),
            {"rain_mm": 0.8, "rain_total_mm": 16414.8, "battery_v": 3.012},
        ),
        ("DL-TBRG", decentlab(1, 0, 600, 0xFFFF, 0), {"rain_mm": 0.0, "rain_total_mm": 13107.0}),
        (
            "DL-ATM41",
            decentlab(3, *middle(800, 1017, 0, 0, 350, 1234, 700, 281, 250, 9590, 655), 3012),
            {"rain_mm": 1.017, "wind_m_s": 3.5, "temperature_c": 28.1, "humidity_pct": 65.5, "battery_v": 3.012},
        ),
        (
            "DL-PM",
            decentlab(3, 3012, 412, 655, 700, 731, 501, 1, 2, 3, 4, 5),
            {"battery_v": 3.012, "pm1_ug_m3": 41.2, "pm2_5_ug_m3": 65.5, "pm10_ug_m3": 73.1},
        ),
        ("DL-PM", decentlab(9, 3012, 48_000), {"battery_v": 3.012}),
    ],
)
def test_a_decentlab_frame_becomes_readings(model: str, frame: bytes, expected: dict[str, float]) -> None:
    assert only(model, frame) == expected


def test_air_is_counted_as_the_probe_of_the_dust_instrument_does() -> None:
    air = only("DL-PM", decentlab(4, 0x6666, 0x8000))
    assert air["temperature_c"] == pytest.approx(175.72 * 0.4 - 46.85, abs=0.01)
    assert air["humidity_pct"] == 56.5


def test_pressure_becomes_depth_of_fresh_water() -> None:
    readings = only("DL-PR26", decentlab(1, 16_384 + 16_384, 384 + 320 * 77))
    assert readings["depth_m"] == pytest.approx(0.5 * 2.5 * 10.19716, abs=1e-4)
    assert readings["temperature_c@water"] == 27.0


@pytest.mark.parametrize(
    ("model", "frame", "names"),
    [
        ("DL-MBX", decentlab(1, 2842, 0), {"distance_m"}),
        ("DL-MBX", decentlab(1, 5000, 15), {"distance_m"}),
        ("DL-MBX", decentlab(1, 9999, 15), {"distance_m"}),
        ("DL-MBX", decentlab(1, 0xFFFF, 0xFFFF), {"distance_m"}),
        ("DL-MBX", decentlab(2, 0xFFFF), {"battery_v"}),
        ("DL-PR26", decentlab(1, 0xFFFF, 0xFFFF), {"depth_m", "temperature_c@water"}),
        ("DL-PR26", decentlab(1, 0, 25_000), {"depth_m"}),
        ("DL-TBRG", decentlab(1, 0xFFFF, 600, 0xFFFF, 0xFFFF), {"rain_mm", "rain_total_mm"}),
        ("DL-ATM41", decentlab(1, *[0xFFFF] * 17), {"rain_mm", "wind_m_s", "temperature_c", "humidity_pct"}),
        ("DL-ATM41", decentlab(1, *[0] * 17), {"rain_mm", "wind_m_s", "temperature_c", "humidity_pct"}),
        ("DL-ATM41", decentlab(1, *middle(0, -9999)), {"rain_mm"}),
        ("DL-PM", decentlab(2, *[0xFFFF] * 10), {"pm1_ug_m3", "pm2_5_ug_m3", "pm10_ug_m3"}),
        ("DL-PM", decentlab(4, 0xFFFF, 0xFFFF), {"temperature_c", "humidity_pct"}),
    ],
)
def test_a_fault_of_decentlab_is_a_measurement_that_gave_nothing(model: str, frame: bytes, names: set[str]) -> None:
    assert {name for name, value in only(model, frame).items() if math.isnan(value)} == names


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x02\x12\x34\x00",
        decentlab(0),
        decentlab(3, 1000, 1),
        decentlab(3, 1000, 1, 3000, 0),
        decentlab(3, 1000, 1, 3000) + b"\x00",
        decentlab(3, 1000, 1, 3000, version=1),
        decentlab(7, 1000, 1, 3000, 9),
        decentlab(0x8003, 1000, 1, 3000),
    ],
)
def test_a_decentlab_frame_is_understood_whole_or_not_at_all(frame: bytes) -> None:
    readings, (refusal,) = run("DL-MBX", frame)
    assert readings == []
    assert refusal.reason is Reason.UNKNOWN_DEVICE
    assert "model" in refusal.detail


@pytest.mark.parametrize("said", [{}, {"resolution_mm": 0.0}, {"resolution_mm": math.nan}, {"resolution_mm": math.inf}])
def test_a_tip_that_nobody_measured_is_no_rain(said: dict[str, float]) -> None:
    parts = list(MODELS["DL-TBRG"].decode(decentlab(3, 4, 600, 9, 0, 3012), said))
    assert parts[1:] == [Reading("battery_v", 3.012)]
    assert isinstance(parts[0], Rejection)
    assert "resolution_mm" in parts[0].detail


def test_a_pressure_range_that_nobody_read_is_no_depth() -> None:
    parts = list(MODELS["DL-PR26"].decode(decentlab(1, 20_000, 384 + 320 * 77), {}))
    assert isinstance(parts[0], Rejection)
    assert "p_max_bar" in parts[0].detail
    assert parts[1:] == [Reading("temperature_c@water", 27.0)]


@pytest.mark.parametrize("model", MODELS)
def test_no_frame_breaks_a_decoder_or_becomes_an_impossible_number(model: str) -> None:
    records = [
        b"\x01\x75",
        b"\x03\x82",
        b"\x03\x67",
        b"\x03\x77",
        b"\x20\xce",
        b"\x0b\x7d",
        b"\xff\x0b",
        b"\x02\x12\x34\x00\x03",
    ]
    bytes_ = st.one_of(
        st.binary(max_size=60), st.lists(st.one_of(st.sampled_from(records), st.binary(max_size=8))).map(b"".join)
    )

    @thorough(300)
    @given(bytes_)
    def check(frame: bytes) -> None:
        readings, refused = run(model, frame)
        for name, value, time_us in readings:
            assert name.partition("@")[0] in QUANTITIES
            assert math.isnan(value) or abs(value) < 1e9
            if not name.startswith(("temperature", "humidity", "depth")):
                assert math.isnan(value) or value >= 0
            assert time_us is None or EARLIEST_US <= time_us < 2**32 * 1_000_000
        assert all(refusal.detail for refusal in refused)
        assert len(refused) <= 1 + len(frame) // 8

    check()


@thorough(200)
@given(st.integers(1, 9_998).filter(lambda mm: mm != 5_000), st.integers(0, 1_000_000), st.integers(0, 2_000))
def test_what_an_instrument_counted_comes_back(mm: int, tips: int, tenths: int) -> None:
    assert only("EM500-UDL", b"\x03\x82" + struct.pack("<H", mm)) == {"distance_m": mm / 1000}
    assert only("DL-MBX", decentlab(1, mm, 3)) == {"distance_m": mm / 1000}
    rain = only("DL-TBRG", decentlab(1, 7, 600, tips & 0xFFFF, tips >> 16))
    assert rain == {"rain_mm": 1.4, "rain_total_mm": tips * 2 / 10}
    assert only("DL-PM", decentlab(2, tenths, *[0] * 9))["pm1_ug_m3"] == tenths / 10


@pytest.mark.parametrize("model", ["EM500-UDL", "DL-MBX", "DL-PM", "DL-TBRG", "AM319", "EM500-SWL"])
def test_a_frame_that_is_cut_off_never_becomes_another_number(model: str) -> None:
    whole = {
        "EM500-UDL": bytes.fromhex("01755f 03821a0b") + b"\x20\xce" + struct.pack("<IH", 1_795_330_200, 1500),
        "EM500-SWL": bytes.fromhex("01755f 03772c01") + b"\x20\xce" + struct.pack("<IH", 1_795_330_200, 1500),
        "AM319": bytes.fromhex("0367ff00 046883 0b7d5b00 0c7d7800"),
        "DL-MBX": decentlab(3, 2842, 15, 3012),
        "DL-PM": decentlab(7, 3012, 412, 655, 700, 731, 501, 1, 2, 3, 4, 5, 26_000, 30_000),
        "DL-TBRG": decentlab(3, 4, 600, 9, 0, 3012),
    }[model]
    expected, refused = run(model, whole)
    assert refused == []
    for length in range(1, len(whole)):
        readings, refused = run(model, whole[:length])
        assert readings == expected[: len(readings)]
        assert refused or len(readings) < len(expected)


@pytest.mark.parametrize(
    ("texts", "model"),
    [
        (["EM500-UDL"], "EM500-UDL"),
        (["Milesight em500-udl (AS923)"], "EM500-UDL"),
        (["", "dl-tbrg"], "DL-TBRG"),
        (["DL-PM", "Decentlab DL-PM"], "DL-PM"),
        (["DL-PM2"], ""),
        (["XDL-PM"], ""),
        (["AM319-O3"], ""),
        (["EM500-UDL or EM500-SWL"], ""),
        (["EM500-UDL", "EM500-SWL"], ""),
        (["EM300-TH"], ""),
        ([], ""),
    ],
)
def test_a_model_is_recognised_only_where_one_is_named(texts: list[str], model: str) -> None:
    assert recognise(texts) == model


def registered(model: str, names: dict[str, Metric] | None = None, **parameters: float) -> list[str]:
    held = Device(via="chirpstack", id="0011223344556677", model=model, names=names or {}, parameters=parameters)
    return [found for found, _ in mistakes(held)]


def test_a_device_that_could_not_be_understood_is_a_mistake_of_the_configuration() -> None:
    assert registered("") == registered("em500-udl") == registered("DL-TBRG", resolution_mm=0.2) == []
    assert registered("OTHER-1", {"d": Metric(reading="distance_m")}) == []
    assert "EM300-TH" in registered("EM300-TH")[0]
    assert registered("DL-TBRG") == ["parameters.resolution_mm is missing"]
    assert registered("DL-PR26", p_max_bar=-1.0) == ["parameters.p_max_bar is -1"]
    assert registered("DL-MBX", resolution_mm=0.2) == ["parameters.resolution_mm means nothing to DL-MBX"]


def test_an_uplink_on_the_topic_of_a_registered_device_becomes_readings_of_its_station() -> None:
    names = ("distance_m", "battery_pct")
    at = station("WL-01", *[Sensor(quantity=name) for name in names])
    at = msgspec.structs.replace(at, device=Device(via="chirpstack", id=EUI.upper(), model="EM500-UDL"))
    held = registry(at)
    topic = f"application/5/device/{EUI}/event/up"
    frame = json.dumps(chirpstack(bytes.fromhex("01755f 03821a0b"))).encode()
    messages = [Message(topic=topic, payload=frame, received_us=NOW_US, client="broker")]
    batch, refused = assemble(
        messages, sources=Sources.of(Topics("takean/v1"), held), codecs=standard(), index=held.index
    )
    assert refused == []
    assert [
        (held.series[i].key, value) for i, value in zip(batch.series.tolist(), batch.value.tolist(), strict=True)
    ] == [
        ("WL-01/battery_pct", 95.0),
        ("WL-01/distance_m", 2.842),
    ]
    assert batch.time_us.tolist() == [HEARD_US] * 2
    assert batch.received_us.tolist() == [NOW_US] * 2


def test_the_page_lists_every_model_with_its_readings_and_parameters() -> None:
    rows = re.findall(r"^\| (?:Decentlab|Milesight) (.+?) \| (.+?) \| .+? \|(.*)\|$", PAGE, re.MULTILINE)
    said = {
        model: (set(re.findall(r"`(\w+(?:@\w+)?)`", readings)), set(re.findall(r"`(\w+)`", parameters)))
        for models, readings, parameters in rows
        for model in re.findall(r"`([A-Z0-9-]+)`", models)
    }
    assert said.keys() == MODELS.keys()
    assert {model: parameters for model, (_, parameters) in said.items()} == {
        name: set(model.parameters) for name, model in MODELS.items()
    }
    assert {name.partition("@")[0] for readings, _ in said.values() for name in readings} <= QUANTITIES.keys()
