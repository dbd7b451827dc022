"""The ledger in a database file: the contract, one transaction or one query a call."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from alerts.episode import AreaStatus, Episode, Event, Kind, Notice
from alerts.ledger import (
    CHUNK_MAX,
    AlertLedger,
    Attempt,
    Delivery,
    DeliveryState,
    PreviewMessage,
    Record,
    sql_outbox,
    sql_read,
)
from alerts.ledger.rules import check_limit
from alerts.ledger.sql_engine import Database, insert_into, open_database
from alerts.ledger.sql_outbox import Due
from alerts.ledger.sql_record import write_record
from alerts.ledger.sql_rows import columns, silence_columns, to_silence
from alerts.ledger.tables import ADDRESS, NOTICE, PREVIEW, SILENCE
from alerts.people import Address
from alerts.settled import Settled
from alerts.shelf import Silencing

_PUT_PREVIEW = insert_into(PREVIEW).on_conflict_do_nothing()


def open_ledger(where: str | Path) -> "SqlLedger":
    """Open the ledger at a path or `sqlite:///path`, making or upgrading it first; several processes may at once.

    Raises
    ------
    LedgerTooNew : written by a newer program
    ValueError : not a SQLite file
    """
    return SqlLedger(open_database(where))


class SqlLedger(AlertLedger):
    """See `AlertLedger`. Owns the database it is given."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, record: Record) -> None:
        """See the contract."""
        with self._database.write() as connection:
            write_record(connection, record)

    def acknowledge_notice(self, id: int, *, actor: str, now_us: int) -> bool:
        """See the contract."""
        seen = update(NOTICE).where(NOTICE.c.id == id, NOTICE.c.acknowledged_us.is_(None))
        with self._database.write() as connection:
            done = connection.execute(seen.values(acknowledged_by=actor, acknowledged_us=now_us))
            return done.rowcount == 1

    def put_silence(self, silence: Silencing) -> int:
        """See the contract."""
        with self._database.write() as connection:
            made = connection.execute(insert(SILENCE), silence_columns(silence)).inserted_primary_key
            assert made is not None
            return int(made[0])

    def change_silence(self, before: Silencing, after: Silencing) -> bool:
        """See the contract."""
        with self._database.write() as connection:
            row = connection.execute(select(SILENCE).where(SILENCE.c.id == before.id)).mappings().first()
            if row is None or to_silence(row) != before:
                return False
            connection.execute(update(SILENCE).where(SILENCE.c.id == before.id), silence_columns(after))
            return True

    def put_addresses(self, addresses: Sequence[Address]) -> None:
        """See the contract."""
        for address in addresses:
            Kind(address.kind)
        for start in range(0, len(addresses), CHUNK_MAX):
            with self._database.write() as connection:
                _put_addresses(connection, addresses[start : start + CHUNK_MAX])

    def expand(self, *, limit: int) -> int:
        """See the contract."""
        check_limit(limit)
        with self._database.read() as connection:
            if not sql_outbox.has_fanout_work(connection):
                return 0
        with self._database.write() as connection:
            return sql_outbox.expand(connection, limit=limit)

    def expire(self, *, now_us: int, limit: int) -> int:
        """See the contract."""
        check_limit(limit)
        with self._database.read() as connection:
            if not sql_outbox.outlived(connection, now_us=now_us, limit=1):
                return 0
        with self._database.write() as connection:
            return sql_outbox.expire(connection, now_us=now_us, limit=limit)

    def lease(self, *, owner: str, real_us: int, lease_us: int, wait_max_us: int, limit: int) -> list[Delivery]:
        """See the contract."""
        check_limit(limit)
        due = Due.at(real_us, lease_us=lease_us, wait_max_us=wait_max_us)
        with self._database.read() as connection:
            if not sql_outbox.has_due(connection, due):
                return []
        with self._database.write() as connection:
            return sql_outbox.lease(connection, due, owner=owner, until_us=real_us + lease_us, limit=limit)

    def finish(self, attempts: Sequence[Attempt]) -> None:
        """See the contract."""
        with self._database.write() as connection:
            sql_outbox.finish(connection, attempts)

    def preview_put(self, *, key: str, kind: Kind, target: str, text: str, level: int, now_us: int) -> None:
        """See the contract."""
        row = {"key": key, "kind": kind, "target": target, "text": text, "level": level, "at_us": now_us}
        with self._database.write() as connection:
            connection.execute(_PUT_PREVIEW, row)

    def episodes(
        self, kind: Kind, *, open_only: bool = False, ended_since_us: int | None = None, limit: int = 200
    ) -> list[Episode]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.episodes(connection, kind, open_only=open_only, ended_since_us=ended_since_us, limit=limit)

    def episode(self, id: str) -> Episode | None:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.episode(connection, id)

    def events(self, episode: str) -> list[Event]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.events(connection, episode)

    def recorded(self, kind: Kind, *, from_us: int, to_us: int, limit: int) -> list[Event]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.recorded(connection, kind, from_us=from_us, to_us=to_us, limit=limit)

    def silences(self, kind: Kind, *, after_us: int) -> list[Silencing]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.silences(connection, kind, after_us=after_us)

    def statuses(self, kind: Kind) -> list[AreaStatus]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.statuses(connection, kind)

    def notices(self, kind: Kind, *, open_only: bool = True, limit: int = 200) -> list[Notice]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.notices(connection, kind, open_only=open_only, limit=limit)

    def settled(self, kind: Kind, *, from_us: int, to_us: int) -> list[Settled]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.settled(connection, kind, from_us=from_us, to_us=to_us)

    def deliveries(self, episode: str | None = None, *, limit: int = 500) -> list[Delivery]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.deliveries(connection, episode, limit=limit)

    def delivery_counts(self, kind: Kind, episode: str | None = None) -> Mapping[tuple[str, DeliveryState], int]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.delivery_counts(connection, kind, episode)

    def attempts(self, delivery: int) -> list[Attempt]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.attempts(connection, delivery)

    def judged_through(self, kind: Kind) -> int:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.judged_through(connection, kind)

    def deaths(self, kind: Kind) -> Mapping[str, int]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.deaths(connection, kind)

    def preview_messages(self, kind: Kind, *, limit: int = 50) -> list[PreviewMessage]:
        """See the contract."""
        with self._database.read() as connection:
            return sql_read.preview_messages(connection, kind, limit=limit)

    def change_count(self) -> int:
        """See the contract."""
        return self._database.change_count()

    def close(self) -> None:
        """See the contract."""
        self._database.close()


def _put_addresses(connection: Connection, addresses: Sequence[Address]) -> None:
    """One chunk, after looking that none changes its channel."""
    chunk = [columns(address) for address in addresses]
    there = select(ADDRESS.c.id, ADDRESS.c.kind, ADDRESS.c.channel).where(
        ADDRESS.c.id.in_([address.id for address in addresses])
    )
    channels = {(id, kind): channel for id, kind, channel in connection.execute(there)}
    for address in addresses:
        channel = channels.setdefault((address.id, address.kind), address.channel)
        if channel != address.channel:
            raise ValueError(
                f"address {address.id} is reached by {channel} and cannot become {address.channel}: "
                "give the other channel another id"
            )
    new = insert_into(ADDRESS)
    replaced = {name: new.excluded[name] for name in ("recipient", "area", "target")}
    connection.execute(new.on_conflict_do_update(index_elements=["id", "kind"], set_=replaced), chunk)
