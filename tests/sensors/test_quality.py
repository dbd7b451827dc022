"""How far the checks are right, on a river of our own making with planted faults and on labelled recordings."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from bench.quality import PLANTED, Score, amsterdam, checked, doubted, planted, records, river, scores, table
from sensors.flags import Check, Flag, roll_up, usable
from sensors.sensor import Sensor
from tests.builders import registry, station
from tests.sensors.test_recorded import column


@pytest.mark.parametrize("fault", PLANTED)
def test_faults_planted_into_a_river_are_found_and_its_floods_are_not_called_faults(fault: str) -> None:
    whole = next(scores(planted(fault)))
    assert whole.faulty >= 20
    assert whole.recall > 0.95
    assert whole.precision > 0.95


def test_a_river_without_faults_is_left_alone() -> None:
    time_us, value = river(seed=11)
    found = checked(registry(station("A", cadence_s=900)), time_us, value)
    assert not doubted(roll_up(found)).any()


def test_a_flood_whose_front_leaps_is_good_after_the_second_look() -> None:
    reg = registry(station("A", Sensor(quantity="stage_m"), cadence_s=900))
    value = np.concatenate([np.full(20, 1.0), 1.0 + 0.8 * np.arange(1, 9), np.linspace(7.4, 3, 40)])
    found = checked(reg, river()[0][: len(value)], value)
    assert (found[Check.SPIKE, 20:29] == Flag.GOOD).all()
    assert (roll_up(found)[1:] == Flag.GOOD).all()


@pytest.fixture(scope="module")
def measured(reference: Path) -> dict[tuple[str, str], Score]:
    return {(one.record, one.what): one for record in records(reference) for one in scores(record)}


@pytest.mark.parametrize(
    ("record", "what", "precision", "recall"),
    [
        ("Sandy Creek, level", "fault: impossible", 1.0, 1.0),
        ("MainStreet2019, stage", "all checks", 1.0, 0.0),
        ("MainStreet2019, temp", "check: gross_range", 1.0, 0.55),
        ("rain 02483", "all checks", 0.95, 0.07),
    ],
)
def test_what_the_defaults_doubt_in_recordings_is_what_experts_took_out(
    measured: dict[tuple[str, str], Score], record: str, what: str, precision: float, recall: float
) -> None:
    one = measured[record, what]
    assert one.precision >= precision
    assert one.recall >= recall


@pytest.mark.parametrize("record", ["Sandy Creek, level", "MainStreet2019, stage", "FranklinBasin2014, stage"])
def test_good_levels_are_left_alone(measured: dict[tuple[str, str], Score], record: str) -> None:
    whole = measured[record, "all checks"]
    assert whole.flagged - whole.right == 0


@pytest.mark.parametrize(
    ("name", "value", "cadence_s", "peak_m"),
    [
        ("qc/oddwater_sandy.csv.gz", "level_m", 5400, 14.77),
        ("flood/uk/aire_armley_2015.csv.gz", "stage_m", 900, 5.217),
        ("flood/uk/calder_mytholmroyd_2015.csv.gz", "stage_m", 900, 5.735),
    ],
)
def test_the_crest_of_a_real_flood_survives_the_second_look(
    reference: Path, name: str, value: str, cadence_s: float, peak_m: float
) -> None:
    values, times = column(reference / "data" / name, value)
    flag = roll_up(checked(registry(station("A", Sensor(quantity="stage_m"), cadence_s=cadence_s)), times, values))
    level = np.array(values)
    assert np.nanmax(level[usable(flag)]) == peak_m
    assert usable(flag[level > 0.8 * peak_m]).all()


def test_private_rain_gauges_judge_each_other_and_their_cloudburst_survives(reference: Path) -> None:
    """Unlabelled; what is known is that it rained hard over all of them on 30 May and 23 June 2016."""
    names, time_us, mm, flag = amsterdam(reference, steps=40 * 288)
    bad, there = doubted(flag), ~np.isnan(mm)
    share = bad.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    sound = share < 0.05
    assert sound.sum() >= 0.75 * len(names)
    burst = np.unravel_index(np.nanargmax(mm), mm.shape)
    assert mm[burst] > 20
    assert bad[burst], "nobody around saw it"
    for begin, hours in (("2016-05-30T19:05:00+00:00", 1), ("2016-06-23T00:00:00+00:00", 6)):
        begin_us = datetime.fromisoformat(begin).timestamp() * 1_000_000
        rows = (time_us >= begin_us) & (time_us < begin_us + hours * 3_600_000_000)
        fell = mm[rows][:, sound]
        assert not bad[rows][:, sound][fell > 0].any()
        assert np.nanmedian(np.nansum(fell, axis=0)) > 3
    alone = names.index("ams73")  # its rain has nothing to do with that of any other, at any shift of its clock
    assert share[alone] > 0.5, "two weeks are needed to know it"


def test_the_page_of_quality_names_every_check_and_shows_what_is_measured(reference: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "quality.md").read_text(encoding="utf-8")
    assert all(f"{check.value} `{check.name.lower()}`" in page for check in Check)
    measured = "\n".join(table(reference))
    assert f"\n{measured}\n" in page, "paste what `python -m bench.quality` prints"
