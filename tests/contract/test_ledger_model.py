"""Whatever is done to a ledger, memory and SQL show the same, and whoever was warned hears that it is over."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.episode import Episode, EventType, Kind, Purpose
from alerts.ledger import AlertLedger, Delivery, DeliveryState, Record, VersionConflict
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from tests.alerts.ledger.builders import (
    LEASE_US,
    T0_US,
    WAIT_MAX_US,
    change,
    expand_all,
    fanout,
    new_ledger,
    notice,
    people,
    status,
    take,
    tell,
    tried,
)

AREAS = ("a0", "a1")
KINDS = (Kind.ACTUAL, Kind.EXERCISE)
ENDS = [state for state in DeliveryState if state is not DeliveryState.SENDING]


class BothLedgers(RuleBasedStateMachine):
    """The same calls on both; after each, all that can be read is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.memory = MemoryLedger()
        self.sql = new_ledger(self.path)
        self.real_us = 0
        self.opened = 0
        self.stories: dict[tuple[Kind, str], Episode] = {}
        self.held: list[Delivery] = []
        for ledger in self.both:
            for number, area in enumerate(AREAS):
                for kind in KINDS:
                    ledger.put_addresses(people(2, kind=kind, area=area, first=10 * number))
                    ledger.put_addresses(people(1, kind=kind, area=area, first=10 * number, channel="sms"))

    @property
    def both(self) -> tuple[AlertLedger, AlertLedger]:
        return self.memory, self.sql

    def teardown(self) -> None:
        self.sql.close()
        self.folder.cleanup()

    @rule(
        kind=st.sampled_from(KINDS),
        area=st.sampled_from(AREAS),
        level=st.integers(1, 3),
        purpose=st.sampled_from(Purpose),
        told=st.sampled_from([("preview",), ("preview", "sms"), ()]),
        closes=st.booleans(),
        life_us=st.integers(0, 3),
    )
    def next_version(
        self,
        kind: Kind,
        area: str,
        level: int,
        purpose: Purpose,
        told: tuple[str, ...],
        closes: bool,
        life_us: int,
    ) -> None:
        before = self.stories.get((kind, area))
        if before is None or before.closed_us is not None:
            before, self.opened = None, self.opened + 1
        ends = closes and before is not None
        type = EventType.CLOSED if ends else EventType.JUDGED
        step = change(before, type=type, to=level, id=f"e{self.opened}", kind=kind, area=area)
        out = fanout(step[1], level=level, purpose=purpose, areas=(area,), channels=told, expires_us=T0_US + life_us)
        self.stories[kind, area] = step[1]
        for ledger in self.both:
            ledger.record(Record(kind=kind, changes=[step], fanouts=[out], statuses=[status(kind=kind, area=area)]))

    @precondition(lambda self: self.stories)
    @rule(data=st.data())
    def a_stale_version_conflicts_in_both(self, data: st.DataObject) -> None:
        story = self.stories[data.draw(st.sampled_from(sorted(self.stories)))]
        stale = change(id=story.id, kind=story.kind, area=story.area)
        for ledger in self.both:
            try:
                ledger.record(Record(kind=story.kind, changes=[stale], judged_through=10**9))
            except VersionConflict:
                continue
            raise AssertionError("a version was written twice")

    @rule(kind=st.sampled_from(KINDS), text=st.sampled_from(["x", "y"]), at_us=st.integers(0, 2))
    def something_to_look_at(self, kind: Kind, text: str, at_us: int) -> None:
        for ledger in self.both:
            ledger.record(Record(kind=kind, notices=[notice(kind=kind, text=text, at_us=at_us)], judged_through=at_us))

    @rule(id=st.integers(0, 4))
    def look(self, id: int) -> None:
        seen = [ledger.acknowledge_notice(id, actor="duty", now_us=7) for ledger in self.both]
        assert seen[0] == seen[1]

    @rule(limit=st.integers(1, 4))
    def expand(self, limit: int) -> None:
        made = [ledger.expand(limit=limit) for ledger in self.both]
        assert made[0] == made[1]

    @rule(limit=st.integers(1, 4), age_us=st.integers(0, 3))
    def expire(self, limit: int, age_us: int) -> None:
        ended = [ledger.expire(now_us=T0_US + age_us, limit=limit) for ledger in self.both]
        assert ended[0] == ended[1]

    @rule(limit=st.integers(1, 4), wait_us=st.sampled_from([0, 1, LEASE_US, -LEASE_US, -WAIT_MAX_US]))
    def lease(self, limit: int, wait_us: int) -> None:
        self.real_us += wait_us
        taken = [take(ledger, real_us=self.real_us, limit=limit) for ledger in self.both]
        assert taken[0] == taken[1]
        self.held += taken[0]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), state=st.sampled_from(ENDS), again=st.booleans(), wait_us=st.sampled_from([1, WAIT_MAX_US]))
    def finish(self, data: st.DataObject, state: DeliveryState, again: bool, wait_us: int) -> None:
        place = data.draw(st.integers(0, len(self.held) - 1))
        delivery = self.held[place] if again else self.held.pop(place)
        for ledger in self.both:
            ledger.finish([tried(delivery, state, next_us=self.real_us + wait_us, reason=str(place))])

    @rule()
    def restart(self) -> None:
        self.sql.close()
        self.sql = open_ledger(self.path)

    @invariant()
    def both_show_the_same(self) -> None:
        shown = [_all(ledger) for ledger in self.both]
        assert shown[0] == shown[1]


def _all(ledger: AlertLedger) -> list[object]:
    deliveries = ledger.deliveries()
    keys = [delivery.key for delivery in deliveries]
    assert len(keys) == len(set(keys))
    return [
        deliveries,
        [ledger.attempts(delivery.id) for delivery in deliveries if delivery.attempts],
        *(
            (
                ledger.episodes(kind),
                [ledger.events(story.id) for story in ledger.episodes(kind, open_only=True)],
                ledger.statuses(kind),
                ledger.notices(kind, open_only=False),
                ledger.delivery_counts(kind),
                ledger.judged_through(kind),
            )
            for kind in KINDS
        ),
    ]


BothLedgers.TestCase.settings = settings(max_examples=10, stateful_step_count=20, deadline=None, derandomize=True)
TestBothLedgers = BothLedgers.TestCase


ENDINGS = {
    "accept": DeliveryState.ACCEPTED,
    "retry": DeliveryState.QUEUED,
    "refuse": DeliveryState.FAILED,
    "die": DeliveryState.SENDING,
}
"""What may become of the next message: its sender may die with it in hand."""


@settings(max_examples=20, deadline=None, derandomize=True)
@given(steps=st.lists(st.sampled_from([*Purpose, *ENDINGS]), min_size=5, max_size=12))
@example(steps=[Purpose.ALERT, "accept", "accept", Purpose.ALL_CLEAR, Purpose.ALERT])
@example(steps=[Purpose.ALERT, "accept", "accept", Purpose.ALL_CLEAR, "accept", Purpose.ALERT])
def test_whoever_an_alert_reached_has_an_all_clear_that_came_or_is_under_way(steps: Sequence[str]) -> None:
    """However alerts and all-clears overtake each other, once the last word is an all-clear."""
    with TemporaryDirectory() as folder:
        both: tuple[AlertLedger, ...] = (MemoryLedger(), new_ledger(Path(folder) / "ledger.db"))
        purposes, _ = [_play(ledger, steps) for ledger in both]
        shown = [ledger.deliveries() for ledger in both]
        assert shown[0] == shown[1]
        both[1].close()
    waits: set[str] = set()
    for delivery in reversed(shown[0]):
        if purposes[delivery.fanout] is Purpose.ALERT:
            refused = delivery.state is DeliveryState.FAILED
            if delivery.state is DeliveryState.SENDING or delivery.attempts > refused:
                waits.add(delivery.address)
        elif delivery.state in (DeliveryState.QUEUED, DeliveryState.ACCEPTED):
            waits.discard(delivery.address)
    assert not waits


def _play(ledger: AlertLedger, steps: Sequence[str]) -> dict[str, Purpose]:
    """One story told to two people, with an all-clear at its end; the purpose of each fan-out."""
    ledger.put_addresses(people(2))
    purposes: dict[str, Purpose] = {}
    story = None
    for step in [*steps, Purpose.ALL_CLEAR]:
        if isinstance(step, Purpose):
            story = tell(ledger, story, purpose=step)
            purposes[f"{story.id}#{story.version}"] = step
            continue
        ledger.expand(limit=1)
        for delivery in take(ledger, limit=1):
            if ENDINGS[step] is not DeliveryState.SENDING:
                ledger.finish([tried(delivery, ENDINGS[step])])
    expand_all(ledger)
    return purposes
