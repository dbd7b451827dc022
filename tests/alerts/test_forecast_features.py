"""What a forecaster hears: of nothing later, whatever is cut, and never across a silence."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.forecast.features import HORIZONS_US, Gauge, features, line, targets
from sensors.trend import HOUR_US
from tests.alerts.catchments import ALONE, LAYOUT, STEP_US, TRAVEL_H, catchment, gauge
from tests.builders import T0_US, thorough

LOW, HIGH = catchment(8)


def with_holes(of: Gauge, seed: int, *, jitter: bool = True) -> Gauge:
    """Readings go missing, some for hours, and none comes quite on time."""
    rng = np.random.default_rng(seed)
    n = len(of.time_us)
    kept = rng.random(n) > 0.1
    for begin in rng.integers(0, n, 3).tolist():
        kept[begin : begin + int(rng.integers(1, 20))] = False
    late = rng.integers(0, STEP_US // 2, n) if jitter else np.zeros(n, dtype=np.int64)
    return Gauge.of((of.time_us + late)[kept], of.value[kept], of.cadence_us)


def before(of: Gauge, end_us: int, *, since_us: int = 0) -> Gauge:
    some = (of.time_us < end_us) & (of.time_us >= since_us)
    return Gauge(time_us=of.time_us[some], value=of.value[some], cadence_us=of.cadence_us)


def known(of: Gauge, when_h: float, now_h: float) -> float:
    moments = np.array([T0_US + round(when_h * HOUR_US)]), np.array([T0_US + round(now_h * HOUR_US)])
    return float(of.known(*moments)[0])


def test_between_two_readings_the_water_stands_on_a_straight_line() -> None:
    assert known(gauge(np.array([1.0, 2.0])), 0.125, 0.5) == 1.25


def test_a_reading_that_was_not_there_yet_bends_no_line() -> None:
    assert known(gauge(np.array([1.0, 2.0])), 0.125, 0.49) == 1.0


def test_the_newest_reading_stands_for_three_cadences_and_no_longer() -> None:
    of = gauge(np.array([1.0, 2.0]))
    assert known(of, 2.0, 2.0) == 2.0
    assert np.isnan(known(of, 2.001, 2.001))


def test_nothing_is_known_before_the_first_reading_nor_of_no_reading() -> None:
    assert np.isnan(known(gauge(np.array([1.0])), -0.1, 1.0))
    assert np.isnan(known(gauge(np.zeros(0)), 0.0, 0.0))


def test_nothing_is_known_in_a_silence() -> None:
    whole = gauge(np.arange(12.0))
    hole = (np.arange(12) < 3) | (np.arange(12) > 6)
    silent = Gauge(time_us=whole.time_us[hole], value=whole.value[hole], cadence_us=STEP_US)
    assert np.isnan(known(silent, 2.0, 5.5))
    assert known(silent, 3.5, 5.5) == 7.0


def test_a_reading_that_measured_nothing_or_came_twice_is_left_out() -> None:
    of = Gauge.of(np.array([30, 10, 10, 20]), np.array([3.0, 1.0, 9.0, np.nan]), 10)
    assert of.time_us.tolist() == [10, 30]
    assert of.value.tolist() == [1.0, 3.0]


def test_every_number_has_its_name() -> None:
    assert features(LAYOUT, LOW, [HIGH], LOW.time_us).shape == (len(LOW.time_us), len(LAYOUT.names))
    assert len(set(LAYOUT.names)) == len(LAYOUT.names)
    assert features(ALONE, LOW, [], LOW.time_us).shape[1] == len(ALONE.names)


def test_what_is_on_its_way_is_the_rise_upstream_that_the_water_has_yet_to_bring() -> None:
    high = gauge(np.arange(100.0))
    x = features(LAYOUT, gauge(np.ones(100)), [high], high.time_us[-1:])[0]
    column = LAYOUT.names.index("HIGH/stage_m on its way in 1 h")
    per_h = HOUR_US / STEP_US
    assert x[column : column + 3].tolist() == [per_h * min(h / HOUR_US, TRAVEL_H) for h in HORIZONS_US]


@given(st.integers(0, 2**32 - 1), st.integers(60, 380))
@thorough(40)
def test_later_readings_change_nothing_that_is_heard_before(seed: int, cut_at: int) -> None:
    own, above = with_holes(LOW, seed), with_holes(HIGH, seed + 1)
    now_us = T0_US + cut_at * STEP_US
    at_us = own.time_us[own.time_us < now_us]
    past = [before(own, now_us), before(above, now_us)]
    changed = [
        Gauge(time_us=of.time_us, value=np.where(of.time_us < now_us, of.value, -9.0), cadence_us=STEP_US)
        for of in (own, above)
    ]
    whole = features(LAYOUT, own, [above], at_us)
    for other in (past, changed):
        assert np.array_equal(features(LAYOUT, other[0], other[1:], at_us), whole, equal_nan=True)
        for one, two in zip(line(other[0], at_us), line(own, at_us), strict=True):
            assert np.array_equal(one, two, equal_nan=True)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 383), max_size=4))
@thorough(40)
def test_rows_heard_in_pieces_with_the_readings_that_matter_are_those_heard_at_once(seed: int, cuts: list[int]) -> None:
    own, above = with_holes(LOW, seed), with_holes(HIGH, seed + 1)
    edges = [T0_US, *sorted(T0_US + k * STEP_US for k in cuts), T0_US + 1000 * STEP_US]
    parts = []
    for first_us, end_us in pairwise(edges):
        at_us = own.time_us[(own.time_us >= first_us) & (own.time_us < end_us)]
        since_us = first_us - LAYOUT.back_us
        held = [before(of, end_us, since_us=since_us) for of in (own, above)]
        parts.append(features(LAYOUT, held[0], held[1:], at_us))
    assert np.array_equal(np.concatenate(parts), features(LAYOUT, own, [above], own.time_us), equal_nan=True)


def test_a_line_goes_through_what_rose_evenly() -> None:
    of = gauge(np.arange(20.0))
    ends, slope = line(of, of.time_us[-3:])
    assert ends == pytest.approx([17.0, 18.0, 19.0])
    assert slope == pytest.approx([2.0] * 3)


def test_what_came_is_unknown_where_nobody_measured_it() -> None:
    of = gauge(np.arange(20.0))
    came = targets(of, of.time_us)
    assert came[0].tolist() == [2.0, 6.0, 12.0]
    assert np.isnan(came[-1]).all(), "the newest reading stands for nothing that came"
    assert came[-3].tolist()[0] == 19.0
