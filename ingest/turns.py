"""Turns of the event loop for work that many may want at once: some of it, then whatever else there is."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

TURN_S = 0.005


class Turns:
    """First come, first served. To be made on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_due = False

    def ask(self, work: Callable[[], None]) -> None:
        """Have something done soon, which should be short."""
        self._waiting.append(work)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._go)

    def _go(self) -> None:
        end_s = self._loop.time() + TURN_S
        while self._waiting:
            try:
                self._waiting.popleft()()
            except Exception:  # a defect of ours; the others go on
                log.exception("ingest: a turn failed")
            if self._loop.time() >= end_s:
                break
        self._is_due = bool(self._waiting)
        if self._is_due:
            self._loop.call_soon(self._go)
