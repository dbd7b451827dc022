"""What the worker knows of the mirrors: each tells it every second how it is. Callable from any thread."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from api.deps import MirrorStatus
from sensors.store.arrivals import Word

ALARM_AFTER_S = 600.0
"""A restart of a server is no alarm; a mirror that has been behind for so long is."""
SILENT_S = 15.0
"""A mirror that says nothing for so long does not run."""


@dataclass(slots=True)
class _Seen:
    since_us: int
    """When it was last known to hold everything, or the watch began."""
    word: Word | None = None
    heard_us: int = 0
    told_away: bool = False
    told_refused: int = 0


class MirrorWatch:
    """How far each mirror is, and what a technician must be told.

    Parameters
    ----------
    names : of the mirrors
    last_seq : newest number of the journal
    now_us : the clock that stamps arrivals
    """

    def __init__(self, names: Sequence[str], *, last_seq: Callable[[], int], now_us: Callable[[], int]) -> None:
        self._last_seq = last_seq
        self._now_us = now_us
        self._lock = threading.Lock()
        self._seen = {name: _Seen(now_us()) for name in names}

    def hear(self, word: Word) -> None:
        """A mirror says how it is; one that is not configured here is not listened to."""
        now_us, last_seq = self._now_us(), self._last_seq()
        with self._lock:
            seen = self._seen.get(word.name)
            if seen is not None:
                seen.word, seen.heard_us = word, now_us
                if word.sent_seq >= last_seq:
                    seen.since_us = now_us

    def status(self) -> list[MirrorStatus]:
        """Of each mirror."""
        now_us, last_seq = self._now_us(), self._last_seq()
        with self._lock:
            return [_status(name, seen, last_seq, now_us) for name, seen in self._seen.items()]

    def alarms(self) -> Iterator[tuple[str, str, str]]:
        """Code, mirror and text of what is new: once for each time it falls behind, and for refusals once each time
        they have doubled.
        """
        for told in self.status():
            seen = self._seen[told.name]
            if told.lag_s < ALARM_AFTER_S:
                seen.told_away = False
            elif not seen.told_away:
                seen.told_away = True
                n, why = told.backlog_rows, told.reason or "it is slow"
                yield "mirror_away", told.name, f"ค้างส่ง {n} ค่า · {n} readings wait; {why}"
            refused = sum(told.refused.values())
            if refused and refused >= 2 * seen.told_refused:
                seen.told_refused = refused
                reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(told.refused.items()))
                yield "mirror_refused", told.name, reasons


def _status(name: str, seen: _Seen, last_seq: int, now_us: int) -> MirrorStatus:
    word = seen.word
    backlog = max(0, last_seq - (word.sent_seq if word is not None else 0))
    since_us = seen.since_us
    if word is not None and word.waiting_us is not None and word.sent_seq < last_seq:
        since_us = word.waiting_us
    silent_s = (now_us - (seen.heard_us if word is not None else seen.since_us)) / 1e6
    reason = word.reason if word is not None else ""
    if silent_s > SILENT_S:
        reason = f"its process has said nothing for {silent_s:.0f} s"
    return MirrorStatus(
        name=name,
        backlog_rows=backlog,
        lag_s=max(0.0, (now_us - since_us) / 1e6) if backlog else 0.0,
        reason=reason,
        refused=dict(word.refused) if word is not None else {},
    )
