"""Checks: each flag means what QARTOD says, and no cutting of a stream changes one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import Bool, ReadingBatch
from sensors.checks import Flagged, flag
from sensors.flags import Check, Flag, pack, roll_up, unpack
from sensors.stations import Sensor
from sensors.window import NEVER, Window
from tests.builders import MINUTE_US, T0_US, batch, cut, registry, station, thorough

REG = registry(station("A", Sensor(quantity="stage_m", suspect=(-0.5, 8.0), rise_suspect_per_h=6.0)), station("B"))
LIMITS = REG.limits


def checked(readings: ReadingBatch, window: Window, conflict: Bool | None = None) -> Flagged:
    none = np.zeros(len(readings), dtype=np.bool_)
    return flag(readings, none if conflict is None else conflict, window, LIMITS)


def flags_of(readings: ReadingBatch, check: Check) -> list[int]:
    found: list[int] = checked(readings, Window.empty(2)).per_check[check].tolist()
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
        (float("nan"), Flag.MISSING),
    ],
)
def test_gross_range_includes_its_edges(value: float, expected: Flag) -> None:
    assert flags_of(batch([value]), Check.GROSS_RANGE) == [expected]


def test_the_first_reading_is_not_compared_in_time() -> None:
    flagged = checked(batch([1.0, 1.0]), Window.empty(2))
    assert flagged.per_check[Check.RATE_OF_CHANGE].tolist() == [Flag.UNKNOWN, Flag.GOOD]
    assert flagged.per_check[Check.GAP].tolist() == [Flag.UNKNOWN, Flag.GOOD]
    assert flagged.flag.tolist() == [Flag.UNKNOWN, Flag.GOOD]


def test_a_jump_is_suspect_and_never_failed() -> None:
    assert flags_of(batch([1.0, 1.09, 1.25, 1.25]), Check.RATE_OF_CHANGE) == [2, 1, 3, 1]


def test_an_isolated_spike_is_suspect_both_ways() -> None:
    assert flags_of(batch([1.0, 3.0, 1.0, 1.0]), Check.RATE_OF_CHANGE) == [2, 3, 3, 1]


def test_a_flood_that_goes_on_rising_is_believed_from_its_second_jump() -> None:
    assert flags_of(batch([1.0, 3.0, 5.0, 7.0, 7.0]), Check.RATE_OF_CHANGE) == [2, 3, 2, 2, 1]


def test_what_contradicts_a_stored_reading_is_suspect_and_no_predecessor() -> None:
    conflict = np.array([False, True, False])
    flagged = checked(batch([1.0, 7.0, 1.05]), Window.empty(2), conflict)
    assert flagged.flag.tolist() == [Flag.UNKNOWN, Flag.SUSPECT, Flag.UNKNOWN]
    assert flagged.per_check[Check.CONFLICT].tolist() == [1, 3, 1]
    assert flagged.fresh.tolist() == [True, False, True]


def test_a_jump_across_a_gap_is_never_good() -> None:
    readings = batch([1.0, 5.0, 5.0], times_us=[T0_US, T0_US + 20 * MINUTE_US, T0_US + 40 * MINUTE_US])
    assert flags_of(readings, Check.RATE_OF_CHANGE) == [Flag.UNKNOWN, Flag.SUSPECT, Flag.UNKNOWN]
    assert flags_of(readings, Check.GAP) == [Flag.UNKNOWN] * 3


def test_a_missing_value_between_does_not_make_a_jump_good() -> None:
    assert flags_of(batch([1.0, float("nan"), 5.0]), Check.RATE_OF_CHANGE) == [2, 9, 3]


def test_sub_second_steps_use_their_real_time() -> None:
    readings = batch([1.0, 1.001], times_us=[T0_US, T0_US + 500_000])
    assert flags_of(readings, Check.RATE_OF_CHANGE) == [Flag.UNKNOWN, Flag.SUSPECT]


def test_a_failed_value_is_no_predecessor() -> None:
    assert flags_of(batch([1.0, 999.0, 1.0]), Check.RATE_OF_CHANGE) == [Flag.UNKNOWN, Flag.UNKNOWN, Flag.UNKNOWN]


def test_a_late_reading_is_kept_but_moves_nothing() -> None:
    readings = batch([1.0, 2.0, 1.05], times_us=[T0_US, T0_US - MINUTE_US, T0_US + MINUTE_US])
    flagged = checked(readings, Window.empty(2))
    assert flagged.fresh.tolist() == [True, False, True]
    assert flagged.per_check[Check.RATE_OF_CHANGE].tolist() == [2, 2, 1]
    assert flagged.window.last_value[0] == 1.05


def test_a_reading_from_the_future_never_blinds_its_station() -> None:
    ahead = ReadingBatch.of(series=[0, 0], time_us=[T0_US + 3600_000_000, T0_US], value=[1, 1], received_us=[T0_US] * 2)
    flagged = checked(ahead, Window.empty(2))
    assert flagged.flag[0] == Flag.SUSPECT
    assert flagged.fresh.tolist() == [False, True]


def test_an_empty_batch_is_a_batch() -> None:
    flagged = checked(batch([]), Window.empty(2))
    assert len(flagged.flag) == 0
    assert (flagged.window.last_us == NEVER).all()


def test_one_good_check_never_hides_an_unknown_one() -> None:
    assert roll_up(np.array([[1, 1, 9], [2, 1, 1]], dtype=np.uint8)).tolist() == [2, 1, 9]


@given(st.lists(st.sampled_from([1, 2, 3, 4, 9]), min_size=len(Check), max_size=len(Check)))
@thorough(100)
def test_packed_flags_come_back(column: list[int]) -> None:
    per_check = np.array(column, dtype=np.uint8)[:, None]
    assert (unpack(pack(per_check)) == per_check).all()


readings_strategy = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(-5, 40),
        st.sampled_from([0.0, 1.0, 1.05, 3.0, 9.0, 999.0, float("nan")]),
        st.integers(-15, 5),
    ),
    max_size=40,
)


@given(readings_strategy, st.lists(st.integers(0, 40), max_size=6))
@thorough(300)
def test_flags_do_not_depend_on_how_the_stream_is_cut(rows: list[tuple[int, int, float, int]], at: list[int]) -> None:
    whole = ReadingBatch.of(
        series=[r[0] for r in rows],
        time_us=[T0_US + r[1] * MINUTE_US for r in rows],
        value=[r[2] for r in rows],
        received_us=[T0_US + (r[1] - r[3]) * MINUTE_US for r in rows],
    )
    once = checked(whole, Window.empty(2))
    window, flags, fresh = Window.empty(2), [], []
    for piece in cut(whole, at):
        answer = checked(piece, window)
        window = answer.window
        flags.append(answer.per_check)
        fresh.append(answer.fresh)
    assert (np.concatenate(flags, axis=1) == once.per_check).all()
    assert (np.concatenate(fresh) == once.fresh).all()
    assert (window.last_us == once.window.last_us).all()
    assert (window.last_jump == once.window.last_jump).all()
    np.testing.assert_array_equal(window.last_value, once.window.last_value)


@given(readings_strategy)
@thorough(200)
def test_flags_equal_a_plain_reading_of_the_rules(rows: list[tuple[int, int, float, int]]) -> None:
    """The vectorised checks against the same sentences written as a loop."""
    whole = ReadingBatch.of(
        series=[r[0] for r in rows],
        time_us=[T0_US + r[1] * MINUTE_US for r in rows],
        value=[r[2] for r in rows],
        received_us=[T0_US + (r[1] - r[3]) * MINUTE_US for r in rows],
    )
    answer = checked(whole, Window.empty(2))
    last: dict[int, tuple[int, float, int]] = {}
    for i, (series, minute, value, _) in enumerate(rows):
        time_us = T0_US + minute * MINUTE_US
        in_range = answer.per_check[Check.GROSS_RANGE, i] < Flag.FAIL
        on_time = time_us <= whole.received_us[i] + 10 * MINUTE_US
        before = last.get(series)
        fresh = bool(in_range and on_time and (before is None or time_us > before[0]))
        assert answer.fresh[i] == fresh
        expected, jump = Flag.UNKNOWN, 0
        if np.isnan(value):
            expected = Flag.MISSING
        elif fresh and before is not None:
            step_h = (time_us - before[0]) / 3.6e9
            limit = LIMITS.rise_suspect_per_h[series]
            if abs(value - before[1]) > limit * step_h:
                jump = 1 if value > before[1] else -1
                expected = Flag.UNKNOWN if jump == before[2] else Flag.SUSPECT
            elif step_h * 60 <= 1.5:
                expected = Flag.GOOD
        assert answer.per_check[Check.RATE_OF_CHANGE, i] == expected
        if fresh:
            last[series] = (time_us, value, jump)
