"""The ledger's tables. The migrations build them; a test holds the two together.

Each world (`kind`) is closed by SQL itself: whatever points at a row of a world carries the kind along in its foreign
key, so that an exercise cannot write to an actual address, whatever the program believes. Attempts have no kind of
their own: they hang on one delivery.
Columns ending in `_us` are int64 microseconds UTC.
"""

from collections.abc import Iterable

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from alerts.episode import EventType, Kind, Level, Purpose
from alerts.ledger import DeliveryState
from alerts.people import Role

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only when the type is spelled INTEGER."""


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """Refuse any other word."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(v)) for v in values)})", name=column)


def _kind() -> tuple[Column[str], CheckConstraint]:
    """The world a row belongs to."""
    return Column("kind", Text, nullable=False), _one_of("kind", Kind)


def _level(column: str) -> tuple[Column[int], CheckConstraint]:
    """A danger level, 0-3."""
    return (
        Column(column, Integer, nullable=False),
        CheckConstraint(f"{column} BETWEEN {min(Level):d} AND {max(Level):d}", name=column),
    )


def _text(column: str) -> Column[str]:
    return Column(column, Text, nullable=False)


def _us(column: str, *, nullable: bool = False) -> Column[int]:
    return Column(column, BigInteger, nullable=nullable)


EPISODE = Table(
    "episode",
    METADATA,
    Column("id", Text, primary_key=True),
    *_kind(),
    _text("area"),
    _text("hazard"),
    *_level("judged_level"),
    *_level("public_level"),
    Column("known", Boolean, nullable=False),
    _us("since_us"),
    Column("version", Integer, nullable=False),
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
    Column("called", Integer, nullable=False),
    _us("due_us", nullable=True),
    *_level("unanswered_level"),
    *_level("confirmed_level"),
    UniqueConstraint("id", "kind"),
    CheckConstraint("version >= 1", name="version"),
)
OPEN_STORY = Index(
    "uq_episode_open",
    EPISODE.c.area,
    EPISODE.c.hazard,
    EPISODE.c.kind,
    unique=True,
    sqlite_where=EPISODE.c.closed_us.is_(None),
    postgresql_where=EPISODE.c.closed_us.is_(None),
)
Index(None, EPISODE.c.kind, EPISODE.c.opened_us)

EVENT = Table(
    "event",
    METADATA,
    Column("episode", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *_kind(),
    _text("area"),
    _text("hazard"),
    _text("type"),
    _one_of("type", EventType),
    *_level("from_level"),
    *_level("to_level"),
    _us("event_us"),
    _us("recorded_us"),
    _text("actor"),
    Column("used", JSON, nullable=False),
    _text("note"),
    _us("until_us", nullable=True),
    ForeignKeyConstraint(["episode", "kind"], ["episode.id", "episode.kind"]),
    CheckConstraint("version >= 1", name="version"),
)
Index(None, EVENT.c.kind, EVENT.c.recorded_us)

SILENCE = Table(
    "silence",
    METADATA,
    Column("id", NUMBER, primary_key=True),
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
Index(None, SILENCE.c.kind, SILENCE.c.until_us)

FANOUT = Table(
    "fanout",
    METADATA,
    Column("id", Text, primary_key=True),
    _text("episode"),
    Column("version", Integer, nullable=False),
    *_kind(),
    _text("purpose"),
    _one_of("purpose", Purpose),
    *_level("level"),
    Column("areas", JSON, nullable=False),
    Column("channels", JSON, nullable=False),
    _text("text"),
    _us("created_us"),
    _us("expires_us"),
    Column("pending", Boolean, nullable=False),  # whether `expand` still has work with it
    Column("superseded", Boolean, nullable=False),  # whether a newer version of the episode is there
    _text("cursor"),  # newest address that got its delivery; ids are taken in order
    Column("turn", Integer, nullable=False),  # chunks so far: whoever had fewer goes next
    UniqueConstraint("id", "kind"),
    ForeignKeyConstraint(["episode", "kind"], ["episode.id", "episode.kind"]),
)
Index(None, FANOUT.c.episode, FANOUT.c.version)
Index(None, FANOUT.c.pending, FANOUT.c.superseded)

ADDRESS = Table(
    "address",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    _one_of("kind", Kind),
    _text("recipient"),
    _text("area"),
    _text("channel"),
    _text("target"),
)

DELIVERY = Table(
    "delivery",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    _text("fanout"),
    _text("address"),
    *_kind(),
    _text("episode"),
    *_level("level"),
    _text("channel"),
    _text("state"),
    _one_of("state", DeliveryState),
    Column("attempts", Integer, nullable=False),
    _us("expires_us"),
    _us("next_us"),
    _text("lease_owner"),
    _us("lease_until_us"),
    Column("maybe_reached", Boolean, nullable=False),  # tried and not refused: gets the all-clear
    _text("reason"),
    UniqueConstraint("fanout", "address"),
    ForeignKeyConstraint(["fanout", "kind"], ["fanout.id", "fanout.kind"]),
    ForeignKeyConstraint(["address", "kind"], ["address.id", "address.kind"]),
    CheckConstraint("attempts >= 0", name="attempts"),
)
Index(None, DELIVERY.c.state, DELIVERY.c.fanout, DELIVERY.c.next_us)
Index(None, DELIVERY.c.episode, DELIVERY.c.state)

ATTEMPT = Table(
    "attempt",
    METADATA,
    Column("delivery", ForeignKey("delivery.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _us("started_us"),
    _us("ended_us"),
    _text("state"),
    CheckConstraint(
        f"state IN ({', '.join(repr(str(s)) for s in DeliveryState if s is not DeliveryState.SENDING)})",
        name="state",
    ),
    _us("next_us"),
    _text("reason"),
    CheckConstraint("number >= 1", name="number"),
)

STATUS = Table(
    "status",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("area", Text, primary_key=True),
    Column("hazard", Text, primary_key=True),
    _one_of("kind", Kind),
    *_level("level"),
    Column("known", Boolean, nullable=False),
    _us("since_us"),
)

NOTICE = Table(
    "notice",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    *_kind(),
    _text("code"),
    _text("subject"),
    _text("text"),
    _us("at_us"),
    Column("count", Integer, nullable=False),
    _text("acknowledged_by"),
    _us("acknowledged_us", nullable=True),
)
OPEN_NOTICE = Index(
    "uq_notice_open",
    NOTICE.c.kind,
    NOTICE.c.code,
    NOTICE.c.subject,
    unique=True,
    sqlite_where=NOTICE.c.acknowledged_us.is_(None),
    postgresql_where=NOTICE.c.acknowledged_us.is_(None),
)
Index(None, NOTICE.c.kind, NOTICE.c.at_us)

SETTLED = Table(
    "settled",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("rules", Text, primary_key=True),
    Column("series", Text, primary_key=True),
    Column("hazard", Text, primary_key=True),
    Column("rise", Boolean, primary_key=True),
    Column("time_us", BigInteger, primary_key=True, autoincrement=False),
    _one_of("kind", Kind),
    *_level("from_level"),
    *_level("to_level"),
    Column("value", Float, nullable=False),
    Column("flag", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
)
Index(None, SETTLED.c.kind, SETTLED.c.time_us)

JUDGED = Table(
    "judged",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("through", BigInteger, nullable=False),
    _one_of("kind", Kind),
)

DEATH = Table(
    "death",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("after_seq", BigInteger, nullable=False),
    _one_of("kind", Kind),
)

PREVIEW = Table(
    "preview",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    *_kind(),
    _text("key"),
    _text("target"),
    _text("text"),
    *_level("level"),
    _us("at_us"),
    UniqueConstraint("kind", "key"),
)
Index(None, PREVIEW.c.kind, PREVIEW.c.at_us)

ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", Text, primary_key=True),
    _text("role"),
    _one_of("role", Role),
    Column("password_hash", Text, nullable=True),
    _us("created_us"),
)

INVITE = Table(
    "invite",
    METADATA,
    Column("token_sha256", Text, primary_key=True),
    Column("account", ForeignKey("account.name"), nullable=False, index=True),
    _us("created_us"),
    _us("expires_us"),
)

SESSION = Table(
    "session",
    METADATA,
    Column("token_sha256", Text, primary_key=True),
    Column("account", ForeignKey("account.name"), nullable=False, index=True),
    _us("created_us"),
    _us("expires_us"),
)
