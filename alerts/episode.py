"""An episode: one story per (area, hazard, kind), as the fold of its events."""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """Which world a thing belongs to. Worlds never mix: SQL refuses what the type refuses."""

    ACTUAL = "actual"
    EXERCISE = "exercise"
    TEST = "test"


class Level(IntEnum):
    """The four levels."""

    NORMAL = 0
    WATCH = 1
    WARNING = 2
    CRITICAL = 3


class EventType(StrEnum):
    """What can happen to an episode."""

    JUDGED = "judged"
    """The machine's level changed: from_level -> to_level. Equal levels: a series was lost while rising below the level
    that stood already (contract 5.6)."""
    RETROSPECTIVE = "retrospective"
    """Readings that came beyond the bound say that the level was to_level once: the whole story in one event."""
    LOST = "lost"
    """No level rule of the area is known any more."""
    HEARD = "heard"
    """At least one is known again."""
    ACKNOWLEDGED = "acknowledged"
    """An officer has seen it and answers for it until until_us; to_level is the level seen. Never stops a step up."""
    REQUESTED = "requested"
    """One officer asks for the release of to_level; a second one must agree."""
    CONFIRMED = "confirmed"
    """A second sample, or a second sensor, speaks for the judged level to_level: it may be released without a person
    (contract 5.8)."""
    CALLED = "called"
    """A role of the chain was called, see `note`; event_us is when that was due, until_us when the next one is."""
    UNANSWERED = "unanswered"
    """The last of the chain did not answer in time: a standing red alarm, or a release, as the route says."""
    EXPIRED = "expired"
    """The acknowledgement is over and the level stands: it rings again."""
    MOVED = "moved"
    """Our clock was put: what is due moves with it, to until_us."""
    SHELVED = "shelved"
    """An officer put the alarm aside until until_us, see `note`; a level above to_level rings all the same."""
    UNSHELVED = "unshelved"
    """It is back: its time is over (by the rule), or an officer took it from the shelf."""
    RELEASED = "released"
    """The public level rose to to_level."""
    LOWERED = "lowered"
    """The public level fell to to_level; at 0 whoever was warned gets the all-clear."""
    CLOSED = "closed"
    """Judged and public level are both normal: the story ends."""


RULE = "rule"
"""Actor of what nobody clicked: a rule, or a release that `routes.toml` leaves to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A reading that decided, with the rule it decided by."""

    rule: str
    rule_version: str
    series: str
    time_us: int
    value: float
    flag: int
    seq: int
    threshold: float
    truth: bool
    """Whether the rule's condition holds by this reading."""
    per_h: bool = False
    """Whether value and threshold are a rate: the quantity's unit per hour."""
    input: str = ""
    """What value and threshold are of, where it is neither the reading itself nor its slope: `alerts.rule.Listens`."""
    arrives_us: int = 0
    """When the water reaches the area, where the reading is of a station upstream; 0 where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the append-only story; (episode, version) is unique."""

    episode: str
    version: int
    kind: Kind
    area: str
    hazard: str
    type: EventType
    from_level: int
    to_level: int
    event_us: int
    """Event time of the reading that decided, or the judgement clock at the click."""
    recorded_us: int
    """The judgement clock when it was decided."""
    actor: str = RULE
    """Account name, or RULE."""
    used: tuple[Used, ...] = ()
    note: str = ""
    until_us: int | None = None
    """By the judgement clock: when what began here ends or is due, see EventType."""

    @property
    def rises(self) -> bool:
        """Whether the judged level went up: an alarm."""
        return self.type is EventType.JUDGED and self.to_level > self.from_level


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """The state of one story after `version` events."""

    id: str
    kind: Kind
    area: str
    hazard: str
    judged_level: int
    public_level: int
    known: bool
    since_us: int
    """Event time at which the judged level last changed."""
    version: int
    opened_us: int
    closed_us: int | None = None
    peak_level: int = 0
    """Highest judged level so far."""
    seen_level: int = 0
    """Level that has been acknowledged, lowered with the judged level: any step up from there rings again."""
    seen_by: str = ""
    seen_us: int | None = None
    requested_level: int = 0
    """Public level that waits for a second person, above the present one or below it; means something only while
    `requested_by` is set."""
    requested_by: str = ""
    seen_until_us: int | None = None
    """When the acknowledgement ends; None where there is none, or no end."""
    shelved_level: int = 0
    """A judged level above it is not on the shelf."""
    shelved_by: str = ""
    shelved_until_us: int | None = None
    """None: not on the shelf."""
    rang_us: int = 0
    """Judgement clock when the present ringing began, or when what is on the shelf last came up there."""
    rang_level: int = 0
    """Judged level that it began for."""
    called: int = 0
    """Roles of the chain that were called since."""
    due_us: int | None = None
    """When the next one is due; None where none was called or none is left."""
    unanswered_level: int = 0
    """Judged level at which the chain ended without an answer: a standing red alarm."""
    confirmed_level: int = 0
    """Highest level up to the judged one that did not rest on a single doubtful sample."""

    @property
    def unacknowledged(self) -> bool:
        """Whether somebody still has to look."""
        return self.judged_level > self.seen_level or (self.seen_us is None and self.closed_us is None)

    @property
    def shelved(self) -> bool:
        """Whether it is put aside."""
        return self.shelved_until_us is not None

    @property
    def standing(self) -> bool:
        """Whether nobody answered: a red alarm until somebody does."""
        return self.unanswered_level > 0 and self.closed_us is None and self.unacknowledged


def episode_id(*, kind: Kind, hazard: str, area: str, opened: str) -> str:
    """Name a story by what it is, so that logs and links read; `opened` is a compact UTC stamp."""
    prefix = "" if kind is Kind.ACTUAL else f"{kind}."
    return f"{prefix}{hazard}.{area}.{opened}"


def apply(before: Episode | None, event: Event) -> Episode:
    """Fold one event into the story.

    Raises
    ------
    ValueError : the event is not the next one of this story
    """
    if before is None:
        if event.version != 1 or event.type not in (EventType.JUDGED, EventType.RETROSPECTIVE):
            raise ValueError(f"{event.episode}: a story starts with version 1, judged or retrospective; not {event}")
        past = event.type is EventType.RETROSPECTIVE
        return Episode(
            id=event.episode,
            kind=event.kind,
            area=event.area,
            hazard=event.hazard,
            judged_level=0 if past else event.to_level,
            public_level=0,
            known=True,
            since_us=event.event_us,
            version=1,
            opened_us=event.event_us,
            closed_us=event.recorded_us if past else None,
            peak_level=event.to_level,
            rang_us=event.recorded_us,
            rang_level=event.to_level,
            confirmed_level=0 if past or event.note else event.to_level,
        )
    if event.version != before.version + 1 or event.episode != before.id:
        raise ValueError(f"{event.episode}: version {event.version} does not follow {before.version}")
    after = replace(before, version=event.version)
    match event.type:
        case EventType.JUDGED:
            return _judged(after, event)
        case EventType.LOST:
            return replace(after, known=False)
        case EventType.HEARD:
            return replace(after, known=True)
        case EventType.CONFIRMED:
            return replace(after, confirmed_level=event.to_level)
        case EventType.ACKNOWLEDGED:
            seen = replace(after, seen_level=event.to_level, seen_by=event.actor, seen_us=event.event_us)
            seen = replace(seen, seen_until_us=event.until_us)
            # Whoever looked at a lower level has not answered this one.
            answered = event.to_level >= before.judged_level
            return replace(seen, called=0, due_us=None, unanswered_level=0) if answered else seen
        case EventType.EXPIRED:
            over = replace(after, seen_level=0, seen_us=None, seen_until_us=None)
            return over if before.unacknowledged else _rings(over, event)  # the chain of a higher level goes on
        case EventType.CALLED:
            return replace(after, called=before.called + 1, due_us=event.until_us)
        case EventType.MOVED:
            return replace(after, due_us=event.until_us)
        case EventType.UNANSWERED:
            return replace(after, due_us=None, unanswered_level=event.to_level)
        case EventType.SHELVED:
            put = replace(after, shelved_level=event.to_level, shelved_by=event.actor, shelved_until_us=event.until_us)
            return replace(put, called=0, due_us=None, unanswered_level=0)
        case EventType.UNSHELVED:
            return _rings(after, event)
        case EventType.REQUESTED:
            return replace(after, requested_level=event.to_level, requested_by=event.actor)
        case EventType.RELEASED:
            return replace(after, public_level=event.to_level, requested_level=0, requested_by="")
        case EventType.LOWERED:
            return replace(after, public_level=event.to_level, requested_level=0, requested_by="")
        case EventType.CLOSED:
            return replace(after, closed_us=event.event_us, called=0, due_us=None)
        case EventType.RETROSPECTIVE:
            raise ValueError(f"{event.episode}: what lies in the past continues no story")


def _judged(story: Episode, event: Event) -> Episode:
    """The judged level moves; one that went up rings, and a closed story whose level went up goes on."""
    moved = event.to_level != story.judged_level
    after = replace(
        story,
        judged_level=event.to_level,
        since_us=event.event_us if moved else story.since_us,
        peak_level=max(story.peak_level, event.to_level),
        seen_level=min(story.seen_level, event.to_level),
        # A note says that the step does not speak for now, see `lifecycle.step`.
        confirmed_level=min(story.confirmed_level, event.to_level) if event.note else event.to_level,
    )
    if not event.rises:
        return after if event.to_level else replace(after, called=0, due_us=None, seen_until_us=None)
    after = replace(after, closed_us=None)
    if story.shelved and event.to_level <= story.shelved_level:
        return replace(after, rang_us=event.recorded_us)
    if story.due_us is not None and event.to_level <= story.rang_level:
        # A level that comes and goes does not begin its chain again and again: it would never end.
        return replace(after, due_us=max(story.due_us, event.recorded_us))
    return _rings(after, event)


def _rings(story: Episode, event: Event) -> Episode:
    """It wants an answer from now on: the chain begins anew, and nothing is on the shelf."""
    free = replace(story, shelved_level=0, shelved_by="", shelved_until_us=None)
    # A reading may be old when it is judged; what ended, ended when it was due.
    rang_us = event.recorded_us if event.type is EventType.JUDGED else event.event_us
    return replace(free, rang_us=rang_us, rang_level=event.to_level, called=0, due_us=None, unanswered_level=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaStatus:
    """What is known of one (area, hazard) now, whether or not a story is open. A never-heard area is unknown."""

    kind: Kind
    area: str
    hazard: str
    level: int
    """Judged level."""
    known: bool
    since_us: int
    """When level or known last changed, by the judgement clock."""


class Purpose(StrEnum):
    """Why people are written to."""

    ALERT = "alert"
    ALL_CLEAR = "all_clear"
    CALL = "call"
    """To those who must answer, see EventType.CALLED: no public warning, and none takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """One alert version to be sent: recorded with the event that caused it, expanded into deliveries by the
    dispatcher.
    """

    id: str
    """`{episode}#{version}` of the causing event: idempotent."""
    episode: str
    version: int
    kind: Kind
    purpose: Purpose
    level: int
    """Public level told; 0 for an all-clear, which therefore never goes before a warning."""
    areas: tuple[str, ...]
    """The area and all below it; ALL_CLEAR goes instead to whoever got an alert of this episode."""
    channels: tuple[str, ...]
    text: str
    """The whole message, Thai first."""
    created_us: int
    expires_us: int
    """By the judgement clock; no attempt after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something an officer or technician must see that is no episode: kept until acknowledged, counted when
    repeated.
    """

    kind: Kind
    code: str
    """What kind of thing it is: a key of `alerts.notices.TEXTS`, or `nobody_reached`."""
    subject: str
    """Series key, station or rule it speaks of; (kind, code, subject) is one open notice."""
    text: str
    at_us: int
    count: int = 1
    id: int = 0
    """Given by the ledger."""
    acknowledged_by: str = ""
    acknowledged_us: int | None = None
