"""Trends: Theil-Sen over what is remembered, causal, and the same however the stream is cut."""

from dataclasses import fields
from itertools import combinations
from math import ceil, floor, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import Bool, Float64, ReadingBatch
from sensors.trend import SLOTS, Trend, Z, follow, slopes
from sensors.window import NEVER
from tests.builders import MINUTE_US, T0_US, batch, cut, thorough
from tests.sensors.plain import PlainTrend, theil

HOUR_US = 60 * MINUTE_US
START_US = T0_US // HOUR_US * HOUR_US
SPAN_US, CADENCE_US = 3 * HOUR_US, 5 * MINUTE_US
ALWAYS = -np.inf


def followed(
    readings: ReadingBatch,
    trend: Trend | None = None,
    *,
    usable: Bool | None = None,
    gate: float = ALWAYS,
    wanted: bool = True,
    span_us: int = SPAN_US,
    cadence_us: int = CADENCE_US,
) -> tuple[Float64, Trend]:
    size = 3
    return follow(
        readings,
        np.isfinite(readings.value) if usable is None else usable,
        Trend.empty(size) if trend is None else trend,
        span_us=np.full(size, span_us),
        cadence_us=np.full(size, cadence_us),
        gate_per_h=np.full(size, gate),
        wanted=np.full(size, wanted),
    )


def every_five_minutes(values: list[float]) -> ReadingBatch:
    return batch(values, start_us=START_US, step_us=CADENCE_US)


def rising(n: int, per_h: float) -> list[float]:
    return [1.0 + per_h * k / 12 for k in range(n)]


def test_a_steady_rise_is_told_once_half_the_span_is_covered() -> None:
    rise, _ = followed(every_five_minutes(rising(40, 0.6)))
    assert np.isnan(rise[:18]).all()
    np.testing.assert_allclose(rise[18:], 0.6)


def test_a_quarter_of_outliers_does_not_move_the_slope_much() -> None:
    values = np.array(rising(37, 0.6))
    values[::4] += 3.0
    values[-1] = rising(37, 0.6)[-1]
    rise, _ = followed(every_five_minutes(values.tolist()))
    assert 0.3 < rise[-1] < 0.9
    assert abs((values[-1] - values[0]) / 3) > 0.39, "newest minus oldest is fooled"


def test_below_the_gate_the_cheap_slope_is_the_answer() -> None:
    bent = [*rising(36, 0.0), 1.3]
    cheap = 0.3 / (36 * 5 / 60)
    assert followed(every_five_minutes(bent), gate=0.2)[0][-1] == pytest.approx(cheap)
    assert followed(every_five_minutes(bent), gate=0.05)[0][-1] == 0.0


def test_nothing_is_told_that_was_not_asked_for_but_all_is_remembered() -> None:
    rise, trend = followed(every_five_minutes(rising(40, 0.6)), wanted=False)
    assert np.isnan(rise).all()
    assert (trend.slot_time_us[0] != NEVER).sum() == SLOTS
    assert trend.last_us[0] == START_US + 39 * CADENCE_US


def test_without_a_span_nothing_is_remembered() -> None:
    before = Trend.empty(3)
    rise, trend = followed(every_five_minutes(rising(40, 0.6)), before, span_us=0)
    assert np.isnan(rise).all()
    assert trend is before


@pytest.mark.parametrize(
    ("cadence_min", "missing", "told"),
    [(5, range(30, 32), True), (5, range(30, 36), False), (10, range(30, 32), True), (10, range(30, 33), False)],
)
def test_a_silence_among_the_readings_takes_the_slope_away(cadence_min: int, missing: range, told: bool) -> None:
    usable = np.array([k not in missing for k in range(40)])
    step_us = cadence_min * MINUTE_US
    readings = batch(rising(40, 0.6), start_us=START_US, step_us=step_us)
    rise, _ = followed(readings, usable=usable, cadence_us=step_us)
    assert np.isfinite(rise[-1]) == told
    assert np.isnan(rise[~usable]).all()


def test_after_a_long_silence_the_old_readings_are_out_of_the_span() -> None:
    _, trend = followed(every_five_minutes(rising(40, 0.6)))
    late = batch([9.0], start_us=START_US + 10 * HOUR_US)
    assert np.isnan(followed(late, trend)[0]).all()


def test_one_reading_of_each_slot_is_remembered_its_first() -> None:
    readings = batch([float(k) for k in range(60)], start_us=START_US, step_us=MINUTE_US)
    _, trend = followed(readings, cadence_us=MINUTE_US)
    held = trend.slot_value[0][np.isfinite(trend.slot_value[0])]
    assert held.tolist() == [0.0, 8.0, 15.0, 23.0, 30.0, 38.0, 45.0, 53.0]  # slots of 7.5 minutes
    assert trend.last_value[0] == 59.0


def test_the_interval_is_the_one_of_sen() -> None:
    """Against the formula written out: ranks (N -+ C) / 2 of the ordered slopes, C = z sqrt(var S)."""
    values = [1.0, 1.2, 1.1, 1.5, 1.5, 1.9, 1.7, 2.2, 2.1, 2.6, 2.5, 2.9]
    readings = every_five_minutes(values)
    _, trend = followed(readings, span_us=HOUR_US)
    found = slopes(trend, np.array([0, 1]), int(readings.time_us[-1]), span_us=np.full(3, HOUR_US))
    points = list(zip(readings.time_us.tolist(), values, strict=True))
    ordered = sorted((b[1] - a[1]) / ((b[0] - a[0]) / HOUR_US) for a, b in combinations(points, 2))
    n, ties = len(values), 2 * 1 * 9
    reach = Z * sqrt((n * (n - 1) * (2 * n + 5) - ties) / 18)
    assert found.rise_per_h[0] == pytest.approx(theil(points))
    assert found.low_per_h[0] == pytest.approx(ordered[floor((len(ordered) - reach) / 2) - 1])
    assert found.high_per_h[0] == pytest.approx(ordered[ceil((len(ordered) + reach) / 2)])
    assert found.low_per_h[0] < found.rise_per_h[0] < found.high_per_h[0]
    assert found.last_us.tolist() == [readings.time_us[-1], NEVER]
    assert np.isnan([found.rise_per_h[1], found.low_per_h[1], found.high_per_h[1], found.last_value[1]]).all()


def test_four_readings_have_no_slope_and_a_flat_river_has_one_of_zero() -> None:
    now_us = START_US + HOUR_US
    few, flat = every_five_minutes([1.0, 1.1, 1.2, 1.3]), every_five_minutes([1.0] * 12)
    assert np.isnan(slopes(followed(few)[1], np.array([0]), now_us, span_us=np.full(3, SPAN_US)).rise_per_h[0])
    found = slopes(followed(flat)[1], np.array([0]), now_us, span_us=np.full(3, SPAN_US))
    assert (found.rise_per_h[0], found.low_per_h[0], found.high_per_h[0]) == (0.0, 0.0, 0.0)
    long_after = slopes(followed(flat)[1], np.array([0]), now_us + 4 * HOUR_US, span_us=np.full(3, SPAN_US))
    assert np.isnan(long_after.rise_per_h[0])


def test_the_interval_holds_the_true_slope_about_four_times_in_five() -> None:
    rng, held, tries = np.random.default_rng(7), 0, 400
    for _ in range(tries):
        readings = every_five_minutes((np.array(rising(24, 0.5)) + rng.normal(0, 0.05, 24)).tolist())
        found = slopes(
            followed(readings, wanted=False)[1],
            np.array([0]),
            int(readings.time_us[-1]),
            span_us=np.full(3, SPAN_US),
        )
        held += bool(found.low_per_h[0] <= 0.5 <= found.high_per_h[0])
    assert 0.74 < held / tries < 0.90


rows_strategy = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([1, 3, 5, 5, 5, 6, 11, 14, 40, 400]),  # minutes after the reading before of its series
        st.integers(0, 40),
        st.booleans() | st.just(True),
        st.integers(1, 1) | st.integers(1, 40),  # so many times, each higher than the one before
    ),
    max_size=12,
)
Rows = list[tuple[int, int, int, bool, int]]


def drawn(runs: Rows) -> tuple[ReadingBatch, Bool]:
    rows = [(*run[:4], k) for run in runs for k in range(run[4])]
    at, times = dict.fromkeys(range(3), START_US), []
    for series, minutes, *_ in rows:
        at[series] += minutes * MINUTE_US
        times.append(at[series])
    values = [(r[2] + r[4]) / 10 for r in rows]
    readings = batch(values, series=[r[0] for r in rows], times_us=times)
    return readings, np.array([r[3] for r in rows], dtype=np.bool_)


@given(rows_strategy, st.lists(st.integers(0, 200), max_size=6), st.sampled_from([ALWAYS, 0.0, 0.5]))
@thorough(200)
def test_trends_do_not_depend_on_how_the_stream_is_cut(rows: Rows, at: list[int], gate: float) -> None:
    whole, usable = drawn(rows)
    empty = Trend.empty(3)
    rise, once = followed(whole, empty, usable=usable, gate=gate)
    trend, found, done = empty, [], 0
    for piece in cut(whole, at):
        part, trend = followed(piece, trend, usable=usable[done : done + len(piece)], gate=gate)
        done += len(piece)
        found.append(part)
    np.testing.assert_array_equal(np.concatenate(found), rise)
    for f in fields(Trend):
        np.testing.assert_array_equal(getattr(trend, f.name), getattr(once, f.name), err_msg=f.name)
        np.testing.assert_array_equal(getattr(empty, f.name), getattr(Trend.empty(3), f.name))


@given(rows_strategy, st.sampled_from([ALWAYS, 0.0, 0.5]))
@thorough(200)
def test_trends_equal_a_plain_reading_of_the_rule(rows: Rows, gate: float) -> None:
    whole, usable = drawn(rows)
    rise, _ = followed(whole, usable=usable, gate=gate)
    plain = [PlainTrend(SPAN_US, CADENCE_US, gate) for _ in range(3)]
    expected = [
        plain[series].rise(time_us, value) if used else np.nan
        for series, time_us, value, used in zip(
            whole.series.tolist(), whole.time_us.tolist(), whole.value.tolist(), usable.tolist(), strict=True
        )
    ]
    np.testing.assert_allclose(rise, expected, rtol=1e-9, atol=1e-12)
