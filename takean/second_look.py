"""The second look at stored readings, in a thread of the worker's process: it follows the journal, and nobody waits for
it.
"""

import hashlib
import logging
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from sensors.checks.second import SecondLook, Seen
from sensors.stations import Registry
from sensors.store.duck import DuckStore
from takean import places
from takean.configuration import World

log = logging.getLogger(__name__)

EVERY_S = 5.0
SAVE_EVERY_S = 60.0
ROWS = 20_000
"""Looked at in one piece, and then the rivers come first for REST_S."""
REST_S = 0.05


def keep(stack: ExitStack, world: World, store: DuckStore, *, now_us: Callable[[], int]) -> None:
    """Begin to look; leaving the stack ends it."""
    follower = Follower(store, world.registry, places.second_look_file(world.state, world.kind), now_us=now_us)
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(follower, stop), name="second look", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()  # the store is closed next

    stack.callback(end)


class Follower:
    """Behind a journal; what it has seen lies in a file. Without it, it looks from the first row on: what it wrote down
    before, it finds there.
    """

    def __init__(self, store: DuckStore, registry: Registry, path: Path, *, now_us: Callable[[], int]) -> None:
        self._store, self._path, self._now_us = store, path, now_us
        self._look = SecondLook.of(registry)
        self._mark = _mark(registry, self._look)
        held = _load(path, self._mark, self._look.nothing())
        self._through, self._seen = held if held and held[0] <= store.last_seq() else (0, self._look.nothing())
        self._saved = self._through

    def turn(self, stop: threading.Event) -> int:
        """Look at what was stored since, until it is told to stop; of how many readings that changed anything."""
        changed = 0
        for rows in self._store.scan(after_seq=self._through, rows=ROWS):
            try:
                verdicts, seen = self._look.take(rows, self._seen)
            except Exception:  # no row may keep all that come behind it from being looked at
                log.exception("readings %d to %d are not looked at again", rows.seq[0], rows.seq[-1])
            else:
                changed += self._store.reviews.recheck(verdicts.worth_writing(), at_us=self._now_us())
                self._seen = seen
            self._through = int(rows.seq[-1])
            if stop.wait(REST_S if len(rows.seq) == ROWS else 0):
                break
        return changed

    def save(self) -> None:
        """Write down how far it is, whole or not at all."""
        if self._saved == self._through:
            return
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            mark, through = np.array(self._mark), np.array(self._through)
            np.savez(file, allow_pickle=False, mark=mark, through=through, **dict(_columns(self._seen)))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._saved = self._through


def _run(follower: Follower, stop: threading.Event) -> None:
    unsaved_s = 0.0
    while not stop.wait(EVERY_S):
        try:
            follower.turn(stop)
            unsaved_s += EVERY_S
            if unsaved_s >= SAVE_EVERY_S:
                follower.save()
                unsaved_s = 0.0
        except Exception:
            log.exception("readings could not be looked at again; tried again in %g s", EVERY_S)
    try:
        follower.save()
    except OSError:
        log.exception("how far the second look is could not be written; the next start begins further back")


def _columns(seen: Seen) -> Iterator[tuple[str, Any]]:
    for part in fields(seen):
        for column in fields(getattr(seen, part.name)):
            yield f"{part.name}.{column.name}", getattr(getattr(seen, part.name), column.name)


def _load(path: Path, mark: str, like: Seen) -> tuple[int, Seen] | None:
    """How far it was and what it had seen; None where there is no such file, or it is of other stations."""
    try:
        with np.load(path, allow_pickle=False) as held:
            if str(held["mark"]) != mark:
                return None
            parts = {
                part.name: type(was)(**{f.name: held[f"{part.name}.{f.name}"] for f in fields(was)})
                for part in fields(like)
                for was in (getattr(like, part.name),)
            }
            return int(held["through"]), Seen(**parts)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _mark(registry: Registry, look: SecondLook) -> str:
    """Changes with whom anything is compared with."""
    digest = hashlib.sha256("\n".join(registry.keys()).encode())
    for layout in (look.company, look.gauges):
        for f in fields(layout):
            digest.update(getattr(layout, f.name).tobytes())
    return digest.hexdigest()[:16]
