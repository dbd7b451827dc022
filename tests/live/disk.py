"""A disk that can be filled: a small one of its own where we may mount it, and a bound on how far files may grow."""

import resource
import subprocess
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

MEGABYTES = 96
CHUNK = b"\0" * 65_536


class Disk(Protocol):
    """Where a box keeps its state."""

    def fill(self) -> None:
        """From now on no file there can grow."""

    def free(self) -> None:
        """It has room again."""


class SmallDisk:
    """A file system in memory; somebody else fills it.

    Raises
    ------
    subprocess.CalledProcessError : we may not mount here
    """

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)], check=True, capture_output=True
        )
        stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for chunk in (CHUNK, CHUNK[:4096], CHUNK[:1]):
                try:
                    while file.write(chunk) == len(chunk):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self._ballast.unlink()


class BoundFiles:
    """The processes of a box, and those that they start, may write no file beyond its first byte.

    Harder than a full disk, where what a file has can be written again. It needs no privilege.
    """

    def __init__(self, processes: Callable[[], Collection[int]]) -> None:
        self._processes = processes

    def fill(self) -> None:
        self._bound(1)

    def free(self) -> None:
        self._bound(resource.RLIM_INFINITY)

    def _bound(self, most: int) -> None:
        for pid in self._processes():
            try:
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))
            except ProcessLookupError:  # it has just died
                continue
