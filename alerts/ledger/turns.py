"""Who is sent to first."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Waiting(NamedTuple):
    """A due delivery."""

    next_us: int
    id: int
    level: int
    fanout: str


def in_turn(due: Iterable[Waiting], *, limit: int) -> list[int]:
    """Ids of the `limit` deliveries to send next.

    Highest level first; among equals one of each fan-out in turn, so that a large village does not hold up a small
    one; of a fan-out the longest due first.
    """
    turns: Counter[str] = Counter()
    order: list[tuple[int, int, int]] = []
    for delivery in sorted(due):
        turns[delivery.fanout] += 1
        order.append((-delivery.level, turns[delivery.fanout], delivery.id))
    return [id for _, _, id in sorted(order)[:limit]]
