"""What waits for people: acknowledgements and shelves that end, chains with their due times, silences, calls."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
KIND = "kind IN ('actual', 'exercise', 'test')"
AS_BEFORE = (
    "id, kind, area, hazard, judged_level, public_level, known, since_us, version, opened_us, closed_us, peak_level, "
    "seen_level, seen_by, seen_us, requested_level, requested_by"
)


def _level(column: str) -> tuple[sa.Column[int], sa.CheckConstraint]:
    return (
        sa.Column(column, sa.Integer, nullable=False),
        sa.CheckConstraint(f"{column} BETWEEN 0 AND 3", name=column),
    )


def _kind() -> tuple[sa.Column[str], sa.CheckConstraint]:
    return _text("kind"), sa.CheckConstraint(KIND, name="kind")


def _text(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.Text, nullable=False)


def _us(column: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger, nullable=nullable)


def upgrade() -> None:
    """Three tables written anew, since a CHECK cannot be changed in place, and a new one.

    What points at them is held to at the commit, when they are back.
    """
    op.execute("PRAGMA defer_foreign_keys = ON")
    for table in ("event", "fanout", "episode"):
        op.execute(f"CREATE TABLE {table}_before AS SELECT * FROM {table}")  # noqa: S608  (names of our own)
        op.drop_table(table)
    _episode()
    _fanout()
    _event()
    # Whoever waited for an answer goes on waiting from when the level last changed; nothing of it was called yet. A
    # step without a note spoke for now.
    confirmed = (
        "CASE (SELECT note FROM event_before WHERE episode = episode_before.id AND type = 'judged' "
        "ORDER BY version DESC LIMIT 1) WHEN '' THEN judged_level ELSE 0 END"
    )
    op.execute(
        f"INSERT INTO episode ({AS_BEFORE}, shelved_level, shelved_by, rang_us, rang_level, called, "  # noqa: S608
        f"unanswered_level, confirmed_level) SELECT {AS_BEFORE}, 0, '', since_us, judged_level, 0, 0, "
        f"{confirmed} FROM episode_before"
    )
    op.execute("INSERT INTO fanout SELECT * FROM fanout_before")
    op.execute("INSERT INTO event SELECT *, NULL FROM event_before")
    for table in ("event", "fanout", "episode"):
        op.drop_table(f"{table}_before")
    op.create_table(
        "silence",
        sa.Column("id", NUMBER, primary_key=True),
        *_kind(),
        _text("area"),
        _text("hazard"),
        _text("station"),
        *_level("level"),
        _text("reason"),
        _us("from_us"),
        _us("until_us"),
        _text("by"),
        _text("agreed_by"),
        _us("agreed_us", nullable=True),
        _text("ended_by"),
        _us("ended_us", nullable=True),
    )
    op.create_index("ix_silence_kind_until_us", "silence", ["kind", "until_us"])


def _episode() -> None:
    op.create_table(
        "episode",
        sa.Column("id", sa.Text, primary_key=True),
        *_kind(),
        _text("area"),
        _text("hazard"),
        *_level("judged_level"),
        *_level("public_level"),
        sa.Column("known", sa.Boolean, nullable=False),
        _us("since_us"),
        sa.Column("version", sa.Integer, nullable=False),
        _us("opened_us"),
        _us("closed_us", nullable=True),
        *_level("peak_level"),
        *_level("seen_level"),
        _text("seen_by"),
        _us("seen_us", nullable=True),
        *_level("requested_level"),
        _text("requested_by"),
        _us("seen_until_us", nullable=True),
        *_level("shelved_level"),
        _text("shelved_by"),
        _us("shelved_until_us", nullable=True),
        _us("rang_us"),
        *_level("rang_level"),
        sa.Column("called", sa.Integer, nullable=False),
        _us("due_us", nullable=True),
        *_level("unanswered_level"),
        *_level("confirmed_level"),
        sa.UniqueConstraint("id", "kind"),
        sa.CheckConstraint("version >= 1", name="version"),
    )
    op.create_index(
        "uq_episode_open",
        "episode",
        ["area", "hazard", "kind"],
        unique=True,
        sqlite_where=sa.text("closed_us IS NULL"),
        postgresql_where=sa.text("closed_us IS NULL"),
    )
    op.create_index("ix_episode_kind_opened_us", "episode", ["kind", "opened_us"])


def _fanout() -> None:
    op.create_table(
        "fanout",
        sa.Column("id", sa.Text, primary_key=True),
        _text("episode"),
        sa.Column("version", sa.Integer, nullable=False),
        *_kind(),
        _text("purpose"),
        sa.CheckConstraint("purpose IN ('alert', 'all_clear', 'call')", name="purpose"),
        *_level("level"),
        sa.Column("areas", sa.JSON, nullable=False),
        sa.Column("channels", sa.JSON, nullable=False),
        _text("text"),
        _us("created_us"),
        _us("expires_us"),
        sa.Column("pending", sa.Boolean, nullable=False),
        sa.Column("superseded", sa.Boolean, nullable=False),
        _text("cursor"),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.UniqueConstraint("id", "kind"),
        sa.ForeignKeyConstraint(["episode", "kind"], ["episode.id", "episode.kind"]),
    )
    op.create_index("ix_fanout_episode_version", "fanout", ["episode", "version"])
    op.create_index("ix_fanout_pending_superseded", "fanout", ["pending", "superseded"])


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("episode", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        *_kind(),
        _text("area"),
        _text("hazard"),
        _text("type"),
        sa.CheckConstraint(
            "type IN ('judged', 'retrospective', 'lost', 'heard', 'acknowledged', 'requested', 'confirmed', 'called', "
            "'unanswered', 'expired', 'moved', 'shelved', 'unshelved', 'released', 'lowered', 'closed')",
            name="type",
        ),
        *_level("from_level"),
        *_level("to_level"),
        _us("event_us"),
        _us("recorded_us"),
        _text("actor"),
        sa.Column("used", sa.JSON, nullable=False),
        _text("note"),
        _us("until_us", nullable=True),
        sa.ForeignKeyConstraint(["episode", "kind"], ["episode.id", "episode.kind"]),
        sa.CheckConstraint("version >= 1", name="version"),
    )
    op.create_index("ix_event_kind_recorded_us", "event", ["kind", "recorded_us"])
