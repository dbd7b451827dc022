"""The platform's own judgement over a record."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.backtest import LevelChange, judge
from alerts.episode import EventType
from alerts.inputs.ahead import AheadRule
from alerts.rules import Rule, compile_rules
from sensors.batch import ReadingBatch
from sensors.stations import Registry
from tests.alerts.judge_world import World
from tests.alerts.rivers import batch, river
from tests.builders import MINUTE_US, level_rule, registry, station, thorough

CRITICAL_M = 3.0
FLOODS = [(10.0, 3.2, 9.0), (16.0, 1.2, 5.0), (25.0, 2.9, 14.0)]


def ahead_rule(level: int, horizon_s: float, reach: float) -> AheadRule:
    return AheadRule(
        id=f"ahead.{level}",
        version="1",
        hazard="flood",
        level=level,
        quantity="stage_m",
        unit="m",
        enter=CRITICAL_M,
        leave=CRITICAL_M - 0.05,
        up_for_s=0,
        down_for_s=10800,
        horizon_s=horizon_s,
        reach=reach,
        source="test",
        author="test",
        date=date(2026, 11, 22),
    )


RULES: tuple[Rule, ...] = (
    level_rule(3, CRITICAL_M, id="critical", leave=CRITICAL_M - 0.05, up_for_s=0, down_for_s=1800),
    ahead_rule(2, 9600, 0.21),
    ahead_rule(1, 21600, 0.5),
)


def world() -> Registry:
    return registry(station("A", cadence_s=900.0))


def judged(readings: ReadingBatch, *, rows: int = 50_000) -> list[LevelChange]:
    there = world()
    return list(judge(readings, np.zeros(len(readings), dtype=bool), there, compile_rules(RULES, there), rows=rows))


def test_a_flood_is_warned_of_before_it_is_there() -> None:
    readings = batch(river(FLOODS))
    changes = judged(readings)
    for day in (10.0, 25.0):
        near = [one for one in changes if abs((one.time_us - readings.time_us[0]) / MINUTE_US / 1440 - day) < 2]
        first = {
            level: min(one.time_us for one in near if one.to_level >= level > one.from_level) for level in (1, 2, 3)
        }
        assert first[1] <= first[2] < first[3]
        assert first[3] - first[2] >= 30 * MINUTE_US
    assert {one.rule for one in changes} == {"critical", "ahead.2", "ahead.1"}


def test_a_rise_that_stays_far_below_is_not_warned_of() -> None:
    assert not judged(batch(river([(16.0, 1.2, 5.0)])))


def test_changes_of_the_judged_level_follow_each_other() -> None:
    changes = judged(batch(river(FLOODS)))
    assert changes[0].from_level == 0
    assert changes[-1].to_level == 0
    for one, next_ in pairwise(changes):
        assert one.to_level == next_.from_level != next_.to_level
        assert one.time_us < next_.time_us


def test_down_goes_one_level_at_a_time() -> None:
    assert all(one.to_level >= one.from_level - 1 for one in judged(batch(river(FLOODS))))


@given(st.integers(1, 3839), st.integers(200, 4000))
@thorough(8)
def test_a_record_that_is_cut_off_is_judged_the_same_up_to_there(end: int, rows: int) -> None:
    readings = batch(river(FLOODS))
    whole = judged(readings)
    cut = judged(readings[:end], rows=rows)
    assert cut == [one for one in whole if one.time_us <= readings.time_us[end - 1]]


def test_the_running_platform_judges_the_same() -> None:
    readings, there = batch(river(FLOODS)), world()
    live = World(registry=there, own_rules=RULES, now_us=int(readings.time_us[0]))
    for k in range(0, len(readings), 37):
        live.take(readings[k : k + 37])
    told = [e for e in live.events() if e.type is EventType.JUDGED]
    found = [(e.event_us, e.from_level, e.to_level) for e in sorted(told, key=lambda e: (e.event_us, e.version))]
    assert found == [(one.time_us, one.from_level, one.to_level) for one in judged(readings)]
    assert len(found) >= 6


def test_a_leap_of_one_reading_warns_nobody() -> None:
    level = river([(16.0, 1.9, 8.0)])
    peak = int(np.argmax(level))
    level[peak + 40] += 0.4
    level[100] = -3.0
    assert [one for one in judged(batch(level)) if one.to_level >= 2] == []


def test_half_an_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("alerts.inputs.ahead.follow", breaks)
    with pytest.raises(RuntimeError, match="broken"):
        judged(batch(river(FLOODS))[:50])
