"""The judge: everything stored is judged once, whatever fails between, and the story is the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.episode import Episode, EventType, Kind
from alerts.evidence import LadderState, LevelChanges
from alerts.evidence import weigh as weigh_levels
from alerts.inputs.listeners import Heard
from alerts.judge import StaleJournal
from alerts.ledger import Record
from alerts.ledger.memory import MemoryLedger
from alerts.people import Actor, Refusal, Role
from alerts.rules import Ladders, Rule
from sensors.batch import Bool, Float64, ReadingBatch
from sensors.checks import Flagged
from sensors.checks import flag as flag_batch
from sensors.flags import Flags
from sensors.stations import Limits, Sensor
from sensors.store.duck import DuckStore
from sensors.window import Window
from tests.alerts.judge_world import MANUAL, ONE, REG, TWO, World, drained
from tests.alerts.rises import rise_rule
from tests.builders import MINUTE_US, T0_US, absence_rule, batch, cut, level_rule, registry, station, thorough

FLOOD = [1.0, 2.5, 2.5, 3.5, 3.5, 4.5, 4.5] + [0.5] * 20


def test_a_flood_is_told_once_up_and_down() -> None:
    world = World(routes=MANUAL.automatic())
    for reading in cut(batch(FLOOD), range(len(FLOOD))):
        world.take(reading)
    steps = [(e.type, e.from_level, e.to_level) for e in world.events()]
    assert steps == [
        (EventType.JUDGED, 0, 1),
        (EventType.RELEASED, 0, 1),
        (EventType.JUDGED, 1, 2),
        (EventType.RELEASED, 1, 2),
        (EventType.JUDGED, 2, 3),
        (EventType.RELEASED, 2, 3),
        (EventType.JUDGED, 3, 2),
        (EventType.LOWERED, 3, 2),
        (EventType.JUDGED, 2, 1),
        (EventType.LOWERED, 2, 1),
        (EventType.JUDGED, 1, 0),
        (EventType.LOWERED, 1, 0),
        (EventType.CLOSED, 0, 0),
    ]
    assert world.story().peak_level == 3
    assert world.story().closed_us is not None


def test_the_reading_that_decided_is_on_the_record() -> None:
    world = World()
    world.take(batch([1.0, 2.5, 2.5]))
    (used,) = world.events()[0].used
    assert (used.rule, used.series, used.value, used.threshold, used.seq) == ("flood.1", "A/stage_m", 2.5, 2.0, 3)


def test_nothing_is_released_without_people_where_the_route_says_so() -> None:
    world = World()
    world.take(batch([4.5, 4.5]))
    assert world.story().judged_level == 3
    assert world.story().public_level == 0


def test_a_late_flood_is_a_proposal_even_where_release_is_automatic() -> None:
    world = World(routes=MANUAL.automatic())
    world.take(batch([4.5, 4.5], delay_us=60 * MINUTE_US))
    assert (world.story().judged_level, world.story().public_level) == (3, 0)


def test_two_officers_release_level_two_and_one_steps_it_up() -> None:
    world = World()
    world.take(batch([3.5, 3.5]))
    desk, id = world.desk(), world.story().id
    asked = desk.release(id, version=1, level=2, actor=ONE)
    assert isinstance(asked, Episode)
    assert (asked.public_level, asked.requested_by) == (0, "officer-1")
    again = desk.release(id, version=2, level=2, actor=ONE)
    assert isinstance(again, Refusal)
    assert again.code == "same_person"
    agreed = desk.release(id, version=2, level=2, actor=TWO)
    assert isinstance(agreed, Episode)
    assert agreed.public_level == 2
    stepped = desk.release(id, version=3, level=3, actor=TWO)
    assert isinstance(stepped, Episode)
    assert stepped.public_level == 3
    world.ledger.put_addresses([])
    assert world.ledger.expand(limit=10) == 0


def test_taking_down_a_public_critical_needs_two_and_ends_the_story() -> None:
    world = World()
    world.take(batch([4.5, 4.5]))
    desk, id = world.desk(), world.story().id
    desk.release(id, version=1, level=3, actor=ONE)
    desk.release(id, version=2, level=3, actor=TWO)
    world.take(batch([0.5] * 20, start_us=T0_US + 2 * MINUTE_US))
    assert (world.story().judged_level, world.story().public_level, world.story().closed_us) == (0, 3, None)
    version = world.story().version
    first = desk.lower(id, version=version, level=0, actor=TWO)
    assert isinstance(first, Episode)
    assert first.public_level == 3
    last = desk.lower(id, version=first.version, level=0, actor=ONE)
    assert isinstance(last, Episode)
    assert last.closed_us is not None


def test_acknowledging_what_was_seen_leaves_a_later_step_unacknowledged() -> None:
    world = World()
    world.take(batch([2.5, 2.5, 3.5, 3.5]))
    after = world.desk().acknowledge(world.story().id, version=1, actor=ONE)
    assert isinstance(after, Episode)
    assert after.unacknowledged
    assert world.story().seen_level == 1


def test_a_viewer_decides_nothing() -> None:
    world = World()
    world.take(batch([2.5, 2.5]))
    answer = world.desk().acknowledge(world.story().id, version=1, actor=Actor(account="x", role=Role.VIEWER))
    assert isinstance(answer, Refusal)
    assert answer.code == "forbidden"


def test_the_machine_steps_up_although_an_officer_wrote_first() -> None:
    world = World()
    world.take(batch([2.5, 2.5]))
    world.desk().acknowledge(world.story().id, version=1, actor=ONE)
    world.take(batch([4.5, 4.5], start_us=T0_US + 2 * MINUTE_US))
    assert world.story().judged_level == 3
    assert world.story().version == 3


def test_silence_neither_clears_nor_raises_but_is_said() -> None:
    world = World()
    world.take(batch([3.5, 3.5]))
    world.tick(60)
    assert world.story().judged_level == 2
    assert not world.story().known
    assert [s.known for s in world.ledger.statuses(Kind.EXERCISE) if s.area == "village"] == [False]
    world.take(batch([3.5], start_us=T0_US + 63 * MINUTE_US))
    world.tick()
    assert world.story().known


def test_an_area_never_heard_is_unknown_not_normal() -> None:
    world = World()
    world.tick()
    assert {(s.area, s.known) for s in world.ledger.statuses(Kind.EXERCISE)} == {("village", False), ("other", False)}


def test_a_silent_station_calls_the_technician_also_when_it_never_spoke() -> None:
    world = World()
    world.take(batch([1.0, 1.0]))
    world.tick(2.9)
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE) if e.hazard == "station"} == {"B"}
    world.tick(0.2)
    open_now = {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)}
    assert open_now == {"A", "B"}
    world.take(batch([1.0], series=1, start_us=T0_US + 6 * MINUTE_US))
    world.tick()
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)} == {"A"}


def test_the_clock_of_absence_stands_still_while_we_were_not_listening(tmp_path: Path) -> None:
    world = World(snapshot_path=tmp_path / "judge.npz")
    world.take(batch([1.0], series=[0]))
    world.take(batch([1.0], series=[1]))
    world.tick(2)
    world.judge.stop()
    world.now_us += 1000 * MINUTE_US
    world.restart()
    world.tick(0.9)
    assert world.ledger.episodes(Kind.EXERCISE) == []
    world.tick(0.2)
    assert len(world.ledger.episodes(Kind.EXERCISE)) == 2


def test_two_floods_that_begin_with_the_same_minute_are_two_stories() -> None:
    reg = registry(station("A"), station("B"))  # both speak for one village
    world = World(registry=reg)
    world.take(batch([2.5, 2.5] + [0.5] * 20))
    world.take(batch([2.5, 2.5], series=1))
    assert len(world.ledger.episodes(Kind.EXERCISE)) == 2
    world.restart()
    world.take(batch([4.5, 4.5], start_us=T0_US + 30 * MINUTE_US))
    assert world.floods() == {"village": 3}


def test_judging_by_time_goes_on_after_the_ledger_failed_once() -> None:
    ledger = Failing()
    world = World(ledger=ledger)
    world.take(batch([3.5, 3.5]))
    ledger.before = {ledger.calls + 1}
    with pytest.raises(OSError, match="disk full"):
        world.tick(60)
    world.tick(1)
    assert world.judge.healthy
    assert not world.story().known
    assert world.story("station").judged_level == 1


def test_a_clock_put_back_ends_no_absence_and_makes_nothing_known() -> None:
    world = World()
    world.take(batch([2.9, 2.9]))
    world.tick(10)
    before = {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)}
    assert before == {"A", "B", "village"}
    world.tick(-60 * 24)
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)} == before
    assert not any(s.known for s in world.ledger.statuses(Kind.EXERCISE))
    world.tick(10)
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)} == before


def test_a_glimpse_of_the_future_hides_no_later_silence() -> None:
    world = World()
    year = 365 * 24 * 60
    world.now_us += year * MINUTE_US
    world.take(batch([1.0], delay_us=year * MINUTE_US))
    world.now_us -= year * MINUTE_US
    world.tick(1)
    world.tick(10)
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE) if e.hazard == "station"} == {"A", "B"}


def test_readings_ahead_of_our_clock_are_told_to_an_officer() -> None:
    world = World()
    world.take(batch([2.9, 2.9], delay_us=-60 * MINUTE_US))
    assert [(n.code, n.count) for n in world.ledger.notices(Kind.EXERCISE)] == [("clock", 1)]
    assert world.floods() == {}


def test_a_repeat_of_a_doubted_reading_moves_nothing() -> None:
    world = World(routes=MANUAL.automatic())
    ahead = batch([4.5, 4.5], start_us=T0_US + 15 * MINUTE_US, delay_us=-15 * MINUTE_US)
    world.take(ahead)
    world.take(batch([4.5, 4.5], start_us=T0_US + 15 * MINUTE_US, delay_us=2 * MINUTE_US))
    assert world.floods() == {}
    world.restart()
    assert world.floods() == {}


def test_what_contradicts_a_stored_reading_moves_nothing() -> None:
    world = World()
    world.take(batch([float("nan"), float("nan")]))
    world.take(batch([4.5, 4.5]))
    assert world.floods() == {}
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == ["suspect_extreme"]
    world.restart()
    assert [(n.code, n.count) for n in world.ledger.notices(Kind.EXERCISE)] == [("suspect_extreme", 1)]


def test_a_flood_judged_late_is_released_once_fresh_readings_confirm_it() -> None:
    world = World(routes=MANUAL.automatic())
    world.take(batch([4.5, 4.5], delay_us=60 * MINUTE_US))
    world.tick()
    assert world.story().public_level == 0
    world.take(batch([4.5], start_us=T0_US + 62 * MINUTE_US))
    world.tick()
    assert world.story().public_level == 3


SPIKY = registry(station("A", Sensor(quantity="stage_m")))
AT_ONCE: tuple[Rule, ...] = (level_rule(1, 2.0), level_rule(2, 3.0), level_rule(3, 4.0, up_for_s=0.0), absence_rule())


def released(world: World) -> list[int]:
    return [e.to_level for e in world.events() if e.type is EventType.RELEASED]


@pytest.mark.parametrize("next_", [1.0, 3.9, 4.5])
def test_a_spike_is_released_by_a_reading_that_stands_there_itself_and_by_no_other(next_: float) -> None:
    world = World(registry=SPIKY, own_rules=AT_ONCE, routes=MANUAL.automatic())
    for minute, value in enumerate([*[1.0] * 6, 4.5, next_, next_, next_]):
        world.take(batch([value], start_us=T0_US + minute * MINUTE_US))
        world.tick()
    assert world.events()[0].to_level == 3
    assert released(world) == ([3] if next_ == 4.5 else [])


def test_a_level_on_its_way_down_is_not_released() -> None:
    world = World(registry=SPIKY, own_rules=AT_ONCE, routes=MANUAL.automatic())
    for minute, value in enumerate([*[1.0] * 6, 4.5, *[1.0] * 30]):
        world.take(batch([value], start_us=T0_US + minute * MINUTE_US))
        world.tick()
    assert [e.to_level for e in world.events() if e.type is EventType.JUDGED] == [3, 2, 1, 0]
    assert released(world) == []
    assert world.story().closed_us is not None


def test_one_extreme_that_came_late_between_two_calm_readings_is_not_released() -> None:
    world = World(own_rules=AT_ONCE, routes=MANUAL.automatic())
    world.take(batch([1.0] * 6))
    world.take(batch([1.0], start_us=T0_US + 7 * MINUTE_US))
    world.take(batch([4.5], start_us=T0_US + 6 * MINUTE_US, delay_us=90_000_000))
    world.tick(0.02)
    assert world.floods() == {"village": 3}
    assert released(world) == []


def test_a_level_held_by_a_rise_alone_does_not_outlive_a_river_that_stands_still() -> None:
    """Although its readings come too rarely for a slope."""
    world = World(own_rules=(rise_rule(1, 1.5), absence_rule()), routes=MANUAL.automatic())
    world.take(batch([1 + 0.05 * minute for minute in range(12)]))
    assert (world.story().judged_level, world.story().public_level) == (1, 1)
    for k in range(6):
        world.take(batch([1.55], start_us=T0_US + (12 + 4 * k) * MINUTE_US))
        world.tick()
    assert world.story().closed_us is not None


def test_a_story_that_looking_again_took_back_ends_although_its_station_died() -> None:
    world = World()
    world.take(batch([2.5, 2.5], times_us=[T0_US, T0_US + 2 * MINUTE_US]))
    world.take(batch([1.0], start_us=T0_US + MINUTE_US, delay_us=90_000_000))
    world.tick(10)
    assert (world.story().judged_level, world.story().closed_us) == (0, None)
    world.tick(10)
    assert world.story().closed_us is not None


def test_old_readings_clear_nothing_that_people_were_told() -> None:
    world = World(routes=MANUAL.automatic())
    for reading in cut(batch([4.5, 4.5, 4.5]), [1, 2]):
        world.take(reading)
    assert world.story().public_level == 3
    world.take(drained(batch([0.5] * 30, start_us=T0_US + 3 * MINUTE_US), T0_US + 23 * 60 * MINUTE_US))
    world.tick()
    assert (world.story().judged_level, world.story().public_level) == (0, 3)
    for reading in cut(batch([0.5] * 3, start_us=T0_US + 24 * 60 * MINUTE_US), [1, 2]):
        world.take(reading)
        world.tick()
    assert world.story().closed_us is not None


def test_a_second_flood_in_one_story_rings_again() -> None:
    world = World()
    world.take(batch([4.5, 4.5]))
    desk, id = world.desk(), world.story().id
    desk.release(id, version=1, level=3, actor=ONE)
    desk.release(id, version=2, level=3, actor=TWO)
    desk.acknowledge(id, version=3, actor=ONE)
    world.take(batch([0.5] * 20, start_us=T0_US + 2 * MINUTE_US))
    world.take(batch([4.5, 4.5], start_us=T0_US + 22 * MINUTE_US))
    assert world.story().id == id
    assert world.story().unacknowledged
    again = desk.acknowledge(id, version=world.story().version, actor=TWO)
    assert isinstance(again, Episode)
    assert not again.unacknowledged


def test_lowering_below_the_evidence_takes_two() -> None:
    world = World()
    world.take(batch([3.5, 3.5]))
    desk, id = world.desk(), world.story().id
    desk.release(id, version=1, level=2, actor=ONE)
    desk.release(id, version=2, level=2, actor=TWO)
    first = desk.lower(id, version=3, level=0, actor=ONE)
    assert isinstance(first, Episode)
    assert first.public_level == 2
    same = desk.lower(id, version=4, level=0, actor=ONE)
    assert isinstance(same, Refusal)
    second = desk.lower(id, version=4, level=0, actor=TWO)
    assert isinstance(second, Episode)
    assert (second.public_level, second.judged_level, second.closed_us) == (0, 2, None)


def test_a_restart_without_a_snapshot_hears_nobody(tmp_path: Path) -> None:
    world = World(snapshot_path=tmp_path / "judge.npz")
    world.take(batch([1.0]))
    world.tick(10)
    silent = {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)}
    (tmp_path / "judge.npz").unlink(missing_ok=True)
    world.restart()
    world.tick(1)
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)} == silent == {"A", "B"}
    world.take(batch([1.0], start_us=world.now_us))
    world.tick()
    assert {e.area for e in world.ledger.episodes(Kind.EXERCISE, open_only=True)} == {"B"}


def test_stories_of_what_was_configured_away_end_or_say_that_nothing_is_known(tmp_path: Path) -> None:
    world = World(held=DuckStore(tmp_path / "journal.duckdb", REG.keys()))
    world.take(batch([3.5, 3.5]))
    world.take(batch([2.5, 2.5], series=1))
    desk = world.desk()
    high = next(e for e in world.ledger.episodes(Kind.EXERCISE) if e.area == "village")
    desk.release(high.id, version=1, level=2, actor=ONE)
    desk.release(high.id, version=2, level=2, actor=TWO)
    world.store.close()
    after = registry(station("C", areas=("tambon",)))
    journal = DuckStore(tmp_path / "journal.duckdb", after.keys())
    elsewhere = World(held=journal, registry=after, ledger=world.ledger, now_us=world.now_us)
    left = elsewhere.ledger.episodes(Kind.EXERCISE, open_only=True)
    assert [(e.area, e.judged_level, e.public_level, e.known) for e in left] == [("village", 0, 2, False)]
    first = elsewhere.desk().lower(high.id, version=left[0].version, level=0, actor=ONE)
    assert isinstance(first, Episode)
    last = elsewhere.desk().lower(high.id, version=first.version, level=0, actor=TWO)
    assert isinstance(last, Episode)
    assert last.closed_us is not None
    journal.close()


def test_a_message_that_cannot_be_made_stops_no_judgement() -> None:
    def broken(*_: object, **__: object) -> tuple[()]:
        raise KeyError("smoke")

    world = World()
    world.judge.plan = broken
    world.take(batch([4.5, 4.5, 4.5]))
    assert world.story().judged_level == 3
    assert world.judge.healthy
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == ["plan_failed"]


def test_a_gauge_that_died_is_missed_although_its_battery_speaks() -> None:
    two = station("A", Sensor(quantity="stage_m"), Sensor(quantity="battery_v"))
    world = World(registry=registry(two))
    world.take(batch([1.0]))
    for minute in range(1, 6):
        world.take(batch([3.9], series=1, start_us=T0_US + minute * MINUTE_US))
        world.tick()
    assert world.story("station").area == "A"
    assert world.events()[0].used[0].series == "A/stage_m"


def test_a_flood_that_rises_faster_than_its_station_should_is_still_judged() -> None:
    fast = station("A", Sensor(quantity="stage_m", rise_suspect_per_h=5.0))
    world = World(registry=registry(fast))
    world.take(batch([1.0 + 0.125 * minute for minute in range(40)]))
    assert world.floods() == {"village": 3}


def test_an_extreme_under_doubt_or_too_late_is_shown_and_raises_nothing() -> None:
    world = World()
    world.take(batch([1.0, 39.0, 1.0]))
    world.take(batch([3.9], start_us=T0_US - 30 * MINUTE_US, delay_us=32 * MINUTE_US))
    found = {(n.code, n.subject) for n in world.ledger.notices(Kind.EXERCISE)}
    assert found == {("suspect_extreme", "A/stage_m"), ("late_extreme", "A/stage_m")}
    assert world.ledger.episodes(Kind.EXERCISE, open_only=True) == []


POISON = 1.2345


def poisoned(readings: ReadingBatch, conflict: Bool, clock: Flags, window: Window, limits: Limits) -> Flagged:
    if (readings.value == POISON).any():
        raise RuntimeError("a check that breaks on one value")
    return flag_batch(readings, conflict, clock, window, limits)


def test_a_poison_row_is_stored_shown_and_stops_nothing() -> None:
    world = World(check=poisoned)
    world.take(batch([1.0, 2.5, POISON, 2.5, 2.5]))
    assert world.store.last_seq() == 5
    assert world.story().judged_level == 1
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == ["not_judged"]


def deaf_to_b(
    readings: ReadingBatch,
    listened: Bool,
    rise_per_h: Float64,
    state: LadderState,
    ladders: Ladders,
    heard: Sequence[Heard],
) -> tuple[LadderState, LevelChanges]:
    if (listened & (readings.series == 1)).any():
        raise RuntimeError("a rule that breaks on one series")
    return weigh_levels(readings, listened, rise_per_h, state, ladders, heard)


def test_a_rule_that_raises_is_unknown_for_its_series_and_stops_nothing() -> None:
    world = World(weigh=deaf_to_b)
    world.take(
        batch(
            [4.5, 4.5, 4.5, 4.5],
            series=[0, 1, 0, 1],
            times_us=[T0_US, T0_US, T0_US + MINUTE_US, T0_US + MINUTE_US],
        )
    )
    world.tick()
    assert world.story().area == "village"
    assert [(n.code, n.subject) for n in world.ledger.notices(Kind.EXERCISE)] == [("rule_failed", "B/stage_m")]
    assert {s.area: s.known for s in world.ledger.statuses(Kind.EXERCISE)} == {"village": True, "other": False}


class Failing(MemoryLedger):
    """A ledger whose writes fail at the given calls, before or after they are durable."""

    def __init__(self) -> None:
        super().__init__()
        self.before: set[int] = set()
        self.after: set[int] = set()
        self.calls = 0

    def record(self, record: Record) -> None:
        self.calls += 1
        if self.calls in self.before:
            raise OSError("disk full")
        super().record(record)
        if self.calls in self.after:
            raise OSError("answer lost")


def test_without_a_ledger_readings_are_kept_and_judged_when_it_is_back() -> None:
    ledger = Failing()
    world = World(ledger=ledger)
    ledger.before = set(range(ledger.calls + 1, ledger.calls + 100))
    with pytest.raises(OSError, match="disk full"):
        world.take(batch([3.5, 3.5]))
    world.real_us += 3_000_000
    world.take(batch([3.5, 3.5]))  # the same again: stored already, acknowledged now
    world.take(batch([3.5], start_us=T0_US + 2 * MINUTE_US))
    assert (world.judge.healthy, world.store.last_seq()) == (False, 3)
    ledger.before = set()
    world.tick()
    assert world.judge.healthy
    assert world.story().judged_level == 2
    assert ledger.judged_through(Kind.EXERCISE) == 3


def test_a_box_that_does_not_judge_says_so_until_it_does() -> None:
    ledger = Failing()
    world = World(ledger=ledger)
    world.take(batch([1.0, 1.0]))
    world.tick()
    ledger.before = set(range(ledger.calls + 1, ledger.calls + 1000))
    with pytest.raises(OSError, match="disk full"):
        world.take(batch([1.0], start_us=T0_US + 2 * MINUTE_US))
    world.real_us += 3_000_000
    said = []
    for minute in (3, 4, 5):
        world.tick()
        world.take(batch([1.0], start_us=T0_US + minute * MINUTE_US))  # acknowledged once stored: it does not raise
        said.append(world.judge.healthy)
    assert said == [False, False, False]


def test_a_box_that_starts_without_its_ledger_keeps_readings_and_judges_them_when_it_is_back() -> None:
    ledger = Failing()
    world = World(ledger=ledger)
    ledger.before = set(range(ledger.calls + 1, ledger.calls + 1000))
    with pytest.raises(OSError, match="disk full"):
        world.take(batch([3.5, 3.5]))
    world.restart()
    world.real_us += 3_000_000
    world.take(batch([3.5], start_us=T0_US + 2 * MINUTE_US))
    assert (world.judge.healthy, world.store.last_seq(), world.events()) == (False, 3, [])
    ledger.before = set()
    world.tick()
    assert world.judge.healthy
    assert world.story().judged_level == 2


@pytest.mark.parametrize("killed", [False, True])
def test_a_record_whose_answer_was_lost_is_not_told_twice(killed: bool) -> None:
    ledger = Failing()
    world = World(ledger=ledger)
    world.take(batch([2.5, 2.5]))
    ledger.after = {ledger.calls + 1}
    flood = batch([3.5, 3.5, 4.5, 4.5], start_us=T0_US + 2 * MINUTE_US)
    with pytest.raises(OSError, match="answer lost"):
        world.take(flood)
    if killed:
        world.restart()
    world.take(flood)
    assert [e.to_level for e in world.events() if e.type is EventType.JUDGED and e.hazard == "flood"] == [1, 2, 3]


def test_a_journal_that_lost_judged_readings_is_refused() -> None:
    world = World()
    world.take(batch([1.0, 1.0]))
    with pytest.raises(StaleJournal, match="do not belong together"):
        World(ledger=world.ledger)


def test_a_snapshot_of_other_rules_is_not_believed(tmp_path: Path) -> None:
    world = World(snapshot_path=tmp_path / "judge.npz")
    world.take(batch([2.5, 2.5]))
    world.judge.stop()
    (tmp_path / "judge.npz").write_bytes(b"half a snapshot")
    world.restart()
    world.take(batch([1.0] * 6, start_us=T0_US + 2 * MINUTE_US))
    assert world.story().closed_us is not None


floods = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.5, 1.9, 2.5, 3.5, 4.5, 39.0]), st.integers(1, 8)), max_size=14
)


def stream(pieces: Sequence[tuple[int, float, int]]) -> ReadingBatch:
    series, times, values, clock = [], [], [], [T0_US, T0_US]
    for which, value, count in pieces:
        for _ in range(count):
            clock[which] += MINUTE_US
            series.append(which)
            times.append(clock[which])
            values.append(value)
    return ReadingBatch.of(series=series, time_us=times, value=values, received_us=times)


@given(floods, st.lists(st.integers(0, 112), max_size=6), st.sets(st.integers(1, 20), max_size=6), st.data())
@thorough(150)
def test_cutting_restarts_repeats_and_failures_change_no_story(
    pieces: list[tuple[int, float, int]], at: list[int], failures: set[int], data: st.DataObject
) -> None:
    readings = stream(pieces)
    smooth = World()
    smooth.take(readings)

    ledger = Failing()
    rough = World(ledger=ledger)
    ledger.before = {f + ledger.calls for f in failures if f % 2}
    ledger.after = {f + ledger.calls for f in failures if not f % 2}
    for piece in cut(readings, at):
        for attempt in range(30):
            try:
                rough.take(piece)
            except OSError:
                if data.draw(st.booleans(), label="the worker is killed and comes back"):
                    kept, ledger.before, ledger.after = (ledger.before, ledger.after), set(), set()
                    rough.restart()
                    ledger.before, ledger.after = kept
                assert attempt < 29
                continue
            break
    assert rough.history() == smooth.history()
    assert rough.store.last_seq() == smooth.store.last_seq()
    assert rough.floods() == smooth.floods()


@given(floods)
@thorough(50)
def test_the_level_shown_is_the_level_of_the_ladders(pieces: list[tuple[int, float, int]]) -> None:
    world = World()
    world.take(stream(pieces))
    world.tick()
    shown = {s.area: s.level for s in world.ledger.statuses(Kind.EXERCISE)}
    assert {area: level for area, level in shown.items() if level} == world.floods()


def test_a_batch_of_nothing_new_moves_nothing() -> None:
    world = World()
    world.take(batch([2.5, 2.5]))
    before = world.events()
    world.take(batch([2.5, 2.5]))
    assert world.events() == before
    assert np.array_equal(world.ledger.judged_through(Kind.EXERCISE), 2)
