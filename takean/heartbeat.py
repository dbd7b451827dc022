"""The dispatcher's sign of life for another process: a small file that is locked while its owner lives."""

import fcntl
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

EVERY_S = 2.0
"""Not at each turn: it is written to a disk, and the reader thinks in tens of seconds."""
TRIES, LOOK_S = 40, 0.025
_BEAT = struct.Struct("<dd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What the reader sees."""

    alive: bool
    """Whether the owner's process is there."""
    age_s: float
    """Since its last turn that did not fail."""
    cpu_s: float
    """Processor time it had used by then."""


class Heart:
    """Held by the owner until its process ends, however it ends.

    Raises
    ------
    OSError : another process holds it
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        for left in range(TRIES, -1, -1):  # a reader has it for the blink of a look
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    os.close(self._file)
                    raise OSError(f"{path}: another process is sending already") from error
                time.sleep(LOOK_S)
        self._last_s = -EVERY_S
        self()

    def __call__(self) -> None:
        """A turn was finished."""
        now_s = _now_s()
        if now_s - self._last_s >= EVERY_S:
            self._last_s = now_s
            os.pwrite(self._file, _BEAT.pack(now_s, time.process_time()), 0)

    def close(self) -> None:
        """Let go."""
        os.close(self._file)


def listen(path: Path) -> Beat:
    """How the owner is."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return Beat(alive=False, age_s=float("inf"), cpu_s=0.0)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            alive = False
        except BlockingIOError:
            alive = True
        read = os.pread(file, _BEAT.size, 0)
    finally:
        os.close(file)
    if len(read) < _BEAT.size:
        return Beat(alive=alive, age_s=float("inf"), cpu_s=0.0)
    at_s, cpu_s = _BEAT.unpack(read)
    # A beat from the future is of the time before the machine was started.
    age_s = _now_s() - at_s
    return Beat(alive=alive, age_s=age_s if age_s >= 0 else float("inf"), cpu_s=cpu_s)


def _now_s() -> float:
    """Seconds since the machine was started, sleep included: the same for all processes, and nobody can put it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
