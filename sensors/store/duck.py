"""The journal in one DuckDB file: append-only, no key, no index, idempotent by looking up only the rows that could
be repeats.
"""

import queue
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flag, Flags
from sensors.store import History, Journal, State

SCHEMA = """
create table if not exists series (id integer not null, key varchar not null);
create table if not exists reading (
    seq bigint not null, series integer not null, time_us bigint not null, value double,
    received_us bigint not null, flag utinyint not null, checks uinteger not null, revision boolean not null
);
"""
MEMORY_LIMIT = "512MB"
THREADS = 1
"""More than one made small appends dearer by half and no query of ours faster."""
NONE = np.iinfo(np.int64).min


class DuckStore:
    """A `SeriesStore` in one file.

    A row newer than everything stored of its series cannot be a repeat: it is appended without a look. Only late
    rows are joined against the file, so the hot path costs one append and one commit.

    Raises
    ------
    OSError : the file cannot be opened, or another process has it
    """

    def __init__(self, path: Path | str, keys: Sequence[str]) -> None:
        try:
            self._db = duckdb.connect(str(path), config={"threads": THREADS, "memory_limit": MEMORY_LIMIT})
        except duckdb.IOException as error:
            raise OSError(
                f"{path}: the journal cannot be opened; one process may have it at a time. {error}"
            ) from error
        self._db.execute(SCHEMA)
        self._keys = list(keys)
        self._id_of = self._register(keys)
        self._ids = np.array([self._id_of[k] for k in keys], dtype=np.int32)
        self._index = np.full(int(self._ids.max(initial=-1)) + 1, -1, dtype=np.int32)
        self._index[self._ids] = np.arange(len(keys), dtype=np.int32)
        self._last_seq = self._one("select coalesce(max(seq), 0) from reading")
        self._newest = self._load_newest()
        self._idle: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()

    # ---- writing: one thread

    def recognise(self, batch: ReadingBatch) -> NDArray[np.uint8]:
        state = np.full(len(batch), State.STORED, dtype=np.uint8)
        if len(batch):
            ahead = _ahead(batch, self._newest)
            if not ahead.all():
                state[~ahead] = self._states_of_late(batch, self._ids[batch.series], ahead)
        return state

    def append(self, batch: ReadingBatch, conflict: Bool, flag: Flags, checks: NDArray[np.uint32]) -> Int64:
        seq = self._last_seq + 1 + np.arange(len(batch), dtype=np.int64)
        if len(batch):
            columns = {
                "seq": seq,
                "series": self._ids[batch.series],
                "time_us": batch.time_us,
                "value": batch.value,
                "received_us": batch.received_us,
                "flag": flag,
                "checks": checks,
                "revision": conflict,
            }
            self._insert(pa.table(columns))
            self._last_seq = int(seq[-1])
            np.maximum.at(self._newest, batch.series, batch.time_us)
        return seq

    def _insert(self, rows: pa.Table) -> None:
        self._db.register("arriving", rows)
        try:
            self._db.execute("insert into reading select * from arriving")  # one statement, one durable commit
        finally:
            self._db.unregister("arriving")

    def _states_of_late(self, batch: ReadingBatch, ids: NDArray[np.int32], ahead: Bool) -> NDArray[np.uint8]:
        """State of each row that is not ahead: compared with the file and with the rows of this batch that arrived
        before it.
        """
        late = np.flatnonzero(~ahead)
        rows = pa.table(
            {
                "i": np.arange(len(batch)),
                "series": ids,
                "time_us": batch.time_us,
                "value": batch.value,
                "late": ~ahead,
            }
        )
        times = batch.time_us[late]
        self._db.register("arriving", rows)
        try:
            found = _fetch(
                self._db,
                """
                with there as (
                    select series, time_us, value, -1 as i from reading
                    where time_us between $low and $high and series in (select distinct series from arriving where late)
                    union all select series, time_us, value, i from arriving
                )
                select a.i, bool_or(there.value is not distinct from a.value) as same
                from arriving a join there on there.series = a.series and there.time_us = a.time_us and there.i < a.i
                where a.late group by a.i
                """,
                {"low": int(times.min()), "high": int(times.max())},
            )
        finally:
            self._db.unregister("arriving")
        states = np.full(len(batch), State.STORED, dtype=np.uint8)
        states[found["i"]] = np.where(found["same"].astype(bool), State.REPEAT, State.CONFLICT)
        return states[late]

    # ---- reading: any thread, each with its own cursor

    def scan(self, *, after_seq: int, rows: int) -> Iterator[Journal]:
        while True:
            chunk = self._read(
                "select seq, series, time_us, value, received_us, flag, checks, revision from reading "
                "where seq > $after and seq <= $after + $rows order by seq",
                {"after": after_seq, "rows": rows},
            )
            if not len(chunk["seq"]):
                return
            after_seq = int(chunk["seq"][-1])
            known = chunk["series"] < len(self._index)
            series = np.where(known, self._index[np.where(known, chunk["series"], 0)], -1)
            keep = series >= 0
            if keep.any():
                yield Journal(
                    seq=chunk["seq"][keep],
                    batch=ReadingBatch.of(
                        series=series[keep],
                        time_us=chunk["time_us"][keep],
                        value=chunk["value"][keep],
                        received_us=chunk["received_us"][keep],
                    ),
                    flag=chunk["flag"][keep].astype(np.uint8),
                    checks=chunk["checks"][keep].astype(np.uint32),
                    conflict=chunk["revision"][keep].astype(np.bool_),
                )

    def last_seq(self) -> int:
        return self._last_seq

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        found = self._read(
            """
            select time_us, arg_min(value, seq) as value, arg_min(flag, seq) as flag from (
                select time_us, coalesce(value, 'nan'::double) as value, flag, seq from reading
                where series = $series and time_us >= $low and time_us < $high and not revision
            ) group by time_us order by time_us desc limit $limit
            """,
            {"series": self._id_of.get(key, -1), "low": from_us, "high": to_us, "limit": max(0, limit)},
        )
        return History(
            time_us=found["time_us"][::-1].astype(np.int64),
            value=found["value"][::-1].astype(np.float64),
            flag=found["flag"][::-1].astype(np.uint8),
        )

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        time, value = np.zeros(len(keys), dtype=np.int64), np.full(len(keys), np.nan)
        flag = np.full(len(keys), Flag.MISSING, dtype=np.uint8)
        place = {self._id_of[k]: i for i, k in enumerate(keys) if k in self._id_of}
        found = self._read(
            """
            select series, max(time_us) as time_us, arg_max(coalesce(value, 'nan'::double), time_us) as value,
                   arg_max(flag, time_us) as flag
            from reading where series in (select unnest($series)) and not revision group by series
            """,
            {"series": list(place)},
        )
        at = [place[int(s)] for s in found["series"]]
        time[at], value[at], flag[at] = found["time_us"], found["value"], found["flag"]
        return time, value, flag

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        total, count = np.zeros(len(keys)), np.zeros(len(keys), dtype=np.int64)
        place = {self._id_of[k]: i for i, k in enumerate(keys) if k in self._id_of}
        found = self._read(
            """
            select series, sum(value) as total, count(*) as n from reading
            where series in (select unnest($series)) and time_us > $low and time_us <= $high
              and flag in (1, 2) and not revision and isfinite(value) group by series
            """,
            {"series": list(place), "low": from_us, "high": to_us},
        )
        at = [place[int(s)] for s in found["series"]]
        total[at], count[at] = found["total"], found["n"]
        return total, count

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()
        self._db.close()

    # ---- opening

    def _register(self, keys: Sequence[str]) -> dict[str, int]:
        there = {str(k): int(i) for i, k in self._db.execute("select id, key from series").fetchall()}
        new = [k for k in keys if k not in there]
        first = max(there.values(), default=-1) + 1
        there |= {k: first + i for i, k in enumerate(new)}
        if new:
            self._db.executemany("insert into series values (?, ?)", [(there[k], k) for k in new])
        return there

    def _load_newest(self) -> Int64:
        newest = np.full(len(self._keys), NONE, dtype=np.int64)
        for series, time_us in self._db.execute("select series, max(time_us) from reading group by series").fetchall():
            if series < len(self._index) and self._index[series] >= 0:
                newest[self._index[series]] = time_us
        return newest

    def _one(self, sql: str) -> int:
        row = self._db.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    def _read(self, sql: str, values: dict[str, object]) -> dict[str, NDArray[Any]]:
        """Columns of an answer, by a cursor of its own: as many are kept as were ever needed at once."""
        try:
            cursor = self._idle.get_nowait()
        except queue.Empty:
            cursor = self._db.cursor()
        try:
            return _fetch(cursor, sql, values)
        finally:
            self._idle.put(cursor)


def _fetch(db: duckdb.DuckDBPyConnection, sql: str, values: dict[str, object]) -> dict[str, NDArray[Any]]:
    """Columns of an answer as plain arrays; none of the queries here returns a null."""
    return {name: np.asarray(column) for name, column in db.execute(sql, values).fetchnumpy().items()}


def _ahead(batch: ReadingBatch, newest: Int64) -> Bool:
    """Whether each row is newer than all stored and all earlier rows of its series: then it cannot be a repeat."""
    order = np.argsort(batch.series, kind="stable")
    series, time = batch.series[order], batch.time_us[order]
    starts = np.r_[True, series[1:] != series[:-1]]
    # Strictly rising within each series and above what is stored: the usual case, one comparison a row.
    rising = np.where(starts, time > newest[series], np.r_[True, time[1:] > time[:-1]])
    group = np.cumsum(starts) - 1
    broken = np.zeros(int(group[-1]) + 1, dtype=np.bool_)
    broken[group[~rising]] = True
    ahead = np.empty(len(batch), dtype=np.bool_)
    ahead[order] = ~broken[group]  # one row out of order sends its whole series the careful way
    return ahead
