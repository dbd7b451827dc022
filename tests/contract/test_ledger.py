"""Every sentence of the ledger's contract, for each implementation, and for one that is restarted before every call."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.episode import EventType, Kind, Purpose, apply
from alerts.ledger import (
    CHUNK_MAX,
    OUTLIVED,
    SUPERSEDED,
    AlertLedger,
    Attempt,
    DeliveryState,
    PreviewMessage,
    Record,
    VersionConflict,
)
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.rules import NOBODY_CALLED, NOBODY_REACHED
from alerts.settled import Settled
from alerts.shelf import Scope, Silencing
from tests.alerts.ledger.builders import (
    FOREVER_US,
    HOUR_US,
    LEASE_US,
    T0_US,
    USED,
    WAIT_MAX_US,
    Reopening,
    change,
    expand_all,
    fanout,
    keys,
    new_ledger,
    notice,
    people,
    states,
    status,
    take,
    tell,
    tried,
)

OPENERS: dict[str, Callable[[Path], AlertLedger]] = {
    "memory": lambda _: MemoryLedger(),
    "sql": new_ledger,
    "sql restarted": Reopening,
}
EXERCISE = Kind.EXERCISE
STATE = DeliveryState


@pytest.fixture(params=OPENERS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AlertLedger]:
    """One of the implementations, empty."""
    opened = OPENERS[request.param](tmp_path / "ledger.db")
    yield opened
    opened.close()


# Stories


def test_a_story_and_its_events_read_back_as_they_were_written(ledger: AlertLedger) -> None:
    first, story = change(used=USED)
    second, after = change(story, to=2, used=USED * 2)
    ledger.record(Record(kind=EXERCISE, changes=[(first, story), (second, after)]))

    assert ledger.episode(story.id) == after
    assert ledger.events(story.id) == [first, second]


def test_an_unknown_story_is_none_and_has_no_events(ledger: AlertLedger) -> None:
    assert ledger.episode("flood.nowhere") is None
    assert ledger.events("flood.nowhere") == []


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_version_that_is_not_the_next_one_conflicts(ledger: AlertLedger, version: int) -> None:
    first, story = change()
    second, after = change(story, to=2)
    ledger.record(Record(kind=EXERCISE, changes=[(first, story), (second, after)]))

    wrong = (replace(second, version=version), replace(after, version=version))
    with pytest.raises(VersionConflict):
        ledger.record(Record(kind=EXERCISE, changes=[wrong]))
    assert ledger.events(story.id) == [first, second]


def test_a_record_that_conflicts_writes_nothing_of_itself(ledger: AlertLedger) -> None:
    first, story = change()
    ledger.record(Record(kind=EXERCISE, changes=[(first, story)], judged_through=5))
    elsewhere = change(id="flood.33160802.1", area="33160802")

    with pytest.raises(VersionConflict):
        ledger.record(
            Record(
                kind=EXERCISE,
                changes=[elsewhere, (first, story)],
                fanouts=[fanout(story)],
                statuses=[status()],
                notices=[notice()],
                judged_through=9,
            )
        )
    assert [episode.id for episode in ledger.episodes(EXERCISE)] == [story.id]
    assert (ledger.statuses(EXERCISE), ledger.notices(EXERCISE)) == ([], [])
    assert ledger.judged_through(EXERCISE) == 5
    assert ledger.expand(limit=10) == 0


def test_a_second_open_story_of_one_place_conflicts(ledger: AlertLedger) -> None:
    ledger.record(Record(kind=EXERCISE, changes=[change()]))
    with pytest.raises(VersionConflict):
        ledger.record(Record(kind=EXERCISE, changes=[change(id="flood.33160801.2")]))


def test_other_kinds_hazards_and_areas_have_stories_of_their_own(ledger: AlertLedger) -> None:
    ledger.record(Record(kind=EXERCISE, changes=[change()]))
    ledger.record(Record(kind=Kind.ACTUAL, changes=[change(id="b", kind=Kind.ACTUAL)]))
    ledger.record(Record(kind=EXERCISE, changes=[change(id="c", hazard="rain"), change(id="d", area="33160802")]))
    assert len(ledger.episodes(EXERCISE)) == 3
    assert [episode.id for episode in ledger.episodes(Kind.ACTUAL)] == ["b"]


def test_a_closed_story_makes_room_for_the_next_and_cannot_open_beside_it(ledger: AlertLedger) -> None:
    opening = change()
    closing = change(opening[1], type=EventType.CLOSED, to=0)
    after = change(id="flood.33160801.2", at_us=T0_US + 1)
    ledger.record(Record(kind=EXERCISE, changes=[opening, closing, after]))
    assert [episode.id for episode in ledger.episodes(EXERCISE)] == ["flood.33160801.2", "flood.33160801.1"]
    assert [episode.id for episode in ledger.episodes(EXERCISE, open_only=True)] == ["flood.33160801.2"]

    seen = change(closing[1], type=EventType.ACKNOWLEDGED, to=1)
    ledger.record(Record(kind=EXERCISE, changes=[seen]))
    with pytest.raises(VersionConflict):
        ledger.record(Record(kind=EXERCISE, changes=[change(id="flood.33160801.3")]))
    event, again = change(seen[1], to=1)
    with pytest.raises(VersionConflict):
        ledger.record(Record(kind=EXERCISE, changes=[(event, replace(again, closed_us=None))]))


def test_stories_come_newest_opened_first_and_limited(ledger: AlertLedger) -> None:
    for n, at_us in enumerate((T0_US + 5, T0_US + 9, T0_US + 7)):
        ledger.record(Record(kind=EXERCISE, changes=[change(id=f"e{n}", area=f"a{n}", at_us=at_us)]))
    assert [episode.id for episode in ledger.episodes(EXERCISE)] == ["e1", "e2", "e0"]
    assert [episode.id for episode in ledger.episodes(EXERCISE, limit=2)] == ["e1", "e2"]


# The cursor


def test_the_cursor_starts_at_0_moves_on_per_kind_and_never_back(ledger: AlertLedger) -> None:
    assert ledger.judged_through(EXERCISE) == 0
    ledger.record(Record(kind=EXERCISE, judged_through=7))
    ledger.record(Record(kind=EXERCISE, judged_through=5))
    ledger.record(Record(kind=EXERCISE))
    assert ledger.judged_through(EXERCISE) == 7
    assert ledger.judged_through(Kind.ACTUAL) == 0


# Statuses and notices


def test_a_status_takes_the_place_of_the_older_one(ledger: AlertLedger) -> None:
    other = status(area="33160700")
    ledger.record(Record(kind=EXERCISE, statuses=[status(), other]))
    ledger.record(Record(kind=EXERCISE, statuses=[status(level=3), other]))
    assert ledger.statuses(EXERCISE) == [other, status(level=3)]
    assert ledger.statuses(Kind.TEST) == []


def test_a_repeated_notice_counts_up_and_takes_the_new_text_and_time(ledger: AlertLedger) -> None:
    ledger.record(Record(kind=EXERCISE, notices=[notice()]))
    newer = notice(text="ใหม่", at_us=T0_US + 1)
    newest = notice(at_us=T0_US + 2, count=3)
    ledger.record(Record(kind=EXERCISE, notices=[newer, newest]))
    (seen,) = ledger.notices(EXERCISE)
    assert seen == replace(newest, count=5, id=seen.id)


def test_a_notice_that_says_nothing_new_changes_nothing(ledger: AlertLedger) -> None:
    ledger.record(Record(kind=EXERCISE, notices=[notice()]))
    ledger.record(Record(kind=EXERCISE, notices=[notice()]))
    assert [seen.count for seen in ledger.notices(EXERCISE)] == [1]


def test_an_acknowledged_notice_is_closed_and_the_next_one_is_new(ledger: AlertLedger) -> None:
    ledger.record(Record(kind=EXERCISE, notices=[notice()]))
    (first,) = ledger.notices(EXERCISE)
    assert ledger.acknowledge_notice(first.id, actor="duty", now_us=T0_US + 3)
    assert not ledger.acknowledge_notice(first.id, actor="other", now_us=T0_US + 4)
    assert not ledger.acknowledge_notice(first.id + 1, actor="duty", now_us=T0_US)
    assert not ledger.acknowledge_notice(0, actor="duty", now_us=T0_US)
    assert ledger.notices(EXERCISE) == []

    ledger.record(Record(kind=EXERCISE, notices=[notice(at_us=T0_US + 9)]))
    newest, oldest = ledger.notices(EXERCISE, open_only=False)
    assert oldest == replace(first, acknowledged_by="duty", acknowledged_us=T0_US + 3)
    assert newest.count == 1
    assert newest.id != first.id
    assert ledger.notices(EXERCISE, open_only=False, limit=1) == [newest]
    assert ledger.notices(Kind.ACTUAL, open_only=False) == []


# Worlds and values that are refused


def test_a_record_of_two_worlds_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="kind"):
        Record(kind=Kind.ACTUAL, statuses=[status()])
    with pytest.raises(ValueError, match="version"):
        Record(kind=EXERCISE, changes=[(change()[0], change(change()[1])[1])])


def test_a_fanout_without_its_story_is_refused_with_all_of_its_record(ledger: AlertLedger) -> None:
    _, story = change()
    with pytest.raises(ValueError, match="episode"):
        ledger.record(Record(kind=EXERCISE, fanouts=[fanout(story)], judged_through=3))
    assert ledger.judged_through(EXERCISE) == 0


def test_a_fanout_cannot_belong_to_a_story_of_another_kind(ledger: AlertLedger) -> None:
    event, story = change(kind=Kind.ACTUAL)
    ledger.record(Record(kind=Kind.ACTUAL, changes=[(event, story)]))
    with pytest.raises(ValueError, match="episode"):
        ledger.record(Record(kind=EXERCISE, fanouts=[fanout(replace(story, kind=EXERCISE))]))


def test_a_try_cannot_end_in_sending() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        Attempt(delivery=1, number=1, started_us=0, ended_us=0, state=STATE.SENDING, next_us=0)


@pytest.mark.parametrize("limit", [0, -1, CHUNK_MAX + 1])
def test_a_limit_beyond_a_short_transaction_is_refused(ledger: AlertLedger, limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        ledger.expand(limit=limit)
    with pytest.raises(ValueError, match="limit"):
        take(ledger, limit=limit)
    with pytest.raises(ValueError, match="limit"):
        ledger.expire(now_us=T0_US, limit=limit)


# Addresses


def test_an_address_put_again_is_replaced(ledger: AlertLedger) -> None:
    (address,) = people(1)
    ledger.put_addresses([address])
    tell(ledger)
    expand_all(ledger)
    ledger.put_addresses([replace(address, target="0899999999")])
    assert [delivery.target for delivery in take(ledger)] == ["0899999999"]


def test_an_address_moves_to_another_area(ledger: AlertLedger) -> None:
    (address,) = people(1)
    ledger.put_addresses([address])
    ledger.put_addresses([replace(address, area="33160802")])
    tell(ledger)
    assert expand_all(ledger) == 0


def test_an_address_keeps_its_channel(ledger: AlertLedger) -> None:
    (address,) = people(1)
    ledger.put_addresses([address])
    with pytest.raises(ValueError, match="channel"):
        ledger.put_addresses([replace(address, channel="sms")])
    with pytest.raises(ValueError, match="channel"):
        ledger.put_addresses([replace(address, id="x"), replace(address, id="x", channel="sms")])
    ledger.put_addresses([replace(address, channel="sms", kind=Kind.TEST)])


def test_an_address_of_no_world_is_refused(ledger: AlertLedger) -> None:
    (address,) = people(1)
    with pytest.raises(ValueError, match="drill"):
        ledger.put_addresses([replace(address, kind="drill")])


# Fan-outs


def test_an_alert_goes_to_the_addresses_of_its_kind_channels_and_areas(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    ledger.put_addresses(people(1, first=1, area="33160802"))
    ledger.put_addresses(people(1, first=2, area="33160803"))
    ledger.put_addresses(people(1, first=3, channel="sms"))
    ledger.put_addresses(people(1, first=4, kind=Kind.ACTUAL))
    story = tell(ledger, areas=("33160801", "33160802"))
    assert expand_all(ledger) == 2
    assert set(states(ledger)) == {f"{story.id}#1/r0000.preview", f"{story.id}#1/r0001.preview"}


def test_a_new_delivery_says_all_that_a_sender_needs(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    story = tell(ledger, level=3, expires_us=T0_US + 77)
    ledger.expand(limit=5)
    (delivery,) = ledger.deliveries()
    assert delivery.key == f"{story.id}#1/r0000.preview"
    assert (delivery.fanout, delivery.episode, delivery.kind) == (f"{story.id}#1", story.id, EXERCISE)
    assert (delivery.address, delivery.channel) == ("r0000.preview", "preview")
    assert (delivery.target, delivery.text) == ("exercise-0800000000", "น้ำท่วม 3 v1")
    assert (delivery.level, delivery.state, delivery.attempts) == (3, STATE.QUEUED, 0)
    assert (delivery.expires_us, delivery.next_us, delivery.reason) == (T0_US + 77, 0, "")


def test_a_fanout_that_is_there_already_changes_nothing(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(3))
    story = tell(ledger)
    assert expand_all(ledger) == 3
    ledger.record(Record(kind=EXERCISE, fanouts=[fanout(story, level=3)]))
    assert expand_all(ledger) == 0
    assert {delivery.level for delivery in ledger.deliveries()} == {2}


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_chunks_make_each_delivery_once(ledger: AlertLedger, limit: int) -> None:
    ledger.put_addresses(people(3))
    tell(ledger)
    made: list[int] = []
    while not made or made[-1]:
        made.append(ledger.expand(limit=limit))
    assert max(made) <= limit
    assert sum(made) == len(ledger.deliveries()) == 3


def test_the_highest_level_is_expanded_first_and_equals_in_turn(ledger: AlertLedger) -> None:
    for n, level in enumerate((2, 3, 3)):
        ledger.put_addresses(people(4, first=10 * n, area=f"a{n}"))
        tell(ledger, id=f"e{n}", area=f"a{n}", level=level)
    order = []
    while ledger.expand(limit=2):
        order.append(ledger.deliveries(limit=1)[0].episode)
    assert order == ["e1", "e2", "e1", "e2", "e0", "e0"]


def test_a_fanout_without_recipients_does_not_hold_up_the_next(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    tell(ledger, id="e0", area="empty", level=3)
    tell(ledger, id="e1", level=1)
    assert ledger.expand(limit=10) == 1
    assert ledger.expand(limit=10) == 0


def test_an_alert_to_nobody_is_noticed_and_again_with_each_version(ledger: AlertLedger) -> None:
    story = tell(ledger, area="empty")
    assert ledger.expand(limit=10) == 0
    (seen,) = ledger.notices(EXERCISE)
    assert (seen.code, seen.subject, seen.at_us, seen.count) == (NOBODY_REACHED, story.id, T0_US, 1)
    assert seen.text == "ประกาศแล้วแต่ไม่มีผู้รับ · released, but nobody has an address there"
    assert ledger.notices(Kind.ACTUAL) == []
    assert ledger.expand(limit=10) == 0
    assert ledger.notices(EXERCISE) == [seen]

    assert ledger.acknowledge_notice(seen.id, actor="duty", now_us=T0_US)
    tell(ledger, story, level=3)
    assert ledger.expand(limit=10) == 0
    assert [(again.subject, again.count) for again in ledger.notices(EXERCISE)] == [(story.id, 1)]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_an_alert_to_somebody_is_not_noticed_wherever_its_chunks_end(ledger: AlertLedger, limit: int) -> None:
    ledger.put_addresses(people(2))
    tell(ledger)
    assert expand_all(ledger, limit=limit) == 2
    assert ledger.notices(EXERCISE) == []


def test_an_all_clear_to_nobody_and_an_alert_overtaken_before_its_turn_are_not_noticed(ledger: AlertLedger) -> None:
    story = tell(ledger, area="empty")
    tell(ledger, story, purpose=Purpose.ALL_CLEAR)
    assert expand_all(ledger) == 0
    assert ledger.notices(EXERCISE) == []


def test_a_newer_version_expires_what_still_waits_for_the_older_one(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(3))
    story = tell(ledger, level=3)
    ledger.expand(limit=2)
    (sending,) = take(ledger, limit=1)
    tell(ledger, story, level=2)

    assert take(ledger) == [], "what is superseded must not be leased even before it is expired"
    assert expand_all(ledger) == 3
    assert [states(ledger)[f"{story.id}#1/r000{n}.preview"] for n in (0, 1)] == [STATE.SENDING, STATE.EXPIRED]
    assert f"{story.id}#1/r0002.preview" not in states(ledger)
    assert {d.reason for d in ledger.deliveries() if d.state is STATE.EXPIRED} == {SUPERSEDED}
    assert keys(take(ledger)) == [f"{story.id}#2/r000{n}.preview" for n in range(3)]
    ledger.finish([tried(sending)])
    assert states(ledger)[sending.key] is STATE.ACCEPTED


def test_superseded_deliveries_end_at_most_a_chunk_at_a_time(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(5))
    story = tell(ledger)
    expand_all(ledger)
    tell(ledger, story)
    counts = []
    for _ in range(4):
        ledger.expand(limit=2)
        counts.append(ledger.delivery_counts(EXERCISE).get(("preview", STATE.EXPIRED), 0))
    assert counts == [2, 4, 5, 5]


def test_an_older_version_that_comes_late_is_never_sent(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    first = change()
    second = change(first[1], to=2)
    ledger.record(Record(kind=EXERCISE, changes=[first, second], fanouts=[fanout(second[1])]))
    ledger.record(Record(kind=EXERCISE, fanouts=[fanout(first[1])]))
    assert expand_all(ledger) == 1
    assert keys(take(ledger)) == [f"{first[1].id}#2/r0000.preview"]


def test_a_version_of_another_story_supersedes_nothing(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    ledger.put_addresses(people(2, first=5, area="33160802"))
    tell(ledger)
    other = tell(ledger, id="e2", area="33160802")
    tell(ledger, other)
    expand_all(ledger)
    assert len(take(ledger)) == 4


# The all-clear


def test_the_all_clear_goes_to_whoever_an_alert_may_have_reached(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(7))
    story = tell(ledger, level=3)
    expand_all(ledger)
    ends = [STATE.ACCEPTED, STATE.DELIVERED, STATE.FAILED, STATE.EXPIRED, STATE.QUEUED]
    taken = take(ledger, limit=6)
    ledger.finish([tried(delivery, state) for delivery, state in zip(taken, ends, strict=False)])
    # r0005 is being sent, r0006 still waits.
    tell(ledger, story, purpose=Purpose.ALL_CLEAR, areas=("nowhere",), channels=())
    expand_all(ledger)
    cleared = [delivery.address[:5] for delivery in reversed(ledger.deliveries()) if delivery.fanout.endswith("#2")]
    assert cleared == ["r0000", "r0001", "r0004", "r0005"]
    assert states(ledger)[f"{story.id}#1/r0006.preview"] is STATE.EXPIRED


def test_an_address_warned_by_several_versions_gets_one_all_clear(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(3))
    story = tell(ledger, level=1)
    expand_all(ledger)
    ledger.finish([tried(delivery) for delivery in take(ledger)])
    story = tell(ledger, story, level=2)
    expand_all(ledger)
    ledger.finish([tried(delivery) for delivery in take(ledger)])
    tell(ledger, story, purpose=Purpose.ALL_CLEAR)
    assert expand_all(ledger, limit=2) == 3


def test_a_second_all_clear_goes_only_to_those_warned_since_the_first(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    story = tell(ledger)
    expand_all(ledger)
    ledger.finish([tried(delivery) for delivery in take(ledger)])
    story = tell(ledger, story, purpose=Purpose.ALL_CLEAR)
    expand_all(ledger)
    ledger.finish([tried(delivery) for delivery in take(ledger)])
    story = tell(ledger, story)
    expand_all(ledger)
    first, second = take(ledger)
    ledger.finish([tried(first), tried(second, STATE.FAILED)])
    tell(ledger, story, purpose=Purpose.ALL_CLEAR)
    assert expand_all(ledger) == 1


@pytest.mark.parametrize("end", [None, STATE.QUEUED, STATE.FAILED, STATE.EXPIRED])
def test_whoever_an_all_clear_did_not_reach_gets_the_next_one(ledger: AlertLedger, end: DeliveryState | None) -> None:
    ledger.put_addresses(people(2))
    story = tell(ledger)
    expand_all(ledger)
    ledger.finish([tried(delivery) for delivery in take(ledger)])
    story = tell(ledger, story, purpose=Purpose.ALL_CLEAR)
    expand_all(ledger)
    first, second = take(ledger)
    ledger.finish([tried(first)])
    if end is not None:
        ledger.finish([tried(second, end)])
    # A warning that is overtaken before it goes to anybody warns nobody, and undoes no all-clear.
    story = tell(ledger, story)
    story = tell(ledger, story, purpose=Purpose.ALL_CLEAR)
    expand_all(ledger)
    cleared = [delivery.address for delivery in ledger.deliveries() if delivery.fanout.endswith("#4")]
    assert cleared == [second.address]


def test_an_all_clear_that_was_never_made_is_made_up_for_by_the_next(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(3))
    story = tell(ledger)
    expand_all(ledger)
    ledger.finish([tried(delivery) for delivery in take(ledger, limit=2)])
    for purpose in (Purpose.ALL_CLEAR, Purpose.ALERT, Purpose.ALL_CLEAR):
        story = tell(ledger, story, purpose=purpose)
    assert expand_all(ledger, limit=1) == 2


def test_whoever_a_killed_sender_had_in_hand_gets_the_all_clear_and_not_the_old_alert(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    story = tell(ledger)
    expand_all(ledger)
    (lost,) = take(ledger, limit=1)
    tell(ledger, story, purpose=Purpose.ALL_CLEAR)
    assert take(ledger, real_us=LEASE_US) == []
    assert states(ledger)[lost.key] is STATE.EXPIRED
    assert expand_all(ledger) == 1
    assert keys(take(ledger, real_us=LEASE_US)) == [f"{story.id}#2/r0000.preview"]


# Leases


def test_a_leased_delivery_is_sending_and_nobody_elses_until_the_lease_lapses(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    tell(ledger)
    expand_all(ledger)
    (first,) = take(ledger, real_us=5)
    assert first.state is STATE.SENDING
    assert ledger.deliveries() == [first]
    assert take(ledger, real_us=5 + LEASE_US - 1, owner="b") == []
    assert take(ledger, real_us=5 + LEASE_US, owner="b") == [first]


def test_a_delivery_is_not_leased_before_its_time(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    tell(ledger)
    expand_all(ledger)
    (delivery,) = take(ledger)
    ledger.finish([tried(delivery, STATE.QUEUED, next_us=100)])
    assert take(ledger, real_us=99) == []
    (again,) = take(ledger, real_us=100)
    assert (again.attempts, again.next_us) == (1, 100)


def test_the_highest_level_is_leased_first_then_episodes_in_turn(ledger: AlertLedger) -> None:
    for n, (count, level) in enumerate(((2, 1), (3, 3), (1, 3))):
        ledger.put_addresses(people(count, first=10 * n, area=f"a{n}"))
        tell(ledger, id=f"e{n}", area=f"a{n}", level=level)
    expand_all(ledger)
    taken = [*take(ledger, limit=3), *take(ledger, limit=500)]
    assert [delivery.episode for delivery in taken] == ["e1", "e2", "e1", "e1", "e0", "e0"]


def test_first_tries_go_before_repeats(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    tell(ledger)
    expand_all(ledger)
    (failed,) = take(ledger, limit=1)
    ledger.finish([tried(failed, STATE.QUEUED, next_us=1)])
    assert keys(take(ledger, real_us=10)) == [failed.key.replace("r0000", "r0001"), failed.key]


def test_a_clock_put_back_holds_up_no_waiting_delivery(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    tell(ledger)
    expand_all(ledger)
    (delivery,) = take(ledger)
    year_us = 365 * 24 * HOUR_US
    ledger.finish([tried(delivery, STATE.QUEUED, next_us=year_us)])
    assert take(ledger, real_us=year_us - WAIT_MAX_US) == [], "the longest wait there is"
    assert keys(take(ledger, real_us=year_us - WAIT_MAX_US - 1)) == [delivery.key]


def test_a_clock_put_back_makes_no_lease_last(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    story = tell(ledger)
    expand_all(ledger)
    (first,) = take(ledger, real_us=HOUR_US, limit=1)
    until_us = HOUR_US + LEASE_US
    (second,) = take(ledger, real_us=HOUR_US - 1, owner="b")
    assert first != second, "a sender that looked at the clock earlier takes nothing from another one's hands"
    assert take(ledger, real_us=until_us - 2 * LEASE_US, owner="b") == []
    assert keys(take(ledger, real_us=until_us - 2 * LEASE_US - 1, owner="b")) == [first.key]

    tell(ledger, story)
    assert take(ledger, real_us=-HOUR_US) == []
    assert set(states(ledger).values()) == {STATE.EXPIRED}, "nor one of a version that is superseded"


# Expiry


def test_what_expires_ends_though_no_try_is_due(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    ledger.put_addresses(people(1, first=5, area="a2"))
    tell(ledger, expires_us=T0_US + 5)
    tell(ledger, id="e2", area="a2", level=1)
    expand_all(ledger)
    (sent,) = take(ledger, limit=1)
    (repeat,) = take(ledger, limit=1)
    ledger.finish([tried(repeat, STATE.QUEUED, next_us=HOUR_US, reason="busy")])
    assert ledger.expire(now_us=T0_US + 4, limit=10) == 0
    assert ledger.expire(now_us=T0_US + 5, limit=10) == 1
    assert ledger.expire(now_us=T0_US + 5, limit=10) == 0
    assert sorted((d.state, d.reason, d.attempts) for d in ledger.deliveries()) == [
        (STATE.EXPIRED, OUTLIVED, 1),
        (STATE.QUEUED, "", 0),
        (STATE.SENDING, "", 0),
    ]
    ledger.finish([tried(sent)])
    assert states(ledger)[sent.key] is STATE.ACCEPTED, "what is being sent is left to its sender"


def test_deliveries_expire_at_most_a_chunk_at_a_time(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(5))
    tell(ledger, expires_us=T0_US)
    expand_all(ledger)
    assert [ledger.expire(now_us=T0_US, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert set(states(ledger).values()) == {STATE.EXPIRED}
    assert take(ledger) == []


# Attempts


@pytest.mark.parametrize("state", [STATE.ACCEPTED, STATE.DELIVERED, STATE.FAILED, STATE.EXPIRED, STATE.QUEUED])
def test_a_try_is_written_and_moves_its_delivery(ledger: AlertLedger, state: DeliveryState) -> None:
    ledger.put_addresses(people(1))
    tell(ledger)
    expand_all(ledger)
    (delivery,) = take(ledger)
    attempt = tried(delivery, state, next_us=30, reason="why")
    ledger.finish([attempt])
    (after,) = ledger.deliveries()
    assert (after.state, after.attempts, after.next_us, after.reason) == (state, 1, 30, "why")
    assert ledger.attempts(delivery.id) == [attempt]


def test_a_terminal_delivery_stays_but_the_try_is_kept(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    tell(ledger)
    expand_all(ledger)
    (delivery,) = take(ledger)
    ledger.finish([tried(delivery, STATE.FAILED, reason="blocked")])
    ledger.finish([tried(delivery, STATE.QUEUED, number=2)])
    ledger.finish([tried(delivery, STATE.ACCEPTED, number=3)])
    (after,) = ledger.deliveries()
    assert (after.state, after.attempts, after.reason) == (STATE.FAILED, 1, "blocked")
    assert [attempt.number for attempt in ledger.attempts(delivery.id)] == [1, 2, 3]
    assert take(ledger, real_us=10 * LEASE_US) == []


def test_of_two_tries_with_one_number_the_first_is_kept(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    tell(ledger)
    expand_all(ledger)
    (delivery,) = take(ledger)
    retry = tried(delivery, STATE.QUEUED, next_us=5)
    ledger.finish([retry])
    ledger.finish([retry])
    ledger.finish([tried(delivery, STATE.FAILED)])
    assert states(ledger)[delivery.key] is STATE.QUEUED
    ledger.finish([tried(delivery, STATE.ACCEPTED)])
    assert states(ledger)[delivery.key] is STATE.ACCEPTED, "an acceptance always counts: no further copy"
    assert ledger.attempts(delivery.id) == [retry]


def test_a_retry_of_a_superseded_version_ends(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    story = tell(ledger)
    expand_all(ledger)
    (delivery,) = take(ledger)
    tell(ledger, story)
    expand_all(ledger)
    ledger.finish([tried(delivery, STATE.QUEUED, next_us=1)])
    assert states(ledger)[delivery.key] is STATE.EXPIRED
    assert [attempt.state for attempt in ledger.attempts(delivery.id)] == [STATE.EXPIRED]


def test_tries_are_written_all_or_none(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(1))
    tell(ledger)
    expand_all(ledger)
    (delivery,) = take(ledger)
    with pytest.raises(ValueError, match="999"):
        ledger.finish([tried(delivery), tried(replace(delivery, id=999))])
    assert states(ledger)[delivery.key] is STATE.SENDING
    assert ledger.attempts(delivery.id) == []


# What screens read


def test_deliveries_come_newest_first_of_one_story_or_of_all(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    ledger.put_addresses(people(1, first=5, area="a2"))
    tell(ledger, id="e1")
    expand_all(ledger)
    tell(ledger, id="e2", area="a2")
    expand_all(ledger)
    assert keys(ledger.deliveries()) == ["e2#1/r0005.preview", "e1#1/r0001.preview", "e1#1/r0000.preview"]
    assert keys(ledger.deliveries("e1", limit=1)) == ["e1#1/r0001.preview"]


def test_counts_are_per_channel_and_state_of_one_kind(ledger: AlertLedger) -> None:
    ledger.put_addresses([*people(3), *people(2, channel="sms"), *people(1, kind=Kind.TEST)])
    tell(ledger, channels=("preview", "sms"))
    tell(ledger, id="t", kind=Kind.TEST)
    assert ledger.delivery_counts(EXERCISE) == {}
    expand_all(ledger)
    ledger.finish([tried(delivery) for delivery in take(ledger, limit=1)])
    assert sum(ledger.delivery_counts(EXERCISE).values()) == 5
    assert ledger.delivery_counts(EXERCISE)["sms", STATE.QUEUED] == 2
    assert ledger.delivery_counts(Kind.TEST, "t") == {("preview", STATE.QUEUED): 1}
    assert ledger.delivery_counts(EXERCISE, "t") == {}


def test_a_preview_message_is_kept_once_per_kind_and_shown_newest_first(ledger: AlertLedger) -> None:
    for key, text, at_us in (("a", "one", 5), ("b", "two", 9), ("a", "again", 99), ("c", "three", 9)):
        ledger.preview_put(key=key, kind=EXERCISE, target="t", text=text, level=2, now_us=at_us)
    ledger.preview_put(key="a", kind=Kind.TEST, target="t", text="other world", level=0, now_us=1)
    assert [message.text for message in ledger.preview_messages(EXERCISE)] == ["three", "two", "one"]
    assert ledger.preview_messages(EXERCISE, limit=1) == [
        PreviewMessage(key="c", target="t", text="three", level=2, at_us=9)
    ]
    assert [message.text for message in ledger.preview_messages(Kind.TEST)] == ["other world"]


@pytest.mark.parametrize("ledger", ["memory", "sql"], indirect=True)  # the number says nothing across restarts
def test_every_kind_of_change_is_counted_and_reading_is_not(ledger: AlertLedger) -> None:
    ledger.put_addresses(people(2))
    count = ledger.change_count()

    def has_changed() -> bool:
        nonlocal count
        before, count = count, ledger.change_count()
        return before != count

    story = tell(ledger)
    assert has_changed()
    ledger.record(Record(kind=EXERCISE, judged_through=1))
    assert has_changed()
    ledger.expand(limit=1)
    assert has_changed()
    (delivery,) = take(ledger)
    assert has_changed()
    ledger.finish([tried(delivery)])
    assert has_changed()
    ledger.expand(limit=1)
    assert has_changed()
    assert ledger.expire(now_us=FOREVER_US, limit=1) == 1
    assert has_changed()
    ledger.preview_put(key="a", kind=EXERCISE, target="t", text="x", level=0, now_us=1)
    assert has_changed()
    ledger.record(Record(kind=EXERCISE, notices=[notice()]))
    assert has_changed()
    ledger.acknowledge_notice(1, actor="duty", now_us=1)
    assert has_changed()

    # One more chunk only finds that the fan-out is whole.
    assert ledger.expand(limit=5) == 0
    has_changed()
    assert ledger.episode(story.id) is not None
    assert len(ledger.deliveries()) == 2
    assert ledger.expand(limit=5) == 0
    assert take(ledger) == []
    assert ledger.expire(now_us=FOREVER_US, limit=5) == 0
    ledger.preview_put(key="a", kind=EXERCISE, target="t", text="x", level=0, now_us=1)
    assert not has_changed()


# The settled track


def final(minute: int = 0, **changes: object) -> Settled:
    values: dict[str, object] = {
        "kind": EXERCISE,
        "rules": "a1",
        "series": "WL-01/stage_m",
        "hazard": "flood",
        "rise": False,
        "time_us": T0_US + minute * 60_000_000,
        "from_level": 0,
        "to_level": 2,
        "value": 3.25,
        "flag": 1,
        "seq": 7,
    }
    return Settled(**{**values, **changes})  # type: ignore[arg-type]


def test_settled_changes_read_back_by_time_and_once(ledger: AlertLedger) -> None:
    rows = [final(2, seq=9), final(0), final(1, rise=True), final(1)]
    ledger.record(Record(kind=EXERCISE, settled=rows))
    ledger.record(Record(kind=EXERCISE, settled=[final(0), final(3)]))
    everything = ledger.settled(EXERCISE, from_us=0, to_us=FOREVER_US)
    assert everything == [final(0), final(1), final(1, rise=True), final(2, seq=9), final(3)]
    assert ledger.settled(EXERCISE, from_us=final(1).time_us, to_us=final(2).time_us) == everything[1:3]


def test_settled_changes_of_other_rules_and_worlds_stand_beside_each_other(ledger: AlertLedger) -> None:
    ledger.record(Record(kind=EXERCISE, settled=[final(), final(rules="b2", to_level=1)]))
    ledger.record(Record(kind=Kind.ACTUAL, settled=[final(kind=Kind.ACTUAL)]))
    assert ledger.settled(EXERCISE, from_us=0, to_us=FOREVER_US) == [final(), final(rules="b2", to_level=1)]
    assert ledger.settled(Kind.ACTUAL, from_us=0, to_us=FOREVER_US) == [final(kind=Kind.ACTUAL)]
    with pytest.raises(ValueError, match="holds a Settled of kind actual"):
        Record(kind=EXERCISE, settled=[final(kind=Kind.ACTUAL)])


def test_a_record_that_conflicts_settles_nothing(ledger: AlertLedger) -> None:
    opening = change()
    ledger.record(Record(kind=EXERCISE, changes=[opening]))
    with pytest.raises(VersionConflict):
        ledger.record(Record(kind=EXERCISE, changes=[opening], settled=[final()]))
    assert ledger.settled(EXERCISE, from_us=0, to_us=FOREVER_US) == []


def test_a_story_of_the_past_stands_beside_the_open_one(ledger: AlertLedger) -> None:
    ledger.record(Record(kind=EXERCISE, changes=[change()]))
    past, over = change(id="flood.33160801.past", type=EventType.RETROSPECTIVE, to=3, used=USED)
    ledger.record(Record(kind=EXERCISE, changes=[(past, over)]))
    assert (over.judged_level, over.peak_level, over.unacknowledged) == (0, 3, False)
    assert ledger.episode(over.id) == over
    assert ledger.events(over.id) == [past]
    assert [e.id for e in ledger.episodes(EXERCISE, open_only=True)] == [change()[1].id]


# What waits for people


def test_a_story_keeps_all_that_its_events_set(ledger: AlertLedger) -> None:
    first, story = change()
    changes = [(first, story)]
    for type in (EventType.SHELVED, EventType.UNSHELVED, EventType.CALLED, EventType.ACKNOWLEDGED, EventType.EXPIRED):
        event, _ = change(changes[-1][1], type=type)
        event = replace(event, until_us=event.event_us + HOUR_US, note="why")
        changes.append((event, apply(changes[-1][1], event)))
    ledger.record(Record(kind=EXERCISE, changes=changes))
    assert ledger.events(story.id) == [event for event, _ in changes]
    assert ledger.episode(story.id) == changes[-1][1]


def test_closed_stories_are_found_by_when_they_closed(ledger: AlertLedger) -> None:
    for n, area in enumerate("abc"):
        first, story = change(id=f"flood.{area}", area=area)
        second, after = change(story, type=EventType.CLOSED, to=0, at_us=T0_US + n)
        ledger.record(Record(kind=EXERCISE, changes=[(first, story), (second, after)]))
    ledger.record(Record(kind=EXERCISE, changes=[change(id="flood.d", area="d")]))
    found = ledger.episodes(EXERCISE, ended_since_us=T0_US + 1)
    assert sorted(story.id for story in found) == ["flood.b", "flood.c"]


def test_events_of_all_stories_are_read_by_when_they_were_recorded(ledger: AlertLedger) -> None:
    told = []
    for n, area in enumerate("cab"):
        event, story = change(id=f"flood.{area}", area=area, at_us=T0_US + n // 2, used=USED)
        ledger.record(Record(kind=EXERCISE, changes=[(event, story)]))
        told.append(replace(event, used=()))
    ordered = [told[1], told[0], told[2]]
    assert ledger.recorded(EXERCISE, from_us=0, to_us=FOREVER_US, limit=9) == ordered
    assert ledger.recorded(EXERCISE, from_us=0, to_us=FOREVER_US, limit=2) == ordered[1:]
    last_us = told[2].recorded_us
    assert ledger.recorded(EXERCISE, from_us=last_us, to_us=last_us + 1, limit=9) == ordered[2:]
    assert ledger.recorded(EXERCISE, from_us=0, to_us=last_us, limit=9) == ordered[:2]
    assert ledger.recorded(Kind.TEST, from_us=0, to_us=FOREVER_US, limit=9) == []


def silence(**changes: object) -> Silencing:
    one = Silencing(
        kind=EXERCISE,
        scope=Scope(area="33160801", hazard="flood", station="A"),
        level=3,
        reason="ซ่อมประตูน้ำ",
        from_us=T0_US,
        until_us=T0_US + HOUR_US,
        by="first",
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_silences_read_back_until_they_end(ledger: AlertLedger) -> None:
    one = silence(id=ledger.put_silence(silence()))
    assert ledger.silences(EXERCISE, after_us=T0_US) == [one]
    assert ledger.silences(EXERCISE, after_us=one.until_us) == []
    assert ledger.silences(Kind.TEST, after_us=T0_US) == []
    ended = replace(one, ended_by="second", ended_us=T0_US + 5)
    assert ledger.change_silence(one, ended)
    assert ledger.silences(EXERCISE, after_us=T0_US + 4) == [ended]
    assert ledger.silences(EXERCISE, after_us=T0_US + 5) == []


def test_of_two_who_change_a_silence_the_second_looks_again(ledger: AlertLedger) -> None:
    one = silence(id=ledger.put_silence(silence()))
    agreed = replace(one, agreed_by="second", agreed_us=T0_US + 1)
    assert ledger.change_silence(one, agreed)
    assert not ledger.change_silence(one, replace(one, ended_by="third", ended_us=T0_US + 2))
    assert not ledger.change_silence(silence(id=99), agreed)
    assert ledger.silences(EXERCISE, after_us=T0_US) == [agreed]


def test_a_call_supersedes_nothing_and_no_warning_supersedes_it(ledger: AlertLedger) -> None:
    ledger.put_addresses([*people(1), *people(1, area="person:a", first=1)])
    story = tell(ledger)
    story = tell(ledger, story, purpose=Purpose.CALL, areas=("person:a",))
    tell(ledger, story, level=3)
    expand_all(ledger)
    found = sorted((d.address, d.level, str(d.state)) for d in ledger.deliveries())
    assert found == [("r0000.preview", 3, "queued"), ("r0001.preview", 2, "queued")]
    assert dict(ledger.delivery_counts(EXERCISE)) == {("preview", STATE.QUEUED): 1}


def test_a_call_to_nobody_is_noticed_in_words_of_its_own(ledger: AlertLedger) -> None:
    tell(ledger, purpose=Purpose.CALL, areas=("person:a",))
    expand_all(ledger)
    assert [n.code for n in ledger.notices(EXERCISE)] == [NOBODY_CALLED]
