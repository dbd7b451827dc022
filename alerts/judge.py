"""The judge of one world: appends to the journal, then writes the ledger, in this order and no other.

Everything stored is judged, once, in order of arrival: after any failure or restart it goes on from the journal behind
what the ledger says was judged.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alerts import snapshot
from alerts.cells import Cells, Key, keep
from alerts.desk import Plan
from alerts.episode import AreaStatus, Episode, FanOut, Notice
from alerts.judgement import Judged, JudgeState, assess
from alerts.ledger import AlertLedger, Record, VersionConflict
from alerts.lifecycle import Change
from alerts.notices import TEXTS, notices
from alerts.snapshot import Snapshot
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.stations import SECOND_US
from sensors.store import Journal, SeriesStore, State
from sensors.window import NEVER

log = logging.getLogger(__name__)

CATCH_UP_ROWS = 50_000
SNAPSHOT_EVERY_US = 60 * SECOND_US
"""Real time (contract 4)."""
LEDGER_PATIENCE_US = 2 * SECOND_US
"""After this long without a ledger, readings are acknowledged once stored; judgement follows from the journal
(contract 4).
"""
TRIES = 5
"""How often a step is taken again when an officer wrote first."""


class StaleJournal(Exception):
    """The ledger has judged readings that this journal does not hold: they do not belong together."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """What passed, for /metrics."""

    stored: int = 0
    repeat: int = 0
    conflict: int = 0


@dataclass(slots=True, kw_only=True)
class Judge:
    """See the module. One thread calls `start`, `take`, `tick` and `stop`."""

    cells: Cells
    plan: Plan
    store: SeriesStore
    ledger: AlertLedger
    snapshot_path: Path | None
    now_us: Callable[[], int]
    """Judgement clock."""
    real_us: Callable[[], int]
    assess: Callable[..., Judged] = assess
    counts: Counts = field(default_factory=Counts)
    judged_seq: int = 0
    failing_since_us: int | None = None
    """Real time since which judging fails, None when all is well."""
    _state: JudgeState = field(init=False)
    """After everything that was judged and recorded."""
    _stored: JudgeState = field(init=False)
    """After everything that was stored: ahead of `_state` only while the ledger is away."""
    _quiet_us: Int64 = field(init=False)
    """(series,) since when each has been silent while we listened."""
    _arrived: Bool = field(init=False)
    """(series,) whether anything has come since the start, or since its absence began."""
    _stories: dict[Key, Episode] = field(init=False, default_factory=dict)
    _statuses: dict[Key, AreaStatus] = field(init=False, default_factory=dict)
    _saved_us: int = field(init=False, default=0)

    # ---- start and stop

    def start(self) -> None:
        """Load the newest snapshot, judge the journal behind it, bring the stories to what the rules say now.

        Raises
        ------
        StaleJournal : see there
        """
        through, now_us = self.ledger.judged_through(self.cells.kind), self.now_us()
        if through > self.store.last_seq():
            raise StaleJournal(
                f"the ledger has judged readings up to {through}, the journal ends at {self.store.last_seq()}: "
                "they do not belong together; restore both from one backup"
            )
        size = len(self.cells.registry.series)
        held = snapshot.load(self.snapshot_path, self._mark()) if self.snapshot_path else None
        if held is not None and held.seq <= through:
            self._state, self.judged_seq, self._quiet_us = held.state, held.seq, held.quiet_us.copy()
            listened_us = held.listened_us
        else:
            self._state = JudgeState.empty(size, len(self.cells.rules.ladders))
            self._quiet_us, listened_us = np.full(size, NEVER, dtype=np.int64), 0
        self._arrived = np.zeros(size, dtype=np.bool_)
        self._catch_up()
        self._stored = self._state
        # The clock of absence stands still while we were not listening, and starts for a series never heard.
        heard = self._quiet_us != NEVER
        listened_us = max(listened_us, int(self._quiet_us[heard].max(initial=0)))
        self._quiet_us[~heard] = now_us
        self._quiet_us[heard] += max(0, now_us - listened_us)
        self._write(lambda: list(self.cells.reconciled(self._state.ladders, stories=self._stories, now_us=now_us)))
        self.tick()

    def stop(self) -> None:
        """Write the last snapshot."""
        self._save()

    # ---- the hot path

    def take(self, batch: ReadingBatch) -> None:
        """Store and judge a batch; when it returns, all of it is on disk and judged.

        Raises
        ------
        Exception : not safe yet; offering the same batch again is harmless. A ledger that stays away longer than its
            patience makes storage alone suffice (`healthy` is then False).
        """
        if self.judged_seq < self.store.last_seq():
            self._guarded(self._catch_up)
        state = self.store.recognise(batch)
        new = state != State.REPEAT
        fresh, conflict = batch[new], state[new] == State.CONFLICT
        judged = self._judged(fresh, conflict, self._stored)
        seq = self.store.append(fresh, conflict, judged.flag, judged.checks)
        self._stored = judged.state
        self._hear(batch)
        self.counts.stored += int((~conflict).sum())
        self.counts.conflict += int(conflict.sum())
        self.counts.repeat += len(batch) - len(fresh)
        if self.judged_seq + len(fresh) == self.store.last_seq():
            self._guarded(lambda: self._settle(fresh, conflict, judged, seq))
        else:
            self._guarded(self._catch_up)

    @property
    def healthy(self) -> bool:
        """Whether what is stored is being judged."""
        return self.failing_since_us is None

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            now_us = self.real_us()
            if self.failing_since_us is None:
                self.failing_since_us = now_us
                log.exception("judging fails; it is tried again. Look at the ledger and its disk")
            if now_us - self.failing_since_us <= LEDGER_PATIENCE_US:
                raise
        else:
            if self.failing_since_us is not None:
                log.warning("judging works again")
            self.failing_since_us = None

    def _settle(self, batch: ReadingBatch, conflict: Bool, judged: Judged, seq: Int64) -> None:
        """Record what stored rows mean, with the cursor behind them; then remember the state after them."""
        through = max(self.judged_seq, int(seq.max(initial=0)))
        self._write(
            lambda: list(
                self.cells.steps(
                    batch, judged, seq, before=self._state.ladders, stories=self._stories, now_us=self.now_us()
                )
            ),
            seen=notices(batch, conflict, judged, self.cells),
            through=through,
        )
        self._state, self.judged_seq = judged.state, through

    def _catch_up(self) -> None:
        """Judge what was stored and not judged: after a start, or after the ledger was away.

        The ledger is asked how far it got: a write may have become durable although its answer was lost. What it has
        judged is only remembered, not told again.
        """
        self._reload()
        through = self.ledger.judged_through(self.cells.kind)
        for chunk in self._journal():
            told = chunk.seq <= through
            for rows, anew in ((told, False), (~told, True)):
                if rows.any():
                    batch, conflict, seq = chunk.batch[rows], chunk.conflict[rows], chunk.seq[rows]
                    self._hear(batch, anew=anew)
                    judged = self._judged(batch, conflict, self._state)
                    if anew:
                        self._settle(batch, conflict, judged, seq)
                    else:
                        self._state, self.judged_seq = judged.state, int(seq[-1])
        last = self.store.last_seq()
        if through < last and self.judged_seq < last:  # the rest belongs to series that nobody registers any more
            self.ledger.record(Record(kind=self.cells.kind, judged_through=last))
        self.judged_seq = last

    # ---- time passing

    def tick(self) -> None:
        """What the clock alone decides: known or not, absence; and the snapshot. Call about once a second."""
        if self.judged_seq < self.store.last_seq():
            self._guarded(self._catch_up)
        if self.judged_seq == self.store.last_seq():  # else a turn with nothing to write would look like health
            self._guarded(self._pass_time)
        if self.real_us() - self._saved_us >= SNAPSHOT_EVERY_US:
            self._save()

    def _pass_time(self) -> None:
        now_us, ladders = self.now_us(), self._state.ladders
        np.minimum(self._quiet_us, now_us, out=self._quiet_us)  # a clock put back makes no silence younger than now

        def changes() -> list[Change]:
            stories, found = dict(self._stories), list[Change]()

            def add(step: Iterable[Change]) -> None:
                for change in step:
                    keep(stories, change)
                    found.append(change)

            add(list(self.cells.followed(ladders, stories=stories, now_us=now_us)))
            add(list(self.cells.heard(ladders, stories=stories, now_us=now_us)))
            add(
                self.cells.absences(
                    self._quiet_us, self._arrived, seq=self.judged_seq, stories=dict(stories), now_us=now_us
                )
            )
            return found

        for change in self._write(changes, statuses=self.cells.statuses(ladders, there=self._statuses, now_us=now_us)):
            self._forget_arrivals(change)

    def _forget_arrivals(self, change: Change) -> None:
        """From the beginning of an absence on, only a new arrival ends it."""
        event, story = change
        stations = list(self.cells.registry.stations)
        if event.version == 1 and story.area in stations:
            self._arrived[self.cells.watched[stations.index(story.area)]] = False

    # ---- the ledger

    def _write(
        self,
        decide: Callable[[], Sequence[Change]],
        *,
        statuses: Sequence[AreaStatus] = (),
        seen: Sequence[Notice] = (),
        through: int | None = None,
    ) -> Sequence[Change]:
        """Record a decision *if nobody wrote first*; else look again and decide again. Returns what was recorded."""
        for _ in range(TRIES):
            changes = decide()
            if not changes and not statuses and not seen and through is None:
                return ()
            fanouts, failed = self._planned(changes)
            record = Record(
                kind=self.cells.kind,
                changes=changes,
                fanouts=fanouts,
                statuses=statuses,
                notices=[*seen, *failed],
                judged_through=through,
            )
            try:
                self.ledger.record(record)
            except VersionConflict:
                self._reload()
                continue
            for change in changes:
                keep(self._stories, change)
            self._statuses.update({(s.area, s.hazard): s for s in statuses})
            return changes
        raise VersionConflict(f"{TRIES} times somebody else wrote the next version first")

    def _planned(self, changes: Sequence[Change]) -> tuple[Sequence[FanOut], Sequence[Notice]]:
        """What must be sent; a message that cannot be made is an officer's matter, never a stopped judgement."""
        if not changes:
            return (), ()
        now_us = self.now_us()
        try:
            return self.plan(changes, now_us), ()
        except Exception as error:
            event, _ = changes[-1]
            log.exception("no message could be made of %s", event.episode)
            text = f"{TEXTS['plan_failed']} ({error!r})"
            failed = Notice(
                kind=self.cells.kind, code="plan_failed", subject=event.episode, text=text, at_us=event.recorded_us
            )
            return (), (failed,)

    def _reload(self) -> None:
        """Stories as the ledger holds them: an officer may have written."""
        kind = self.cells.kind
        self._stories = {(e.area, e.hazard): e for e in self.ledger.episodes(kind, open_only=True, limit=10_000)}
        self._statuses = {(s.area, s.hazard): s for s in self.ledger.statuses(kind)}

    # ---- small things

    def _judged(self, batch: ReadingBatch, conflict: Bool, state: JudgeState) -> Judged:
        return self.assess(batch, conflict, state, limits=self.cells.registry.limits, ladders=self.cells.rules.ladders)

    def _journal(self) -> Iterator[Journal]:
        yield from self.store.scan(after_seq=self.judged_seq, rows=CATCH_UP_ROWS)

    def _hear(self, batch: ReadingBatch, *, anew: bool = True) -> None:
        np.maximum.at(self._quiet_us, batch.series, batch.received_us)
        self._arrived[batch.series] |= anew

    def _save(self) -> None:
        self._saved_us = self.real_us()
        if self.snapshot_path is not None:
            held = Snapshot(seq=self.judged_seq, state=self._state, quiet_us=self._quiet_us, listened_us=self.now_us())
            snapshot.save(self.snapshot_path, held, self._mark())

    def _mark(self) -> str:
        return snapshot.fingerprint(self.cells.registry, self.cells.rules.ladders)
