"""What holds on every page: nothing leaves the box, nothing moves for who wants it still, large text fits."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page

from tests.look.stand import Stand, settled
from tests.look.states import CONSOLE, STATION, WALL

pytestmark = pytest.mark.browser

PUBLIC_BYTES_MAX = 100_000
"""First visit of a resident (design note, R36)."""
REPEAT_BYTES_MAX = 15_000
CONSOLE_BYTES_MAX = 400_000
"""Design note, section 6: byte budgets."""

PAGES = [
    ("/", False),
    ("/stations/WL-02", False),
    ("/signin", False),
    ("/nothing-here", False),
    ("/preview", True),
    (CONSOLE, True),
    ("/console/stations", True),
    (STATION, True),
    (WALL, True),
]
"""(address, signed in)"""
ENLARGED = [
    (path, width, height)
    for path in (CONSOLE, STATION, "/console/stations")
    for width, height in ((960, 540), (683, 384), (320, 640))
]

_BYTES = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .map((e) => [e.name, e.transferSize])"""
_TEXT_PX = "parseFloat(getComputedStyle(document.body).fontSize)"
_MOVING = """() => [...document.querySelectorAll('*')].filter((e) => {
  const css = getComputedStyle(e);
  const lasts = (list) => list.split(',').some((s) => parseFloat(s) > 0);
  return lasts(css.transitionDuration) || (css.animationName !== 'none' && lasts(css.animationDuration))
    || css.scrollBehavior === 'smooth';
}).map((e) => `${e.tagName}.${e.getAttribute('class')}`)"""
_SIDEWAYS = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  return [...document.querySelectorAll('body *')]
    .filter((e) => e.getBoundingClientRect().right > wide + 0.5)
    .map((e) => `${e.tagName}.${e.getAttribute('class')} ends at ${Math.round(e.getBoundingClientRect().right)}`);
}"""
"""What makes the page wider than the screen; empty when it fits."""


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    settled(page)
    return page


def transferred(page: Page) -> dict[str, int]:
    """Bytes over the wire, headers included, by address; what came from the browser's own cache is 0."""
    return {str(name): int(size) for name, size in page.evaluate(_BYTES)}


@pytest.mark.parametrize(("path", "signed_in"), PAGES)
def test_nothing_leaves_the_box_nothing_complains_and_nothing_moves(
    browser: Browser, stand: Callable[[str], Stand], path: str, signed_in: bool
) -> None:
    at = stand("critical")
    asked: list[str] = []
    complaints: list[str] = []
    with at.page(browser, 1366, 768, signed_in=signed_in, reduced_motion="reduce") as page:
        page.add_init_script("document.addEventListener('securitypolicyviolation', (e) => console.error(e.blockedURI))")
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        opened(page, at.url + path)
        assert [url for url in asked if not url.startswith((at.url, "data:", "blob:"))] == []
        # Chromium itself says so of a page that is not there.
        assert [text for text in complaints if "404" not in text or path != "/nothing-here"] == []
        assert page.evaluate(_MOVING) == [], "whoever asks for less motion gets none"


@pytest.mark.parametrize("scene", ["calm", "critical", "unknown"])
def test_a_resident_pays_for_little(browser: Browser, stand: Callable[[str], Stand], scene: str) -> None:
    at = stand(scene)
    with at.page(browser, 390, 844) as page:
        first = transferred(opened(page, at.url))
        assert 20_000 < sum(first.values()) <= PUBLIC_BYTES_MAX, first
        again = transferred(opened(page, at.url))
        assert 1_000 < sum(again.values()) <= REPEAT_BYTES_MAX, again


def test_the_console_stays_light(browser: Browser, stand: Callable[[str], Stand]) -> None:
    at = stand("critical")
    with at.page(browser, 1920, 1080, signed_in=True) as page:
        sizes = transferred(opened(page, at.url + CONSOLE))
    assert 50_000 < sum(sizes.values()) <= CONSOLE_BYTES_MAX, sizes


@pytest.mark.parametrize("scene", ["calm", "critical", "unknown", "drill"])
@pytest.mark.parametrize("path", ["/", "/stations/WL-02"])
def test_a_resident_reads_the_same_words_without_scripts(
    browser: Browser, stand: Callable[[str], Stand], scene: str, path: str
) -> None:
    at = stand(scene)
    texts = []
    for runs in (True, False):
        with at.page(browser, 390, 844, java_script_enabled=runs) as page:
            page.goto(at.url + path)
            texts.append(page.locator("body").inner_text().split())
    scripted, plain = texts
    # Only who has no scripts needs a button after choosing a village.
    assert [word for word in plain if word != "ดู"] == scripted
    assert len(plain) > 10


@pytest.mark.parametrize("path", ["/", "/?lang=en", "/?text=large", "/stations/WL-02", "/signin", "/nothing-here"])
def test_text_twice_as_large_fits_a_small_telephone(browser: Browser, stand: Callable[[str], Stand], path: str) -> None:
    at = stand("critical")
    with at.page(browser, 360, 740) as page:
        opened(page, at.url + path)
        assert page.evaluate(_SIDEWAYS) == []
        plain_px = page.evaluate(_TEXT_PX)
        # The reader's own setting of the browser, not a zoom.
        page.context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": {"standard": 32}})
        page.reload()
        assert page.evaluate(_TEXT_PX) == pytest.approx(2 * plain_px), "the page follows the reader's text size"
        assert page.evaluate(_SIDEWAYS) == []


@pytest.mark.parametrize(("path", "width", "height"), [("/", 320, 640), *ENLARGED])
def test_a_page_reflows_when_it_is_enlarged(
    browser: Browser, stand: Callable[[str], Stand], path: str, width: int, height: int
) -> None:
    """Enlarged to 200 %, a page is on a screen half as wide; 320 px is the least (WCAG 1.4.4, 1.4.10)."""
    at = stand("critical")
    with at.page(browser, width, height, signed_in=path != "/") as page:
        assert opened(page, at.url + path).evaluate(_SIDEWAYS) == []
