"""The settled track, and events of the past: stories that are over when they are told."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KIND = "kind IN ('actual', 'exercise', 'test')"


def _level(column: str) -> tuple[sa.Column[int], sa.CheckConstraint]:
    return (
        sa.Column(column, sa.Integer, nullable=False),
        sa.CheckConstraint(f"{column} BETWEEN 0 AND 3", name=column),
    )


def upgrade() -> None:
    """A new table; and the events written anew, since a CHECK cannot be changed in place."""
    op.create_table(
        "settled",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("rules", sa.Text, primary_key=True),
        sa.Column("series", sa.Text, primary_key=True),
        sa.Column("hazard", sa.Text, primary_key=True),
        sa.Column("rise", sa.Boolean, primary_key=True),
        sa.Column("time_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.CheckConstraint(KIND, name="kind"),
        *_level("from_level"),
        *_level("to_level"),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("flag", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_settled_kind_time_us", "settled", ["kind", "time_us"])

    op.execute("CREATE TABLE event_before AS SELECT * FROM event")
    op.drop_table("event")
    op.create_table(
        "event",
        sa.Column("episode", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.CheckConstraint(KIND, name="kind"),
        sa.Column("area", sa.Text, nullable=False),
        sa.Column("hazard", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.CheckConstraint(
            "type IN ('judged', 'retrospective', 'lost', 'heard', 'acknowledged', 'requested', 'released', 'lowered', "
            "'closed')",
            name="type",
        ),
        *_level("from_level"),
        *_level("to_level"),
        sa.Column("event_us", sa.BigInteger, nullable=False),
        sa.Column("recorded_us", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("used", sa.JSON, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["episode", "kind"], ["episode.id", "episode.kind"]),
        sa.CheckConstraint("version >= 1", name="version"),
    )
    op.execute("INSERT INTO event SELECT * FROM event_before")
    op.drop_table("event_before")
