"""The second look: what decides later is a revision, a flood is confirmed, and nothing depends on the cutting."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from itertools import pairwise
from math import isnan
from statistics import median
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import Bool, ReadingBatch
from sensors.checks import flag
from sensors.checks.company import channels_differ
from sensors.checks.middle import middle
from sensors.checks.second import SecondLook, Seen
from sensors.checks.verdicts import Verdicts
from sensors.flags import Check, Flag, Flags, pack
from sensors.sensor import Sensor
from sensors.stations import GaugeZero, Registry, Station
from sensors.store import Journal
from sensors.window import Window
from tests.builders import MINUTE_US, T0_US, batch, registry, station, thorough

STEP_US = 5 * MINUTE_US
VALUES = st.sampled_from([0.0, 0.2, 1.0, 1.2, 2.0, 15.0, 30.0, 400.0, float("nan")])


def stored(reg: Registry, rows: ReadingBatch, conflict: Bool | None = None, clock: Flags | None = None) -> Journal:
    """Rows as the journal has them."""
    odd = np.zeros(len(rows), dtype=np.bool_) if conflict is None else conflict
    at = np.ones(len(rows), dtype=np.uint8) if clock is None else clock
    found = flag(rows, odd, at, Window.empty(len(reg.series)), reg.limits)
    return Journal(
        seq=np.arange(1, len(rows) + 1), batch=rows, flag=found.flag, checks=pack(found.per_check), conflict=odd
    )


def verdicts(reg: Registry, rows: ReadingBatch) -> list[tuple[int, int, int]]:
    """Series, minute and flag of each."""
    look = SecondLook.of(reg)
    found, _ = look.take(stored(reg, rows), look.nothing())
    minute = (found.time_us - T0_US) // MINUTE_US
    return list(zip(found.series.tolist(), minute.tolist(), found.flag.tolist(), strict=True))


def level(*, cadence_s: float = 60.0, **changes: Any) -> Registry:
    return registry(station("A", Sensor(quantity="stage_m", **changes), cadence_s=cadence_s))


@pytest.mark.parametrize(
    ("values", "expected", "why"),
    [
        ([1, 1, 3, 1, 1], [(0, 2, 3)], "an isolated spike"),
        ([1, 1, -2, 1.2, 1], [(0, 2, 3)], "a spike downwards, and not quite back"),
        ([1, 1, 3, 3, 3], [(0, 2, 1)], "a step that stays"),
        ([1, 1, 2, 3, 4, 4], [(0, 2, 1), (0, 3, 1), (0, 4, 1)], "a flood front"),
        ([1, 1, 5, 3, 3], [(0, 3, 1)], "half way back: the leap up stays open, the step down stays"),
        ([1, 1, 3], [], "the newest reading waits"),
        ([1, 1.4, 1, 1.4], [], "nothing leapt"),
    ],
)
def test_the_next_reading_says_what_a_leap_was(values: list[float], expected: list[object], why: str) -> None:
    assert verdicts(level(), batch(values)) == expected, why


def test_a_gap_behind_a_leap_decides_nothing() -> None:
    times = [T0_US + minute * MINUTE_US for minute in (0, 1, 2, 9, 10)]
    assert verdicts(level(), batch([1, 1, 3, 1, 1], times_us=times)) == [(0, 9, 1)]


def test_a_jump_across_a_gap_stays_unknown_though_its_level_holds() -> None:
    reg = level()
    times = [T0_US + minute * MINUTE_US for minute in (0, 1, 9, 10)]
    journal = stored(reg, batch([1, 1, 3, 3], times_us=times))
    assert verdicts(reg, journal.batch) == [(0, 9, 1)]
    assert (journal.checks[2] >> 4 * Check.GAP) & 15 == Flag.UNKNOWN


def test_a_leap_whose_check_is_off_waits_for_nothing() -> None:
    assert verdicts(level(spike=0.0), batch([1, 1, 30, 1, 1])) == []


# ---- channels


CHANNELS = registry(
    station(
        "Q",
        Sensor(quantity="pm2_5_ug_m3", id="a"),
        Sensor(quantity="pm2_5_ug_m3", id="b"),
        Sensor(quantity="pm1_ug_m3"),
    )
)


def pairs(*values: tuple[float, float]) -> ReadingBatch:
    times = [T0_US + k * MINUTE_US for k in range(len(values)) for _ in range(2)]
    return batch([v for pair in values for v in pair], series=[0, 1] * len(values), times_us=times)


@pytest.mark.parametrize(
    ("a", "b", "differ"),
    [
        (10.0, 10.0, False),
        (10.0, 14.9, False),
        (2.0, 6.9, False),  # 110 %, but not 5
        (2.0, 7.0, True),
        (100.0, 200.0, False),  # 100, but 67 %
        (100.0, 208.0, True),
        (0.0, 0.0, False),
        (float("nan"), 50.0, False),
    ],
)
def test_channels_differ_by_both_five_and_seventy_percent(a: float, b: float, differ: bool) -> None:
    assert channels_differ(np.array([a]), np.array([b])).tolist() == [differ]
    assert channels_differ(np.array([b]), np.array([a])).tolist() == [differ]


def test_of_two_channels_that_differ_both_are_doubted() -> None:
    found = verdicts(CHANNELS, pairs((20, 21), (20, 200), (20, 22)))
    assert [one for one in found if one[2] == 3] == [(1, 1, 3), (0, 1, 3)]
    assert {(0, 0, 1), (1, 2, 1)} <= set(found)


def test_a_channel_alone_is_not_evaluated() -> None:
    found = verdicts(CHANNELS, batch([20.0, 300.0, 20.0]))
    assert {one[2] for one in found} == {Flag.UNKNOWN}


def test_channels_are_compared_at_one_time_only_so_that_smoke_passes() -> None:
    found = verdicts(CHANNELS, pairs((5, 5), (180, 185), (190, 188)))
    assert Flag.SUSPECT not in {one[2] for one in found}


# ---- levels nearby


MONDAY = date(2026, 1, 5)


def twins(offset_m: float = 0.0) -> Registry:
    own = Sensor(quantity="stage_m", neighbours=("B/stage_m", "C/stage_m"), neighbour_differs=0.3)

    def over_sea(id: str, zero_m: float, sensor: Sensor) -> Station:
        zero = (GaugeZero(since=MONDAY, height_m=zero_m, source="test"),)
        return msgspec.structs.replace(station(id, sensor), datum="MSL_KOLAK1915", gauge_zero=zero)

    plain = Sensor(quantity="stage_m")
    return registry(over_sea("A", 100.0, own), over_sea("B", 100.0 + offset_m, plain), over_sea("C", 100.0, plain))


def test_a_level_that_differs_from_its_neighbours_is_doubted_and_never_failed() -> None:
    rows = batch([2.0, 2.1, 2.05, 2.5], series=[1, 2, 0, 0], times_us=[T0_US, T0_US, T0_US, T0_US + MINUTE_US])
    assert verdicts(twins(), rows) == [(0, 0, 1), (0, 1, 3)]


def test_neighbours_are_compared_over_one_datum() -> None:
    rows = batch([1.0, 2.0], series=[1, 0], times_us=[T0_US, T0_US])
    assert verdicts(twins(offset_m=1.0), rows) == [(0, 0, 1)]


def test_without_neighbours_a_level_is_not_evaluated_and_never_good() -> None:
    alone = batch([2.0, 2.0], series=0, times_us=[T0_US, T0_US + MINUTE_US])
    assert [one[2] for one in verdicts(twins(), alone)] == [2, 2]
    old = batch([2.0, 2.0], series=[1, 0], times_us=[T0_US, T0_US + 2 * MINUTE_US])
    assert [one[2] for one in verdicts(twins(), old)] == [2]


# ---- rain


def gauges(n: int = 7, cadence_s: float = 300.0) -> Registry:
    return registry(*(station(f"R{k}", Sensor(quantity="rain_mm"), cadence_s=cadence_s) for k in range(n)))


def rained(mm: Sequence[Sequence[float]]) -> ReadingBatch:
    """(steps, gauges) amounts, NaN where nothing was sent."""
    grid = np.asarray(mm, dtype=np.float64)
    step, gauge = np.nonzero(~np.isnan(grid))
    return batch(grid[step, gauge].tolist(), series=gauge.tolist(), times_us=(T0_US + step * STEP_US).tolist())


def doubted_steps(reg: Registry, mm: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    return [(minute // 5, series) for series, minute, flag in verdicts(reg, rained(mm)) if flag == Flag.SUSPECT]


def test_a_gauge_that_stays_at_zero_while_it_rains_around_it_is_doubted_after_six_steps() -> None:
    mm = [[0.0, *[1.0] * 6]] * 9 + [[0.6, *[1.0] * 6]] + [[0.0, *[0.0] * 6]] * 3
    assert doubted_steps(gauges(), mm) == [(6, 0), (7, 0), (8, 0)]


def test_a_burst_that_nobody_around_has_seen_is_doubted_and_a_cloudburst_over_all_is_not() -> None:
    mm = [[12.0, *[0.2] * 6], [30.0, *[2.0] * 6], [14.0, *[9.0] * 6], [60.0, *[2.0] * 6], *[[0.0] * 7] * 3]
    assert doubted_steps(gauges(), mm) == [(0, 0), (3, 0)]


def test_with_too_few_gauges_around_rain_is_not_evaluated() -> None:
    nan = float("nan")
    assert verdicts(gauges(5), rained([[60.0, *[0.0] * 4]] * 5)) == []  # four around each: none is ever compared
    found = verdicts(gauges(6), rained([[60.0, nan, *[0.0] * 4]] * 5))
    assert {one[2] for one in found} == {Flag.UNKNOWN}


def test_a_gauge_that_goes_its_own_way_for_two_weeks_is_doubted() -> None:
    chance = np.random.default_rng(5)
    rain = np.where(chance.random((16 * 288, 1)) < 0.1, chance.gamma(1.0, 1.0, (16 * 288, 1)), 0.0)
    mm = rain * chance.uniform(0.7, 1.3, (16 * 288, 7))
    mm[:, 3] = chance.permutation(mm[:, 3])
    steps = doubted_steps(gauges(), mm.round(2).tolist())
    own = {step for step, gauge in steps if gauge == 3}
    assert set(range(14 * 288, 16 * 288 - 2)) <= own
    assert sum(gauge != 3 for _, gauge in steps) < 0.01 * mm.size


@given(st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=9), st.integers(0, 4))
@thorough(60)
def test_the_middle_is_the_median_of_those_that_spoke(rows: list[list[float]], least: int) -> None:
    found = middle(np.array(rows), least=least).tolist()
    for row, one in zip(rows, found, strict=True):
        spoke = [value for value in row if not isnan(value)]
        expected = median(spoke) if len(spoke) >= max(least, 1) else float("nan")
        assert one == pytest.approx(expected, nan_ok=True)


# ---- any cutting


WORLD = registry(
    station(
        "A",
        Sensor(quantity="stage_m", neighbours=("A/stage_m@2", "A/stage_m@3"), neighbour_differs=0.3),
        Sensor(quantity="stage_m", id="2", neighbours=("A/stage_m",), neighbour_differs=0.5),
        Sensor(quantity="stage_m", id="3"),
        Sensor(quantity="pm2_5_ug_m3", id="a"),
        Sensor(quantity="pm2_5_ug_m3", id="b"),
    ),
    *(station(f"R{k}", Sensor(quantity="rain_mm"), cadence_s=60) for k in range(6)),
)
ROWS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(-3, 4), VALUES, st.sampled_from([1, 1, 1, 2, 3]), st.booleans()),
    max_size=80,
)


def arrays(value: Any) -> list[np.ndarray]:
    if is_dataclass(value):
        return [one for f in fields(value) for one in arrays(getattr(value, f.name))]
    return [np.asarray(value)]


def rows_of(found: Sequence[Verdicts]) -> list[tuple[int, ...]]:
    """Sorted by reading; of one reading in the order in which they were reached."""
    whole = Verdicts.joined(found)
    columns = (whole.series, whole.time_us, whole.check, whole.flag)
    return sorted(zip(*(c.tolist() for c in columns), strict=True), key=lambda row: row[:3])


@given(ROWS, st.lists(st.integers(0, 80), max_size=6))
@thorough(200)
def test_a_second_look_does_not_depend_on_how_the_journal_is_cut(rows: list[Any], at: list[int]) -> None:
    minutes = np.cumsum([r[1] for r in rows], dtype=np.int64)
    readings = batch([r[2] for r in rows], series=[r[0] for r in rows], times_us=(T0_US + minutes * MINUTE_US).tolist())
    odd = np.array([r[4] for r in rows], dtype=np.bool_) & (np.arange(len(rows)) % 5 == 0)
    journal = stored(WORLD, readings, odd, np.array([r[3] for r in rows], dtype=np.uint8))
    look = SecondLook.of(WORLD)
    once, whole = look.take(journal, look.nothing())
    seen: Seen = look.nothing()
    parts = [once[:0]]
    edges = [0, *sorted({min(a, len(rows)) for a in at}), len(rows)]
    for low, high in pairwise(edges):
        piece = Journal(**{f.name: getattr(journal, f.name)[low:high] for f in fields(Journal)})
        found, seen = look.take(piece, seen)
        parts.append(found)
    assert rows_of(parts) == rows_of([once])
    for cut_column, column in zip(arrays(seen), arrays(whole), strict=True):
        np.testing.assert_array_equal(cut_column, column)
