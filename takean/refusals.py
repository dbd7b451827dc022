"""What was refused is kept with its reason before it is acknowledged; but no refusal may hold up a judgement."""

import logging
import time
from collections.abc import Sequence

from ingest.message import Message, Rejection
from ingest.pipeline import Refused
from ingest.quarantine import Quarantine, Row
from takean.newcomers import Newcomers

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""So long devices wait while there is no place for refusals."""


class Refusals:
    """Keeps and counts them; called by one thread at a time.

    Parameters
    ----------
    newcomers : told of those whom nobody registered; None: nobody is
    """

    def __init__(self, quarantine: Quarantine, newcomers: Newcomers | None) -> None:
        self._quarantine = quarantine
        self._newcomers = newcomers
        self._without_place_since_s: float | None = None
        self.count = sum(quarantine.count_by_reason().values())
        self.unrecorded = 0
        """Acknowledged without a record."""
        self.forgotten = quarantine.dropped
        """Records that had to make room."""

    def one(self, message: Message, rejection: Rejection, unread_bytes: int | None) -> None:
        """Keep a message that was refused as a whole, or not even read.

        Raises
        ------
        Exception : there is no place for it; the same is to be kept again
        """
        self._keep([Row.of(message, rejection, unread_bytes=unread_bytes)])

    def all(self, refused: Sequence[Refused]) -> None:
        """Keep what was refused of a batch.

        Raises
        ------
        Exception : as above
        """
        self._keep([Row.of(message, rejection) for message, rejection in refused])
        if self._newcomers is not None:
            self._newcomers.note(refused)

    def _keep(self, rows: Sequence[Row]) -> None:
        try:
            self._quarantine.put(rows)
        except Exception:
            now_s = time.monotonic()
            if self._without_place_since_s is None:
                self._without_place_since_s = now_s
            if now_s - self._without_place_since_s <= PATIENCE_S:
                raise
            self.unrecorded += len(rows)
            log.exception("%d refusals are acknowledged without a record: look at the quarantine's disk", len(rows))
        else:
            self._without_place_since_s = None
            self.forgotten = self._quarantine.dropped
        self.count += len(rows)
