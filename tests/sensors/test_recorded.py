"""The checks against recordings of others, and against what a widely used library answers to the same series.

The answers of ioos_qc 3.0.0 were recorded in the reference notes (domain.md, section 4.2). Where ours differ it is on
purpose: it fails both edges of a real step and both neighbours of a spike, passes a jump across a missing value, and
finds no constant series at its default tolerance.
"""

import csv
import gzip
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sensors.batch import Bool
from sensors.checks import Flagged, flag
from sensors.flags import Check, Flag, usable
from sensors.stations import Sensor
from sensors.window import Window
from tests.builders import MINUTE_US, T0_US, batch, registry, station

NAN = float("nan")
STAGE = Sensor(quantity="stage_m")


def checked(values: list[float], times_us: list[int], *, cadence_s: float, sensor: Sensor = STAGE) -> Flagged:
    readings, limits = batch(values, times_us=times_us), registry(station("A", sensor, cadence_s=cadence_s)).limits
    none, clock = np.zeros(len(readings), dtype=np.bool_), np.ones(len(readings), dtype=np.uint8)
    return flag(readings, none, clock, Window.empty(1), limits)


def column(path: Path, name: str, time: str = "time_utc") -> tuple[list[float], list[int]]:
    """Values, NaN where empty, and times in µs."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        rows = list(csv.DictReader(file))
    return [float(r[name] or "nan") for r in rows], [
        round(datetime.fromisoformat(r[time]).timestamp() * 1_000_000) for r in rows
    ]


def longest_h(hourly: list[float]) -> int:
    """Longest run of one and the same value, h between its first and last; a missing value ends it."""
    longest = run = 0
    for one, two in pairwise(hourly):
        run = run + 1 if one == two else 0
        longest = max(longest, run)
    return longest


def differential(values: list[float], *, over: float) -> list[int]:
    """Rows that the library's differential spike test fails: the smaller of both steps is over the limit, and they go
    opposite ways.
    """
    found = []
    for k in range(1, len(values) - 1):
        one, two = values[k] - values[k - 1], values[k + 1] - values[k]
        if one * two < 0 and min(abs(one), abs(two)) > over:
            found.append(k)
    return found


@pytest.mark.parametrize(
    ("values", "library", "ours", "why"),
    [
        (
            [1, 1, 9, 1, 1],
            [2, 1, 4, 1, 2],
            [2, 1, 2, 1, 1],
            "a spike waits; it is never failed, and neither is the newest",
        ),
        ([1, 1, 1, 9, 9, 9], [2, 1, 1, 1, 1, 2], [2, 1, 1, 2, 1, 1], "a step passes from its second sample"),
    ],
)
def test_the_spike_doubts_what_the_differential_test_fails(
    values: list[float], library: list[int], ours: list[int], why: str
) -> None:
    times = [T0_US + k * MINUTE_US for k in range(len(values))]
    found = checked(values, times, cadence_s=60).per_check[Check.SPIKE].tolist()
    assert found == ours, why
    failed = [k for k, flag in enumerate(library) if flag == Flag.FAIL]
    assert failed == differential(values, over=0.5)
    assert all(found[k] == Flag.UNKNOWN for k in failed)


def test_a_jump_across_a_missing_value_is_not_good_as_it_is_in_the_library() -> None:
    rated = Sensor(quantity="stage_m", rise_suspect_per_h=6.0)
    times = [T0_US + k * MINUTE_US for k in range(4)]
    found = checked([1, 1, NAN, 5], times, cadence_s=60, sensor=rated).per_check[Check.RATE_OF_CHANGE].tolist()
    assert found == [2, 1, 9, 3]  # the library: 1, 1, 9, 1


def test_a_constant_half_day_is_suspect_after_one_hour_and_fails_after_two_as_in_the_library() -> None:
    standing = Sensor(quantity="stage_m", flat_eps=0.001, flat_suspect_s=3600, flat_fail_s=7200)
    times = [T0_US + 6 * k * MINUTE_US for k in range(120)]
    found = checked([1.0] * 120, times, cadence_s=360, sensor=standing).per_check[Check.FLAT_LINE]
    assert found.tolist() == [1] * 10 + [3] * 10 + [4] * 100


def test_every_spike_of_the_library_in_a_recorded_tide_is_doubted_and_a_stuck_gauge_is_found(reference: Path) -> None:
    path = reference / "data/qc/ioos_water_level_example.csv"
    values, times = column(path, "sea_surface_height_above_sea_level", "time")
    found = checked(values, times, cadence_s=3600)
    hourly = np.diff(times) == 3_600_000_000
    spikes = [k for k in differential(values, over=0.5) if hourly[k - 1] and hourly[k]]
    assert len(spikes) > 5
    doubted = found.per_check[Check.SPIKE] == Flag.UNKNOWN
    for k in spikes:  # where the gauge swings to and fro the library fails the way back too
        assert doubted[k] or (doubted[k - 1] and doubted[k + 1])
    stuck = np.abs(np.array(values) - 1.0942) < 0.001  # months of it, with which the recording ends
    assert (found.per_check[Check.FLAT_LINE, stuck] == Flag.FAIL).mean() > 0.95
    assert (found.per_check[Check.FLAT_LINE, ~stuck] == Flag.GOOD).mean() > 0.99


@pytest.mark.parametrize(
    ("name", "cadence_s", "warning_m"),
    [
        ("flood/uk/aire_armley_2015.csv.gz", 900, 3.9),
        ("flood/uk/calder_mytholmroyd_2015.csv.gz", 900, 4.5),
        ("qc/oddwater_sandy.csv.gz", 5400, 5.5),
    ],
)
def test_a_real_flood_is_usable_to_its_crest_at_default_settings(
    reference: Path, name: str, cadence_s: float, warning_m: float
) -> None:
    values, times = column(reference / "data" / name, "level_m" if "sandy" in name else "stage_m")
    found = checked(values, times, cadence_s=cadence_s)
    high: Bool = np.array(values) >= warning_m
    assert high.sum() > 10
    assert usable(found.flag[high]).all()
    assert usable(found.flag).mean() > 0.999, "and so are the dry months"
    assert (found.per_check[Check.FLAT_LINE] == Flag.GOOD).all(), "a river at low water is not stuck"


def test_the_reading_after_a_labelled_impossible_one_is_good(reference: Path) -> None:
    values, times = column(reference / "data/qc/oddwater_sandy.csv.gz", "level_m")
    found = checked(values, times, cadence_s=5400)
    below = values.index(-0.109)  # labelled impossible by experts
    assert found.per_check[Check.SPIKE, below - 1 : below + 2].tolist() == [Flag.GOOD, Flag.UNKNOWN, Flag.GOOD]


def test_a_dead_dust_sensor_is_found_among_five_hundred_living_ones(reference: Path) -> None:
    path = reference / "data/smoke/taiwan_airbox_2017_03.csv.gz"
    with gzip.open(path, "rt") as file:
        names = file.readline().strip().split(",")[1:]
    _, times = column(path, names[0])
    with gzip.open(path, "rt") as file:
        table = np.array([[float(v or "nan") for v in row[1:]] for row in csv.reader(file) if row[0] != "time_utc"])
    hours, boxes = table.shape
    limits = registry(*(station(n, Sensor(quantity="pm2_5_ug_m3"), cadence_s=3600) for n in names)).limits
    readings = batch(
        table.ravel().tolist(),
        series=np.tile(np.arange(boxes), hours).tolist(),
        times_us=np.repeat(times, boxes).tolist(),
    )
    none, clock = np.zeros(len(readings), dtype=np.bool_), np.ones(len(readings), dtype=np.uint8)
    flat = flag(readings, none, clock, Window.empty(boxes), limits).per_check[Check.FLAT_LINE].reshape(hours, boxes)
    failed = set(np.flatnonzero((flat == Flag.FAIL).any(axis=0)).tolist())
    stood = {box for box in range(boxes) if longest_h(table[:, box].tolist()) >= 72}
    assert failed == stood
    assert 0 < len(failed) <= 0.01 * boxes
