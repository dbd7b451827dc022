"""One mirror: what the journal holds, sent on in order of arrival to a server that may be away for a month."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np

from sensors.store import Away, TooSlow, cursor
from sensors.store.arrivals import Arrivals, Feed, Word
from sensors.store.cursor import Kept
from sensors.store.fitting import Fitting, Limits
from sensors.store.lines import head, lines
from sensors.store.resend import Progress
from sensors.store.writer import Busy, Target

log = logging.getLogger(__name__)

ROWS = 5_000
"""Of a chunk: less than the megabyte of text that proxies let through."""
IDLE_S = 1.0
"""How often the journal is asked while there is nothing new, and the server while there is."""
LOOK_EVERY_S = 5.0
SHARE_MAX = 0.05
"""Of the time, the journal is kept busy by a mirror that catches up: it has rivers to watch. A journal that answers
slowly, because it is busy, is asked less often."""
WAIT_S, WAIT_S_MAX = 0.5, 30.0
"""After a failure; twice as long after each that follows, up to half shorter by chance."""
KEEP_EVERY_S = 5.0
"""How often the cursor is written down: an older one only means to send more again."""
HEADS_MAX = 100_000


@dataclass(slots=True, kw_only=True)
class Mirror:
    """Call `turn` again and again from one thread; it keeps its own counsel of when.

    Parameters
    ----------
    kind : of the world, a tag of every line
    path : the cursor's file; without one everything is sent again, which changes nothing
    clock : seconds that never go back
    """

    name: str
    kind: str
    limits: Limits
    target: Target
    feed: Feed
    path: Path
    clock: Callable[[], float]
    random: Random
    progress: Progress = field(init=False)
    reason: str = field(init=False, default="")
    _fitting: Fitting = field(init=False)
    _marks: dict[int, str] = field(init=False, default_factory=dict)
    """Number -> mark of the rows at which a chunk ended, from `settled` on."""
    _chunk: Arrivals | None = field(init=False, default=None)
    _heads: dict[str, str | None] = field(init=False, default_factory=dict)
    _counted: int = field(init=False)
    _refused: Counter[str] = field(init=False)
    _dropped: int = field(init=False, default=0)
    _looked_s: float = field(init=False, default=float("-inf"))
    _kept: Kept = field(init=False)
    _kept_s: float = field(init=False, default=float("-inf"))
    _failures: int = field(init=False, default=0)
    _rest_until_s: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self._kept = kept = cursor.load(self.path)
        self.progress = Progress(settled=kept.settled)
        self._marks[kept.settled] = kept.mark
        self._counted, self._refused = kept.counted, Counter(kept.refused)
        self._fitting = Fitting(self.limits)

    def turn(self) -> float:
        """Do the next thing; how many seconds nothing else is to be done.

        Raises
        ------
        OSError : the cursor cannot be written down; rows were sent all the same
        """
        now_s = self.clock()
        if now_s < self._rest_until_s:
            return min(IDLE_S, self._rest_until_s - now_s)
        if self._chunk is None and not self._ask():
            return IDLE_S
        assert self._chunk is not None
        has_rows = self._chunk.through_seq > self.progress.sent
        try:
            if now_s - self._looked_s >= LOOK_EVERY_S and self._look():
                return 0.0
            if has_rows:
                self._send(self._chunk)
        except Away as error:
            return self._failed(error)
        self._failures, self.reason = 0, ""
        self._chunk = None
        if self.clock() - self._kept_s >= KEEP_EVERY_S:
            self.keep()
        return max(0.0, min(IDLE_S, self._rest_until_s - self.clock())) if has_rows else IDLE_S

    def word(self) -> Word:
        """For whoever watches."""
        waiting = self._chunk is not None and len(self._chunk.seq) > 0
        dropped = {"dropped": self._dropped} if self._dropped else {}
        return Word(
            name=self.name,
            sent_seq=self.progress.sent,
            waiting_us=int(self._chunk.received_us.min()) if waiting and self._chunk is not None else None,
            reason=self.reason,
            refused={**self._refused, **dropped},
        )

    def keep(self) -> None:
        """Write the cursor down; where somebody has taken it away, everything is to be sent again."""
        if self._kept.counted and not self.path.exists():
            log.warning("mirror %s: its cursor was taken away; everything is sent again", self.name)
            self._begin_anew()
        settled = self.progress.settled
        self._marks = {seq: mark for seq, mark in self._marks.items() if seq >= settled}
        kept = Kept(settled=settled, mark=self._marks[settled], counted=self._counted, refused=dict(self._refused))
        self._kept_s = self.clock()
        if kept == self._kept:
            return
        cursor.save(self.path, kept)
        self._kept = kept

    # ---- one step each

    def _ask(self) -> bool:
        sent, asked_s = self.progress.sent, self.clock()
        try:
            rows = self.feed.after(sent, mark=self._marks[sent], rows=ROWS)
        except (Away, TooSlow) as error:
            log.info("mirror %s: the journal could not be asked: %s", self.name, error)
            return False
        finally:  # it was kept busy whether or not it answered
            self._rest_until_s = asked_s + (self.clock() - asked_s) / SHARE_MAX
        if not rows.same:
            log.warning("mirror %s: the journal is another one than before; everything is sent again", self.name)
            self._begin_anew()
            self._counted = 0
            return False
        self._chunk = rows
        return True

    def _begin_anew(self) -> None:
        self.progress.anew()
        self._fitting = Fitting(self.limits)
        self._marks = {0: ""}
        self._chunk = None

    def _look(self) -> bool:
        """Ask the server which life it is in; whether rows must be sent again."""
        asked_s = self.clock()
        life = self.target.look()
        self._looked_s, self._dropped = asked_s, life.dropped
        if self.progress.alive(life.mark, asked_s):
            log.warning("mirror %s: the server was started anew; sending again from %d", self.name, self.progress.sent)
            self._chunk = None
            return True
        return False

    def _send(self, rows: Arrivals) -> None:
        fitted = self._fitting.fit(rows)
        heads = [self._head(key) for key in rows.keys]
        nameable = np.array([text is not None for text in heads], dtype=np.bool_)[rows.series]
        at = np.flatnonzero(fitted.send & nameable)
        bodies = lines(
            [text or "" for text in heads],
            rows.series[at].tolist(),
            time_us=rows.time_us[at],
            value=rows.value[at],
            flag=rows.flag[at],
            valued=fitted.valued[at],
        )
        refused = self.target.write(bodies)
        new = rows.seq > self._counted
        for reason, mask in {**fitted.refused, "name": fitted.send & ~nameable}.items():
            self._count(reason, int((mask & new).sum()))
        for i, said in refused:
            if new[at[i]]:
                self._count("server", 1)
                log.warning("mirror %s refused a line: %s | %s", self.name, said, bodies[i].decode())
        self.progress.acknowledged(rows.through_seq, self.clock())
        self._marks[rows.through_seq] = rows.mark
        self._counted = max(self._counted, rows.through_seq)

    def _count(self, reason: str, rows: int) -> None:
        if rows:
            self._refused[reason] += rows

    def _head(self, key: str) -> str | None:
        if key not in self._heads:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            try:
                self._heads[key] = head(key, self.kind)
            except ValueError:
                self._heads[key] = None
        return self._heads[key]

    def _failed(self, error: Away) -> float:
        if not self.reason:
            log.warning("mirror %s: %s", self.name, error)
        self.reason = str(error)
        self._looked_s = float("-inf")  # it may come back as another
        if not isinstance(error, Busy) and self.progress.lost():
            self._chunk = None
        wait_s = min(WAIT_S_MAX, WAIT_S * 2.0 ** min(self._failures, 10)) * self.random.uniform(0.5, 1.0)
        self._failures += 1
        self._rest_until_s = max(self._rest_until_s, self.clock() + wait_s)
        return min(IDLE_S, wait_s)
