"""What the database itself holds to, whatever the program believes."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from alerts.episode import Kind
from alerts.ledger import Record
from alerts.ledger.sql import open_ledger
from alerts.ledger.sql_engine import MIGRATIONS, LedgerTooNew, revisions
from alerts.ledger.tables import METADATA
from tests.alerts.ledger.builders import new_ledger, people, tell

DELIVERY = """INSERT INTO delivery (fanout, address, kind, episode, level, channel, state, attempts, expires_us,
    next_us, lease_owner, lease_until_us, maybe_reached, reason)
    VALUES ('flood.33160801.1#1', ?, ?, 'flood.33160801.1', ?, 'preview', ?, 0, 0, 0, '', 0, 0, '')"""


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else to a ledger with an exercise that warns r0000, and actual addresses beside."""
    path = tmp_path / "ledger.db"
    ledger = new_ledger(path)
    ledger.put_addresses([*people(1), *people(1, first=1, kind=Kind.ACTUAL), *people(1, first=2)])
    tell(ledger)
    ledger.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def test_sql_takes_a_delivery_within_one_world(raw: sqlite3.Connection) -> None:
    raw.execute(DELIVERY, ("r0000.preview", "exercise", 2, "queued"))
    assert raw.execute("SELECT count(*) FROM delivery").fetchone() == (1,)


@pytest.mark.parametrize(
    ("address", "kind", "level", "state"),
    [
        pytest.param("r0001.preview", "exercise", 2, "queued", id="an exercise to an actual address"),
        pytest.param("r0001.preview", "actual", 2, "queued", id="a fan-out of an exercise as an actual one"),
        pytest.param("nobody", "exercise", 2, "queued", id="nobody"),
        pytest.param("r0000.preview", "drill", 2, "queued", id="no world"),
        pytest.param("r0000.preview", "exercise", 4, "queued", id="no level"),
        pytest.param("r0000.preview", "exercise", -1, "queued", id="level below normal"),
        pytest.param("r0000.preview", "exercise", 2, "sent", id="no state"),
    ],
)
def test_sql_refuses_a_delivery(raw: sqlite3.Connection, address: str, kind: str, level: int, state: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(DELIVERY, (address, kind, level, state))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE episode SET kind = 'actual'",
        "UPDATE event SET kind = 'actual'",
        "UPDATE fanout SET kind = 'actual'",
        "UPDATE episode SET judged_level = 4",
        "UPDATE episode SET public_level = -1",
        "UPDATE event SET type = 'guessed'",
        "UPDATE fanout SET purpose = 'advertisement'",
        "UPDATE event SET version = 0",
        "INSERT INTO event SELECT * FROM event",
        "INSERT INTO judged VALUES ('drill', 0)",
        "DELETE FROM episode",
    ],
)
def test_sql_refuses_to_bend_a_story(raw: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(statement)


def test_sql_refuses_a_second_open_story_and_takes_it_once_the_first_is_closed(raw: sqlite3.Connection) -> None:
    names = [row[1] for row in raw.execute("PRAGMA table_info(episode)") if row[1] != "id"]
    copy = f"INSERT INTO episode (id, {', '.join(names)}) SELECT 'other', {', '.join(names)} FROM episode"
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(copy)
    raw.execute("UPDATE episode SET closed_us = 1")
    raw.execute(copy)


def test_sql_refuses_to_double_a_delivery(raw: sqlite3.Connection) -> None:
    raw.execute(DELIVERY, ("r0000.preview", "exercise", 2, "queued"))
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(DELIVERY, ("r0000.preview", "exercise", 2, "queued"))


def test_the_migrations_build_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    open_ledger(tmp_path / "migrated.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    METADATA.create_all(engine)
    engine.dispose()
    assert _schema(tmp_path / "migrated.db") == _schema(tmp_path / "created.db")


def _schema(path: Path) -> dict[str, list[str]]:
    """Parts of each CREATE statement, whatever their order and spacing."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        name: sorted(part.strip(" ,") for part in sql.replace("\t", "").split("\n"))
        for name, sql in rows
        if name != "alembic_version"
    }


def test_the_schema_can_be_written_for_postgresql() -> None:
    dialect = PGDialect()  # type: ignore[no-untyped-call]
    spoken = [str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables]
    spoken += [
        str(CreateIndex(index).compile(dialect=dialect)) for table in METADATA.sorted_tables for index in table.indexes
    ]
    assert any("BIGSERIAL" in statement for statement in spoken)
    assert sum("WHERE closed_us IS NULL" in statement for statement in spoken) == 1


def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
        before = list(raw.iterdump())
    with pytest.raises(LedgerTooNew, match=r"ledger\.db .*9999.*newer program"):
        open_ledger(path)
    with closing(sqlite3.connect(path)) as raw:
        assert list(raw.iterdump()) == before


@pytest.mark.parametrize("where", ["sqlite://", "sqlite:///:memory:", "postgresql://user:secret@host/takean"])
def test_what_is_no_sqlite_file_is_refused_without_showing_a_password(where: str) -> None:
    with pytest.raises(ValueError, match="SQLite file") as refused:
        open_ledger(where)
    assert "secret" not in str(refused.value)


def test_a_ledger_opens_by_path_text_and_url(tmp_path: Path) -> None:
    path = tmp_path / "a % b.db"
    names: list[Path | str] = [path, str(path), f"sqlite:///{path}"]
    for n, where in enumerate(names):
        ledger = open_ledger(where)
        assert ledger.judged_through(Kind.TEST) == n
        ledger.record(Record(kind=Kind.TEST, judged_through=n + 1))
        ledger.close()


def test_the_file_is_readable_for_its_owner_only_durable_and_guarded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path)
    ledger.record(Record(kind=Kind.TEST, judged_through=1))
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {
        "ledger.db": "0o600",
        "ledger.db-wal": "0o600",
        "ledger.db-shm": "0o600",
    }
    for connection in (ledger._database.read(), ledger._database.write()):
        with connection as open_one:
            pragmas = {
                name: open_one.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    ledger.close()
    ledger.close()


def test_errors_of_the_database_do_not_show_phone_numbers(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.db")
    (address,) = people(1)
    with pytest.raises(IntegrityError, match="NOT NULL") as broken, ledger._database.write() as connection:
        connection.exec_driver_sql("INSERT INTO address (target) VALUES (?)", (address.target,))
    assert address.target not in str(broken.value)
    ledger.close()


OPEN = """
import sys
from alerts.ledger.sql import open_ledger
sys.stdin.readline()
open_ledger(sys.argv[1]).close()
"""


def test_processes_that_open_a_new_ledger_at_once_all_succeed(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPEN, path],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in started] == [("", 0)] * 2


def test_the_names_of_the_steps_say_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    steps = list(ScriptDirectory.from_config(config).walk_revisions())
    assert [step.revision for step in reversed(steps)] == revisions()
