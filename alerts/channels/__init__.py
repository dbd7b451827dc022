"""Ways to reach people; one folder each. A channel sends one message and says what became of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from alerts.episode import Kind

NAMES = ("preview",)
"""The channels that are built: what `routes.toml` may name."""


class Outcome(StrEnum):
    """What an attempt ended in."""

    ACCEPTED = "accepted"
    """The channel took responsibility; not yet proof that a person saw it."""
    RETRY = "retry"
    """May work later."""
    REFUSED = "refused"
    """Will never work for this message and address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to one address."""

    key: str
    """Idempotency key, the same on every retry."""
    kind: Kind
    target: str
    text: str
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A channel's answer; `reason` is short, for the record, and never holds an address."""

    outcome: Outcome
    reason: str = ""


class Channel(Protocol):
    """A way to reach people. May block; must return within its own time-out; raising counts as RETRY."""

    name: str

    def send(self, message: Outgoing) -> Sent:
        """Try once."""
