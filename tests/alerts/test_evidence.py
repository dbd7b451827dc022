"""Ladders: when a level is entered, kept and left; the same however the stream is cut."""

from collections.abc import Sequence
from dataclasses import fields
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import evidence
from alerts.evidence import NOT_HELD, LadderState, LevelChanges, known
from alerts.ladders import Ladders
from alerts.rules import compile_rules
from sensors.batch import Bool, ReadingBatch
from tests.alerts.rises import rise_rule
from tests.builders import MINUTE_US, T0_US, batch, cut, level_rule, registry, rule_set, station, thorough


def weigh(
    readings: ReadingBatch, listened: Bool, state: LadderState, ladders: Ladders
) -> tuple[LadderState, LevelChanges]:
    """Of ladders that listen to the value."""
    return evidence.weigh(readings, listened, np.full(len(readings), np.nan), state, ladders)


REG = registry(station("A"), station("B"))
LADDERS = rule_set(REG).ladders


def levels(readings: ReadingBatch, ladders: Ladders = LADDERS) -> list[tuple[int, int, int]]:
    """(minute, from, to) of each change of the first ladder."""
    _, changes = weigh(readings, np.ones(len(readings), dtype=bool), LadderState.empty(len(ladders)), ladders)
    minutes = (readings.time_us[changes.row] - T0_US) // MINUTE_US
    return list(zip(minutes.tolist(), changes.from_level.tolist(), changes.to_level.tolist(), strict=True))


def test_a_level_is_entered_after_it_was_held() -> None:
    assert levels(batch([1.9, 2.0, 2.0])) == [(2, 0, 1)]


def test_one_reading_above_the_line_is_not_enough() -> None:
    assert levels(batch([1.9, 2.5, 1.9, 2.5, 1.9])) == []


def test_up_may_skip_levels() -> None:
    assert levels(batch([1.0, 4.5, 4.5])) == [(2, 0, 3)]


def test_down_goes_one_level_at_a_time_each_with_its_own_dwell() -> None:
    assert levels(batch([4.5, 4.5] + [0.5] * 20)) == [(1, 0, 3), (7, 3, 2), (12, 2, 1), (17, 1, 0)]


def test_a_value_between_leave_and_enter_keeps_the_level() -> None:
    assert levels(batch([2.1, 2.1] + [1.9] * 30)) == [(1, 0, 1)]


def test_touching_the_leave_line_starts_the_dwell_again() -> None:
    assert levels(batch([2.1, 2.1, 1.0, 1.0, 1.0, 1.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])) == [(1, 0, 1), (11, 1, 0)]


def test_a_gap_stops_the_hold_for_entering_but_keeps_what_was_held() -> None:
    slow = rule_set(REG, level_rule(1, 2.0, up_for_s=120.0)).ladders
    times = [T0_US + m * MINUTE_US for m in (0, 1, 30, 31)]
    assert levels(batch([2.5] * 4, times_us=times), slow) == [(31, 0, 1)]


def test_a_gap_starts_the_dwell_for_leaving_from_zero() -> None:
    times = [T0_US + m * MINUTE_US for m in (0, 1, 2, 3, 4, 5, 30, 31, 32, 33, 34, 35)]
    values = [2.5, 2.5] + [1.0] * 10
    assert levels(batch(values, times_us=times)) == [(1, 0, 1), (35, 1, 0)]


def test_silence_clears_nothing() -> None:
    times = [T0_US, T0_US + MINUTE_US, T0_US + 10_000 * MINUTE_US]
    assert levels(batch([4.5, 4.5, 0.1], times_us=times)) == [(1, 0, 3)]


def test_a_missing_step_is_never_entered_by_value_and_left_on_the_way_down() -> None:
    only = rule_set(REG, level_rule(3, 4.0)).ladders
    assert levels(batch([3.9] * 5), only) == []
    assert levels(batch([4.5, 4.5] + [1.0] * 17), only) == [(1, 0, 3), (7, 3, 2), (12, 2, 1), (17, 1, 0)]


def test_rows_that_are_not_listened_to_move_nothing() -> None:
    readings = batch([4.5, 4.5, 4.5])
    state, changes = weigh(readings, np.zeros(3, dtype=bool), LadderState.empty(len(LADDERS)), LADDERS)
    assert len(changes) == 0
    assert (state.above_us == NOT_HELD).all()


def test_evidence_is_unknown_until_heard_and_again_when_old() -> None:
    empty = LadderState.empty(len(LADDERS))
    assert not known(empty, T0_US, LADDERS).any()
    state, _ = weigh(batch([1.0]), np.ones(1, dtype=bool), empty, LADDERS)
    assert known(state, T0_US + 3 * MINUTE_US, LADDERS).tolist() == [True, False]
    assert not known(state, T0_US + 3 * MINUTE_US + 1, LADDERS).any()


def plain(readings: ReadingBatch, listened: Sequence[bool], ladders: Ladders) -> list[tuple[int, int, int, int]]:
    """The rules of the module's first sentences, as a loop: (row, ladder, from, to)."""
    size = len(ladders)
    last: list[int | None] = [None] * size
    active = np.zeros((3, size), dtype=bool)
    up: list[list[int | None]] = [[None] * size for _ in range(3)]
    down: list[list[int | None]] = [[None] * size for _ in range(3)]
    found = []
    for row in range(len(readings)):
        for p in np.flatnonzero(ladders.series == readings.series[row]).tolist():
            if not listened[row]:
                continue
            time_us, value, before = int(readings.time_us[row]), readings.value[row], last[p]
            gap = before is None or time_us - before > ladders.cover_us[p]
            step_us = 0 if gap or before is None else time_us - before
            level = int(active[:, p].sum())
            higher = False
            for s in (2, 1, 0):
                held = up[s][p]
                up[s][p] = (0 if held is None else held + step_us) if value >= ladders.enter[s, p] else None
                below = value < ladders.leave[s, p] and not higher
                held = down[s][p]
                down[s][p] = (0 if held is None or gap else held + step_us) if below else None
                up_held, down_held = up[s][p], down[s][p]
                if higher or (up_held is not None and up_held >= ladders.up_for_us[s, p]):
                    active[s, p] = True
                elif down_held is not None and down_held >= ladders.down_for_us[s, p]:
                    active[s, p] = False
                higher = bool(active[s, p])
            last[p] = time_us
            if int(active[:, p].sum()) != level:
                found.append((row, p, level, int(active[:, p].sum())))
    return found


# Long stretches at few heights, so that holds really end; now and then a gap or a row nobody listens to.
stretches = st.lists(
    st.tuples(
        st.sampled_from([0.5, 1.9, 2.1, 2.9, 3.1, 3.9, 4.5]),
        st.integers(1, 9),
        st.sampled_from([1, 1, 1, 2, 3, 4]),
        st.integers(0, 1),
        st.booleans(),
    ),
    max_size=14,
)


def stream(pieces: list[tuple[float, int, int, int, bool]]) -> tuple[ReadingBatch, list[bool]]:
    series, times, values, listened, clock = [], [], [], [], [T0_US, T0_US]
    for value, count, step, which, heard in pieces:
        for _ in range(count):
            clock[which] += step * MINUTE_US
            series.append(which)
            times.append(clock[which])
            values.append(value)
            listened.append(heard)
    return ReadingBatch.of(series=series, time_us=times, value=values, received_us=times), listened


@given(stretches)
@thorough(300)
def test_ladders_equal_a_plain_reading_of_the_rules(pieces: list[tuple[float, int, int, int, bool]]) -> None:
    readings, listened = stream(pieces)
    _, changes = weigh(readings, np.array(listened, dtype=bool), LadderState.empty(len(LADDERS)), LADDERS)
    columns = (changes.row, changes.ladder, changes.from_level, changes.to_level)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == plain(readings, listened, LADDERS)


@given(stretches, st.lists(st.integers(0, 126), max_size=8))
@thorough(200)
def test_levels_do_not_depend_on_how_the_stream_is_cut(
    pieces: list[tuple[float, int, int, int, bool]], at: list[int]
) -> None:
    readings, listened = stream(pieces)
    mask = np.array(listened, dtype=bool)
    whole, changes = weigh(readings, mask, LadderState.empty(len(LADDERS)), LADDERS)
    state, found, start = LadderState.empty(len(LADDERS)), [], 0
    for piece in cut(readings, at):
        end = start + len(piece)
        state, part = weigh(piece, mask[start:end], state, LADDERS)
        found += list(zip((part.row + start).tolist(), part.ladder.tolist(), part.to_level.tolist(), strict=True))
        start = end
    assert found == list(zip(changes.row.tolist(), changes.ladder.tolist(), changes.to_level.tolist(), strict=True))
    for name in ("last_us", "active", "above_us", "below_us"):
        np.testing.assert_array_equal(getattr(state, name), getattr(whole, name))


RISING = compile_rules([rise_rule(1, 0.6, up_for_s=120.0), rise_rule(2, 3.0), level_rule(1, 9.0)], REG).ladders


def by_rise(
    rise_per_h: Sequence[float], values: Sequence[float] | None = None, minutes: Sequence[int] | None = None
) -> list[tuple[int, int, int]]:
    """(minute, from, to) of each change of the ladder that listens to the slope; of a river that stands still."""
    at = minutes if minutes is not None else range(len(rise_per_h))
    readings = batch(values or [1.0] * len(rise_per_h), times_us=[T0_US + minute * MINUTE_US for minute in at])
    all_rows = np.ones(len(readings), dtype=bool)
    _, changes = evidence.weigh(readings, all_rows, np.array(rise_per_h), LadderState.empty(len(RISING)), RISING)
    assert RISING.rise[changes.ladder].all()
    changed = (readings.time_us[changes.row] - T0_US) // MINUTE_US
    return list(zip(changed.tolist(), changes.from_level.tolist(), changes.to_level.tolist(), strict=True))


def test_a_rise_has_its_own_threshold_and_dwell_in_each_direction() -> None:
    assert by_rise([0.6, 0.6, 0.6, 0.5, 0.3, *[0.2] * 6]) == [(2, 0, 1), (10, 1, 0)]
    assert by_rise([0.6, 0.6, 0.2, 0.6, 0.6]) == []
    assert by_rise([0.6, 0.6, 0.6, *[0.3] * 20]) == [(2, 0, 1)]


def test_a_rise_may_skip_levels_up_and_comes_down_one_at_a_time() -> None:
    assert by_rise([3.5, *[0.0] * 12]) == [(0, 0, 2), (6, 2, 1), (11, 1, 0)]


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_rise_is_held_as_long_however_the_stream_is_cut_where_its_slope_was_not_known(cut: int) -> None:
    slopes = np.array([0.6, *[np.nan] * 5, 0.6, 0.6, 0.6])
    readings = batch([1.0] * len(slopes))
    told = np.ones(len(slopes), dtype=np.bool_)
    once, _ = evidence.weigh(readings, told, slopes, LadderState.empty(len(RISING)), RISING)
    half, _ = evidence.weigh(readings[:cut], told[:cut], slopes[:cut], LadderState.empty(len(RISING)), RISING)
    twice, _ = evidence.weigh(readings[cut:], told[cut:], slopes[cut:], half, RISING)
    np.testing.assert_array_equal(once.above_us, twice.above_us)
    np.testing.assert_array_equal(once.below_us, twice.below_us)
    np.testing.assert_array_equal(once.active, twice.active)


def test_where_no_slope_is_known_a_rise_is_neither_raised_nor_left() -> None:
    nan = float("nan")
    assert by_rise([nan] * 5) == []
    climbing = [1.0 + 0.01 * minute for minute in range(23)]  # 0.6 m/h
    assert by_rise([0.6, 0.6, 0.6, *[nan] * 20], climbing) == [(2, 0, 1)]
    assert by_rise([0.6, nan, 0.6, nan, nan, nan, nan, 0.6, 0.6, 0.6, 0.6]) == [(2, 0, 1)]


@pytest.mark.parametrize("every", [1, 4])
def test_where_no_slope_is_known_and_the_series_hardly_moves_a_rise_is_left_after_its_dwell(every: int) -> None:
    """Also where every step is a gap: a reading then vouches for the three cadences that it covers."""
    nan, times = float("nan"), [0, 1, 2, *(2 + every * k for k in range(1, 11))]
    ends = {1: (8, 1, 0), 4: (14, 1, 0)}[every]
    assert by_rise([0.6, 0.6, 0.6, *[nan] * 10], minutes=times) == [(2, 0, 1), ends]
    steep = [1.0 + 0.006 * minute for minute in times]  # 0.36 m/h: leave is 0.3
    assert by_rise([0.6, 0.6, 0.6, *[nan] * 10], steep, minutes=times) == [(2, 0, 1)]


def test_a_silence_alone_leaves_no_rise() -> None:
    nan = float("nan")
    assert by_rise([0.6, 0.6, 0.6, nan], minutes=[0, 1, 2, 10_000]) == [(2, 0, 1)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.2, 0.6, 3.5, float("nan"), float("nan")]),
            st.sampled_from([0.0, 0.004, 0.01]),
            st.integers(1, 4),
        ),
        max_size=60,
    ),
    st.lists(st.integers(0, 60), max_size=6),
)
@thorough(100)
def test_rises_do_not_depend_on_how_the_stream_is_cut(pieces: list[tuple[float, float, int]], at: list[int]) -> None:
    rise = np.array([slope for slope, _, _ in pieces])
    minutes = list(accumulate(step for _, _, step in pieces))
    heights = [1.0 + risen for risen in accumulate(move for _, move, _ in pieces)]
    readings = batch(heights, times_us=[T0_US + minute * MINUTE_US for minute in minutes])
    mask = np.ones(len(readings), dtype=bool)
    whole, changes = evidence.weigh(readings, mask, rise, LadderState.empty(len(RISING)), RISING)
    state, found, start = LadderState.empty(len(RISING)), [], 0
    for piece in cut(readings, at):
        end = start + len(piece)
        state, part = evidence.weigh(piece, mask[start:end], rise[start:end], state, RISING)
        found += list(zip((part.row + start).tolist(), part.ladder.tolist(), part.to_level.tolist(), strict=True))
        start = end
    assert found == list(zip(changes.row.tolist(), changes.ladder.tolist(), changes.to_level.tolist(), strict=True))
    for one in fields(LadderState):
        np.testing.assert_array_equal(getattr(state, one.name), getattr(whole, one.name))


def test_a_ladder_by_level_does_not_hear_the_slope_nor_the_other_way_round() -> None:
    readings = batch([9.5, 9.5, 9.5])
    state, changes = evidence.weigh(
        readings, np.ones(3, dtype=bool), np.zeros(3), LadderState.empty(len(RISING)), RISING
    )
    assert RISING.rise[changes.ladder].tolist() == [False]
    assert state.level()[RISING.rise].max() == 0
