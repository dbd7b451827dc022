"""What the stations of the configuration sent in the past: out of the store, or out of exported files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.stations import Registry
from sensors.store import PageOf
from takean import exchange_files
from takean.exchange import EVER
from takean.exchange_rows import PAGE_ROWS, Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Readings in order of time, each as if it had arrived then."""

    batch: ReadingBatch
    conflict: Bool
    """(n,) rows that contradict an earlier one; repeats are gone."""

    def of_series(self, series: int) -> tuple[Int64, Float64]:
        """Times and values of one series, in order."""
        own = (self.batch.series == series) & ~self.conflict
        return self.batch.time_us[own], self.batch.value[own]

    @property
    def covered_us(self) -> int:
        """From its first reading to its last."""
        times = self.batch.time_us
        return int(times[-1] - times[0]) if len(times) else 0


def of_files(
    paths: Sequence[Path],
    registry: Registry,
    *,
    refused: Callable[[Path, int, str], None],
    progress: Callable[[str, int, int], None],
) -> History:
    """Readings of files as `takean export` writes them.

    Raises
    ------
    ExchangeError : a file cannot be read
    """
    found = []
    for path in paths:

        def refuse(line: int, text: str, path: Path = path) -> None:
            refused(path, line, text)

        def show(done: int, of: int, path: Path = path) -> None:
            progress(path.name, done, of)

        found += [
            (chunk.series, chunk.time_us, chunk.value)
            for chunk in exchange_files.chunks(path, registry, refuse, progress=show)
        ]
    return _history(found)


def of_store(rows: Rows, registry: Registry, *, progress: Callable[[str, int, int], None]) -> History:
    """Everything that the journal of the world and its closed days hold of the registered stations."""
    index = {key: k for k, key in enumerate(registry.keys())}
    there, found = rows.contents, []
    for done, day in enumerate(there.days):
        progress("days", done, len(there.days))
        first = PageOf(day=day, keys=[], from_us=EVER[0], to_us=EVER[1], through_seq=there.last_seq, rows=PAGE_ROWS)
        for page in rows.day(first):
            series = np.array([index.get(str(key), -1) for key in page["series"].tolist()], dtype=np.int32)
            known = series >= 0
            found.append((series[known], page["time_us"][known], page["value"][known]))
    progress("days", len(there.days), len(there.days))
    return _history(found)


def _history(parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> History:
    if not parts:
        empty = ReadingBatch.of(series=[], time_us=[], value=[], received_us=[])
        return History(batch=empty, conflict=np.zeros(0, dtype=np.bool_))
    series, time_us, value = (np.concatenate([part[k] for part in parts]) for k in range(3))
    order = np.lexsort((series, time_us))  # stable: the first that was stored stays the first
    batch = ReadingBatch.of(series=series, time_us=time_us, value=value, received_us=time_us)[order]
    again = np.zeros(len(batch), dtype=np.bool_)
    again[1:] = (batch.series[1:] == batch.series[:-1]) & (batch.time_us[1:] == batch.time_us[:-1])
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(batch))))
    same = (batch.value == batch.value[first]) | (np.isnan(batch.value) & np.isnan(batch.value[first]))
    kept = ~(again & same)
    return History(batch=replace(batch[kept]), conflict=again[kept])
