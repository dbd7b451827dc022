"""A sample that waits for the next one is a proposal at once, and releases only with a second voice (contract 5.8)."""

import pytest

from alerts.episode import EventType
from alerts.rules import Rule
from sensors.stations import Registry, Sensor
from tests.alerts.judge_world import MANUAL, World
from tests.alerts.people_world import of
from tests.builders import MINUTE_US, T0_US, absence_rule, batch, level_rule, registry, station

SECOND_US = 1_000_000
RULES: tuple[Rule, ...] = (level_rule(3, 4.0, up_for_s=0.0), absence_rule())
SPIKY = Sensor(quantity="stage_m")
"""A large change waits for the next reading."""
TWO_STATIONS = registry(station("A", SPIKY), station("B", SPIKY), station("C", SPIKY, areas=("other",)))
TWO_SENSORS = registry(station("A", Sensor(quantity="stage_m", id="a"), Sensor(quantity="stage_m", id="b")))


def jump(world: World, *series: int, apart_s: int = 20) -> None:
    """Six calm minutes of all, then the named series jump, one some seconds behind the other."""
    for k, one in enumerate(range(len(world.registry.series))):
        world.take(batch([1.0] * 6, series=one, start_us=T0_US + k * SECOND_US))
    for k, one in enumerate(series):
        world.take(batch([4.5], series=one, start_us=T0_US + 6 * MINUTE_US + k * apart_s * SECOND_US))
    world.tick()


@pytest.mark.parametrize("apart_s", [-20, 0, 20])
@pytest.mark.parametrize("there", [TWO_STATIONS, TWO_SENSORS])
def test_a_second_sensor_of_the_area_is_a_second_voice(there: Registry, apart_s: int) -> None:
    world = World(registry=there, own_rules=RULES, routes=MANUAL.automatic())
    jump(world, 0, 1, apart_s=apart_s)
    assert world.floods()["village"] == 3
    assert [e.to_level for e in of(world, EventType.RELEASED)] == [3]


def test_one_sensor_alone_is_a_proposal() -> None:
    world = World(registry=TWO_STATIONS, own_rules=RULES, routes=MANUAL.automatic())
    jump(world, 0)
    assert world.floods() == {"village": 3}
    assert of(world, EventType.RELEASED) == []
    world.take(batch([4.5], start_us=T0_US + 7 * MINUTE_US))
    world.tick()
    assert [e.to_level for e in of(world, EventType.RELEASED)] == [3], "its second sample"


def test_a_sensor_of_another_area_is_none() -> None:
    world = World(registry=TWO_STATIONS, own_rules=RULES, routes=MANUAL.automatic())
    jump(world, 0, 2)
    assert world.floods() == {"village": 3, "other": 3}
    assert of(world, EventType.RELEASED) == []


def test_a_second_sensor_that_is_dead_by_now_is_none() -> None:
    world = World(registry=TWO_STATIONS, own_rules=RULES, routes=MANUAL.automatic())
    for k in (0, 1):
        world.take(batch([1.0] * 6, series=k))
    world.take(batch([4.5], series=0, start_us=T0_US + 6 * MINUTE_US))
    world.judge.died("A", world.now_us)
    world.take(batch([4.5], series=1, start_us=T0_US + 6 * MINUTE_US))
    world.tick()
    assert of(world, EventType.RELEASED) == []


def test_where_people_release_the_second_voice_is_said_once() -> None:
    world = World(registry=TWO_STATIONS, own_rules=RULES)
    jump(world, 0)
    assert of(world, EventType.CONFIRMED) == []
    for minute in (7, 8, 9):
        world.take(batch([4.5], start_us=T0_US + minute * MINUTE_US))
        world.tick()
    assert [e.to_level for e in of(world, EventType.CONFIRMED)] == [3]
    assert world.story().confirmed_level == 3
