"""The ledger's database: opening, upgrading, transactions. All that knows which engine it is stands here."""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, make_url, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_S = 5.0
"""How long a transaction waits for another process; longer means something is stuck, and the caller must hear of it."""


class LedgerTooNew(Exception):
    """The database was written by a newer program: this one must not touch it."""


class Database:
    """Connections to one ledger file, shared by the threads of one process.

    Writers take turns on one connection behind a lock, since SQLite's own waiting between connections polls with
    growing sleeps. Readers have a pool of their own and never wait for a writer (WAL).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._write_lock = threading.Lock()
        self._writer = engine.connect()
        self._watch_lock = threading.Lock()
        self._watch = engine.raw_connection()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed at the end, undone when anything raises."""
        with self._write_lock, self._writer.begin():
            # At once, so that what it reads cannot be changed by another process before it writes.
            self._writer.exec_driver_sql("BEGIN IMMEDIATE")
            yield self._writer

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for single statements; each sees one consistent state."""
        with self._engine.connect() as connection:
            yield connection

    def change_count(self) -> int:
        """A number that differs after any commit that changed something, by any connection of any process.

        `data_version` speaks of the commits of *other* connections: this one never writes, so it hears of all.
        """
        with self._watch_lock, closing(self._watch.cursor()) as cursor:
            cursor.execute("PRAGMA data_version")
            row = cursor.fetchone()
            assert row is not None
            return int(row[0])

    def close(self) -> None:
        """Let go of the file; twice is once."""
        with self._write_lock, self._watch_lock:
            self._writer.close()
            self._watch.close()
            self._engine.dispose()


def insert_into(table: Table) -> sqlite.Insert:
    """An INSERT that knows ON CONFLICT; PostgreSQL's has the same methods."""
    return sqlite.insert(table)


def open_database(where: str | Path) -> Database:
    """Open a ledger, making or upgrading it first. Several processes may do so at once.

    Parameters
    ----------
    where : path, or `sqlite:///path`

    Raises
    ------
    LedgerTooNew : written by a newer program
    ValueError : not a SQLite file
    OSError : the file cannot be made, or cannot be switched to WAL
    """
    path = _path(where)
    _prepare(path)
    # Errors of the database carry no parameters: they end in logs, and parameters hold phone numbers.
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True)
    event.listen(engine, "connect", _configure)
    database = Database(engine)
    try:
        _upgrade(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _path(where: str | Path) -> Path:
    if isinstance(where, Path) or "://" not in where:
        return Path(where)
    url = make_url(where)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise ValueError(f"the ledger is a SQLite file, not {url.render_as_string(hide_password=True)}")
    return Path(url.database)


def _prepare(path: Path) -> None:
    """Make the file readable for its owner only (it holds phone numbers) and switch it to WAL.

    Two processes that switch at the same moment get an error at once instead of waiting: hence the loop.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    deadline = time.monotonic() + BUSY_S
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as connection:
        while True:
            try:
                if connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",):
                    return
                reason = "its file system cannot do WAL"
            except sqlite3.OperationalError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                raise OSError(f"{path} cannot be opened as a ledger: {reason}")
            time.sleep(0.01)


def _configure(connection: DBAPIConnection, _record: Any) -> None:
    """Every connection: durable commits, foreign keys on, transactions begun by us and not by the driver."""
    connection.isolation_level = None
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")


def _upgrade(database: Database, path: Path) -> None:
    """Bring the schema to the newest revision, in one transaction: whoever comes second finds it done."""
    if _is_newest(database):
        return
    with _only_one(path.parent):
        if _is_newest(database):
            return
        _migrate(database, path)


def _is_newest(database: Database) -> bool:
    with database.read() as connection:
        return _revision(connection) == revisions()[-1]


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Wait until no other process upgrades: one of them loads what it takes, half a second, and the others need not."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _migrate(database: Database, path: Path) -> None:
    # Loaded only now, for a process that is killed must be back at once; and before the lock that all others wait for.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    with database.write() as connection:
        revision = _revision(connection)
        if revision == revisions()[-1]:
            return
        if revision is not None and revision not in revisions():
            raise LedgerTooNew(
                f"{path} was written by a newer Takean (schema {revision}); this one knows up to {revisions()[-1]}: "
                "install the newer program, or restore the backup made before the upgrade"
            )
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revisions() -> list[str]:
    """All that this program knows, oldest first: step 0001 stands in `v0001_*.py`, each follows the one before."""
    return sorted(path.stem[1:].partition("_")[0] for path in (MIGRATIONS / "versions").glob("v*.py"))


def _revision(connection: Connection) -> str | None:
    """Of the schema that is there; None for an empty file."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
