"""Rows of the ledger to values and back: columns are named like the fields."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping

from alerts.episode import AreaStatus, Episode, Event, EventType, Kind, Notice, Purpose, Used
from alerts.ledger import Attempt, Delivery, DeliveryState, PreviewMessage
from alerts.settled import Settled
from alerts.shelf import Scope, Silencing

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def columns(value: "DataclassInstance") -> dict[str, Any]:
    """Fields of one value by name, not descending into them."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def event_columns(event: Event) -> dict[str, Any]:
    """An event with its evidence as JSON."""
    return columns(event) | {"used": [columns(used) for used in event.used]}


def to_episode(row: RowMapping) -> Episode:
    """Undo `columns`."""
    return Episode(**{**row, "kind": Kind(row["kind"])})


def to_event(row: RowMapping) -> Event:
    """Undo `event_columns`."""
    used = tuple(Used(**reading) for reading in row.get("used", ()))
    return Event(**{**row, "kind": Kind(row["kind"]), "type": EventType(row["type"]), "used": used})


def to_status(row: RowMapping) -> AreaStatus:
    """Undo `columns`."""
    return AreaStatus(**{**row, "kind": Kind(row["kind"])})


def to_notice(row: RowMapping) -> Notice:
    """Undo `columns`."""
    return Notice(**{**row, "kind": Kind(row["kind"])})


def to_settled(row: RowMapping) -> Settled:
    """Undo `columns`."""
    return Settled(**{**row, "kind": Kind(row["kind"])})


def silence_columns(silence: Silencing) -> dict[str, Any]:
    """A silence with its scope spread out; the ledger numbers it."""
    row = columns(silence) | columns(silence.scope)
    del row["scope"], row["id"]
    return row


def to_silence(row: RowMapping) -> Silencing:
    """Undo `silence_columns`."""
    flat = dict(row)
    scope = Scope(area=flat.pop("area"), hazard=flat.pop("hazard"), station=flat.pop("station"))
    return Silencing(**{**flat, "kind": Kind(flat["kind"])}, scope=scope)


def to_attempt(row: RowMapping) -> Attempt:
    """Undo `columns`."""
    return Attempt(**{**row, "state": DeliveryState(row["state"])})


def to_delivery(row: RowMapping) -> Delivery:
    """A delivery with the target of its address and the text of its fan-out."""
    return Delivery(
        id=row["id"],
        key=f"{row['fanout']}/{row['address']}",
        fanout=row["fanout"],
        episode=row["episode"],
        purpose=Purpose(row["purpose"]),
        kind=Kind(row["kind"]),
        level=row["level"],
        address=row["address"],
        channel=row["channel"],
        target=row["target"],
        text=row["text"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        expires_us=row["expires_us"],
        next_us=row["next_us"],
        reason=row["reason"],
    )


def to_preview(row: RowMapping) -> PreviewMessage:
    """A message as it stands on the phone."""
    return PreviewMessage(**row)
