"""Writing what was judged and decided: the parts of one record, each on the caller's transaction."""

from sqlalchemy import Boolean, Connection, and_, bindparam, exists, func, insert, or_, select, update

from alerts.episode import Episode, Event, FanOut, Notice, Purpose
from alerts.ledger import Record, VersionConflict
from alerts.ledger.sql_engine import insert_into
from alerts.ledger.sql_rows import columns, event_columns
from alerts.ledger.tables import DEATH, EPISODE, EVENT, FANOUT, JUDGED, NOTICE, SETTLED, STATUS

# Built once: these run with every batch of readings, and building costs more than running them.
_MOVE_CURSOR = (
    update(JUDGED)
    .where(JUDGED.c.kind == bindparam("world"), JUDGED.c.through < bindparam("seq"))
    .values(through=bindparam("seq"))
)
# Nothing is written on a conflict: the same id, or another open story of this (area, hazard, kind).
_OPEN_STORY = insert_into(EPISODE).on_conflict_do_nothing()
_OTHER = EPISODE.alias("other")
_STEP_STORY = update(EPISODE).where(
    EPISODE.c.id == bindparam("of"),
    EPISODE.c.kind == bindparam("world"),
    EPISODE.c.version == bindparam("before"),
    # Asked here, because a closed story that opens again would meet the index of open ones as a database error.
    or_(
        bindparam("closes", type_=Boolean),
        ~exists().where(
            _OTHER.c.area == EPISODE.c.area,
            _OTHER.c.hazard == EPISODE.c.hazard,
            _OTHER.c.kind == EPISODE.c.kind,
            _OTHER.c.closed_us.is_(None),
            _OTHER.c.id != EPISODE.c.id,
        ),
    ),
)
_WRITE_EVENT = insert(EVENT)
_SAID = ("level", "known", "since_us")
_NEW_STATUS = insert_into(STATUS)
_WRITE_STATUS = _NEW_STATUS.on_conflict_do_update(
    index_elements=["kind", "area", "hazard"],
    set_={name: _NEW_STATUS.excluded[name] for name in _SAID},
    where=or_(*(STATUS.c[name] != _NEW_STATUS.excluded[name] for name in _SAID)),
)

_WRITE_SETTLED = insert_into(SETTLED).on_conflict_do_nothing()
_NEW_DEATH = insert_into(DEATH)
_WRITE_DEATH = _NEW_DEATH.on_conflict_do_update(
    index_elements=["kind", "station"],
    set_={"after_seq": _NEW_DEATH.excluded.after_seq},
    where=DEATH.c.after_seq < _NEW_DEATH.excluded.after_seq,
)


def write_record(connection: Connection, record: Record) -> None:
    """All parts of a record, in the order in which they refer to each other."""
    for event, story in record.changes:
        _write_change(connection, event, story)
    for fanout in record.fanouts:
        _write_fanout(connection, fanout)
    for status in record.statuses:
        connection.execute(_WRITE_STATUS, columns(status))
    for notice in record.notices:
        write_notice(connection, notice)
    if record.settled:
        connection.execute(_WRITE_SETTLED, [columns(change) for change in record.settled])
    if record.judged_through is not None:
        connection.execute(_MOVE_CURSOR, {"world": record.kind, "seq": record.judged_through})
    if record.deaths:
        rows = [{"kind": record.kind, "station": station, "after_seq": seq} for station, seq in record.deaths.items()]
        connection.execute(_WRITE_DEATH, rows)


def _write_change(connection: Connection, event: Event, story: Episode) -> None:
    """The event, and its story *if version = n*."""
    row = columns(story)
    if story.version == 1:
        change = connection.execute(_OPEN_STORY, row)
    else:
        row |= {
            "of": story.id,
            "world": story.kind,
            "before": story.version - 1,
            "closes": story.closed_us is not None,
        }
        change = connection.execute(_STEP_STORY, row)
    if change.rowcount != 1:
        raise VersionConflict(f"{event.episode}: version {event.version} is not the next one any more")
    connection.execute(_WRITE_EVENT, event_columns(event))


def _write_fanout(connection: Connection, fanout: FanOut) -> None:
    """The fan-out; older ones of its episode are from now on superseded."""
    known = select(EPISODE.c.id).where(EPISODE.c.id == fanout.episode, EPISODE.c.kind == fanout.kind)
    if connection.execute(known).first() is None:
        raise ValueError(f"fan-out {fanout.id}: there is no episode {fanout.episode} of kind {fanout.kind}")
    is_call = fanout.purpose is Purpose.CALL
    told = and_(FANOUT.c.episode == fanout.episode, FANOUT.c.purpose != Purpose.CALL)
    newest = None if is_call else connection.execute(select(func.max(FANOUT.c.version)).where(told)).scalar()
    late = newest is not None and newest > fanout.version
    row = columns(fanout) | {"areas": list(fanout.areas), "channels": list(fanout.channels)}
    row |= {"pending": not late, "superseded": late, "cursor": "", "turn": 0}
    connection.execute(insert_into(FANOUT).on_conflict_do_nothing(), row)
    if not is_call:
        older = update(FANOUT).where(told, FANOUT.c.version < fanout.version, FANOUT.c.superseded.is_(False))
        connection.execute(older.values(superseded=True, pending=True))


def write_notice(connection: Connection, notice: Notice) -> None:
    """A new open notice, or one more of the open one; see `AlertLedger.record`."""
    same = (
        NOTICE.c.kind == notice.kind,
        NOTICE.c.code == notice.code,
        NOTICE.c.subject == notice.subject,
        NOTICE.c.acknowledged_us.is_(None),
    )
    said = (NOTICE.c.text == notice.text, NOTICE.c.at_us == notice.at_us)
    if connection.execute(select(exists().where(*same, *said))).scalar():
        return
    repeat = connection.execute(
        update(NOTICE).where(*same).values(text=notice.text, at_us=notice.at_us, count=NOTICE.c.count + notice.count)
    )
    if repeat.rowcount == 0:
        row = columns(notice)
        del row["id"]
        connection.execute(insert(NOTICE), row)
