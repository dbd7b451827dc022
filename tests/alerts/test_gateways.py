"""One dead gateway is one alarm for the technician, and hides no river that was rising (contract 5.6)."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.episode import EventType, Kind
from alerts.lifecycle import LOST
from sensors.stations import ConfigError, Registry
from tests.alerts.judge_world import World
from tests.builders import MINUTE_US, T0_US, batch, registry, station, thorough


def behind(*cadences_s: float, gateway: str = "G-1") -> Registry:
    """Stations S0, S1, ... behind one gateway, and one that speaks for itself."""
    own = [
        msgspec.structs.replace(station(f"S{i}", cadence_s=cadence_s), gateway=gateway)
        for i, cadence_s in enumerate(cadences_s)
    ]
    return registry(*own, station("lone", areas=("other",)))


def run(world: World, minutes: int, speaks: dict[int, int], value: float = 1.0) -> None:
    """Minutes go by; `speaks` says until which minute of the run (not included) each series goes on speaking."""
    start_us = world.now_us
    for minute in range(1, minutes + 1):
        for series, until in speaks.items():
            if minute < until:
                world.take(batch([value], series=series, start_us=start_us + minute * MINUTE_US))
        world.now_us = start_us + minute * MINUTE_US
        world.tick()


def silent(world: World) -> list[str]:
    """Who is said to be absent now."""
    stories = world.ledger.episodes(Kind.EXERCISE, open_only=True)
    return sorted(story.area for story in stories if story.hazard == "station")


def ever(world: World) -> list[str]:
    """Who ever was."""
    return sorted(story.area for story in world.ledger.episodes(Kind.EXERCISE) if story.hazard == "station")


ALL = {0: 99, 1: 99, 2: 99, 3: 99}


def test_stations_that_fall_silent_together_are_one_alarm_of_their_gateway() -> None:
    world = World(registry=behind(60, 60, 60))
    run(world, 5, ALL)
    run(world, 30, {3: 99})
    assert ever(world) == ["G-1"]
    run(world, 5, ALL)
    assert silent(world) == []
    assert ever(world) == ["G-1"], "and nobody else when it is back"


def test_one_station_of_many_is_missed_itself_when_it_is_due() -> None:
    world = World(registry=behind(60, 60, 60))
    run(world, 5, ALL)
    run(world, 30, {1: 99, 2: 99, 3: 99})
    assert ever(world) == ["S0"]
    absence = next(e for e in world.events() if e.area == "S0")
    assert absence.recorded_us - T0_US == 8 * MINUTE_US


def test_a_station_that_stays_away_when_its_gateway_is_back_is_missed() -> None:
    world = World(registry=behind(60, 60, 60))
    run(world, 5, ALL)
    run(world, 30, {3: 99})
    run(world, 10, {1: 99, 2: 99, 3: 99})
    assert silent(world) == ["S0"]
    assert ever(world) == ["G-1", "S0"]


def test_a_station_that_was_missed_before_stays_so() -> None:
    world = World(registry=behind(60, 60, 60))
    run(world, 5, ALL)
    run(world, 10, {1: 99, 2: 99, 3: 99})
    run(world, 20, {3: 99})
    assert silent(world) == ["G-1", "S0"]


def test_a_station_alone_behind_a_gateway_is_missed_itself() -> None:
    world = World(registry=behind(60))
    run(world, 5, {0: 99, 1: 99})
    run(world, 10, {1: 99})
    assert ever(world) == ["S0"]


def test_a_river_that_was_rising_is_proposed_although_its_gateway_died() -> None:
    world = World(registry=behind(60, 60))
    for minute in range(30):
        for series in (0, 1):
            world.take(batch([2.2 + 0.02 * minute], series=series, start_us=T0_US + minute * MINUTE_US))
        world.take(batch([1.0], series=2, start_us=T0_US + minute * MINUTE_US))
    world.tick()
    assert world.floods() == {"village": 1}
    run(world, 10, {2: 99})
    assert world.floods() == {"village": 2}
    assert LOST in [event.note for event in world.events()]
    assert ever(world) == ["G-1"]


def test_a_deaf_worker_misses_no_gateway() -> None:
    world = World(registry=behind(60, 60))
    run(world, 5, {0: 99, 1: 99, 2: 99})
    for _ in range(60):
        world.tick(1, deaf=True)
    assert ever(world) == []


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_neither_forgets_nor_ends_it(tmp_path: Path, snapshot: bool) -> None:
    world = World(registry=behind(60, 60, 60), snapshot_path=tmp_path / "judge.npz" if snapshot else None)
    run(world, 5, ALL)
    run(world, 10, {3: 99})
    world.judge.stop()
    world.restart()
    world.tick()
    run(world, 10, {3: 99})
    assert silent(world) == ["G-1"]
    assert [e.type for e in world.events() if e.area == "G-1"] == [EventType.JUDGED]


@thorough(6)
@given(
    until=st.lists(st.integers(1, 12), min_size=3, max_size=3),
    cadences=st.lists(st.sampled_from([60.0, 120.0]), min_size=3, max_size=3),
)
def test_whoever_is_silent_for_good_is_covered_by_one_alarm_or_the_other(
    until: list[int], cadences: list[float]
) -> None:
    world = World(registry=behind(*cadences))
    run(world, 3, ALL)
    run(world, 30, {0: until[0], 1: until[1], 2: until[2], 3: 99})
    told = set(silent(world))
    assert "G-1" in told, "in the end nothing comes through it"
    assert "lone" not in told
    run(world, 12, {**ALL, 0: 1})
    assert set(silent(world)) == {"S0"}, "and in the end only the one that stays away is missed"


@pytest.mark.parametrize("name", ["S1", "village"])
def test_a_gateway_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ConfigError, match="name of its own"):
        behind(60, 60, gateway=name)
