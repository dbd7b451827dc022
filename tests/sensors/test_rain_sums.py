"""Rain of a window: never more than fell, unknown where nobody listened, the same however the stream is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import Bool, Int64, ReadingBatch
from sensors.rain.sums import NM_PER_MM, SILENCE_CADENCES, SLOTS, RainState, Sums, follow, of_history
from tests.builders import MINUTE_US, T0_US, batch, cut, thorough

HOUR_US = 60 * MINUTE_US
CADENCE_US = 5 * MINUTE_US
START_US = T0_US // HOUR_US * HOUR_US
SERIES = 2


def summed(
    readings: ReadingBatch, state: RainState | None = None, *, usable: Bool | None = None, window_us: int = HOUR_US
) -> tuple[Sums, RainState]:
    return follow(
        readings,
        np.isfinite(readings.value) if usable is None else usable,
        RainState.empty(SERIES) if state is None else state,
        window_us=np.full(SERIES, window_us),
        cadence_us=np.full(SERIES, CADENCE_US),
    )


def told(readings: ReadingBatch, now_us: int, *windows_us: int) -> Sums:
    """By the screens' way, of the one series there is."""
    return of_history(
        readings.time_us,
        readings.value,
        np.isfinite(readings.value),
        now_us,
        window_us=np.array(windows_us or (HOUR_US,)),
        cadence_us=CADENCE_US,
    )


def every_five_minutes(values: list[float], *, start_us: int = START_US) -> ReadingBatch:
    return batch(values, start_us=start_us, step_us=CADENCE_US)


def test_an_hour_holds_its_twelve_readings_and_no_more() -> None:
    sums, _ = summed(every_five_minutes([float(k) for k in range(30)]))
    np.testing.assert_allclose(sums.fell_mm[11:], [sum(range(k - 11, k + 1)) for k in range(11, 30)])
    np.testing.assert_allclose(sums.covered[11:], 1.0)


def test_a_clock_a_second_late_loses_a_second_of_rain_and_not_a_reading() -> None:
    whole = every_five_minutes([1.0] * 13)
    late = batch([1.0] * 13, times_us=[*whole.time_us[:12].tolist(), int(whole.time_us[12]) + 1_000_000])
    sums, _ = summed(late)
    assert sums.fell_mm[12] == pytest.approx(12 - 1 / 300)


def test_a_gauge_that_just_began_is_not_said_to_be_dry() -> None:
    sums, _ = summed(every_five_minutes([0.0] * 12))
    assert np.isnan(sums.complete_mm()[:8]).all()
    assert (sums.complete_mm()[8:] == 0).all()


def test_rain_of_a_gauge_that_just_began_is_known_all_the_same() -> None:
    sums, _ = summed(every_five_minutes([20.0, 25.0]))
    assert sums.fell_mm.tolist() == [20.0, 45.0]
    assert np.isnan(sums.complete_mm()).all()


def test_what_came_after_a_silence_counts_only_where_the_whole_silence_lies_in_the_window() -> None:
    silence_us = 3 * HOUR_US
    first = every_five_minutes([0.0] * 12)
    after = int(first.time_us[-1]) + silence_us
    readings = batch([0.0] * 12 + [30.0, 1.0], times_us=[*first.time_us.tolist(), after, after + CADENCE_US])
    hour, _ = summed(readings)
    six, _ = summed(readings, window_us=6 * HOUR_US)
    assert hour.fell_mm[-2:].tolist() == [0.0, 1.0]
    assert hour.covered[-2:].tolist() == pytest.approx([0.0, 1 / 12])
    assert six.fell_mm[-2:].tolist() == [30.0, 31.0]


def test_a_dense_gauge_forgets_at_most_a_slot_early() -> None:
    seconds = 10
    readings = batch([0.01] * 720, start_us=START_US, step_us=seconds * 1_000_000)
    sums, _ = follow(
        readings,
        np.isfinite(readings.value),
        RainState.empty(SERIES),
        window_us=np.full(SERIES, HOUR_US),
        cadence_us=np.full(SERIES, seconds * 1_000_000),
    )
    full = 3.6
    assert (sums.fell_mm <= full + 1e-9).all()
    assert (sums.fell_mm[360:] >= full * (1 - 1 / SLOTS) - 0.01).all()


def test_now_the_windows_go_on_without_readings() -> None:
    readings = every_five_minutes([2.0] * 12)
    last_us = START_US + 11 * CADENCE_US

    def at(now_us: int) -> tuple[float, float]:
        asked = told(readings, now_us)
        return float(asked.fell_mm[0]), float(asked.covered[0])

    assert at(last_us) == pytest.approx((24.0, 1.0))
    assert at(last_us + 30 * MINUTE_US) == pytest.approx((12.0, 0.5))
    assert at(last_us + 2 * HOUR_US) == (0.0, 0.0)


def test_a_series_without_a_window_costs_nothing_and_says_nothing() -> None:
    readings = every_five_minutes([1.0] * 5)
    before = RainState.empty(SERIES)
    sums, after = follow(
        readings,
        np.ones(5, dtype=np.bool_),
        before,
        window_us=np.zeros(SERIES, dtype=np.int64),
        cadence_us=np.full(SERIES, CADENCE_US),
    )
    assert np.isnan(sums.fell_mm).all()
    assert after is before


def columns(state: RainState) -> list[Int64]:
    """All that is remembered."""
    return [state.slots.fields, state.slots.count, state.last_us, state.fell_nm, state.covered_us]


steps = st.integers(min_value=1, max_value=40 * 60).map(lambda s: s * 1_000_000)
amounts = st.one_of(st.floats(min_value=0, max_value=60), st.just(0.0), st.just(float("nan")))
streams = st.lists(st.tuples(steps, amounts, st.integers(0, 1)), min_size=1, max_size=60)
windows = st.sampled_from([5 * MINUTE_US, HOUR_US, 3 * HOUR_US, 24 * HOUR_US])


def stream(rows: list[tuple[int, float, int]]) -> ReadingBatch:
    times = START_US + np.cumsum([step for step, _, _ in rows])
    return batch([mm for _, mm, _ in rows], times_us=times.tolist(), series=[s for _, _, s in rows])


@given(rows=streams, window_us=windows, cuts=st.lists(st.integers(0, 60), max_size=4))
@thorough(40)
def test_any_cutting_gives_the_same(rows: list[tuple[int, float, int]], window_us: int, cuts: list[int]) -> None:
    readings = stream(rows)
    whole, state = summed(readings, window_us=window_us)
    fell, covered, kept = [], [], RainState.empty(SERIES)
    for part in cut(readings, cuts):
        sums, kept = summed(part, kept, window_us=window_us)
        fell.append(sums.fell_mm)
        covered.append(sums.covered)
    np.testing.assert_array_equal(np.concatenate(fell), whole.fell_mm)
    np.testing.assert_array_equal(np.concatenate(covered), whole.covered)
    for one, other in zip(columns(kept), columns(state), strict=True):
        np.testing.assert_array_equal(one, other)


def plain(readings: ReadingBatch, row: int, window_us: int) -> tuple[float, float]:
    """All that the readings of a window say, and what of it fell between readings inside the window for sure."""
    edge = int(readings.time_us[row]) - window_us
    most = sure = 0.0
    before: int | None = None
    for series, time, mm in zip(readings.series[: row + 1], readings.time_us.tolist(), readings.value, strict=False):
        if series != readings.series[row] or np.isnan(mm):
            continue
        begin = time - CADENCE_US if before is None else before
        length_us, before = time - begin, time
        if time <= edge:
            continue
        if begin >= edge:
            most, sure = most + mm, sure + mm
        elif length_us <= SILENCE_CADENCES * CADENCE_US:
            most += mm * (time - edge) / length_us
    return most, sure


def test_a_ring_that_has_gone_round_twice_gives_the_same_however_it_is_cut() -> None:
    values = np.random.default_rng(8).gamma(0.3, 1.0, 600).round(1).tolist()
    readings = batch(values, start_us=START_US, step_us=MINUTE_US, series=[k % 2 for k in range(600)])
    whole, state = summed(readings)
    for at in ([300], [1, 2, 3, 250, 251], list(range(0, 600, 7))):
        parts, kept = [], RainState.empty(SERIES)
        for part in cut(readings, at):
            sums, kept = summed(part, kept)
            parts.append(sums.fell_mm)
        np.testing.assert_array_equal(np.concatenate(parts), whole.fell_mm)
        for one, other in zip(columns(kept), columns(state), strict=True):
            np.testing.assert_array_equal(one, other)
    assert state.slots.count.min() > 2 * (SLOTS + 1)


@given(rows=streams, window_us=windows)
@thorough(60)
def test_a_sum_never_exceeds_what_fell(rows: list[tuple[int, float, int]], window_us: int) -> None:
    readings = stream(rows)
    sums, _ = summed(readings, window_us=window_us)
    for row in np.flatnonzero(np.isfinite(readings.value)).tolist():
        most, _ = plain(readings, row, window_us)
        assert sums.fell_mm[row] <= most + len(rows) / NM_PER_MM
        slot_earlier = plain(readings, row, window_us - -(-window_us // SLOTS))[1]
        assert sums.fell_mm[row] >= slot_earlier - len(rows) / NM_PER_MM
    assert ((sums.covered >= 0) & (sums.covered <= 1) | np.isnan(sums.covered)).all()


@given(rows=streams, more=st.floats(min_value=0, max_value=20), at=st.integers(0, 59))
@thorough(40)
def test_more_rain_never_makes_a_smaller_sum(rows: list[tuple[int, float, int]], more: float, at: int) -> None:
    readings = stream(rows)
    wetter = readings.value.copy()
    wetter[at % len(rows)] += more
    heavier = batch(wetter.tolist(), times_us=readings.time_us.tolist(), series=readings.series.tolist())
    less, _ = summed(readings)
    greater, _ = summed(heavier)
    assert not (greater.fell_mm < less.fell_mm - 1e-6).any()


@given(rows=streams)
@thorough(60)
def test_screens_and_judgement_agree_to_a_slot(rows: list[tuple[int, float, int]]) -> None:
    readings = stream([(step, mm, 0) for step, mm, _ in rows])
    hour, day = summed(readings)[0], summed(readings, window_us=24 * HOUR_US)[0]
    for row in np.flatnonzero(np.isfinite(readings.value)).tolist():
        sums = told(readings[: row + 1], int(readings.time_us[row]), HOUR_US, 24 * HOUR_US)
        most = plain(readings, row, HOUR_US)[0], plain(readings, row, 24 * HOUR_US)[0]
        np.testing.assert_allclose(sums.fell_mm, most, atol=1e-4)
        for k, followed in enumerate((hour, day)):
            assert followed.fell_mm[row] <= sums.fell_mm[k] + 1e-9
            assert followed.covered[row] == pytest.approx(sums.covered[k], abs=1 / SLOTS + 1e-9)


def test_a_gauge_that_was_never_heard_has_no_rain_and_no_cover() -> None:
    sums = told(every_five_minutes([]), START_US)
    assert (sums.fell_mm.tolist(), sums.covered.tolist()) == ([0.0], [0.0])
