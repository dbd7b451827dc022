"""`/api/v1/stations/{station}/derived`: what readings mean, and nothing where too few of them are known."""

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.app import create_app
from sensors.flags import Flag
from sensors.store import Hours
from sensors.store.rollup import HourReader
from tests.api.browser import Browser
from tests.api.world import HOUR_US, MINUTE_US, NOW_US, World

STEP_US = 5 * MINUTE_US
DAY = 288


def asked(client: Browser, station: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/stations/{station}/derived").json()
    return found


def test_water_is_shown_beside_its_bank_in_thaiwaters_word(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [3.02 + 0.02 * k for k in range(30)])
    water = asked(client, "WL-01")["water"]
    assert (water["rise_m_per_h"], water["rise_reach_m_per_h"]) == (0.6, 0.0)
    assert (water["freeboard_m"], water["bank_pct"]) == (0.9, 80.0)
    assert (water["thaiwater_level"], water["thaiwater_word"], water["hex"]) == (4, "มาก", "#003CFA")
    assert (water["datum"], water["bank_surveyed"]) == ("LOCAL_STAFF", False)


def test_water_over_the_bank_is_more_than_a_hundred_percent(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [4.95] * 30)
    water = asked(client, "WL-01")["water"]
    assert (water["freeboard_m"], water["bank_pct"], water["thaiwater_word"]) == (-0.45, 110.0, "ล้นตลิ่ง")


def test_a_silent_gauge_says_nothing_about_the_bank(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [4.95] * 30, ago_us=8 * HOUR_US)
    assert asked(client, "WL-01")["water"] is None


def sums_of(answer: dict[str, Any]) -> dict[str, tuple[float, bool]]:
    return {s["window"]: (s["fell_mm"], s["complete"]) for s in answer["rain"][0]["sums"]}


def test_rain_of_every_window_and_of_the_rain_day(world: World, client: Browser) -> None:
    # The newest reading is of 14:35: 91 of them lie behind 07:00.
    world.put("RF-01/rain_mm", [0.1] * (3 * DAY), step_us=STEP_US)
    answer = asked(client, "RF-01")
    sums = sums_of(answer)
    assert sums["5min"] == (0.1, True)
    assert sums["1h"] == (1.2, True)
    assert sums["24h"] == (28.8, True)
    assert sums["72h"] == (86.4, True)
    today, before = answer["rain"][0]["rain_day"], answer["rain"][0]["rain_day_before"]
    assert (today["date"], today["since"], today["over"]) == ("2026-11-22", "2026-11-22T00:00:00Z", False)
    assert (today["fell_mm"], today["complete"], today["tmd_word"]) == (9.2, True, "")
    assert (before["fell_mm"], before["tmd_word"], before["english"]) == (28.8, "ฝนปานกลาง", "moderate rain")


def test_a_day_that_is_not_over_can_only_be_called_the_heaviest(world: World, client: Browser) -> None:
    world.put("RF-01/rain_mm", [0.0] * 30 + [25.0] * 4, step_us=STEP_US)
    today = asked(client, "RF-01")["rain"][0]["rain_day"]
    assert (today["fell_mm"], today["complete"], today["tmd_word"]) == (100.0, False, "ฝนหนักมาก")


def test_a_gauge_that_was_not_heard_is_not_dry(world: World, client: Browser) -> None:
    world.put("RF-01/rain_mm", [0.0] * 6, step_us=STEP_US)
    world.put("RF-01/rain_mm", [7.0], ago_us=HOUR_US, flag=Flag.SUSPECT)
    answer = asked(client, "RF-01")
    assert sums_of(answer)["30min"] == (0.0, True)
    assert sums_of(answer)["24h"] == (0.0, False)
    assert answer["rain"][0]["rain_day_before"]["tmd_word"] == ""
    assert answer["rain"][0]["wetness_mm"] is None


def test_two_days_of_rain_are_too_few_for_the_wetness(world: World, tmp_path: Path) -> None:
    world.put("RF-01/rain_mm", [1.0] * (2 * DAY), step_us=STEP_US)
    with (
        closing(HourReader(tmp_path / "hours", world.store)) as kept,
        Browser.on(create_app(replace(world.deps, hours=kept)), base_url=world.public_url) as client,
    ):
        assert asked(client, "RF-01")["rain"][0]["wetness_mm"] is None


class EveryHour:
    """Hours of a gauge that counts 1.2 mm in each, from twelve readings."""

    def hourly(self, key: str, *, from_us: int, to_us: int) -> Hours:
        """All there are."""
        hour_us = np.arange(from_us, to_us, HOUR_US)
        mean, n = np.full(len(hour_us), 0.1), len(hour_us)
        flag = np.full(n, Flag.GOOD, dtype=np.uint8)
        return Hours(hour_us=hour_us, usable=np.full(n, 12), mean=mean, min=mean, max=mean, flag=flag)


def test_the_wetness_rests_on_a_month_of_whole_days(world: World) -> None:
    with Browser.on(create_app(replace(world.deps, hours=EveryHour())), base_url=world.public_url) as client:
        # 28.8 * (1 - 0.9 ** 29) / 0.1
        assert asked(client, "RF-02")["rain"][0]["wetness_mm"] == pytest.approx(274.4, abs=0.1)


def test_dust_of_a_day_has_the_thai_index_and_of_the_last_hours_the_american(world: World, client: Browser) -> None:
    world.put("AQ-01/pm2_5_ug_m3", [40.0] * (26 * 12), step_us=STEP_US)
    (air,) = asked(client, "AQ-01")["air"]
    assert (air["mean_24h_ug_m3"], air["hours_known"], air["until"]) == (40.0, 24, "2026-11-22T07:00:00Z")
    thai, american = air["thai_aqi"], air["us_aqi_nowcast"]
    # 101 + 99 / 37.4 * 2.4 = 107.4; 101 + 49 / 19.9 * 4.5 = 112.1
    assert (thai["index"], thai["word"], thai["hex"]) == ("107", "เริ่มมีผลกระทบต่อสุขภาพ", "#FFA200")
    assert (american["index"], american["english"]) == ("112", "Unhealthy for Sensitive Groups")
    assert thai["index_name"] != american["index_name"]
    assert thai["hex"] != american["hex"]


def test_thick_smoke_has_no_number_above_the_table(world: World, client: Browser) -> None:
    world.put("AQ-01/pm2_5_ug_m3", [180.0] * (26 * 12), step_us=STEP_US)
    assert asked(client, "AQ-01")["air"][0]["thai_aqi"]["index"] == ">200"


def test_seventeen_hours_are_too_few_for_the_thai_index(world: World, client: Browser) -> None:
    world.put("AQ-01/pm2_5_ug_m3", [40.0] * (17 * 12 + 8), step_us=STEP_US)
    (air,) = asked(client, "AQ-01")["air"]
    assert (air["mean_24h_ug_m3"], air["hours_known"]) == (None, 17)
    assert (air["thai_aqi"]["index"], air["thai_aqi"]["band"], air["thai_aqi"]["word"]) == ("", 0, "ข้อมูลไม่พอ")
    assert air["nowcast_ug_m3"] == 40.0


def test_readings_nobody_believes_make_no_index(world: World, client: Browser) -> None:
    world.put("AQ-01/pm2_5_ug_m3", [900.0] * (26 * 12), step_us=STEP_US, flag=Flag.FAIL)
    world.put("AQ-02/pm2_5_ug_m3", [math.nan] * (26 * 12), step_us=STEP_US, flag=Flag.MISSING)
    for station in ("AQ-01", "AQ-02"):
        (air,) = asked(client, station)["air"]
        assert (air["hours_known"], air["thai_aqi"]["word"], air["us_aqi_nowcast"]["index"]) == (0, "ข้อมูลไม่พอ", "")


def test_a_station_that_never_spoke_means_nothing_and_one_that_is_none_is_not_found(client: Browser) -> None:
    assert asked(client, "WL-01") == {
        "station": "WL-01",
        "at": "2026-11-22T07:35:00Z",
        "water": None,
        "rain": [],
        "air": [],
    }
    (rain,) = asked(client, "RF-01")["rain"]
    assert not any(s["complete"] or s["fell_mm"] for s in rain["sums"])
    assert client.get("/api/v1/stations/nowhere/derived").status_code == 404
    assert NOW_US % HOUR_US == 35 * MINUTE_US
