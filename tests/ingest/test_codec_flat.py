"""Flat JSON."""

import json
import math

import pytest

from ingest.codecs import decode
from ingest.message import Reason, Rejection, Rows
from ingest.source import Format, Source

OWN = Source(format=Format.OWN, station="WL-01")
NOW_US = 1_795_330_260_000_000


def run(payload: bytes) -> tuple[Rows, list[Rejection]]:
    rows = Rows()
    refused = decode(payload, OWN, NOW_US, 0, rows)
    return rows, refused


def of(value: object) -> tuple[Rows, list[Rejection]]:
    return run(json.dumps(value).encode())


def test_the_example_of_the_wire_page_is_read() -> None:
    rows, refused = run(b'{"ts": 1795330200000, "seq": 412, "values": {"stage_m": 2.314, "battery_v": 3.91}}')
    assert refused == []
    assert rows.name == ["stage_m", "battery_v"]
    assert rows.value == [2.314, 3.91]
    assert rows.time_us == [1_795_330_200_000_000] * 2


def test_an_array_is_a_backlog() -> None:
    rows, refused = of([{"ts": at, "values": {"stage_m": at / 10}} for at in range(500)])
    assert refused == []
    assert rows.time_us == [at * 1000 for at in range(500)]


def test_null_is_a_measurement_that_gave_nothing() -> None:
    rows, refused = run(b'{"ts": 1, "values": {"stage_m": null, "rain_mm": 0}}')
    assert refused == []
    assert math.isnan(rows.value[0])
    assert rows.value[1] == 0.0


@pytest.mark.parametrize(
    "bad", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b'"2.3"', b"true", b"{}", b"[1]", b"9" * 400, b"9" * 5000]
)
def test_one_bad_value_does_not_lose_its_neighbours(bad: bytes) -> None:
    rows, (refusal,) = run(b'{"ts": 1, "values": {"stage_m": 2.3, "rain_mm": %s, "battery_v": null}}' % bad)
    assert rows.name == ["stage_m", "battery_v"]
    assert refusal.reason is Reason.BAD_NUMBER
    assert "rain_mm" in refusal.detail
    assert len(refusal.detail) < 200


def test_a_name_that_utf8_cannot_say_does_not_lose_its_neighbours() -> None:
    rows, (refusal,) = run(b'{"ts": 1, "values": {"\\ud800": 1, "stage_m": 2}}')
    assert rows.name == ["stage_m"]
    assert refusal.reason is Reason.UNKNOWN_NAME


@pytest.mark.parametrize(
    "ts",
    [
        None,
        "1795330200000",
        "",
        "2026-11-22",
        "22/13/2569 18:00",
        -1,
        9_223_372_036_855,
        10**30,
        1.5,
        True,
        [1],
        float("nan"),
    ],
)
def test_a_time_that_is_none_is_refused(ts: object) -> None:
    rows, (refusal,) = of({"ts": ts, "values": {"stage_m": 1}})
    assert refusal.reason is Reason.BAD_TIME
    assert not rows.value


def test_a_missing_time_is_refused() -> None:
    _, (refusal,) = of({"values": {"stage_m": 1}})
    assert refusal.reason is Reason.BAD_TIME


@pytest.mark.parametrize("ts", [0, 9_223_372_036_854])
def test_the_first_and_the_last_time_are_taken(ts: int) -> None:
    rows, refused = of({"ts": ts, "values": {"stage_m": 1}})
    assert (rows.time_us, refused) == ([ts * 1000], [])


def test_a_whole_number_may_be_written_with_a_point() -> None:
    rows, refused = run(b'{"ts": 1795330200000.0, "values": {"stage_m": 1}}')
    assert (rows.time_us, refused) == ([1_795_330_200_000_000], [])


@pytest.mark.parametrize("values", [None, {}, [], 5, "stage_m"])
def test_an_object_without_values_is_of_no_known_form(values: object) -> None:
    rows, (refusal,) = of({"ts": 1, "values": values})
    assert refusal.reason is Reason.WRONG_SHAPE
    assert not rows.value


def test_other_fields_are_ignored() -> None:
    rows, refused = of({"ts": 1, "values": {"stage_m": 1}, "fw": {"a": [1]}, "seq": "x", "n": "stage_m"})
    assert (rows.value, refused) == ([1.0], [])


def test_an_array_stays_flat_when_its_objects_have_fields_of_the_other_form() -> None:
    rows, (refusal,) = of([{"ts": 1, "n": 5, "values": {"stage_m": 1, "rain_mm": "x"}}])
    assert rows.value == [1.0]
    assert refusal.reason is Reason.BAD_NUMBER


def test_of_an_array_the_good_is_kept_and_each_bad_part_is_named() -> None:
    rows, refused = of(
        [
            {"ts": 1, "values": {"stage_m": 1}},
            {"ts": "x", "values": {"stage_m": 2}},
            7,
            {"ts": 3, "values": {"stage_m": 3, "rain_mm": "y"}},
            {"ts": 4},
        ]
    )
    assert rows.value == [1.0, 3.0]
    assert [refusal.reason for refusal in refused] == [
        Reason.BAD_TIME,
        Reason.WRONG_SHAPE,
        Reason.BAD_NUMBER,
        Reason.WRONG_SHAPE,
    ]
    assert [refusal.detail.split(":")[0] for refusal in refused] == ["object 1", "object 2", "object 3", "object 4"]


@pytest.mark.parametrize("spoil", [False, True], ids=["clean", "with a bad value"])
def test_more_readings_than_the_bound_are_refused_as_a_whole(spoil: bool) -> None:
    values: dict[str, object] = {f"q{i}": i for i in range(2001)}
    if spoil:
        values["q7"] = "x"
    rows, (refusal,) = of({"ts": 1, "values": values})
    assert refusal.reason is Reason.TOO_MANY
    assert not rows.value
    del values["q2000"]
    rows, _ = of({"ts": 1, "values": values})
    assert len(rows.value) == (1999 if spoil else 2000)


def test_more_objects_than_the_bound_are_refused_as_a_whole() -> None:
    rows, (refusal,) = of([{"ts": 1, "values": {"stage_m": 1}}] * 501)
    assert refusal.reason is Reason.TOO_MANY
    assert not rows.value


def test_space_before_the_payload_changes_nothing() -> None:
    assert run(b' \n[{"ts": 1, "values": {"stage_m": 1}}]')[0].value == [1.0]
    assert run(b' \n{"ts": 1, "values": {"stage_m": 1}}')[0].value == [1.0]


@pytest.mark.parametrize(
    "ts", ["2026-11-22T13:50:00+07:00", "2026-11-22T06:50:00.000Z", "2026-11-22 13:50:00", "22/11/2569 13:50"]
)
def test_a_time_may_be_text_and_without_a_zone_is_thai(ts: str) -> None:
    rows, refused = of([{"ts": ts, "values": {"stage_m": 1, "rain_mm": None}}, {"ts": 1, "values": {"stage_m": 2}}])
    assert refused == []
    assert rows.time_us == [1_795_330_200_000_000] * 2 + [1000]


def test_readings_without_a_time_are_of_now() -> None:
    rows, refused = of(
        {"stage_m": 2.314, "rain_mm@2": None, "rssi": -80, "fw": "1.4", "on": True, "seq": 7, "gps": [1]}
    )
    assert refused == []
    assert rows.name == ["stage_m", "rain_mm@2", "rssi"]
    assert rows.time_us == [NOW_US] * 3
    assert rows.value[0] == 2.314
    assert math.isnan(rows.value[1])


def test_of_readings_without_a_time_a_bad_one_is_refused_and_the_others_are_kept() -> None:
    rows, (refusal,) = of({"stage_m": "full", "battery_v": 3.91})
    assert (rows.name, rows.value) == (["battery_v"], [3.91])
    assert refusal.reason is Reason.BAD_NUMBER


@pytest.mark.parametrize(
    "told",
    [
        {"temperature": 3},
        {"level": 2.3, "seq": 4},
        {"ts": 1795330200000, "stage_m": 2.3},
        {"n": "stage_m", "v": 2.3},
        [{"stage_m": 2.3}],
        {"data": {"stage_m": 2.3}},
    ],
)
def test_an_object_that_might_be_something_else_is_refused(told: object) -> None:
    rows, (refusal,) = of(told)
    assert refusal.reason is Reason.WRONG_SHAPE
    assert not rows.value


def test_values_without_their_time_are_not_taken_for_readings_of_now() -> None:
    rows, (refusal,) = of({"stage_m": 2.3, "values": {"stage_m": 1}})
    assert refusal.reason is Reason.BAD_TIME
    assert not rows.value


def test_an_object_of_more_readings_than_the_bound_is_refused_as_a_whole() -> None:
    rows, (refusal,) = of({"stage_m": 1, **{f"x{i}": i for i in range(2000)}})
    assert refusal.reason is Reason.TOO_MANY
    assert not rows.value


@pytest.mark.parametrize(
    "name", ["time", "timestamp", "Timestamp", "TS", "date_time", "measured_at", "t", "unix_time", "created-at"]
)
def test_an_object_with_a_time_by_another_name_is_not_taken_for_now(name: str) -> None:
    rows, (refusal,) = of({"stage_m": 4.2, name: "2026-11-20T10:00:00Z"})
    assert not rows.value
    assert refusal.reason is Reason.BAD_TIME
    assert name in refusal.detail


@pytest.mark.parametrize("name", ["uptime", "uptime_s", "fw_date", "boot_time"])
def test_what_a_device_says_of_its_own_life_is_no_time_of_a_reading(name: str) -> None:
    rows, refused = of({"stage_m": 4.2, name: "2026-11-20T10:00:00Z"})
    assert (rows.value, refused) == ([4.2], [])
