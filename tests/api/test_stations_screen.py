"""What a station shows beside the warning."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.screens.stations import Observed, observe, panel, pin, window_h
from api.screens.words import ago, number, rain_word, signed
from api.views.stations import Pin
from sensors.flags import Flag
from tests.api.world import HOUR_US, MINUTE_US, NOW_US, World


def seen(world: World, station: str) -> Observed:
    return next(o for o in observe(world.facts()) if o.station.id == station)


def shown(world: World, station: str) -> Pin:
    facts = world.facts()
    return pin(facts, next(o for o in observe(facts) if o.station.id == station))


def test_a_station_that_never_spoke_is_unheard(world: World) -> None:
    mark = shown(world, "WL-01")
    assert (mark.level, mark.text, mark.level_word) == (-2, "–", "ไม่มีข้อมูล")


@pytest.mark.parametrize(("stage", "level"), [(3.14, 0), (3.16, 1), (3.83, 2), (4.49, 2), (4.50, 3), (7.0, 3)])
def test_a_station_stands_at_the_highest_line_it_reaches(world: World, stage: float, level: int) -> None:
    world.put("WL-01/stage_m", [stage])
    assert seen(world, "WL-01").level == level


def test_a_pin_says_how_far_the_lower_bank_is(world: World) -> None:
    world.put("WL-01/stage_m", [4.08])
    assert (shown(world, "WL-01").text, shown(world, "WL-01").unit) == ("−0.42", "ม.")
    world.put("WL-02/stage_m", [4.18])
    assert shown(world, "WL-02").text == "+0.18"


def test_silence_is_a_fault_and_hides_the_value(world: World) -> None:
    world.put("WL-01/stage_m", [4.08])
    world.now_us += 6 * MINUTE_US
    assert seen(world, "WL-01").level == 1 + 1
    world.now_us += 1
    mark = shown(world, "WL-01")
    assert (mark.level, mark.text, mark.level_word, mark.trend) == (-1, "6 นาที", "ขาดการติดต่อ", "")


def test_a_station_that_speaks_but_says_nothing_usable_is_a_fault(world: World) -> None:
    world.put("WL-01/stage_m", [2.0], ago_us=30 * MINUTE_US)
    world.put("WL-01/stage_m", [6.9], flag=Flag.SUSPECT)
    mark = shown(world, "WL-01")
    assert (mark.level, mark.text, mark.level_word) == (-1, "–", "ค่าใช้ไม่ได้")


def test_a_working_battery_does_not_keep_an_old_stage_current(world: World) -> None:
    world.put("WL-01/stage_m", [2.0], ago_us=40 * MINUTE_US)
    world.put("WL-01/battery_v", [3.9])
    assert shown(world, "WL-01").text == "–"


def test_a_reading_from_the_future_does_not_keep_a_station_alive(world: World) -> None:
    world.put("WL-01/stage_m", [2.0], ago_us=HOUR_US)
    world.put("WL-01/stage_m", [2.1], ago_us=-24 * HOUR_US, flag=Flag.SUSPECT)
    observed = seen(world, "WL-01")
    assert (observed.silent, observed.level) == (True, -1)


def test_a_missing_value_is_not_zero(world: World) -> None:
    world.put("AQ-01/pm2_5_ug_m3", [math.nan], flag=Flag.MISSING)
    assert shown(world, "AQ-01").text == "–"


@pytest.mark.parametrize(
    ("rise_cm_h", "trend"), [(11.0, "up"), (-6.0, "down"), (1.9, "steady"), (-1.9, "steady"), (2.1, "up")]
)
def test_a_trend_is_the_slope_of_the_newest_readings(world: World, rise_cm_h: float, trend: str) -> None:
    world.put("WL-01/stage_m", [2.0 + rise_cm_h / 100 * i / 30 for i in range(31)])
    assert seen(world, "WL-01").slope_cm_h == pytest.approx(rise_cm_h)
    assert seen(world, "WL-01").trend == trend


@pytest.mark.parametrize(("points", "step_min"), [(2, 2), (4, 1), (2, 20)])
def test_too_few_or_too_close_readings_have_no_trend(world: World, points: int, step_min: int) -> None:
    world.put("WL-01/stage_m", [2.0] * points, step_us=step_min * MINUTE_US)
    assert seen(world, "WL-01").trend == ""


def test_a_river_that_falls_behind_its_crest_is_said_to_fall(world: World) -> None:
    rising = [3.0 + 0.05 * i for i in range(30)]
    world.put("WL-01/stage_m", [*rising, *(rising[-1] - 0.01 * i for i in range(1, 9))], step_us=2 * MINUTE_US)
    assert seen(world, "WL-01").trend == "down"


def test_doubted_readings_do_not_bend_the_trend(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 20, step_us=2 * MINUTE_US, ago_us=2 * MINUTE_US)
    world.put("WL-01/stage_m", [6.0], flag=Flag.SUSPECT)
    assert seen(world, "WL-01").trend == "steady"


def test_rain_is_the_sum_of_a_day(world: World) -> None:
    world.put("RF-01/rain_mm", [0.5] * 400, step_us=5 * MINUTE_US)
    observed = seen(world, "RF-01")
    assert observed.value == pytest.approx(144.0)
    assert observed.complete


def test_a_station_that_no_rule_judges_is_not_called_normal(world: World) -> None:
    world.all_speak()
    assert (seen(world, "RF-01").level, seen(world, "RF-01").word) == (0, "")


def test_a_panel_holds_thresholds_bank_and_the_nearest_gauge(world: World) -> None:
    world.all_speak()
    world.put("WL-01/battery_v", [3.91])
    facts = world.facts()
    view = panel(facts, observe(facts), "WL-01")
    assert view is not None
    assert [(t.level, round(t.value, 3)) for t in view.thresholds] == [(1, 3.15), (2, 3.825), (3, 4.5), (0, 4.5)]
    assert (view.value, view.bank_gap, view.percent) == ("2.00", "ต่ำกว่าตลิ่ง 2.50 ม.", "44%")
    assert view.rain_name == "RF-01/rain_mm"
    assert ("ระดับตลิ่ง", "ค่าเริ่มต้น · ยังไม่ได้รังวัด") in view.facts
    assert ("แบตเตอรี่", "3.91 V") in view.facts


def test_a_panel_of_a_silent_station_shows_no_old_number(world: World) -> None:
    world.put("WL-01/stage_m", [4.4])
    world.now_us += HOUR_US
    facts = world.facts()
    view = panel(facts, observe(facts), "WL-01")
    assert view is not None
    assert (view.value, view.bank_gap, view.percent, view.trend_text) == ("–", "", "", "")
    assert view.data is not None
    assert view.data.ago == "1 ชม.ที่แล้ว"


def test_there_is_no_panel_of_a_station_we_do_not_know(world: World) -> None:
    facts = world.facts()
    assert panel(facts, observe(facts), "nobody") is None


@pytest.mark.parametrize(
    ("value", "text"), [(-0.42, "−0.42"), (0.18, "+0.18"), (-0.004, "0.00"), (0.0, "0.00"), (math.nan, "–")]
)
def test_a_signed_number_has_a_true_minus_and_no_negative_zero(value: float, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("mm", "word"),
    [
        (0.0, "ไม่มีฝน"),
        (0.04, "ฝนวัดจำนวนไม่ได้"),
        (0.1, "ฝนเล็กน้อย"),
        (10.0, "ฝนเล็กน้อย"),
        (10.1, "ฝนปานกลาง"),
        (35.0, "ฝนปานกลาง"),
        (35.1, "ฝนหนัก"),
        (90.0, "ฝนหนัก"),
        (90.1, "ฝนหนักมาก"),
    ],
)
def test_rain_words_are_those_of_the_meteorological_department(mm: float, word: str) -> None:
    assert rain_word(mm, complete=True) == word


def test_half_a_day_of_rain_has_no_word_unless_it_is_the_highest() -> None:
    assert rain_word(50.0, complete=False) == ""
    assert rain_word(95.0, complete=False) == "ฝนหนักมาก"


@given(st.floats(-1e6, 1e6), st.integers(0, 3))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_numbers_read_back(value: float, decimals: int) -> None:
    for text in (number(value, decimals), signed(value, decimals)):
        assert float(text.replace("−", "-")) == pytest.approx(round(value, decimals))


@given(st.integers(-HOUR_US, 100 * HOUR_US), st.integers(0, MINUTE_US - 1))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_an_age_changes_at_most_once_a_minute(age_us: int, within_us: int) -> None:
    whole = NOW_US - NOW_US % MINUTE_US
    assert ago(whole - age_us, whole) == ago(whole - age_us, whole + within_us)


@pytest.mark.parametrize(
    ("quantity", "cadence_s", "hours"),
    [("stage_m", 120, 6), ("stage_m", 300, 6), ("stage_m", 900, 24), ("rain_mm", 120, 24), ("pm2_5_ug_m3", 300, 24)],
)
def test_a_river_read_often_is_drawn_over_six_hours_the_rest_over_a_day(
    quantity: str, cadence_s: float, hours: int
) -> None:
    assert window_h(quantity, cadence_s) == hours
