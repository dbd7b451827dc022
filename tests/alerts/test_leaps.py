"""The judgement clock is moved: no time went by, so nobody is absent for it, and nobody is forgiven."""

from dataclasses import replace

import pytest

from alerts.lifecycle import LOST
from tests.alerts.judge_world import World
from tests.builders import MINUTE_US, T0_US, batch

HOUR_US = 60 * MINUTE_US


def leap(world: World, by_us: int) -> None:
    """The clock is moved between two ticks."""
    moved = world.judge.leapt_us() + by_us
    world.now_us += by_us
    world.judge.leapt_us = lambda: moved


def absent(world: World) -> int:
    return len([e for e in world.ledger.episodes(world.judge.cells.kind, open_only=True) if e.hazard == "station"])


@pytest.mark.parametrize("by_us", [-HOUR_US, 3 * HOUR_US, 50 * 8766 * HOUR_US])
@pytest.mark.parametrize("deaf", [False, True])
def test_a_leap_makes_nobody_absent_and_absence_is_found_when_it_is_due(by_us: int, deaf: bool) -> None:
    world = World()
    world.take(batch([1.0, 1.0], series=[0, 1], times_us=[T0_US, T0_US]))
    world.tick(1)
    leap(world, by_us)
    world.tick(deaf=deaf)
    assert absent(world) == 0
    world.tick(1.9)
    assert absent(world) == 0, "two minutes and 54 s are not three"
    world.tick(0.1)
    assert absent(world) == 2


def test_an_absence_that_stands_is_not_ended_by_a_leap() -> None:
    world = World()
    world.take(batch([1.0, 1.0], series=[0, 1], times_us=[T0_US, T0_US]))
    world.tick(4)
    assert absent(world) == 2
    leap(world, -HOUR_US)
    world.tick()
    assert absent(world) == 2


def test_a_river_that_was_lost_while_rising_is_lost_once_whatever_the_clock_does() -> None:
    world = World()
    world.take(batch([1.85 + 0.05 * k for k in range(12)]))
    world.tick()
    assert world.floods() == {"village": 1}
    leap(world, 3 * HOUR_US)
    world.tick(1)
    assert world.floods() == {"village": 1}, "one minute is not three"
    world.tick(3)
    assert world.floods() == {"village": 2}
    leap(world, 3 * HOUR_US)
    world.tick(1)
    assert len([e for e in world.events() if e.note == LOST]) == 1


def test_after_a_leap_readings_of_now_speak_and_the_story_goes_on() -> None:
    world = World()
    world.take(batch([2.1, 2.2, 2.3]))
    leap(world, 3 * HOUR_US)
    later = batch([2.4, 2.5, 3.1, 3.2], start_us=T0_US + 3 * HOUR_US + 3 * MINUTE_US)
    world.take(replace(later, received_us=later.time_us))
    world.tick()
    floods = [e for e in world.ledger.episodes(world.judge.cells.kind) if e.hazard == "flood"]
    assert [e.judged_level for e in floods] == [2], "one story"
