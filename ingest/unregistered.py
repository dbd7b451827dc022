"""Who speaks and is not registered: what each last said, bounded, durable, readable by other processes.

A list for people, not a promise: that a refused payload is kept is the quarantine's business.
"""

import math
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from ingest.message import Message, Rows
from ingest.quarantine import HEAD_BYTES, storable
from ingest.source import Codec, Format, Source
from sensors.stations import Device, Metric

ENTRIES_MAX = 1_000
"""Beyond it, who was heard least goes, and of those who was heard longest ago: inventing names pushes nobody out who
goes on speaking."""
NAMES_MAX = 50
"""Readings shown of one payload; a device can name thousands."""
NAME_CHARS_MAX = 120
TOPIC_CHARS_MAX = 256

_SCHEMA = """
create table if not exists seen (
    via text not null, id text not null, first_us integer not null, last_us integer not null, count integer not null,
    topic text not null, client text not null, readings blob not null, problem text not null, length integer not null,
    head blob not null, primary key (via, id)
) strict, without rowid;
create table if not exists dropped (one integer primary key check (one = 1), count integer not null) strict;
insert or ignore into dropped values (1, 0);
"""
_COLUMNS = "via, id, first_us, last_us, count, topic, client, readings, problem, length, head"


class Decoded(msgspec.Struct, frozen=True):
    """One reading of the last payload."""

    name: str
    """As the device calls it."""
    value: float | None
    """None where it measured nothing."""
    time_us: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One device that nobody registered."""

    via: str
    """How it speaks: own, or the network it stands behind; see `ingest.source.Format`."""
    id: str
    """Its station name, or its own id in the network."""
    first_us: int
    """Arrival of the first payload, microseconds UTC."""
    last_us: int
    count: int
    """Payloads."""
    topic: str
    client: str
    readings: tuple[Decoded, ...] = ()
    """Of the last payload, newest of each name."""
    problem: str = ""
    """Why a part of it, or all, could not be read."""
    length: int = 0
    """Of the last payload, bytes."""
    head: bytes = b""
    """Its first 4,096 bytes."""


class _AsSaid(dict[str, Metric]):
    """Every name of a device is a reading's."""

    def get(self, name: str, _default: object = None) -> Metric:
        """The same name."""
        return Metric(reading=name)


_SERVERS = (Format.CHIRPSTACK, Format.THINGS_STACK)
_NAMED = Device(via="chirpstack", id="", names=_AsSaid())
"""Whatever a network server has decoded, for people to say which is which."""


def sight(message: Message, source: Source, codec: Codec, *, count: int = 1) -> Seen:
    """Describe one payload of a source that nobody registered."""
    rows = Rows()
    problems = codec(message.payload, source, message.received_us, 0, rows)
    if not rows.name and source.format in _SERVERS:
        codec(message.payload, msgspec.structs.replace(source, device=_NAMED), message.received_us, 0, rows)
    newest: dict[str, Decoded] = {}
    for name, value, time_us in zip(rows.name, rows.value, rows.time_us, strict=True):
        held = newest.get(name)
        if (held is None and len(newest) < NAMES_MAX) or (held is not None and held.time_us <= time_us):
            newest[name] = Decoded(name, None if math.isnan(value) else value, time_us)
    return Seen(
        via=source.format,
        id=source.id,
        first_us=message.received_us,
        last_us=message.received_us,
        count=count,
        topic=message.topic[:TOPIC_CHARS_MAX],
        client=message.client,
        readings=tuple(d for d in newest.values() if len(d.name) <= NAME_CHARS_MAX),
        problem=problems[0].detail if problems else "",
        length=len(message.payload),
        head=message.payload[:HEAD_BYTES],
    )


def sights(messages: Sequence[tuple[Message, Source]], codecs: Mapping[Format, Codec]) -> list[Seen]:
    """Describe the payloads of one batch: one entry for each source, by its last payload."""
    last: dict[tuple[str, str], tuple[Message, Source, int]] = {}
    for message, source in messages:
        before = last.get((source.format, source.id))
        last[source.format, source.id] = message, source, before[2] + 1 if before else 1
    return [sight(message, source, codecs[source.format], count=n) for message, source, n in last.values()]


class Unregistered:
    """The list, one SQLite file. Threads may share it; so may processes, each with its own.

    Parameters
    ----------
    path : the file; made where it is missing
    entries_max : bound of the list, at least 1
    """

    def __init__(self, path: Path, *, entries_max: int = ENTRIES_MAX) -> None:
        if entries_max < 1:
            raise ValueError(f"entries_max is {entries_max}, but at least one entry must be kept")
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.executescript(f"begin immediate; {_SCHEMA} commit;")

    def put(self, seen: Sequence[Seen]) -> None:
        """Note payloads: who is in the list is brought up to date, who is not is added, all in one transaction."""
        if not seen:
            return
        rows = [
            (
                *(s.via, storable(s.id), s.first_us, s.last_us, s.count, storable(s.topic), storable(s.client)),
                *(msgspec.json.encode(s.readings), storable(s.problem), s.length, s.head),
            )
            for s in seen
        ]
        with self._lock:
            self._database.execute("begin immediate")
            try:
                self._database.executemany(
                    f"insert into seen ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                    " on conflict (via, id) do update set last_us = excluded.last_us,"
                    " count = count + excluded.count, topic = excluded.topic, client = excluded.client,"
                    " readings = excluded.readings, problem = excluded.problem, length = excluded.length,"
                    " head = excluded.head",
                    rows,
                )
                self._trim()
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    def _trim(self) -> None:
        (held,) = self._database.execute("select count(*) from seen").fetchone()
        if (over := held - self._entries_max) > 0:
            self._database.execute(
                "delete from seen where (via, id) in (select via, id from seen order by count, last_us limit ?)",
                (over,),
            )
            self._database.execute("update dropped set count = count + ?", (over,))

    def list(self) -> Sequence[Seen]:
        """All of them, who spoke last first."""
        with self._lock, closing(self._database.execute(f"select {_COLUMNS} from seen order by last_us desc")) as rows:  # noqa: S608
            return [_seen(values) for values in rows]

    def remove(self, via: str, id: str) -> None:
        """Take one off the list; one that is not on it is no error."""
        with self._lock:
            self._database.execute("delete from seen where via = ? and id = ?", (via, id))

    @property
    def dropped(self) -> int:
        """Entries that the bound has pushed out since the file was made."""
        with self._lock:
            return int(self._database.execute("select count from dropped").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()


def _seen(values: Sequence[Any]) -> Seen:
    kept = dict(zip(_COLUMNS.split(", "), values, strict=True))
    return Seen(**{**kept, "readings": msgspec.json.decode(kept["readings"], type=tuple[Decoded, ...])})
