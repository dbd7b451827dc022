"""What a process that must be back at once does not load, and what one that must be quick does not look through."""

import gc
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

SPARED = ("pandas", "pydantic.v1", "pygments")
"""Libraries look for these only to ask whether a value is of theirs, or to colour a text, and do without where they are
not installed: DuckDB and PyArrow for pandas, more than a second of start and 60 MB; FastAPI for the models of before;
Alembic's templates for colours.
"""


BORN = 50_000
"""A batch makes a few containers for each message, and they die with it: looking for cycles among them after every 700
births, as Python does by itself, took a fifth of the worker's time."""


class _Without(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname in SPARED:
            raise ModuleNotFoundError(f"{fullname} is not loaded in this process", name=fullname)
        return None


def spare() -> None:
    """Keep them out of this process from now on."""
    assert not sys.modules.keys() & set(SPARED)
    sys.meta_path.insert(0, _Without())


def settle() -> None:
    """What stands when a process is ready stays until its end: it is not looked through for cycles again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(BORN, *gc.get_threshold()[1:])
