"""Rain days break at seven in the morning; a day not heard is not dry; the words are those of the weather service."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.rain.classes import WORDS, classes
from sensors.rain.days import DAY_US, daily, first_date, rain_day, wetness
from sensors.rain.sums import Sums
from sensors.rain.undercatch import factor
from tests.builders import MINUTE_US, thorough

SEVEN_US = round(datetime(2026, 10, 12, 0, 0, tzinfo=UTC).timestamp()) * 1_000_000
"""07:00 in Thailand."""
DAY = SEVEN_US // DAY_US


def of_days(times_us: list[int], values: list[float], *, days: int = 2, cadence_us: int = 10 * MINUTE_US) -> Sums:
    value = np.array(values)
    return daily(
        np.array(times_us), value, np.isfinite(value), from_day=DAY - 1, to_day=DAY - 1 + days, cadence_us=cadence_us
    )


def test_tips_at_one_minute_to_seven_and_at_seven_lie_in_different_days() -> None:
    times = np.array([SEVEN_US - MINUTE_US, SEVEN_US - 1, SEVEN_US])
    assert (rain_day(times) - DAY).tolist() == [-1, -1, 0]
    assert first_date(DAY) == date(2026, 10, 12)
    assert of_days([SEVEN_US - MINUTE_US, SEVEN_US], [0.2, 0.4]).fell_mm.tolist() == [0.2, 0.4]


def test_a_day_heard_for_three_quarters_is_a_day_and_less_is_not() -> None:
    def day(hours: float) -> Sums:
        times = np.arange(SEVEN_US, SEVEN_US + round(hours * 60) * MINUTE_US, 10 * MINUTE_US).tolist()
        return of_days(times, [0.0] * len(times), days=2)

    np.testing.assert_array_equal(day(18).complete_mm(), [np.nan, 0.0])
    assert np.isnan(day(17).complete_mm()).all()


def test_what_was_not_measured_is_not_dry() -> None:
    times = np.arange(SEVEN_US, SEVEN_US + DAY_US, 10 * MINUTE_US).tolist()
    assert np.isnan(of_days(times, [np.nan] * len(times)).complete_mm()).all()


@given(
    st.lists(st.tuples(st.integers(1, 300), st.one_of(st.floats(0, 50), st.just(float("nan")))), min_size=1),
)
@thorough(60)
def test_the_days_hold_all_that_fell_and_no_more(rows: list[tuple[int, float]]) -> None:
    times = SEVEN_US - DAY_US + MINUTE_US * np.cumsum([minutes for minutes, _ in rows])
    values = [mm for _, mm in rows]
    days = int(times[-1] // DAY_US - DAY + 2)
    sums = of_days(times.tolist(), values, days=days)
    assert sums.fell_mm.sum() == pytest.approx(np.nansum(values), abs=1e-3)
    assert ((sums.covered >= 0) & (sums.covered <= 1)).all()


# ---- the wetness before


def test_yesterdays_wetness_less_a_share_and_todays_rain() -> None:
    rain = np.zeros(60)
    rain[30:33] = [10.0, 0.0, 20.0]
    index = wetness(rain)
    # 10; 10 * 0.9; 10 * 0.81 + 20
    assert index[30:33] == pytest.approx([10.0, 9.0, 28.1])
    whole = 0.0
    for day, mm in enumerate(rain):
        whole = 0.9 * whole + mm
        if np.isfinite(index[day]):
            assert index[day] == pytest.approx(whole, abs=0.05 * 30)


def test_a_day_that_is_missing_is_missing_until_it_no_longer_counts() -> None:
    rain = np.ones(120)
    rain[40] = np.nan
    index = wetness(rain)
    assert np.isnan(index[40:69]).all()
    assert np.isfinite(index[69:]).all()
    assert np.isnan(index[:28]).all()
    assert np.isfinite(index[28:40]).all()


def test_stations_side_by_side_give_what_each_gives_alone() -> None:
    rain = np.random.default_rng(5).gamma(0.3, 20.0, (4, 90))
    both = wetness(rain, kept=0.85)
    for station in range(4):
        np.testing.assert_allclose(both[station], wetness(rain[station], kept=0.85))


def test_too_few_days_have_no_wetness() -> None:
    assert np.isnan(wetness(np.ones(5))).all()


# ---- words


@pytest.mark.parametrize(
    ("mm", "word"),
    [
        (0.0, "ไม่มีฝน"),
        (0.05, "ฝนวัดจำนวนไม่ได้"),
        (0.1, "ฝนเล็กน้อย"),
        (10.0, "ฝนเล็กน้อย"),
        (10.04, "ฝนเล็กน้อย"),
        (10.1, "ฝนปานกลาง"),
        (35.0, "ฝนปานกลาง"),
        (35.1, "ฝนหนัก"),
        (90.0, "ฝนหนัก"),
        (90.04, "ฝนหนัก"),
        (90.1, "ฝนหนักมาก"),
        (420.0, "ฝนหนักมาก"),
    ],
)
def test_the_word_of_a_days_rain(mm: float, word: str) -> None:
    assert WORDS[int(classes(np.array([mm]))[0])][0] == word


def test_rain_that_is_not_known_has_no_word() -> None:
    assert int(classes(np.array([np.nan]))[0]) not in WORDS


@given(st.lists(st.floats(0, 500), min_size=2))
@thorough(60)
def test_more_rain_never_has_a_weaker_word(mm: list[float]) -> None:
    assert (np.diff(classes(np.sort(np.array(mm)))) >= 0).all()


# ---- what a bucket misses


def test_the_missed_share_is_that_of_the_paper() -> None:
    caught = np.array([0.0, 19.9, 175.2, 400.0])
    np.testing.assert_allclose(1 - 1 / factor(caught), [0.0, 0.0098, 0.0878, 0.0878])


@given(st.lists(st.floats(0, 1600), min_size=2))
@thorough(60)
def test_harder_rain_never_misses_less(intensity: list[float]) -> None:
    found = factor(np.sort(np.array(intensity)))
    assert (np.diff(found) >= 0).all()
    assert (found >= 1).all()
