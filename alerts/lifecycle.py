"""The story of one area and hazard: what evidence and officers make of it. Pure: state and time in, events out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from alerts.episode import RULE, Episode, Event, EventType, Kind, Level, Used, apply, episode_id
from alerts.people import Actor, Refusal
from alerts.route import Clear, Release, Route, Routes, Unanswered
from alerts.words import compact_utc

Change = tuple[Event, Episode]
"""An event, and the story after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One (area, hazard) of one world."""

    kind: Kind
    area: str
    hazard: str


OLD = "late"
"""Note of a step by readings too old or too doubtful to speak for now."""
REFOLDED = "out of order"
"""Note of a step that came out by looking again, because of a reading that arrived out of order."""
LOST = "lost while rising"
"""Note of a step because a series fell silent while it rose (contract 5.6)."""
UNHEARD = "lost while rising, nothing can be heard"
"""The same where the silence may be ours: no way in is open."""
FOUND = "heard again"
"""Note of a step because a series that was lost speaks again."""
SHELF_MAX_US = 8 * 3600 * 1_000_000
"""Nothing stays on the shelf longer than a shift (ISA-18.2 asks for a limit; 8 h is ours)."""
STANDING = (LOST, UNHEARD, FOUND)
"""Recorded although the level stays: the story is the only place that knows what is lost."""


def step(
    before: Episode | None,
    cell: Cell,
    *,
    to_level: int,
    event_us: int,
    now_us: int,
    used: Sequence[Used],
    speaks: bool,
    routes: Routes,
    note: str = "",
    by: int = 0,
) -> list[Change]:
    """Bring the judged level to what the evidence says, and do what the routes leave to the rule.

    Parameters
    ----------
    before : the open story, or None
    to_level : highest level with evidence held true, 0-3
    event_us : event time of the reading that decided
    speaks : whether that reading is young and good enough to speak for now; if not, it moves the judged level only, and
        closes a story of which nobody was told (not where it is REFOLDED: that waits for a reading that speaks, or
        for time). One that lowers releases nothing.
    note : why, for the record; see STANDING
    by : arrival number of the reading that brought this about, where it is not the one that decided
    """
    from_level = before.judged_level if before else 0
    if to_level == from_level and (before is None or note not in STANDING):
        return []
    event = Event(
        episode=before.id if before else _id(cell, event_us, by or (used[-1].seq if used else 0)),
        version=before.version + 1 if before else 1,
        kind=cell.kind,
        area=cell.area,
        hazard=cell.hazard,
        type=EventType.JUDGED,
        from_level=from_level,
        to_level=to_level,
        event_us=event_us,
        recorded_us=now_us,
        used=tuple(used),
        note=note or ("" if speaks else OLD),
    )
    after = apply(before, event)
    changes = [(event, after)]
    if speaks:
        if to_level > from_level or to_level <= after.public_level:
            changes += follow(after, routes=routes, event_us=event_us, now_us=now_us)
    elif after.judged_level == after.public_level == 0 and note != REFOLDED:
        changes += _closed(after, event_us=event_us, now_us=now_us)
    return changes


def retrospective(cell: Cell, *, level: int, event_us: int, now_us: int, used: Sequence[Used]) -> Change:
    """A story that is over when it is told: what readings that came beyond the bound say of the past."""
    event = Event(
        episode=_id(cell, event_us, used[-1].seq),
        version=1,
        kind=cell.kind,
        area=cell.area,
        hazard=cell.hazard,
        type=EventType.RETROSPECTIVE,
        from_level=0,
        to_level=level,
        event_us=event_us,
        recorded_us=now_us,
        used=tuple(used),
    )
    return event, apply(None, event)


def follow(story: Episode, *, routes: Routes, event_us: int, now_us: int) -> list[Change]:
    """What the routes leave to the rule, now that a second sample or sensor agrees (contract 5.8): release, lower and
    close, so that the public level follows the judged one.
    """
    changes: list[Change] = []
    route, standing = (routes.find(story.hazard, level) for level in (story.judged_level, story.public_level))
    if story.judged_level > story.public_level:
        if story.confirmed_level < story.judged_level:
            changes += ruled(story, EventType.CONFIRMED, story.judged_level, event_us=event_us, now_us=now_us)
        if route is not None and (route.release is Release.AUTO or times_out(story, route)):
            now = changes[-1][1] if changes else story
            changes += ruled(now, EventType.RELEASED, now.judged_level, event_us=event_us, now_us=now_us)
    elif story.judged_level < story.public_level and standing is not None and standing.clear is Clear.AUTO:
        changes += ruled(story, EventType.LOWERED, story.judged_level, event_us=event_us, now_us=now_us)
    after = changes[-1][1] if changes else story
    if after.judged_level == after.public_level == 0:
        changes += _closed(after, event_us=event_us, now_us=now_us)
    return changes


def times_out(story: Episode, route: Route) -> bool:
    """Whether the chain of the judged level ended without an answer and its route then releases (contract 5.10)."""
    return route.unanswered is Unanswered.RELEASE and story.unanswered_level >= story.judged_level


def _closed(story: Episode, *, event_us: int, now_us: int) -> list[Change]:
    return ruled(story, EventType.CLOSED, 0, event_us=event_us, now_us=now_us)


OF_JUDGEMENT = frozenset(
    {
        EventType.CONFIRMED,
        EventType.CALLED,
        EventType.UNANSWERED,
        EventType.EXPIRED,
        EventType.MOVED,
        EventType.UNSHELVED,
    }
)
"""Events of the rule that speak of the judged level, not of the public one."""


def ruled(
    story: Episode,
    type: EventType,
    level: int,
    *,
    event_us: int,
    now_us: int,
    note: str = "",
    until_us: int | None = None,
) -> list[Change]:
    """What nobody clicked.

    Parameters
    ----------
    event_us : event time of the reading that decided, or when it was due
    """
    from_level = story.judged_level if type in OF_JUDGEMENT else story.public_level
    event = _decided(story, type, from_level, level, actor=RULE, now_us=now_us, note=note, until_us=until_us)
    event = replace(event, event_us=event_us)
    return [(event, apply(story, event))]


def hear(before: Episode, *, known: bool, now_us: int) -> list[Change]:
    """Note that an open story has lost its last known evidence, or has some again. Moves no level."""
    if before.known == known:
        return []
    event = _decided(
        before,
        EventType.HEARD if known else EventType.LOST,
        before.judged_level,
        before.judged_level,
        actor=RULE,
        now_us=now_us,
    )
    return [(event, apply(before, event))]


def acknowledge(
    now: Episode, seen: Episode, actor: Actor, now_us: int, *, until_us: int | None = None, again: bool = False
) -> Sequence[Event] | Refusal:
    """Take note of the judged level that stood on the officer's screen, and answer for it for a time.

    Parameters
    ----------
    until_us : when it rings again if the level still stands
    again : take it over, or longer, although it is acknowledged
    """
    if now.seen_us is not None and seen.judged_level <= now.seen_level and not (again and now.closed_us is None):
        return Refusal(code="pointless", text=f"รับทราบแล้วโดย {now.seen_by} · already acknowledged")
    level = max(seen.judged_level, now.seen_level) if again else seen.judged_level
    return [
        _decided(
            now,
            EventType.ACKNOWLEDGED,
            now.seen_level,
            min(level, now.judged_level),
            actor=actor.account,
            now_us=now_us,
            until_us=until_us,
        )
    ]


def shelve(
    now: Episode, seen: Episode, actor: Actor, now_us: int, *, until_us: int, reason: str
) -> Sequence[Event] | Refusal:
    """Put an alarm aside, at the level that stood on the officer's screen: a higher one rings all the same."""
    level = seen.judged_level
    if now.closed_us is not None or now.judged_level == 0:
        return Refusal(code="pointless", text="ไม่มีสัญญาณเตือนที่จะพักไว้ · there is no alarm to shelve")
    if now.judged_level > level:
        return Refusal(code="changed", text="ระดับสูงขึ้นแล้ว โปรดดูอีกครั้ง · the level rose, look again")
    if level >= Level.CRITICAL:
        return Refusal(code="forbidden", text="พักระดับวิกฤตไว้คนเดียวไม่ได้ · nobody shelves a critical level alone")
    if not reason.strip() or not 0 < until_us - now_us <= SHELF_MAX_US:
        return Refusal(code="invalid", text="ต้องบอกเหตุผล และพักได้ไม่เกิน 8 ชม. · say why, for 8 h at most")
    return [
        _decided(
            now,
            EventType.SHELVED,
            now.judged_level,
            level,
            actor=actor.account,
            now_us=now_us,
            note=reason.strip(),
            until_us=until_us,
        )
    ]


def unshelve(now: Episode, actor: Actor, now_us: int) -> Sequence[Event] | Refusal:
    """Take an alarm from the shelf before its time."""
    if not now.shelved or now.closed_us is not None:
        return Refusal(code="pointless", text="ไม่ได้พักไว้ · it is not on the shelf")
    return [_decided(now, EventType.UNSHELVED, now.judged_level, now.judged_level, actor=actor.account, now_us=now_us)]


def release_needs_two(story: Episode, level: int, route: Route) -> bool:
    """From level 2, or where the route says so; what two have released, one may step up (contract 5.10)."""
    return (route.release is Release.TWO or level >= Level.WARNING) and story.public_level < Level.WARNING


def lower_needs_two(story: Episode, level: int) -> bool:
    """From public level 3, and wherever the evidence does not carry the step: the machine still judges higher, or
    knows nothing (contract 5.10, 5.11).
    """
    return story.public_level == Level.CRITICAL or story.judged_level > level or not story.known


def release(
    now: Episode, seen: Episode, level: int, actor: Actor, routes: Routes, now_us: int
) -> Sequence[Event] | Refusal:
    """Let a warning of `level` go public, or ask a second officer to: the first click is a request, another officer's
    the release.
    """
    route = routes.find(now.hazard, level)
    if now.closed_us is not None or route is None or level <= now.public_level:
        return Refusal(code="pointless", text="ประกาศระดับนี้ไม่ได้หรือประกาศไปแล้ว · nothing to release at that level")
    return _public(EventType.RELEASED, now, seen, level, actor, now_us, two=release_needs_two(now, level, route))


def lower(now: Episode, seen: Episode, level: int, actor: Actor, now_us: int) -> Sequence[Event] | Refusal:
    """Take the public warning down to `level`, or ask a second officer to."""
    if not 0 <= level < now.public_level:
        return Refusal(code="pointless", text="ไม่มีประกาศที่จะลดระดับ · no public warning above that level")
    events = _public(EventType.LOWERED, now, seen, level, actor, now_us, two=lower_needs_two(now, level))
    if isinstance(events, Refusal) or events[0].type is EventType.REQUESTED or level or now.judged_level:
        return events
    after = apply(now, events[0])
    return [*events, _decided(after, EventType.CLOSED, 0, 0, actor=actor.account, now_us=now_us)]


def _public(
    type: EventType, now: Episode, seen: Episode, level: int, actor: Actor, now_us: int, *, two: bool
) -> Sequence[Event] | Refusal:
    """Move the public level, or note the first of the two who must agree."""
    if (now.public_level, now.requested_by, now.requested_level) != (
        seen.public_level,
        seen.requested_by,
        seen.requested_level,
    ):
        return Refusal(code="changed", text="สถานการณ์เปลี่ยนไปแล้ว โปรดดูอีกครั้ง · it has changed, look again")
    asked = bool(now.requested_by) and now.requested_level == level
    if two and not asked:
        return [_decided(now, EventType.REQUESTED, now.public_level, level, actor=actor.account, now_us=now_us)]
    if two and now.requested_by == actor.account:
        return Refusal(code="same_person", text="ต้องให้เจ้าหน้าที่อีกคนอนุมัติ · a second officer must agree")
    note = f"requested by {now.requested_by}" if two else ""
    return [_decided(now, type, now.public_level, level, actor=actor.account, now_us=now_us, note=note)]


def _decided(
    episode: Episode,
    type: EventType,
    from_level: int,
    to_level: int,
    *,
    actor: str,
    now_us: int,
    note: str = "",
    until_us: int | None = None,
) -> Event:
    return Event(
        episode=episode.id,
        version=episode.version + 1,
        kind=episode.kind,
        area=episode.area,
        hazard=episode.hazard,
        type=type,
        from_level=from_level,
        to_level=to_level,
        event_us=now_us,
        recorded_us=now_us,
        actor=actor,
        note=note,
        until_us=until_us,
    )


def _id(cell: Cell, event_us: int, seq: int) -> str:
    """Named by what it is and by the reading that opened it: no two stories begin with the same one."""
    opened = f"{compact_utc(event_us)}-{seq}"
    return episode_id(kind=cell.kind, hazard=cell.hazard, area=cell.area, opened=opened)
