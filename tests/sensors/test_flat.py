"""Flat lines: a stuck instrument is found at its default settings, a slow river is not called stuck."""

import numpy as np
import pytest

from alerts.judgement import JudgeState, assess
from sensors.batch import Bool, ReadingBatch
from sensors.checks import flag
from sensors.flags import Check, Flag, Flags
from sensors.quantities import QUANTITIES
from sensors.stations import Registry, Sensor
from sensors.window import Window
from tests.alerts.rises import rise_rule
from tests.builders import MINUTE_US, T0_US, batch, registry, rule_set, station

CADENCE_S = 600.0
STEP_US = 10 * MINUTE_US
DAY = 144
"""Readings."""


def world(**changes: object) -> Registry:
    return registry(station("A", Sensor(**{"quantity": "stage_m", **changes}), cadence_s=CADENCE_S))  # type: ignore[arg-type]


def flags(readings: ReadingBatch, reg: Registry, conflict: Bool | None = None) -> Flags:
    none, clock = np.zeros(len(readings), dtype=np.bool_), np.ones(len(readings), dtype=np.uint8)
    against = none if conflict is None else conflict
    found: Flags = flag(readings, against, clock, Window.empty(len(reg.series)), reg.limits).per_check[Check.FLAT_LINE]
    return found


def steady(n: int, value: float = 1.5) -> ReadingBatch:
    return batch([value] * n, step_us=STEP_US)


@pytest.mark.parametrize("quantity", [q.name for q in QUANTITIES.values() if q.flat])
def test_a_perfectly_constant_series_is_found_at_its_default_settings(quantity: str) -> None:
    usual = QUANTITIES[quantity].flat
    assert usual is not None
    found = flags(steady(4 * DAY), world(quantity=quantity))
    suspect, fail = round(usual.suspect_s / CADENCE_S), round(usual.fail_s / CADENCE_S)
    assert (found[:suspect] == Flag.GOOD).all()
    assert (found[suspect:fail] == Flag.SUSPECT).all()
    assert (found[fail:] == Flag.FAIL).all()


@pytest.mark.parametrize("quantity", ["rain_mm", "battery_v"])
def test_what_may_stand_still_is_never_called_flat(quantity: str) -> None:
    assert (flags(steady(30 * DAY, 0.0), world(quantity=quantity)) == Flag.GOOD).all()


def test_a_river_that_stands_for_half_a_dry_day_is_not_called_flat() -> None:
    values = np.repeat([1.50, 1.49, 1.48], 3 * DAY // 4)
    assert (flags(batch(values.tolist(), step_us=STEP_US), world()) == Flag.GOOD).all()


def test_a_slow_drift_is_not_called_flat_however_small_its_steps() -> None:
    drift = 2.0 - np.arange(10 * DAY) * 0.00005  # 7 mm a day, a twentieth of flat_eps from one to the next
    assert (flags(batch(drift.tolist(), step_us=STEP_US), world()) == Flag.GOOD).all()


def test_noise_within_eps_is_flat_and_beyond_twice_eps_is_not() -> None:
    noise = np.tile([1.0, 1.0009, 1.0004], 2 * DAY)
    assert flags(batch(noise.tolist(), step_us=STEP_US), world())[-1] == Flag.FAIL
    assert (flags(batch((1 + (noise - 1) * 3).tolist(), step_us=STEP_US), world()) == Flag.GOOD).all()


def test_eps_zero_is_equality_and_a_time_of_zero_is_off() -> None:
    exact = world(flat_eps=0.0, flat_suspect_s=1200, flat_fail_s=0)
    assert flags(batch([1.0, 1.0, 1.0, 1.0, 1.0001, 1.0], step_us=STEP_US), exact).tolist() == [1, 1, 3, 3, 1, 1]
    assert (flags(steady(9 * DAY), world(flat_suspect_s=0, flat_fail_s=0)) == Flag.GOOD).all()


def test_a_gap_ends_no_flat_line_but_its_time_is_not_counted() -> None:
    limits = world(flat_suspect_s=1800, flat_fail_s=3600)
    minutes = [0, 10, 20, 600, 610, 620, 630, 640]
    readings = batch([1.0] * 8, times_us=[T0_US + m * MINUTE_US for m in minutes])
    assert flags(readings, limits).tolist() == [1, 1, 1, 1, 3, 3, 3, 4]


def test_what_is_not_believed_neither_ends_nor_lengthens_a_flat_line() -> None:
    limits = world(flat_suspect_s=1800, flat_fail_s=3600)
    readings = batch([1.0, 1.0, 7.0, float("nan"), 99.0, 1.0, 1.0, 1.0], step_us=MINUTE_US * 2)
    conflict = np.array([False, False, True, False, False, False, False, False])
    assert flags(readings, limits, conflict).tolist() == [1, 1, 2, 9, 2, 1, 1, 1]
    longer = batch([1.0] * 5 + [7.0] + [1.0] * 2, step_us=STEP_US)
    against = np.arange(8) == 5
    assert flags(longer, limits, against).tolist() == [1, 1, 1, 3, 3, 2, 3, 3]


@pytest.mark.parametrize("still", [2 * DAY, 4 * DAY])
def test_a_rise_out_of_water_that_stood_still_is_seen_as_soon_as_one_out_of_a_slow_recession(still: int) -> None:
    """Doubted for standing still; what failed for it is no measurement, and the slope begins with the rise."""
    reg = world(rise_suspect_per_h=600.0, spike=0.0)
    rules = rule_set(reg, rise_rule(1, 0.5, over_s=3600.0))
    rising = 1.5 + 0.2 * np.arange(1, 13)
    seen = []
    for falling_m in (0.0, 0.002):
        values = np.concatenate([1.5 + falling_m * np.arange(still - 1, -1, -1), rising])
        none, clock = np.zeros(len(values), dtype=np.bool_), np.ones(len(values), dtype=np.uint8)
        empty = JudgeState.empty(len(reg.series), len(rules.ladders))
        judged = assess(
            batch(values.tolist(), step_us=STEP_US), none, clock, empty, limits=reg.limits, ladders=rules.ladders
        )
        seen.append(judged.changes.row.tolist()[0] - still)
    assert seen[0] == seen[1] if still < 3 * DAY else seen[0] > seen[1]
