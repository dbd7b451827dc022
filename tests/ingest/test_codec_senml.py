"""SenML JSON, RFC 8428."""

import json
from pathlib import Path

import pytest

from ingest.codecs import decode
from ingest.message import Reason, Rejection, Rows
from ingest.source import Format, Source

OWN = Source(format=Format.OWN, station="WL-01")
NOW_US = 1_795_330_260_000_000


def run(records: object, received_us: int = NOW_US) -> tuple[Rows, list[Rejection]]:
    rows = Rows()
    refused = decode(json.dumps(records).encode(), OWN, received_us, 0, rows)
    return rows, refused


def test_the_example_of_the_wire_page_is_read() -> None:
    rows, refused = run(
        [
            {"bn": "WL-01/", "bt": 1795330200, "n": "stage_m", "u": "m", "v": 2.314},
            {"n": "battery_v", "u": "V", "v": 3.91},
        ]
    )
    assert refused == []
    assert rows.name == ["stage_m", "battery_v"]
    assert rows.value == [2.314, 3.91]
    assert rows.time_us == [1_795_330_200_000_000] * 2


def test_base_fields_stay_until_they_are_changed() -> None:
    rows, refused = run(
        [
            {"bn": "WL-01/", "bt": 1795330200, "bu": "cm", "bv": 100},
            {"n": "stage_m", "v": 20},
            {"n": "stage_m", "t": 60, "v": 30},
            {"bt": 1795340000, "bv": 0, "n": "stage_m", "v": 40},
            {"n": "battery_v", "u": "mV", "v": 3910},
        ]
    )
    assert refused == []
    assert rows.value == [1.2, 1.3, 0.4, 3.91]
    assert [time_us // 1_000_000 for time_us in rows.time_us] == [1795330200, 1795330260, 1795340000, 1795340000]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ({"n": "stage_m"}, "stage_m"),
        ({"n": "WL-01/stage_m"}, "stage_m"),
        ({"bn": "WL-01/stage_m"}, "stage_m"),
        ({"bn": "WL-01/", "n": "stage_m@left"}, "stage_m@left"),
        ({"bn": "WL-02/", "n": "stage_m"}, "WL-02/stage_m"),
    ],
)
def test_names_are_of_the_station_or_bare(name: dict[str, str], expected: str) -> None:
    rows, refused = run([{**name, "v": 1}])
    assert (rows.name, refused) == ([expected], [])


def test_times_below_two_to_the_28_are_relative_to_arrival() -> None:
    rows, refused = run(
        [{"n": "stage_m", "v": 1}, {"n": "stage_m", "t": -300.5, "v": 2}, {"bt": -10, "n": "x", "v": 3}]
    )
    assert refused == []
    assert rows.time_us == [NOW_US, NOW_US - 300_500_000, NOW_US - 10_000_000]


def test_two_to_the_28_is_absolute() -> None:
    rows, _ = run([{"n": "stage_m", "t": 2**28, "v": 1}, {"n": "stage_m", "t": 2**28 - 1, "v": 1}])
    assert rows.time_us == [2**28 * 1_000_000, NOW_US + (2**28 - 1) * 1_000_000]


def test_a_fraction_of_a_second_is_exact_to_the_microsecond() -> None:
    rows, _ = run([{"bt": 1795330200.125, "n": "stage_m", "t": i / 1000, "v": 1} for i in range(100)])
    assert rows.time_us == [1_795_330_200_125_000 + i * 1000 for i in range(100)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": "stage_m", "vs": "high"}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "vb": True}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "vd": "aGkgCg"}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "s": 5}, Reason.BAD_NUMBER),
        ({"n": "stage_m"}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "v": None}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "v": "2"}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "v": True}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "v": float("nan")}, Reason.BAD_NUMBER),
        ({"n": "pm2_5_ug_m3", "u": "mg/m3", "v": 1e307}, Reason.BAD_NUMBER),
        ({"n": "stage_m", "v": 1, "t": "now"}, Reason.BAD_TIME),
        ({"n": "stage_m", "v": 1, "t": 1e300}, Reason.BAD_TIME),
        ({"n": "stage_m", "v": 1, "t": 9_223_372_037}, Reason.BAD_TIME),
        ({"n": "stage_m", "v": 1, "t": -1_795_330_261}, Reason.BAD_TIME),
        ({"n": "stage_m", "v": 1, "u": "ft"}, Reason.UNKNOWN_UNIT),
        ({"n": "stage_m", "v": 1, "u": "V"}, Reason.UNKNOWN_UNIT),
        ({"n": "stage_m", "v": 1, "u": 5}, Reason.UNKNOWN_UNIT),
        ({"n": 5, "v": 1}, Reason.WRONG_SHAPE),
        ({"v": 1}, Reason.UNKNOWN_NAME),
        (7, Reason.WRONG_SHAPE),
    ],
)
def test_a_bad_record_does_not_lose_its_neighbours(record: object, reason: Reason) -> None:
    rows, (refusal,) = run([{"n": "rain_mm", "v": 1}, record, {"n": "battery_v", "v": 2}])
    assert rows.name == ["rain_mm", "battery_v"]
    assert refusal.reason is reason
    assert refusal.detail.startswith("record 1: ")


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ({"bt": "x"}, Reason.BAD_TIME),
        ({"bv": "x"}, Reason.BAD_NUMBER),
        ({"bn": 5}, Reason.WRONG_SHAPE),
        ({"bu": 5}, Reason.UNKNOWN_UNIT),
        ({"bver": 11}, Reason.WRONG_SHAPE),
        ({"bver": "10"}, Reason.WRONG_SHAPE),
    ],
)
def test_a_bad_base_field_ends_the_pack(base: dict[str, object], reason: Reason) -> None:
    rows, (refusal,) = run([{"n": "rain_mm", "v": 1}, {**base, "n": "stage_m", "v": 2}, {"n": "battery_v", "v": 3}])
    assert rows.name == ["rain_mm"]
    assert refusal.reason is reason
    assert "the 1 after it" in refusal.detail


def test_a_field_that_must_be_understood_refuses_the_pack() -> None:
    rows, (refusal,) = run([{"n": "rain_mm", "v": 1}, {"n": "stage_m", "v": 2, "foo_": 1}])
    assert not rows.value
    assert refusal.reason is Reason.WRONG_SHAPE


def test_the_unit_of_an_unknown_quantity_is_left_to_who_knows_the_station() -> None:
    rows, refused = run([{"n": "conductivity", "u": "S/m", "v": 1.5}])
    assert (rows.name, rows.value, refused) == (["conductivity"], [1.5], [])


def test_the_unit_of_one_of_several_instruments_is_converted() -> None:
    rows, refused = run([{"n": "stage_m@left", "u": "cm", "v": 231.4}])
    assert (rows.value, refused) == ([2.314], [])


def test_more_records_than_the_bound_are_refused_as_a_whole() -> None:
    rows, (refusal,) = run([{"n": "stage_m", "v": 1}] * 2001)
    assert refusal.reason is Reason.TOO_MANY
    assert not rows.value
    assert len(run([{"n": "stage_m", "v": 1}] * 2000)[0].value) == 2000


@pytest.mark.parametrize("number", range(1, 13))
def test_the_examples_of_the_standard_resolve_as_the_standard_says(reference: Path, number: int) -> None:
    folder = reference / "data" / "iot" / "senml"
    pack = json.loads((folder / f"ex{number}.json").read_bytes())
    published = json.loads((folder / f"ex{number}.gen.resolved.json").read_bytes())
    resolved = [record for record in published if "v" in record]
    received_us = round(resolved[0]["t"] * 1e6)
    rows, refused = run(pack, received_us)
    assert rows.name == [record["n"] for record in resolved]
    assert rows.value == [record["v"] for record in resolved]
    assert [time_us / 1e6 for time_us in rows.time_us] == pytest.approx([record["t"] for record in resolved], abs=1e-3)
    assert len(refused) == sum("v" not in record and "n" in record for record in pack)
