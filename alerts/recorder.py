"""The judge's pen: writes a decision to the ledger *if nobody wrote first*, and knows the open stories."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alerts.cells import Key, keep
from alerts.desk import Plan
from alerts.episode import AreaStatus, Episode, Event, EventType, FanOut, Kind, Notice, Used
from alerts.ledger import CHUNK_MAX, AlertLedger, Record, VersionConflict
from alerts.lifecycle import Change
from alerts.notices import TEXTS, corrections, unanswered
from alerts.rearm import continued
from alerts.route import Routes
from alerts.settled import Settled
from sensors.stations import SECOND_US

log = logging.getLogger(__name__)

TELLING = (EventType.RELEASED, EventType.CALLED)
"""What is told with the reading that decided."""

SLACK_US = 86_400 * SECOND_US
"""A closed story is looked for so long behind its time to go on: what closed it may have been late."""

TRIES = 5
"""How often a step is taken again when an officer wrote first."""


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Writes for one world."""

    kind: Kind
    ledger: AlertLedger
    routes: Routes
    plan: Callable[[], Plan]
    """How to plan, asked at each use."""
    now_us: Callable[[], int]
    reloaded: Callable[[], None]
    """Called after the stories were looked up anew."""
    stories: dict[Key, Episode] = field(default_factory=dict)
    ended: dict[Key, Episode] = field(default_factory=dict)
    """The newest closed story of each (area, hazard) that may still go on."""
    statuses: dict[Key, AreaStatus] = field(default_factory=dict)

    def write(
        self,
        decide: Callable[[], Sequence[Change]],
        *,
        statuses: Sequence[AreaStatus] = (),
        seen: Sequence[Notice] = (),
        settled: Sequence[Settled] = (),
        through: int | None = None,
    ) -> Sequence[Change]:
        """Record a decision *if nobody wrote first*; else look again and decide again. Returns what was recorded."""
        # A rebuild from the journal settles years at once: they are written again or not at all, in short transactions.
        for a in range(0, len(settled) - CHUNK_MAX, CHUNK_MAX):
            self.ledger.record(Record(kind=self.kind, settled=settled[a : a + CHUNK_MAX]))
        settled = settled[(max(len(settled) - 1, 0) // CHUNK_MAX) * CHUNK_MAX :]
        for _ in range(TRIES):
            changes = continued(decide(), self.ended, self.routes)
            if not changes and not statuses and not seen and not settled and through is None:
                return ()
            fanouts, failed = self._planned(changes)
            record = Record(
                kind=self.kind,
                changes=changes,
                fanouts=fanouts,
                statuses=statuses,
                notices=[*seen, *corrections(changes), *unanswered(changes), *failed],
                settled=settled,
                judged_through=through,
            )
            try:
                self.ledger.record(record)
            except VersionConflict:
                self.reload()
                continue
            for change in changes:
                keep(self.stories, change)
                if change[0].type is EventType.CLOSED:
                    self.ended[change[0].area, change[0].hazard] = change[1]
            self.statuses.update({(s.area, s.hazard): s for s in statuses})
            return changes
        raise VersionConflict(f"{TRIES} times somebody else wrote the next version first")

    def reload(self) -> None:
        """Stories as the ledger holds them: an officer may have written."""
        self.refresh()
        since_us = self.now_us() - round(self.routes.rearm_max_s * SECOND_US) - SLACK_US
        closed = self.ledger.episodes(self.kind, ended_since_us=since_us, limit=10_000)
        # One of a single version was over when it was told: it speaks for the past and goes on with nothing.
        lived = sorted((e for e in closed if e.version > 1), key=lambda e: (e.closed_us or 0, e.id))
        self.ended = {(e.area, e.hazard): e for e in lived}
        self.statuses = {(s.area, s.hazard): s for s in self.ledger.statuses(self.kind)}
        self.reloaded()

    def refresh(self) -> None:
        """The open stories as officers left them."""
        before = self.stories
        self.stories = {(e.area, e.hazard): e for e in self.ledger.episodes(self.kind, open_only=True, limit=10_000)}
        for key in before.keys() - self.stories.keys():  # an officer closed it
            if (ended := self.ledger.episode(before[key].id)) is not None:
                self.ended[key] = ended

    def events(self) -> list[Event]:
        """Those of all open stories."""
        return [event for story in self.stories.values() for event in self.ledger.events(story.id)]

    def _planned(self, changes: Sequence[Change]) -> tuple[Sequence[FanOut], Sequence[Notice]]:
        """What must be sent; a message that cannot be made is an officer's matter, never a stopped judgement."""
        fanouts, failed = list[FanOut](), list[Notice]()
        now_us, stories = self.now_us(), dict[str, list[Change]]()
        for change in changes:
            stories.setdefault(change[0].episode, []).append(change)
        for id, own in stories.items():
            try:
                fanouts += self.plan()(own, now_us, used=self._grounds(own))
            except Exception as error:
                event, _ = own[-1]
                log.exception("no message could be made of %s", id)
                text = f"{TEXTS['plan_failed']} ({error!r})"
                failed.append(
                    Notice(kind=self.kind, code="plan_failed", subject=id, text=text, at_us=event.recorded_us)
                )
        return fanouts, failed

    def _grounds(self, changes: Sequence[Change]) -> Sequence[Used]:
        """The readings that last decided a story, where something must be told of them and these changes have none."""
        if changes[0][0].used or not any(event.type in TELLING for event, _ in changes):
            return ()
        return next((event.used for event in reversed(self.ledger.events(changes[0][0].episode)) if event.used), ())
