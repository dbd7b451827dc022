"""Take due deliveries, send them, write the attempt, decide the next try."""

import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from alerts.channels import Channel, Outcome, Outgoing, Sent
from alerts.ledger import CHUNK_MAX, OUTLIVED, AlertLedger, Attempt, Delivery, DeliveryState

log = logging.getLogger(__name__)

SECOND_US = 1_000_000
REASON_CHARS = 120
"""More of a channel's reason is not kept: it is a word for the record, not a message."""

FAILURE_WAIT_S_MAX = 5.0
"""Longest wait for a ledger that fails: people wait with us."""

UNKNOWN_CHANNEL = "unknown_channel"

_STATES: Mapping[Outcome, DeliveryState] = {
    Outcome.ACCEPTED: DeliveryState.ACCEPTED,
    Outcome.RETRY: DeliveryState.QUEUED,
    Outcome.REFUSED: DeliveryState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How hard to try. Eight tries from 2 s, doubling up to 5 min, span about 10 min of a channel being down."""

    attempts_max: int = 8
    backoff_first_us: int = 2 * SECOND_US
    """Longest wait after the first try; doubles with each further one."""
    backoff_max_us: int = 300 * SECOND_US
    lease_us: int = 60 * SECOND_US
    """Longer than the time-out of any channel; after a kill, what was in hand is tried again when it lapses."""
    batch: int = 20
    """Deliveries of one call of `send_due`: a stop waits for them, a higher level that comes meanwhile too."""
    chunk: int = CHUNK_MAX
    """Deliveries made of a fan-out, or ended because they expired, by one call."""

    def __post_init__(self) -> None:
        """Refuse what would never send or never end."""
        if self.attempts_max < 1 or self.batch < 1 or self.lease_us <= 0:
            raise ValueError(f"attempts_max, batch and lease_us must be positive: {self}")
        if not 0 <= self.backoff_first_us <= self.backoff_max_us:
            raise ValueError(f"backoff_first_us must lie between 0 and backoff_max_us: {self}")

    @property
    def wait_max_us(self) -> int:
        """Furthest ahead that a next try can lie for a sender whose look at the clock is up to a lease old."""
        return self.backoff_max_us + self.lease_us


def backoff_us(attempt: int, rng: Random, policy: Policy) -> int:
    """Wait after try number `attempt` (from 1): uniform between 0 and a doubling, bounded span.

    Full jitter, so that what failed together does not come back together.
    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    doublings = min(attempt - 1, 62)  # beyond it the bound has long been reached
    span_us = min(policy.backoff_max_us, policy.backoff_first_us << doublings)
    return int(rng.random() * (span_us + 1))


def send_due(
    ledger: AlertLedger,
    channels: Mapping[str, Channel],
    *,
    owner: str,
    now_us: Callable[[], int],
    real_us: Callable[[], int],
    rng: Random,
    policy: Policy,
) -> int:
    """Expand one chunk, end what has expired, take at most `policy.batch` deliveries and try each once.

    Every delivery ends, whatever the real clock does: it expires by the judgement clock though no try is due, and a
    wait or lease further ahead than any can be is over (see `AlertLedger.lease`).

    Each attempt is written before the next one begins, so that a kill leaves one message at most of which nobody
    knows whether it went out.

    Parameters
    ----------
    channels : by the name that deliveries carry
    owner : name of this sender, for leases
    now_us : the judgement clock, by which messages expire
    real_us : the real clock, for leases and waits; both microseconds UTC

    Returns
    -------
    How many deliveries were tried or ended; 0 when there was none.
    """
    ledger.expand(limit=policy.chunk)
    done = ledger.expire(now_us=now_us(), limit=policy.chunk)
    leased_us = real_us()
    taken = ledger.lease(
        owner=owner,
        real_us=leased_us,
        lease_us=policy.lease_us,
        wait_max_us=policy.wait_max_us,
        limit=policy.batch,
    )
    for delivery in taken:
        if abs(real_us() - leased_us) >= policy.lease_us:
            break  # slow channels used the lease up, or the clock was put: the rest may be another sender's by now
        ledger.finish([_try(delivery, channels, now_us=now_us, real_us=real_us, rng=rng, policy=policy)])
        done += 1
    return done


def _try(
    delivery: Delivery,
    channels: Mapping[str, Channel],
    *,
    now_us: Callable[[], int],
    real_us: Callable[[], int],
    rng: Random,
    policy: Policy,
) -> Attempt:
    """One attempt, unless the message has outlived itself."""
    number = delivery.attempts + 1
    started_us = real_us()
    if now_us() >= delivery.expires_us:
        state, reason = DeliveryState.EXPIRED, OUTLIVED
    else:
        sent = _send(delivery, channels.get(delivery.channel))
        state, reason = _STATES[sent.outcome], sent.reason[:REASON_CHARS]
        if state is DeliveryState.QUEUED and number >= policy.attempts_max:
            state = DeliveryState.FAILED
    ended_us = real_us()
    waits = backoff_us(number, rng, policy) if state is DeliveryState.QUEUED else 0
    return Attempt(
        delivery=delivery.id,
        number=number,
        started_us=started_us,
        ended_us=ended_us,
        state=state,
        next_us=ended_us + waits,
        reason=reason,
    )


def _send(delivery: Delivery, channel: Channel | None) -> Sent:
    """The channel's answer. Of an exception only the class is kept: its text may hold the address."""
    if channel is None:
        return Sent(outcome=Outcome.REFUSED, reason=UNKNOWN_CHANNEL)
    message = Outgoing(
        key=delivery.key,
        kind=delivery.kind,
        target=delivery.target,
        text=delivery.text,
        level=delivery.level,
    )
    try:
        return channel.send(message)
    except Exception as error:
        return Sent(outcome=Outcome.RETRY, reason=type(error).__name__)


def run(
    stop: threading.Event,
    ledger: AlertLedger,
    channels: Mapping[str, Channel],
    *,
    owner: str,
    now_us: Callable[[], int],
    real_us: Callable[[], int],
    rng: Random,
    policy: Policy,
    poll_s: float = 0.2,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Send what is due until `stop` is set; see `send_due`.

    `beat` is called at the end of each turn that did not fail: at least every `poll_s` while nothing is due, and
    while channels are slow after `policy.lease_us` and the time-out of one message at the latest.

    A failing ledger stops nothing: it is tried again after a growing wait. What is logged names where it failed,
    never with what: errors may quote addresses and texts.
    """
    failures = 0
    while not stop.is_set():
        try:
            done = send_due(ledger, channels, owner=owner, now_us=now_us, real_us=real_us, rng=rng, policy=policy)
            beat()
        except Exception as error:
            failures += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            wait_s = min(FAILURE_WAIT_S_MAX, poll_s * 2 ** min(failures, 10))
            log.error(
                "dispatch failed %d times in a row (%s in %s); next try in %.1f s",
                failures,
                type(error).__name__,
                place.name,
                wait_s,
            )
            stop.wait(wait_s)
            continue
        failures = 0
        if done:
            log.info("tried or ended %d deliveries", done)
        else:
            stop.wait(poll_s)
