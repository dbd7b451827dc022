"""The judge of one world: appends to the journal, then writes the ledger, in this order and no other.

Everything stored is judged, once, in order of arrival: after any failure or restart it goes on from the journal behind
what the ledger says was judged.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from alerts import escalation, loss, snapshot
from alerts.alarms import Alarms
from alerts.cells import Cells, keep
from alerts.columns import Told
from alerts.desk import Plan
from alerts.inputs.listeners import empty as nothing_heard
from alerts.judgement import Judged, assess
from alerts.ledger import AlertLedger, Record
from alerts.lifecycle import Change
from alerts.loss import Lost
from alerts.notices import notices
from alerts.recorder import Recorder
from alerts.settled import Settled, settled_rows
from alerts.silence import Silence, absences
from alerts.snapshot import Snapshot
from alerts.track_state import Taken, TrackState
from alerts.tracks import Tracks, shown
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.calibration import Calibration
from sensors.clocks import ClockState
from sensors.stations import SECOND_US
from sensors.store import SeriesStore, State
from sensors.window import NEVER

log = logging.getLogger(__name__)

CATCH_UP_ROWS = 50_000
SNAPSHOT_EVERY_US = 60 * SECOND_US
"""Real time (contract 4)."""
LEAP_US = 10 * SECOND_US
"""A clock is put right by a little every second; nobody who was given minutes notices less than this."""
LEDGER_PATIENCE_US = 2 * SECOND_US
"""After this long without a ledger, readings are acknowledged once stored; judgement follows from the journal
(contract 4).
"""


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
    """See the module. One thread at a time calls `start`, `take`, `tick`, `tell` and `stop`."""

    cells: Cells
    plan: Plan
    store: SeriesStore
    ledger: AlertLedger
    snapshot_path: Path | None
    now_us: Callable[[], int]
    """Judgement clock."""
    real_us: Callable[[], int]
    """Real time as it passes, from any origin: patience and snapshots go by it."""
    leapt_us: Callable[[], int] = lambda: 0
    """How far the judgement clock was moved in all, beyond its even course."""
    assess: Callable[..., Judged] = assess
    counts: Counts = field(default_factory=Counts)
    judged_seq: int = 0
    failing_since_us: int | None = None
    """Real time since which judging fails, None when all is well."""
    _tracks: Tracks = field(init=False)
    _calibration: Calibration = field(init=False)
    mark: str = field(init=False, default="")
    """Of the present rules and stations, see `snapshot.fingerprint` and `settled.Settled.rules`."""
    _state: TrackState = field(init=False)
    """After everything that was judged and recorded."""
    _stored: TrackState = field(init=False)
    """After everything that was stored: ahead of `_state` only while the ledger is away."""
    _silence: Silence = field(init=False)
    _lost: Lost = field(init=False)
    """What was lost while rising and has not spoken since: kept by the stories, remembered here."""
    _recorder: Recorder = field(init=False)
    _alarms: Alarms = field(init=False)
    _newest: tuple[ReadingBatch, Int64] | None = field(init=False, default=None)
    """What the last `take` stored, with its arrival numbers."""
    _deaths: dict[str, int] = field(init=False, default_factory=dict)
    """Station -> newest arrival number before it died, as far as the ledger does not know yet."""
    _saved_us: int = field(init=False, default=0)
    _moved_us: int = field(init=False, default=0)
    """How far the clock had leapt when people's due times were last looked at."""
    _begun: bool = field(init=False, default=False)
    """Whether the stories were brought to what the present rules say."""

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
        registry, ladders = self.cells.registry, self.cells.rules.ladders
        self._alarms = Alarms(cells=self.cells, ledger=self.ledger, now_us=self.now_us)
        self._calibration = Calibration.of(registry)
        self._tracks = Tracks(
            limits=registry.limits,
            ladders=ladders,
            shown=shown(registry),
            assess=self.assess,
            calibration=self._calibration,
        )
        self.mark = snapshot.fingerprint(registry, ladders)
        self._lost = Lost.none(len(ladders))
        self._recorder = Recorder(
            kind=self.cells.kind,
            ledger=self.ledger,
            routes=self.cells.routes,
            plan=lambda: self.plan,
            now_us=self.now_us,
            reloaded=self._recall,
        )
        empty = TrackState.empty(
            len(registry.series), len(ladders), len(self._calibration), nothing_heard(ladders.listeners)
        )
        held = snapshot.load(self.snapshot_path, self.mark, empty=empty) if self.snapshot_path else None
        if held is None or held.seq > through:
            never = np.full((3, len(registry.series)), NEVER, dtype=np.int64)
            held = Snapshot(seq=0, state=empty, quiet_us=never, listened_us=0)
        self._state, self.judged_seq, self._silence = held.state, held.seq, Silence.of(held.quiet_us)
        self._silence.die(self.ledger.deaths(self.cells.kind), self.cells)
        try:
            self._go_on()
        except Exception:  # a box that cannot judge still keeps what it is sent, and says so
            log.exception("judging cannot begin; readings are stored until it can. Look at the ledger and its disk")
            self.failing_since_us = self.real_us()
            self._stored = self._unrecorded()
        self._silence.restart(listened_us=held.listened_us, now_us=now_us)
        if self._begun:
            self.tick()

    def stop(self) -> None:
        """Write the last snapshot."""
        try:
            self._bury()
        except Exception:
            log.exception("the deaths of %s are not on the record; their age will tell", ", ".join(self._deaths))
        self._save()

    # ---- the hot path

    def take(self, batch: ReadingBatch, *, heard: bool = True) -> None:
        """Store and judge a batch; when it returns, all of it is on disk and judged.

        Parameters
        ----------
        heard : their stations sent them now; False for readings out of a file: they end nobody's silence and say
            nothing of anybody's clock

        Raises
        ------
        Exception : not safe yet; offering the same batch again is harmless. A ledger that stays away longer than its
            patience makes storage alone suffice (`healthy` is then False).
        """
        if self._is_behind:
            self._guarded(self._go_on)
        state = self.store.recognise(batch)
        new = state != State.REPEAT
        fresh, conflict = self._with_derived(batch[new], state[new] == State.CONFLICT)
        seq = self.store.last_seq() + 1 + np.arange(len(fresh), dtype=np.int64)
        taken = self._tracks.take(fresh, conflict, seq, self._stored)
        given = self.store.append(fresh, conflict, taken.flag, taken.checks)
        assert np.array_equal(given, seq), "somebody else appends to this journal"
        if heard:
            self._silence.hear(batch)
        else:
            taken = replace(taken, state=replace(taken.state, clocks=self._stored.clocks))
        self._stored = taken.state
        self._silence.speak(fresh, taken, seq, self.cells.late_us)
        self._newest = fresh, seq
        self.counts.stored += int((~conflict).sum())
        self.counts.conflict += int(conflict.sum())
        self.counts.repeat += int((~new).sum())
        if self._begun and self.judged_seq + len(fresh) == self.store.last_seq():
            self._guarded(lambda: self._record(fresh, conflict, taken, seq))
        else:
            self._guarded(self._go_on)

    def _with_derived(self, fresh: ReadingBatch, conflict: Bool) -> tuple[ReadingBatch, Bool]:
        """What was received, with what is computed from it: one commit for both."""
        if not len(self._calibration):
            return fresh, conflict
        whole = self._calibration.derive(fresh, conflict, self._stored.clocks, self._stored.counters)
        if whole is fresh:
            return fresh, conflict
        state = self.store.recognise(whole)  # a device may send itself what is computed here
        new = state != State.REPEAT
        return whole[new], state[new] == State.CONFLICT

    @property
    def clocks(self) -> ClockState:
        """What is known of the devices' clocks, after everything that was stored."""
        return self._stored.clocks

    @property
    def _is_behind(self) -> bool:
        return not self._begun or self.judged_seq < self.store.last_seq()

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

    def _record(self, batch: ReadingBatch, conflict: Bool, taken: Taken, seq: Int64) -> None:
        """Record what stored rows mean, with the cursor behind them; then remember the state after them."""
        through = max(self.judged_seq, int(seq.max(initial=0)))
        before, cells = self._state, self.cells

        def returned() -> Told:
            return loss.returns(batch, taken, seq, self._lost, cells.rules.ladders, cells.late_us)

        def changes() -> list[Change]:
            now_us = self.now_us()
            back = returned()
            told = Told.joined([taken.told, back]).in_order() if len(back) else taken.told
            stories = self._recorder.stories
            steps = cells.steps(told, before=before.live.ladders, lost=self._lost, stories=stories, now_us=now_us)
            return [*steps, *cells.past(taken.retro, now_us=now_us, there=self.ledger.episode)]

        self._recorder.write(
            changes,
            seen=notices(batch, conflict, taken, cells, steady=before.clocks.steady),
            settled=self._settled(taken.settled),
            through=through,
        )
        self._state, self.judged_seq = taken.state, through
        self._lost = self._lost.without(returned())

    def _go_on(self) -> None:
        """Judge what was stored and not judged; the first time, bring the stories to what the present rules say."""
        self._catch_up()
        if not self._begun:
            live, pen, now_us = self._state.live.ladders, self._recorder, self.now_us()
            pen.write(lambda: list(self.cells.reconciled(live, self._lost, stories=pen.stories, now_us=now_us)))
            self._begun = True

    def _unrecorded(self) -> TrackState:
        """The state after everything stored, without telling the ledger."""
        state = self._state
        for chunk in self.store.scan(after_seq=self.judged_seq, rows=CATCH_UP_ROWS):
            self._silence.hear(chunk.batch, anew=False)
            taken = self._tracks.take(chunk.batch, chunk.conflict, chunk.seq, state)
            self._silence.speak(chunk.batch, taken, chunk.seq, self.cells.late_us)
            state, _ = self._tracks.settle(taken.state)
        return state

    def _catch_up(self) -> None:
        """Judge what was stored and not judged: after a start, or after the ledger was away.

        The ledger is asked how far it got: a write may have become durable although its answer was lost. What it has
        judged is only remembered, not told again.
        """
        self._recorder.reload()
        through = self.ledger.judged_through(self.cells.kind)
        for chunk in self.store.scan(after_seq=self.judged_seq, rows=CATCH_UP_ROWS):
            told = chunk.seq <= through
            for rows, anew in ((told, False), (~told, True)):
                if rows.any():
                    batch, conflict, seq = chunk.batch[rows], chunk.conflict[rows], chunk.seq[rows]
                    self._silence.hear(batch, anew=anew)
                    taken = self._tracks.take(batch, conflict, seq, self._state)
                    self._silence.speak(batch, taken, seq, self.cells.late_us)
                    if anew:
                        self._record(batch, conflict, taken, seq)
                    else:
                        self._recorder.write(list, settled=self._settled(taken.settled))
                        self._state, self.judged_seq = taken.state, int(seq[-1])
            self._settle()
        last = self.store.last_seq()
        if through < last and self.judged_seq < last:  # the rest belongs to series that nobody registers any more
            self.ledger.record(Record(kind=self.cells.kind, judged_through=last))
        self.judged_seq, self._stored = last, self._state

    # ---- time passing

    def tick(self, *, deaf: bool = False) -> None:
        """What the clock alone decides: known or not, absence, what is settled; and the snapshot. Call about once a
        second.

        Parameters
        ----------
        deaf : nothing can be heard (the only way in is a broker that is away): the clock of absence stands still, and
            a loss while rising is proposed with this cause
        """
        self._silence.tick(self.now_us(), deaf=deaf, leapt_us=self.leapt_us())
        if self._is_behind:
            self._guarded(self._go_on)
        if not self._is_behind:  # else a turn with nothing to write would look like health
            self._guarded(lambda: self._pass_time(deaf=deaf))
        else:  # found again, and told, from where the record ends
            self._stored, _ = self._tracks.settle(self._stored)
        if self.real_us() - self._saved_us >= SNAPSHOT_EVERY_US:
            self._save()

    def died(self, station: str, at_us: int) -> None:
        """A device is gone: what it said is stale until it says something new (contract 5.1). On the record with the
        next tick.

        Parameters
        ----------
        at_us : arrival of the word; readings of the last batch that arrived behind it speak
        """
        before = self.store.last_seq()
        if self._newest is not None:
            batch, seq = self._newest
            behind = np.isin(batch.series, self.cells.own.get(station, ())) & (batch.received_us > at_us)
            before = int(seq[behind].min(initial=before + 1)) - 1
        self._deaths[station] = before
        self._silence.die({station: before}, self.cells)

    def is_gone(self, station: str) -> bool:
        """Whether the device of a station died and has said nothing usable since. Callable from any thread."""
        return bool(self._silence.stale()[self.cells.own[station]].all())

    def _bury(self) -> None:
        """Write the deaths that the ledger does not know."""
        if self._deaths:
            self.ledger.record(Record(kind=self.cells.kind, deaths=self._deaths))
            self._deaths = {}

    def tell(self, code: str, subject: str, text: str) -> None:
        """An alarm of the box itself, as a notice: now, or with the next tick when the ledger is away.

        Parameters
        ----------
        code : a key of `notices.TEXTS`
        subject : what it is about; one open notice for each (code, subject)
        text : details behind the text of the code
        """
        self._alarms.tell(code, subject, text)

    def _pass_time(self, *, deaf: bool) -> None:
        now_us, cells, recorder = self.now_us(), self.cells, self._recorder
        self._alarms.ring()
        self._bury()
        self._settle()
        recorder.refresh()
        live, due_us = self._state.live, self._silence.due_us(cells)
        asked = self._silence.unexamined(due_us, now_us)
        ladders, registry, seq = cells.rules.ladders, cells.registry, self.judged_seq
        stale = self._silence.stale()
        found = loss.missed(live, self._lost, due_us, asked, ladders=ladders, registry=registry, seq=seq)

        def changes() -> list[Change]:
            stories, made = dict(recorder.stories), list[Change]()
            new = [one for one in found if not self._lost.level[one.ladder]]  # the stories may know some by now

            def add(step: Iterable[Change]) -> None:
                for change in step:
                    keep(stories, change)
                    made.append(change)

            add(list(cells.followed(live.ladders, stale=stale, stories=stories, now_us=now_us)))
            add(list(cells.heard(live.ladders, stale=stale, stories=stories, now_us=now_us)))
            before, standing = live.ladders, dict(stories)
            add(cells.missed(new, before=before, lost=self._lost, stories=standing, deaf=deaf, now_us=now_us))
            add(absences(cells, self._silence, seq=seq, stories=dict(stories), now_us=now_us))
            return made

        lost = self._lost.joined(found)
        statuses = cells.statuses(live.ladders, lost, stale=stale, there=recorder.statuses, now_us=now_us)
        for change in recorder.write(changes, statuses=statuses):
            self._silence.forget(change, cells)
        self._lost = lost
        self._silence.examine(asked)
        self._alarms.look_at_clock(self._state.clocks, now_us)
        self._wait_for_people(now_us)

    def _wait_for_people(self, now_us: int) -> None:
        """Who is called next, and what is over that people set (contract 5.7, 5.9)."""
        recorder, leapt_us = self._recorder, self.leapt_us() - self._moved_us
        if abs(leapt_us) < LEAP_US:
            leapt_us = 0

        def due() -> list[Change]:
            stories = recorder.stories.values()
            rang_us = min((story.rang_us for story in stories), default=None)
            silences = () if rang_us is None else self.ledger.silences(self.cells.kind, after_us=rang_us)
            return list(
                escalation.pending(
                    stories,
                    routes=self.cells.routes,
                    silences=silences,
                    above=self._above,
                    now_us=now_us,
                    leapt_us=leapt_us,
                )
            )

        recorder.write(due)
        self._moved_us += leapt_us

    def _above(self, area: str) -> Sequence[str]:
        """The area and those above it; of a station or gateway itself alone."""
        registry = self.cells.registry
        return registry.ancestors(area) if area in registry.areas else (area,)

    def _settle(self) -> None:
        """Write what became final, then forget how it came about."""
        state, told = self._tracks.settle(self._state)
        self._recorder.write(list, settled=self._settled(told))
        self._state = state
        if self.judged_seq == self.store.last_seq():
            self._stored = state

    # ---- small things

    def _settled(self, told: Told) -> list[Settled]:
        cells = self.cells
        return settled_rows(told, kind=cells.kind, rules=self.mark, ladders=cells.rules.ladders)

    def _recall(self) -> None:
        """The stories know what was lost while rising."""
        cells = self.cells
        self._lost = Lost.recalled(self._recorder.events(), cells.rules.ladders, cells.registry)

    def _save(self) -> None:
        self._saved_us = self.real_us()
        if self.snapshot_path is not None:
            seq, quiet_us = self.judged_seq, self._silence.kept()
            held = Snapshot(seq=seq, state=self._state, quiet_us=quiet_us, listened_us=self.now_us())
            snapshot.save(self.snapshot_path, held, self.mark)
