"""How high a rise is going to stand."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensors.ahead import AheadState, follow, running_max
from sensors.batch import ReadingBatch
from sensors.groups import Groups
from sensors.tide import DAY_SLOTS, ROUND_US, lift
from sensors.window import NEVER
from tests.builders import MINUTE_US, T0_US, thorough

Values = NDArray[np.float64]
HOUR_US = 60 * MINUTE_US
HORIZON_H, REACH = 2.5, 0.22


def readings(values: Values, *, every_min: float = 15.0, series: int = 0, begin_us: int = T0_US) -> ReadingBatch:
    time_us = begin_us + np.arange(len(values)) * round(every_min * MINUTE_US)
    return ReadingBatch.of(series=np.full(len(values), series), time_us=time_us, value=values, received_us=time_us)


def ahead(
    batch: ReadingBatch, state: AheadState | None = None, *, every_min: float = 15.0, series: int = 1, rest: float = -99
) -> tuple[Values, AheadState]:
    return follow(
        batch,
        np.isfinite(batch.value),
        state or AheadState.empty(series),
        horizon_us=np.full(series, round(HORIZON_H * HOUR_US)),
        reach=np.full(series, REACH),
        cadence_us=np.full(series, round(every_min * MINUTE_US)),
        rest=np.full(series, rest),
    )


def told(values: Values, *, every_min: float = 15.0, rest: float = -99.0) -> Values:
    return ahead(readings(np.asarray(values, dtype=float), every_min=every_min), every_min=every_min, rest=rest)[0]


def flood(*, rise_h: float = 8.0, height_m: float = 3.0, before_h: float = 24.0) -> Values:
    """A river at 1 m that rises along a cosine; a reading every quarter."""
    t = np.arange(-before_h, rise_h + 6, 0.25)
    return np.where(t < 0, 1.0, 1.0 + height_m * (1 - np.cos(np.pi * np.clip(t / rise_h, 0, 1))) / 2)


def test_a_steady_rise_is_thought_on_for_the_horizon() -> None:
    river = np.r_[np.full(40, 1.0), 1.0 + np.arange(1, 25) / 4]  # a metre an hour
    low, high = told(river)[[46, -1]] - river[[45, -2]]  # as far as the reading before
    assert low == pytest.approx(0.75), "half way up, no more than the last three quarters brought"
    assert high == pytest.approx(REACH * (river[-2] - 1.0))
    deep = told(river + 20.0 * (np.arange(len(river)) > 2))
    assert deep[-1] == pytest.approx(20.0 + river[-2] + HORIZON_H), "and here the horizon is less than the reach"


def test_a_slow_rise_is_thought_on_as_far_as_it_is_slow() -> None:
    river = np.r_[np.full(40, 1.0), 1.0 + 0.02 * np.arange(1, 401) / 4]  # 2 cm/h, two metres in a hundred hours
    assert told(river)[-1] == pytest.approx(river[-1] + 0.02 * 12, abs=0.006)  # a quarter brings 5 mm


def test_no_rise_goes_on_by_more_than_its_reach_or_what_it_just_brought() -> None:
    river = flood(rise_h=6)
    brought = np.maximum(river - np.r_[[1.0] * 3, river[:-3]], 0)
    bound = np.maximum(brought, REACH * (river - 1.0))
    found = told(river)
    assert (found - river <= bound + 1e-6)[3:].all()
    assert np.nanmax(found - river) > 0.5


def test_a_rise_that_has_slowed_down_is_thought_on_less() -> None:
    quick = np.r_[np.full(40, 1.0), 1.0 + np.arange(1, 13) / 4]  # a metre an hour for three hours
    slows = np.r_[quick, quick[-1] + 0.1 * np.arange(1, 9) / 4]
    steady = np.r_[np.full(40, 1.0), 1.0 + 0.1 * np.arange(1, 129) / 4]
    lasting, ended = told(steady)[-1] - steady[-1], told(slows)[-1] - slows[-1]
    assert 0 < ended < lasting / 3


def test_a_river_that_falls_stands_where_it_stands() -> None:
    river = np.r_[np.full(20, 3.0), 3.0 - 0.1 * np.arange(1, 40) / 4]
    assert told(river)[30:] == pytest.approx(river[30:])


def test_one_reading_alone_says_nothing() -> None:
    river = np.full(60, 1.5)
    river[:20] = 1.0
    leaping = river.copy()
    leaping[50] += 0.4
    assert np.nanmax(told(leaping)[40:]) <= 1.5 + 1e-9


def test_where_readings_are_rare_one_must_do() -> None:
    river = np.r_[np.full(30, 1.0), 2.0, 2.4]
    assert told(river, every_min=60.0)[-1] > 2.4


def test_nothing_is_said_at_the_first_readings_and_behind_a_silence() -> None:
    river = flood()
    early, _ = ahead(readings(river))
    assert np.isnan(early[:2]).all()
    assert np.isfinite(early[4:]).all()
    half = len(river) // 2
    time_us = T0_US + np.arange(len(river)) * 15 * MINUTE_US
    time_us[half:] += 5 * HOUR_US
    broken = ReadingBatch.of(series=np.zeros(len(river)), time_us=time_us, value=river, received_us=time_us)
    found, _ = ahead(broken)
    assert np.isnan(found[half])
    assert np.isfinite(found[half + 4 :]).all()


def test_the_lowest_stage_takes_two_readings() -> None:
    river = flood()
    torn = river.copy()
    torn[10] = -4.0
    assert told(torn)[-20:] == pytest.approx(told(river)[-20:])


def tide(days: float, *, surge: Values | float = 0.0, every_min: float = 60.0) -> Values:
    t = np.arange(0, days * 24, every_min / 60)
    spring = 1.8 + 0.3 * np.cos(2 * np.pi * t / (14.77 * 24))
    return spring * np.cos(2 * np.pi * t / 12.4206) + surge


def test_the_tide_is_no_flood() -> None:
    level = tide(60)
    found = told(level, every_min=60.0)
    assert np.nanmax(found[48:]) <= level.max() + 0.1
    assert np.nanmax(told(level[: 2 * 24], every_min=60.0)) > level.max() + 0.3, "unless nothing is known of it yet"


def test_a_surge_upon_the_tide_is_seen_before_it_stands_there() -> None:
    t = np.arange(0, 30 * 24)
    surge = 1.2 * np.exp(-(((t - 500) / 12) ** 2))
    level = tide(30, surge=surge)
    found = told(level, every_min=60.0)
    top = tide(30).max() + 0.4
    assert np.flatnonzero(found >= top)[found[np.flatnonzero(found >= top)] > 0][0] < np.flatnonzero(level >= top)[0]
    assert not (found[48:400] >= top).any()


def test_a_river_has_no_tide() -> None:
    times = T0_US + np.arange(DAY_SLOTS) * HOUR_US
    values = np.round(np.linspace(1, 3, DAY_SLOTS) * 1e6).astype(np.int64)
    entries = np.stack([times, values], axis=1)[None]
    assert np.isinf(lift(entries, times[-1:], np.array([2.5 * HOUR_US])))
    assert ROUND_US * 2 < DAY_SLOTS * HOUR_US


def test_below_what_anybody_cares_for_the_tides_change_nothing() -> None:
    level = tide(20)
    all_, some = told(level, every_min=60.0), told(level, every_min=60.0, rest=1.5)
    above = (all_ >= 1.5) | (some >= 1.5)
    assert above.any()
    assert np.array_equal(all_[above], some[above])


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 90), st.floats(-3, 6)), min_size=1, max_size=80),
    st.lists(st.integers(0, 80), max_size=6),
)
@thorough(60)
def test_any_cutting_gives_the_same(rows: list[tuple[int, int, float]], cuts: list[int]) -> None:
    series = np.array([row[0] for row in rows])
    time_us = np.zeros(len(rows), dtype=np.int64)
    for one in range(3):
        of = series == one
        time_us[of] = T0_US + np.cumsum(np.array([row[1] for row in rows])[of]) * 5 * MINUTE_US
    batch = ReadingBatch.of(series=series, time_us=time_us, value=[row[2] for row in rows], received_us=time_us)
    whole, after = ahead(batch, series=3)
    state, parts = AheadState.empty(3), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True):
        found, state = ahead(batch[begin:end], state, series=3)
        parts.append(found)
    assert np.array_equal(np.concatenate(parts), whole, equal_nan=True)
    for field in fields(AheadState):
        assert np.array_equal(
            getattr(state, field.name), getattr(after, field.name), equal_nan=field.name == "alone"
        ), field.name


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-(10**12), 10**12)), min_size=1, max_size=60))
@thorough(60)
def test_a_running_maximum_keeps_to_its_group(rows: list[tuple[int, int]]) -> None:
    series = np.array([row[0] for row in rows], dtype=np.int32)
    column = np.array([row[1] if row[1] % 5 else NEVER for row in rows], dtype=np.int64)
    groups = Groups.of(series)
    carried = np.array([NEVER, 0, -(10**13), 10**13], dtype=np.int64)
    found = running_max(groups, column[groups.order], carried)
    for one in range(4):
        of = groups.series == one
        expected = np.maximum.accumulate(np.r_[carried[one], column[groups.order][of]])[1:]
        assert np.array_equal(found[of], expected)
