"""The outbox: fan-outs to deliveries, deliveries to senders, attempts back.

Each function works on the caller's transaction. `lease` chooses by id and then updates by id, so that PostgreSQL can
put `FOR UPDATE SKIP LOCKED` on the choosing query.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from alerts.episode import Kind, Purpose
from alerts.ledger import OUTLIVED, SUPERSEDED, Attempt, Delivery, DeliveryState
from alerts.ledger.rules import TAKEN_ON, lapses_by, nobody_reached
from alerts.ledger.sql_engine import insert_into
from alerts.ledger.sql_record import write_notice
from alerts.ledger.sql_rows import columns, to_delivery
from alerts.ledger.tables import ADDRESS, ATTEMPT, DELIVERY, FANOUT
from alerts.ledger.turns import Waiting, in_turn

State = DeliveryState

DELIVERIES = (
    select(DELIVERY, FANOUT.c.text, FANOUT.c.purpose, ADDRESS.c.target)
    .join(FANOUT, FANOUT.c.id == DELIVERY.c.fanout)
    .join(ADDRESS, and_(ADDRESS.c.id == DELIVERY.c.address, ADDRESS.c.kind == DELIVERY.c.kind))
)
"""Whole deliveries, for `to_delivery`."""


def has_fanout_work(connection: Connection) -> bool:
    """Whether `expand` would find something to do."""
    return connection.execute(select(FANOUT.c.id).where(FANOUT.c.pending).limit(1)).first() is not None


def expand(connection: Connection, *, limit: int) -> int:
    """See `AlertLedger.expand`."""
    _expire_superseded(connection, limit)
    next_fanout = (
        select(FANOUT)
        .where(FANOUT.c.pending, FANOUT.c.superseded.is_(False))
        .order_by(FANOUT.c.level.desc(), FANOUT.c.turn, FANOUT.c.created_us, FANOUT.c.id)
        .limit(1)
    )
    while (fanout := connection.execute(next_fanout).first()) is not None:
        made = _make_chunk(connection, fanout, limit)
        if made:
            return made
    return 0


def _make_chunk(connection: Connection, fanout: Row[tuple[object, ...]], limit: int) -> int:
    """The next addresses of one fan-out, and its place moved past them."""
    chosen = _recipients(fanout).limit(limit).subquery()
    count, last = connection.execute(select(func.count(), func.max(chosen.c.address)).select_from(chosen)).one()
    made = 0
    if count:
        values: dict[str, ColumnElement[object]] = {
            "fanout": literal(fanout.id),
            "address": chosen.c.address,
            "kind": literal(fanout.kind),
            "episode": literal(fanout.episode),
            "level": literal(fanout.level),
            "channel": chosen.c.channel,
            "state": literal(str(State.QUEUED)),
            "attempts": literal(0),
            "expires_us": literal(fanout.expires_us),
            "next_us": literal(0),
            "lease_owner": literal(""),
            "lease_until_us": literal(0),
            "maybe_reached": literal(False),
            "reason": literal(""),
        }
        rows = select(*values.values()).order_by(chosen.c.address)
        # Not doubled even if the cursor were lost: (fanout, address) is unique.
        insert = insert_into(DELIVERY).from_select(list(values), rows).on_conflict_do_nothing()
        made = connection.execute(insert).rowcount
    is_whole, cursor = count < limit, last or fanout.cursor
    connection.execute(
        update(FANOUT)
        .where(FANOUT.c.id == fanout.id)
        .values(cursor=cursor, turn=FANOUT.c.turn + 1, pending=not is_whole)
    )
    if is_whole and not cursor and fanout.purpose != Purpose.ALL_CLEAR:
        purpose = Purpose(fanout.purpose)
        gone = nobody_reached(purpose, kind=Kind(fanout.kind), episode=fanout.episode, at_us=fanout.created_us)
        write_notice(connection, gone)
    return made


def _recipients(fanout: Row[tuple[object, ...]]) -> Select[tuple[str, str]]:
    """Addresses of a fan-out after its cursor, in order."""
    if fanout.purpose != Purpose.ALL_CLEAR:
        return (
            select(ADDRESS.c.id.label("address"), ADDRESS.c.channel)
            .where(
                ADDRESS.c.kind == fanout.kind,
                ADDRESS.c.channel.in_(fanout.channels),
                ADDRESS.c.area.in_(fanout.areas),
                ADDRESS.c.id > fanout.cursor,
            )
            .order_by(ADDRESS.c.id)
        )
    clear, clearing = DELIVERY.alias("clear"), FANOUT.alias("clearing")
    is_cleared = exists().where(
        clearing.c.episode == fanout.episode,
        clearing.c.purpose == Purpose.ALL_CLEAR,
        clearing.c.version > FANOUT.c.version,
        clearing.c.version < fanout.version,
        clear.c.fanout == clearing.c.id,
        clear.c.address == DELIVERY.c.address,
        clear.c.state.in_(TAKEN_ON),
    )
    return (
        select(DELIVERY.c.address, DELIVERY.c.channel)
        .distinct()
        .join(FANOUT, FANOUT.c.id == DELIVERY.c.fanout)
        .where(
            DELIVERY.c.episode == fanout.episode,
            FANOUT.c.purpose == Purpose.ALERT,
            FANOUT.c.version < fanout.version,
            or_(DELIVERY.c.maybe_reached, DELIVERY.c.state.in_((State.SENDING, *TAKEN_ON))),
            ~is_cleared,
            DELIVERY.c.address > fanout.cursor,
        )
        .order_by(DELIVERY.c.address)
    )


def _expire_superseded(connection: Connection, limit: int) -> None:
    """End deliveries that wait for an older version; a fan-out without any is done with."""
    swept = select(FANOUT.c.id).where(FANOUT.c.pending, FANOUT.c.superseded)
    fanouts = list(connection.execute(swept.order_by(FANOUT.c.id)).scalars())
    if not fanouts:
        return
    waiting = (
        select(DELIVERY.c.id)
        .where(DELIVERY.c.fanout.in_(fanouts), DELIVERY.c.state == State.QUEUED)
        .order_by(DELIVERY.c.id)
        .limit(limit)
    )
    ids = list(connection.execute(waiting).scalars())
    connection.execute(update(DELIVERY).where(DELIVERY.c.id.in_(ids)).values(state=State.EXPIRED, reason=SUPERSEDED))
    if len(ids) < limit:
        connection.execute(update(FANOUT).where(FANOUT.c.id.in_(fanouts)).values(pending=False))


def outlived(connection: Connection, *, now_us: int, limit: int) -> list[int]:
    """Ids that `expire` would end, oldest first."""
    # By way of the few fan-outs that wait, so that neither the whole history nor each waiting row is looked at.
    backlog = select(DELIVERY.c.fanout).where(DELIVERY.c.state == State.QUEUED).distinct()
    over = select(FANOUT.c.id).where(FANOUT.c.id.in_(backlog), FANOUT.c.expires_us <= now_us)
    fanouts = list(connection.execute(over).scalars())
    if not fanouts:
        return []
    ended = select(DELIVERY.c.id).where(DELIVERY.c.state == State.QUEUED, DELIVERY.c.fanout.in_(fanouts))
    return list(connection.execute(ended.order_by(DELIVERY.c.id).limit(limit)).scalars())


def expire(connection: Connection, *, now_us: int, limit: int) -> int:
    """See `AlertLedger.expire`."""
    ids = outlived(connection, now_us=now_us, limit=limit)
    connection.execute(update(DELIVERY).where(DELIVERY.c.id.in_(ids)).values(state=State.EXPIRED, reason=OUTLIVED))
    return len(ids)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due at one moment; see `AlertLedger.lease`."""

    waiting: ColumnElement[bool]
    lapsed: ColumnElement[bool]

    @classmethod
    def at(cls, real_us: int, *, lease_us: int, wait_max_us: int) -> Self:
        """Past its time, or further ahead than it can be."""
        next_us, until_us = DELIVERY.c.next_us, DELIVERY.c.lease_until_us
        last_us = lapses_by(real_us, lease_us=lease_us)
        return cls(
            and_(DELIVERY.c.state == State.QUEUED, or_(next_us <= real_us, next_us > real_us + wait_max_us)),
            and_(DELIVERY.c.state == State.SENDING, or_(until_us <= real_us, until_us > last_us)),
        )


def has_due(connection: Connection, due: Due) -> bool:
    """Whether `lease` would find something to do."""
    found = select(DELIVERY.c.id).where(or_(due.waiting, due.lapsed)).limit(1)
    return connection.execute(found).first() is not None


def lease(connection: Connection, due: Due, *, owner: str, until_us: int, limit: int) -> list[Delivery]:
    """See `AlertLedger.lease`."""
    lapsed = (
        select(DELIVERY.c.id)
        .join(FANOUT, FANOUT.c.id == DELIVERY.c.fanout)
        .where(due.lapsed, FANOUT.c.superseded)
        .order_by(DELIVERY.c.id)
        .limit(limit)
    )
    # Its sender died with it in hand: nobody knows, so the all-clear goes there too.
    connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.id.in_(lapsed))
        .values(state=State.EXPIRED, reason=SUPERSEDED, maybe_reached=True)
    )
    ids = in_turn(_sendable(connection, due, limit=limit), limit=limit)
    if not ids:
        return []
    connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.id.in_(ids))
        .values(state=State.SENDING, lease_owner=owner, lease_until_us=until_us)
    )
    taken = connection.execute(DELIVERIES.where(DELIVERY.c.id.in_(ids))).mappings()
    by_id = {row["id"]: to_delivery(row) for row in taken}
    return [by_id[id] for id in ids]


def _sendable(connection: Connection, due: Due, *, limit: int) -> Iterator[Waiting]:
    """What may be sent: at most `limit` of each fan-out, found by index and not by ranking the whole backlog."""
    found = select(DELIVERY.c.next_us, DELIVERY.c.id, DELIVERY.c.level, DELIVERY.c.fanout)
    oldest_first = found.order_by(DELIVERY.c.next_us, DELIVERY.c.id).limit(limit)
    backlog = select(DELIVERY.c.fanout).where(due.waiting).distinct()
    current = select(FANOUT.c.id).where(FANOUT.c.id.in_(backlog), FANOUT.c.superseded.is_(False))
    for fanout in connection.execute(current).scalars().all():
        waiting = oldest_first.where(DELIVERY.c.fanout == fanout, due.waiting)
        yield from (Waiting(*row) for row in connection.execute(waiting))
    not_superseded = DELIVERY.c.fanout.in_(select(FANOUT.c.id).where(FANOUT.c.superseded.is_(False)))
    lapsed = found.where(due.lapsed, not_superseded)
    yield from (Waiting(*row) for row in connection.execute(lapsed))


# Built once: these three run for every single message.
_STATE_OF = (
    select(DELIVERY.c.state, DELIVERY.c.attempts, FANOUT.c.superseded)
    .join(FANOUT, FANOUT.c.id == DELIVERY.c.fanout)
    .where(DELIVERY.c.id == bindparam("of"))
)
_WRITE_ATTEMPT = insert_into(ATTEMPT).on_conflict_do_nothing()
_MOVE = (
    update(DELIVERY)
    .where(DELIVERY.c.id == bindparam("of"))
    .values(maybe_reached=or_(DELIVERY.c.maybe_reached, bindparam("reached", type_=Boolean)))
)


def finish(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """See `AlertLedger.finish`."""
    for attempt in attempts:
        delivery = connection.execute(_STATE_OF, {"of": attempt.delivery}).first()
        if delivery is None:
            raise ValueError(f"there is no delivery {attempt.delivery}")
        superseded = delivery.superseded and attempt.state is State.QUEUED
        ended = replace(attempt, state=State.EXPIRED) if superseded else attempt
        written = connection.execute(_WRITE_ATTEMPT, columns(ended)).rowcount
        if State(delivery.state).terminal or not (written or ended.state in TAKEN_ON):
            continue
        moved = {
            "of": attempt.delivery,
            "state": ended.state,
            "attempts": max(delivery.attempts, attempt.number),
            "next_us": ended.next_us,
            "reason": ended.reason,
            "reached": attempt.state in (State.QUEUED, *TAKEN_ON),
        }
        connection.execute(_MOVE, moved)
