"""Readings for a process that does not own the journal."""

from collections.abc import Callable
from contextlib import ExitStack

from api.deps import WorkerStatus
from sensors.store import Reviewer, SeriesReader
from sensors.store.days import DayReader
from sensors.store.split import SplitReader
from takean import places
from takean.configuration import World
from takean.local_client import LocalOwner


def readings_from_worker(stack: ExitStack, world: World) -> tuple[SeriesReader, Callable[[], WorkerStatus], Reviewer]:
    """Readings and status from the worker's process, closed days from their files, and who takes reviews."""
    owner = LocalOwner(places.local_socket(world.state, world.kind))
    stack.callback(owner.close)
    reader = SplitReader(owner, DayReader(places.days_folder(world.state, world.kind)))
    stack.callback(reader.close)
    return reader, owner.status, owner
