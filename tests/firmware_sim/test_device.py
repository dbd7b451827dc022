"""Instruments and devices: what goes on the wire, and that it does not depend on how it was made."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim import noise
from firmware_sim.device import (
    LAST_WILL,
    Clock,
    Device,
    Wire,
    birth,
    due_us,
    flat_json,
    install,
    payloads,
    powered,
    sample,
    senml_json,
)
from firmware_sim.instruments import TippingBucket, exact, usual
from firmware_sim.sites import Site
from firmware_sim.truth import Course, Truth, flash_flood
from tests.firmware_sim.world import AIR, BRIDGE, HILL, MINUTE_US, RAIN, SITES, START_US, UPPER, storm

TRUTH = storm()
DEVICES = {device.station: device for device in install(SITES, set_us=START_US, seed=1)}
END_US = TRUTH.end_us + 1


def steady(value: float, *, column: str = "stage_m", station: str = "S", minutes: int = 60) -> Truth:
    time_us = START_US + np.arange(minutes + 1, dtype=np.int64) * MINUTE_US
    values = np.full(len(time_us), value)
    return Truth(courses={(station, column): Course(time_us=time_us, value=values, gap_us=MINUTE_US)})


def device_of(site: Site, **changes: object) -> Device:
    (device,) = install([site], set_us=START_US, seed=1, clocks_true=True)
    return replace(device, **changes)  # type: ignore[arg-type]


PLAIN = Site(station="S", lat=15, lon=104, readings=("stage_m",), cadence_s=60, stream="s", river_km=5, bankfull_m=4)


def test_the_flat_form_is_the_example_of_the_wire_document() -> None:
    expected = b'{"ts": 1795330200000, "seq": 412, "values": {"stage_m": 2.314, "battery_v": 3.91}}'
    assert flat_json(1_795_330_200_000, 412, {"stage_m": 2.314, "battery_v": 3.91}) == expected


def test_the_senml_form_is_the_example_of_the_wire_document() -> None:
    expected = (
        b'[{"bn": "WL-01/", "bt": 1795330200, "n": "stage_m", "u": "m", "v": 2.314}, '
        b'{"n": "battery_v", "u": "V", "v": 3.91}]'
    )
    assert senml_json("WL-01", 1_795_330_200_000, {"stage_m": 2.314, "battery_v": 3.91}) == expected


def test_birth_and_last_will_are_those_of_the_wire_document() -> None:
    assert birth(device_of(PLAIN, boot=17)) == b'{"state": "online", "fw": "1.4.2", "boot": 17}'
    assert LAST_WILL == b'{"state": "offline"}'


def test_senml_keeps_the_milliseconds() -> None:
    (record,) = json.loads(senml_json("S", 1_795_330_200_123, {"stage_m@b": 1.5}))
    assert record == {"bn": "S/", "bt": 1_795_330_200.123, "n": "stage_m@b", "u": "m", "v": 1.5}


def test_the_same_seed_sends_the_same_bytes() -> None:
    def all_of(seed: int) -> list[bytes]:
        truth = storm(seed=seed)
        return [
            m.payload for d in install(SITES, set_us=START_US, seed=seed) for m in payloads(d, truth, START_US, END_US)
        ]

    assert all_of(5) == all_of(5)
    assert all_of(5) != all_of(6)


@given(
    steps=st.lists(st.integers(1, 40 * MINUTE_US), min_size=1, max_size=30), station=st.sampled_from(sorted(DEVICES))
)
@settings(derandomize=True, max_examples=40, deadline=None)
def test_a_device_driven_live_sends_what_it_sends_at_once(steps: list[int], station: str) -> None:
    device, now_us = DEVICES[station], START_US
    state, live = powered(device, TRUTH, from_us=START_US), []
    for step in steps:
        now_us += step
        state, messages = sample(device, TRUTH, state, now_us=now_us, topic_prefix="takean/v1")
        live += messages
        assert due_us(device, state) > now_us
    at_once = [m for m in payloads(device, TRUTH, START_US, END_US) if m.time_us <= now_us]
    assert [m for m in live if m.time_us < END_US] == at_once


def test_a_device_switched_on_later_reports_the_same_rain_with_new_numbers() -> None:
    device, later_us = DEVICES[RAIN.station], START_US + 40 * MINUTE_US
    whole = [(m.time_us, json.loads(m.payload)) for m in payloads(device, TRUTH, START_US, END_US)]
    part = [(m.time_us, json.loads(m.payload)) for m in payloads(device, TRUTH, later_us, END_US)]
    assert [(t, p["values"]) for t, p in part] == [(t, p["values"]) for t, p in whole if t >= later_us]
    assert [p["seq"] for _, p in part] == list(range(len(part)))


def test_samples_come_at_their_cadence_under_the_stations_own_topic() -> None:
    messages = list(payloads(DEVICES[BRIDGE.station], TRUTH, START_US, END_US, topic_prefix="takean/drill/v1"))
    assert {m.topic for m in messages} == {"takean/drill/v1/WL-01/data"}
    assert set(np.diff([m.time_us for m in messages])) == {120_000_000}
    assert len(messages) == 8 * 30


def test_no_two_messages_of_a_device_show_the_same_time() -> None:
    for device in DEVICES.values():
        truth_s = [m.time_us for m in payloads(device, TRUTH, START_US, END_US)]
        shown_ms = device.clock.shown(np.array(truth_s)) // 1_000
        assert (np.diff(shown_ms) > 0).all()


def test_a_clock_is_wrong_from_the_start_and_drifts() -> None:
    clock = Clock(set_us=START_US, offset_us=500_000, drift_ppm=20.0)
    day_us = 86_400_000_000
    np.testing.assert_array_equal(
        clock.shown(np.array([START_US, START_US + day_us])), [START_US + 500_000, START_US + day_us + 2_228_000]
    )


def test_installed_clocks_are_a_little_wrong_and_true_ones_are_not() -> None:
    assert len({d.clock.offset_us for d in DEVICES.values()}) == len(SITES)
    assert all(abs(d.clock.offset_us) <= 1_000_000 and abs(d.clock.drift_ppm) <= 20 for d in DEVICES.values())
    (true,) = install([BRIDGE], set_us=START_US, seed=1, clocks_true=True)
    first = next(iter(payloads(true, TRUTH, START_US, END_US)))
    assert json.loads(first.payload)["ts"] * 1_000 == first.time_us == START_US


def test_both_forms_are_spoken_and_tell_the_same() -> None:
    assert {d.wire for d in DEVICES.values()} == set(Wire)
    device = DEVICES[UPPER.station]
    flat = [json.loads(m.payload) for m in payloads(replace(device, wire=Wire.FLAT), TRUTH, START_US, END_US)]
    senml = [json.loads(m.payload) for m in payloads(replace(device, wire=Wire.SENML), TRUTH, START_US, END_US)]
    for one, records in zip(flat, senml, strict=True):
        assert {r["n"]: r["v"] for r in records} == one["values"]
        assert records[0]["bt"] == pytest.approx(one["ts"] / 1_000, abs=1e-4)


def test_a_level_sensor_shows_millimetres_around_the_truth() -> None:
    device = device_of(PLAIN)
    shown = np.array(
        [
            json.loads(m.payload)["values"]["stage_m"]
            for m in payloads(device, steady(2.0, minutes=3_000), START_US, START_US + 3_000 * MINUTE_US)
        ]
    )
    np.testing.assert_allclose(shown, np.round(shown, 3), atol=1e-12)
    assert abs(shown.mean() - 2.0) < 0.0003
    assert 0.0025 < shown.std() < 0.0035


def test_a_tipping_bucket_loses_less_than_one_tip() -> None:
    messages = payloads(DEVICES[HILL.station], TRUTH, START_US, END_US)
    fallen = [v for m in messages for v in [dict(_readings(m.payload))["rain_mm"]]]
    total_mm = TRUTH.course(HILL.station, "rain_total_mm").value[-1]
    assert 0 <= total_mm - sum(fallen) < 0.2 + 1e-6
    np.testing.assert_allclose(np.round(np.array(fallen) / 0.2), np.array(fallen) / 0.2, atol=1e-9)


def _readings(payload: bytes) -> list[tuple[str, float]]:
    """Reading names and values of either form."""
    told = json.loads(payload)
    return [(r["n"], r["v"]) for r in told] if isinstance(told, list) else list(told["values"].items())


def test_a_bucket_full_of_whole_tips_counts_every_one() -> None:
    total = np.cumsum(np.full(200, 0.2))
    fallen, count = TippingBucket(name="rain_mm").read(total, index=np.arange(200), source=0, count=0)
    assert (fallen == 0.2).all()
    assert count == 200


def test_rain_that_fell_unseen_comes_with_the_next_known_total() -> None:
    total = np.array([1.0, np.nan, np.nan, 2.0])
    fallen, count = TippingBucket(name="rain_mm").read(total, index=np.arange(4), source=0, count=0)
    np.testing.assert_array_equal(fallen, [1.0, np.nan, np.nan, 1.0])
    assert count == 10


def test_a_dust_sensor_gives_whole_numbers_and_never_less_than_none() -> None:
    site = Site(station="S", lat=15, lon=104, readings=("pm2_5_ug_m3",), cadence_s=60)
    truth = steady(0.5, column="pm2_5_ug_m3", minutes=500)
    shown = [v for m in payloads(device_of(site), truth, START_US, truth.end_us + 1) for _, v in _readings(m.payload)]
    assert all(isinstance(v, int) and v >= 0 for v in shown)
    assert len(set(shown)) > 1


def test_an_exact_instrument_adds_nothing() -> None:
    values, _ = exact("stage_m").read(np.array([1.2345, np.nan, -0.0]), index=np.arange(3), source=9, count=0)
    np.testing.assert_array_equal(values, [1.2345, np.nan, 0.0])


def test_every_quantity_has_an_instrument_and_another_has_none() -> None:
    for name in AIR.readings:
        assert usual(name).name == name
    with pytest.raises(ValueError, match="no instrument for colour"):
        usual("colour")


def test_a_second_instrument_of_one_quantity_errs_differently() -> None:
    site = replace(PLAIN, readings=("stage_m", "stage_m@b"))
    shown = [
        dict(_readings(m.payload)) for m in payloads(device_of(site), steady(2.0), START_US, START_US + 60 * MINUTE_US)
    ]
    assert any(row["stage_m"] != row["stage_m@b"] for row in shown)


def test_where_nothing_is_known_nothing_is_said_and_no_number_is_spent() -> None:
    time_us = START_US + np.arange(5, dtype=np.int64) * MINUTE_US
    truth = Truth(
        courses={
            ("S", "stage_m"): Course(time_us=time_us, value=np.array([1.0, np.nan, 3.0, np.nan, 5.0]), gap_us=MINUTE_US)
        }
    )
    told = [json.loads(m.payload) for m in payloads(device_of(PLAIN), truth, START_US, START_US + 10 * MINUTE_US)]
    assert [t["seq"] for t in told] == [0, 1, 2]
    assert [round(t["values"]["stage_m"]) for t in told] == [1, 3, 5]


def test_a_device_whose_truth_is_missing_is_refused_when_it_is_switched_on() -> None:
    with pytest.raises(ValueError, match="station S: the truth has no rain_total_mm; it has"):
        powered(device_of(replace(PLAIN, readings=("rain_mm",))), steady(1.0), from_us=START_US)


def test_twenty_thousand_payloads_are_a_matter_of_a_second() -> None:
    truth = flash_flood([BRIDGE], start_us=START_US, hours=60.0, step_s=300.0, seed=1)
    device = replace(DEVICES[BRIDGE.station], cadence_us=10_000_000)
    begun_s = time.process_time()
    count = sum(1 for _ in payloads(device, truth, START_US, truth.end_us))
    assert count > 20_000
    assert time.process_time() - begun_s < 2.0


def test_noise_is_the_same_in_any_block_and_normal() -> None:
    index = np.arange(100_000, dtype=np.int64)
    whole = noise.normal(noise.key(1, "S", "stage_m"), index)
    np.testing.assert_array_equal(whole[77:99], noise.normal(noise.key(1, "S", "stage_m"), index[77:99]))
    assert abs(whole.mean()) < 0.01
    assert abs(whole.std() - 1.0) < 0.01
    assert abs(np.corrcoef(whole[:-1], whole[1:])[0, 1]) < 0.01
    other = noise.normal(noise.key(2, "S", "stage_m"), index)
    assert abs(np.corrcoef(whole, other)[0, 1]) < 0.01
