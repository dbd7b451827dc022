"""When a story begins and when one goes on (contract 5.5)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.episode import EventType, Kind
from alerts.ledger.sql import open_ledger
from tests.alerts.judge_world import ONE, TWO, World
from tests.alerts.people_world import chained, rise
from tests.builders import MINUTE_US, T0_US, batch, registry, station, thorough

SOON = chained(rearm_s=1800.0)
"""No chain: nobody is called."""
UP, DOWN = (2.5, 2.5), (1.0,) * 8


def stories(world: World) -> list[tuple[str, bool]]:
    """(id, whether it is open), oldest first."""
    return [(e.id, e.closed_us is None) for e in reversed(world.ledger.episodes(Kind.EXERCISE)) if e.hazard == "flood"]


def flood_that_closed(**more: object) -> World:
    world = World(routes=SOON, **more)  # type: ignore[arg-type]
    rise(world, *UP, *DOWN)
    assert [is_open for _, is_open in stories(world)] == [False]
    return world


def test_what_rises_again_soon_and_no_higher_is_the_same_story_and_rings() -> None:
    world = flood_that_closed()
    rise(world, *UP)
    ((id, is_open),) = stories(world)
    assert is_open
    levels = [(e.from_level, e.to_level) for e in world.ledger.events(id) if e.type is EventType.JUDGED]
    assert levels == [(0, 1), (1, 0), (0, 1)]
    story = world.story()
    assert story.unacknowledged
    assert (story.version, story.closed_us, story.rang_us) == (len(world.ledger.events(id)), None, world.now_us)
    rise(world, *DOWN)
    assert [is_open for _, is_open in stories(world)] == [False], "it ends again"


def test_what_rises_later_is_a_new_story() -> None:
    world = flood_that_closed()
    rise(world, *[1.0] * 30)
    rise(world, *UP)
    assert len(stories(world)) == 2


def test_what_rises_higher_is_a_new_story() -> None:
    world = flood_that_closed()
    rise(world, 3.5, 3.5)
    assert [is_open for _, is_open in stories(world)] == [False, True]


@pytest.mark.parametrize("restart", [True, False])
def test_a_story_that_an_officer_ended_goes_on_too(restart: bool) -> None:
    world = World(routes=SOON)
    rise(world, 1.0, 3.5, 3.5)
    for actor in (ONE, TWO):
        world.desk().release(world.story().id, version=world.story().version, level=2, actor=actor)
    rise(world, *[1.0] * 20)
    world.desk().lower(world.story().id, version=world.story().version, level=0, actor=ONE)
    assert world.story().closed_us is not None
    rise(world, 1.0)
    if restart:
        world.restart()
    rise(world, 3.5, 3.5)
    assert [is_open for _, is_open in stories(world)] == [True]


@pytest.mark.parametrize("sql", [True, False])
def test_a_restart_in_between_changes_nothing(tmp_path: Path, sql: bool) -> None:
    world = flood_that_closed(**({"ledger": open_ledger(tmp_path / "ledger.db")} if sql else {}))
    world.restart()
    rise(world, *UP)
    assert len(stories(world)) == 1
    world.restart()
    rise(world, *DOWN)
    assert [is_open for _, is_open in stories(world)] == [False]


def test_a_route_without_it_begins_anew_each_time() -> None:
    world = World(routes=chained(rearm_s=0.0))
    for _ in range(3):
        rise(world, *UP, *DOWN)
    assert len(stories(world)) == 3


def test_a_story_of_the_past_goes_on_with_nothing() -> None:
    world = World(routes=SOON)
    rise(world, *[1.0] * 3)
    world.take(batch([2.5] * 5, start_us=T0_US - 600 * MINUTE_US, delay_us=610 * MINUTE_US))
    before = len(stories(world))
    world.restart()
    rise(world, *UP)
    assert len(stories(world)) == before + 1


@thorough(4)
@given(
    order=st.permutations(range(40)),
    seconds=st.lists(st.integers(0, 60), min_size=40, max_size=40),
    flicker=st.booleans(),
)
def test_forty_sensors_in_two_minutes_are_one_story(order: list[int], seconds: list[int], flicker: bool) -> None:
    world = World(registry=registry(*(station(f"S{i:02d}") for i in range(40))), routes=SOON)
    for minute, value in enumerate((1.0, 2.5, 2.5)):
        for series in order:
            at_us = T0_US + minute * MINUTE_US + seconds[series] * 1_000_000 // 2
            world.take(batch([value], series=series, start_us=at_us))
        world.tick()
    assert len(stories(world)) == 1
    assert len([e for e in world.events() if e.rises]) == 1
    if flicker:  # all back, and up again within half an hour
        for value in (*DOWN, *UP):
            for series in order:
                at_us = world.now_us + MINUTE_US if series == order[0] else world.now_us
                world.take(batch([value], series=series, start_us=at_us))
            world.tick()
        assert len(stories(world)) == 1
