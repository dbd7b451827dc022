"""The checks beside ioos_qc, run on the same series: equal where it is right, and each difference is one that
docs/quality.md names.
"""

from pathlib import Path

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from ioos_qc import qartod

from sensors.batch import Float64
from sensors.checks import flag
from sensors.flags import Check, Flag, Flags
from sensors.sensor import Season, Sensor
from sensors.window import Window
from tests.builders import MINUTE_US, T0_US, batch, registry, station, thorough
from tests.sensors.test_recorded import column

STEPS_MM = st.lists(st.integers(-400, 400) | st.integers(-1000, 1000), min_size=4, max_size=14)
"""From one reading to the next."""


def ours(values: Float64, sensor: Sensor, *, times_us: list[int] | None = None, cadence_s: float = 60.0) -> Flags:
    limits = registry(station("A", sensor, cadence_s=cadence_s)).limits
    readings = batch(values.tolist(), times_us=times_us)
    none, clock = np.zeros(len(values), dtype=np.bool_), np.ones(len(values), dtype=np.uint8)
    return flag(readings, none, clock, Window.empty(1), limits).per_check


def at(n: int, step_s: int = 60) -> np.ndarray:
    """Times as the library takes them."""
    return np.datetime64("2026-11-22T06:50:00") + np.arange(n) * np.timedelta64(step_s, "s")


def levels(steps_mm: list[int]) -> Float64:
    return (20_000 + np.cumsum(steps_mm)) / 1000


@given(st.lists(st.one_of(st.integers(-70, 450).map(lambda v: v / 10), st.just(float("nan"))), min_size=1, max_size=40))
@thorough(100)
def test_gross_range_is_the_librarys(values: list[float]) -> None:
    theirs = qartod.gross_range_test(inp=np.array(values), suspect_span=(-0.5, 8.0), fail_span=(-5.0, 40.0))
    mine = ours(np.array(values), Sensor(quantity="stage_m", suspect=(-0.5, 8.0)))[Check.GROSS_RANGE]
    assert mine.tolist() == np.asarray(theirs).tolist()


@given(st.lists(st.integers(0, 60).map(lambda v: v / 10), min_size=1, max_size=40))
@thorough(50)
def test_climatology_doubts_what_the_library_doubts(values: list[float]) -> None:
    config = qartod.ClimatologyConfig()
    config.add(tspan=(11, 11), vspan=(1.0, 4.0), period="month")
    n = len(values)
    theirs = qartod.climatology_test(config, inp=np.array(values), tinp=at(n), zinp=np.zeros(n))
    season = Season(months=(11,), low=1.0, high=4.0, source="test")
    assert ours(np.array(values), Sensor(quantity="stage_m", season=(season,)))[Check.GROSS_RANGE].tolist() == (
        np.asarray(theirs).tolist()
    )


@given(STEPS_MM)
@thorough(100)
def test_rate_of_change_doubts_whatever_the_library_doubts_but_the_way_back_and_the_way_on(steps_mm: list[int]) -> None:
    values = levels(steps_mm)
    theirs = np.asarray(qartod.rate_of_change_test(inp=values, tinp=at(len(values)), threshold=0.3 / 60))
    sensor = Sensor(quantity="stage_m", rise_suspect_per_h=18.0, spike=0.0)
    mine = ours(values, sensor)[Check.RATE_OF_CHANGE]
    size = np.abs(np.diff(values, prepend=values[0]))
    assume((np.abs(size - 0.3) > 1e-6).all())  # at the limit itself the last bit decides
    assert (theirs[1:][mine[1:] >= Flag.SUSPECT] == Flag.SUSPECT).all(), "we doubt nothing that it passes"
    for k in np.flatnonzero((theirs == Flag.SUSPECT) & (mine < Flag.SUSPECT)).tolist():
        rose = np.sign(values[k] - values[k - 1])
        went_on = mine[k] == Flag.UNKNOWN and rose == np.sign(values[k - 1] - values[k - 2])
        came_back = mine[k] == Flag.GOOD and rose == -np.sign(values[k - 1] - values[k - 2])
        assert went_on or came_back


@given(STEPS_MM)
@thorough(100)
def test_the_spike_waits_wherever_the_differential_test_fails_a_reading_but_on_the_way_back(
    steps_mm: list[int],
) -> None:
    values = levels(steps_mm)
    theirs = np.asarray(qartod.spike_test(inp=values, suspect_threshold=0.4, fail_threshold=0.5, method="differential"))
    mine = ours(values, Sensor(quantity="stage_m"))[Check.SPIKE]
    for k in np.flatnonzero(theirs == Flag.FAIL).tolist():
        assert mine[k] == Flag.UNKNOWN or mine[k - 1] == Flag.UNKNOWN
    leapt = np.abs(np.diff(values, prepend=values[0])) > 0.5
    assert not (mine[1:][~leapt[1:]] == Flag.UNKNOWN).any()


@given(st.lists(st.integers(0, 3) | st.integers(0, 3000), min_size=20, max_size=80))
@thorough(100)
def test_a_flat_line_is_the_librarys_where_it_is_sure(thousandths: list[int]) -> None:
    """Sure: all within eps, or not within twice that. It wants as many readings as the time holds, one more than we."""
    values = np.array(thousandths) / 1000
    found = ours(values, Sensor(quantity="stage_m", flat_eps=0.01, flat_suspect_s=600, flat_fail_s=900, spike=0.0))
    mine = found[Check.FLAT_LINE]
    strict, loose = (
        np.asarray(
            qartod.flat_line_test(
                inp=values, tinp=at(len(values)), suspect_threshold=600, fail_threshold=900, tolerance=tolerance
            )
        )
        for tolerance in (0.009, 0.0201)
    )
    assert (mine >= strict).all(), "what stays within eps is found"
    assert (mine[11:] <= loose[11:]).all(), "what wanders further is not"


@given(st.lists(st.integers(0, 100), min_size=30, max_size=80))
@thorough(50)
def test_an_attenuated_signal_is_the_librarys_where_it_is_sure(centimetres: list[int]) -> None:
    values = np.array(centimetres) / 100
    sensor = Sensor(quantity="stage_m", calm_range=0.3, calm_s=600, flat_suspect_s=0, flat_fail_s=0, spike=0.0)
    mine = ours(values, sensor)[Check.FLAT_LINE]

    def library(most: float) -> np.ndarray:
        return np.asarray(
            qartod.attenuated_signal_test(
                inp=values,
                tinp=at(len(values)),
                suspect_threshold=most,
                fail_threshold=0.0,
                test_period=660,
                min_obs=11,
                check_type="range",
            )
        )

    assert (mine[library(0.299) == Flag.SUSPECT] == Flag.SUSPECT).all()
    assert (mine[12:][library(0.601)[12:] == Flag.GOOD] == Flag.GOOD).all()


def test_the_librarys_own_surprises_are_not_ours() -> None:
    step = np.array([1.0, 1.0, 1.0, 9.0, 9.0, 9.0])
    theirs = qartod.spike_test(inp=step, suspect_threshold=0.4, fail_threshold=0.5, method="average")
    assert np.asarray(theirs).tolist() == [2, 1, 4, 4, 1, 2], "it fails both edges of a flood front"
    assert ours(step, Sensor(quantity="stage_m"))[Check.SPIKE].tolist() == [2, 1, 1, 2, 1, 1]
    hole = np.array([1.0, 1.0, np.nan, 5.0])
    theirs = qartod.rate_of_change_test(inp=hole, tinp=at(4), threshold=0.1)
    assert np.asarray(theirs).tolist() == [1, 1, 9, 1], "it passes a jump across a missing value"
    rated = Sensor(quantity="stage_m", rise_suspect_per_h=6.0)
    assert ours(hole, rated)[Check.RATE_OF_CHANGE].tolist() == [2, 1, 9, 3]
    constant = np.full(200, 1.5)
    theirs = qartod.flat_line_test(inp=constant, tinp=at(200, 3600), suspect_threshold=86_400, fail_threshold=259_200)
    assert set(np.asarray(theirs).tolist()) == {1}, "its default finds no constant series"
    times = [T0_US + k * 60 * MINUTE_US for k in range(200)]
    mine = ours(constant, Sensor(quantity="stage_m"), times_us=times, cadence_s=3600)[Check.FLAT_LINE]
    assert mine.tolist() == [1] * 24 + [3] * 48 + [4] * 128


def test_a_recorded_tide_has_the_librarys_gross_range_and_flat_line(reference: Path) -> None:
    path = reference / "data/qc/ioos_water_level_example.csv"
    values, times = column(path, "sea_surface_height_above_sea_level", "time")
    value, n = np.array(values), len(values)
    theirs = np.asarray(qartod.gross_range_test(inp=value, fail_span=(-5.0, 40.0), suspect_span=(-5.0, 1.05)))
    found = ours(value, Sensor(quantity="stage_m", suspect=(-5.0, 1.05)), times_us=times, cadence_s=3600)
    assert found[Check.GROSS_RANGE].tolist() == theirs.tolist()
    stamps = np.array(times, dtype="datetime64[us]").astype("datetime64[s]")
    flat = np.asarray(
        qartod.flat_line_test(inp=value, tinp=stamps, suspect_threshold=86_400, fail_threshold=259_200, tolerance=0.001)
    )
    mine = found[Check.FLAT_LINE]
    assert (mine[flat == Flag.FAIL] >= Flag.SUSPECT).mean() > 0.98  # a gap stretches its window, not ours
    assert (mine == flat).sum() > 0.97 * n
