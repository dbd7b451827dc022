"""The record that stands in front of a council: stories, deliveries, decisions.

One contract, several implementations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from alerts.episode import AreaStatus, Episode, Event, FanOut, Kind, Notice, Purpose
from alerts.people import Address
from alerts.settled import Settled
from alerts.shelf import Silencing

SUPERSEDED = "superseded"
"""Reason of a delivery that ended because its episode has a newer version to send."""

OUTLIVED = "expired"
"""Reason of a delivery that ended because its alert had expired before it went out."""

CHUNK_MAX = 500
"""Most deliveries that one transaction makes, takes or ends."""


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
    settled: Sequence[Settled] = ()
    judged_through: int | None = None
    """Arrival number up to which everything is judged; never moves back. None leaves it."""
    deaths: Mapping[str, int] = field(default_factory=dict)
    """Station whose device is gone -> newest arrival number before; never moves back."""

    def __post_init__(self) -> None:
        """Refuse a record that reaches into a second world, or whose story does not stand where its event left it."""
        for event, story in self.changes:
            if (event.episode, event.version) != (story.id, story.version):
                raise ValueError(
                    f"event {event.episode} version {event.version} goes with {story.id} version {story.version}"
                )
        for part in (
            *(whole for change in self.changes for whole in change),
            *self.fanouts,
            *self.statuses,
            *self.notices,
            *self.settled,
        ):
            if part.kind is not self.kind:
                raise ValueError(f"a record of kind {self.kind} holds a {type(part).__name__} of kind {part.kind}")


class DeliveryState(StrEnum):
    """All deliveries end in accepted, delivered, failed or expired."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        """Whether nothing will change it any more."""
        return self not in (DeliveryState.QUEUED, DeliveryState.SENDING)


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
    """Tries that were finished."""
    expires_us: int
    """By the judgement clock."""
    next_us: int
    """Real time before which no attempt is due; 0 at first."""
    purpose: Purpose = Purpose.ALERT
    reason: str = ""
    """Of the newest attempt; SUPERSEDED when a newer version took its place, OUTLIVED when its time ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: its result decides the delivery's next state."""

    delivery: int
    number: int
    """`Delivery.attempts` + 1 when it was leased."""
    started_us: int
    ended_us: int
    state: DeliveryState
    """State of the delivery after this try: QUEUED when another one follows at `next_us`; never SENDING."""
    next_us: int
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no end of a try."""
        if self.state is DeliveryState.SENDING or self.number < 1:
            raise ValueError(f"delivery {self.delivery}: try {self.number} cannot end in {self.state}")


class AlertReader(Protocol):
    """What screens need of the ledger."""

    def episodes(
        self, kind: Kind, *, open_only: bool = False, ended_since_us: int | None = None, limit: int = 200
    ) -> list[Episode]:
        """Newest opened first; with `ended_since_us` those that closed then or later."""

    def episode(self, id: str) -> Episode | None:
        """One story."""

    def events(self, episode: str) -> list[Event]:
        """Its events in order of version."""

    def recorded(self, kind: Kind, *, from_us: int, to_us: int, limit: int) -> list[Event]:
        """Events of all stories with from_us <= recorded_us < to_us, the newest `limit` of them, oldest first; by
        episode and version where they were recorded at one moment. Without the readings that decided (`used`).
        """

    def silences(self, kind: Kind, *, after_us: int) -> list[Silencing]:
        """Those whose end, planned or not, lies later than `after_us`, by id."""

    def statuses(self, kind: Kind) -> list[AreaStatus]:
        """Every (area, hazard) ever judged, in their order."""

    def notices(self, kind: Kind, *, open_only: bool = True, limit: int = 200) -> list[Notice]:
        """Newest first."""

    def settled(self, kind: Kind, *, from_us: int, to_us: int) -> list[Settled]:
        """Final changes with from_us <= time < to_us by judged time, then in the order of their keys."""

    def deliveries(self, episode: str | None = None, *, limit: int = 500) -> list[Delivery]:
        """Newest first; all of the ledger when no episode is named."""

    def delivery_counts(self, kind: Kind, episode: str | None = None) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries to the public per (channel, state); an unexpanded fan-out counts nothing yet, and calls
        (Purpose.CALL) are none."""

    def attempts(self, delivery: int) -> list[Attempt]:
        """Tries in order."""

    def judged_through(self, kind: Kind) -> int:
        """0 when nothing was judged yet."""

    def change_count(self) -> int:
        """A number that differs after any committed change by any process since this reader last asked; cheap.

        It may differ without a change that shows, and says nothing across reopening.
        """


class AlertLedger(AlertReader, Protocol):
    """The whole contract. Safe to call from several threads and, on SQL, from several processes."""

    def record(self, record: Record) -> None:
        """Write all of it or nothing.

        A fan-out or settled change that is there already, and a status or notice that says nothing new, change
        nothing. A notice says nothing new when an open one of the same (kind, code, subject) has its text and time;
        otherwise the open one takes the new text and time and counts up by `count`. The ledger gives notices their id.

        Raises
        ------
        VersionConflict : an (episode, version) exists already, or is not the next one, or another story of its
            (area, hazard, kind) is open
        ValueError : a fan-out of an episode that is not there
        """

    def deaths(self, kind: Kind) -> Mapping[str, int]:
        """Station -> newest arrival number before its device was last said to be gone."""

    def acknowledge_notice(self, id: int, *, actor: str, now_us: int) -> bool:
        """False when there is no such open notice."""

    def put_silence(self, silence: Silencing) -> int:
        """Write a new one; returns its id."""

    def change_silence(self, before: Silencing, after: Silencing) -> bool:
        """Write who agreed to it or ended it; False when it does not stand as `before` any more."""

    def put_addresses(self, addresses: Sequence[Address]) -> None:
        """Add or replace by (id, kind), some hundred in a transaction.

        Raises
        ------
        ValueError : no such kind, or an address would change its channel: deliveries made for the one cannot go by
            the other
        """

    def expand(self, *, limit: int) -> int:
        """Make at most `limit` (1 to CHUNK_MAX) queued deliveries of one fan-out.

        Returns how many; 0 when no fan-out waits. Highest level first; among equals one chunk each in turn, also
        across restarts. Interrupted anywhere, it goes on without doubling.

        An ALERT goes to the addresses of its kind, channels and areas; one that is added meanwhile may be left out. So
        does a CALL, whose areas are the people on call (`plan.person`). When either is expanded whole and nobody was
        there to get it, an open notice of its episode says so (see `rules.nobody_reached`), in the same transaction.

        An ALL_CLEAR goes to the addresses that an ALERT of this episode may have reached (being sent, accepted,
        delivered, or tried at least once without being refused) and that no ALL_CLEAR after it has reached (accepted
        or delivered). In doubt people hear twice that it is over, never not at all.

        A CALL supersedes nothing and is never superseded. Of the others, the newest version of an episode supersedes
        its older ones from the moment it is recorded: they are not expanded further, their deliveries that wait in
        QUEUED end as EXPIRED (at most `limit` by each call) and are never leased meanwhile.
        """

    def expire(self, *, now_us: int, limit: int) -> int:
        """End at most `limit` (1 to CHUNK_MAX) deliveries in QUEUED with expires_us <= now_us as EXPIRED, OUTLIVED.

        `now_us` is the judgement clock: whatever the real clock says of the next try, nothing waits longer than its
        alert lasts. Returns how many. One that is being sent is left to its sender, or to whoever leases it next.
        """

    def lease(self, *, owner: str, real_us: int, lease_us: int, wait_max_us: int, limit: int) -> list[Delivery]:
        """Take at most `limit` (1 to CHUNK_MAX) due deliveries into SENDING until real_us + lease_us.

        Due is QUEUED with next_us <= real_us, or SENDING with a lapsed lease. So is what only a clock that was put
        back can explain: next_us later than real_us + wait_max_us, the longest that a sender ever waits, or a lease
        that ends later than `rules.lapses_by`. Senders of one ledger therefore agree on both.

        Highest level first; among equals one of each episode in turn; in an episode the longest due first, so that
        first tries go before repeats. A lapsed lease of a superseded version ends as EXPIRED.
        """

    def finish(self, attempts: Sequence[Attempt]) -> None:
        """Write attempts and move their deliveries, all or nothing.

        A delivery already in a terminal state stays. Of two tries with one number (a sender outlived its lease) the
        first is kept, but an acceptance always counts. A retry of a superseded version ends as EXPIRED.

        Raises
        ------
        ValueError : no such delivery
        """

    def preview_put(self, *, key: str, kind: Kind, target: str, text: str, level: int, now_us: int) -> None:
        """Put a message on the preview phone; the same key twice in one kind is one message, the first."""

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
