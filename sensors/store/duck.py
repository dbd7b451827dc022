"""The journal in one DuckDB file: append-only, no key, no index, idempotent by looking up only the rows that could
be repeats. Rows whose closed day lies in a file may leave it, see `sensors.store.retention_rows`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flags
from sensors.store import DAY_US, Contents, History, Journal, PageOf, State, newest, queries
from sensors.store.answers import Cursors
from sensors.store.flag_revisions import FlagRevisions
from sensors.store.newest import Newest
from sensors.store.repeats import states_of_late
from sensors.store.retention_rows import TrimmedDays
from sensors.store.reviews import Reviews
from sensors.store.schema import SCHEMA

MEMORY_LIMIT = "512MB"
THREADS = 1
"""More than one made small appends dearer by half and no query of ours faster."""


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
            self._db.execute(SCHEMA)
        except duckdb.Error as error:  # a full disk is of several kinds: opening writes down what the last run left
            raise OSError(
                f"{path}: the journal cannot be opened; it needs room, and one process may have it at a time. {error}"
            ) from error
        self._keys = list(keys)
        self._id_of = self._register(keys)
        self._ids = np.array([self._id_of[k] for k in keys], dtype=np.int32)
        self._index = np.full(int(self._ids.max(initial=-1)) + 1, -1, dtype=np.int32)
        self._index[self._ids] = np.arange(len(keys), dtype=np.int32)
        self._place = {key: i for i, key in enumerate(self._keys)}
        self._cursors = Cursors(self._db)
        self._last_seq = int(self._cursors.read(queries.LAST_SEQ, {})["seq"][0])
        self.trimmed = TrimmedDays(self._db, days)
        self._flags = FlagRevisions(self._cursors)
        self._newest = Newest(*queries.latest(self._cursors.read, self._newest_rows(), self._ids.tolist()))
        self.reviews = Reviews(
            self._cursors,
            self._flags,
            rows_of=lambda low, high, ask: self.trimmed.consistently(lambda: ask(*self._stored(low, high, ()))),
            ids=self._ids,
            id_of=self._id_of,
            shown=self._newest.reflag,
        )

    # ---- writing: one thread

    def recognise(self, batch: ReadingBatch) -> NDArray[np.uint8]:
        state = np.full(len(batch), State.STORED, dtype=np.uint8)
        if len(batch):
            ahead = self._newest.ahead(batch)
            if not ahead.all():
                state[~ahead] = self.trimmed.consistently(
                    lambda: states_of_late(self._db, self.trimmed, batch, self._ids[batch.series], ~ahead)
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
            self._newest.note(batch, conflict, flag)
        return seq

    def _insert(self, arriving: pa.Table) -> None:
        # One statement, one durable commit. It finds the table by the name of the parameter, which costs a third less
        # than to register it. Never `from_arrow(...).insert_into(...)`: that swallows a commit that failed.
        assert arriving is not None
        self._db.execute("insert into reading select * from arriving")

    def checkpoint(self) -> None:
        """Move what was written ahead into the file, and make room there where rows have left; when somebody is in the
        way, the next commit that is due for it does.
        """
        with suppress(duckdb.TransactionException):
            self._cursors.read("checkpoint", {})

    def revise(self, key: str, time_us: int, flag: int, checks: int, *, by: str, at_us: int) -> None:
        """See the contract."""
        self.reviews.revise(key, time_us, flag, checks, by=by, at_us=at_us)

    def flag_stamps(self) -> Mapping[int, str]:
        """See `FlagRevisions.stamps`."""
        return self._flags.stamps

    # ---- reading: any thread, each with its own cursor

    def scan(self, *, after_seq: int, rows: int, through_seq: int = 2**63 - 1) -> Iterator[Journal]:
        """See the contract; a chunk that begins behind `through_seq` is not looked for."""
        while after_seq < through_seq:
            chunk = self._cursors.read(
                "select seq, series, time_us, value, received_us, flag, checks, revision from reading "
                "where seq > $after and seq <= $after + $rows order by seq",
                {"after": after_seq, "rows": rows},
            )
            if not len(chunk["seq"]):
                beyond = self._cursors.read(
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
        self._cursors.read("select 1 as one", {})

    def history(self, key: str, *, from_us: int, to_us: int, limit: int, without: Collection[int] = ()) -> History:
        """See the contract; `without` are days (`DAY_US`) whose rows are left out."""

        def ask() -> History:
            rows, values = self._stored(from_us, to_us, without)
            series = self._id_of.get(key, -1)
            return queries.history(self._cursors.ask, rows, series, from_us=from_us, to_us=to_us, limit=limit, **values)

        return self.trimmed.consistently(ask)

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        """Of registered series from memory: screens ask twice a second."""
        at = [self._place.get(key, -1) for key in keys]
        if -1 in at:
            return queries.latest(self._cursors.ask, self._newest_rows(), [self._id_of.get(key) for key in keys])
        return self._newest.of(at)

    def totals(
        self, keys: list[str], *, from_us: int, to_us: int, without: Collection[int] = ()
    ) -> tuple[Float64, Int64]:
        """See the contract; `without` are days (`DAY_US`) whose rows are left out."""

        def ask() -> tuple[Float64, Int64]:
            rows, values = self._stored(from_us, to_us, without)
            series = [self._id_of.get(key) for key in keys]
            return queries.totals(self._cursors.ask, rows, series, from_us=from_us, to_us=to_us, **values)

        return self.trimmed.consistently(ask)

    def _stored(self, from_us: int, to_us: int, without: Collection[int]) -> tuple[str, dict[str, object]]:
        """Every row of a span, as `queries.stored`."""
        days = [d for d in self.trimmed.days if d * DAY_US <= to_us and (d + 1) * DAY_US > from_us]
        return queries.stored(self.trimmed.files(days), revised=bool(self._flags.stamps), without=without)

    def _newest_rows(self) -> str:
        return queries.with_flags(newest.ROWS) if self._flags.stamps else newest.ROWS

    def days_after(self, seq: int) -> dict[int, int]:
        """Days (`DAY_US`) of which rows were stored after number `seq` -> the newest number of each among those that
        the journal still has.
        """
        found = self._cursors.read(
            f"select time_us // {DAY_US} as day, max(seq) as seq from reading where seq > $seq group by 1",  # noqa: S608
            {"seq": seq},
        )
        return dict(zip(found["day"].tolist(), found["seq"].tolist(), strict=True))

    def mark(self, seq: int) -> str:
        """What no other journal says of its row number `seq`, nor this one after an older copy of it was brought back
        and went on; empty where there is no such row.
        """
        found = self._cursors.read(
            "select concat_ws(' ', id, seq, series, time_us, received_us) as mark from journal, reading "
            "where seq = $seq",
            {"seq": seq},
        )
        return str(found["mark"][0]) if len(found["mark"]) else ""

    def day(self, day: int, *, through_seq: int, rows: int) -> Iterator[pa.RecordBatch]:
        """Every row of one day up to number `through_seq`, revisions too, sorted by key, time and number, in batches
        of at most `rows`; a series is named by its key. For the thread that trims.
        """
        stored, values = queries.stored(self.trimmed.files([day]), revised=bool(self._flags.stamps))
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
        return queries.contents(self._cursors.ask)

    def page(self, of: PageOf) -> queries.Columns:
        """See `queries.page`."""
        return self.trimmed.consistently(
            lambda: queries.page(self._cursors.ask, of, self.trimmed.files([of.day]), revised=bool(self._flags.stamps))
        )

    # ---- keeping house: one background thread

    def remember_newest(self) -> None:
        """Write down what is newest of each series: neither the next start nor a trim needs the rows before it."""
        newest.remember(self._db, self._last_seq)

    def close(self) -> None:
        self._cursors.close()
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
