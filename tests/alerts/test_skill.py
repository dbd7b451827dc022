"""What warnings were worth."""

import math

import numpy as np
import pytest

from alerts.skill import WINDOW_US, YEAR_US, Event, Skill, events, score
from sensors.trend import HOUR_US

H = HOUR_US


def flood(rise_h: int, onset_h: int, end_h: int, *, whole: bool = True) -> Event:
    return Event(rise_us=rise_h * H, onset_us=onset_h * H, end_us=end_h * H, whole=whole)


def scored(happened: list[Event], *warned_h: float, until_h: tuple[float, ...] | None = None) -> Skill:
    raised = [round(at * H) for at in warned_h]
    until = [at + H for at in raised] if until_h is None else [round(at * H) for at in until_h]
    return score(happened, raised, until, covered_us=YEAR_US)


def test_a_warning_between_rise_and_onset_is_a_hit_with_its_lead() -> None:
    found = scored([flood(100, 110, 120)], 104)
    assert (found.hits, found.misses, found.false_alarms) == (1, 0, 0)
    assert found.lead_h() == 6
    assert (found.pod, found.csi, found.far) == (1, 1, 0)


def test_a_warning_that_comes_with_the_water_is_none() -> None:
    found = scored([flood(100, 110, 120)], 110)
    assert (found.hits, found.misses, found.false_alarms) == (0, 1, 0)


def test_the_first_warning_counts() -> None:
    assert scored([flood(100, 110, 120)], 102, 108).lead_h() == 8


def test_one_in_force_when_the_rise_begins_counts_from_there() -> None:
    assert scored([flood(100, 110, 120)], 90, until_h=(101,)).lead_h() == 10
    assert scored([flood(100, 110, 120)], 90, until_h=(99,)).hits == 0


def test_a_warning_of_nothing_is_false_once_in_two_days() -> None:
    assert scored([], 10, 20, 60).false_alarms == 1
    assert scored([], 10, 60).false_alarms == 2
    assert scored([], 10).false_per_year == 1


def test_a_warning_during_an_event_or_before_one_is_not_false() -> None:
    happened = [flood(100, 110, 300)]
    assert scored(happened, 250).false_alarms == 0
    assert scored(happened, 110 - WINDOW_US / H).false_alarms == 0
    assert scored(happened, 109 - WINDOW_US / H).false_alarms == 1


def test_an_event_that_the_record_begins_with_is_neither_hit_nor_missed() -> None:
    found = scored([flood(-20, 0, 10, whole=False)], 5)
    assert (found.hits, found.misses, found.false_alarms) == (0, 0, 0)
    assert math.isnan(found.pod)


def test_tables_are_added() -> None:
    one, two = scored([flood(100, 110, 120)], 104), scored([flood(100, 110, 120)], 300)
    both = Skill.pooled([one, two])
    assert (both.hits, both.misses, both.false_alarms, both.warnings) == (1, 1, 1, 2)
    assert both.csi == pytest.approx(1 / 3)
    assert both.false_per_year == 0.5
    assert Skill.pooled([]) == Skill()


def test_runs_above_a_height_that_lie_close_are_one_event() -> None:
    time_us = np.arange(200) * H
    level = np.full(200, 1.0)
    level[100:104] = [2.0, 3.0, 4.0, 3.2]
    level[110:112] = 3.1
    level[150] = 3.5
    found = events(time_us, level, 3.0)
    assert [(one.onset_us // H, one.end_us // H) for one in found] == [(101, 111), (150, 150)]
    assert found[0].rise_us // H == 99, "the last hour within a tenth of the lowest"
    assert all(one.whole for one in found)
    assert events(time_us, level, 9.0) == []
    assert not events(time_us, np.full(200, 5.0), 3.0)[0].whole
