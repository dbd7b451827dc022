"""What a device said is stale from the moment it is gone until it says something new: unknown, and no more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.episode import EventType, Kind
from alerts.ledger import AlertLedger, Record
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from alerts.silence import Silence
from sensors.stations import Sensor
from tests.alerts.judge_world import MANUAL, World
from tests.builders import MINUTE_US, T0_US, batch, cut, registry, station, thorough

TWO_AT_ONE_PLACE = registry(station("A"), station("B"))
RISING = [1.0 + 0.1 * minute for minute in range(16)]


def known(world: World, area: str = "village") -> bool:
    (found,) = (s.known for s in world.ledger.statuses(Kind.EXERCISE) if (s.area, s.hazard) == (area, "flood"))
    return found


def die(world: World, name: str = "A") -> None:
    world.judge.died(name, world.now_us)


def test_a_death_makes_every_series_of_its_station_unknown_at_once_and_no_other_station() -> None:
    level = Sensor(quantity="stage_m", rise_suspect_per_h=600.0, spike=0.0)
    world = World(registry=registry(station("A", level, Sensor(quantity="rain_mm")), station("B", areas=("other",))))
    world.take(batch([1.0, 0.0, 1.0], series=[0, 1, 2], times_us=[T0_US] * 3))
    world.tick()
    assert known(world)
    die(world)
    world.tick()
    assert not known(world)
    assert known(world, "other")
    assert world.judge._silence.stale().tolist() == [True, True, False]


def test_the_next_usable_reading_makes_it_known_again() -> None:
    world = World()
    world.take(batch([1.0]))
    die(world)
    world.take(batch([1.1], start_us=T0_US + MINUTE_US))
    world.tick()
    assert known(world)


@pytest.mark.parametrize(
    ("value", "minute", "delay"),
    [
        pytest.param(float("nan"), 1, 0, id="nothing measured"),
        pytest.param(1.0, 0, 1, id="a repeat of what it had said"),
        pytest.param(1.0, -1, 2, id="older than what it had said"),
        pytest.param(99.0, 1, 0, id="outside of the instrument"),
        pytest.param(1.0, 60, -59, id="from the future"),
        pytest.param(1.0, 1, 30, id="too late to speak for now"),
    ],
)
def test_nothing_less_does(value: float, minute: int, delay: int) -> None:
    world = World()
    world.take(batch([1.0]))
    die(world)
    world.take(batch([value], start_us=T0_US + minute * MINUTE_US, delay_us=delay * MINUTE_US))
    world.tick()
    assert not known(world)
    assert world.judge._silence.stale()[0]


def test_within_one_batch_only_what_came_behind_the_word_counts() -> None:
    """Readings are stored before the word is heard: what counts is when they arrived."""
    for minutes, expected in ([0, 1], False), ([0, 2], True):
        world = World()
        world.take(batch([1.0, 1.1], times_us=[T0_US + minute * MINUTE_US for minute in minutes]))
        world.judge.died("A", T0_US + MINUTE_US)
        world.tick()
        assert known(world) is expected


def test_a_death_moves_no_level_and_calls_nobody_before_its_time() -> None:
    world = World(routes=MANUAL.automatic())
    world.take(batch([3.5, 3.5]))
    world.take(batch([1.0], series=1, start_us=T0_US + MINUTE_US))
    die(world)
    world.tick(0.1)
    assert (world.story().judged_level, world.story().public_level, world.story().known) == (2, 2, False)
    assert [e.type for e in world.events()][-1] is EventType.LOST
    assert {e.hazard for e in world.ledger.episodes(Kind.EXERCISE)} == {"flood"}
    world.tick(2.8)
    assert {e.hazard for e in world.ledger.episodes(Kind.EXERCISE)} == {"flood"}
    world.tick(0.2)
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE) if e.hazard == "station"} == {"A", "B"}


def test_a_flood_that_only_a_dead_device_carries_is_not_released() -> None:
    """A late flood waits for a reading that speaks for now; here it came, and its device died."""
    for dead, level in (False, 3), (True, 0):
        world = World(routes=MANUAL.automatic())
        world.take(batch([4.5, 4.5], delay_us=60 * MINUTE_US))
        world.take(batch([4.5], start_us=T0_US + 62 * MINUTE_US))
        if dead:
            die(world)
        world.tick()
        assert world.story().public_level == level


def test_what_a_dead_device_said_ends_no_warning() -> None:
    for dead, level in (False, 0), (True, 3):
        world = World(registry=TWO_AT_ONE_PLACE, routes=MANUAL.automatic())
        for minute in range(2):
            world.take(batch([4.5, 1.0], series=[0, 1], times_us=[T0_US + minute * MINUTE_US] * 2))
        world.take(batch([0.5] * 30, start_us=T0_US + 2 * MINUTE_US, delay_us=40 * MINUTE_US))
        assert (world.story().judged_level, world.story().public_level) == (0, 3)
        world.take(batch([0.5, 0.5], series=[0, 1], times_us=[world.now_us, world.now_us + MINUTE_US]))
        if dead:
            die(world, "B")
        world.tick()
        assert world.story().public_level == level


def test_dwell_goes_on_over_a_death_when_readings_cover_it() -> None:
    """A link that drops is no gap in the water: holds look at readings only (contract 5.2)."""
    for deaths in (), (1,):
        world = World()
        for minute, value in enumerate([1.0, 2.5, 2.5]):
            world.take(batch([value], start_us=T0_US + minute * MINUTE_US))
            if minute in deaths:
                die(world)
                world.tick()
        assert world.floods() == {"village": 1}


def test_lost_while_rising_is_proposed_at_its_due_time_and_not_at_the_death() -> None:
    world = World()
    world.take(batch(RISING))
    assert world.floods() == {"village": 1}
    die(world)
    world.tick(2.9)
    assert world.floods() == {"village": 1}
    world.tick(0.2)
    assert world.floods() == {"village": 2}


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_restart_remembers_who_is_dead_and_who_came_back(tmp_path: Path, snapshot: bool) -> None:
    world = World(snapshot_path=tmp_path / "judge.npz" if snapshot else None)
    for series in 0, 1:
        world.take(batch([1.0], series=series))
    die(world)
    die(world, "B")
    world.tick()
    world.take(batch([1.0], series=1, start_us=T0_US + MINUTE_US))
    world.restart()
    world.tick()
    assert (known(world), known(world, "other")) == (False, True)
    world.take(batch([1.0], start_us=T0_US + MINUTE_US))
    world.restart()
    world.tick()
    assert known(world)


def test_a_stop_writes_a_death_that_no_tick_has_seen() -> None:
    world = World()
    world.take(batch([1.0]))
    die(world)
    world.judge.stop()
    world.restart()
    world.tick()
    assert not known(world)


class Failing(MemoryLedger):
    away = False

    def record(self, record: Record) -> None:
        if self.away:
            raise OSError("disk full")
        super().record(record)


def test_while_the_ledger_is_away_a_death_waits_and_holds_up_nothing() -> None:
    ledger = Failing()
    world = World(ledger=ledger)
    world.take(batch([1.0]))
    world.tick()
    ledger.away = True
    die(world)
    with pytest.raises(OSError, match="disk full"):
        world.tick()
    assert ledger.deaths(Kind.EXERCISE) == {}
    ledger.away = False
    world.tick()
    assert ledger.deaths(Kind.EXERCISE) == {"A": 1}
    assert not known(world)


def test_a_stop_without_a_ledger_still_keeps_the_snapshot(tmp_path: Path) -> None:
    ledger = Failing()
    world = World(ledger=ledger, snapshot_path=tmp_path / "judge.npz")
    world.take(batch([1.0]))
    die(world)
    ledger.away = True
    world.judge.stop()
    assert (tmp_path / "judge.npz").exists()


def test_a_station_that_nobody_registered_can_die() -> None:
    world = World()
    world.judge.died("nobody", T0_US)
    world.restart()
    world.tick()
    assert not world.judge._silence.stale().any()


@pytest.mark.parametrize("make", [lambda _: MemoryLedger(), lambda folder: open_ledger(folder / "ledger.sqlite")])
def test_a_ledger_keeps_the_newest_death_of_each_station_and_world(
    make: Callable[[Path], AlertLedger], tmp_path: Path
) -> None:
    ledger = make(tmp_path)
    ledger.record(Record(kind=Kind.EXERCISE, deaths={"A": 5, "B": 7}))
    ledger.record(Record(kind=Kind.EXERCISE, deaths={"A": 3, "B": 9}))
    ledger.record(Record(kind=Kind.TEST, deaths={"A": 1}))
    assert ledger.deaths(Kind.EXERCISE) == {"A": 5, "B": 9}
    assert ledger.deaths(Kind.TEST) == {"A": 1}
    assert ledger.deaths(Kind.ACTUAL) == {}
    ledger.close()


@thorough(40)
@given(
    words=st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.integers(-3, 0)), min_size=1, max_size=12),
    cuts=st.sets(st.integers(1, 11)),
    restarts=st.sets(st.integers(1, 11)),
)
def test_who_is_stale_does_not_depend_on_cutting_or_restart(
    words: list[tuple[int, bool, int]], cuts: set[int], restarts: set[int]
) -> None:
    """Each step one reading or one death, of either station, some readings late."""

    def run(cuts: set[int], restarts: set[int]) -> tuple[list[bool], list[tuple[object, ...]]]:
        world, waiting, deaths = World(), list[int](), list[int]()
        for step in range(len(words) + 1):
            if step in cuts or step == len(words):
                at = [words[k][0] for k in waiting]
                times = [T0_US + (k + words[k][2]) * MINUTE_US for k in waiting]
                for piece in cut(batch([2.5] * len(waiting), series=at, times_us=times), []):
                    piece.received_us[:] = [T0_US + k * MINUTE_US for k in waiting]
                    world.take(piece)
                for k in deaths:
                    world.judge.died("AB"[words[k][0]], T0_US + k * MINUTE_US)
                waiting, deaths = [], []
                world.now_us = T0_US + step * MINUTE_US
                world.tick()
            if step in restarts:
                world.restart()
            if step < len(words):
                (deaths if words[step][1] else waiting).append(step)
        world.tick()
        return world.judge._silence.stale().tolist(), world.history()

    assert run(cuts, restarts) == run(set(range(1, 12)), set())


def test_a_snapshot_keeps_what_a_series_said_last() -> None:
    world = World()
    world.take(batch([1.0]))
    again = Silence.of(world.judge._silence.kept())
    assert again.spoken_seq.tolist()[0] == 1
