"""The verdict on a box that has ended: nothing lost or doubled, and the same story as without a kill."""

from collections.abc import Collection

from alerts.episode import Kind
from alerts.ledger.sql import open_ledger
from tests.live.checker import differences, faults, history, journal, settled, uninterrupted
from tests.live.installation import Installation
from tests.live.records import Reading, Sent


def assert_nothing_lost_and_same_story(box: Installation, sent: Sent, acknowledged: Collection[Reading]) -> None:
    """Compare what a box kept with what was acknowledged, and with a judge nobody kills; all of `sent` must be safe."""
    rows = journal(box.state)
    assert faults(acknowledged, sent, rows) == []
    assert len(rows) == sum(map(len, sent.values())), "what nobody acknowledged was to be sent again"
    ledger = open_ledger(box.state / "ledger.sqlite")
    try:
        told, final = history(ledger), settled(ledger)
        assert ledger.judged_through(Kind.EXERCISE) == len(rows)
    finally:
        ledger.close()
    assert len(told) > 20, "the floods should tell a story"
    assert len(final) > 20, "and most of it should be settled"
    judge = uninterrupted(box.config, rows)
    assert differences(told, history(judge)) == []
    assert differences(final, settled(judge)) == []
