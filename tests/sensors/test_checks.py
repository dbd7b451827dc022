"""Checks: each flag means what QARTOD says, and no cutting of a stream changes one."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import Bool, ReadingBatch
from sensors.checks import Flagged, flag
from sensors.flags import Check, Flag, Flags, pack, roll_up, unpack
from sensors.sensor import Season, Sensor
from sensors.window import NEVER, Window
from tests.builders import MINUTE_US, T0_US, batch, cut, registry, station, thorough
from tests.sensors.plain import plain_flags

RISING = Sensor(quantity="stage_m", suspect=(-0.5, 8.0), rise_suspect_per_h=6.0, spike=0.0)
LEAPING = Sensor(quantity="stage_m", spike=0.5)
STANDING = Sensor(quantity="stage_m", spike=0.5, flat_eps=0.05, flat_suspect_s=180, flat_fail_s=360)
RARE = Sensor(quantity="rain_mm")
CALM = Sensor(
    quantity="stage_m",
    flat_suspect_s=0,
    flat_fail_s=0,
    calm_range=0.1,
    calm_s=240,
    season=(
        Season(months=(11,), low=0.0, high=1.06, source="test"),
        Season(months=(12,), low=0, high=9, source="test"),
    ),
)
AMOUNT = Sensor(quantity="rain_mm", calm_s=180)
REG = registry(
    *(station(id, one) for id, one in zip("ABCDEF", (RISING, LEAPING, STANDING, RARE, CALM, AMOUNT), strict=True))
)
LIMITS = REG.limits
RATED, SPIKED, FLATTED, RARELY, CALMED, REPEATED = range(6)
EMPTY = Window.empty(6)
NAN = float("nan")


def checked(
    readings: ReadingBatch, window: Window = EMPTY, conflict: Bool | None = None, clock: Flags | None = None
) -> Flagged:
    none, good = np.zeros(len(readings), dtype=np.bool_), np.ones(len(readings), dtype=np.uint8)
    return flag(readings, none if conflict is None else conflict, good if clock is None else clock, window, LIMITS)


def flags_of(readings: ReadingBatch, check: Check) -> list[int]:
    found: list[int] = checked(readings).per_check[check].tolist()
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-5.0, Flag.SUSPECT),
        (-5.01, Flag.FAIL),
        (-0.51, Flag.SUSPECT),
        (-0.5, Flag.GOOD),
        (8.0, Flag.GOOD),
        (8.01, Flag.SUSPECT),
        (40.01, Flag.FAIL),
        (NAN, Flag.MISSING),
    ],
)
def test_gross_range_includes_its_edges(value: float, expected: Flag) -> None:
    assert flags_of(batch([value]), Check.GROSS_RANGE) == [expected]


def test_the_first_reading_is_not_compared_in_time() -> None:
    flagged = checked(batch([1.0, 1.0]), EMPTY)
    assert flagged.per_check[Check.RATE_OF_CHANGE].tolist() == [Flag.UNKNOWN, Flag.GOOD]
    assert flagged.per_check[Check.GAP].tolist() == [Flag.UNKNOWN, Flag.GOOD]
    assert flagged.flag.tolist() == [Flag.UNKNOWN, Flag.GOOD]


def test_a_jump_is_suspect_and_never_failed() -> None:
    assert flags_of(batch([1.0, 1.09, 1.25, 1.25]), Check.RATE_OF_CHANGE) == [2, 1, 3, 1]


@pytest.mark.parametrize("spike", [3.0, -0.4])
def test_only_an_isolated_spike_is_doubted_and_the_reading_after_it_is_good(spike: float) -> None:
    assert flags_of(batch([1.0, 1.0, spike, 1.05, 1.05]), Check.RATE_OF_CHANGE) == [2, 1, 3, 1, 1]
    assert flags_of(batch([1.0, 1.0, spike, 1.05, 1.05], series=SPIKED), Check.SPIKE) == [2, 1, 2, 1, 1]
    assert checked(batch([1.0, 1.0, spike, 1.05, 1.05])).flag.tolist() == [2, 1, 3, 1, 1]


def test_a_value_that_swings_to_and_fro_is_doubted_at_every_other_reading() -> None:
    assert flags_of(batch([1.0, 3.0, 1.0, 3.0, 1.0, 3.0]), Check.RATE_OF_CHANGE) == [2, 3, 1, 3, 1, 3]


def test_a_spike_of_two_samples_is_a_step_up_and_a_step_down() -> None:
    assert flags_of(batch([1.0, 3.0, 3.0, 1.0, 1.0]), Check.RATE_OF_CHANGE) == [2, 3, 1, 3, 1]


@pytest.mark.parametrize("series", [RATED, SPIKED])
def test_a_step_is_never_failed_and_usable_from_its_second_sample(series: int) -> None:
    first = Flag.SUSPECT if series == RATED else Flag.UNKNOWN
    assert checked(batch([1.0, 1.0, 7.9, 7.9, 7.9], series=series)).flag.tolist() == [2, 1, first, 1, 1]


def test_a_flood_front_waits_at_its_first_sample_and_passes_from_its_second() -> None:
    assert checked(batch([1.0, 1.0, 2.0, 3.0, 4.0, 4.0])).flag.tolist() == [2, 1, 3, 2, 2, 1]
    assert checked(batch([1.0, 1.0, 2.0, 3.0, 4.0, 4.0], series=SPIKED)).flag.tolist() == [2, 1, 2, 2, 2, 1]


@pytest.mark.parametrize("after", [4, 31])
def test_a_spike_right_after_a_gap_is_not_good_and_what_returns_is_compared_across_it(after: int) -> None:
    times = [T0_US + m * MINUTE_US for m in (0, 1, after, after + 1, after + 2)]
    flagged = checked(batch([1.0, 1.0, 7.0, 1.0, 1.0], times_us=times))
    assert flagged.per_check[Check.RATE_OF_CHANGE].tolist() == [2, 1, 3, 2, 1]
    assert flagged.per_check[Check.GAP].tolist() == [2, 1, 2, 1, 1]


def test_a_missing_value_between_spike_and_return_is_a_gap_and_no_doubt() -> None:
    assert flags_of(batch([1.0, 1.0, 3.0, NAN, 1.0, 1.0]), Check.RATE_OF_CHANGE) == [2, 1, 3, 9, 2, 1]


def test_a_change_is_not_a_return_when_it_stops_half_way() -> None:
    assert flags_of(batch([1.0, 1.0, 5.0, 3.0, 3.0]), Check.RATE_OF_CHANGE) == [2, 1, 3, 3, 1]


def test_a_flood_that_goes_on_rising_is_believed_from_its_second_jump() -> None:
    assert flags_of(batch([1.0, 3.0, 5.0, 7.0, 7.0]), Check.RATE_OF_CHANGE) == [2, 3, 2, 2, 1]


def test_what_contradicts_a_stored_reading_is_suspect_and_no_predecessor() -> None:
    conflict = np.array([False, True, False])
    flagged = checked(batch([1.0, 7.0, 1.05]), EMPTY, conflict)
    assert flagged.flag.tolist() == [Flag.UNKNOWN, Flag.SUSPECT, Flag.UNKNOWN]
    assert flagged.per_check[Check.CONFLICT].tolist() == [1, 3, 1]
    assert flagged.fresh.tolist() == [True, False, True]


def test_a_jump_across_a_gap_is_never_good() -> None:
    readings = batch([1.0, 5.0, 5.0], times_us=[T0_US, T0_US + 20 * MINUTE_US, T0_US + 40 * MINUTE_US])
    assert flags_of(readings, Check.RATE_OF_CHANGE) == [Flag.UNKNOWN, Flag.SUSPECT, Flag.UNKNOWN]
    assert flags_of(readings, Check.GAP) == [Flag.UNKNOWN] * 3


def test_a_missing_value_between_does_not_make_a_jump_good() -> None:
    assert flags_of(batch([1.0, NAN, 5.0]), Check.RATE_OF_CHANGE) == [2, 9, 3]


def test_sub_second_steps_use_their_real_time() -> None:
    readings = batch([1.0, 1.001], times_us=[T0_US, T0_US + 500_000])
    assert flags_of(readings, Check.RATE_OF_CHANGE) == [Flag.UNKNOWN, Flag.SUSPECT]


def test_a_failed_value_is_no_predecessor() -> None:
    assert flags_of(batch([1.0, 999.0, 1.0]), Check.RATE_OF_CHANGE) == [Flag.UNKNOWN, Flag.UNKNOWN, Flag.UNKNOWN]


def test_a_late_reading_is_kept_but_moves_nothing() -> None:
    readings = batch([1.0, 2.0, 1.05], times_us=[T0_US, T0_US - MINUTE_US, T0_US + MINUTE_US])
    flagged = checked(readings, EMPTY)
    assert flagged.fresh.tolist() == [True, False, True]
    assert flagged.per_check[Check.RATE_OF_CHANGE].tolist() == [2, 2, 1]
    assert flagged.window.last_value[0] == 1.05


def test_a_reading_whose_clock_is_doubted_never_blinds_its_station() -> None:
    ahead = batch([1, 1], times_us=[T0_US + 3600_000_000, T0_US])
    flagged = checked(ahead, clock=np.array([Flag.SUSPECT, Flag.UNKNOWN], dtype=np.uint8))
    assert flagged.per_check[Check.CLOCK].tolist() == [Flag.SUSPECT, Flag.UNKNOWN]
    assert flagged.flag.tolist() == [Flag.SUSPECT, Flag.UNKNOWN]
    assert flagged.fresh.tolist() == [False, True]


@pytest.mark.parametrize(("value", "expected"), [(1.0, 1), (1.07, 3), (-0.01, 3), (-5.01, 4), (NAN, 9)])
def test_what_a_station_does_not_show_in_this_month_is_doubted_and_never_failed(value: float, expected: int) -> None:
    assert flags_of(batch([value], series=CALMED), Check.GROSS_RANGE) == [expected]


def test_a_month_ends_at_midnight_in_thailand() -> None:
    midnight_us = T0_US - 50 * MINUTE_US - 6 * 60 * MINUTE_US + 9 * 24 * 60 * MINUTE_US - 7 * 60 * MINUTE_US
    readings = batch([5.0, 5.0], series=CALMED, times_us=[midnight_us - 1, midnight_us])
    assert flags_of(readings, Check.GROSS_RANGE) == [Flag.SUSPECT, Flag.GOOD]


def test_a_signal_that_moves_too_little_for_too_long_is_doubted() -> None:
    faint = [1.0, 1.04, 1.01, 1.03, 1.02, 1.04, 1.0]
    assert flags_of(batch(faint, series=CALMED), Check.FLAT_LINE) == [1, 1, 1, 1, 3, 3, 3]
    lively = [1.0, 1.04, 1.25, 1.03, 1.02, 1.3, 1.0]
    assert flags_of(batch(lively, series=CALMED), Check.FLAT_LINE) == [1] * 7


def test_an_amount_that_repeats_is_doubted_and_no_rain_is_not() -> None:
    assert flags_of(batch([0.4] * 6 + [0.6], series=REPEATED), Check.FLAT_LINE) == [1, 1, 1, 3, 3, 3, 1]
    assert flags_of(batch([0.0] * 9, series=REPEATED), Check.FLAT_LINE) == [1] * 9


def test_the_same_rain_for_half_a_day_is_doubted_at_its_default_settings() -> None:
    hours = batch([1.2] * 30, series=RARELY, step_us=MINUTE_US)
    assert Flag.SUSPECT not in flags_of(hours, Check.FLAT_LINE)
    long = batch([1.2] * 800, series=RARELY, step_us=MINUTE_US)
    assert flags_of(long, Check.FLAT_LINE) == [1] * 720 + [3] * 80


@pytest.mark.parametrize("series", range(6))
def test_a_batch_may_hold_one_series_alone(series: int) -> None:
    """Also where others of the registry have checks that it has not."""
    assert checked(batch([1.0, 1.01, 1.02], series=series)).flag.max() <= Flag.UNKNOWN


def test_an_empty_batch_is_a_batch() -> None:
    flagged = checked(batch([]), EMPTY)
    assert len(flagged.flag) == 0
    assert (flagged.window.last_us == NEVER).all()


def test_one_good_check_never_hides_an_unknown_one() -> None:
    assert roll_up(np.array([[1, 1, 9], [2, 1, 1]], dtype=np.uint8)).tolist() == [2, 1, 9]


@given(st.lists(st.sampled_from([1, 2, 3, 4, 9]), min_size=len(Check), max_size=len(Check)))
@thorough(100)
def test_packed_flags_come_back(column: list[int]) -> None:
    per_check = np.array(column, dtype=np.uint8)[:, None]
    assert (unpack(pack(per_check)) == per_check).all()


VALUES = [0.0, 0.04, 1.0, 1.05, 1.09, 1.55, 3.0, 9.0, 999.0, NAN]
rows_strategy = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(1, 4) | st.integers(-6, 40),  # minutes after the row before
        st.sampled_from(VALUES),
        st.sampled_from([1, 1, 1, 2, 3]),
        st.sampled_from([False, False, False, True]),
        st.integers(1, 1) | st.integers(1, 9),  # so many times one after the other
    ),
    max_size=40,
)
Rows = list[tuple[int, int, float, int, bool, int]]


def drawn(runs: Rows) -> tuple[ReadingBatch, Bool, Flags]:
    rows = [run for run in runs for _ in range(run[5])]
    minutes = np.cumsum([r[1] for r in rows], dtype=np.int64) // 2
    readings = batch([r[2] for r in rows], series=[r[0] for r in rows], times_us=(T0_US + minutes * MINUTE_US).tolist())
    return readings, np.array([r[4] for r in rows], dtype=np.bool_), np.array([r[3] for r in rows], dtype=np.uint8)


def columns(window: Window) -> list[np.ndarray]:
    return [getattr(window, f.name) for f in fields(window)]


@given(rows_strategy, st.lists(st.integers(0, 120), max_size=6))
@thorough(300)
def test_flags_do_not_depend_on_how_the_stream_is_cut(rows: Rows, at: list[int]) -> None:
    whole, conflict, clock = drawn(rows)
    given_columns = [c.copy() for c in columns(EMPTY)]
    once = checked(whole, EMPTY, conflict, clock)
    window, flags, fresh, done = EMPTY, [], [], 0
    for piece in cut(whole, at):
        answer = checked(piece, window, conflict[done : done + len(piece)], clock[done : done + len(piece)])
        window, done = answer.window, done + len(piece)
        flags.append(answer.per_check)
        fresh.append(answer.fresh)
    assert (np.concatenate(flags, axis=1) == once.per_check).all()
    assert (np.concatenate(fresh) == once.fresh).all()
    for cut_column, column, empty, before in zip(
        columns(window), columns(once.window), columns(EMPTY), given_columns, strict=True
    ):
        np.testing.assert_array_equal(cut_column, column)
        np.testing.assert_array_equal(empty, before)


@given(rows_strategy)
@thorough(300)
def test_flags_equal_a_plain_reading_of_the_rules(rows: Rows) -> None:
    whole, conflict, clock = drawn(rows)
    answer = checked(whole, EMPTY, conflict, clock)
    found = np.vstack([answer.per_check, answer.fresh]).T.tolist() if rows else []
    assert found == plain_flags(whole, conflict.tolist(), clock.tolist(), LIMITS)
