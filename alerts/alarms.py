"""Alarms of the box itself, as notices: kept until the ledger has them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from alerts.cells import Cells
from alerts.episode import Notice
from alerts.ledger import AlertLedger, Record
from alerts.notices import TEXTS
from sensors.box_clock import box_is_wrong
from sensors.clocks import ClockState

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Alarms:
    """Those of one world."""

    cells: Cells
    ledger: AlertLedger
    now_us: Callable[[], int]
    _waiting: dict[tuple[str, str], Notice] = field(default_factory=dict)
    _box_wrong: bool = False

    def tell(self, code: str, subject: str, text: str) -> None:
        """Say it now, or at the next `ring` when the ledger is away; see `Judge.tell`."""
        known = TEXTS.get(code, code)  # no alarm is lost for want of words
        words = f"{known}: {text}" if text else known
        self._waiting[code, subject] = Notice(
            kind=self.cells.kind, code=code, subject=subject, text=words, at_us=self.now_us()
        )
        try:
            self.ring()
        except Exception:
            log.exception("an alarm waits for the ledger: %s", words)

    def ring(self) -> None:
        """Write what waits."""
        if self._waiting:
            self.ledger.record(Record(kind=self.cells.kind, notices=list(self._waiting.values())))
            self._waiting.clear()

    def look_at_clock(self, clocks: ClockState, now_us: int) -> None:
        """Say it once when most stations begin to disagree with this box's clock (contract 5.14)."""
        wrong = box_is_wrong(clocks, self.cells.station, now_us)
        if wrong and not self._box_wrong:
            self.tell("box_clock", "box", "")
        self._box_wrong = wrong
