"""What the checks find at their default settings: `python -m bench.quality [FOLDER]` prints precision and recall, of
faults planted into a river of our own making and of labelled recordings.

Nothing is tuned to a file; a fault that no check of one series can find stands there with what was found. What has no
value is left out: that it is missing needs no check.
"""

import csv
import gzip
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64
from sensors.checks import flag
from sensors.checks.second import SecondLook
from sensors.flags import Check, Flag, Flags, pack, roll_up, unpack
from sensors.stations import Registry, Sensor
from sensors.store import Journal
from sensors.window import Window
from tests.builders import MINUTE_US, T0_US, batch, registry, station

REFERENCE = Path(__file__).parents[2] / "shared"
MISSING = -9999.0
"""How some records say that there is none: a codec makes NaN of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One labelled series."""

    name: str
    quantity: str
    cadence_s: float
    time_us: Int64
    value: Float64
    fault: NDArray[np.str_]
    """(n,) kind of fault; empty where the reading is good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one check, or all of them, did on one record."""

    record: str
    what: str
    flagged: int
    """Rows with flag 3, 4 or 9."""
    right: int
    """Of these, labelled as faulty."""
    faulty: int

    @property
    def precision(self) -> float:
        """NaN where nothing was flagged."""
        return self.right / self.flagged if self.flagged else float("nan")

    @property
    def recall(self) -> float:
        """NaN where nothing was faulty."""
        return self.right / self.faulty if self.faulty else float("nan")


def second_flags(reg: Registry, readings: Journal) -> Flags:
    """(8, n) flags of all checks after the second look at readings that arrived in this order, each once."""
    per_check = unpack(readings.checks)
    look = SecondLook.of(reg)
    verdicts, _ = look.take(readings, look.nothing())
    written = verdicts.worth_writing()
    keys = readings.batch.time_us * len(reg.series) + readings.batch.series
    order = np.argsort(keys)
    at = order[np.searchsorted(keys[order], written.time_us * len(reg.series) + written.series)]
    per_check[written.check, at] = written.flag
    return per_check


def checked(
    reg: Registry, time_us: Sequence[int] | Int64, value: Sequence[float] | Float64, series: Sequence[int] | None = None
) -> Flags:
    """(8, n) flags of readings as they come, and after the second look."""
    times, values = np.asarray(time_us, dtype=np.int64), np.asarray(value, dtype=np.float64)
    rows = batch(values.tolist(), series=0 if series is None else series, times_us=times.tolist())
    none, clock = np.zeros(len(rows), dtype=np.bool_), np.ones(len(rows), dtype=np.uint8)
    first = flag(rows, none, clock, Window.empty(len(reg.series)), reg.limits)
    journal = Journal(
        seq=np.arange(1, len(rows) + 1), batch=rows, flag=first.flag, checks=pack(first.per_check), conflict=none
    )
    return second_flags(reg, journal)


def doubted(flags: Flags) -> Bool:
    """Rows that no rule listens to and no sum counts."""
    found: Bool = flags >= Flag.SUSPECT
    return found


def scores(record: Record) -> Iterator[Score]:
    """All checks together for each kind of fault and for all, then each check by itself."""
    reg = registry(station("A", Sensor(quantity=record.quantity), cadence_s=record.cadence_s))
    per_check = checked(reg, record.time_us, record.value)
    found, faulty = doubted(roll_up(per_check)), record.fault != ""
    count = np.count_nonzero

    def score(what: str, flagged: Bool, truth: Bool) -> Score:
        return Score(
            record=record.name,
            what=what,
            flagged=int(count(flagged)),
            right=int(count(flagged & truth)),
            faulty=int(count(truth)),
        )

    yield score("all checks", found, faulty)
    for kind in sorted(set(record.fault[faulty].tolist())):
        yield score(f"fault: {kind}", found & ((record.fault == kind) | ~faulty), record.fault == kind)
    for check in Check:
        if doubted(per_check[check]).any():
            yield score(f"check: {check.name.lower()}", doubted(per_check[check]), faulty)


def records(reference: Path) -> Iterator[Record]:
    """The labelled recordings of quantities that we measure."""
    folder = reference / "data/qc"
    sandy = _rows(folder / "oddwater_sandy.csv.gz")
    kinds = {"F": "impossible", "K": "beside a gap"}
    faults = [kinds.get(r["level_type"], "other") if r["level_bad"] == "1" else "" for r in sandy]
    yield _record("Sandy Creek, level", "stage_m", 5400, sandy, "time_utc", "level_m", faults)
    for name in ("MainStreet2019", "FranklinBasin2014", "TonyGrove2014"):
        rows = _rows(folder / f"lro_{name}.csv.gz")
        for column, quantity, per_unit in (("stage", "stage_m", 0.01), ("temp", "temperature_c", 1.0)):
            faults = [_qualified(r, column) for r in rows]
            yield _record(f"{name}, {column}", quantity, 900, rows, "time_local", column, faults, per_unit)
    rain = _rows(folder / "rain_de_02483.csv.gz")
    faults = ["removed" if r["removed_by_qc"] == "1" else "" for r in rain]
    yield _record("rain 02483", "rain_mm", 3600, rain, "time_cet", "rain_raw_mm", faults)
    for name, cadence_s in (("ambient", 3600), ("machine", 300)):
        rows = _rows(folder / f"nab_{name}_temperature_system_failure.csv.gz")
        celsius = [{**r, "value": str((float(r["value"]) - 32) / 1.8)} for r in rows]
        faults = ["failing (window)" if r["in_window"] == "1" else "" for r in rows]
        yield _record(f"NAB {name}", "temperature_c", cadence_s, celsius, "timestamp", "value", faults)


def river(days: int = 120, *, seed: int = 7) -> tuple[Int64, Float64]:
    """A stage every 15 min: a slow recession with a day's breath, noise of some millimetres, and floods that rise by up
    to 0.4 m from one reading to the next.
    """
    chance = np.random.default_rng(seed)
    k = np.arange(days * 96)
    value = 1.5 - 0.3 * k / len(k) + 0.02 * np.sin(2 * np.pi * k / 96) + chance.normal(0, 0.004, len(k))
    for start in chance.choice(len(k) - 400, days // 15, replace=False).tolist():
        after = np.clip((k - start) / 12, 0, None)
        value += chance.uniform(1.0, 3.5) * after * np.exp(1 - after)
    return T0_US + k * 15 * MINUTE_US, value.round(3)


def planted(fault: str, *, seed: int = 7) -> Record:
    """That river with one kind of fault in many places."""
    time_us, value = river(seed=seed)
    chance, faults = np.random.default_rng(seed + 1), np.zeros(len(value), dtype=np.bool_)
    keep = np.ones(len(value), dtype=np.bool_)
    for at in (chance.permutation(len(value) // 400 - 1)[:20] * 400 + 200).tolist():
        size = float(chance.choice((-1, 1)) * chance.uniform(0.8, 3.0))
        if fault == "spike":
            value[at] += size
            faults[at] = True
        elif fault == "out of range":
            value[at : at + 3] = 45.0 * np.sign(size)
            faults[at : at + 3] = True
        elif fault == "stuck":
            value[at : at + 250], faults[at + 96 : at + 250] = value[at], True
        elif fault == "jump across a gap":
            keep[at - 8 : at] = False
            value[at] += size
            faults[at] = True
    return Record(
        name="own river",
        quantity="stage_m",
        cadence_s=900,
        time_us=time_us[keep],
        value=value[keep],
        fault=np.where(faults, fault, "")[keep],
    )


def amsterdam(reference: Path, *, steps: int = 20_000) -> tuple[list[str], Int64, Float64, Flags]:
    """Private rain gauges as nobody filtered them, all of them looked at by each other.

    Parameters
    ----------
    steps : the first so many, of 5 min

    Returns
    -------
    names : (gauges,)
    time_us : (steps,)
    mm, flags : (steps, gauges); 0 where nothing was said
    """
    head, *rows = _table(reference / "data/rain/ams_pws_5min_2016.csv.gz", rows=steps + 1)
    with (reference / "data/rain/ams_pws_stations.csv").open() as file:
        where = {row["ID"]: (float(row["lat"]), float(row["lon"])) for row in csv.DictReader(file)}
    names = [name for name in head[1:] if name in where]
    columns = [head.index(name) for name in names]
    mm = np.array([[float(row[column] or "nan") for column in columns] for row in rows])
    time_us = np.array([round(_utc(row[0]).timestamp() * 1_000_000) for row in rows])
    stations = [station(name, Sensor(quantity="rain_mm"), cadence_s=300) for name in names]
    reg = registry(*(msgspec.structs.replace(s, lat=where[s.id][0], lon=where[s.id][1]) for s in stations))
    step, gauge = np.nonzero(~np.isnan(mm))
    flags = np.zeros((8, *mm.shape), dtype=np.uint8)
    flags[:, step, gauge] = checked(reg, time_us[step], mm[step, gauge], gauge.tolist())
    return names, time_us, mm, roll_up(flags)


PLANTED = ("spike", "out of range", "stuck", "jump across a gap")


def table(reference: Path) -> Iterator[str]:
    """The lines of docs/quality.md."""
    yield "| record | what | faulty | flagged | right | precision | recall |"
    yield "|---|---|---|---|---|---|---|"
    for record in (*(planted(fault) for fault in PLANTED), *records(reference)):
        for one in scores(record):
            counts = f"{one.faulty:,} | {one.flagged:,} | {one.right:,}"
            yield f"| {one.record} | {one.what} | {counts} | {_share(one.precision)} | {_share(one.recall)} |"


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TAKEAN_REFERENCE", REFERENCE))
    for line in table(folder):
        print(line)


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _qualified(row: Mapping[str, str], column: str) -> str:
    if row[f"{column}_bad"] != "1":
        return ""
    return f"qualifier {row[f'{column}_qual']}" if row[f"{column}_qual"] else "removed"


def _record(
    name: str,
    quantity: str,
    cadence_s: float,
    rows: Sequence[Mapping[str, str]],
    time: str,
    column: str,
    faults: Sequence[str],
    per_unit: float = 1.0,
) -> Record:
    value = np.array([float(r[column] or "nan") for r in rows])
    there = (value != MISSING) & np.isfinite(value)
    time_us = [round(_utc(r[time]).timestamp() * 1_000_000) for r in rows]
    return Record(
        name=name,
        quantity=quantity,
        cadence_s=cadence_s,
        time_us=np.array(time_us)[there],
        value=(value * per_unit)[there],
        fault=np.array(faults, dtype=np.str_)[there],
    )


def _utc(text: str) -> datetime:
    """Local times without a zone are as good as UTC: only steps count."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _table(path: Path, *, rows: int) -> list[list[str]]:
    with gzip.open(path, "rt") as file:
        return list(islice(csv.reader(file), rows))


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
