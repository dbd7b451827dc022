"""A ledger of an older program keeps what it holds."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from alerts.episode import EventType, Kind, Purpose
from alerts.ledger import Record
from alerts.ledger.sql import open_ledger
from alerts.ledger.sql_engine import MIGRATIONS
from tests.alerts.ledger.builders import USED, change

EPISODE = """INSERT INTO episode VALUES ('flood.1', 'exercise', '1', 'flood', 2, 0, 1, 5, 1, 5, NULL, 2, 0, '', NULL,
    0, '')"""
EVENT = """INSERT INTO event VALUES ('flood.1', 1, 'exercise', '1', 'flood', 'judged', 0, 2, 5, 6, 'rule',
    '[{"rule": "flood.2", "rule_version": "1", "series": "A/stage_m", "time_us": 5, "value": 3.5, "flag": 1, "seq": 4,
    "threshold": 3.0, "truth": true}]', '')"""


BEFORE_PEOPLE = (
    EPISODE,
    EVENT,
    """INSERT INTO fanout VALUES ('flood.1#1', 'flood.1', 1, 'exercise', 'alert', 2, '["1"]', '["preview"]', 'x', 6, 99,
    0, 0, '', 1)""",
    "INSERT INTO address VALUES ('r', 'exercise', 'r', '1', 'preview', 't')",
    """INSERT INTO delivery VALUES (1, 'flood.1#1', 'r', 'exercise', 'flood.1', 2, 'preview', 'accepted', 1, 99, 0, '',
    0, 1, '')""",
)


def at_revision(path: Path, revision: str, *rows: str) -> None:
    """A ledger as an older program left it."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as raw:
        for row in rows:
            raw.execute(row)
        raw.commit()


def test_a_ledger_from_before_chains_and_shelves_keeps_its_stories_and_deliveries(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    at_revision(path, "0003", *BEFORE_PEOPLE)
    with closing(open_ledger(path)) as ledger:
        (story,) = ledger.episodes(Kind.EXERCISE)
        assert (story.judged_level, story.rang_us, story.called, story.due_us) == (2, 5, 0, None)
        assert not story.shelved
        (event,) = ledger.events("flood.1")
        assert event.until_us is None
        (delivery,) = ledger.deliveries("flood.1")
        assert (delivery.target, delivery.purpose) == ("t", Purpose.ALERT)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        assert raw.execute("SELECT name FROM sqlite_master WHERE name LIKE '%before'").fetchall() == []


def test_a_ledger_of_the_first_schema_is_brought_up_with_its_stories(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    at_revision(path, "0001", EPISODE, EVENT)

    ledger = open_ledger(path)
    (event,) = ledger.events("flood.1")
    (used,) = event.used
    assert (event.type, event.to_level, used.value, used.per_h) == (EventType.JUDGED, 2, 3.5, False)
    past = change(id="flood.1.past", area="1", type=EventType.RETROSPECTIVE, to=3, used=USED)
    ledger.record(Record(kind=Kind.EXERCISE, changes=[past]))
    assert {e.id for e in ledger.episodes(Kind.EXERCISE)} == {"flood.1", "flood.1.past"}
    ledger.close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        assert raw.execute("SELECT name FROM sqlite_master WHERE name = 'event_before'").fetchall() == []
