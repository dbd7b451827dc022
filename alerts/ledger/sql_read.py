"""What screens read: one statement each, so that each answer is one consistent state."""

from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from alerts.episode import AreaStatus, Episode, Event, Kind, Notice, Purpose
from alerts.ledger import Attempt, Delivery, DeliveryState, PreviewMessage
from alerts.ledger.sql_outbox import DELIVERIES
from alerts.ledger.sql_rows import (
    to_attempt,
    to_delivery,
    to_episode,
    to_event,
    to_notice,
    to_preview,
    to_settled,
    to_silence,
    to_status,
)
from alerts.ledger.tables import (
    ATTEMPT,
    DEATH,
    DELIVERY,
    EPISODE,
    EVENT,
    FANOUT,
    JUDGED,
    NOTICE,
    PREVIEW,
    SETTLED,
    SILENCE,
    STATUS,
)
from alerts.settled import Settled
from alerts.shelf import Silencing


def episodes(
    connection: Connection, kind: Kind, *, open_only: bool, ended_since_us: int | None, limit: int
) -> list[Episode]:
    """See `AlertReader.episodes`."""
    stories = select(EPISODE).where(EPISODE.c.kind == kind)
    if open_only:
        stories = stories.where(EPISODE.c.closed_us.is_(None))
    if ended_since_us is not None:
        stories = stories.where(EPISODE.c.closed_us >= ended_since_us)
    newest = stories.order_by(EPISODE.c.opened_us.desc(), EPISODE.c.id.desc()).limit(limit)
    return [to_episode(row) for row in connection.execute(newest).mappings()]


def episode(connection: Connection, id: str) -> Episode | None:
    """See `AlertReader.episode`."""
    row = connection.execute(select(EPISODE).where(EPISODE.c.id == id)).mappings().first()
    return None if row is None else to_episode(row)


def events(connection: Connection, episode: str) -> list[Event]:
    """See `AlertReader.events`."""
    story = select(EVENT).where(EVENT.c.episode == episode).order_by(EVENT.c.version)
    return [to_event(row) for row in connection.execute(story).mappings()]


def recorded(connection: Connection, kind: Kind, *, from_us: int, to_us: int, limit: int) -> list[Event]:
    """See `AlertReader.recorded`."""
    own = EVENT.c
    bare = [column for column in own if column is not own.used]
    newest = select(*bare).where(own.kind == kind, own.recorded_us >= from_us, own.recorded_us < to_us)
    ordered = newest.order_by(own.recorded_us.desc(), own.episode.desc(), own.version.desc()).limit(limit)
    return [to_event(row) for row in reversed(connection.execute(ordered).mappings().all())]


def silences(connection: Connection, kind: Kind, *, after_us: int) -> list[Silencing]:
    """See `AlertReader.silences`."""
    own = SILENCE.c
    running = or_(own.ended_us.is_(None), own.ended_us > after_us)
    chosen = select(SILENCE).where(own.kind == kind, own.until_us > after_us, running).order_by(own.id)
    return [to_silence(row) for row in connection.execute(chosen).mappings()]


def statuses(connection: Connection, kind: Kind) -> list[AreaStatus]:
    """See `AlertReader.statuses`."""
    judged = select(STATUS).where(STATUS.c.kind == kind).order_by(STATUS.c.area, STATUS.c.hazard)
    return [to_status(row) for row in connection.execute(judged).mappings()]


def notices(connection: Connection, kind: Kind, *, open_only: bool, limit: int) -> list[Notice]:
    """See `AlertReader.notices`."""
    seen = select(NOTICE).where(NOTICE.c.kind == kind)
    if open_only:
        seen = seen.where(NOTICE.c.acknowledged_us.is_(None))
    newest = seen.order_by(NOTICE.c.at_us.desc(), NOTICE.c.id.desc()).limit(limit)
    return [to_notice(row) for row in connection.execute(newest).mappings()]


def settled(connection: Connection, kind: Kind, *, from_us: int, to_us: int) -> list[Settled]:
    """See `AlertReader.settled`."""
    own = SETTLED.c
    final = select(SETTLED).where(own.kind == kind, own.time_us >= from_us, own.time_us < to_us)
    ordered = final.order_by(own.time_us, own.rules, own.series, own.hazard, own.rise)
    return [to_settled(row) for row in connection.execute(ordered).mappings()]


def deliveries(connection: Connection, episode: str | None, *, limit: int) -> list[Delivery]:
    """See `AlertReader.deliveries`."""
    chosen = _of_episode(DELIVERIES, episode).order_by(DELIVERY.c.id.desc()).limit(limit)
    return [to_delivery(row) for row in connection.execute(chosen).mappings()]


def delivery_counts(connection: Connection, kind: Kind, episode: str | None) -> dict[tuple[str, DeliveryState], int]:
    """See `AlertReader.delivery_counts`."""
    calls = select(FANOUT.c.id).where(FANOUT.c.purpose == Purpose.CALL)
    counted = select(DELIVERY.c.channel, DELIVERY.c.state, func.count())
    counted = counted.where(DELIVERY.c.kind == kind, DELIVERY.c.fanout.not_in(calls))
    grouped = _of_episode(counted, episode).group_by(DELIVERY.c.channel, DELIVERY.c.state)
    return {(channel, DeliveryState(state)): count for channel, state, count in connection.execute(grouped)}


def _of_episode(query: Select[Any], episode: str | None) -> Select[Any]:
    return query if episode is None else query.where(DELIVERY.c.episode == episode)


def attempts(connection: Connection, delivery: int) -> list[Attempt]:
    """See `AlertReader.attempts`."""
    tries = select(ATTEMPT).where(ATTEMPT.c.delivery == delivery).order_by(ATTEMPT.c.number)
    return [to_attempt(row) for row in connection.execute(tries).mappings()]


def judged_through(connection: Connection, kind: Kind) -> int:
    """See `AlertReader.judged_through`."""
    through: int = connection.execute(select(JUDGED.c.through).where(JUDGED.c.kind == kind)).scalar_one()
    return through


def deaths(connection: Connection, kind: Kind) -> dict[str, int]:
    """See `AlertLedger.deaths`."""
    found = connection.execute(select(DEATH.c.station, DEATH.c.after_seq).where(DEATH.c.kind == kind))
    return {row.station: row.after_seq for row in found}


def preview_messages(connection: Connection, kind: Kind, *, limit: int) -> list[PreviewMessage]:
    """See `AlertLedger.preview_messages`."""
    shown = select(PREVIEW.c.key, PREVIEW.c.target, PREVIEW.c.text, PREVIEW.c.level, PREVIEW.c.at_us)
    newest = shown.where(PREVIEW.c.kind == kind).order_by(PREVIEW.c.at_us.desc(), PREVIEW.c.id.desc())
    return [to_preview(row) for row in connection.execute(newest.limit(limit)).mappings()]
