"""Who is called when nobody answers: absolute due times that no restart and no clock moves (contract 5.9, 5.10)."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import escalation
from alerts.duty import Contact
from alerts.episode import Episode, EventType, Kind, Purpose, apply
from alerts.ledger import AlertLedger
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from alerts.lifecycle import LOST
from alerts.people import Address
from alerts.plan import person
from alerts.route import Unanswered
from alerts.shelf import Scope
from sensors.stations import Sensor
from tests.alerts.judge_world import ONE, TWO, World
from tests.alerts.people_world import chained, minutes_of, of, rise
from tests.builders import MINUTE_US, T0_US, absence_rule, batch, level_rule, registry, station, thorough

CALLS = (EventType.CALLED, EventType.UNANSWERED)
FLOOD = (1.0, 3.5, 3.5)
"""To level 2, held for a minute."""
TURNS = [("called", "officer", 0.0), ("called", "head", 10.0), ("called", "mayor", 15.0), ("unanswered", "", 20.0)]


def wait(world: World, minutes: int, *, value: float | None = 3.5) -> None:
    """Minutes go by, each with a reading of one station, unless it is silent."""
    for _ in range(minutes):
        if value is None:
            world.tick(1)
        else:
            rise(world, value)


def test_each_role_is_called_when_it_is_due_until_nobody_is_left() -> None:
    world = World(routes=chained(10, 5, 5))
    rise(world, *FLOOD)
    wait(world, 25)
    assert minutes_of(world, *CALLS) == TURNS
    story = world.story()
    assert story.standing, "a red alarm that stands"
    assert (story.public_level, story.closed_us) == (0, None)
    (notice,) = [n for n in world.ledger.notices(Kind.EXERCISE) if n.code == "unanswered"]
    assert notice.subject == story.id


def test_a_chain_that_nobody_answered_is_no_closed_ticket() -> None:
    world = World(routes=chained(1, 1, 1))
    rise(world, *FLOOD)
    wait(world, 5)
    rise(world, *[1.0] * 15)
    assert world.story().closed_us is not None, "the flood is over"
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == ["unanswered"], "and somebody must still look"


def test_an_answer_ends_the_chain_and_a_higher_level_begins_it_anew() -> None:
    world = World(routes=chained(10, 5, 5))
    rise(world, *FLOOD)
    wait(world, 12)
    world.desk().acknowledge(world.story().id, version=world.story().version, actor=ONE)
    wait(world, 30)
    assert [turn[:2] for turn in minutes_of(world, *CALLS)] == [("called", "officer"), ("called", "head")]
    rise(world, 4.5, 4.5)
    assert of(world, *CALLS)[-1].to_level == 3
    assert of(world, *CALLS)[-1].note == "officer"


def test_a_release_is_an_answer() -> None:
    world = World(routes=chained(10, 5, 5))
    rise(world, *FLOOD)
    for actor in (ONE, TWO):
        world.desk().release(world.story().id, version=world.story().version, level=2, actor=actor)
    wait(world, 30)
    assert len(of(world, *CALLS)) == 1


def test_one_officer_who_asks_for_a_second_does_not_end_it() -> None:
    world = World(routes=chained(10, 5, 5))
    rise(world, *FLOOD)
    world.desk().release(world.story().id, version=world.story().version, level=2, actor=ONE)
    wait(world, 12)
    assert [turn[1] for turn in minutes_of(world, *CALLS)] == ["officer", "head"]


def test_what_is_over_calls_nobody_any_more() -> None:
    world = World(routes=chained(30, 5, 5))
    rise(world, *FLOOD)
    wait(world, 60, value=1.0)
    assert len(of(world, *CALLS)) == 1


def test_a_level_that_comes_and_goes_does_not_begin_its_chain_again_and_again() -> None:
    world = World(routes=chained(15, 15, 15, unanswered=Unanswered.RELEASE))
    rise(world, 1.0, 4.5, 4.5)
    for _ in range(4):
        wait(world, 10, value=3.3)
        wait(world, 4, value=4.5)
    assert [turn[:2] for turn in minutes_of(world, *CALLS)] == [turn[:2] for turn in TURNS]
    assert world.story().public_level == 3


@thorough(6)
@given(data=st.data())
def test_whatever_people_do_each_turn_has_its_minutes_and_a_level_that_nobody_answers_comes_to_its_end(
    data: st.DataObject,
) -> None:
    world = World(routes=chained(10, 5, 5, rearm_s=3600.0))
    rise(world, *FLOOD)
    acts = st.sampled_from(("", "acknowledge", "old", "shelve", "unshelve", "silence", "restart"))
    (first,) = of(world, EventType.CALLED)
    seen, last_us, alone = {(first.episode, first.version)}, first.recorded_us, 0
    rang_us = world.story().rang_us
    for _ in range(data.draw(st.integers(2, 10))):
        value = data.draw(st.sampled_from((1.0, 2.5, 3.5, 4.5)))
        story, desk, act = world.story(), world.desk(), data.draw(acts)
        version = story.version if act != "old" else data.draw(st.integers(1, story.version))
        minutes = data.draw(st.integers(1, 40))
        match act:
            case "acknowledge" | "old":
                desk.acknowledge(story.id, version=version, actor=ONE, minutes=minutes)
            case "shelve":
                desk.shelve(story.id, version=version, actor=ONE, minutes=minutes, reason="x")
            case "unshelve":
                desk.unshelve(story.id, version=version, actor=TWO)
            case "silence":
                desk.silence(Scope(hazard="flood"), level=2, minutes=minutes, reason="x", actor=ONE)
            case "restart":
                world.restart()
        for _ in range(data.draw(st.integers(1, 30))):
            rise(world, value)
            new = [e for e in of(world, EventType.CALLED) if (e.episode, e.version) not in seen]
            assert len(new) <= 1
            for event in new:
                assert event.note == "officer" or event.recorded_us - last_us >= 5 * MINUTE_US
                last_us = event.recorded_us
                seen.add((event.episode, event.version))
            story, folded = world.story(), None
            for event in world.ledger.events(story.id):
                folded = apply(folded, event)
            assert folded == story
            critical = story.judged_level == 3 and story.unacknowledged and not story.shelved
            alone = alone + 1 if critical and story.rang_us == rang_us else 0
            rang_us = story.rang_us
            assert alone <= 21 or story.standing


# ---- the timed release


def test_the_timed_release_comes_when_nobody_answered() -> None:
    world = World(routes=chained(10, 5, 5, unanswered=Unanswered.RELEASE))
    rise(world, *FLOOD)
    wait(world, 25)
    (released,) = of(world, EventType.RELEASED)
    assert (released.to_level, released.actor, released.note) == (2, "rule", "unanswered")
    assert minutes_of(world, EventType.RELEASED)[0][2] == 20


def test_a_gauge_that_drowned_keeps_no_timed_release_back() -> None:
    world = World(routes=chained(10, 5, 5, unanswered=Unanswered.RELEASE))
    rise(world, *FLOOD)
    wait(world, 25, value=None)
    assert len(of(world, EventType.RELEASED)) == 1


def test_a_release_whose_minutes_nobody_lived_through_waits_for_a_reading_of_now() -> None:
    world = World(routes=chained(10, 5, 5, unanswered=Unanswered.RELEASE))
    rise(world, *FLOOD)
    world.now_us += 300 * MINUTE_US  # the box was off
    world.restart()
    world.tick()
    assert minutes_of(world, *CALLS) == TURNS, "due is due"
    assert of(world, EventType.RELEASED) == []
    rise(world, 3.5, 3.5)
    assert len(of(world, EventType.RELEASED)) == 1


@pytest.mark.parametrize("next_", [None, 4.5])
def test_a_single_doubtful_sample_is_not_released_by_time_and_a_second_one_is(next_: float | None) -> None:
    world = World(
        routes=chained(1, 1, 1, unanswered=Unanswered.RELEASE),
        registry=registry(station("A", Sensor(quantity="stage_m"))),
        own_rules=(level_rule(3, 4.0, up_for_s=0.0), absence_rule()),
    )
    rise(world, *[1.0] * 6)
    rise(world, 4.5)  # a jump that the next sample must confirm: flag 2
    assert (world.story().judged_level, world.story().confirmed_level) == (3, 0), "a proposal, at once"
    wait(world, 1, value=next_)
    assert world.story().confirmed_level == (0 if next_ is None else 3)
    wait(world, 10, value=None)
    assert world.story().standing
    assert [e.to_level for e in of(world, EventType.RELEASED)] == ([] if next_ is None else [3])


# ---- restarts and clocks


def calls_of(world: World) -> list[tuple[object, ...]]:
    return [(e.episode, e.version, e.type, e.note, e.event_us, e.recorded_us, e.until_us) for e in world.events()]


@thorough(6)
@given(
    minutes=st.lists(st.integers(1, 15), min_size=1, max_size=3),
    restarts=st.lists(st.integers(0, 24), max_size=3),
    seen=st.integers(0, 40),
    release=st.booleans(),
    sql=st.booleans(),
)
def test_restarts_anywhere_give_the_same_due_times_and_events(
    minutes: list[int], restarts: list[int], seen: int, release: bool, sql: bool
) -> None:
    unanswered = Unanswered.RELEASE if release else Unanswered.STANDING
    told = []
    for cuts in ((), restarts):
        with TemporaryDirectory() as folder:
            ledger: AlertLedger = open_ledger(Path(folder) / "ledger.db") if sql else MemoryLedger()
            world = World(
                routes=chained(*minutes, unanswered=unanswered, acknowledged_min=7.0),
                snapshot_path=Path(folder) / "judge.npz",
                ledger=ledger,
            )
            rise(world, *FLOOD)
            for minute in range(25):
                if minute in cuts:
                    world.judge.stop()
                    world.restart()
                if minute == seen:
                    world.desk().acknowledge(world.story().id, version=world.story().version, actor=ONE)
                wait(world, 1)
            told.append(calls_of(world))
            world.ledger.close()
    assert told[0] == told[1]
    assert any(event[2] is EventType.CALLED for event in told[0])


@pytest.mark.parametrize("leap_min", [-300, -4, 4, 300])
def test_a_clock_that_is_put_moves_what_is_due_and_changes_nothing_else(leap_min: int) -> None:
    world = World(routes=chained(10, 5, 5))
    rise(world, *FLOOD)
    wait(world, 4, value=None)
    world.judge.leapt_us = lambda: leap_min * MINUTE_US
    world.now_us += leap_min * MINUTE_US
    before_us = world.now_us
    wait(world, 5, value=None)
    assert [e.note for e in of(world, *CALLS)] == ["officer"], "four and five of ten minutes"
    wait(world, 1, value=None)
    assert [e.note for e in of(world, *CALLS)] == ["officer", "head"]
    assert of(world, *CALLS)[-1].event_us == before_us + 6 * MINUTE_US
    assert len(of(world, EventType.MOVED)) == 1


def test_a_clock_that_is_put_right_by_a_little_each_second_is_worth_one_event_in_a_while() -> None:
    world = World(routes=chained(10, 5, 5))
    rise(world, *FLOOD)
    for second in range(1, 121):
        world.judge.leapt_us = partial(int, second * 150_000)
        world.now_us += 150_000
        world.tick(1 / 60)
    (moved,) = of(world, EventType.MOVED)
    assert moved.until_us == of(world, EventType.CALLED)[0].until_us + 67 * 150_000  # type: ignore[operator]


def waiting(**changes: object) -> Episode:
    story = Episode(
        id="flood.1",
        kind=Kind.EXERCISE,
        area="village",
        hazard="flood",
        judged_level=2,
        public_level=0,
        known=True,
        since_us=T0_US,
        version=3,
        opened_us=T0_US,
        rang_us=T0_US,
        called=1,
        due_us=T0_US + 10 * MINUTE_US,
    )
    return replace(story, **changes)  # type: ignore[arg-type]


def test_a_clock_put_back_unseen_makes_nobody_wait_longer_than_a_turn() -> None:
    now_us = T0_US - 600 * MINUTE_US
    (moved,) = escalation.pending(
        [waiting()], routes=chained(10, 5, 5), silences=(), above=lambda area: (area,), now_us=now_us
    )
    assert moved[0].type is EventType.MOVED
    assert moved[1].due_us == now_us + 10 * MINUTE_US


def test_routes_that_became_shorter_end_the_chain() -> None:
    due_us = T0_US + 10 * MINUTE_US
    changes = list(
        escalation.pending([waiting()], routes=chained(10), silences=(), above=lambda area: (area,), now_us=due_us)
    )
    assert [event.type for event, _ in changes] == [EventType.UNANSWERED]


# ---- calls as messages


def test_a_call_goes_to_whoever_of_the_role_is_on_call_and_never_to_residents() -> None:
    world = World(
        routes=replace(
            chained(10, 5, 5),
            contacts=(
                Contact(id="day", role="officer", channels=("preview",), hours=(6, 18)),
                Contact(id="night", role="officer", channels=("preview",), hours=(18, 6)),
                Contact(id="chief", role="head", channels=("preview",)),
            ),
        )
    )
    world.ledger.put_addresses(
        [
            Address(id=i, kind=Kind.EXERCISE, recipient=i, area=a, channel="preview", target=i)
            for i, a in (*((id, person(id)) for id in ("day", "night", "chief")), ("res", "village"))
        ]
    )
    rise(world, *FLOOD)  # 13:50 in Bangkok
    while world.ledger.expand(limit=10):
        pass
    (call,) = world.ledger.deliveries()
    assert (call.address, call.purpose, call.level) == ("day", Purpose.CALL, 2)
    assert call.text.startswith("ซ้อม: ไม่ใช่เหตุจริง")
    assert "3.50" in call.text
    assert world.ledger.delivery_counts(Kind.EXERCISE) == {}, "residents were told nothing"


def test_a_call_that_was_due_while_the_box_was_off_goes_to_whoever_is_on_call_now() -> None:
    people = (
        Contact(id="day", role="officer", channels=("preview",), hours=(6, 18)),
        Contact(id="night", role="officer", channels=("preview",), hours=(18, 6)),
    )
    world = World(routes=replace(chained(10), contacts=people))
    world.ledger.put_addresses(
        [
            Address(id=id, kind=Kind.EXERCISE, recipient=id, area=person(id), channel="preview", target=id)
            for id in ("day", "night")
        ]
    )
    world.take(batch(FLOOD, start_us=world.now_us + MINUTE_US))  # 13:50 in Bangkok
    world.tick(600)
    while world.ledger.expand(limit=10):
        pass
    assert [delivery.address for delivery in world.ledger.deliveries()] == ["night"]


def test_a_call_and_a_warning_do_not_take_each_others_place() -> None:
    world = World(routes=replace(chained(1, 60), contacts=(Contact(id="a", role="officer", channels=("preview",)),)))
    world.ledger.put_addresses(
        [
            Address(id=i, kind=Kind.EXERCISE, recipient=i, area=a, channel="preview", target=i)
            for i, a in (("a", person("a")), ("res", "village"))
        ]
    )
    rise(world, *FLOOD)
    for actor in (ONE, TWO):
        world.desk().release(world.story().id, version=world.story().version, level=2, actor=actor)
    while world.ledger.expand(limit=10):
        pass
    assert sorted((d.address, str(d.state)) for d in world.ledger.deliveries()) == [("a", "queued"), ("res", "queued")]
    rise(world, 4.5, 4.5)
    while world.ledger.expand(limit=10):
        pass
    states = sorted((d.address, d.level, str(d.state)) for d in world.ledger.deliveries())
    assert states == [("a", 2, "queued"), ("a", 3, "queued"), ("res", 2, "queued")]


def test_a_call_for_which_nobody_has_an_address_is_noticed() -> None:
    world = World(routes=replace(chained(10), contacts=(Contact(id="a", role="officer", channels=("preview",)),)))
    rise(world, *FLOOD)
    while world.ledger.expand(limit=10):
        pass
    assert [n.code for n in world.ledger.notices(Kind.EXERCISE)] == ["nobody_called"]


def test_a_backfill_of_a_month_of_floods_calls_nobody() -> None:
    world = World(routes=replace(chained(1, 1, 1), contacts=(Contact(id="a", role="officer", channels=("preview",)),)))
    rise(world, *[1.0] * 3)
    month = [4.5 if minute % 480 < 60 else 1.0 for minute in range(30 * 1440 // 10)]
    world.take(
        batch(month, start_us=T0_US - 31 * 1440 * MINUTE_US, step_us=10 * MINUTE_US, delay_us=32 * 1440 * MINUTE_US)
    )
    for _ in range(10):
        world.tick(1)
    assert {event.type for event in world.events() if event.hazard == "flood"} == {EventType.RETROSPECTIVE}
    assert world.ledger.expand(limit=10) == 0


@thorough(10)
@given(
    values=st.lists(st.sampled_from([1.0, 2.5, 3.5, 4.5]), min_size=1, max_size=12),
    silent_min=st.integers(10, 200),
    release=st.booleans(),
)
def test_no_data_raises_nothing_but_what_was_lost_while_rising_and_clears_nothing(
    values: list[float], silent_min: int, release: bool
) -> None:
    world = World(routes=chained(5, 5, 5, unanswered=Unanswered.RELEASE if release else Unanswered.STANDING))
    rise(world, *values)
    before = world.floods()
    until = len(world.events())
    for _ in range(silent_min):
        world.tick(1)
    after = [event for event in world.events()[until:] if event.hazard == "flood"]
    assert all(event.note == LOST and event.to_level <= 2 for event in after if event.rises)
    assert not [event for event in after if event.type in (EventType.LOWERED, EventType.CLOSED)]
    assert all(world.floods()[area] >= level for area, level in before.items())
