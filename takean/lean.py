"""What a process that must be back at once does not load."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Without(MetaPathFinder):
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname == self._name:
            raise ModuleNotFoundError(f"{fullname} is not loaded in this process", name=fullname)
        return None


def without_pandas() -> None:
    """Keep pandas out of this process: more than a second of start and 60 MB.

    DuckDB and PyArrow look for it whenever they are given a value, to ask whether that is one of its frames; both do
    without where it is not installed.
    """
    assert "pandas" not in sys.modules
    sys.meta_path.insert(0, _Without("pandas"))
