"""ChirpStack."""

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.message import Reason
from sensors.stations import Metric
from tests.builders import thorough
from tests.ingest.lorawan import EUI, HEARD_US, chirpstack, device, run, source, values

LEVEL = bytes.fromhex("01755f 03821a0b")
"""EM500-UDL: 95 %, 2.842 m."""
REGISTERED = source("chirpstack", device("chirpstack", "EM500-UDL"))
UNNAMED = source("chirpstack", device("chirpstack"))


def with_names(**names: Metric) -> Any:
    return source("chirpstack", device("chirpstack", "OTHER-1", names))


def test_an_uplink_without_a_decoded_object_is_read_from_its_bytes() -> None:
    rows, refused = run(chirpstack(LEVEL), REGISTERED)
    assert refused == []
    assert values(rows) == {"battery_pct": 95.0, "distance_m": 2.842}
    assert rows.time_us == [HEARD_US] * 2
    assert rows.station == ["WL-01"] * 2


def test_the_bytes_are_the_truth_where_an_object_says_something_else() -> None:
    rows, refused = run(chirpstack(LEVEL, object={"distance_m": 9.9, "distance": 1}), REGISTERED)
    assert refused == []
    assert values(rows)["distance_m"] == 2.842


def test_an_object_that_cannot_be_read_does_not_spoil_the_bytes() -> None:
    raw = json.dumps(chirpstack(LEVEL)).encode()
    rows, refused = run(raw[:-1] + b', "object": {"a": 1e999, "b": ' + b"9" * 5000 + b"}}", REGISTERED)
    assert (refused, values(rows)["distance_m"]) == ([], 2.842)


def test_a_name_of_the_registry_changes_whose_reading_it_is_and_not_its_value() -> None:
    names = {"distance_m": Metric(reading="distance_m@upstream", unit="mm")}
    rows, refused = run(chirpstack(LEVEL), source("chirpstack", device("chirpstack", "em500-udl", names)))
    assert (refused, values(rows)) == ([], {"battery_pct": 95.0, "distance_m@upstream": 2.842})


@pytest.mark.parametrize(
    ("changes", "time_us"),
    [
        ({"time": "2026-11-22T13:50:00.123456789+07:00"}, HEARD_US),
        (
            {"time": None, "rxInfo": [{"nsTime": "2026-11-22T06:50:01Z", "gwTime": "2026-11-22T06:50:02Z"}]},
            1_795_330_201_000_000,
        ),
        ({"time": "1970-01-01T00:01:00Z", "rxInfo": [{}, {"nsTime": "2026-11-22T06:50:01Z"}]}, 1_795_330_201_000_000),
        ({"time": "0001-01-01T00:00:00Z", "rxInfo": [{"gwTime": "2026-11-22T06:50:02Z"}]}, 1_795_330_202_000_000),
        ({"time": "2026-11-22T06:50:00", "rxInfo": [{"time": "2026-11-22T06:50:03Z"}]}, 1_795_330_203_000_000),
        ({"time": "2027-03-01T00:00:00Z", "rxInfo": [{}, {"nsTime": "2026-11-22T06:50:04Z"}]}, 1_795_330_204_000_000),
        ({"time": "2026-11-22T06:50:05Z", "rxInfo": [{"nsTime": "2026-11-22T06:50:06Z"}]}, 1_795_330_205_000_000),
    ],
)
def test_a_reading_is_of_when_the_frame_was_heard(changes: dict[str, Any], time_us: int) -> None:
    rows, refused = run(chirpstack(LEVEL, **changes), REGISTERED)
    assert (refused, set(rows.time_us)) == ([], {time_us})


@pytest.mark.parametrize(
    "time", [None, "", "now", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
)
def test_without_a_time_of_reception_nothing_is_guessed(time: str | None) -> None:
    rows, (refusal,) = run(chirpstack(LEVEL, time=time), REGISTERED)
    assert rows.name == []
    assert refusal.reason is Reason.BAD_TIME
    assert refusal.detail.startswith("2 readings")


def test_history_needs_no_time_of_reception() -> None:
    frame = LEVEL + b"\x20\xce" + (1_795_320_000).to_bytes(4, "little") + b"\xe8\x03"
    rows, (refusal,) = run(chirpstack(frame, time=None), REGISTERED)
    assert (rows.name, rows.value, rows.time_us) == (["distance_m"], [1.0], [1_795_320_000_000_000])
    assert refusal.reason is Reason.BAD_TIME


def test_a_message_of_another_device_than_its_topic_is_refused() -> None:
    other = {"devEui": "ffffffffffffffff"}
    rows, (refusal,) = run(chirpstack(LEVEL, deviceInfo=other), REGISTERED)
    assert rows.name == []
    assert refusal.reason is Reason.WRONG_SHAPE
    assert EUI in refusal.detail
    assert "ffffffffffffffff" in refusal.detail


def test_capital_letters_are_the_same_device() -> None:
    held = source("chirpstack", device("chirpstack", "EM500-UDL"), id="aabbccddeeff0011")
    rows, refused = run(chirpstack(LEVEL, deviceInfo={"devEui": "AABBCCDDEEFF0011"}), held)
    assert (refused, len(rows.name)) == ([], 2)


@pytest.mark.parametrize(
    "info",
    [
        {"devEui": EUI, "deviceProfileName": "Milesight EM500-UDL"},
        {"devEui": EUI, "tags": {"model": "em500-udl"}},
    ],
)
def test_a_model_that_the_network_server_names_is_recognised(info: dict[str, Any]) -> None:
    rows, refused = run(chirpstack(LEVEL, deviceInfo=info), source("chirpstack"))
    assert (refused, values(rows)["distance_m"]) == ([], 2.842)
    assert rows.station == [EUI] * 2


def test_what_the_registry_says_of_the_model_is_stronger() -> None:
    info = {"devEui": EUI, "deviceProfileName": "EM310-UDL", "tags": {"model": "EM500-SWL"}}
    rows, refused = run(chirpstack(LEVEL, deviceInfo=info), REGISTERED)
    assert (refused, values(rows)["distance_m"]) == ([], 2.842)


def test_a_device_of_which_nobody_said_what_it_is_is_refused_with_what_to_do() -> None:
    rows, (refusal,) = run(chirpstack(LEVEL), UNNAMED)
    assert rows.name == []
    assert refusal.reason is Reason.UNKNOWN_DEVICE
    assert "[station.device] model" in refusal.detail
    assert "EM500-UDL" in refusal.detail


def test_an_object_is_read_by_the_names_of_the_registry() -> None:
    held = with_names(
        **{
            "level.value": Metric(reading="distance_m", unit="cm"),
            "t": Metric(reading="temperature_c@box", unit="K"),
            "list.1": Metric(reading="rain_total_mm"),
            "dead": Metric(reading="depth_m"),
        }
    )
    fields = {
        "level": {"value": 231.4, "unit": "cm"},
        "t": 300.15,
        "list": [1, 2.5],
        "dead": None,
        "x": "y",
        "battery_v": 3.6,
    }
    rows, refused = run(chirpstack(LEVEL, object=fields), held)
    assert refused == []
    found = values(rows)
    assert math.isnan(found.pop("depth_m"))
    assert found == {"distance_m": 2.314, "temperature_c@box": 27.0, "rain_total_mm": 2.5, "battery_v": 3.6}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"d": "2.3"}, Reason.BAD_NUMBER),
        ({"d": True}, Reason.BAD_NUMBER),
        ({"c": 1.0}, Reason.UNKNOWN_UNIT),
        ({"illuminance": 4, "state": "on"}, Reason.UNKNOWN_DEVICE),
        ({"a": {"b": {"c": {"d": {"distance_m": 1}}}}}, Reason.UNKNOWN_DEVICE),
        ([1, 2], Reason.UNKNOWN_DEVICE),
        ("text", Reason.UNKNOWN_DEVICE),
        ({"many": list(range(2001))}, Reason.TOO_MANY),
    ],
)
def test_an_object_that_says_nothing_is_refused(fields: object, reason: Reason) -> None:
    held = with_names(d=Metric(reading="distance_m", unit="m"), c=Metric(reading="distance_m", unit="Cel"))
    rows, (refusal,) = run(chirpstack(LEVEL, object=fields), held)
    assert (rows.name, refusal.reason) == ([], reason)
    assert len(refusal.detail) < 600


def test_one_bad_field_does_not_lose_its_neighbours() -> None:
    rows, (refusal,) = run(chirpstack(None, object={"distance_m": "x", "battery_v": 3.6}), UNNAMED)
    assert (values(rows), refusal.reason) == ({"battery_v": 3.6}, Reason.BAD_NUMBER)


def test_two_fields_for_one_reading_are_not_two_readings() -> None:
    held = with_names(a=Metric(reading="distance_m"), b=Metric(reading="distance_m"))
    rows, (refusal,) = run(chirpstack(LEVEL, object={"a": 1, "b": 2}), held)
    assert (values(rows), refusal.reason) == ({"distance_m": 1.0}, Reason.WRONG_SHAPE)
    rows, refused = run(chirpstack(LEVEL, object={"a": 1, "b": 1}), held)
    assert (rows.value, refused) == ([1.0], [])


def test_a_frame_for_the_network_only_is_neither_reading_nor_refusal() -> None:
    rows, refused = run(chirpstack(None, fPort=None), REGISTERED)
    assert (rows.name, refused) == ([], [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": ""}, Reason.WRONG_SHAPE),
        ({"data": "===="}, Reason.WRONG_SHAPE),
        ({"data": "AXV!"}, Reason.WRONG_SHAPE),
        ({"data": "ก"}, Reason.WRONG_SHAPE),
        ({"data": base64.b64encode(bytes(243)).decode()}, Reason.WRONG_SHAPE),
        ({"data": 7}, Reason.WRONG_SHAPE),
        ({"fPort": "85"}, Reason.WRONG_SHAPE),
        ({"deviceInfo": None}, Reason.WRONG_SHAPE),
        ({"deviceInfo": {}}, Reason.WRONG_SHAPE),
        ({"deviceInfo": None, "devEUI": EUI}, Reason.WRONG_SHAPE),
        ({"deviceInfo": {"devEui": EUI, "tags": {"model": 3}}}, Reason.WRONG_SHAPE),
    ],
)
def test_what_is_no_uplink_is_refused_whole(changes: dict[str, Any], reason: Reason) -> None:
    rows, (refusal,) = run(chirpstack(LEVEL, **changes), REGISTERED)
    assert (rows.name, refusal.reason) == ([], reason)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b"\xff\xfe", Reason.NOT_JSON),
        (b'{"time": NaN}', Reason.NOT_JSON),
        (b"[" * 100_000, Reason.WRONG_SHAPE),
        (b'{"x": ' * 20_000, Reason.NOT_JSON),
        (b"[]", Reason.WRONG_SHAPE),
        (b"null", Reason.WRONG_SHAPE),
        (b"{}", Reason.WRONG_SHAPE),
        (b" " * 200_000, Reason.TOO_LARGE),
    ],
)
def test_what_is_no_message_is_refused(payload: bytes, reason: Reason) -> None:
    rows, (refusal,) = run(payload, REGISTERED)
    assert (rows.name, refusal.reason) == ([], reason)


@pytest.mark.parametrize("text", ["AXVfA4I_Cw", "AXVfA4I_Cw==", "AXVfA4I/Cw=="])
def test_base64_may_be_of_either_alphabet_and_without_padding(text: str) -> None:
    rows, refused = run(chirpstack(None, data=text), REGISTERED)
    assert (refused, values(rows)["distance_m"]) == ([], (0x0B3F) / 1000)


def test_version_3_is_read_where_a_gateway_says_the_time() -> None:
    event = {
        "devEUI": base64.b64encode(bytes.fromhex(EUI)).decode(),
        "deviceProfileName": "EM500-UDL",
        "fPort": 85,
        "data": base64.b64encode(LEVEL).decode(),
        "rxInfo": [{"gatewayID": "AwMDAwMDAwM=", "time": None}, {"time": "2026-11-22T06:50:00Z"}],
        "objectJSON": '{"distance": 3}',
    }
    rows, refused = run(event, source("chirpstack"))
    assert (refused, values(rows)) == ([], {"battery_pct": 95.0, "distance_m": 2.842})
    assert set(rows.time_us) == {1_795_330_200_000_000}


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)


@thorough(400)
@given(
    st.dictionaries(
        st.sampled_from(["time", "deviceInfo", "fPort", "data", "object", "rxInfo", "devEUI", "tags"]),
        json_values,
        max_size=3,
    )
)
def test_no_field_breaks_the_codec(changes: dict[str, Any]) -> None:
    rows, refused = run(chirpstack(LEVEL) | changes, REGISTERED)
    assert all(refusal.detail for refusal in refused)
    assert set(rows.time_us) <= {HEARD_US}
    assert rows.name or refused or changes.keys() & {"data", "object"}


@thorough(400)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 400))
def test_no_bytes_break_the_codec(noise: bytes, start: int, length: int) -> None:
    whole = json.dumps(chirpstack(LEVEL)).encode()
    rows, refused = run(whole[:start] + noise + whole[start + length :], REGISTERED)
    assert set(rows.name) <= {"battery_pct", "distance_m"}
    assert all(refusal.detail for refusal in refused)


@pytest.mark.parametrize("port", [200, 201, 202, 203, 224, 255])
def test_what_a_device_talks_of_with_the_network_is_no_measurement(port: int) -> None:
    clock_asks = bytes.fromhex("0175640375ff0a")  # would be a battery, and a frame that is not understood
    assert run(chirpstack(clock_asks, fPort=port), REGISTERED)[1] == []
    assert run(chirpstack(clock_asks, fPort=port), REGISTERED)[0].value == []
    rows, refused = run(chirpstack(clock_asks, fPort=port, object={"distance_m": 2.5}), REGISTERED)
    assert (values(rows), refused) == ({"distance_m": 2.5}, [])


@pytest.mark.parametrize("port", [199, 204, 223])
def test_other_ports_may_carry_what_is_measured(port: int) -> None:
    assert values(run(chirpstack(LEVEL, fPort=port), REGISTERED)[0])["distance_m"] == 2.842
