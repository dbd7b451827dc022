"""The ledger, the preview phone and the accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
KIND = "kind IN ('actual', 'exercise', 'test')"


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
    """Straight on: one table after the other."""
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
    op.create_table(
        "event",
        sa.Column("episode", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        *_kind(),
        _text("area"),
        _text("hazard"),
        _text("type"),
        sa.CheckConstraint(
            "type IN ('judged', 'lost', 'heard', 'acknowledged', 'requested', 'released', 'lowered', 'closed')",
            name="type",
        ),
        *_level("from_level"),
        *_level("to_level"),
        _us("event_us"),
        _us("recorded_us"),
        _text("actor"),
        sa.Column("used", sa.JSON, nullable=False),
        _text("note"),
        sa.ForeignKeyConstraint(["episode", "kind"], ["episode.id", "episode.kind"]),
        sa.CheckConstraint("version >= 1", name="version"),
    )
    op.create_table(
        "fanout",
        sa.Column("id", sa.Text, primary_key=True),
        _text("episode"),
        sa.Column("version", sa.Integer, nullable=False),
        *_kind(),
        _text("purpose"),
        sa.CheckConstraint("purpose IN ('alert', 'all_clear')", name="purpose"),
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
    op.create_table(
        "address",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.CheckConstraint(KIND, name="kind"),
        _text("recipient"),
        _text("area"),
        _text("channel"),
        _text("target"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", NUMBER, primary_key=True),
        _text("fanout"),
        _text("address"),
        *_kind(),
        _text("episode"),
        *_level("level"),
        _text("channel"),
        _text("state"),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'accepted', 'delivered', 'failed', 'expired')", name="state"
        ),
        sa.Column("attempts", sa.Integer, nullable=False),
        _us("expires_us"),
        _us("next_us"),
        _text("lease_owner"),
        _us("lease_until_us"),
        sa.Column("maybe_reached", sa.Boolean, nullable=False),
        _text("reason"),
        sa.UniqueConstraint("fanout", "address"),
        sa.ForeignKeyConstraint(["fanout", "kind"], ["fanout.id", "fanout.kind"]),
        sa.ForeignKeyConstraint(["address", "kind"], ["address.id", "address.kind"]),
        sa.CheckConstraint("attempts >= 0", name="attempts"),
    )
    op.create_index("ix_delivery_state_fanout_next_us", "delivery", ["state", "fanout", "next_us"])
    op.create_index("ix_delivery_episode_state", "delivery", ["episode", "state"])
    op.create_table(
        "attempt",
        sa.Column("delivery", NUMBER, sa.ForeignKey("delivery.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _us("started_us"),
        _us("ended_us"),
        _text("state"),
        sa.CheckConstraint("state IN ('queued', 'accepted', 'delivered', 'failed', 'expired')", name="state"),
        _us("next_us"),
        _text("reason"),
        sa.CheckConstraint("number >= 1", name="number"),
    )
    op.create_table(
        "status",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("area", sa.Text, primary_key=True),
        sa.Column("hazard", sa.Text, primary_key=True),
        sa.CheckConstraint(KIND, name="kind"),
        *_level("level"),
        sa.Column("known", sa.Boolean, nullable=False),
        _us("since_us"),
    )
    op.create_table(
        "notice",
        sa.Column("id", NUMBER, primary_key=True),
        *_kind(),
        _text("code"),
        _text("subject"),
        _text("text"),
        _us("at_us"),
        sa.Column("count", sa.Integer, nullable=False),
        _text("acknowledged_by"),
        _us("acknowledged_us", nullable=True),
    )
    op.create_index(
        "uq_notice_open",
        "notice",
        ["kind", "code", "subject"],
        unique=True,
        sqlite_where=sa.text("acknowledged_us IS NULL"),
        postgresql_where=sa.text("acknowledged_us IS NULL"),
    )
    op.create_index("ix_notice_kind_at_us", "notice", ["kind", "at_us"])
    judged = op.create_table(
        "judged",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.CheckConstraint(KIND, name="kind"),
    )
    # A row for each world from the start: judging only ever updates.
    op.bulk_insert(judged, [{"kind": kind, "through": 0} for kind in ("actual", "exercise", "test")])
    op.create_table(
        "preview",
        sa.Column("id", NUMBER, primary_key=True),
        *_kind(),
        _text("key"),
        _text("target"),
        _text("text"),
        *_level("level"),
        _us("at_us"),
        sa.UniqueConstraint("kind", "key"),
    )
    op.create_index("ix_preview_kind_at_us", "preview", ["kind", "at_us"])
    op.create_table(
        "account",
        sa.Column("name", sa.Text, primary_key=True),
        _text("role"),
        sa.CheckConstraint("role IN ('viewer', 'technician', 'officer', 'admin')", name="role"),
        sa.Column("password_hash", sa.Text, nullable=True),
        _us("created_us"),
    )
    for table in ("invite", "session"):
        op.create_table(
            table,
            sa.Column("token_sha256", sa.Text, primary_key=True),
            sa.Column("account", sa.Text, sa.ForeignKey("account.name"), nullable=False),
            _us("created_us"),
            _us("expires_us"),
        )
        op.create_index(f"ix_{table}_account", table, ["account"])
