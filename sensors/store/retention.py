"""What is kept how long: rows leave the journal for the files of their days, day files leave for the hours of their
month. Nothing leaves before its next place is on disk and nobody needs it where it is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sensors.store import DAY_US
from sensors.store.archive import Archive, Held
from sensors.store.days import file_of
from sensors.store.duck import DuckStore
from sensors.store.retention_policy import Policy
from sensors.store.retention_rows import Trimmed
from sensors.store.rollup import Rollups

KEEP_ROWS = 1_000
"""The newest rows stay, however old: they say when the last one came, and that a file is of this journal."""
REMEMBER_ROWS = 100_000
"""The next start looks at no more rows than so many for what is newest of each series."""

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Retention:
    """Call `turn` again and again from one background thread.

    Parameters
    ----------
    needed_from_seq : the oldest row that somebody still has to read from the journal: the judge, a mirror
    """

    store: DuckStore
    archive: Archive
    rollups: Rollups
    policy: Policy
    now_us: Callable[[], int]
    needed_from_seq: Callable[[], int]
    _remembered_seq: int = 0

    def turn(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Write what is due, then let go of what is safe elsewhere.

        Raises
        ------
        OSError : no room, or a folder cannot be written
        """
        self.archive.write_due(stop)
        held = self.archive.held()
        self.rollups.update({day: _told(file) for day, file in held.items()}, stop)
        if self.store.last_seq() - self._remembered_seq >= REMEMBER_ROWS:
            self._remember()
        self._trim(held, stop)
        self._forget(held)

    def _remember(self) -> None:
        through = self.store.last_seq()
        self.store.remember_newest()
        self._remembered_seq = through

    def _trim(self, held: dict[int, Held], stop: Callable[[], bool]) -> None:
        last_day = self.archive.last_closed() - self.policy.journal_days
        trimmed = self.store.trimmed
        due = {day: self.archive.newest_seq(day) for day in sorted(held) if day <= last_day}
        due = {
            day: seq
            for day, seq in due.items()
            if seq <= held[day].through_seq  # else a late row came just now, which the file does not hold yet
            and (day not in trimmed.days or trimmed.days[day].through_seq < seq)
        }
        if not due:
            return
        safe_seq = min(self.needed_from_seq() - 1, self.store.last_seq() - KEEP_ROWS)
        due = {day: seq for day, seq in due.items() if seq <= safe_seq}
        if due and self._remembered_seq < max(due.values()):
            self._remember()
        for day, seq in due.items():
            if stop():
                break
            file = held[day]
            rows = trimmed.trim(day, Trimmed(through_seq=seq, file_seq=file.through_seq, mark=file.mark))
            log.info("%d readings of %s left the journal", rows, file_of(self.archive.folder, day).stem)
        if due:
            self.store.checkpoint()

    def _forget(self, held: dict[int, Held]) -> None:
        trimmed = self.store.trimmed
        before = trimmed.oldest
        for day in sorted(held)[: -self.policy.days]:
            left = day in trimmed.days and trimmed.days[day].through_seq >= self.archive.newest_seq(day)
            if not left or self.rollups.made.get(day) != _told(held[day]):
                break
            before = day + 1
        if before > trimmed.oldest:
            trimmed.forget(before)
        self.archive.unlink_before(trimmed.oldest)
        if self.archive.has_strays():
            received_us = self.now_us() - self.policy.journal_days * DAY_US
            rows = trimmed.drop_strays(received_before_us=received_us, through_seq=self.needed_from_seq() - 1)
            if rows:
                log.warning("%d readings of days that are no longer kept have left the journal", rows)


def _told(file: Held) -> str:
    return f"{file.through_seq} {file.mark} {file.revised}"
