"""Closed days leave the journal for their files, and old files for the hours, in a thread of the worker's process."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from alerts.ledger import AlertReader
from alerts.snapshot import seq_of
from sensors.store.archive import Archive
from sensors.store.cursor import load
from sensors.store.duck import DuckStore
from sensors.store.retention import Retention
from sensors.store.rollup import Rollups
from takean import places
from takean.configuration import World

log = logging.getLogger(__name__)

FIRST_S, EVERY_S = 10.0, 60.0
"""How often they are looked for; the first seconds belong to the rivers."""


def keep(
    stack: ExitStack, world: World, store: DuckStore, ledger: AlertReader, *, now_us: Callable[[], int]
) -> Archive:
    """Begin to look for them; leaving the stack ends it, between two days."""
    days = places.days_folder(world.state, world.kind)
    archive = Archive(store, days, now_us=now_us, days_kept=world.policy.days)
    retention = Retention(
        store=store,
        archive=archive,
        rollups=Rollups(places.hours_folder(world.state, world.kind), days),
        policy=world.policy,
        now_us=now_us,
        needed_from_seq=partial(needed_from_seq, world, ledger),
    )
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(retention, stop), name="closed days", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()  # the store is closed next

    stack.callback(end)
    return archive


def _run(retention: Retention, stop: threading.Event) -> None:
    wait_s = FIRST_S
    while not stop.wait(wait_s):
        wait_s = EVERY_S
        try:
            retention.turn(stop.is_set)
        except Exception:
            log.exception("closed days could not be kept; tried again in %g s", EVERY_S)


def needed_from_seq(world: World, ledger: AlertReader) -> int:
    """The oldest row of the journal that is still to be read: by a judge from its snapshot on, or by a mirror."""
    judged = [ledger.judged_through(world.kind), seq_of(world.state / f"judge.{world.kind}.npz")]
    sent = [load(places.cursor_file(world.state, world.kind, mirror.name)).settled for mirror in world.mirrors]
    return min(*judged, *sent) + 1
