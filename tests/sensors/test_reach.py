"""When the water is going to stand at a height."""

import numpy as np
import pytest

from sensors.batch import ReadingBatch
from sensors.reach import Reach, times
from sensors.trend import HOUR_US, Slopes, Trend, follow, slopes
from tests.builders import MINUTE_US, T0_US

SPAN_US = 3 * HOUR_US
NOW_US = T0_US + SPAN_US


def measured(values: np.ndarray) -> Slopes:
    """Slopes of one river, a reading each 10 min for three hours."""
    time_us = T0_US + 10 * MINUTE_US * np.arange(1, len(values) + 1)
    batch = ReadingBatch.of(series=np.zeros(len(values)), time_us=time_us, value=values, received_us=time_us)
    span, cadence = np.array([SPAN_US]), np.array([10 * MINUTE_US])
    _, trend = follow(
        batch,
        np.ones(len(values), dtype=bool),
        Trend.empty(1),
        span_us=span,
        cadence_us=cadence,
        gate_per_h=np.array([-np.inf]),
        wanted=np.array([True]),
    )
    return slopes(trend, np.array([0]), int(time_us[-1]), span_us=span)


def said(values: np.ndarray, *heights: float, now_us: int = NOW_US) -> Reach:
    asked = np.array(heights)[:, None]
    return times(measured(values), asked, now_us, window_us=np.array([SPAN_US]), young_us=np.array([HOUR_US]))


def river(per_h: float, noise: float = 0.0) -> np.ndarray:
    return 2.0 + per_h * np.arange(1, 19) / 6 + noise * np.random.default_rng(7).standard_normal(18)


def test_a_line_is_drawn_on() -> None:
    found = said(river(0.3), 3.2, 3.5)
    assert found.expected_h[:, 0] == pytest.approx([0.3 / 0.3, 0.6 / 0.3])
    assert found.first_h == pytest.approx(found.expected_h)
    assert found.last_h == pytest.approx(found.expected_h)


def test_what_is_less_certain_has_a_wider_interval() -> None:
    calm, rough = said(river(0.3, 0.002), 3.2), said(river(0.3, 0.03), 3.2)
    for one in (calm, rough):
        assert one.first_h < one.expected_h < one.last_h
    assert (rough.last_h - rough.first_h) > 2 * (calm.last_h - calm.first_h)


def test_nothing_is_said_of_what_may_not_rise() -> None:
    assert not said(river(0.0, 0.05), 2.1).said.any()
    assert not said(river(-0.2), 2.5).said.any()


def test_nothing_is_said_further_ahead_than_was_looked_back() -> None:
    found = said(river(0.1), 2.55, 2.65, 9.0)
    assert found.said[:, 0].tolist() == [True, False, False]


def test_nothing_is_said_of_a_height_that_stands_already() -> None:
    assert not said(river(0.3), 2.5).said.any()


def test_an_old_reading_says_nothing_of_now_and_a_younger_one_less_time() -> None:
    assert not said(river(0.3), 3.2, now_us=NOW_US + 2 * HOUR_US).said.any()
    later = said(river(0.3), 3.2, now_us=NOW_US + HOUR_US // 2)
    assert later.expected_h[0, 0] == pytest.approx(0.5)
    assert said(river(0.3), 2.95, now_us=NOW_US + HOUR_US).expected_h[0, 0] == 0.0


def test_the_interval_holds_what_it_says() -> None:
    """Of rises that go on as they do, eight in ten come to the height within it (two in a hundred either way)."""
    kept = np.array([_kept(seed) for seed in range(600)])
    assert kept.mean() == pytest.approx(0.8, abs=0.06)


def _kept(seed: int) -> bool:
    noise = 0.02 * np.random.default_rng(seed).standard_normal(18)
    found = measured(2.0 + 0.4 * np.arange(1, 19) / 6 + noise)
    return bool(found.low_per_h[0] <= 0.4 <= found.high_per_h[0])
