"""Devices that were said to be gone: what they said before is stale."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """A new table."""
    op.create_table(
        "death",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("station", sa.Text, primary_key=True),
        sa.Column("after_seq", sa.BigInteger, nullable=False),
        sa.CheckConstraint("kind IN ('actual', 'exercise', 'test')", name="kind"),
    )
