"""Import, second half: rows of files into the journal of a running world, through its worker.

They are judged as what came too late: they make stories that are over, and no message.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from sensors.stations import Registry
from sensors.store import Away, State, TooSlow
from takean import exchange_files
from takean.exchange import ExchangeError
from takean.exchange_files import CHUNK_ROWS, Chunk
from takean.local import TOO_YOUNG, LateAnswer, LateAsk, packed
from takean.local_client import Invalid

ATTEMPTS = 30
RETRY_S = 1.0
"""A worker that was killed is back within seconds; what it had taken is recognised."""

YOUNG = "too young: within the bound of lateness of its station readings come from devices alone"

Tell = Callable[[Path, int, str], None]
"""(file, line, what was refused, or contradicts)"""


class Taker(Protocol):
    """The worker, see `LocalOwner`."""

    def take_late(self, ask: LateAsk) -> LateAnswer:
        """What became of the rows."""


@dataclass(slots=True, kw_only=True)
class Imported:
    """What became of all rows."""

    stored: int = 0
    repeat: int = 0
    conflict: int = 0
    """Kept beside the value that was there, with flag 3."""
    refused: int = 0


def bring_in(
    paths: Sequence[Path],
    registry: Registry,
    worker: Taker,
    *,
    dry: bool = False,
    tell: Tell,
    progress: Callable[[Path, int, int], None],
    rows: int = CHUNK_ROWS,
    rest: Callable[[float], None] = time.sleep,
) -> Imported:
    """Store and judge the rows of files, each once however often this is repeated.

    Parameters
    ----------
    dry : only say what would become of them
    tell : called for each row that is refused, or contradicts one that is stored
    progress : called with (file, done, of all)
    rest : called with seconds to wait

    Raises
    ------
    ExchangeError : a file cannot be read, or the worker is away for long; what was taken is safe
    """
    count = Imported()
    keys = registry.keys()

    def refused(path: Path, line: int, text: str) -> None:
        count.refused += 1
        tell(path, line, text)

    for path in paths:
        refuse = partial(refused, path)
        for chunk in exchange_files.chunks(path, registry, refuse, progress=partial(progress, path), rows=rows):
            began_s = time.monotonic()
            state = _taken(path, chunk, keys, worker, dry=dry, rest=rest)
            spent_s = time.monotonic() - began_s
            count.stored += int((state == State.STORED).sum())
            count.repeat += int((state == State.REPEAT).sum())
            count.conflict += int((state == State.CONFLICT).sum())
            for at in np.flatnonzero(state == State.CONFLICT).tolist():
                text = f"{keys[chunk.series[at]]} has another value at this time; this one is kept beside it, flag 3"
                tell(path, int(chunk.line[at]), text)
            for at in np.flatnonzero(state == TOO_YOUNG).tolist():
                refuse(int(chunk.line[at]), YOUNG)
            rest(spent_s)  # the judge belongs to the rivers: half of the time at most
    return count


def _taken(
    path: Path, chunk: Chunk, keys: Sequence[str], worker: Taker, *, dry: bool, rest: Callable[[float], None]
) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    own, series = np.unique(chunk.series, return_inverse=True)
    ask = LateAsk(
        keys=[keys[at] for at in own.tolist()],
        series=packed(series, np.int32),
        time_us=packed(chunk.time_us, np.int64),
        value=packed(chunk.value, np.float64),
        store=not dry,
    )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return np.frombuffer(worker.take_late(ask).state, dtype=np.uint8)
        except (Away, TooSlow) as error:
            if attempt == ATTEMPTS or isinstance(error, Invalid):
                raise ExchangeError(
                    f"{path}, line {chunk.line[0]}: {error}. What stands before is stored; repeat the import when the "
                    "platform runs: nothing is stored twice"
                ) from error
            rest(RETRY_S)
    raise AssertionError("the last attempt returns or raises")
