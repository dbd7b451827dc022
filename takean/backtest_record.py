"""A bare recording: one column of a file, judged as one station's gauge."""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alerts.backtest import LEVELS, Stage
from alerts.rule import LevelRule, StepRule
from alerts.rules import Rule, RuleSet, compile_rules
from alerts.rules import read as read_rules
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.quantities import QUANTITIES
from sensors.stations import SECOND_US, Area, Banks, ConfigError, Place, Registry, Sensor, Station, build
from sensors.units import convert
from takean.exchange import ExchangeError

CRITICAL = LEVELS.index("critical")
NAME = "record"
"""Of the station, its area and the place."""
DEFAULT_CADENCE_S = 900.0
STEPS = 8
"""Where no cadence is given, it is the middle of so many steps between the first readings."""
LEAVE_M = 0.05
"""A given level is left this far below it."""
BANK_M = 1.0
"""Where no bed is given, fractions of the bank count over so much below the critical threshold."""
ROOM_M = 4.0
"""What a stage needs below and above its critical height before it is beyond what any gauge shows."""
DUST = "ug/m3"
"""The unit that stands for PM2.5; every length stands for a stage."""


class RecordError(ExchangeError):
    """The file or what was asked of it, and why it cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """Readings in the order of the file, in the unit of their quantity."""

    quantity: str
    time_us: Int64
    value: Float64
    conflict: Bool
    """(n,) rows that contradict an earlier one of the same time; repeats are gone."""

    def __len__(self) -> int:
        return len(self.time_us)

    @property
    def batch(self) -> ReadingBatch:
        """As it would have arrived: each row at its time, or with the row before it where it is older."""
        arrived = np.maximum.accumulate(self.time_us) if len(self) else self.time_us
        series = np.zeros(len(self), dtype=np.int32)
        return ReadingBatch(series=series, time_us=self.time_us, value=self.value, received_us=arrived)

    def cadence_s(self, rows: int = STEPS + 1) -> float:
        """The middle of the steps between the first rows; of those after STEPS steps it takes no notice."""
        steps = np.diff(np.unique(self.time_us[: min(rows, STEPS + 1)]))
        return float(np.median(steps)) / SECOND_US if len(steps) else DEFAULT_CADENCE_S


def read(path: Path, *, time: str, value: str, where: Sequence[str], unit: str) -> Record:
    """Read one column.

    Parameters
    ----------
    path : .csv, .csv.gz or .parquet
    time, value : names of columns; times are ISO 8601, UTC where they name no zone
    where : `column=text`, each of which a row must fulfil
    unit : of the column

    Raises
    ------
    RecordError : the file cannot be read, lacks a column, or holds what is no time
    """
    frame = _frame(path, [condition.partition("=")[0] for condition in where])
    for condition in where:
        column, sign, text = condition.partition("=")
        if not sign:
            raise RecordError(f"--where {condition}: expected column=text")
        frame = frame[_column(path, frame, column).astype(str) == text]
        if frame.empty:
            raise RecordError(f"{path.name}: no row has {column}={text}")
    moments = _column(path, frame, time)
    if pd.api.types.is_numeric_dtype(moments):
        raise RecordError(f"{path.name}: column {time} holds numbers; expected times such as 2026-11-22T06:50:00Z")
    try:
        stamps = pd.to_datetime(moments, utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        why = str(error).partition(" You might")[0]
        raise RecordError(f"{path.name}: column {time}: {why}") from error
    written = _column(path, frame, value)
    numbers = pd.to_numeric(written, errors="coerce").to_numpy(dtype=np.float64)
    if len(written) and written.notna().any() and np.isnan(numbers).all():
        raise RecordError(f"{path.name}: column {value} holds no number, but such as {written.dropna().iloc[0]!r}")
    there = stamps.notna().to_numpy()
    time_us = np.asarray(stamps[there].dt.as_unit("us").astype(np.int64), dtype=np.int64)
    quantity, values = _canonical(np.where(np.isfinite(numbers), numbers, np.nan)[there], unit)
    repeat, conflict = _repeats(time_us, values)
    return Record(quantity=quantity, time_us=time_us[~repeat], value=values[~repeat], conflict=conflict[~repeat])


def world(
    record: Record,
    thresholds: Mapping[str, float],
    *,
    cadence_s: float | None,
    bed: float | None,
    rules: Sequence[Rule],
) -> tuple[Registry, RuleSet]:
    """One station and the rules that judge it.

    Parameters
    ----------
    thresholds : by level (watch, warning, critical), in the unit of the quantity; `critical` is needed. What is given
        is a level of the value itself, what is missing is what the rules make of the critical one.
    bed : height of the bed, under which a fraction of the bank is nothing; None: see BANK_M
    rules : see `default_rules`; those of other hazards, and of levels that are given, do not count

    Raises
    ------
    ConfigError : what the rules or thresholds get wrong
    """
    critical = thresholds["critical"]
    bank = Banks(
        left_m=critical,
        right_m=critical,
        bed_m=critical - BANK_M if bed is None else bed,
        surveyed=True,
        source="--threshold",
    )
    station = Station(
        id=NAME,
        name=NAME,
        english=NAME,
        lat=0.0,
        lon=0.0,
        areas=(NAME,),
        cadence_s=cadence_s or record.cadence_s(),
        sensor=(Sensor(quantity=record.quantity),),
        banks=bank if record.quantity == "stage_m" else None,
    )
    place = Place(name=NAME, long="", english=NAME, phone="")
    registry = build(
        place=place, areas=(Area(id=NAME, name=NAME, english=NAME),), stations=(station,), where="--record"
    )
    return registry, compile_rules(tuple(_rules(record, thresholds, rules)), registry)


def stages(
    record: Record,
    thresholds: Mapping[str, float],
    *,
    cadence_s: float | None,
    bed: float | None,
    rules: Sequence[Rule],
) -> list[Stage]:
    """What judges the record from which row on; see `world`.

    A cadence that is not given is what the rows so far say, until there are STEPS steps: so no row is judged by what
    came behind it, however early the record is cut off.

    Raises
    ------
    ConfigError : what the rules or thresholds get wrong
    """
    if cadence_s is not None:
        return [(0, *world(record, thresholds, cadence_s=cadence_s, bed=bed, rules=rules))]
    found: list[Stage] = []
    held_s = None
    for row in range(max(1, min(len(record), STEPS + 1))):
        now_s = record.cadence_s(row + 1)
        if now_s == held_s:
            continue
        held_s = now_s
        try:
            there = world(record, thresholds, cadence_s=now_s, bed=bed, rules=rules)
        except ConfigError:
            if row >= STEPS:
                raise
            there = world(record, thresholds, cadence_s=DEFAULT_CADENCE_S, bed=bed, rules=rules)
        found.append((row, *there))
    return found


def grounded(record: Record, thresholds: Mapping[str, float]) -> tuple[Record, dict[str, float]]:
    """A stage over a far datum as one over a gauge zero of its own, where no gauge could show it as it stands.

    Thresholds and values move together by whole metres, so that nothing but their zero changes.
    """
    low, high = QUANTITIES[record.quantity].fail
    if record.quantity != "stage_m" or low + ROOM_M <= thresholds["critical"] <= high - ROOM_M:
        return record, dict(thresholds)
    zero = math.floor(thresholds["critical"] - (low + high) / 2)
    return replace(record, value=record.value - zero), {level: height - zero for level, height in thresholds.items()}


def default_rules() -> tuple[Rule, ...]:
    """One set for every gauge."""
    with as_file(files("takean") / "sample" / "record.toml") as path:
        return read_rules(path)


def _rules(record: Record, thresholds: Mapping[str, float], found: Sequence[Rule]) -> Iterator[Rule]:
    given = {LEVELS.index(level): value for level, value in thresholds.items()}
    hazard = "flood" if record.quantity == "stage_m" else "air"
    stood: set[int] = set()
    for rule in found:
        if not isinstance(rule, StepRule) or (rule.hazard, rule.quantity) != (hazard, record.quantity):
            continue
        if rule.level == CRITICAL or rule.level not in given:
            stood.add(rule.level)
            yield msgspec.structs.replace(rule, stations=(), for_areas=())
    for level, value in given.items():
        if level not in stood:
            yield LevelRule(
                id=f"given.{LEVELS[level]}",
                version="1",
                hazard=hazard,
                level=level,
                quantity=record.quantity,
                unit=QUANTITIES[record.quantity].unit,
                enter=value,
                leave=value - LEAVE_M,
                up_for_s=0,
                down_for_s=1800,
                source="--threshold",
                author="command line",
                date=date(2026, 11, 22),
            )


def _frame(path: Path, as_text: Sequence[str]) -> pd.DataFrame:
    """The file; names of stations such as 007 stay as they are written."""
    try:
        if path.suffix == ".parquet":
            found = pd.read_parquet(path)
            return found if found.index.name is None else found.reset_index()
        text = dict.fromkeys(as_text, "string")
        return pd.read_csv(path, dtype_backend="numpy_nullable", low_memory=False, dtype=text)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise RecordError(f"{path.name}: {str(error).strip()}") from error


def _column(path: Path, frame: pd.DataFrame, name: str) -> "pd.Series[str]":
    if name not in frame.columns:
        raise RecordError(f"{path.name}: no column {name}; there are {', '.join(map(str, frame.columns))}")
    return frame[name]


def canonical(height: float, unit: str) -> float:
    """A threshold in the unit of the quantity.

    Raises
    ------
    RecordError : no quantity has the unit
    """
    return float(_canonical(np.array([height]), unit)[1][0])


def _canonical(value: Float64, unit: str) -> tuple[str, Float64]:
    quantity = "pm2_5_ug_m3" if unit == DUST else "stage_m"
    ones = [convert(one, unit, QUANTITIES[quantity].unit) for one in (0.0, 1.0)]
    if None in ones:
        raise RecordError(f"--unit {unit}: expected a length (m, cm, mm) or {DUST}")
    exact = [convert(one, unit, QUANTITIES[quantity].unit) for one in value.tolist()]
    return quantity, np.array(exact, dtype=np.float64)


def _repeats(time_us: Int64, value: Float64) -> tuple[Bool, Bool]:
    """(n,) rows that say again what an earlier one said, and rows that say something else of its time."""
    _, first, which = np.unique(time_us, return_index=True, return_inverse=True)
    earlier: NDArray[np.intp] = first[which]
    again = earlier != np.arange(len(time_us))
    same = (value == value[earlier]) | (np.isnan(value) & np.isnan(value[earlier]))
    return again & same, again & ~same
