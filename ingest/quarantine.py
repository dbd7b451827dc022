"""Refused payloads with their reason: durable, bounded, readable by other processes while it is written."""

import hashlib
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ingest.message import Message, Rejection

HEAD_BYTES = 4096
"""How much of a payload is kept."""
ROWS_MAX = 10_000
"""How many rows are kept; beyond it some go, and are counted."""
SHARE = 10
"""First the oldest of topics that have more than one in so many: one chatty device pushes out its own. Then the oldest
of all."""
SLACK = 20
"""One in so many rows above the bound is borne: finding out who has many costs milliseconds."""

_SCHEMA = """
create table if not exists refused (
    id integer primary key autoincrement, at_us integer not null, reason text not null, detail text not null,
    topic text not null, client text not null, length integer not null, sha256 text not null, head blob not null
) strict;
create table if not exists totals (reason text primary key, count integer not null) strict, without rowid;
create table if not exists dropped (one integer primary key check (one = 1), count integer not null) strict;
insert or ignore into dropped values (1, 0);
create index if not exists refused_topic on refused (topic);
"""
_COLUMNS = "id, at_us, reason, detail, topic, client, length, sha256, head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One refusal."""

    id: int = 0
    """Given by the store, rising; 0 before."""
    at_us: int
    """Arrival, microseconds UTC."""
    reason: str
    detail: str
    topic: str
    client: str
    length: int
    """Of the payload, bytes; for a packet refused from its header, the length the header gave."""
    sha256: str
    """Of the whole payload, hexadecimal; empty where it was not read."""
    head: bytes
    """First 4,096 bytes of the payload."""

    @classmethod
    def of(cls, message: Message, rejection: Rejection, *, unread_bytes: int | None = None) -> Self:
        """Describe a refusal; `unread_bytes` is the length of a body that was refused unread."""
        read = unread_bytes is None
        return cls(
            at_us=message.received_us,
            reason=rejection.reason,
            detail=storable(rejection.detail),
            topic=storable(message.topic),
            client=storable(message.client),
            length=len(message.payload) if unread_bytes is None else unread_bytes,
            sha256=hashlib.sha256(message.payload).hexdigest() if read else "",
            head=message.payload[:HEAD_BYTES],
        )


def storable(text: str) -> str:
    """Replace half surrogate pairs, which JSON can carry and UTF-8 cannot: the row about bad input must be storable."""
    return text.encode("utf-8", "replace").decode()


class Quarantine:
    """The store of refusals, one SQLite file. Threads may share it; so may processes, each with its own.

    Parameters
    ----------
    path : the file; made where it is missing
    rows_max : bound of the rows kept, at least 1
    """

    def __init__(self, path: Path, *, rows_max: int = ROWS_MAX) -> None:
        if rows_max < 1:
            raise ValueError(f"rows_max is {rows_max}, but at least one row must be kept")
        self._rows_max = rows_max
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = full")
        self._database.executescript(f"begin immediate; {_SCHEMA} commit;")

    def put(self, rows: Sequence[Row]) -> None:
        """Keep refusals: on disk when this returns, all or none. Some beyond the bound go, and are counted."""
        if not rows:
            return
        with self._lock:
            self._database.execute("begin immediate")
            try:
                self._insert(rows)
                self._trim()
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    def _insert(self, rows: Sequence[Row]) -> None:
        self._database.executemany(
            "insert into refused (at_us, reason, detail, topic, client, length, sha256, head)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            [(r.at_us, r.reason, r.detail, r.topic, r.client, r.length, r.sha256, r.head[:HEAD_BYTES]) for r in rows],
        )
        self._database.executemany(
            "insert into totals values (?, 1) on conflict (reason) do update set count = count + 1",
            [(r.reason,) for r in rows],
        )

    def _trim(self) -> None:
        (held,) = self._database.execute("select count(*) from refused").fetchone()
        if held <= self._rows_max + self._rows_max // SLACK:
            return
        self._database.execute(
            "delete from refused where id in (select id from refused order by"
            " topic in (select topic from refused group by topic having count(*) > ?) desc, id limit ?)",
            (self._rows_max // SHARE, held - self._rows_max),
        )
        self._database.execute("update dropped set count = count + ?", (held - self._rows_max,))

    def get(self, row_id: int) -> Row | None:
        """One refusal; None where it was never there or has been dropped."""
        found = self._query(f"select {_COLUMNS} from refused where id = ?", row_id)  # noqa: S608
        return _row(found[0]) if found else None

    def list(self, limit: int, before_id: int | None = None) -> Sequence[Row]:
        """Newest refusals first, at most `limit`; with `before_id`, those older than it."""
        found = self._query(
            f"select {_COLUMNS} from refused where ?1 is null or id < ?1 order by id desc limit ?2",  # noqa: S608
            before_id,
            max(0, limit),
        )
        return [_row(values) for values in found]

    def of_reason(self, reason: str, *, limit: int, before_id: int | None = None) -> Sequence[Row]:
        """Refusals for one reason, newest first, at most `limit`; with `before_id`, those older than it."""
        found = self._query(
            f"select {_COLUMNS} from refused where (?1 is null or id < ?1) and reason = ?2 order by id desc limit ?3",  # noqa: S608
            before_id,
            reason,
            limit,
        )
        return [_row(values) for values in found]

    def count_by_reason(self) -> dict[str, int]:
        """Refusals since the file was made, dropped ones included."""
        return dict(self._query("select reason, count from totals order by reason"))

    @property
    def dropped(self) -> int:
        """Rows that the bound has pushed out since the file was made."""
        return int(self._query("select count from dropped")[0][0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def _query(self, sql: str, *parameters: object) -> Sequence[Any]:
        with self._lock, closing(self._database.execute(sql, parameters)) as cursor:
            return cursor.fetchall()


def _row(values: tuple[Any, ...]) -> Row:
    return Row(**dict(zip(_COLUMNS.split(", "), values, strict=True)))
