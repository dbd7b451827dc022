"""What comes late, out of order or from far back, as the officer finds it: stories, notices and the settled track."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.episode import EventType, Kind
from alerts.evidence import LadderState, LevelChanges, weigh
from alerts.inputs.listeners import Heard
from alerts.ladders import Ladders
from alerts.ledger import AlertLedger
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from alerts.lifecycle import REFOLDED
from alerts.rules import Rule
from alerts.settled import settled_stories
from sensors.batch import Bool, Float64, ReadingBatch
from sensors.checks import Flagged, flag
from sensors.flags import Flags
from sensors.stations import Limits
from sensors.window import Window
from tests.alerts.judge_world import MANUAL, REG, World, drained
from tests.alerts.rises import rise_rule
from tests.alerts.tracks_world import contradicted, disordered
from tests.alerts.tracks_world import readings as some_readings
from tests.builders import (
    MINUTE_US,
    T0_US,
    absence_rule,
    batch,
    cut,
    level_rule,
    registry,
    station,
    thorough,
)

THREE = registry(station("A"), station("B"), station("C", areas=("other",)))
RULES: tuple[Rule, ...] = (
    level_rule(1, 2.0),
    level_rule(2, 3.0, up_for_s=0.0, down_for_s=60.0),
    level_rule(3, 4.0),
    rise_rule(1, 1.5),
    absence_rule(),
)
DAY = 24 * 60


def at(minutes: float) -> int:
    return T0_US + round(minutes * MINUTE_US)


def test_a_late_reading_that_undoes_an_alert_is_proposed_to_an_officer_and_withdraws_nothing() -> None:
    world = World(routes=MANUAL.automatic(), own_rules=RULES)
    world.take(batch([1.0, 3.5], start_us=at(9)))
    assert world.story().public_level == 2
    world.take(batch([1.0], start_us=at(10), delay_us=MINUTE_US))
    assert (world.story().judged_level, world.story().public_level, world.story().closed_us) == (0, 2, None)
    (event,) = [e for e in world.events() if e.to_level < e.from_level]
    assert (event.type, event.note, event.used[0].value) == (EventType.JUDGED, REFOLDED, 3.5)
    notices = {n.code: n for n in world.ledger.notices(Kind.EXERCISE)}
    assert (notices["correction"].subject, notices["correction"].text[-8:]) == (world.story().id, " (2 → 0)")
    world.tick()
    assert world.story().public_level == 2
    world.take(batch([1.0], start_us=at(12)))
    world.tick()
    assert world.story().closed_us is not None


def test_a_story_that_a_late_reading_undid_ends_with_the_next_fresh_one() -> None:
    world = World(own_rules=RULES)
    world.take(batch([3.5], start_us=at(10)))
    world.take(batch([1.0], start_us=at(10), delay_us=MINUTE_US))
    world.tick()
    assert (world.story().judged_level, world.story().closed_us) == (0, None)
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == []
    world.take(batch([1.0], start_us=at(12)))
    world.tick()
    assert world.story().closed_us is not None


def test_a_rise_found_late_is_told_although_it_is_over() -> None:
    world = World(routes=MANUAL.automatic(), own_rules=RULES)
    world.take(batch([1.0] * 9, start_us=at(1)))
    world.take(batch([3.5], start_us=at(0) + MINUTE_US // 2, delay_us=9 * MINUTE_US))
    steps = [(e.type, e.from_level, e.to_level) for e in world.events()]
    assert steps == [(EventType.JUDGED, 0, 2), (EventType.JUDGED, 2, 0)]
    assert world.story().public_level == 0


def test_the_past_is_a_story_that_is_over_and_pages_nobody() -> None:
    world = World(routes=MANUAL.automatic(), own_rules=RULES[:3])
    world.take(batch([1.0, 1.0], start_us=at(DAY)))
    world.take(drained(batch([1.0, 3.5, 3.5, 4.5, 4.5, 1.0]), at(DAY + 2)))
    world.tick()
    past = world.ledger.episodes(Kind.EXERCISE)
    assert sorted((e.peak_level, e.judged_level, e.public_level) for e in past if e.hazard == "flood") == [
        (2, 0, 0),
        (3, 0, 0),
    ]
    assert {e.id for e in past} == {f"exercise.flood.village.20261122T000000Z-past-{level}" for level in (2, 3)}
    assert all(e.closed_us is not None and not e.unacknowledged for e in past if e.hazard == "flood")
    assert {e.type for e in world.events()} == {EventType.RETROSPECTIVE}
    assert world.floods() == {}
    (notice,) = world.ledger.notices(Kind.EXERCISE)
    assert (notice.code, notice.subject) == ("late_extreme", "A/stage_m")
    assert "4.5 (ช้า 23 ชม. 58 นาที คุณภาพ" in notice.text
    assert "· 23 h 58 min late, flag" in notice.text


def test_a_story_of_the_past_closes_no_story_of_now() -> None:
    world = World(own_rules=RULES)
    world.take(batch([3.5, 3.5], start_us=at(DAY)))
    world.take(drained(batch([3.5, 3.5]), at(DAY + 2)))
    world.take(batch([4.5, 4.5], start_us=at(DAY + 2)))
    assert world.floods() == {"village": 3}
    now = [e for e in world.ledger.episodes(Kind.EXERCISE) if e.closed_us is None]
    assert [e.version for e in now if e.hazard == "flood"] == [2]


@pytest.mark.parametrize("in_order", [True, False])
def test_a_backfill_of_a_month_of_floods_pages_nobody(in_order: bool) -> None:
    """The backlog comes before the first fresh reading, or behind it."""
    world = World(routes=MANUAL.automatic(), own_rules=RULES)
    flood = [1.0] * 20 + [3.5] * 5 + [4.5] * 5 + [1.0] * 30
    minutes = [day * DAY + minute for day in range(30) for minute in range(60)]
    month = drained(batch(flood * 30, times_us=[at(minute) for minute in minutes]), at(30 * DAY))
    fresh = batch([1.0, 1.0], start_us=at(30 * DAY), delay_us=1000)
    world.now_us = at(30 * DAY)
    for part in [month, fresh] if in_order else [fresh, month]:
        for piece in cut(part, range(0, len(part), 97)):
            world.take(piece)
            world.tick()
    assert world.ledger.expand(limit=500) == 0
    assert not [e for e in world.events() if e.type in (EventType.RELEASED, EventType.LOWERED)]
    assert world.floods() == {}
    past = [e for e in world.events() if e.type is EventType.RETROSPECTIVE]
    assert len(past) == len({(e.area, (e.event_us - at(0) + MINUTE_US) // (DAY * MINUTE_US), e.to_level) for e in past})
    assert 29 * 2 <= len(past) <= 31 * 3


@pytest.mark.parametrize("cuts", [(), range(0, 60, 7)])
def test_a_flood_of_days_before_the_first_word_of_a_series_opens_no_story_of_now(cuts: Sequence[int]) -> None:
    """A file of the past, or the backlog of a device that is heard for the first time, may end in the middle of one."""
    world = World(routes=MANUAL.automatic(), own_rules=RULES)
    for piece in cut(drained(batch([1.0] * 20 + [4.5] * 40), at(10 * DAY)), cuts):
        world.take(piece)
        world.tick()
    assert world.floods() == {}
    assert {e.type for e in world.events() if e.hazard == "flood"} == {EventType.RETROSPECTIVE}
    world.restart()
    world.tick()
    assert world.floods() == {}
    world.take(batch([4.5, 4.5], start_us=at(10 * DAY + 1)))
    world.tick()
    assert world.floods() == {"village": 3}


@pytest.mark.parametrize("ahead_minutes", [7 * 60, 543 * 365 * DAY], ids=["a zone", "a Buddhist year"])
def test_a_box_clock_that_ran_ahead_and_is_put_right_silences_nobody(tmp_path: Path, ahead_minutes: int) -> None:
    world = World(registry=THREE, own_rules=RULES, routes=MANUAL.automatic(), snapshot_path=tmp_path / "judge.npz")
    for minute in range(30):
        for series in range(3):
            world.take(batch([1.0], series=series, start_us=at(minute), delay_us=ahead_minutes * MINUTE_US))
        world.tick()
    for minute in range(30, 60):
        world.now_us = at(minute)
        for series in range(3):
            world.judge.take(batch([1.0 if minute < 50 else 4.5], series=series, start_us=at(minute)))
        world.judge.tick()
        if minute in (40, 52):
            world.judge.stop()
            world.restart()
            world.now_us = at(minute)
        if minute == 45:
            (tmp_path / "judge.npz").unlink()
            world.restart()  # all of it from the journal
            world.now_us = at(minute)
    assert world.floods() == {"village": 3, "other": 3}
    standing = {s.area: (s.level, s.known) for s in world.ledger.statuses(Kind.EXERCISE) if s.hazard == "flood"}
    assert standing == {"village": (3, True), "other": (3, True)}


def test_readings_ahead_of_our_clock_say_how_far() -> None:
    world = World(own_rules=RULES)
    world.take(batch([4.5], start_us=at(120), delay_us=-120 * MINUTE_US))
    found = {n.code: n.text for n in world.ledger.notices(Kind.EXERCISE)}
    assert set(found) == {"clock", "suspect_extreme"}
    assert "4.5 (ล้ำหน้า 2 ชม. คุณภาพ 3 · 2 h ahead, flag 3)" in found["suspect_extreme"]


def test_a_clock_that_is_steadily_wrong_is_said_once_and_judged_by_arrival() -> None:
    world = World(own_rules=RULES)
    for minute in range(30):
        world.take(batch([1.0 if minute < 20 else 3.5], start_us=at(minute - 7 * 60), delay_us=7 * 60 * MINUTE_US))
        world.tick()
    assert world.floods() == {"village": 2}
    told = {n.code: n.count for n in world.ledger.notices(Kind.EXERCISE)}
    assert told["clock_steady"] == 1


def test_a_box_whose_clock_is_wrong_says_so_once() -> None:
    world = World(registry=THREE, own_rules=RULES)
    for minute in range(0, 20):
        for series in range(3):
            ahead = batch([1.0], series=series, start_us=at(minute + 300), delay_us=-300 * MINUTE_US)
            world.take(ahead)
        world.tick()
    found = [n for n in world.ledger.notices(Kind.EXERCISE) if n.code == "box_clock"]
    assert [(n.subject, n.count) for n in found] == [("box", 1)]


def settled_of(world: World) -> list[tuple[object, ...]]:
    changes = world.ledger.settled(Kind.EXERCISE, from_us=0, to_us=1 << 60)
    stories = settled_stories(
        changes, rules=world.judge.mark, areas=lambda key: world.registry.stations[key.partition("/")[0]].areas
    )
    return [(s.area, s.hazard, s.steps) for s in stories]


def passed(world: World, minutes: int = 60) -> None:
    """A quiet reading of each series, long after: all that came is final."""
    for series in range(len(world.registry.series)):
        world.take(batch([0.5], series=series, start_us=world.now_us + minutes * MINUTE_US))
    world.tick()


@given(some_readings().flatmap(contradicted), st.data())
@thorough(25)
def test_settled_episodes_do_not_depend_on_order_repeats_cuts_or_restarts(
    whole: ReadingBatch, data: st.DataObject
) -> None:
    found = []
    for _ in range(2):
        world = World(registry=THREE, own_rules=RULES)
        readings = data.draw(disordered(whole))
        for piece in cut(readings, data.draw(st.lists(st.integers(0, 80), max_size=3))):
            world.take(piece)
            if data.draw(st.booleans(), label="tick"):
                world.tick()
            if data.draw(st.booleans(), label="killed: judged again from the journal"):
                world.restart()
        world.now_us = max(world.now_us, int(whole.time_us.max()) + 10 * MINUTE_US)
        passed(world)
        found.append(settled_of(world))
    assert found[0] == found[1]


def told(world: World) -> list[tuple[object, ...]]:
    return [
        (e.area, e.hazard, e.type, e.from_level, e.to_level, e.event_us, e.used, e.note)
        for e in world.events()
        if e.type in (EventType.JUDGED, EventType.RETROSPECTIVE)
    ]


@given(some_readings().flatmap(contradicted), st.integers(1, 60), st.lists(st.integers(0, 80), max_size=4), st.data())
@thorough(25)
def test_cutting_and_restarts_change_no_event(
    tmp_path_factory: pytest.TempPathFactory, whole: ReadingBatch, minutes: int, at_: list[int], data: st.DataObject
) -> None:
    readings = data.draw(disordered(whole, longest_us=minutes * MINUTE_US))
    by_readings = RULES[:-1]  # absence is for the clock to tell
    smooth = World(registry=THREE, own_rules=by_readings)
    smooth.take(readings)
    path = tmp_path_factory.mktemp("judge") / "judge.npz"
    rough = World(registry=THREE, own_rules=by_readings, snapshot_path=path)
    rough.now_us = smooth.now_us  # what is too old to speak depends on the clock, not on the cut
    for piece in cut(readings, at_):
        rough.take(piece)
        match data.draw(st.sampled_from(["go on", "stopped", "killed", "snapshot lost"])):
            case "stopped":
                rough.judge.stop()
                rough.restart()
            case "killed":
                rough.restart()
            case "snapshot lost":
                path.unlink(missing_ok=True)
                rough.restart()
    flood = [t for t in told(rough) if t[1] == "flood"]
    assert sorted(flood, key=str) == sorted((t for t in told(smooth) if t[1] == "flood"), key=str)
    for world in (smooth, rough):  # a start looks at the clock, which ends what is over
        world.tick()
    assert rough.floods() == smooth.floods()


@pytest.mark.parametrize("kind", ["memory", "sql"])
def test_the_settled_track_is_on_the_ledger_once(kind: str, tmp_path: Path) -> None:
    ledger: AlertLedger = MemoryLedger() if kind == "memory" else open_ledger(tmp_path / "ledger.sqlite")
    world = World(registry=REG, own_rules=RULES, ledger=ledger)
    world.take(batch([1.0, 3.5, 3.5, 1.0, 1.0, *[1.0] * 30]))
    world.tick()
    once = ledger.settled(Kind.EXERCISE, from_us=0, to_us=1 << 60)
    level = [(s.series, s.rise, (s.time_us - T0_US) // MINUTE_US, s.from_level, s.to_level) for s in once if not s.rise]
    assert level == [("A/stage_m", False, 1, 0, 2), ("A/stage_m", False, 4, 2, 1), ("A/stage_m", False, 9, 1, 0)]
    world.restart()
    assert ledger.settled(Kind.EXERCISE, from_us=0, to_us=1 << 60) == once
    assert ledger.settled(Kind.EXERCISE, from_us=0, to_us=at(4)) == once[: len([s for s in once if s.time_us < at(4)])]
    ledger.close()


def test_a_rise_stands_on_the_record_with_its_slope(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    world = World(registry=REG, own_rules=(rise_rule(1, 1.5),), ledger=ledger)
    world.take(batch([1.0 + 0.05 * minute for minute in range(12)]))
    (used,) = world.events()[0].used
    assert (used.per_h, used.rule) == (True, "flood.rise.1")
    assert used.value == pytest.approx(3.0)
    ledger.close()


def test_no_data_clears_nothing_and_raises_nothing() -> None:
    world = World(own_rules=RULES)
    world.take(batch([3.5] * 10))
    before = world.floods()
    for _ in range(50):
        world.tick(20)
    assert world.floods() == before == {"village": 2}


POISON = 1.2345


def poisoned(readings: ReadingBatch, conflict: Bool, clock: Flags, window: Window, limits: Limits) -> Flagged:
    if (readings.value == POISON).any():
        raise RuntimeError("a check that breaks on one value")
    return flag(readings, conflict, clock, window, limits)


def deaf_to_two_fives(
    readings: ReadingBatch,
    listened: Bool,
    rise_per_h: Float64,
    state: LadderState,
    ladders: Ladders,
    heard: Sequence[Heard],
) -> tuple[LadderState, LevelChanges]:
    if (listened & (readings.value == 2.5)).any():
        raise RuntimeError("a rule that breaks on one value")
    return weigh(readings, listened, rise_per_h, state, ladders, heard)


def test_a_poison_row_among_late_ones_is_shown_and_stops_nothing() -> None:
    world = World(check=poisoned)
    world.take(batch([1.0] * 3, start_us=at(6)))
    world.take(batch([POISON, 2.5, 2.5, POISON], start_us=at(1), delay_us=8 * MINUTE_US))
    assert [e.to_level for e in world.events()] == [1]
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == ["not_judged"]
    assert world.store.last_seq() == 7


def test_a_rule_that_raises_on_late_rows_stops_nothing() -> None:
    world = World(weigh=deaf_to_two_fives)
    world.take(batch([1.0] * 3, start_us=at(6)))
    world.take(batch([2.5, 2.4, 2.4], start_us=at(2), delay_us=7 * MINUTE_US))
    assert [e.to_level for e in world.events()] == [1]
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == ["rule_failed"]
    passed(world)
    assert [s.to_level for s in world.ledger.settled(Kind.EXERCISE, from_us=0, to_us=1 << 60)][:1] == [1]
