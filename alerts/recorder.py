"""The judge's pen: writes a decision to the ledger *if nobody wrote first*, and knows the open stories."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alerts.cells import Key, keep
from alerts.desk import Plan
from alerts.episode import AreaStatus, Episode, Event, FanOut, Kind, Notice
from alerts.ledger import CHUNK_MAX, AlertLedger, Record, VersionConflict
from alerts.lifecycle import Change
from alerts.notices import TEXTS, corrections
from alerts.settled import Settled

log = logging.getLogger(__name__)

TRIES = 5
"""How often a step is taken again when an officer wrote first."""


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Writes for one world."""

    kind: Kind
    ledger: AlertLedger
    plan: Callable[[], Plan]
    """How to plan, asked at each use."""
    now_us: Callable[[], int]
    reloaded: Callable[[], None]
    """Called after the stories were looked up anew."""
    stories: dict[Key, Episode] = field(default_factory=dict)
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
            changes = decide()
            if not changes and not statuses and not seen and not settled and through is None:
                return ()
            fanouts, failed = self._planned(changes)
            record = Record(
                kind=self.kind,
                changes=changes,
                fanouts=fanouts,
                statuses=statuses,
                notices=[*seen, *corrections(changes), *failed],
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
            self.statuses.update({(s.area, s.hazard): s for s in statuses})
            return changes
        raise VersionConflict(f"{TRIES} times somebody else wrote the next version first")

    def reload(self) -> None:
        """Stories as the ledger holds them: an officer may have written."""
        self.stories = {(e.area, e.hazard): e for e in self.ledger.episodes(self.kind, open_only=True, limit=10_000)}
        self.statuses = {(s.area, s.hazard): s for s in self.ledger.statuses(self.kind)}
        self.reloaded()

    def events(self) -> list[Event]:
        """Those of all open stories."""
        return [event for story in self.stories.values() for event in self.ledger.events(story.id)]

    def _planned(self, changes: Sequence[Change]) -> tuple[Sequence[FanOut], Sequence[Notice]]:
        """What must be sent; a message that cannot be made is an officer's matter, never a stopped judgement."""
        if not changes:
            return (), ()
        now_us = self.now_us()
        try:
            return self.plan()(changes, now_us), ()
        except Exception as error:
            event, _ = changes[-1]
            log.exception("no message could be made of %s", event.episode)
            text = f"{TEXTS['plan_failed']} ({error!r})"
            failed = Notice(
                kind=self.kind, code="plan_failed", subject=event.episode, text=text, at_us=event.recorded_us
            )
            return (), (failed,)
