"""No accessibility violation on any page in any state; what axe cannot decide has been looked at by a person."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.look.axe import Found, Undecided, check
from tests.look.stand import OPEN_MS, Stand, settled, standing
from tests.look.states import LOST_BANNER, STATES, State

pytestmark = pytest.mark.browser

VERDICTS = Path(__file__).parents[2] / "docs" / "look.md"
"""Its table of what axe left undecided, each line with what a person saw."""


@pytest.fixture(scope="module")
def found(browser: Browser, stand: Callable[[str], Stand]) -> Callable[[State], Found]:
    """What axe says of a state; asked once."""

    @cache
    def ask(state: State) -> Found:
        with ExitStack() as stack:
            at = stack.enter_context(standing(state.scene)) if state.lost else stand(state.scene)
            page = stack.enter_context(
                at.page(browser, state.width, state.height, signed_in=state.signed_in, script=state.script)
            )
            page.goto(at.url + state.path)
            settled(page)
            if state.lost:
                at.stop()
                expect(page.locator(LOST_BANNER)).to_be_visible(timeout=OPEN_MS)
            return check(page)

    return ask


@pytest.mark.parametrize("state", STATES, ids=str)
def test_a_page_breaks_no_rule(found: Callable[[State], Found], state: State) -> None:
    assert "\n".join(found(state).violations) == ""


def test_what_axe_cannot_decide_has_been_looked_at(found: Callable[[State], Found]) -> None:
    undecided = {one for state in STATES for one in found(state).undecided}
    assert sorted(undecided - verdicts()) == [], "new: look at them and say in docs/look.md what you saw"
    assert sorted(verdicts() - undecided) == [], "no page gives these any more: take them out of docs/look.md"


def verdicts() -> set[Undecided]:
    """The lines of the table: region, element, rule, verdict."""
    table = VERDICTS.read_text(encoding="utf-8").partition("<!-- undecided -->")[2].partition("<!-- end -->")[0]
    rows = [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
    listed = [row for row in rows if len(row) == 4][2:]
    assert all(row[3] for row in listed), "a line without a verdict says nothing"
    return {Undecided(region=row[0], element=row[1], rule=row[2]) for row in listed}
