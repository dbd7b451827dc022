"""The journal in one DuckDB file: append-only, no key, no index, idempotent by looking up only the rows that could
be repeats. Rows whose closed day lies in a file may leave it, see `sensors.store.retention_rows`.
"""

import queue
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flags
from sensors.store import DAY_US, Contents, History, Journal, PageOf, State, TooSlow, queries, retention_rows
from sensors.store.retention_rows import TrimmedDays

SCHEMA = """
create table if not exists series (id integer not null, key varchar not null);
create table if not exists reading (
    seq bigint not null, series integer not null, time_us bigint not null, value double,
    received_us bigint not null, flag utinyint not null, checks uinteger not null, revision boolean not null
);
create table if not exists journal (id varchar not null);
insert into journal select uuid()::varchar where not exists (from journal);
create table if not exists newest_known (
    series integer not null, time_us bigint not null, value double not null, flag utinyint not null,
    through_seq bigint not null
);
create table if not exists revision_of_flag (
    number bigint not null, series integer not null, time_us bigint not null, flag utinyint not null,
    checks uinteger not null, flag_before utinyint not null, checks_before uinteger not null,
    revised_by varchar not null, at_us bigint not null
);
create view if not exists flag_now as
    select series, time_us, arg_max(flag, number) as flag, arg_max(checks, number) as checks
    from revision_of_flag group by series, time_us;
"""
MEMORY_LIMIT = "512MB"
THREADS = 1
"""More than one made small appends dearer by half and no query of ours faster."""
NONE = np.iinfo(np.int64).min
ANSWER_S_MAX = 2.0
"""A screen's question that takes longer is given up: the machine has rivers to watch."""
_NEWEST = """(
    select series, time_us, value, flag, 0 as checks, false as revision from newest_known
    union all by name
    select series, time_us, coalesce(value, 'nan'::double) as value, flag, checks, revision from reading
    where seq > (select coalesce(max(through_seq), 0) from newest_known)
)"""
"""What is newest of each series, told without a look at the rows up to which that is known."""


class DuckStore:
    """A `SeriesStore` in one file.

    A row newer than everything stored of its series cannot be a repeat: it is appended without a look. Only late
    rows are joined against the file, so the hot path costs one append and one commit.

    Parameters
    ----------
    days : folder of the files of closed days, for a journal whose rows leave it

    Raises
    ------
    OSError : the file cannot be opened, or another process has it
    """

    def __init__(self, path: Path | str, keys: Sequence[str], *, days: Path | None = None) -> None:
        try:
            self._db = duckdb.connect(str(path), config={"threads": THREADS, "memory_limit": MEMORY_LIMIT})
            self._db.execute(SCHEMA + retention_rows.SCHEMA)
        except duckdb.Error as error:  # a full disk is of several kinds: opening writes down what the last run left
            raise OSError(
                f"{path}: the journal cannot be opened; it needs room, and one process may have it at a time. {error}"
            ) from error
        self._keys = list(keys)
        self._id_of = self._register(keys)
        self._ids = np.array([self._id_of[k] for k in keys], dtype=np.int32)
        self._index = np.full(int(self._ids.max(initial=-1)) + 1, -1, dtype=np.int32)
        self._index[self._ids] = np.arange(len(keys), dtype=np.int32)
        self._last_seq = self._one(queries.LAST_SEQ)
        self.trimmed = TrimmedDays(self._db, days)
        self._flags = self._flag_stamps()
        self._place = {key: i for i, key in enumerate(self._keys)}
        self._latest_lock = threading.Lock()
        self._revising = threading.Lock()
        self._newest, self._value, self._flag = queries.latest(self._columns, self._newest_rows(), self._ids.tolist())
        self._newest[self._newest == 0] = NONE
        self._idle: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()

    # ---- writing: one thread

    def recognise(self, batch: ReadingBatch) -> NDArray[np.uint8]:
        state = np.full(len(batch), State.STORED, dtype=np.uint8)
        if len(batch):
            ahead = _ahead(batch, self._newest)
            if not ahead.all():
                state[~ahead] = self.trimmed.consistently(
                    lambda: self._states_of_late(batch, self._ids[batch.series], ahead)
                )
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
            self._note_latest(batch, conflict, flag)
        return seq

    def _note_latest(self, batch: ReadingBatch, conflict: Bool, flag: Flags) -> None:
        """Remember the newest row of each series. A revision stands beside a row of its time: it is never newer."""
        newer = np.flatnonzero(~conflict & (batch.time_us > self._newest[batch.series]))
        order = newer[np.lexsort((batch.time_us[newer], batch.series[newer]))]
        series = batch.series[order]
        rows = order[np.r_[series[1:] != series[:-1], True]] if len(order) else order
        at = batch.series[rows]
        with self._latest_lock:
            self._newest[at], self._value[at], self._flag[at] = batch.time_us[rows], batch.value[rows], flag[rows]

    def _insert(self, arriving: pa.Table) -> None:
        # One statement, one durable commit. It finds the table by the name of the parameter, which costs a third less
        # than to register it. Never `from_arrow(...).insert_into(...)`: that swallows a commit that failed.
        assert arriving is not None
        self._db.execute("insert into reading select * from arriving")

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
        files = self.trimmed.files(np.unique(times // DAY_US).tolist())
        if files and self.trimmed.doubted:
            files = self.trimmed.sound(files)
        there, values = queries.stored(files, revised=False)
        self._db.register("arriving", rows)
        try:
            found = _fetch(
                self._db,
                f"""
                with there as (
                    select series, time_us, value, -1 as i from {there}
                    where time_us between $low and $high and series in (select distinct series from arriving where late)
                    union all select series, time_us, value, i from arriving
                )
                select a.i, bool_or(there.value is not distinct from a.value) as same
                from arriving a join there on there.series = a.series and there.time_us = a.time_us and there.i < a.i
                where a.late group by a.i
                """,  # noqa: S608
                {"low": int(times.min()), "high": int(times.max()), **values},
            )
        finally:
            self._db.unregister("arriving")
        states = np.full(len(batch), State.STORED, dtype=np.uint8)
        states[found["i"]] = np.where(found["same"].astype(bool), State.REPEAT, State.CONFLICT)
        return states[late]

    def checkpoint(self) -> None:
        """Move what was written ahead into the file, and make room there where rows have left; when somebody is in the
        way, the next commit that is due for it does.
        """
        with suppress(duckdb.TransactionException):
            self._read("checkpoint", {})

    def revise(self, key: str, time_us: int, flag: int, checks: int, *, by: str, at_us: int) -> None:
        """See the contract."""
        with self._revising:
            self._revise(key, time_us, flag, checks, by=by, at_us=at_us)

    def _revise(self, key: str, time_us: int, flag: int, checks: int, *, by: str, at_us: int) -> None:
        first = PageOf(
            day=time_us // DAY_US, keys=[key], from_us=time_us, to_us=time_us + 1, through_seq=self._last_seq, rows=1
        )
        found = self.page(first)
        if not len(found["seq"]):
            raise KeyError(f"{key}: nothing was measured at {time_us}")
        row = {
            "series": self._id_of[key],
            "time": time_us,
            "flag": flag,
            "checks": checks,
            "flag_before": int(found["flag"][0]),
            "checks_before": int(found["checks"][0]),
            "by": by,
            "at": at_us,
        }
        self._read(
            """
            insert into revision_of_flag
            select coalesce(max(number), 0) + 1, $series, $time, $flag, $checks, $flag_before, $checks_before, $by, $at
            from revision_of_flag
            """,
            row,
        )
        with self._latest_lock:
            self._flags = self._flag_stamps()
            if (at := self._place.get(key)) is not None and self._newest[at] == time_us:
                self._flag[at] = flag

    def flag_stamps(self) -> Mapping[int, str]:
        """Day -> what tells its newest revision of a flag from any other, also of another past."""
        return self._flags

    def _flag_stamps(self) -> dict[int, str]:
        found = (
            self._db.cursor()
            .execute(
                f"""
            select time_us // {DAY_US} as day, max(number) as number, arg_max(concat_ws(' ', at_us, revised_by), number)
            from revision_of_flag group by day
            """  # noqa: S608
            )
            .fetchall()
        )
        return {int(day): f"{number} {said}" for day, number, said in found}

    # ---- reading: any thread, each with its own cursor

    def scan(self, *, after_seq: int, rows: int, through_seq: int = 2**63 - 1) -> Iterator[Journal]:
        """See the contract; a chunk that begins behind `through_seq` is not looked for."""
        while after_seq < through_seq:
            chunk = self._read(
                "select seq, series, time_us, value, received_us, flag, checks, revision from reading "
                "where seq > $after and seq <= $after + $rows order by seq",
                {"after": after_seq, "rows": rows},
            )
            if not len(chunk["seq"]):
                beyond = self._read(
                    "select coalesce(min(seq), 0) as seq from reading where seq > $after", {"after": after_seq}
                )
                if not beyond["seq"][0]:
                    return
                after_seq = int(beyond["seq"][0]) - 1  # those between have left
                continue
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

    def check(self) -> None:
        """See the contract: a checkpoint that finds the disk full ends the database for this process, although every
        row is safe.
        """
        self._read("select 1 as one", {})

    def history(self, key: str, *, from_us: int, to_us: int, limit: int, without: Collection[int] = ()) -> History:
        """See the contract; `without` are days (`DAY_US`) whose rows are left out."""

        def ask() -> History:
            rows, values = self._stored(from_us, to_us, without)
            series = self._id_of.get(key, -1)
            return queries.history(self._ask, rows, series, from_us=from_us, to_us=to_us, limit=limit, **values)

        return self.trimmed.consistently(ask)

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        """Of registered series from memory: screens ask twice a second."""
        at = [self._place.get(key, -1) for key in keys]
        if -1 in at:
            return queries.latest(self._ask, self._newest_rows(), [self._id_of.get(key) for key in keys])
        with self._latest_lock:
            time, value, flag = self._newest[at], self._value[at], self._flag[at]
        return np.where(time == NONE, 0, time), value, flag

    def totals(
        self, keys: list[str], *, from_us: int, to_us: int, without: Collection[int] = ()
    ) -> tuple[Float64, Int64]:
        """See the contract; `without` are days (`DAY_US`) whose rows are left out."""

        def ask() -> tuple[Float64, Int64]:
            rows, values = self._stored(from_us, to_us, without)
            series = [self._id_of.get(key) for key in keys]
            return queries.totals(self._ask, rows, series, from_us=from_us, to_us=to_us, **values)

        return self.trimmed.consistently(ask)

    def _stored(self, from_us: int, to_us: int, without: Collection[int]) -> tuple[str, dict[str, object]]:
        """Every row of a span, as `queries.stored`."""
        days = [d for d in self.trimmed.days if d * DAY_US <= to_us and (d + 1) * DAY_US > from_us]
        return queries.stored(self.trimmed.files(days), revised=bool(self._flags), without=without)

    def _newest_rows(self) -> str:
        return queries.with_flags(_NEWEST) if self._flags else _NEWEST

    def days_after(self, seq: int) -> dict[int, int]:
        """Days (`DAY_US`) of which rows were stored after number `seq` -> the newest number of each among those that
        the journal still has.
        """
        found = self._read(
            f"select time_us // {DAY_US} as day, max(seq) as seq from reading where seq > $seq group by 1",  # noqa: S608
            {"seq": seq},
        )
        return dict(zip(found["day"].tolist(), found["seq"].tolist(), strict=True))

    def mark(self, seq: int) -> str:
        """What no other journal says of its row number `seq`, nor this one after an older copy of it was brought back
        and went on; empty where there is no such row.
        """
        found = self._read(
            "select concat_ws(' ', id, seq, series, time_us, received_us) as mark from journal, reading "
            "where seq = $seq",
            {"seq": seq},
        )
        return str(found["mark"][0]) if len(found["mark"]) else ""

    def day(self, day: int, *, through_seq: int, rows: int) -> Iterator[pa.RecordBatch]:
        """Every row of one day up to number `through_seq`, revisions too, sorted by key, time and number, in batches
        of at most `rows`; a series is named by its key. For the thread that trims.
        """
        stored, values = queries.stored(self.trimmed.files([day]), revised=bool(self._flags))
        cursor = self._db.cursor()
        try:
            yield from cursor.sql(
                f"""
                select s.key as series, r.time_us, r.value, r.received_us, r.flag, r.checks, r.revision, r.seq
                from {stored} r join series s on s.id = r.series
                where r.time_us >= $low and r.time_us < $high and r.seq <= $through order by s.key, r.time_us, r.seq
                """,  # noqa: S608
                params={"low": day * DAY_US, "high": (day + 1) * DAY_US, "through": through_seq, **values},
            ).to_arrow_reader(rows)
        finally:
            cursor.close()

    def contents(self) -> Contents:
        """What it holds."""
        return queries.contents(self._ask)

    def page(self, of: PageOf) -> queries.Columns:
        """See `queries.page`."""
        return self.trimmed.consistently(
            lambda: queries.page(self._ask, of, self.trimmed.files([of.day]), revised=bool(self._flags))
        )

    # ---- keeping house: one background thread

    def remember_newest(self) -> None:
        """Write down what is newest of each series: neither the next start nor a trim needs the rows before it."""
        through = self._last_seq
        cursor = self._db.cursor()
        try:
            cursor.execute("begin")
            cursor.execute(
                f"""
                create temp table known as
                select series, max(time_us) as time_us, arg_max(value, time_us) as value, arg_max(flag, time_us) as flag
                from {_NEWEST} where not revision group by series
                """  # noqa: S608
            )
            cursor.execute("delete from newest_known")
            cursor.execute("insert into newest_known select *, ? from known", [through])
            cursor.execute("drop table known")
            cursor.execute("commit")
        finally:
            cursor.close()

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
            arriving = pa.table({"id": np.array([there[k] for k in new], dtype=np.int32), "key": new})
            assert arriving is not None  # found by its name, as in `_insert`: one commit, not one for each
            self._db.execute("insert into series select * from arriving")
        return there

    def _one(self, sql: str) -> int:
        row = self._db.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    def _read(self, sql: str, values: Mapping[str, object], *, patience_s: float | None = None) -> queries.Columns:
        """Columns of an answer, by a cursor of its own: as many are kept as were ever needed at once."""
        try:
            cursor = self._idle.get_nowait()
        except queue.Empty:
            cursor = self._db.cursor()
        timer = threading.Timer(patience_s, cursor.interrupt) if patience_s is not None else None
        if timer is not None:
            timer.start()
        try:
            return _fetch(cursor, sql, values)
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()  # not that it interrupts the next one
            self._idle.put(cursor)

    def _ask(self, sql: str, values: Mapping[str, object]) -> queries.Columns:
        """An answer for a screen: in time or not at all."""
        try:
            return self._read(sql, values, patience_s=ANSWER_S_MAX)
        except duckdb.InterruptException:
            raise TooSlow(f"the journal did not answer within {ANSWER_S_MAX:g} s: ask for less") from None

    def _columns(self, sql: str, values: Mapping[str, object]) -> queries.Columns:
        return _fetch(self._db, sql, values)


def _fetch(db: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, object]) -> dict[str, NDArray[Any]]:
    """Columns of an answer as plain arrays; none of the queries here returns a null."""
    return {name: np.asarray(column) for name, column in db.execute(sql, dict(values)).fetchnumpy().items()}


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
