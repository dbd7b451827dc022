"""What screens ask of rows in DuckDB's reach: the journal's own table, or the files of closed days.

Both have the columns series, time_us, value, flag, seq and revision; in the journal a series is a number, in a file its
key.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Float64, Int64
from sensors.flags import Flag, Flags
from sensors.store import History

Columns = Mapping[str, NDArray[Any]]
Values = Mapping[str, object]
Ask = Callable[[str, Values], Columns]
"""Runs a query with named values and gives its columns."""


def history(ask: Ask, rows: str, series: int | str, *, from_us: int, to_us: int, limit: int, **more: object) -> History:
    """See `SeriesReader.history`.

    Parameters
    ----------
    rows : the table, or a query in brackets
    more : values that `rows` names
    """
    found = ask(
        f"""
        select time_us, arg_min(value, seq) as value, arg_min(flag, seq) as flag from (
            select time_us, coalesce(value, 'nan'::double) as value, flag, seq from {rows}
            where series = $series and time_us >= $low and time_us < $high and not revision
        ) group by time_us order by time_us desc limit $limit
        """,  # noqa: S608  (rows are named by the stores, never by what people type)
        {"series": series, "low": from_us, "high": to_us, "limit": max(0, limit), **more},
    )
    return History(
        time_us=found["time_us"][::-1].astype(np.int64),
        value=found["value"][::-1].astype(np.float64),
        flag=found["flag"][::-1].astype(np.uint8),
    )


def latest(ask: Ask, rows: str, series: Sequence[int | str | None], **more: object) -> tuple[Int64, Float64, Flags]:
    """See `SeriesReader.latest`; None is a series that was never heard of.

    A revision stands beside a first value of its time, so the newest time of all rows is that of a first value.
    """
    time, value = np.zeros(len(series), dtype=np.int64), np.full(len(series), np.nan)
    flag = np.full(len(series), Flag.MISSING, dtype=np.uint8)
    place = {s: i for i, s in enumerate(series) if s is not None}
    if place:
        found = ask(
            f"""
            with newest as (
                select series, max(time_us) as time_us from {rows}
                where series in (select unnest($series)) group by series
            )
            select series, time_us, coalesce(r.value, 'nan'::double) as value, r.flag
            from {rows} r join newest using (series, time_us) where not r.revision
            """,  # noqa: S608
            {"series": list(place), **more},
        )
        at = [place[s] for s in found["series"].tolist()]
        time[at], value[at], flag[at] = found["time_us"], found["value"], found["flag"]
    return time, value, flag


def totals(
    ask: Ask, rows: str, series: Sequence[int | str | None], *, from_us: int, to_us: int, **more: object
) -> tuple[Float64, Int64]:
    """See `SeriesReader.totals`; None is a series that was never heard of."""
    total, count = np.zeros(len(series)), np.zeros(len(series), dtype=np.int64)
    place = {s: i for i, s in enumerate(series) if s is not None}
    if place:
        found = ask(
            f"""
            select series, sum(value) as total, count(*) as n from {rows}
            where series in (select unnest($series)) and time_us > $low and time_us <= $high
              and flag in (1, 2) and not revision and isfinite(value) group by series
            """,  # noqa: S608
            {"series": list(place), "low": from_us, "high": to_us, **more},
        )
        at = [place[s] for s in found["series"].tolist()]
        total[at], count[at] = found["total"], found["n"]
    return total, count
