"""What is computed from raw readings is stored with them, judged like any other, and told once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import ReadingBatch
from sensors.flags import Flag
from sensors.origin import Mount, Origin
from sensors.stations import Registry, Sensor
from sensors.store.duck import DuckStore
from tests.alerts.judge_world import World
from tests.builders import MINUTE_US, T0_US, batch, cut, registry, station, thorough

MOUNT = Mount(since=date(2026, 1, 1), height_m=6.0, source="survey")


def derived() -> Registry:
    """A radar over a river and a rain gauge with a counter."""
    return registry(
        station(
            "W",
            Sensor(quantity="distance_m"),
            Sensor(quantity="stage_m", from_=Origin(reading="distance_m", mount=(MOUNT,)), spike=0.0),
        ),
        station(
            "R",
            Sensor(quantity="rain_total_mm"),
            Sensor(quantity="rain_mm", from_=Origin(reading="rain_total_mm")),
            areas=("other",),
        ),
    )


DISTANCE, STAGE, COUNTER, RAIN = range(4)
YEAR_US = 8766 * 60 * MINUTE_US


def rows(world: World, series: int) -> list[tuple[int, float]]:
    """What the journal holds of one series, in order of time."""
    key = world.registry.series[series].key
    held = world.store.history(key, from_us=0, to_us=1 << 62, limit=10_000)
    return list(zip(held.time_us.tolist(), held.value.tolist(), strict=True))


def both(distances: Sequence[float], counts: Sequence[float]) -> ReadingBatch:
    """One of each a minute."""
    n = len(distances)
    return ReadingBatch.of(
        series=np.tile([DISTANCE, COUNTER], n),
        time_us=np.repeat(T0_US + MINUTE_US * np.arange(n), 2),
        value=np.stack([distances, counts], axis=1).ravel(),
        received_us=np.repeat(T0_US + MINUTE_US * np.arange(n), 2),
    )


def test_a_radar_that_sees_the_water_come_nearer_opens_a_flood() -> None:
    world = World(registry=derived())
    world.take(batch([5.0, 3.5, 3.4, 2.7, 2.6], series=DISTANCE))
    assert world.floods() == {"village": 2}
    assert [v for _, v in rows(world, STAGE)] == [1.0, 2.5, 2.6, 3.3, 3.4]
    assert [v for _, v in rows(world, DISTANCE)] == [5.0, 3.5, 3.4, 2.7, 2.6]
    assert {used.series for event in world.events() for used in event.used} == {"W/stage_m"}


def test_a_repeat_of_a_raw_reading_adds_nothing() -> None:
    world, sent = World(registry=derived()), both([5.0, 4.9, 4.8], [1.0, 1.4, 2.0])
    world.take(sent)
    world.take(sent)
    assert rows(world, RAIN) == [(T0_US + MINUTE_US, 0.4), (T0_US + 2 * MINUTE_US, 0.6)]
    assert (world.judge.counts.stored, world.judge.counts.repeat) == (6 + 3 + 2, 6)


def test_a_device_that_sends_itself_what_is_computed_is_counted_once() -> None:
    world = World(registry=derived())
    world.take(batch([1.0, 1.4], series=COUNTER))
    world.take(
        ReadingBatch.of(
            series=[COUNTER, RAIN],
            time_us=[T0_US + 2 * MINUTE_US] * 2,
            value=[2.0, 0.6],
            received_us=[T0_US + 2 * MINUTE_US] * 2,
        )
    )
    assert [v for _, v in rows(world, RAIN)] == [0.4, 0.6]
    assert world.judge.counts.conflict == 0


def test_a_loss_of_a_counter_is_missing_in_the_journal() -> None:
    world = World(registry=derived())
    world.take(batch([1.0, 1.4, 0.2], series=COUNTER))
    held = world.store.history("R/rain_mm", from_us=0, to_us=1 << 62, limit=10)
    assert held.flag.tolist() == [Flag.UNKNOWN, Flag.MISSING]
    assert np.isnan(held.value[1])


def test_a_gauge_whose_first_count_says_no_amount_is_not_absent() -> None:
    world = World(registry=derived())
    for minute in range(5):
        world.take(batch([1.0], series=COUNTER, start_us=T0_US + MINUTE_US * minute, delay_us=0))
        world.take(batch([float("nan")], series=DISTANCE, start_us=T0_US + MINUTE_US * minute))
        world.tick(1)
    assert world.events() == []


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 2, 10, -1])), min_size=1, max_size=25),
    st.lists(st.integers(0, 50), max_size=6),
    st.sets(st.integers(0, 6)),
)
@thorough(40)
def test_neither_cutting_nor_restarts_nor_a_lost_snapshot_change_what_is_computed(
    steps: list[tuple[int, int]], at: list[int], restarts: set[int]
) -> None:
    distances = [5.0 - 0.1 * up for up, _ in steps]
    counts, total = [], 0.0
    for _, tips in steps:
        total = 0.0 if tips < 0 else total + 0.2 * tips
        counts.append(round(total, 6))
    sent = both(distances, counts)
    once, pieces = World(registry=derived()), World(registry=derived())
    once.take(sent)
    for number, piece in enumerate(cut(sent, at)):
        pieces.take(piece)
        if number in restarts:
            pieces.restart()
    for series in (STAGE, RAIN):
        np.testing.assert_array_equal(np.array(rows(pieces, series)), np.array(rows(once, series)))
    assert pieces.history() == once.history()


def test_a_snapshot_keeps_where_the_counters_stood(tmp_path: Path) -> None:
    world = World(registry=derived(), snapshot_path=tmp_path / "judge.npz")
    world.take(batch([1.0, 1.4], series=COUNTER))
    world.judge.stop()
    world.restart()
    world.take(batch([2.0], series=COUNTER, start_us=T0_US + 2 * MINUTE_US))
    assert [v for _, v in rows(world, RAIN)] == [0.4, 0.6]


def test_a_kill_between_the_journal_and_the_ledger_neither_loses_nor_doubles_rain(tmp_path: Path) -> None:
    reg = derived()
    store = DuckStore(tmp_path / "journal.duckdb", reg.keys())
    world, sent = World(registry=reg, held=store), both([5.0, 4.9, 4.8], [1.0, 1.4, 2.0])
    world.take(sent[:4])
    record, world.ledger.record = world.ledger.record, _away  # type: ignore[method-assign,assignment]
    with pytest.raises(ConnectionError):
        world.take(sent[4:])
    world.ledger.record = record  # type: ignore[method-assign]
    world.restart()
    world.take(sent[4:])
    assert [v for _, v in rows(world, RAIN)] == [0.4, 0.6]
    assert [v for _, v in rows(world, STAGE)] == [1.0, 1.1, 1.2]
    store.close()


def _away(_: object) -> None:
    raise ConnectionError("the ledger is away")


@pytest.mark.parametrize("since_boot", [False, True])
def test_a_device_at_1970_between_right_stamps_moves_nothing_back_and_its_extreme_is_shown_at_once(
    since_boot: bool,
) -> None:
    """Seconds since it booted, until the network tells the time."""
    world = World()
    world.take(batch([1.0, 1.1, 1.2]))
    early = batch([3.5, 3.6], start_us=T0_US + 3 * MINUTE_US)
    boot_us = np.array([20_000_000, 80_000_000]) if since_boot else early.time_us - 56 * YEAR_US
    world.take(replace(early, time_us=boot_us))
    world.tick()
    assert world.floods() == {}
    shown = {n.code: n.text for n in world.ledger.notices(world.judge.cells.kind, open_only=True)}
    assert "3.6" in shown["suspect_extreme"]
    assert "late" in shown["suspect_extreme"], "with its age"
    assert "flag 3" in shown["suspect_extreme"], "and its doubt"
    world.take(batch([3.7, 3.8], start_us=T0_US + 5 * MINUTE_US))
    assert world.floods() == {"village": 2}
    assert world.story().opened_us == T0_US + 6 * MINUTE_US


def test_a_device_that_is_always_at_1970_is_judged_by_its_corrected_times() -> None:
    world = World()
    wrong = batch([1.0] * 12 + [3.5] * 4)
    world.take(replace(wrong, time_us=wrong.time_us - 56 * YEAR_US))
    world.tick()
    assert world.floods() == {"village": 2}
    assert abs(world.story().opened_us - T0_US) < 20 * MINUTE_US
    assert world.story().public_level == 0, "a proposal"
