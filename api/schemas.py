"""What `/api/v1` answers. The field names are a contract: they are added to, never renamed."""

import math
from datetime import UTC, datetime

import numpy as np
from pydantic import BaseModel, ConfigDict

from alerts.episode import RULE, Episode, Event, Notice, Used
from alerts.ledger import Delivery
from alerts.people import Role
from api.deps import ClockSkew, QuarantineRow, SeenRow
from api.screens.public import mask
from api.screens.stations import Observed
from sensors.flags import Check, unpack
from sensors.store import BY_CHECKS, Revision


def iso(time_us: int) -> str:
    """`2026-11-22T07:35:00Z`, with six decimals where there is a fraction."""
    whole, rest = divmod(time_us, 1_000_000)
    stamp = datetime.fromtimestamp(whole, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{rest:06d}Z" if rest else f"{stamp}Z"


def maybe_iso(time_us: int | None) -> str | None:
    """The same, where there is one."""
    return None if time_us is None else iso(time_us)


class Out(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True)


class Problem(Out):
    """Every refusal of `/api`."""

    detail: str
    """A sentence: what was asked, what is wrong with it, what was expected."""
    code: str


class EpisodeOut(Out):
    """One story."""

    id: str
    area: str
    hazard: str
    kind: str
    judged_level: int
    public_level: int
    known: bool
    since: str
    version: int
    opened_at: str
    closed_at: str | None

    @classmethod
    def of(cls, e: Episode) -> "EpisodeOut":
        """From the record."""
        return cls(
            id=e.id,
            area=e.area,
            hazard=e.hazard,
            kind=e.kind,
            judged_level=e.judged_level,
            public_level=e.public_level,
            known=e.known,
            since=iso(e.since_us),
            version=e.version,
            opened_at=iso(e.opened_us),
            closed_at=maybe_iso(e.closed_us),
        )


class StoryOut(EpisodeOut):
    """One story with what waits for people in it."""

    peak_level: int
    acknowledged_level: int
    acknowledged_until: str | None
    """When it rings again if the level still stands."""
    shelved_until: str | None
    """Put aside, but for a level above shelved_level."""
    shelved_level: int
    called: int
    """Turns of the chain so far."""
    next_call_at: str | None
    standing: bool
    """Everybody was called and nobody answered."""
    confirmed_level: int
    """What a second sample or sensor spoke for."""

    @classmethod
    def whole(cls, e: Episode) -> "StoryOut":
        """From the record."""
        return cls(
            **EpisodeOut.of(e).model_dump(),
            peak_level=e.peak_level,
            acknowledged_level=e.seen_level,
            acknowledged_until=maybe_iso(e.seen_until_us),
            shelved_until=maybe_iso(e.shelved_until_us),
            shelved_level=e.shelved_level,
            called=e.called,
            next_call_at=maybe_iso(e.due_us),
            standing=e.standing,
            confirmed_level=e.confirmed_level,
        )


class UsedOut(Out):
    """A reading that decided, with the rule it decided by."""

    rule: str
    rule_version: str
    series: str
    time: str
    value: float
    flag: int
    seq: int
    threshold: float
    truth: bool

    @classmethod
    def of(cls, u: Used) -> "UsedOut":
        """From the record."""
        return cls(
            rule=u.rule,
            rule_version=u.rule_version,
            series=u.series,
            time=iso(u.time_us),
            value=u.value,
            flag=u.flag,
            seq=u.seq,
            threshold=u.threshold,
            truth=u.truth,
        )


class EventOut(Out):
    """One line of a story."""

    episode: str
    version: int
    type: str
    from_level: int
    to_level: int
    event_at: str
    recorded_at: str
    actor: str
    """`rule`, a role, or for the signed-in the account."""
    note: str
    until: str | None
    """When what began here ends or is due."""
    used: list[UsedOut]

    @classmethod
    def of(cls, e: Event, *, roles: dict[str, Role], named: bool) -> "EventOut":
        """From the record; without `named`, whoever clicked is only a role."""
        by_rule = e.actor == RULE
        return cls(
            episode=e.episode,
            version=e.version,
            type=e.type,
            from_level=e.from_level,
            to_level=e.to_level,
            event_at=iso(e.event_us),
            recorded_at=iso(e.recorded_us),
            actor=e.actor if by_rule or named else str(roles.get(e.actor, "person")),
            # A person's note may name a person.
            note=e.note if by_rule or named else "",
            until=maybe_iso(e.until_us),
            used=[UsedOut.of(u) for u in e.used],
        )


class DeliveryOut(Out):
    """One alert version to one recipient by one channel; never the whole address."""

    id: int
    episode: str
    kind: str
    level: int
    channel: str
    state: str
    attempts: int
    reason: str
    target: str

    @classmethod
    def of(cls, d: Delivery, *, named: bool) -> "DeliveryOut":
        """From the record; the signed-in see the last two characters of the address."""
        return cls(
            id=d.id,
            episode=d.episode,
            kind=d.kind,
            level=d.level,
            channel=d.channel,
            state=d.state,
            attempts=d.attempts,
            reason=d.reason,
            target=mask(d.target, shown=2 if named else 0),
        )


class SeriesOut(Out):
    """One series as columns of equal length, rising in time."""

    station: str
    name: str
    unit: str
    times_us: list[int]
    """Event times, microseconds UTC."""
    values: list[float | None]
    """Canonical unit; null where nothing was measured."""
    flags: list[int]
    """QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing."""


class HoursOut(Out):
    """One series by the hour, as columns of equal length, rising in time; hours without a reading are not there."""

    station: str
    name: str
    unit: str
    hours_us: list[int]
    """Where each begins, microseconds UTC."""
    usable: list[int]
    """Readings with flag 1 or 2."""
    means: list[float | None]
    """Of those, canonical unit; null where there is none. The same of the least and the most."""
    mins: list[float | None]
    maxs: list[float | None]
    flags: list[int]
    """The worst of all readings of the hour."""


class SensorOut(Out):
    """One instrument and its newest reading."""

    name: str
    quantity: str
    unit: str
    time: str | None
    value: float | None
    flag: int


class StationOut(Out):
    """One station: observation, not warning."""

    id: str
    name: str
    english: str
    lat: float
    lon: float
    areas: list[str]
    level: int
    """0-3 by its own thresholds; -1 fault, -2 never heard."""
    bank_gap_m: float | None
    """Water above (+) or below (-) the lower bank."""
    clock_skew_s: float | None
    """Its device's clock minus ours; below 0 it may be a queue as well. None within five minutes."""
    clock_steady: bool
    """Its clock is known to be wrong by that: its times are put right."""
    sensors: list[SensorOut]

    @classmethod
    def of(cls, o: Observed, sensors: list[SensorOut], skew: ClockSkew | None) -> "StationOut":
        """From what is observed."""
        s = o.station
        gap = o.gap_m if o.current else math.nan
        return cls(
            id=s.id,
            name=s.name,
            english=s.english,
            lat=s.lat,
            lon=s.lon,
            areas=list(s.areas),
            level=o.level,
            bank_gap_m=None if math.isnan(gap) else round(gap, 3),
            clock_skew_s=skew.seconds if skew else None,
            clock_steady=skew is not None and skew.steady,
            sensors=sensors,
        )


class SeenReadingOut(Out):
    """One reading of a device that nobody registered."""

    name: str
    value: float | None
    time: str


class UnregisteredOut(Out):
    """One device that passed authentication and is no station."""

    via: str
    id: str
    first: str
    last: str
    count: int
    topic: str
    client: str
    readings: list[SeenReadingOut]
    problem: str

    @classmethod
    def of(cls, s: SeenRow) -> "UnregisteredOut":
        """From the list."""
        readings = [SeenReadingOut(name=r.name, value=r.value, time=iso(r.time_us)) for r in s.readings]
        return cls(
            via=s.via,
            id=s.id,
            first=iso(s.first_us),
            last=iso(s.last_us),
            count=s.count,
            topic=s.topic,
            client=s.client,
            readings=readings,
            problem=s.problem,
        )


class UnregisteredList(Out):
    """How many there are, and who for whoever may inspect."""

    count: int
    devices: list[UnregisteredOut]


class SilentOut(Out):
    """A registered station that is not heard."""

    station: str
    name: str
    heard: str | None
    """Newest reading; null: never."""


class QuarantineOut(Out):
    """One refused payload. Who may not inspect sees neither what was sent nor by whom."""

    id: int
    at: str
    reason: str
    detail: str
    topic: str
    client: str
    length: int
    sha256: str
    head: str | None
    """First bytes, hexadecimal."""

    @classmethod
    def of(cls, r: QuarantineRow, *, inspect: bool) -> "QuarantineOut":
        """From the store. A detail may quote the payload, a topic and a client id are free text of the sender."""
        return cls(
            id=r.id,
            at=iso(r.at_us),
            reason=r.reason,
            detail=r.detail if inspect else "",
            topic=r.topic if inspect else "",
            client=r.client if inspect else "",
            length=r.length,
            sha256=r.sha256,
            head=r.head.hex() if inspect else None,
        )


class QuarantineList(Out):
    """Refused payloads, newest first, and how many there ever were."""

    counts: dict[str, int]
    rows: list[QuarantineOut]


class NoticeOut(Out):
    """Something an officer or technician must see that is no episode."""

    id: int
    code: str
    subject: str
    text: str
    at: str
    count: int
    acknowledged_at: str | None
    acknowledged_by: str
    """Only for the signed-in."""

    @classmethod
    def of(cls, n: Notice, *, named: bool) -> "NoticeOut":
        """From the record."""
        return cls(
            id=n.id,
            code=n.code,
            subject=n.subject,
            text=n.text,
            at=iso(n.at_us),
            count=n.count,
            acknowledged_at=None if n.acknowledged_us is None else iso(n.acknowledged_us),
            acknowledged_by=n.acknowledged_by if named else "",
        )


class ReviewedOut(Out):
    """What a review took in."""

    readings: int


class RevisionOut(Out):
    """A flag that was said anew."""

    time: str
    """Of the reading."""
    flag: int
    flag_before: int
    checks: dict[str, int]
    """What each check says of it; those that say nothing are not there."""
    by: str
    """`checks`, `person`, or for the signed-in the account."""
    reason: str
    at: str

    @classmethod
    def of(cls, one: Revision, *, named: bool) -> "RevisionOut":
        """From the journal."""
        by_checks = one.by == BY_CHECKS
        said = unpack(np.array([one.checks], dtype=np.uint32))[:, 0].tolist()
        return cls(
            time=iso(one.time_us),
            flag=one.flag,
            flag_before=one.flag_before,
            checks={check.name.lower(): said[check] for check in Check if said[check]},
            by="checks" if by_checks else one.by if named else "person",
            # A person's reason may name a person.
            reason=one.reason if named else "",
            at=iso(one.at_us),
        )
