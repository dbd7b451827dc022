"""The record that stands in front of a council: stories, deliveries, decisions. One contract, several implementations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from alerts.episode import AreaStatus, Episode, Event, FanOut, Kind, Notice
from alerts.people import Address


class VersionConflict(Exception):
    """Somebody else wrote the next version of this episode first: reload and decide again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that one decision changes, written in one short transaction or not at all."""

    kind: Kind
    changes: Sequence[tuple[Event, Episode]] = ()
    """Each event with the story after it, in order; several events of one episode may follow each other."""
    fanouts: Sequence[FanOut] = ()
    statuses: Sequence[AreaStatus] = ()
    notices: Sequence[Notice] = ()
    judged_through: int | None = None
    """Arrival number up to which everything is judged; never moves back. None leaves it."""


class DeliveryState(StrEnum):
    """All deliveries end in accepted, delivered, failed or expired."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One alert version to one recipient by one channel."""

    id: int
    key: str
    """`{fanout}/{address}`: unique."""
    fanout: str
    episode: str
    kind: Kind
    level: int
    address: str
    channel: str
    target: str
    text: str
    state: DeliveryState
    attempts: int
    expires_us: int
    """By the judgement clock."""
    next_us: int
    """Real time before which no attempt is due."""
    reason: str = ""
    """Of the newest attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: its result decides the delivery's next state."""

    delivery: int
    number: int
    started_us: int
    ended_us: int
    state: DeliveryState
    """State of the delivery after this try: QUEUED when another one follows at `next_us`."""
    next_us: int
    reason: str = ""


class AlertReader(Protocol):
    """What screens need of the ledger."""

    def episodes(self, kind: Kind, *, open_only: bool = False, limit: int = 200) -> list[Episode]:
        """Newest opened first."""

    def episode(self, id: str) -> Episode | None:
        """One story."""

    def events(self, episode: str) -> list[Event]:
        """Its events in order of version."""

    def statuses(self, kind: Kind) -> list[AreaStatus]:
        """Every (area, hazard) ever judged."""

    def notices(self, kind: Kind, *, open_only: bool = True, limit: int = 200) -> list[Notice]:
        """Newest first."""

    def deliveries(self, episode: str | None = None, *, limit: int = 500) -> list[Delivery]:
        """Newest first; all of the ledger when no episode is named."""

    def delivery_counts(self, kind: Kind, episode: str | None = None) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries per (channel, state); an unexpanded fan-out counts nothing yet."""

    def attempts(self, delivery: int) -> list[Attempt]:
        """Tries in order."""

    def judged_through(self, kind: Kind) -> int:
        """0 when nothing was judged yet."""

    def change_count(self) -> int:
        """A number that differs after any committed change by any process since this reader last asked; cheap."""


class AlertLedger(AlertReader, Protocol):
    """The whole contract. Safe to call from several threads and, on SQL, from several processes."""

    def record(self, record: Record) -> None:
        """Write all of it or nothing.

        A fan-out that is there already, and a status or notice that says nothing new, change nothing. An open notice of the same
        (kind, code, subject) takes the new text and time and counts one more.

        Raises
        ------
        VersionConflict : an (episode, version) exists already, or is not the next one
        """

    def acknowledge_notice(self, id: int, *, actor: str, now_us: int) -> bool:
        """False when there is no such open notice."""

    def put_addresses(self, addresses: Sequence[Address]) -> None:
        """Add or replace by (id, kind)."""

    def expand(self, *, limit: int) -> int:
        """Make at most `limit` (<= 500) queued deliveries from the fan-outs that are not expanded whole; returns how many.

        Highest level first; among equals one chunk each in turn. ALL_CLEAR goes to the addresses that have a delivery of the episode in state
        sending, accepted or delivered; an ALERT, to the addresses of its kind, channels and areas. Interrupted anywhere, it goes on without doubling.
        An ALL_CLEAR or a newer version expires this episode's deliveries that still wait in QUEUED for an older version.
        """

    def lease(self, *, owner: str, real_us: int, lease_us: int, limit: int) -> list[Delivery]:
        """Take due deliveries (QUEUED with next_us <= real_us, or SENDING with a lapsed lease) into SENDING; highest level first, fair between episodes."""

    def finish(self, attempts: Sequence[Attempt]) -> None:
        """Write attempts and move their deliveries; a delivery already in a terminal state stays."""

    def preview_put(self, *, key: str, kind: Kind, target: str, text: str, level: int, now_us: int) -> None:
        """Put a message on the preview phone; the same key twice is one message."""

    def preview_messages(self, kind: Kind, *, limit: int = 50) -> list["PreviewMessage"]:
        """Newest first."""

    def close(self) -> None:
        """Let go of the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewMessage:
    """What stands on the preview phone's screen."""

    key: str
    target: str
    text: str
    level: int
    at_us: int
