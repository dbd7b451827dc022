"""The process that feeds the mirrors: it asks the worker for rows as the pages do, and gives way to it.

A mirror that is away, slow or hostile costs the worker one question a second.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from alerts.episode import Kind
from sensors.store import Away, TooSlow
from sensors.store.destination import LIMITS, Destination
from sensors.store.mirror import Mirror
from sensors.store.writer import Writer
from takean.local_client import LocalOwner

log = logging.getLogger(__name__)

TELL_EVERY_S = 1.0
SAY_EVERY_S = 60.0
"""Why a turn failed: a full disk is full at every turn."""
STOP_S_MAX = 3.0
"""For a write that is under way; one that takes longer is made again at the next start."""
NICENESS = 10


class Mirrors:
    """Each in a thread of its own, from `start` to `stop`."""

    def __init__(
        self, destinations: Sequence[Destination], *, kind: Kind, owner: LocalOwner, cursor: Callable[[str], Path]
    ) -> None:
        self._kind = kind
        self._owner = owner
        self._cursor = cursor
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(destination,), name=f"mirror {destination.name}", daemon=True)
            for destination in destinations
        ]

    def start(self) -> None:
        """Begin, behind everything else on this machine."""
        os.nice(NICENESS)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the write that is under way, and write the cursors down."""
        self._stop.set()
        deadline_s = time.monotonic() + STOP_S_MAX
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self, destination: Destination) -> None:
        mirror = Mirror(
            name=destination.name,
            kind=str(self._kind),
            limits=LIMITS[destination.kind],
            target=Writer(destination),
            feed=self._owner,
            path=self._cursor(destination.name),
            clock=time.monotonic,
            random=Random(),  # noqa: S311  (jitter of retries, no secret)
        )
        told_s = said_s = float("-inf")
        while not self._stop.is_set():
            try:
                wait_s = mirror.turn()
            except Exception as error:  # this mirror's own fault is no reason to stop the others
                if time.monotonic() - said_s >= SAY_EVERY_S:
                    said_s = time.monotonic()
                    log.exception("mirror %s: a turn failed; the next one tries again", destination.name)
                mirror.reason, wait_s = f"{type(error).__name__}: {error}", TELL_EVERY_S
            if time.monotonic() - told_s >= TELL_EVERY_S:
                told_s = time.monotonic()
                with suppress(Away, TooSlow):
                    self._owner.tell(mirror.word())
            self._stop.wait(wait_s)
        with suppress(OSError):
            mirror.keep()
        mirror.target.close()
