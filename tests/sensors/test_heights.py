"""Heights over unlike zeros have no difference; percent and words of the bank are ThaiWater's."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.heights import SITUATIONS, Height, UnlikeDatums, bank_pct, freeboard_m, situation
from sensors.stations import Banks, GaugeZero, Station
from tests.builders import station, thorough

BANKS = Banks(left_m=4.0, right_m=4.6, bed_m=-1.0, surveyed=True, source="survey")
MORNING_US = round(datetime(2026, 6, 1, 2, 0, tzinfo=UTC).timestamp()) * 1_000_000


def surveyed(id: str, *zeros: GaugeZero) -> Station:
    return msgspec.structs.replace(station(id), datum="MSL_KOLAK1915", gauge_zero=zeros)


OLD = GaugeZero(since=date(2020, 1, 1), height_m=115.0, source="RTK")
NEW = GaugeZero(since=date(2026, 6, 1), height_m=115.2, source="RTK")


def test_water_over_one_staff_has_a_difference() -> None:
    a = station("A")
    assert Height.on_staff(a, 3.5) - Height.on_staff(a, 3.0) == pytest.approx(0.5)


def test_unlike_zeros_refuse_to_be_subtracted() -> None:
    a, b = station("A"), station("B")
    with pytest.raises(UnlikeDatums, match="LOCAL_STAFF of A less one over LOCAL_STAFF of B"):
        Height.on_staff(a, 3.5) - Height.on_staff(b, 3.0)
    with pytest.raises(UnlikeDatums, match="MSL_KOLAK1915"):
        Height.over_datum(surveyed("S", OLD), 3.5, MORNING_US) - Height.on_staff(b, 3.0)


def test_surveyed_stations_have_a_fall_between_them() -> None:
    upper, lower = surveyed("U", OLD), surveyed("L", replace_height(OLD, 113.5))
    fall = Height.over_datum(upper, 2.0, MORNING_US) - Height.over_datum(lower, 2.5, MORNING_US)
    assert fall == pytest.approx(1.0)


def replace_height(zero: GaugeZero, height_m: float) -> GaugeZero:
    return msgspec.structs.replace(zero, height_m=height_m)


def test_the_zero_is_that_of_the_day_in_thailand() -> None:
    gauge = surveyed("S", NEW, OLD)
    night_us = MORNING_US - 10 * 3_600_000_000  # 23:00 of 31 May in Thailand
    assert Height.over_datum(gauge, 1.0, night_us).value_m == 116.0
    assert Height.over_datum(gauge, 1.0, MORNING_US).value_m == 116.2


def test_a_zero_that_was_not_surveyed_has_no_height() -> None:
    with pytest.raises(UnlikeDatums, match="no surveyed height"):
        Height.over_datum(surveyed("S", NEW), 1.0, MORNING_US - 30 * 86_400_000_000)
    with pytest.raises(UnlikeDatums, match="station A"):
        Height.over_datum(station("A"), 1.0, MORNING_US)


def test_freeboard_and_percent_are_of_the_lower_bank() -> None:
    stage = np.array([-1.5, -1.0, 1.5, 4.0, 4.5, np.nan])
    np.testing.assert_allclose(freeboard_m(stage, BANKS), [5.5, 5.0, 2.5, 0.0, -0.5, np.nan])
    np.testing.assert_allclose(bank_pct(stage, BANKS), [-10.0, 0.0, 50.0, 100.0, 110.0, np.nan])


@pytest.mark.parametrize(
    ("percent", "word"),
    [
        (-5.0, "น้อยวิกฤต"),
        (10.0, "น้อยวิกฤต"),
        (10.01, "น้อย"),
        (30.0, "น้อย"),
        (30.01, "ปกติ"),
        (70.0, "ปกติ"),
        (70.01, "มาก"),
        (100.0, "มาก"),
        (100.01, "ล้นตลิ่ง"),
    ],
)
def test_the_word_of_thaiwater(percent: float, word: str) -> None:
    assert SITUATIONS[int(situation(np.array([percent]))[0])].thai == word


def test_what_is_not_known_has_no_word() -> None:
    assert int(situation(np.array([np.nan]))[0]) not in SITUATIONS


@given(st.lists(st.floats(-10, 20), min_size=2))
@thorough(50)
def test_higher_water_is_never_lower_on_the_scale(stage: list[float]) -> None:
    assert (np.diff(situation(bank_pct(np.sort(np.array(stage)), BANKS))) >= 0).all()
