"""The line of least squares: exact on a line, its interval that of Student, and moved by what Theil-Sen bears."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors import least_squares, trend
from sensors.least_squares import fit, student
from sensors.trend import Trend, follow
from tests.builders import MINUTE_US, T0_US, batch, thorough

HOUR_US = 60 * MINUTE_US
SPAN_US = np.full(1, 3 * HOUR_US)


def remembered(values: list[float]) -> tuple[Trend, int]:
    readings = batch(values, start_us=T0_US // HOUR_US * HOUR_US, step_us=10 * MINUTE_US)
    _, held = follow(
        readings,
        np.isfinite(readings.value),
        Trend.empty(1),
        span_us=SPAN_US,
        cadence_us=np.full(1, 10 * MINUTE_US),
        gate_per_h=np.full(1, np.inf),
        wanted=np.ones(1, dtype=np.bool_),
    )
    return held, int(readings.time_us[-1])


def test_a_straight_line_has_its_slope_and_no_doubt() -> None:
    held, now_us = remembered([1.0 + 0.1 * k for k in range(18)])
    found = least_squares.slopes(held, np.array([0]), now_us, span_us=SPAN_US)
    assert found.rise_per_h == pytest.approx([0.6])
    assert found.high_per_h - found.low_per_h == pytest.approx([0.0], abs=1e-9)


def test_both_ways_agree_on_noise_and_an_outlier_moves_only_one() -> None:
    noise = np.random.default_rng(3).normal(0, 0.02, 18)
    values = (1.0 + 0.1 * np.arange(18) + noise).tolist()
    spoilt = [*values[:-1], values[-1] + 3.0]
    slopes = []
    for one in (values, spoilt):
        held, now_us = remembered(one)
        slopes += [
            float(way(held, np.array([0]), now_us, span_us=SPAN_US).rise_per_h[0])
            for way in (least_squares.slopes, trend.slopes)
        ]
    assert slopes[0] == pytest.approx(slopes[1], abs=0.05)
    assert abs(slopes[2] - 0.6) > 0.3
    assert slopes[3] == pytest.approx(0.6, abs=0.1)


def test_four_readings_have_no_slope() -> None:
    held, now_us = remembered([1.0, 2.0, 3.0, 4.0])
    found = least_squares.slopes(held, np.array([0]), now_us, span_us=SPAN_US)
    assert np.isnan([found.rise_per_h, found.low_per_h, found.high_per_h]).all()


def test_three_readings_have_a_slope_where_that_is_enough_but_no_interval() -> None:
    slope, reach = fit(np.array([[0.0, 1.0, 2.0]]), np.array([[1.0, 2.0, 3.0]]), np.ones((1, 3), np.bool_), least=3)
    assert slope == pytest.approx([1.0])
    assert np.isnan(reach).all()


def test_readings_of_one_moment_have_no_slope() -> None:
    slope, reach = fit(np.zeros((1, 6)), np.arange(6.0)[None], np.ones((1, 6), np.bool_))
    assert np.isnan([slope, reach]).all()


def test_the_quantiles_are_students() -> None:
    free = np.array([3, 4, 5, 8, 10, 15, 20, 30, 10_000])
    table = [1.6377, 1.5332, 1.4759, 1.3968, 1.3722, 1.3406, 1.3253, 1.3104, 1.2816]
    np.testing.assert_allclose(student(free), table, rtol=3e-4)


def test_the_interval_holds_the_truth_four_times_in_five() -> None:
    rng = np.random.default_rng(11)
    hours = np.broadcast_to(np.linspace(-3, 0, 12), (4_000, 12))
    slope, reach = fit(hours, 0.3 * hours + rng.normal(0, 0.1, hours.shape), np.ones(hours.shape, dtype=np.bool_))
    assert (np.abs(slope - 0.3) <= reach).mean() == pytest.approx(0.8, abs=0.02)


@given(
    st.lists(st.tuples(st.floats(-3, 0), st.floats(-5, 5), st.booleans()), min_size=6, max_size=25),
)
@thorough(60)
def test_the_slope_is_that_of_the_textbook(points: list[tuple[float, float, bool]]) -> None:
    hours, value = np.array([[h for h, _, _ in points]]), np.array([[v for _, v, _ in points]])
    valid = np.array([[b for _, _, b in points]])
    slope, _ = fit(hours, value, valid)
    x, y = hours[valid], value[valid]
    if valid.sum() < trend.POINTS:
        assert np.isnan(slope).all()
    elif np.ptp(x) > 0.01:
        assert slope[0] == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-6, abs=1e-6)
