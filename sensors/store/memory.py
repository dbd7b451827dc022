"""The journal in memory: for tests, backtests and as the plainest reading of the contract."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flag, Flags, usable
from sensors.store import History, Journal, State


class MemoryStore:
    """A `SeriesStore` that forgets at exit. Plain Python by intention: the fast one is `sensors.store.duck`."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self._rows: list[tuple[int, int, float, int, int, int, bool]] = []
        """series, time_us, value, received_us, flag, checks, conflict; seq is the position + 1."""
        self._flags: dict[tuple[int, int], int] = {}
        """(series, time_us) -> newest flag of those that were revised."""
        self._values: dict[tuple[int, int], list[float]] = {}
        self._lock = threading.Lock()

    def recognise(self, batch: ReadingBatch) -> NDArray[np.uint8]:
        state = np.zeros(len(batch), dtype=np.uint8)
        earlier: dict[tuple[int, int], list[float]] = {}
        for i in range(len(batch)):
            key, value = (int(batch.series[i]), int(batch.time_us[i])), float(batch.value[i])
            there = [*self._values.get(key, ()), *earlier.get(key, ())]
            if any(v == value or (np.isnan(v) and np.isnan(value)) for v in there):
                state[i] = State.REPEAT
            elif there:
                state[i] = State.CONFLICT
            earlier.setdefault(key, []).append(value)
        return state

    def append(self, batch: ReadingBatch, conflict: Bool, flag: Flags, checks: NDArray[np.uint32]) -> Int64:
        columns = (batch.series, batch.time_us, batch.value, batch.received_us, flag, checks, conflict)
        with self._lock:
            before = len(self._rows)
            self._rows += zip(*(c.tolist() for c in columns), strict=True)
            for series, time_us, value, *_ in self._rows[before:]:
                self._values.setdefault((series, time_us), []).append(value)
            return np.arange(before + 1, len(self._rows) + 1, dtype=np.int64)

    def scan(self, *, after_seq: int, rows: int) -> Iterator[Journal]:
        while True:
            with self._lock:
                chunk = self._rows[after_seq : after_seq + rows]
            if not chunk:
                return
            series, time_us, value, received, flag, checks, conflict = zip(*chunk, strict=True)
            yield Journal(
                seq=np.arange(after_seq + 1, after_seq + 1 + len(chunk), dtype=np.int64),
                batch=ReadingBatch.of(series=series, time_us=time_us, value=value, received_us=received),
                flag=np.array(flag, dtype=np.uint8),
                checks=np.array(checks, dtype=np.uint32),
                conflict=np.array(conflict, dtype=np.bool_),
            )
            after_seq += len(chunk)

    def revise(self, key: str, time_us: int, flag: int, checks: int, *, by: str, at_us: int) -> None:  # noqa: ARG002
        if not self._first_of(key, time_us, time_us + 1):
            raise KeyError(f"{key}: nothing was measured at {time_us}")
        with self._lock:
            self._flags[self._keys.index(key), time_us] = flag

    def last_seq(self) -> int:
        return len(self._rows)

    def close(self) -> None:
        """Nothing to let go of."""

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        rows = sorted(self._first_of(key, from_us, to_us))[-limit:] if limit > 0 else []
        return History(
            time_us=np.array([r[0] for r in rows], dtype=np.int64),
            value=np.array([r[1] for r in rows], dtype=np.float64),
            flag=np.array([r[2] for r in rows], dtype=np.uint8),
        )

    def check(self) -> None:
        """Nothing of it can break."""

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        time, value = np.zeros(len(keys), dtype=np.int64), np.full(len(keys), np.nan)
        flag = np.full(len(keys), Flag.MISSING, dtype=np.uint8)
        for i, key in enumerate(keys):
            rows = sorted(self._first_of(key, 0, np.iinfo(np.int64).max))
            if rows:
                time[i], value[i], flag[i] = rows[-1]
        return time, value, flag

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        total, count = np.zeros(len(keys)), np.zeros(len(keys), dtype=np.int64)
        for i, key in enumerate(keys):
            rows = self._first_of(key, from_us + 1, to_us + 1)
            good = [r[1] for r in rows if usable(np.array([r[2]], dtype=np.uint8))[0] and np.isfinite(r[1])]
            total[i], count[i] = sum(good), len(good)
        return total, count

    def _first_of(self, key: str, from_us: int, to_us: int) -> list[tuple[int, float, int]]:
        """Time, value and flag of the first value of each time in from_us <= time < to_us."""
        if key not in self._keys:
            return []
        series = self._keys.index(key)
        first: dict[int, tuple[int, float, int]] = {}
        with self._lock:
            for s, time_us, value, _, flag, _, _ in self._rows:
                if s == series and from_us <= time_us < to_us:
                    first.setdefault(time_us, (time_us, value, self._flags.get((s, time_us), flag)))
        return list(first.values())
