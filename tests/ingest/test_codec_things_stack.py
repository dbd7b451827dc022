"""The Things Stack."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.lorawan.models import mistakes
from ingest.message import Reason
from ingest.source import Sources
from ingest.topics import Topics
from sensors.stations import Device, Metric
from tests.builders import thorough
from tests.ingest.lorawan import DEVICE_ID, HEARD_US, OWN_ID, device, run, source, things_stack, values

RAIN = bytes.fromhex("02 1234 0003 0004 0258 0009 0001 0bc4")
"""DL-TBRG: 4 tips, 65,545 tips in all, 3.012 V."""
PARAMETERS = {"resolution_mm": 0.2}
REGISTERED = source("things_stack", device("things_stack", "DL-TBRG", parameters=PARAMETERS))
EXPECTED = {"rain_mm": 0.8, "rain_total_mm": 13109.0, "battery_v": 3.012}


@pytest.mark.parametrize("port", [None, 0, 1])
def test_an_uplink_without_what_is_zero_is_read(port: int | None) -> None:
    rows, refused = run(things_stack(RAIN, f_port=port, f_cnt=None), REGISTERED)
    assert refused == []
    assert values(rows) == EXPECTED
    assert set(rows.time_us) == {HEARD_US}
    assert set(rows.station) == {"WL-01"}


def test_the_bytes_are_the_truth_where_a_decoded_payload_says_something_else() -> None:
    rows, refused = run(things_stack(RAIN, decoded_payload={"rain_mm": 7}), REGISTERED)
    assert (refused, values(rows)) == ([], EXPECTED)


@pytest.mark.parametrize(
    ("changes", "outside", "time_us"),
    [
        ({}, {}, HEARD_US),
        ({"received_at": None}, {}, 1_795_330_200_000_000),
        (
            {"received_at": "0001-01-01T00:00:00Z", "settings": {"time": "2026-11-22T06:49:59.25Z"}},
            {},
            1_795_330_199_250_000,
        ),
        ({"received_at": None, "settings": None}, {}, 1_795_330_200_500_000),
        ({"received_at": None, "settings": {}}, {}, 1_795_330_200_500_000),
    ],
)
def test_a_reading_is_of_when_the_network_heard_the_frame(
    changes: dict[str, Any], outside: dict[str, Any], time_us: int
) -> None:
    rows, refused = run(things_stack(RAIN, outside=outside, **changes), REGISTERED)
    assert (refused, set(rows.time_us)) == ([], {time_us})


def test_without_a_time_of_reception_nothing_is_guessed() -> None:
    payload = things_stack(RAIN, outside={"received_at": None}, received_at=None, settings=None)
    rows, (refusal,) = run(payload, REGISTERED)
    assert (rows.name, refusal.reason) == ([], Reason.BAD_TIME)


def test_a_simulated_uplink_never_becomes_a_reading() -> None:
    rows, (refusal,) = run(things_stack(RAIN, outside={"simulated": True}), REGISTERED)
    assert (rows.name, refusal.reason) == ([], Reason.SIMULATED)
    rows, refused = run(things_stack(RAIN, outside={"simulated": False}), REGISTERED)
    assert (refused, values(rows)) == ([], EXPECTED)


def test_a_message_of_another_device_than_its_topic_is_refused() -> None:
    rows, (refusal,) = run(things_stack(RAIN, outside={"end_device_ids": {"device_id": "other"}}), REGISTERED)
    assert (rows.name, refusal.reason) == ([], Reason.WRONG_SHAPE)
    assert "other" in refusal.detail
    assert DEVICE_ID in refusal.detail


def test_an_entry_of_the_device_repository_names_the_model() -> None:
    rows, refused = run(
        things_stack(bytes.fromhex("03821a0b"), version_ids={"brand_id": "milesight-iot", "model_id": "em500-udl"}),
        source("things_stack"),
    )
    assert (refused, values(rows), rows.station) == ([], {"distance_m": 2.842}, [OWN_ID])


@pytest.mark.parametrize(
    "version", [None, {}, {"model_id": "em500-udl"}, {"brand_id": "other", "model_id": "em500-udl"}]
)
def test_a_device_of_which_nobody_said_what_it_is_is_refused_with_what_to_do(version: object) -> None:
    rows, (refusal,) = run(things_stack(bytes.fromhex("03821a0b"), version_ids=version), source("things_stack"))
    assert (rows.name, refusal.reason) == ([], Reason.UNKNOWN_DEVICE)
    assert "[station.device] model" in refusal.detail


def test_a_decoded_payload_is_read_by_the_names_of_the_registry() -> None:
    names = {"distance.value": Metric(reading="distance_m", unit="mm")}
    held = source("things_stack", device("things_stack", names=names))
    fields = {"distance": {"displayName": "Distance", "unit": "mm", "value": 1234}, "humidity_pct": 61}
    rows, refused = run(things_stack(b"\x01\x02", decoded_payload=fields), held)
    assert (refused, values(rows)) == ([], {"distance_m": 1.234, "humidity_pct": 61.0})


def test_a_decoded_payload_without_bytes_is_read_although_the_model_is_known() -> None:
    rows, refused = run(things_stack(None, decoded_payload={"rain_mm": 0, "battery_v": 3.1}), REGISTERED)
    assert (refused, values(rows)) == ([], {"rain_mm": 0.0, "battery_v": 3.1})


def test_a_frame_for_the_network_only_is_neither_reading_nor_refusal() -> None:
    assert run(things_stack(None), REGISTERED)[1] == []
    _, (refusal,) = run(things_stack(None, f_port=3), REGISTERED)
    assert refusal.reason is Reason.WRONG_SHAPE


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"end_device_ids": {"device_id": DEVICE_ID}},
        {"end_device_ids": {"device_id": DEVICE_ID}, "join_accept": {"received_at": "2026-11-22T06:50:00Z"}},
        {"end_device_ids": {}, "uplink_message": {}},
        {"end_device_ids": {"device_id": DEVICE_ID}, "uplink_message": []},
        {"name": "as.up.data.forward", "data": things_stack(RAIN)},
        [],
        7,
    ],
)
def test_what_is_no_uplink_is_refused(payload: object) -> None:
    rows, (refusal,) = run(payload, REGISTERED)
    assert (rows.name, refusal.reason) == ([], Reason.WRONG_SHAPE)
    assert "The Things Stack" in refusal.detail


@pytest.mark.parametrize(
    ("payload", "reason"), [(b"", Reason.NOT_JSON), (b"\xff", Reason.NOT_JSON), (b" " * 200_000, Reason.TOO_LARGE)]
)
def test_what_is_no_message_is_refused(payload: bytes, reason: Reason) -> None:
    rows, (refusal,) = run(payload, REGISTERED)
    assert (rows.name, refusal.reason) == ([], reason)


@thorough(400)
@given(st.binary(max_size=200), st.integers(0, 500), st.integers(0, 500))
def test_no_bytes_break_the_codec(noise: bytes, start: int, length: int) -> None:
    whole = json.dumps(things_stack(RAIN, decoded_payload={"rain_mm": 1})).encode()
    rows, refused = run(whole[:start] + noise + whole[start + length :], REGISTERED)
    assert set(rows.name) <= EXPECTED.keys()
    assert all(refusal.detail for refusal in refused)


def test_devices_of_one_id_in_two_applications_are_two_devices() -> None:
    held = device("things_stack", "DL-TBRG", parameters=PARAMETERS)
    sources = Sources(Topics("takean/v1"), {("things_stack", held.id): ("WL-01", held)})
    ours = sources.find(f"v3/flood@ttn/devices/{DEVICE_ID}/up")
    theirs = sources.find(f"v3/farm@ttn/devices/{DEVICE_ID}/up")
    assert ours is not None
    assert theirs is not None
    assert (ours.station, ours.is_registered) == ("WL-01", True)
    assert (theirs.id, theirs.is_registered) == (f"farm@ttn/{DEVICE_ID}", False)


def test_a_device_id_without_its_application_is_a_mistake_that_says_what_to_write() -> None:
    assert not list(mistakes(device("things_stack")))
    ((found, expected),) = mistakes(Device(via="things_stack", id=DEVICE_ID))
    assert DEVICE_ID in found
    assert expected.startswith("application@tenant/device id")
