"""Years of readings at once, many series, and live batches: `python -m bench.history`.

Everything runs on one core. The years are read from a sorted Parquet file, and go the way of live ones: clocks, checks,
all default rules, composite ones too. Beside it the library that oceanographers use, and what a good analyst would
write with pandas, on the same checks.
"""

import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import run
from tempfile import gettempdir

import numpy as np
import pandas as pd
from ioos_qc import qartod

from alerts.inputs.listeners import empty
from alerts.judgement import JudgeState, assess
from alerts.ladders import Ladders
from alerts.rules import RuleSet, compile_rules
from alerts.rules import read as read_rules
from alerts.track_state import TrackState
from alerts.tracks import Tracks, shown
from bench import rivers
from sensors.batch import Float64, Int64, ReadingBatch
from sensors.calibration import Calibration
from sensors.checks import flag
from sensors.stations import Registry
from sensors.window import Window
from takean import parquet_blocks

STATIONS = 50
READINGS = 5 * rivers.YEAR
CACHE = Path(gettempdir()) / "takean-bench"
RULES = Path(__file__).parents[1] / "takean" / "sample" / "rules.toml"
MANY = (1_000, 100_000)
MEMORY_READINGS, MEMORY_ROWS, MEMORY_LONG = 2_000_000, 50_000, 20
"""In all; and at once, but no less than so many of each series."""
LIVE_SERIES, LIVE_ROWS, LIVE_BATCHES = 10_000, 5_000, 60
PART = rivers.YEAR // 4
"""Readings of one station that the libraries get: they take seconds for what takes us milliseconds."""
FLAT_FAIL, FLAT_SUSPECT = 3 * rivers.DAY, rivers.DAY


def main() -> None:
    """Print the tables: each in a process of its own, which stays on one core, so that its memory is seen."""
    for kinds in rivers.WORLDS:
        _alone(str(made(kinds)), kinds)
    for table in TABLES:
        _alone(table)


def _alone(*which: str) -> None:
    sys.stdout.flush()
    run([sys.executable, "-m", "bench.history", *which], check=True)


def made(kinds: str) -> Path:
    """The file, made once."""
    CACHE.mkdir(exist_ok=True)
    path = CACHE / f"{kinds}-{STATIONS}-{READINGS}-{rivers.SEED}.parquet"
    if not path.exists():
        beside = path.with_suffix(".new")
        rivers.write(beside, STATIONS, READINGS, kinds=kinds)
        beside.replace(path)
    return path


def rules_of(registry: Registry) -> RuleSet:
    """The default rules."""
    return compile_rules(read_rules(RULES), registry, where=str(RULES))


def of_file(path: Path, kinds: str) -> None:
    """Read a file, check it, and run all rules over it."""
    registry = rivers.district(STATIONS, kinds=kinds)
    rules = rules_of(registry)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    history = parquet_blocks.read(path, registry)
    read_s, read_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    changes = sum(judged(history.blocks(), registry, rules))
    all_s, all_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\n{len(history):,} readings of {kinds}, {path.stat().st_size >> 20} MB of Parquet; load {load()}")
    print("| | s | CPU s | CPU µs a reading |\n|---|---|---|---|")
    for what, wall, cpu in (
        ("reading", read_s, read_cpu),
        ("clocks, checks, rules", all_s - read_s, all_cpu - read_cpu),
        ("together", all_s, all_cpu),
    ):
        print(f"| {what} | {wall:.1f} | {cpu:.1f} | {cpu / len(history) * 1e6:.2f} |")
    print(f"{changes:,} changes of levels; {peak} MB at most")


def judged(blocks: Iterator[ReadingBatch], registry: Registry, rules: RuleSet) -> Iterator[int]:
    """How many levels changed in each block. Nothing is pending in a record that came in order: no second fold."""
    ladders, calibration = rules.ladders, Calibration.of(registry)
    tracks = Tracks(limits=registry.limits, ladders=ladders, shown=shown(registry), calibration=calibration)
    state = TrackState.empty(len(registry.series), len(ladders), len(calibration), empty(ladders.listeners))
    many, seq = len(registry.series), 0
    for batch in blocks:
        order = np.empty(len(batch), dtype=np.int64)
        order[np.argsort(batch.time_us * many + batch.series)] = np.arange(len(batch))
        taken = tracks.take(batch, np.zeros(len(batch), dtype=np.bool_), seq + 1 + order, state)
        assert not taken.errors, taken.errors[0]
        state, seq = replace(taken.state, pending=()), seq + len(batch)
        yield len(taken.told)


def in_memory() -> None:
    """Checks and rules of columns that are there."""
    print(f"\nin memory: checks and rules of columns that are there, million readings a CPU second; load {load()}")
    print("| series | rivers | rivers, rain and dust |\n|---|---|---|")
    for series in MANY:
        rates = []
        for kinds in rivers.WORLDS:
            registry = rivers.district(series, kinds=kinds)
            together = max(MEMORY_LONG, MEMORY_ROWS // series)
            rows = together * max(3, MEMORY_READINGS // series // together)
            batches = list(rivers.blocks(series, rows, kinds=kinds, together=together))
            seconds = fold(batches, registry, rules_of(registry).ladders)
            rates.append(sum(map(len, batches)) / sum(seconds) / 1e6)
        print(f"| {series:,} | {' | '.join(f'{rate:.2f}' for rate in rates)} |")


def live() -> None:
    """Batches as devices send them: half of the series at a time, each once."""
    print(f"\nlive batches of {LIVE_ROWS:,} readings over {LIVE_SERIES:,} series; CPU ms, load {load()}")
    print("| | best | median | p99 |\n|---|---|---|---|")
    for kinds in rivers.WORLDS:
        registry = rivers.district(LIVE_SERIES, kinds=kinds)
        rounds = next(rivers.blocks(LIVE_SERIES, LIVE_BATCHES // 2, kinds=kinds, together=LIVE_BATCHES // 2, turn=True))
        batches = [rounds[k : k + LIVE_ROWS] for k in range(0, len(rounds), LIVE_ROWS)]
        ms = np.array(fold(batches, registry, rules_of(registry).ladders)[LIVE_BATCHES // 3 :]) * 1e3
        print(f"| {kinds} | {ms.min():.1f} | {np.median(ms):.1f} | {np.percentile(ms, 99):.1f} |")


def fold(batches: list[ReadingBatch], registry: Registry, ladders: Ladders) -> list[float]:
    """CPU seconds of each batch, with what was remembered of those before it."""
    state, seconds = JudgeState.empty(len(registry.series), len(ladders), empty(ladders.listeners)), []
    for batch in batches:
        none, good = np.zeros(len(batch), dtype=np.bool_), np.ones(len(batch), dtype=np.uint8)
        begin = time.process_time()
        answer = assess(batch, none, good, state, limits=registry.limits, ladders=ladders)
        seconds.append(time.process_time() - begin)
        assert not answer.errors, answer.errors[0]
        state = answer.state
    return seconds


def beside_others() -> None:
    """Gross range, rate of change, spike, flat line and gap; ours all its checks, the library all of these but gap."""
    registry = rivers.district(1, kinds="rivers")
    value, time_us = rivers.values(0, PART, kinds="rivers"), rivers.times_us(PART)
    batch = ReadingBatch.of(series=np.zeros(PART), time_us=time_us, value=value, received_us=time_us)
    none, good = np.zeros(PART, dtype=np.bool_), np.ones(PART, dtype=np.uint8)
    print("\ngross range, rate, spike, flat line, gap (ioos_qc: all but gap); CPU µs a reading")
    print(f"{PART:,} readings of one river; load {load()}\n")
    print("| | µs | times ours |\n|---|---|---|")
    ours = best(lambda: flag(batch, none, good, Window.empty(1), registry.limits)) / PART * 1e6
    print(f"| takean | {ours:.3f} | 1 |")
    for name, work in (("pandas", by_pandas), ("ioos_qc 3.0", by_library)):
        theirs = best(lambda work=work: work(time_us, value), tries=3) / PART * 1e6  # type: ignore[misc]
        print(f"| {name} | {theirs:.3f} | {theirs / ours:.0f} |")


def by_pandas(time_us: Int64, value: Float64) -> pd.DataFrame:
    """As one writes it in a notebook: whole columns, and a rolling window."""
    level = pd.Series(value, index=pd.to_datetime(time_us, unit="us"))
    step_h = level.index.to_series().diff().dt.total_seconds() / 3600
    change = level.diff()
    spread = level.rolling(FLAT_FAIL).max() - level.rolling(FLAT_FAIL).min()
    short = level.rolling(FLAT_SUSPECT).max() - level.rolling(FLAT_SUSPECT).min()
    middle = (level.shift(1) + level.shift(-1)) / 2
    return pd.DataFrame(
        {
            "gross": np.select([(level < -5) | (level > 40), (level < -0.5) | (level > 9)], [4, 3], 1),
            "rate": np.where((change.abs() / step_h) > 5.0, 3, 1),
            "spike": np.where((level - middle).abs() > 0.5, 3, 1),
            "flat": np.select([spread < 0.001, short < 0.001], [4, 3], 1),
            "gap": np.where(step_h * 3600 > 1.5 * rivers.CADENCE_S, 2, 1),
        }
    )


def by_library(time_us: Int64, value: Float64) -> list[object]:
    """The library's own functions."""
    at = time_us.astype("datetime64[us]").astype("datetime64[ns]")
    flat_s = [steps * rivers.CADENCE_S for steps in (FLAT_SUSPECT, FLAT_FAIL)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            qartod.gross_range_test(inp=value, suspect_span=(-0.5, 9.0), fail_span=(-5.0, 40.0)),
            qartod.rate_of_change_test(inp=value, tinp=at, threshold=5.0 / 3600),
            qartod.spike_test(inp=value, suspect_threshold=0.5, fail_threshold=30.0),
            qartod.flat_line_test(
                inp=value, tinp=at, suspect_threshold=flat_s[0], fail_threshold=flat_s[1], tolerance=0.001
            ),
        ]


def best(work: Callable[[], object], tries: int = 20) -> float:
    """Least CPU seconds of some tries."""
    seconds = []
    for _ in range(tries):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def load() -> str:
    """Of the machine."""
    return f"{os.getloadavg()[0]:.1f}"


TABLES = {"in_memory": in_memory, "live": live, "beside_others": beside_others}

if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        if sys.argv[1] in TABLES:
            TABLES[sys.argv[1]]()
        else:
            of_file(Path(sys.argv[1]), sys.argv[2])
