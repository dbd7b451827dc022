"""What flags and rules cost for a reading, by size of the batch: `python -m bench.sensors_and_rules`."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from alerts.judgement import JudgeState, assess
from sensors.batch import ReadingBatch
from sensors.store.duck import DuckStore
from tests.builders import MINUTE_US, T0_US, registry, rule_set, station

T = TypeVar("T")

STATIONS = 1_000
ROWS = (1, 10, 100, 1_000, 10_000)
REPEATS = 30


def main() -> None:
    """Print the table."""
    reg = registry(*(station(f"S-{i}") for i in range(STATIONS)))
    rules = rule_set(reg)
    print(
        f"\nflags, rules and journal, {STATIONS} stations with three levels each; CPU µs per reading, best of {REPEATS}"
    )
    print("| rows a batch | flags and rules | DuckDB append, durable |")
    print("|---|---|---|")
    with TemporaryDirectory() as folder:
        store = DuckStore(Path(folder) / "journal.duckdb", reg.keys())
        clock = T0_US
        for rows in ROWS:
            judged, appended = [], []
            state = JudgeState.empty(len(reg.series), len(rules.ladders))
            for _ in range(REPEATS):
                clock += (rows // STATIONS + 1) * MINUTE_US
                batch, none = readings(rows, clock), np.zeros(rows, dtype=np.bool_)
                cost, answer = timed(partial(assess, batch, none, state, limits=reg.limits, ladders=rules.ladders))
                state = answer.state
                judged.append(cost)
                cost, _ = timed(partial(store.append, batch, none, answer.flag, answer.checks))
                appended.append(cost)
            print(f"| {rows:,} | {min(judged) / rows * 1e6:.2f} | {min(appended) / rows * 1e6:.2f} |")
        store.close()


def readings(rows: int, start_us: int) -> ReadingBatch:
    """One reading of each station in turn, a minute apart, rising and falling."""
    index = np.arange(rows)
    time_us = start_us + index // STATIONS * MINUTE_US
    return ReadingBatch.of(
        series=index % STATIONS, time_us=time_us, value=2.5 + np.sin(time_us / 3e9 + index), received_us=time_us
    )


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of this process, and the answer."""
    begin = time.process_time()
    answer = work()
    return time.process_time() - begin, answer


if __name__ == "__main__":
    main()
