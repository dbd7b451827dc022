"""The verdict on a box that has ended: nothing lost or doubled, and the same story as without a fault."""

from collections.abc import Collection

from alerts.episode import Kind
from alerts.ledger.sql import open_ledger
from tests.live.checker import differences, faults, history, journal, settled, uninterrupted
from tests.live.installation import Installation
from tests.live.records import Reading, Sent

SHOWN = 10


def assert_nothing_lost_and_same_story(
    box: Installation, sent: Sent, acknowledged: Collection[Reading], *, is_forgetful: bool = False
) -> int:
    """Compare what a box kept with what its worker acknowledged, and its stories with those of a judge nobody disturbs.

    Parameters
    ----------
    is_forgetful : a broker was killed before it saved, and forgot some that the worker never saw; else all of `sent`
        must be safe

    Returns
    -------
    count of rows
    """
    kind = Kind(box.kind)
    rows = journal(box.state, kind)
    _assert_none(faults(acknowledged, sent, rows))
    if not is_forgetful:
        assert len(set(acknowledged)) == len(rows) == sum(map(len, sent.values())), "all was to be sent again"
    ledger = open_ledger(box.state / "ledger.sqlite")
    try:
        told, final = history(ledger, kind), settled(ledger, kind)
        assert ledger.judged_through(kind) == len(rows)
    finally:
        ledger.close()
    assert len(told) > 20, "the floods should tell a story"
    assert len(final) > 20, "and most of it should be settled"
    judge = uninterrupted(box.config, rows, kind)
    _assert_none(differences(told, history(judge, kind)))
    _assert_none(differences(final, settled(judge, kind)))
    return len(rows)


def _assert_none(found: list[str]) -> None:
    assert not found, f"{len(found)}: " + "; ".join(found[:SHOWN])
