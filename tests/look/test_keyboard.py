"""An officer without a mouse: to the first alarm, acknowledge it, open its station, and back."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.look.stand import OFFICER, settled, standing

pytestmark = pytest.mark.browser

TABS_MAX = 40
"""So many keys may lie between two things an officer needs; the map alone has a stop for each station."""
RING = "solid 3px rgb(11, 95, 255)"

_FOCUS = """() => {
  const e = document.activeElement, r = e.getBoundingClientRect();
  // A pin draws the ring round its own shape, inside the element that Leaflet focuses.
  const rings = [e, ...e.querySelectorAll('*')].map((one) => getComputedStyle(one))
    .map((css) => `${css.outlineStyle} ${css.outlineWidth} ${css.outlineColor}`);
  const x = Math.min(Math.max(r.x + r.width / 2, 1), innerWidth - 2);
  const y = Math.min(Math.max(r.y + r.height / 2, 1), innerHeight - 2);
  const top = document.elementFromPoint(x, y);
  return {
    what: `${e.tagName}#${e.id}.${e.className}`,
    rings,
    covered: !(top && (e === top || e.contains(top) || top.contains(e))),
  };
}"""


def tab_to(page: Page, selector: str) -> int:
    """Press Tab until the focus is there; every stop on the way is seen. How many presses it took."""
    for pressed in range(1, TABS_MAX + 1):
        page.keyboard.press("Tab")
        focus = page.evaluate(_FOCUS)
        assert RING in focus["rings"], focus
        assert not focus["covered"], f"the focus is under something: {focus}"
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return pressed
    raise AssertionError(f"{selector} is more than {TABS_MAX} keys away, at {focus['what']}")


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768)])
def test_an_alarm_is_reached_acknowledged_and_its_station_opened_by_keys_alone(
    browser: Browser, width: int, height: int
) -> None:
    with standing("critical") as at, at.page(browser, width, height, signed_in=True) as page:
        page.goto(f"{at.url}/console")
        settled(page)
        first = page.locator("li.alarm").first
        expect(first).to_have_attribute("data-state", "unacknowledged")
        name = first.get_attribute("id")

        tab_to(page, "li.alarm")
        tab_to(page, "[data-acknowledge]")
        page.keyboard.press("Enter")
        row = page.locator(f'[id="{name}"]')
        expect(row).to_have_attribute("data-state", "acknowledged")
        expect(row).to_contain_text(OFFICER)

        # The row that was worked on keeps the focus, or the list would be walked through again.
        expect(page.locator("li.alarm:focus, li.alarm :focus")).to_have_count(1)
        page.keyboard.press("Shift+Tab")
        tab_to(page, "li.alarm")
        page.keyboard.press("Enter")
        tab_to(page, '[data-region="panel-actions"] a')
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/console/stations/[A-Z]{2}-\d\d"))
        expect(page.locator('[data-region="station-head"] h1')).to_be_visible()

        tab_to(page, '[data-region="nav-rail"] a[href="/console"]')
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{at.url}/console")
        expect(page.locator(f'[id="{name}"]')).to_have_attribute("data-state", "acknowledged")


def test_who_skips_the_menu_is_at_the_content(browser: Browser) -> None:
    with standing("calm") as at, at.page(browser, 1366, 768, signed_in=True) as page:
        page.goto(f"{at.url}/console/stations")
        assert tab_to(page, "a.skip") == 1
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("Boolean(document.activeElement.closest('main'))")
