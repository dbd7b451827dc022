"""The officer's desk: every click that decides goes through here, with its actor, onto the same record as the
machine's steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from alerts import lifecycle, shelf
from alerts.episode import Episode, Event, FanOut, Kind, Used, apply
from alerts.ledger import AlertLedger, Record, VersionConflict
from alerts.people import Actor, Permission, Refusal
from alerts.route import Routes
from alerts.shelf import Scope, Silencing


class Plan(Protocol):
    """What must be sent because of some changes: `alerts.plan.plan` with its registry and routes."""

    def __call__(
        self, changes: Sequence[tuple[Event, Episode]], now_us: int, *, used: Sequence[Used] = ()
    ) -> Sequence[FanOut]: ...


MINUTE_US = 60_000_000
TRIES = 5
"""How often a decision is taken again when the machine wrote first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Decisions on episodes and notices of one world."""

    ledger: AlertLedger
    kind: Kind
    plan: Plan
    routes: Routes
    now_us: Callable[[], int]

    def acknowledge(
        self, episode: str, *, version: int, actor: Actor, minutes: float | None = None
    ) -> Episode | Refusal:
        """Take note of the story as it stood at `version`: a level that came later stays unacknowledged.

        Parameters
        ----------
        minutes : how long it is answered for; None: as the route says. Said, it also takes over or prolongs.
        """

        def taken(now: Episode, seen: Episode, at: int) -> Sequence[Event] | Refusal:
            lasts = minutes or self.routes.acknowledged_min(now.hazard, seen.judged_level)
            until_us = at + round(lasts * MINUTE_US)
            return lifecycle.acknowledge(now, seen, actor, at, until_us=until_us, again=minutes is not None)

        return self._decide(episode, version, actor, Permission.ACKNOWLEDGE, taken)

    def shelve(self, episode: str, *, version: int, minutes: float, reason: str, actor: Actor) -> Episode | Refusal:
        """Put an alarm aside, as it stood at `version`; 8 h at most, with a reason."""
        return self._decide(
            episode,
            version,
            actor,
            Permission.ACKNOWLEDGE,
            lambda now, seen, at: lifecycle.shelve(
                now, seen, actor, at, until_us=at + round(minutes * MINUTE_US), reason=reason
            ),
        )

    def unshelve(self, episode: str, *, version: int, actor: Actor) -> Episode | Refusal:
        """Take it from the shelf before its time."""
        return self._decide(
            episode, version, actor, Permission.ACKNOWLEDGE, lambda now, _, at: lifecycle.unshelve(now, actor, at)
        )

    def release(self, episode: str, *, version: int, level: int, actor: Actor) -> Episode | Refusal:
        """Ask for, agree to, or (where one suffices) do the release of `level` to the public."""
        return self._decide(
            episode,
            version,
            actor,
            Permission.RELEASE,
            lambda now, seen, at: lifecycle.release(now, seen, level, actor, self.routes, at),
        )

    def lower(self, episode: str, *, version: int, level: int, actor: Actor) -> Episode | Refusal:
        """Lower the public warning to `level`; 0 gives the all-clear."""
        return self._decide(
            episode,
            version,
            actor,
            Permission.RELEASE,
            lambda now, seen, at: lifecycle.lower(now, seen, level, actor, at),
        )

    def acknowledge_notice(self, id: int, *, actor: Actor) -> bool | Refusal:
        """Take note of a notice; False when it is not open."""
        if not actor.may(Permission.ACKNOWLEDGE):
            return _forbidden(actor)
        return self.ledger.acknowledge_notice(id, actor=actor.account, now_us=self.now_us())

    def silence(self, scope: Scope, *, level: int, minutes: float, reason: str, actor: Actor) -> Silencing | Refusal:
        """Silence the alarms of a scope up to a level; level 3 is silent once a second officer agrees."""
        if not actor.may(Permission.ACKNOWLEDGE):
            return _forbidden(actor)
        now_us = self.now_us()
        asked = shelf.ask(
            scope,
            kind=self.kind,
            level=level,
            reason=reason,
            until_us=now_us + round(minutes * MINUTE_US),
            actor=actor,
            now_us=now_us,
        )
        return asked if isinstance(asked, Refusal) else replace(asked, id=self.ledger.put_silence(asked))

    def agree_silence(self, id: int, *, actor: Actor) -> Silencing | Refusal:
        """Agree, as the second person, to a silence of level 3."""
        return self._on_silence(id, actor, lambda one, at: shelf.agree(one, actor, at))

    def end_silence(self, id: int, *, actor: Actor) -> Silencing | Refusal:
        """End a silence before its time."""
        return self._on_silence(id, actor, lambda one, at: shelf.end(one, actor, at))

    def _on_silence(
        self, id: int, actor: Actor, action: Callable[[Silencing, int], Silencing | Refusal]
    ) -> Silencing | Refusal:
        if not actor.may(Permission.ACKNOWLEDGE):
            return _forbidden(actor)
        now_us = self.now_us()
        before = next((one for one in self.ledger.silences(self.kind, after_us=now_us) if one.id == id), None)
        if before is None:
            return Refusal(code="not_found", text="ไม่มีการระงับเสียงนี้ · no such silence in force")
        after = action(before, now_us)
        if isinstance(after, Refusal) or self.ledger.change_silence(before, after):
            return after
        return Refusal(code="changed", text="มีคนเปลี่ยนไปแล้ว โปรดดูอีกครั้ง · somebody changed it, look again")

    def _decide(
        self,
        id: str,
        version: int,
        actor: Actor,
        needed: Permission,
        action: Callable[[Episode, Episode, int], Sequence[Event] | Refusal],
    ) -> Episode | Refusal:
        if not actor.may(needed):
            return _forbidden(actor)
        for _ in range(TRIES):
            current, seen, used = self._load(id, version)
            if current is None or seen is None or current.kind is not self.kind:
                return Refusal(code="not_found", text="ไม่พบเหตุการณ์นี้ · no such episode at that version")
            now_us = self.now_us()
            events = action(current, seen, now_us)
            if isinstance(events, Refusal):
                return events
            changes: list[tuple[Event, Episode]] = []
            for event in events:
                current = apply(current, event)
                changes.append((event, current))
            try:
                self.ledger.record(
                    Record(kind=self.kind, changes=changes, fanouts=self.plan(changes, now_us, used=used))
                )
            except VersionConflict:
                continue
            return current
        return Refusal(code="busy", text="สถานการณ์กำลังเปลี่ยน ลองอีกครั้ง · the situation is changing, try again")

    def _load(self, id: str, version: int) -> tuple[Episode | None, Episode | None, tuple[Used, ...]]:
        """The story as it stands, as it stood at `version`, and the readings that last decided it."""
        current = seen = None
        used: tuple[Used, ...] = ()
        for event in self.ledger.events(id):
            current = apply(current, event)
            used = event.used or used
            if event.version == version:
                seen = current
        return current, seen, used


def _forbidden(actor: Actor) -> Refusal:
    return Refusal(code="forbidden", text=f"บทบาท {actor.role} ทำรายการนี้ไม่ได้ · this role may not do that")
