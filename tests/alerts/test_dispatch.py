"""The dispatcher: every delivery ends, nothing outlives its alert, nothing is said twice in the logs."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.channels import Channel, Outcome, Outgoing, Sent
from alerts.channels.preview import PreviewChannel
from alerts.dispatch import SECOND_US, Policy, backoff_us, run, send_due
from alerts.episode import Kind
from alerts.ledger import AlertLedger, Delivery, DeliveryState
from alerts.ledger.memory import MemoryLedger
from tests.alerts.ledger.builders import FOREVER_US, HOUR_US, LEASE_US, T0_US, new_ledger, people, states, take, tell

STATE = DeliveryState
POLICY = Policy()


@dataclass
class Script:
    """A channel that answers as it is told, and remembers what it was given."""

    answer: Callable[[Outgoing], Sent]
    name: str = "preview"
    given: list[Outgoing] = field(default_factory=list)

    def send(self, message: Outgoing) -> Sent:
        self.given.append(message)
        return self.answer(message)


def accepting() -> Script:
    return Script(lambda _: Sent(outcome=Outcome.ACCEPTED))


def retrying() -> Script:
    return Script(lambda _: Sent(outcome=Outcome.RETRY, reason="busy"))


@dataclass
class Clocks:
    """Both clocks, moved by hand."""

    now_us: int = T0_US
    real_us: int = 0


def send(
    ledger: AlertLedger,
    channel: Channel | None,
    clocks: Clocks | None = None,
    *,
    policy: Policy = POLICY,
    rng: Random | None = None,
) -> int:
    at = clocks or Clocks()
    channels: Mapping[str, Channel] = {} if channel is None else {"preview": channel}
    return send_due(
        ledger,
        channels,
        owner="test",
        now_us=lambda: at.now_us,
        real_us=lambda: at.real_us,
        rng=rng or Random(1),
        policy=policy,
    )


def told(count: int, *, level: int = 2, expires_us: int = FOREVER_US) -> MemoryLedger:
    """A ledger with an alert to so many people."""
    ledger = MemoryLedger()
    ledger.put_addresses(people(count))
    tell(ledger, level=level, expires_us=expires_us)
    return ledger


def only(ledger: AlertLedger) -> Delivery:
    (delivery,) = ledger.deliveries()
    return delivery


def test_the_channel_gets_all_it_needs_and_its_answer_is_recorded() -> None:
    ledger, channel = told(1, level=3), accepting()
    assert send(ledger, channel) == 1
    assert channel.given == [
        Outgoing(
            key="flood.33160801.1#1/r0000.preview",
            kind=Kind.EXERCISE,
            target="exercise-0800000000",
            text="น้ำท่วม 3 v1",
            level=3,
        )
    ]
    assert only(ledger).state is STATE.ACCEPTED
    assert send(ledger, channel) == 0


def test_a_refusal_ends_the_delivery_with_its_reason() -> None:
    ledger = told(1)
    send(ledger, Script(lambda _: Sent(outcome=Outcome.REFUSED, reason="blocked")))
    assert (only(ledger).state, only(ledger).reason) == (STATE.FAILED, "blocked")


def test_an_unknown_channel_ends_the_delivery() -> None:
    ledger = told(1)
    send(ledger, None)
    assert (only(ledger).state, only(ledger).reason) == (STATE.FAILED, "unknown_channel")


def test_a_raising_channel_is_tried_again_and_only_the_class_of_its_error_is_kept() -> None:
    def fail(message: Outgoing) -> Sent:
        raise ConnectionError(f"cannot reach {message.target}")

    ledger = told(1)
    send(ledger, Script(fail))
    assert (only(ledger).state, only(ledger).reason) == (STATE.QUEUED, "ConnectionError")


def test_an_overlong_reason_is_cut() -> None:
    ledger = told(1)
    send(ledger, Script(lambda _: Sent(outcome=Outcome.REFUSED, reason="x" * 10_000)))
    assert only(ledger).reason == "x" * 120


def test_a_retry_waits_and_gives_up_after_the_last_try() -> None:
    ledger, channel, clocks = told(1), retrying(), Clocks()
    policy = replace(POLICY, attempts_max=3)
    rng = Random(5)
    while not only_state(ledger).terminal:
        assert send(ledger, channel, clocks, policy=policy, rng=rng) == 1
        waiting = only(ledger)
        if waiting.state is STATE.QUEUED:
            clocks.real_us = waiting.next_us - 1
            assert send(ledger, channel, clocks, policy=policy, rng=rng) == 0
            clocks.real_us = waiting.next_us
    assert (only(ledger).state, only(ledger).reason, only(ledger).attempts) == (STATE.FAILED, "busy", 3)
    assert [attempt.number for attempt in ledger.attempts(only(ledger).id)] == [1, 2, 3]
    assert len(channel.given) == 3
    assert {message.key for message in channel.given} == {only(ledger).key}


def only_state(ledger: AlertLedger) -> DeliveryState:
    deliveries = ledger.deliveries()
    return deliveries[0].state if deliveries else STATE.QUEUED


@pytest.mark.parametrize(("age_us", "state", "sent"), [(-1, STATE.ACCEPTED, 1), (0, STATE.EXPIRED, 0)])
def test_nothing_is_sent_at_or_after_its_expiry(age_us: int, state: DeliveryState, sent: int) -> None:
    ledger, channel = told(1, expires_us=T0_US), accepting()
    assert send(ledger, channel, Clocks(now_us=T0_US + age_us)) == 1
    assert (only(ledger).state, len(channel.given)) == (state, sent)


def test_a_retry_does_not_outlive_its_alert() -> None:
    ledger, channel, clocks = told(1, expires_us=T0_US + 10), retrying(), Clocks()
    send(ledger, channel, clocks)
    clocks.now_us, clocks.real_us = T0_US + 10, only(ledger).next_us
    send(ledger, channel, clocks)
    assert (only(ledger).state, only(ledger).reason) == (STATE.EXPIRED, "expired")
    assert len(channel.given) == 1


def test_one_call_tries_no_more_than_a_batch() -> None:
    ledger, channel = told(10), accepting()
    policy = replace(POLICY, batch=4)
    assert [send(ledger, channel, policy=policy) for _ in range(4)] == [4, 4, 2, 0]


def test_what_a_slow_channel_leaves_when_its_lease_is_used_up_is_not_sent_by_it() -> None:
    clocks = Clocks()

    def slow(_: Outgoing) -> Sent:
        clocks.real_us += POLICY.lease_us // 2
        return Sent(outcome=Outcome.ACCEPTED)

    ledger, channel = told(5), Script(slow)
    assert send(ledger, channel, clocks) == 2
    assert Counter(states(ledger).values()) == {STATE.ACCEPTED: 2, STATE.SENDING: 3}
    assert send(ledger, channel, clocks) == 2
    assert len({message.key for message in channel.given}) == 4


def test_an_attempt_is_written_before_the_next_message_goes_out() -> None:
    ledger = told(3)
    seen: list[int] = []

    def look(_: Outgoing) -> Sent:
        seen.append(ledger.delivery_counts(Kind.EXERCISE).get(("preview", STATE.ACCEPTED), 0))
        return Sent(outcome=Outcome.ACCEPTED)

    send(ledger, Script(look))
    assert seen == [0, 1, 2]


def test_a_higher_level_goes_first() -> None:
    ledger, channel = told(2, level=1), accepting()
    ledger.put_addresses(people(2, area="33160802", first=5))
    tell(ledger, id="e2", area="33160802", level=3)
    for _ in range(5):
        send(ledger, channel, policy=replace(POLICY, chunk=1, batch=1))
    assert [message.level for message in channel.given] == [3, 3, 1, 1]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), people_count=st.integers(1, 8), life_us=st.integers(1, 400_000_000))
def test_every_delivery_ends_whatever_the_channel_does(seed: int, people_count: int, life_us: int) -> None:
    rng = Random(seed)
    moods = [*Outcome, None]

    def moody(_: Outgoing) -> Sent:
        mood = rng.choice(moods)
        if mood is None:
            raise OSError
        return Sent(outcome=mood)

    ledger, channel, clocks = told(people_count, expires_us=T0_US + life_us), Script(moody), Clocks()
    for _ in range(1000):
        send(ledger, channel, clocks, rng=rng)
        if all(state.terminal for state in states(ledger).values()):
            break
        clocks.now_us += 1_000_000
        clocks.real_us += 1_000_000
    ends = [delivery for delivery in ledger.deliveries() if delivery.state.terminal]
    assert len(ends) == people_count
    assert all(delivery.attempts <= POLICY.attempts_max for delivery in ends)
    assert all(delivery.attempts or delivery.state is STATE.EXPIRED for delivery in ends)
    assert len(channel.given) <= people_count * POLICY.attempts_max


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    steps_h=st.lists(st.integers(-24 * 365, 24), min_size=1, max_size=4),
    recovers=st.booleans(),
)
def test_every_delivery_ends_although_the_real_clock_is_put(seed: int, steps_h: list[int], recovers: bool) -> None:
    """Back or forward, by hours or years, while messages wait, and while one is in hand."""
    rng, life_us = Random(seed), 1200 * SECOND_US
    clocks, jumps_h = Clocks(), list(steps_h)

    def answer(_: Outgoing) -> Sent:
        if jumps_h and rng.random() < 0.3:
            clocks.real_us += jumps_h.pop() * HOUR_US
        return Sent(outcome=Outcome.ACCEPTED if recovers and not jumps_h else Outcome.RETRY)

    ledger, channel = told(6, expires_us=T0_US + life_us), Script(answer)
    for _ in range(life_us // (10 * SECOND_US) + 1):
        send(ledger, channel, clocks, rng=rng)
        clocks.now_us += 10 * SECOND_US
        clocks.real_us += 10 * SECOND_US
    lapse_us = 2 * POLICY.lease_us
    clocks.real_us += lapse_us
    send(ledger, channel, clocks, rng=rng)
    assert {state.terminal for state in states(ledger).values()} == {True}, states(ledger)


def test_what_waits_is_tried_at_once_when_the_real_clock_is_put_right() -> None:
    ledger, channel, clocks = told(3), retrying(), Clocks(real_us=20_000 * HOUR_US)
    send(ledger, channel, clocks)
    channel.answer = lambda _: Sent(outcome=Outcome.ACCEPTED)
    clocks.real_us -= 10_000 * HOUR_US
    assert send(ledger, channel, clocks) == 3
    assert set(states(ledger).values()) == {STATE.ACCEPTED}


def test_a_batch_is_let_go_when_the_real_clock_is_put_while_it_is_in_hand() -> None:
    clocks = Clocks(real_us=20 * HOUR_US)

    def put_back(_: Outgoing) -> Sent:
        clocks.real_us -= 10 * HOUR_US
        return Sent(outcome=Outcome.ACCEPTED)

    ledger, channel = told(2), Script(put_back)
    assert send(ledger, channel, clocks) == 1
    assert send(ledger, channel, clocks) == 1
    assert len({message.key for message in channel.given}) == 2


def test_what_expired_ends_in_chunks_without_a_try() -> None:
    ledger, channel, clocks = told(5, expires_us=T0_US + 10), retrying(), Clocks()
    policy = replace(POLICY, chunk=2)
    while len(ledger.deliveries()) < 5:
        ledger.expand(limit=2)
    send(ledger, channel, clocks)
    clocks.now_us = T0_US + 10
    assert [send(ledger, channel, clocks, policy=policy) for _ in range(4)] == [2, 2, 1, 0]
    assert {(d.state, d.reason, d.attempts) for d in ledger.deliveries()} == {(STATE.EXPIRED, "expired", 1)}
    assert len(channel.given) == 5


@settings(max_examples=200, deadline=None, derandomize=True)
@given(attempt=st.integers(1, 5000), seed=st.integers(0, 2**32))
def test_a_wait_lies_between_nothing_and_its_doubling_bounded_span(attempt: int, seed: int) -> None:
    wait_us = backoff_us(attempt, Random(seed), POLICY)
    assert 0 <= wait_us <= min(POLICY.backoff_max_us, POLICY.backoff_first_us * 2 ** (attempt - 1))


def test_waits_fill_their_span_and_spans_grow() -> None:
    for attempt, span_us in ((1, 2_000_000), (2, 4_000_000), (9, 300_000_000)):
        waits = [backoff_us(attempt, Random(seed), POLICY) for seed in range(400)]
        assert min(waits) < 0.05 * span_us
        assert max(waits) > 0.95 * span_us


@pytest.mark.parametrize(
    "wrong",
    [{"attempts_max": 0}, {"batch": 0}, {"lease_us": 0}, {"backoff_first_us": -1}, {"backoff_max_us": 1}],
)
def test_a_policy_that_cannot_work_is_refused(wrong: Mapping[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)


class Breaking(MemoryLedger):
    """A ledger that fails a few times with an error that quotes a phone number."""

    failures = 2

    def expand(self, *, limit: int) -> int:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("cannot write exercise-0800000000 น้ำท่วม")
        return super().expand(limit=limit)


def _run_until(
    ledger: AlertLedger, channel: Channel, is_done: Callable[[], bool], beat: Callable[[], None] = lambda: None
) -> None:
    """The loop in its thread, until something is so."""
    stop = threading.Event()
    thread = threading.Thread(
        target=run,
        args=(stop, ledger, {"preview": channel}),
        kwargs={
            "owner": "test",
            "now_us": lambda: T0_US,
            "real_us": lambda: 0,
            "rng": Random(1),
            "policy": POLICY,
            "poll_s": 0.01,
            "beat": beat,
        },
    )
    thread.start()
    try:
        for _ in range(1000):
            if is_done():
                break
            stop.wait(0.01)
        assert is_done()
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_the_loop_outlives_a_failing_ledger_and_logs_neither_addresses_nor_texts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ledger = Breaking()
    ledger.put_addresses(people(3))
    tell(ledger)
    _run_until(ledger, accepting(), lambda: list(states(ledger).values()) == [STATE.ACCEPTED] * 3)
    assert "RuntimeError in expand" in caplog.text
    assert "2 times in a row" in caplog.text
    assert "tried or ended 3 deliveries" in caplog.text
    assert "0800000000" not in caplog.text
    assert "น้ำท่วม" not in caplog.text


def test_the_loop_beats_with_each_turn_and_not_while_it_fails() -> None:
    ledger = Breaking()
    failures_left: list[int] = []
    _run_until(ledger, accepting(), lambda: len(failures_left) >= 3, lambda: failures_left.append(ledger.failures))
    assert set(failures_left) == {0}


def test_the_loop_sends_what_comes_later_and_stops_when_told(tmp_path: Path) -> None:
    with closing(new_ledger(tmp_path / "ledger.db")) as ledger:
        ledger.put_addresses(people(30))
        channel = PreviewChannel(ledger, now_us=lambda: T0_US + 7)
        later = threading.Timer(0.05, lambda: tell(ledger))
        later.start()
        _run_until(
            ledger,
            channel,
            lambda: ledger.delivery_counts(Kind.EXERCISE) == {("preview", STATE.ACCEPTED): 30},
        )
        later.join()
        assert len(ledger.preview_messages(Kind.EXERCISE)) == 30
        assert {message.at_us for message in ledger.preview_messages(Kind.EXERCISE)} == {T0_US + 7}


@pytest.mark.parametrize("kind", [Kind.EXERCISE, Kind.TEST])
def test_the_preview_phone_shows_exercises_and_tests_once(kind: Kind) -> None:
    ledger = MemoryLedger()
    channel = PreviewChannel(ledger, now_us=lambda: T0_US)
    message = Outgoing(key="k", kind=kind, target="t", text="x", level=2)
    assert channel.send(message).outcome is Outcome.ACCEPTED
    assert channel.send(message).outcome is Outcome.ACCEPTED
    assert [(shown.key, shown.text, shown.level) for shown in ledger.preview_messages(kind)] == [("k", "x", 2)]


def test_the_preview_phone_refuses_an_actual_warning() -> None:
    ledger = MemoryLedger()
    channel = PreviewChannel(ledger, now_us=lambda: T0_US)
    sent = channel.send(Outgoing(key="k", kind=Kind.ACTUAL, target="t", text="x", level=2))
    assert sent == Sent(outcome=Outcome.REFUSED, reason="preview_is_for_exercises")
    assert ledger.preview_messages(Kind.ACTUAL) == []


def test_a_lease_of_another_sender_is_left_alone() -> None:
    ledger, channel = told(2), accepting()
    ledger.expand(limit=10)
    (theirs,) = take(ledger, limit=1, owner="other")
    assert send(ledger, channel) == 1
    assert states(ledger)[theirs.key] is STATE.SENDING
    assert send(ledger, channel, Clocks(real_us=LEASE_US)) == 1
