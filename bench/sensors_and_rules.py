"""What clocks, flags, trends and rules cost for a reading, by size of batch: `python -m bench.sensors_and_rules`."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from alerts.judgement import JudgeState, assess
from sensors.batch import ReadingBatch
from sensors.checks import flag
from sensors.clocks import ClockState, place
from sensors.store.duck import DuckStore
from sensors.trend import Trend, follow
from sensors.window import Window
from tests.builders import MINUTE_US, T0_US, registry, rule_set, station

T = TypeVar("T")

STATIONS = 1_000
ROWS = (1, 10, 100, 1_000, 10_000)
REPEATS = 30
SPAN_US = 180 * MINUTE_US


def main() -> None:
    """Print the tables."""
    judgement()
    parts()


def judgement() -> None:
    """A stream of batches: clocks, flags, trends and rules as one step, and the journal."""
    reg = registry(*(station(f"S-{i}") for i in range(STATIONS)))
    rules = rule_set(reg)
    print(
        f"\nclocks, flags, rules and journal, {STATIONS} stations with three levels each; "
        f"CPU µs per reading, best of {REPEATS}"
    )
    print("| rows a batch | clocks, flags and rules | DuckDB append, durable |")
    print("|---|---|---|")
    with TemporaryDirectory() as folder:
        store = DuckStore(Path(folder) / "journal.duckdb", reg.keys())
        now_us = T0_US
        for rows in ROWS:
            judged, appended = [], []
            clocks, state = ClockState.empty(len(reg.series)), JudgeState.empty(len(reg.series), len(rules.ladders))
            for _ in range(REPEATS):
                now_us += (rows // STATIONS + 1) * MINUTE_US
                batch, none = readings(rows, now_us), np.zeros(rows, dtype=np.bool_)
                placing, placed = timed(partial(place, batch, clocks))
                moved = replace(batch, time_us=placed.judged_us)
                cost, answer = timed(
                    partial(assess, moved, none, placed.flag, state, limits=reg.limits, ladders=rules.ladders)
                )
                clocks, state = placed.state, answer.state
                judged.append(placing + cost)
                cost, _ = timed(partial(store.append, batch, none, answer.flag, answer.checks))
                appended.append(cost)
            print(f"| {rows:,} | {min(judged) / rows * 1e6:.2f} | {min(appended) / rows * 1e6:.2f} |")
        store.close()


def parts() -> None:
    """The parts of it that look at every reading, and Theil-Sen, which few need."""
    limits = registry(*(station(f"S-{i}") for i in range(STATIONS))).limits
    print("\nthe parts, after three hours of readings; CPU µs per reading, best of many")
    columns = ["rows a batch", "place", "place: all clocks wrong", "flag", "follow: none watched", "all remembered"]
    print(f"| {' | '.join([*columns, 'all gated', 'Theil-Sen of all'])} |")
    print("|---|---|---|---|---|---|---|---|")
    every = np.ones(STATIONS, dtype=np.bool_)
    span_us, no_us = np.full(STATIONS, SPAN_US), np.zeros(STATIONS, dtype=np.int64)
    shut, open_ = np.full(STATIONS, np.inf), np.full(STATIONS, -np.inf)
    window, trend, clocks = Window.empty(STATIONS), Trend.empty(STATIONS), ClockState.empty(STATIONS)
    following = partial(follow, cadence_us=limits.cadence_us)
    for minute in range(-180, 0):
        past = readings(STATIONS, T0_US + minute * MINUTE_US)
        good = np.ones(STATIONS, dtype=np.uint8)
        window, clocks = flag(past, ~every, good, window, limits).window, place(past, clocks).state
        _, trend = following(past, every, trend, span_us=span_us, gate_per_h=shut, wanted=~every)
    for rows in ROWS:
        batch = readings(rows, T0_US)
        none, all_, good = np.zeros(rows, dtype=np.bool_), np.ones(rows, dtype=np.bool_), np.ones(rows, dtype=np.uint8)
        costs = [
            best(work, max(REPEATS // 6, 10 * REPEATS // (1 + rows // 100))) / rows * 1e6
            for work in (
                partial(place, batch, clocks),
                partial(place, replace(batch, time_us=batch.time_us + 2 * SPAN_US), clocks),
                partial(flag, batch, none, good, window, limits),
                partial(following, batch, all_, trend, span_us=no_us, gate_per_h=shut, wanted=~every),
                partial(following, batch, all_, trend, span_us=span_us, gate_per_h=shut, wanted=~every),
                partial(following, batch, all_, trend, span_us=span_us, gate_per_h=shut, wanted=every),
                partial(following, batch, all_, trend, span_us=span_us, gate_per_h=open_, wanted=every),
            )
        ]
        print(f"| {rows:,} | {' | '.join(f'{cost:.3f}' for cost in costs)} |")


def readings(rows: int, start_us: int) -> ReadingBatch:
    """One reading of each station in turn, a minute apart, rising and falling."""
    index = np.arange(rows)
    time_us = start_us + index // STATIONS * MINUTE_US
    return ReadingBatch.of(
        series=index % STATIONS, time_us=time_us, value=2.5 + np.sin(time_us / 3e9 + index), received_us=time_us
    )


def best(work: Callable[[], object], tries: int) -> float:
    """Least CPU seconds of some tries."""
    return min(timed(work)[0] for _ in range(tries))


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of this process, and the answer."""
    begin = time.process_time()
    answer = work()
    return time.process_time() - begin, answer


if __name__ == "__main__":
    main()
