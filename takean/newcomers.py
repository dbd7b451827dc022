"""Devices that nobody registered: noted while they speak, and taken in with what they said once they are adopted."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ingest import codecs
from ingest.message import Message, Reason
from ingest.pipeline import Refused, assemble
from ingest.quarantine import Quarantine
from ingest.source import Sources
from ingest.unregistered import Seen, Unregistered, sights
from sensors.batch import ReadingBatch

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
"""Payloads taken in at a time: what arrives meanwhile waits for them."""


class Newcomers:
    """The worker's side of the list. Its methods are called by one thread at a time.

    Parameters
    ----------
    index : (station, reading name) -> series
    take : stores and judges
    now_us : clock of judgement
    """

    def __init__(
        self,
        listed: Unregistered,
        *,
        quarantine: Quarantine,
        sources: Sources,
        index: Mapping[tuple[str, str], int],
        take: Callable[[ReadingBatch], object],
        now_us: Callable[[], int],
    ) -> None:
        self._listed = listed
        self._quarantine = quarantine
        self._sources = sources
        self._index = index
        self._take = take
        self._now_us = now_us
        # Codecs may remember what a node last said of itself; what is looked at here is not what comes now.
        self._shown, self._replayed = codecs.standard(), codecs.standard()
        self._adopted = deque[Seen](seen for seen in listed.list() if self._is_registered(seen.topic))
        self._before: int | None = None
        self._count = 0

    def note(self, refused: Sequence[Refused]) -> None:
        """Bring the list up to date. Whatever fails here, the refusals are kept: it is a list for people."""
        theirs = []
        for message, rejection in refused:
            source = self._sources.find(message.topic) if rejection.reason is Reason.UNREGISTERED else None
            if source is not None:
                theirs.append((message, source))
        try:
            self._listed.put(sights(theirs, self._shown))
        except Exception:
            log.exception("the list of the unregistered could not be written")

    def take_in(self) -> None:
        """Take in some of what adopted devices said before; the rest at the next call.

        The newest payloads come first, and of these the newest readings: what is further behind them than the bound of
        lateness speaks for the past, and calls nobody. All of it arrives now; when it came counts only where a payload
        dates its readings by that. It ends nobody's silence.

        Raises
        ------
        Exception : they could not be stored and judged; the next call tries again
        """
        if not self._adopted:
            return
        rows = self._quarantine.of_reason(Reason.UNREGISTERED, limit=ROWS_AT_ONCE, before_id=self._before)
        messages = [
            Message(row.topic, row.head, row.at_us, row.client)
            for row in reversed(rows)
            if row.length == len(row.head) and self._is_registered(row.topic)
        ]
        batch, _ = assemble(messages, sources=self._sources, codecs=self._replayed, index=self._index)
        if len(batch):
            self._take_batch(batch)
        self._count += len(batch)
        if rows:
            self._before = rows[-1].id
            return
        log.info("%d readings of %d adopted devices were taken in", self._count, len(self._adopted))
        for seen in self._adopted:
            self._listed.remove(seen.via, seen.id)
        self._adopted.clear()

    def _take_batch(self, batch: ReadingBatch) -> None:
        now = np.full(len(batch), self._now_us(), dtype=np.int64)
        batch = ReadingBatch.of(series=batch.series, time_us=batch.time_us, value=batch.value, received_us=now)
        newest_us = np.full(len(self._index), np.iinfo(np.int64).min)
        np.maximum.at(newest_us, batch.series, batch.time_us)
        newest = batch.time_us == newest_us[batch.series]
        for part in (batch[newest], batch[~newest]):
            if len(part):
                self._take(part)

    def _is_registered(self, topic: str) -> bool:
        source = self._sources.find(topic)
        return source is not None and source.is_registered
