"""What screens ask of rows in DuckDB's reach: the journal's own table, or the files of closed days.

Both have the columns series, time_us, value, flag, seq and revision; in the journal a series is a number, in a file its
key.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Float64, Int64
from sensors.flags import Flag, Flags
from sensors.store import DAY_US, Contents, History, PageOf

Columns = Mapping[str, NDArray[Any]]
Values = Mapping[str, object]
Ask = Callable[[str, Values], Columns]
"""Runs a query with named values and gives its columns."""
Files = Mapping[int, tuple[str, int]]
"""Of trimmed days: the day's file, and up to which number its rows have left the journal."""

READINGS = "seq, series, time_us, value, received_us, flag, checks, revision"
JOURNAL = f"select {READINGS} from reading"  # noqa: S608
_TRIMMED = f"""
    union all by name
    select f.seq, s.id as series, f.time_us, f.value, f.received_us, f.flag, f.checks, f.revision
    from read_parquet($files::varchar[]) f join series s on s.key = f.series
    join (select unnest($trimmed::bigint[]) as day, unnest($throughs::bigint[]) as through_seq) t
        on f.time_us // {DAY_US} = t.day and f.seq <= t.through_seq
"""  # noqa: S608
_REVISED = """
    select r.* replace (coalesce(n.flag, r.flag) as flag, coalesce(n.checks, r.checks) as checks)
    from {rows} r left join flag_now n on n.series = r.series and n.time_us = r.time_us and not r.revision
"""


def with_flags(rows: str) -> str:
    """The same rows, each with its newest flag."""
    return f"({_REVISED.format(rows=rows)})"


def stored(files: Files, *, revised: bool, without: Collection[int] = ()) -> tuple[str, dict[str, object]]:
    """A query in brackets for every row of a journal, those among them that have left it, and its values.

    Parameters
    ----------
    files : of trimmed days
    revised : whether some flags have been revised: the newest is given
    without : days whose rows are left out
    """
    rows, values = JOURNAL, dict[str, object]()
    if without:
        rows += f" where not list_contains($without::bigint[], time_us // {DAY_US})"
        values["without"] = list(without)
    files = {day: file for day, file in files.items() if day not in without}
    if files:
        rows += _TRIMMED
        values["files"] = [path for path, _ in files.values()]
        values["trimmed"] = list(files)
        values["throughs"] = [through for _, through in files.values()]
    return with_flags(f"({rows})") if revised else f"({rows})", values


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


LAST_SEQ = """
select coalesce(max(seq), 0) as seq
from (select max(seq) as seq from reading union all select max(through_seq) from newest_known)
"""


def contents(ask: Ask) -> Contents:
    """What a journal holds, with the days of it that were trimmed."""
    keys = ask("select key from series order by key", {})["key"]
    days = ask(f"select time_us // {DAY_US} as day from reading union select day from trimmed order by day", {})["day"]  # noqa: S608
    last = ask(LAST_SEQ, {})["seq"]
    return Contents(keys=[str(key) for key in keys], days=days.tolist(), last_seq=int(last[0]))


def page(ask: Ask, of: PageOf, files: Files, *, revised: bool = True) -> Columns:
    """Rows of a journal with everything that is stored of them, revisions too; `series` is the key."""
    rows, values = stored(files, revised=revised)
    return ask(
        f"""
        select s.key as series, r.time_us, coalesce(r.value, 'nan'::double) as value, r.received_us, r.flag, r.checks,
               r.revision, r.seq
        from {rows} r join series s on s.id = r.series
        where r.time_us >= $low and r.time_us < $high and r.seq <= $through
          and (len($keys::varchar[]) = 0 or list_contains($keys::varchar[], s.key))
          and (s.key > $key or (s.key = $key and (r.time_us > $time or (r.time_us = $time and r.seq > $seq))))
        order by s.key, r.time_us, r.seq limit $rows
        """,  # noqa: S608
        {
            "low": max(of.from_us, of.day * DAY_US),
            "high": min(of.to_us, (of.day + 1) * DAY_US),
            "through": of.through_seq,
            "keys": of.keys,
            "key": of.key,
            "time": of.time_us,
            "seq": of.seq,
            "rows": of.rows,
            **values,
        },
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
