"""Raw readings become physical ones: never more rain than fell, and no stage without a surveyed height."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import ReadingBatch
from sensors.calibration import COUNTS_MM_PER_H, Calibration, CounterState
from sensors.clocks import ClockState, place
from sensors.origin import Mount, Origin
from sensors.stations import ConfigError, Registry, Sensor
from tests.builders import MINUTE_US, T0_US, batch, cut, registry, station, thorough

HOUR_US = 60 * MINUTE_US
YEAR_US = 8766 * HOUR_US
TIP = 0.2
WRAPS_AT = 13_107.2
RAW, RAIN = 0, 1
RESET = -1.0


def gauge(wraps_at: float = 0.0) -> Registry:
    """One counter and the rain that is computed from it."""
    raw = Sensor(quantity="rain_total_mm")
    return registry(
        station("R", raw, Sensor(quantity="rain_mm", from_=Origin(reading="rain_total_mm", wraps_at=wraps_at)))
    )


GAUGE, WRAPPING = Calibration.of(gauge()), Calibration.of(gauge(WRAPS_AT))


@dataclass
class Box:
    """What a journal would hold, and what is remembered."""

    calibration: Calibration = GAUGE

    def __post_init__(self) -> None:
        self.clocks, self.counters = ClockState.empty(len(self.calibration.of_raw)), CounterState.empty(1)
        self.held: dict[tuple[int, int], float] = {}
        self.rows: list[tuple[int, float]] = []

    def take(self, readings: ReadingBatch) -> list[float]:
        """Store a batch; the amounts it gave."""
        keys = list(zip(readings.series.tolist(), readings.time_us.tolist(), strict=True))
        new = np.ones(len(readings), dtype=np.bool_)
        conflict = np.zeros(len(readings), dtype=np.bool_)
        for row, (key, value) in enumerate(zip(keys, readings.value.tolist(), strict=True)):
            if key in self.held:
                conflict[row] = not np.array_equal(self.held[key], value, equal_nan=True)
                new[row] = conflict[row]
            self.held.setdefault(key, value)
        fresh, conflict = readings[new], conflict[new]
        whole = self.calibration.derive(fresh, conflict, self.clocks, self.counters)
        given = whole.series == RAIN
        assert (whole[~given].value == fresh.value)[~np.isnan(fresh.value)].all(), "the raw readings stay as they came"
        placed = place(whole, self.clocks)
        odd = np.zeros(len(whole), dtype=np.bool_)
        odd[~given] = conflict
        self.counters = self.calibration.after(whole, odd, placed, self.counters)
        self.clocks = placed.state
        self.rows += zip(whole.time_us[given].tolist(), whole.value[given].tolist(), strict=True)
        amounts: list[float] = whole.value[given].tolist()
        return amounts

    def total_mm(self) -> float:
        return float(np.nansum([mm for _, mm in self.rows]))


def amounts(values: Sequence[float], calibration: Calibration = GAUGE, *, step_us: int = 5 * MINUTE_US) -> list[float]:
    return Box(calibration).take(batch(values, step_us=step_us))


def test_a_counter_gives_what_was_added_since_the_reading_before() -> None:
    assert amounts([10.0, 10.0, 10.4, 12.0]) == [0.0, 0.4, 1.6]


def test_the_first_reading_of_a_counter_says_nothing_not_even_zero() -> None:
    assert amounts([10.0]) == []


def test_a_fall_is_no_rain_its_loss_is_unknown_and_counting_goes_on() -> None:
    given = amounts([10.0, 12.0, 0.4, 1.0])
    assert given[0] == 2.0
    assert np.isnan(given[1])
    assert given[2] == 0.6


def test_a_counter_of_sixteen_bits_wraps_without_a_loss() -> None:
    assert amounts([13_106.6, 13_107.0, 0.2, 0.6], WRAPPING) == [0.4, 0.4, 0.4]


def test_a_counter_that_is_not_said_to_wrap_began_anew() -> None:
    assert np.isnan(amounts([13_107.0, 0.2])[0])


@pytest.mark.parametrize(
    ("before_mm", "gap_us"), [(5_000.0, MINUTE_US), (5_000.0, 12 * HOUR_US), (13_000.0, MINUTE_US)]
)
def test_a_fall_from_far_below_the_wrap_is_a_reset_however_long_it_was_silent(before_mm: float, gap_us: int) -> None:
    assert np.isnan(amounts([before_mm, 0.2], WRAPPING, step_us=gap_us)[0])


def test_more_than_a_bucket_can_count_is_unknown_and_not_rain() -> None:
    given = amounts([1.0, 5_000.0, 1.2, 1.4])
    assert np.isnan(given[:2]).all()
    assert given[2] == 0.2


def test_what_the_instrument_did_not_measure_gives_nothing_and_loses_nothing() -> None:
    assert amounts([1.0, float("nan"), 1.6, -1.0, 2.0]) == [0.6, 0.4]


def test_a_gap_gives_its_whole_amount_at_its_end() -> None:
    box = Box()
    box.take(batch([1.0, 1.2]))
    assert box.take(batch([91.2], start_us=T0_US + 72 * HOUR_US)) == [90.0]


def test_a_reading_that_comes_late_is_counted_already() -> None:
    box = Box()
    box.take(batch([1.0, 2.0], times_us=[T0_US, T0_US + 30 * MINUTE_US]))
    assert box.take(batch([1.4], times_us=[T0_US + 10 * MINUTE_US])) == []
    assert box.take(batch([2.2], times_us=[T0_US + 40 * MINUTE_US])) == [0.2]


def test_a_second_value_for_one_time_counts_nothing() -> None:
    box = Box()
    box.take(batch([1.0, 2.0]))
    assert box.take(batch([9.0], start_us=T0_US + MINUTE_US)) == []
    assert box.take(batch([2.4], start_us=T0_US + 2 * MINUTE_US)) == [0.4]


def test_what_contradicts_a_reading_that_could_not_be_counts_nothing() -> None:
    box = Box()
    box.take(batch([1.0, -1.0]))
    assert box.take(batch([5.0], start_us=T0_US + MINUTE_US)) == []
    assert box.take(batch([2.4], start_us=T0_US + 2 * MINUTE_US)) == [1.4]


@pytest.mark.parametrize("lead_us", [7 * HOUR_US, 5 * YEAR_US, -56 * YEAR_US])
def test_a_stamp_that_cannot_be_counts_nothing_and_what_fell_comes_with_the_next_right_one(lead_us: int) -> None:
    box = Box()
    box.take(batch([1.0, 1.2]))
    wrong = batch([1.4, 1.6], start_us=T0_US + 2 * MINUTE_US)
    assert box.take(replace(wrong, time_us=wrong.time_us + lead_us)) == []
    assert box.take(batch([2.0], start_us=T0_US + 4 * MINUTE_US)) == [0.8]


@pytest.mark.parametrize("lead_us", [7 * HOUR_US, -7 * HOUR_US, -56 * YEAR_US])
def test_a_device_whose_clock_is_steadily_wrong_loses_no_rain(lead_us: int) -> None:
    box = Box()
    right = batch([0.2 * i for i in range(60)], step_us=MINUTE_US)
    wrong = batch([12.0 + 0.2 * i for i in range(60)], start_us=T0_US + HOUR_US)
    box.take(right)
    box.take(replace(wrong, time_us=wrong.time_us + lead_us))
    box.take(batch([24.0], start_us=T0_US + 2 * HOUR_US))
    assert box.total_mm() == pytest.approx(24.0)


# ---- any order, any cutting


tips = st.lists(
    st.one_of(st.integers(0, 30), st.just(RESET), st.just(float("nan"))),  # tips in five minutes; a reset; no value
    min_size=1,
    max_size=40,
)


def counter(steps: Sequence[float], *, start_mm: float = 0.0, wraps_at: float = np.inf) -> tuple[list[float], float]:
    """Readings of a counter and what really fell from the first to the last; each reset loses a tip unseen."""
    at_mm, fell_mm, shown = start_mm, 0.0, [start_mm]
    for step in steps:
        if step == RESET:
            at_mm, fell_mm = 0.0, fell_mm + TIP
        elif not np.isnan(step):
            at_mm, fell_mm = (at_mm + TIP * step) % wraps_at, fell_mm + TIP * step
        shown.append(float("nan") if np.isnan(step) else round(at_mm, 6))
    return shown, fell_mm


@given(tips, st.integers(0, 1 << 32), st.lists(st.integers(0, 80), max_size=5), st.integers(0, 20))
@thorough(200)
def test_any_order_cutting_and_repetition_never_makes_more_rain_than_fell(
    steps: list[float], seed: int, at: list[int], repeats: int
) -> None:
    shown, fell_mm = counter(steps)
    order = list(range(len(shown))) + [i % len(shown) for i in range(repeats)]
    Random(seed).shuffle(order)
    straight = batch(shown, step_us=5 * MINUTE_US)
    mixed = replace(
        straight[np.array(order)], received_us=T0_US + np.arange(len(order)) + int(5 * MINUTE_US * len(shown))
    )
    box, whole = Box(), Box()
    for piece in cut(mixed, at):
        box.take(piece)
    whole.take(mixed)
    np.testing.assert_array_equal(np.array(box.rows), np.array(whole.rows), "cutting changes nothing")
    assert box.total_mm() <= fell_mm + 1e-6
    before = list(box.rows)
    box.take(mixed)
    assert len(box.rows) == len(before), "a repeat counts nothing"


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(0, 65_535), st.lists(st.integers(0, 60)))
@thorough(200)
def test_a_counter_that_only_wraps_gives_exactly_what_fell(steps: list[int], start: int, at: list[int]) -> None:
    shown, fell_mm = counter(steps, start_mm=round(start * TIP, 6), wraps_at=WRAPS_AT)
    box = Box(WRAPPING)
    for piece in cut(batch(shown, step_us=5 * MINUTE_US), at):
        box.take(piece)
    assert box.total_mm() == pytest.approx(fell_mm, abs=1e-6)
    assert len(box.rows) == len(steps)
    assert not np.isnan([mm for _, mm in box.rows]).any()


@given(tips)
@thorough(100)
def test_every_reset_that_can_be_seen_is_one_unknown_amount(steps: list[float]) -> None:
    shown, _ = counter(steps)
    finite = [v for v in shown if not np.isnan(v)]
    falls = sum(b < a for a, b in pairwise(finite))
    assert np.isnan(amounts(shown)).sum() == falls


def test_the_bound_of_a_bucket_is_never_reached_by_a_real_one() -> None:
    """Tip after tip in 0.45 s, read every minute."""
    a_minute = TIP * round(60 / 0.45)
    assert a_minute * 60 <= COUNTS_MM_PER_H
    assert amounts([0.0, a_minute, 2 * a_minute], step_us=MINUTE_US) == pytest.approx([a_minute, a_minute])


# ---- heights


def level(*mounts: Mount, raw: str = "distance_m") -> Calibration:
    sensors = Sensor(quantity=raw), Sensor(quantity="stage_m", from_=Origin(reading=raw, mount=mounts))
    return Calibration.of(registry(station("W", *sensors)))


JANUARY = Mount(since=date(2026, 1, 1), height_m=6.35, source="survey")
NOVEMBER = Mount(since=date(2026, 11, 22), height_m=6.10, source="moved")
MIDNIGHT_US = T0_US - (6 * 60 + 50) * MINUTE_US - 7 * HOUR_US
"""The day of T0 begins in Thailand."""


def stages(calibration: Calibration, readings: ReadingBatch) -> list[float]:
    none = np.zeros(len(readings), dtype=np.bool_)
    whole = calibration.derive(readings, none, ClockState.empty(2), CounterState.empty(1))
    found: list[float] = whole.value[whole.series == 1].tolist()
    return found


def test_a_stage_is_the_height_of_the_instrument_less_the_distance() -> None:
    assert stages(level(JANUARY), batch([4.05, 3.0])) == [2.3, 3.35]


def test_a_stage_is_the_height_of_the_probe_and_the_depth_above_it() -> None:
    probe = Mount(since=date(2026, 1, 1), height_m=-0.40, source="survey")
    assert stages(level(probe, raw="depth_m"), batch([2.5])) == [2.1]


def test_an_instrument_that_was_moved_is_converted_by_where_it_hung_on_that_day() -> None:
    times = [MIDNIGHT_US - 1, MIDNIGHT_US]
    assert stages(level(JANUARY, NOVEMBER), batch([4.0, 4.0], times_us=times)) == [2.35, 2.1]


def test_before_the_first_survey_there_is_no_stage() -> None:
    before = batch([4.0], start_us=T0_US - YEAR_US)
    assert np.isnan(stages(level(JANUARY), before)).all()


def test_a_stamp_of_1970_does_not_hide_a_flood() -> None:
    odd = batch([1.0])
    assert stages(level(JANUARY), replace(odd, time_us=odd.time_us - 56 * YEAR_US)) == [5.35]


@pytest.mark.parametrize("distance_m", [float("nan"), -1.0, 0.0, 999.0])
def test_what_no_instrument_measures_gives_a_missing_stage(distance_m: float) -> None:
    assert np.isnan(stages(level(JANUARY), batch([distance_m]))).all()


def test_a_computed_reading_stands_behind_the_one_it_comes_from() -> None:
    calibration, raw = level(JANUARY), batch([4.0, 3.9, 3.8])
    none = np.zeros(3, dtype=np.bool_)
    whole = calibration.derive(raw, none, ClockState.empty(2), CounterState.empty(1))
    assert whole.series.tolist() == [0, 1] * 3
    assert whole.time_us.tolist() == np.repeat(raw.time_us, 2).tolist()
    assert whole.received_us.tolist() == np.repeat(raw.received_us, 2).tolist()


def test_a_registry_without_derivations_gives_the_batch_as_it_is() -> None:
    plain = Calibration.of(registry())
    readings, none = batch([1.0]), np.zeros(1, dtype=np.bool_)
    assert len(plain) == 0
    assert plain.derive(readings, none, ClockState.empty(2), CounterState.empty(0)) is readings


# ---- configuration


@pytest.mark.parametrize(
    ("sensors", "said"),
    [
        ([Sensor(quantity="rain_mm", from_=Origin(reading="rain_total_mm"))], "is no sensor of this station"),
        (
            [Sensor(quantity="distance_m"), Sensor(quantity="rain_mm", from_=Origin(reading="distance_m"))],
            "rain_mm cannot be computed from distance_m, only",
        ),
        (
            [Sensor(quantity="distance_m"), Sensor(quantity="stage_m", from_=Origin(reading="distance_m"))],
            "from.mount is missing",
        ),
        (
            [
                Sensor(quantity="distance_m"),
                Sensor(quantity="stage_m", from_=Origin(reading="distance_m", mount=(NOVEMBER, JANUARY))),
            ],
            "the days of from.mount must rise",
        ),
        (
            [
                Sensor(quantity="distance_m"),
                Sensor(quantity="stage_m", from_=Origin(reading="distance_m", mount=(JANUARY,), wraps_at=5.0)),
            ],
            "from.wraps_at is of counters",
        ),
        (
            [
                Sensor(quantity="rain_total_mm"),
                Sensor(quantity="rain_mm", from_=Origin(reading="rain_total_mm", mount=(JANUARY,))),
            ],
            "from.mount is of distances and depths",
        ),
        (
            [
                Sensor(quantity="rain_total_mm"),
                Sensor(quantity="rain_mm", from_=Origin(reading="rain_total_mm", wraps_at=-1.0)),
            ],
            "must be 0 (never) or above",
        ),
        (
            [
                Sensor(quantity="rain_total_mm"),
                Sensor(quantity="rain_mm", from_=Origin(reading="rain_total_mm")),
                Sensor(quantity="rain_mm", id="b", from_=Origin(reading="rain_total_mm")),
            ],
            "is the origin of another sensor already",
        ),
        (
            [
                Sensor(quantity="distance_m", suspect=(0.3, 7.0)),
                Sensor(quantity="stage_m", from_=Origin(reading="distance_m", mount=(JANUARY,))),
            ],
            "belong at the sensor computed from it",
        ),
    ],
)
def test_a_derivation_that_cannot_be_is_refused_with_what_is_wrong(sensors: list[Sensor], said: str) -> None:
    with pytest.raises(ConfigError, match="station W") as refused:
        registry(station("W", *sensors))
    assert said in str(refused.value)
