"""A recorded series as the truth of a station."""

import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from firmware_sim.sites import QUANTITIES
from firmware_sim.truth import Course, Truth, beneath

MISSING_STEPS = 1.5
"""Rows further apart than this many usual steps are a gap."""


def recording(
    path: Path, *, station: str, column: str, quantity: str | None = None, time_column: str | None = None
) -> Truth:
    """Read one column of a CSV file (plain or .gz) as the truth of a station.

    Parameters
    ----------
    path : a header line, then one row per time, times rising
    station : whose truth it becomes
    column : the values, in the canonical unit of the quantity; an empty field is missing
    quantity : a quantity of docs/wire.md; by default the column's own name. For `rain_mm` the column holds what fell
        since the row before
    time_column : ISO 8601 times, read as UTC where they name no zone; by default `time_utc`, or else the only column
        whose name ends in `_utc`

    Returns
    -------
    truth : one course with the file's own times; NaN where a value is missing, a gap where rows are missing

    Raises
    ------
    ValueError : names the file and the column, what was found and what was expected
    """
    quantity = column if quantity is None else quantity
    if quantity not in QUANTITIES:
        raise ValueError(
            f"{path}: column {column} cannot be played as {quantity!r}; name a quantity of {', '.join(QUANTITIES)}"
        )
    table = _read(path)
    where = _time_column(path, table, time_column)
    if column not in table:
        raise ValueError(f"{path}: no column {column!r}; it has {', '.join(table.columns)}")
    if table.empty:
        raise ValueError(f"{path}: no rows below the header; expected at least one time in {where}")
    time_us = _times(path, table[where])
    value = _values(path, table[column])
    if not np.isfinite(value).any():
        raise ValueError(f"{path}: column {column} is empty in all {len(value)} rows; expected numbers")
    if quantity == "rain_mm":
        value = np.where(np.isnan(value), np.nan, np.nancumsum(value))
    step_us = float(np.median(np.diff(time_us))) if len(time_us) > 1 else 1.0
    course = Course(time_us=time_us, value=value, gap_us=round(MISSING_STEPS * step_us))
    return Truth(courses={(station, beneath(quantity)): course})


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (
        OSError,
        EOFError,
        UnicodeDecodeError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        zlib.error,
    ) as error:
        raise ValueError(f"{path}: cannot be read as CSV: {error}") from error


def _time_column(path: Path, table: pd.DataFrame, named: str | None) -> str:
    columns = [str(name) for name in table.columns]
    if named is None and "time_utc" in columns:
        return "time_utc"
    candidates = [name for name in columns if (name.endswith("_utc") if named is None else name == named)]
    if len(candidates) != 1:
        wanted = "time_utc, or name the time column" if named is None else named
        raise ValueError(f"{path}: expected a time column {wanted}; it has {', '.join(columns)}")
    return candidates[0]


def _times(path: Path, text: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        row = int(times.isna().argmax())
        raise ValueError(
            f"{path}: column {text.name}, line {row + 2}: {text.iloc[row]!r} is not an ISO 8601 time such as "
            "2026-11-22T12:00:00Z"
        )
    time_us = times.dt.as_unit("us").astype("int64").to_numpy()
    falls = np.diff(time_us) <= 0
    if falls.any():
        row = int(falls.argmax()) + 1
        raise ValueError(
            f"{path}: column {text.name}, line {row + 2}: {text.iloc[row]} does not come after {text.iloc[row - 1]}; "
            "expected rising times without repeats"
        )
    return np.asarray(time_us, dtype=np.int64)


def _values(path: Path, text: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    given = text.str.strip() != ""
    value = pd.to_numeric(text.where(given), errors="coerce").to_numpy(dtype=np.float64)
    wrong = given.to_numpy() & ~np.isfinite(value)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{path}: column {text.name}, line {row + 2}: {text.iloc[row]!r} is not a number; leave the field empty "
            "where nothing was measured"
        )
    return value
