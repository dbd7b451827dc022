"""What people set for a while: acknowledgements, shelves and silences end by themselves and hide no step up (5.7)."""

from dataclasses import replace

import pytest

from alerts.episode import Episode, EventType, Kind
from alerts.lifecycle import SHELF_MAX_US
from alerts.people import Actor, Refusal, Role
from alerts.shelf import SILENCE_MAX_US, Scope, Silencing, quiet_until_us
from tests.alerts.judge_world import ONE, TWO, World
from tests.alerts.people_world import chained, of, rise
from tests.builders import MINUTE_US

CHAIN = chained(10, 5, 5)
FLOOD = (1.0, 3.5, 3.5)
VIEWER = Actor(account="viewer", role=Role.VIEWER)


def flooded() -> World:
    """A flood at level 2 that nobody has looked at."""
    world = World(routes=CHAIN)
    rise(world, *FLOOD)
    return world


def hold(world: World, minutes: int, value: float = 3.5) -> None:
    """The level stands for some minutes."""
    for _ in range(minutes):
        rise(world, value)


def acknowledge(world: World, actor: Actor = ONE, minutes: float | None = None) -> Episode | Refusal:
    story = world.story()
    return world.desk().acknowledge(story.id, version=story.version, actor=actor, minutes=minutes)


def shelve(world: World, minutes: float = 60, reason: str = "ประตูน้ำเปิดอยู่") -> Episode | Refusal:
    story = world.story()
    return world.desk().shelve(story.id, version=story.version, minutes=minutes, reason=reason, actor=ONE)


def called(world: World) -> list[str]:
    return [event.note for event in of(world, EventType.CALLED)]


# ---- acknowledgements


def test_an_acknowledgement_has_an_owner_and_an_end_and_rings_again_while_the_level_stands() -> None:
    world = flooded()
    acknowledge(world, minutes=30)
    assert (world.story().seen_by, world.story().unacknowledged) == ("officer-1", False)
    hold(world, 29)
    assert called(world) == ["officer"]
    hold(world, 1)
    assert world.story().unacknowledged
    assert called(world) == ["officer", "officer"], "the chain begins anew"
    (expired,) = of(world, EventType.EXPIRED)
    assert expired.event_us == of(world, EventType.ACKNOWLEDGED)[0].until_us


def test_without_a_word_it_lasts_as_long_as_the_route_says() -> None:
    world = flooded()
    acknowledge(world)
    assert world.story().seen_until_us == world.now_us + 480 * MINUTE_US


def test_an_acknowledgement_that_ends_when_the_level_is_gone_rings_nobody() -> None:
    world = flooded()
    for actor in (ONE, TWO):
        world.desk().release(world.story().id, version=world.story().version, level=2, actor=actor)
    acknowledge(world, minutes=30)
    rise(world, *[1.0] * 60)
    assert (world.story().judged_level, world.story().public_level) == (0, 2), "a person must end it"
    assert of(world, EventType.EXPIRED) == []


def test_it_is_taken_over_only_by_whoever_says_for_how_long() -> None:
    world = flooded()
    acknowledge(world, minutes=30)
    refused = acknowledge(world, TWO)
    assert isinstance(refused, Refusal)
    assert refused.code == "pointless"
    acknowledge(world, TWO, minutes=90)
    assert (world.story().seen_by, world.story().seen_until_us) == ("officer-2", world.now_us + 90 * MINUTE_US)
    hold(world, 40)
    assert of(world, EventType.EXPIRED) == []


def test_it_never_stops_a_step_up() -> None:
    world = flooded()
    acknowledge(world, minutes=600)
    rise(world, 4.5, 4.5)
    assert world.story().unacknowledged
    assert called(world) == ["officer", "officer"]


def test_one_that_ends_holds_up_no_chain_of_a_higher_level() -> None:
    world = flooded()
    acknowledge(world, minutes=40)
    hold(world, 30)
    hold(world, 25, 4.5)
    assert called(world) == ["officer", "officer", "head", "mayor"]
    assert len(of(world, EventType.UNANSWERED)) == 1


def test_one_of_a_level_that_stood_before_answers_nothing_and_calls_nobody_twice() -> None:
    world = flooded()
    before = world.story().version
    hold(world, 6, 4.5)
    assert called(world) == ["officer", "officer"]
    world.desk().acknowledge(world.story().id, version=before, actor=ONE, minutes=30)
    hold(world, 3, 4.5)
    assert called(world) == ["officer", "officer"]
    hold(world, 5, 4.5)
    assert called(world) == ["officer", "officer", "head"]


def test_one_of_a_story_that_ended_meanwhile_takes_no_minutes_from_the_next_alarm() -> None:
    world = World(routes=chained(10, 5, 5, rearm_s=3600.0))
    rise(world, *FLOOD)
    acknowledge(world, minutes=20)
    rise(world, *[1.0] * 50)
    assert world.story().closed_us is not None
    rise(world, 3.5, 3.5)
    assert called(world) == ["officer", "officer"]
    assert of(world, EventType.EXPIRED) == []


def test_one_that_ends_under_a_silence_calls_nobody_before_the_silence_ends() -> None:
    world = flooded()
    acknowledge(world, minutes=10)
    world.desk().silence(Scope(hazard="flood"), level=2, minutes=60, reason="ซ้อมสูบน้ำ", actor=ONE)
    hold(world, 58)
    assert called(world) == ["officer"]
    hold(world, 2)
    assert called(world) == ["officer", "officer"]


def test_nothing_outlasts_what_may_be_asked_for_when_a_clock_is_put_back() -> None:
    world = flooded()
    shelve(world, minutes=120)
    acknowledge(world, minutes=120)
    world.desk().silence(Scope(hazard="flood"), level=2, minutes=60, reason="ซ้อมสูบน้ำ", actor=ONE)
    world.now_us -= 365 * 1440 * MINUTE_US
    for _ in range(12):
        world.tick(1)
    assert (world.story().shelved, world.story().unacknowledged) == (False, True)
    assert called(world) == ["officer", "officer", "head"]


# ---- the shelf


def test_what_is_shelved_calls_nobody_and_comes_back_by_itself() -> None:
    world = flooded()
    shelve(world, minutes=60)
    assert world.story().shelved
    hold(world, 59)
    assert called(world) == ["officer"]
    world.restart()
    hold(world, 1)
    assert not world.story().shelved
    assert called(world) == ["officer", "officer"]
    (back,) = of(world, EventType.UNSHELVED)
    assert (back.actor, back.event_us) == ("rule", of(world, EventType.SHELVED)[0].until_us)


def test_a_higher_level_leaves_the_shelf_at_once_and_an_equal_one_does_not() -> None:
    world = flooded()
    shelve(world, minutes=400)
    rise(world, *[2.5] * 10)  # down to watch
    rise(world, 3.5, 3.5)  # and up again
    assert world.story().shelved
    rise(world, 4.5, 4.5)
    assert not world.story().shelved
    assert called(world) == ["officer", "officer"]


def test_an_acknowledgement_that_ended_on_the_shelf_takes_nobody_minutes() -> None:
    world = flooded()
    acknowledge(world, minutes=10)
    shelve(world, minutes=120)
    hold(world, 121)
    assert called(world) == ["officer", "officer"], "he has ten minutes from when it came back"


def test_a_shelf_that_ended_while_the_level_was_gone_takes_nobody_minutes() -> None:
    world = World(routes=chained(10, 5, 5, rearm_s=3600.0))
    rise(world, *FLOOD)
    shelve(world, minutes=20)
    rise(world, *[1.0] * 50)
    assert world.story().closed_us is not None
    rise(world, 3.5, 3.5)
    assert not world.story().shelved
    assert called(world) == ["officer", "officer"]


def test_an_officer_takes_it_back_early() -> None:
    world = flooded()
    shelve(world)
    world.desk().unshelve(world.story().id, version=world.story().version, actor=TWO)
    world.tick()
    assert called(world) == ["officer", "officer"]


@pytest.mark.parametrize(
    ("minutes", "reason", "code"), [(480.1, "why", "invalid"), (0, "why", "invalid"), (60, "  ", "invalid")]
)
def test_a_shelf_without_reason_or_beyond_eight_hours_is_refused(minutes: float, reason: str, code: str) -> None:
    world = flooded()
    refused = shelve(world, minutes, reason)
    assert isinstance(refused, Refusal)
    assert refused.code == code
    assert SHELF_MAX_US == 480 * MINUTE_US


def test_nobody_shelves_a_critical_level_or_one_that_rose_unseen() -> None:
    world = flooded()
    seen = world.story()
    rise(world, 4.5, 4.5)
    desk = world.desk()
    for version, code in ((seen.version, "changed"), (world.story().version, "forbidden")):
        refused = desk.shelve(seen.id, version=version, minutes=60, reason="why", actor=ONE)
        assert isinstance(refused, Refusal)
        assert refused.code == code


# ---- silences


def silence(world: World, level: int, *, minutes: float = 60, **scope: str) -> Silencing:
    made = world.desk().silence(Scope(**scope), level=level, minutes=minutes, reason="ซ่อมประตูน้ำ", actor=ONE)
    assert isinstance(made, Silencing)
    return made


@pytest.mark.parametrize(
    ("scope", "mutes"),
    [
        ({"area": "village"}, True),
        ({"area": "tambon"}, True),
        ({"area": "other"}, False),
        ({"hazard": "flood"}, True),
        ({"hazard": "station"}, False),
        ({"station": "A"}, False),
        ({"area": "village", "hazard": "station"}, False),
    ],
)
def test_a_silence_mutes_what_its_scope_names(scope: dict[str, str], mutes: bool) -> None:
    world = World(routes=CHAIN)
    asked = world.desk().silence(Scope(**scope), level=2, minutes=60, reason="ซ่อมประตูน้ำ", actor=ONE)
    assert isinstance(asked, Silencing)
    rise(world, *FLOOD)
    assert called(world) == ([] if mutes else ["officer"])
    assert world.story().judged_level == 2, "and judges all the same"


def test_when_it_ends_what_stands_is_called_from_then_on() -> None:
    world = World(routes=CHAIN)
    ends_us = silence(world, 2, minutes=30, area="village").until_us
    rise(world, *FLOOD)
    hold(world, 50)
    turns = [(e.note, (e.event_us - ends_us) / MINUTE_US) for e in of(world, EventType.CALLED)]
    assert turns == [("officer", 0), ("head", 10), ("mayor", 15)]


def test_it_hides_no_level_above_its_own() -> None:
    world = World(routes=CHAIN)
    silence(world, 2, area="village")
    rise(world, *FLOOD)
    rise(world, 4.5, 4.5)
    assert called(world) == ["officer"]


def test_one_person_alone_does_not_silence_level_three() -> None:
    world = World(routes=CHAIN)
    made = silence(world, 3, area="village")
    rise(world, 1.0, 4.5, 4.5)
    assert called(world) == ["officer"]
    refused = world.desk().agree_silence(made.id, actor=ONE)
    assert isinstance(refused, Refusal)
    assert refused.code == "same_person"
    assert isinstance(world.desk().agree_silence(made.id, actor=TWO), Silencing)
    rise(world, *[4.5] * 30)
    assert called(world) == ["officer"]
    rise(world, *[4.5] * 32)
    assert called(world)[:2] == ["officer", "head"], "it goes on where it stood"


def test_one_person_is_enough_to_hear_again() -> None:
    world = World(routes=CHAIN)
    made = silence(world, 2, minutes=600, area="village")
    rise(world, *FLOOD)
    assert isinstance(world.desk().end_silence(made.id, actor=TWO), Silencing)
    world.tick()
    assert called(world) == ["officer"]
    assert world.ledger.silences(Kind.EXERCISE, after_us=world.now_us) == []


@pytest.mark.parametrize(
    ("scope", "level", "minutes", "reason"),
    [
        (Scope(), 1, 60, "why"),
        (Scope(area="village"), 0, 60, "why"),
        (Scope(area="village"), 4, 60, "why"),
        (Scope(area="village"), 1, 60, " "),
        (Scope(area="village"), 1, 0, "why"),
        (Scope(area="village"), 1, SILENCE_MAX_US / MINUTE_US + 1, "why"),
    ],
)
def test_a_silence_without_scope_reason_or_end_is_refused(
    scope: Scope, level: int, minutes: float, reason: str
) -> None:
    world = World()
    refused = world.desk().silence(scope, level=level, minutes=minutes, reason=reason, actor=ONE)
    assert isinstance(refused, Refusal)
    assert refused.code == "invalid"


def test_a_viewer_sets_nothing_aside() -> None:
    world = flooded()
    story, desk = world.story(), world.desk()
    made = silence(world, 3, area="other")
    for answer in (
        desk.shelve(story.id, version=story.version, minutes=5, reason="x", actor=VIEWER),
        desk.unshelve(story.id, version=story.version, actor=VIEWER),
        desk.silence(Scope(area="village"), level=1, minutes=5, reason="x", actor=VIEWER),
        desk.agree_silence(made.id, actor=VIEWER),
        desk.end_silence(made.id, actor=VIEWER),
    ):
        assert isinstance(answer, Refusal)
        assert answer.code == "forbidden"


def test_the_latest_end_of_all_that_mute_a_story_counts() -> None:
    story = flooded().story()
    one = Silencing(
        kind=Kind.EXERCISE, scope=Scope(area="village"), level=2, reason="x", from_us=0, until_us=100, by="a"
    )
    longer = replace(one, until_us=300, ended_us=200)
    assert quiet_until_us(story, [one, longer], lambda area: (area,)) == 200
    assert quiet_until_us(replace(story, judged_level=3), [one, longer], lambda area: (area,)) == 0
