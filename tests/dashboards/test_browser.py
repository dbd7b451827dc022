"""The pages in a real Chromium under the real content security policy, against a loopback stand."""

import contextlib
import dataclasses
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Error, Page, Request, Response, expect

from api.views.console import ConsoleView
from dashboards.pages import Pages
from tests.dashboards import samples
from tests.dashboards.stand import Route, Stand

pytestmark = pytest.mark.browser


def until(page: Page, holds: str, arg: object = None) -> None:
    """Ask again and again from outside: what Playwright polls inside a page needs `eval`, which our policy forbids."""
    for _ in range(200):
        if page.evaluate(holds, arg):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never became true: {holds}")


def html(page: str) -> Route:
    return lambda _: ("text/html; charset=utf-8", page.encode())


@pytest.fixture(scope="module")
def routes(pages: Pages) -> dict[str, Route]:
    """Every page, rendered once."""
    view = samples.console()
    rivers = {
        3: samples.river(gap_cm=-18, fill=1.18, headline="ท่วมเหนือตลิ่ง 18 เซนติเมตร"),
        0: samples.river(gap_cm=174, fill=0.35, headline="ต่ำกว่าตลิ่ง 1.74 เมตร", trend="steady", trend_text="น้ำทรงตัว"),
    }
    drill = samples.world(kind="exercise", speed=120.0, judging=False)
    routes: dict[str, Route] = {
        "/console": html(pages.render("console/overview.html", view=view)),
        "/drill": html(pages.render("console/overview.html", view=samples.console(world=drill))),
        "/empty": html(
            pages.render(
                "console/overview.html",
                view=samples.console(incident=None, alarms=(), unacknowledged=0, pins=(), panel=None, delivery=None),
            )
        ),
        "/": html(pages.render("public/index.html", view=samples.public())),
        "/critical": html(pages.render("public/index.html", view=samples.public(3, rivers=(rivers[3],)))),
        "/normal": html(pages.render("public/index.html", view=samples.public(0, rivers=(rivers[0],)))),
        "/watch": html(pages.render("public/index.html", view=samples.public(1, large_text=True))),
        "/quiet": html(
            pages.render("public/index.html", view=samples.public(0, calm=False, headline="ไม่มีประกาศเตือนภัย"))
        ),
        "/unseen": html(pages.render("public/index.html", view=samples.public(-2, staleness="hidden"))),
        "/preview": html(pages.render("preview/phone.html", view=samples.phone())),
        "/signin": html(pages.render("signin.html", view=samples.signin(error="ชื่อหรือรหัสผ่านไม่ถูกต้อง"))),
        "/invite/x": html(pages.render("invite.html", view=samples.signin(account="officer1", action="/invite/x"))),
        "/error": html(
            pages.render("error.html", status=404, title="ไม่พบหน้านี้", detail="ที่อยู่นี้ไม่มีอยู่", next_step="กลับไปหน้าแรก")
        ),
        "/console/panel/WL-01": html(pages.render("console/_panel.html", view=samples.panel(value="4.77"))),
        "/console/panel/AQ-01": html(
            pages.render(
                "console/_panel.html",
                view=samples.panel(
                    station="AQ-01",
                    quantity="pm2_5_ug_m3",
                    chart=samples.chart(key="AQ-01/pm2_5_ug_m3", lines=(), bars=(), bar_ticks=(), bars_name=""),
                ),
            )
        ),
        "/console/timeline": html(pages.render("console/_timeline.html", view=samples.timeline(title="ใหม่", acts=()))),
        "/console/stations": html(pages.render("console/stations.html", view=samples.stations(), user=samples.user())),
        "/console/stations/WL-01": html(
            pages.render("console/station.html", view=samples.station(), user=samples.user())
        ),
        "/stations/WL-01": html(pages.render("public/station.html", view=samples.station())),
        "/wall": html(pages.render("wall.html", view=samples.wall())),
        "/console/panel/WL-02": html(pages.render("console/_panel.html", view=samples.panel(station="WL-02"))),
        "/api/v1/stream": html(""),
    }
    return routes


@pytest.fixture(scope="module")
def server(pages: Pages) -> Iterator[Stand]:
    stand = Stand({}, str(pages.static_dir))
    yield stand
    stand.close()


@pytest.fixture
def stand(server: Stand, routes: dict[str, Route]) -> Stand:
    server.begin(routes)
    return server


class Watched:
    """A page with everything that went wrong on it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.troubles: list[str] = []
        self.answers: list[Response] = []
        page.on("response", self._answered)
        page.on("console", self._said)
        page.on("pageerror", self._broke)
        page.on("request", self._asked)

    def leave(self) -> None:
        """Let the next test have the page."""
        self.page.remove_listener("response", self._answered)
        self.page.remove_listener("console", self._said)
        self.page.remove_listener("pageerror", self._broke)
        self.page.remove_listener("request", self._asked)
        self.page.goto("about:blank")

    def _answered(self, response: Response) -> None:
        self.answers.append(response)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def _broke(self, error: Error) -> None:
        self.troubles.append(str(error))

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.troubles.append(f"asked another host: {request.url}")


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    context = browser.new_context(locale="th-TH", timezone_id="Asia/Bangkok", **options)
    context.set_default_timeout(10_000)
    # Violations are also reported where nothing is logged.
    context.add_init_script(
        "document.addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective))"
    )
    return context


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[Page]:
    """One page for all tests that need none of their own: a new one costs more than what most of them do."""
    context = new_context(browser)
    yield context.new_page()
    context.close()


@pytest.fixture
def visit(browser: Browser, shared: Page, stand: Stand) -> Iterator[Callable[..., Watched]]:
    opened: list[BrowserContext] = []
    watching: list[Watched] = []

    def go(path: str, width: int = 1920, height: int = 1080, *, clock: bool = False, **options: Any) -> Watched:
        """Open a page; with `clock` its time is moved by the test; `options` make a browser of its own."""
        page = shared
        if options or clock:
            opened.append(new_context(browser, **options))
            page = opened[-1].new_page()
        page.set_viewport_size({"width": width, "height": height})
        if clock:
            page.clock.install()
        watched = Watched(page, stand.url)
        if page is shared:
            watching.append(watched)
        page.goto(stand.url + path)
        return watched

    yield go
    for watched in watching:
        watched.leave()
    for context in opened:
        context.close()


def forward_until(page: Page, what: Callable[[], bool], ms: int) -> None:
    """Move the page's clock in steps until something is so: answers travel at their own pace."""
    deadline_s = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline_s
        page.clock.fast_forward(ms)


def drawn(page: Page) -> None:
    """Wait until map and hydrograph stand."""
    page.wait_for_selector(".chart-run")
    page.wait_for_selector("path.m-boundary", state="attached")
    page.evaluate("document.fonts.ready")


def box(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return {"x": found["x"], "y": found["y"], "width": found["width"], "height": found["height"]}


def style(page: Page, selector: str, name: str) -> str:
    return str(page.locator(selector).first.evaluate("(e, name) => getComputedStyle(e).getPropertyValue(name)", name))


# --- nothing from elsewhere, nothing inline, nothing wrong -----------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "width", "height"),
    [
        ("/console", 1366, 768),
        ("/console", 390, 844),
        ("/drill", 1920, 1080),
        ("/empty", 1920, 1080),
        ("/critical", 390, 844),
        ("/normal", 390, 844),
        ("/watch", 360, 740),
        ("/quiet", 390, 844),
        ("/unseen", 390, 844),
        ("/console/stations", 1366, 768),
        ("/console/stations", 390, 844),
        ("/console/stations/WL-01", 1366, 768),
        ("/console/stations/WL-01", 390, 844),
        ("/stations/WL-01", 360, 740),
        ("/wall", 1920, 1080),
        ("/preview", 1366, 900),
        ("/preview", 390, 844),
        ("/signin", 1366, 768),
        ("/invite/x", 390, 844),
        ("/error", 390, 844),
    ],
)
def test_a_page_opens_without_trouble_and_without_sideways_scroll(
    visit: Callable[..., Watched], path: str, width: int, height: int
) -> None:
    watched = visit(path, width, height)
    if path in ("/console", "/drill"):
        drawn(watched.page)
    assert watched.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert watched.troubles == []


# --- the overview, as pictured ---------------------------------------------------------------------------------------


def test_the_overview_stands_on_its_grid(visit: Callable[..., Watched]) -> None:
    watched = visit("/console")
    page = watched.page
    drawn(page)
    assert box(page, ".logo")["height"] == 56
    assert box(page, ".head")["height"] == 56
    assert box(page, ".rail")["width"] == 76
    bar = box(page, ".incident")
    assert (bar["x"], bar["y"]) == (88, 68)
    assert bar["height"] == pytest.approx(60, abs=3)
    assert bar["x"] + bar["width"] == 1908
    for card in page.locator(".kpi").all():
        found = card.bounding_box()
        assert found
        assert found["height"] == pytest.approx(104, abs=3)
    alarms, chart, panel = box(page, "#alarms"), box(page, ".map-card"), box(page, "#panel")
    assert (alarms["x"], alarms["width"]) == (88, 436)
    assert (chart["x"], chart["x"] + chart["width"]) == (536, 1448)
    assert (panel["x"], panel["width"]) == (1460, 448)
    assert alarms["y"] == chart["y"] == panel["y"]
    timeline = box(page, "#timeline")
    assert timeline["y"] == alarms["y"] + alarms["height"] + 12
    assert timeline["y"] + timeline["height"] == 1080 - 12
    assert page.evaluate("document.documentElement.scrollHeight") == 1080
    assert watched.troubles == []


@pytest.mark.parametrize(
    ("selector", "name", "value"),
    [
        ("body", "font-size", "15px"),
        ("body", "line-height", "22px"),
        ("body", "background-color", "rgb(228, 232, 235)"),
        (".head", "background-color", "rgb(34, 48, 58)"),
        (".logo", "background-color", "rgb(20, 29, 36)"),
        (".card", "background-color", "rgb(247, 249, 250)"),
        (".card", "border-top-color", "rgb(210, 217, 222)"),
        (".card", "border-top-left-radius", "6px"),
        (".card", "box-shadow", "none"),
        (".kpi-value b", "font-size", "29px"),
        (".panel-value b", "font-size", "44px"),
        (".bar-clock b", "font-size", "25px"),
        (".panel-head h2", "font-size", "15.5px"),
        (".kpi h2", "font-size", "13px"),
        (".incident-word", "font-size", "19px"),
        (".incident", "border-left-width", "8px"),
        (".incident", "border-left-color", "rgb(232, 115, 12)"),
        (".button.primary", "background-color", "rgb(23, 70, 95)"),
        (".alarm.tinted", "background-color", "rgb(251, 227, 230)"),
        (".pin", "height", "28px"),
    ],
)
def test_tokens_and_type_are_those_of_the_design(overview: Page, selector: str, name: str, value: str) -> None:
    assert style(overview, selector, name) == value


@pytest.fixture(scope="module")
def overview(browser: Browser, pages: Pages) -> Iterator[Page]:
    """One console that tests only look at."""
    stand = Stand(
        {"/console": html(pages.render("console/overview.html", view=samples.console()))}, str(pages.static_dir)
    )
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.goto(f"{stand.url}/console")
    page.wait_for_selector(".pin")
    yield page
    page.close()
    stand.close()


def test_on_a_small_screen_the_panel_moves_under_the_map(visit: Callable[..., Watched]) -> None:
    page = visit("/console", 1366, 768).page
    chart, panel = box(page, ".map-card"), box(page, "#panel")
    assert panel["y"] >= chart["y"] + chart["height"]
    assert panel["x"] == chart["x"]
    assert chart["y"] + chart["height"] < 768  # alarm list and map without scrolling


def test_on_a_phone_the_order_is_incident_numbers_alarms_map_station_timeline(visit: Callable[..., Watched]) -> None:
    page = visit("/console", 390, 844).page
    tops = [
        box(page, selector)["y"] for selector in ("#incident", "#kpi", "#alarms", ".map-card", "#panel", "#timeline")
    ]
    assert tops == sorted(tops)
    for button in page.locator(".button:visible, .map-tools button:visible").all():
        found = button.bounding_box()
        assert found
        assert found["height"] >= 44


# --- live ------------------------------------------------------------------------------------------------------------


def test_fragments_replace_what_they_name_and_the_filter_stays(
    visit: Callable[..., Watched], stand: Stand, pages: Pages
) -> None:
    watched = visit("/console")
    page = watched.page
    stand.wait_for_stream()
    page.get_by_role("button", name="รอรับทราบ").click()
    expect(page.locator(".alarm:visible")).to_have_count(2)
    later = samples.console(
        world=samples.world(now=samples.moment("14:36")),
        alarms=(samples.alarm(place="สถานที่ใหม่"), *samples.alarms()),
        unacknowledged=3,
        incident=samples.incident(title="ชื่อเหตุใหม่"),
    )
    for name in ("top", "incident", "kpi", "alarms"):
        stand.say(name, pages.render(f"console/_{name}.html", view=later))
    expect(page.locator("#now b")).to_have_text("14:36 น.")
    expect(page.locator(".incident-title")).to_have_text("ชื่อเหตุใหม่")
    expect(page.locator(".alarm:visible")).to_have_count(3)
    expect(page.locator("#tab-waiting")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#badge")).to_have_text("3")
    assert page.title().startswith("(3) ")
    assert watched.troubles == []


def test_pins_follow_the_stream_and_are_worked_by_keyboard(visit: Callable[..., Watched], stand: Stand) -> None:
    watched = visit("/console")
    page = watched.page
    stand.wait_for_stream()
    pin = page.locator('.pin-anchor[data-station="WL-02"]')
    expect(pin).to_have_attribute("aria-label", "ฝายห้วยสำราญ +0.18 ม. วิกฤต")
    pin.focus()
    assert style(page, '.pin-anchor[data-station="WL-02"] .pin', "outline-color") == "rgb(11, 95, 255)"
    page.keyboard.press("Enter")
    expect(page.locator('#panel [data-station="WL-02"]').first).to_be_visible()
    expect(pin).to_have_class(re.compile("is-selected"))
    expect(page.locator('.alarm[data-station="WL-02"]')).to_have_class(re.compile("is-selected"))
    moved = [{**_plain(p), "text": "+0.44"} if p.station == "WL-02" else _plain(p) for p in samples.PINS[:-1]]
    stand.say("pins", json.dumps(moved))
    expect(pin).to_contain_text("+0.44")
    expect(page.locator(".pin-anchor .pin")).to_have_count(len(samples.PINS) - 1)
    page.get_by_role("button", name="ฝุ่น", exact=True).click()
    expect(page.locator(".pin:visible")).to_have_count(1)
    assert watched.troubles == []


@pytest.mark.parametrize(
    ("path", "width", "height"),
    [("/console", 1920, 1080), ("/console", 1366, 768), ("/console", 390, 844), ("/wall", 1920, 1080)],
)
def test_no_pin_covers_another(visit: Callable[..., Watched], path: str, width: int, height: int) -> None:
    page = visit(path, width, height).page
    page.wait_for_selector("path.m-boundary", state="attached")
    until(page, COVERED)


COVERED = """() => {
  const boxes = [...document.querySelectorAll('.pin')].map((e) => e.getBoundingClientRect());
  const covers = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
  return boxes.length === 8 && !boxes.some((a, i) => boxes.some((b, j) => j > i && covers(a, b)));
}"""
"""No two of the eight pins overlap, once they have been moved apart."""


def test_the_places_that_are_warned_are_tinted(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    page = visit("/console").page
    stand.wait_for_stream()
    page.wait_for_selector("path.m-boundary", state="attached")
    # The stream along which it is warned, and the village: by the names of the areas.
    expect(page.locator("path.m-tint.level-warning")).to_have_count(2)
    stand.say("alarms", pages.render("console/_alarms.html", view=samples.console(alarms=())))
    expect(page.locator("path.m-tint")).to_have_count(0)


def _plain(pin: Any) -> dict[str, Any]:
    return {name: getattr(pin, name) for name in pin.__slots__}


def test_a_change_refreshes_the_panel_and_what_was_open_stays_open(visit: Callable[..., Watched], stand: Stand) -> None:
    watched = visit("/console")
    page = watched.page
    drawn(page)
    stand.wait_for_stream()
    page.locator("#panel .chart-table summary").click()
    page.locator("#panel-more").focus()
    stand.say("changed", json.dumps({"stations": ["RF-01"]}))
    stand.say("changed", json.dumps({"stations": ["RF-01", "WL-01"]}))
    expect(page.locator(".panel-value b")).to_have_text("4.77")
    expect(page.locator("#panel .chart-table table")).to_be_visible()
    expect(page.locator("#panel-more")).to_be_focused()
    assert sum("/console/panel/" in path for path in stand.asked) == 1
    assert watched.troubles == []


def test_choosing_another_station_draws_its_own_series(visit: Callable[..., Watched], stand: Stand) -> None:
    watched = visit("/console")
    page = watched.page
    drawn(page)
    page.locator('.pin-anchor[data-station="AQ-01"] .pin').click()
    expect(page.locator('.chart[data-key="AQ-01/pm2_5_ug_m3"] .chart-run').first).to_be_attached()
    expect(page.locator("#panel .chart")).to_have_count(1)
    assert watched.troubles == []


def test_what_happens_to_a_story_moves_the_timeline(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    watched = visit("/console")
    stand.wait_for_stream()
    stand.say("alarms", pages.render("console/_alarms.html", view=samples.console()))
    expect(watched.page.locator("#timeline h2 small")).to_have_text("ใหม่")
    assert watched.troubles == []


def test_a_lost_server_greys_the_screen_until_it_is_back(visit: Callable[..., Watched], stand: Stand) -> None:
    page = visit("/console", 1366, 768, clock=True).page
    stand.wait_for_stream()
    page.evaluate("document.addEventListener('htmx:sseError', () => { window.noticed = true; })")
    stand.hang_up()
    until(page, "() => window.noticed === true")
    page.clock.fast_forward(2000)
    expect(page.locator("#lost")).to_be_hidden()
    page.clock.fast_forward(2500)
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#lost-since")).to_contain_text("น.")
    expect(page.locator("body")).to_have_class(re.compile("is-lost"))
    stand.routes["/api/v1/stream"] = html("")
    forward_until(page, page.locator("#lost").is_hidden, 1000)


@pytest.mark.parametrize(
    ("path", "greyed"),
    [
        ("/console", ".overview"),
        ("/", ".pub-main"),
        ("/preview", ".preview"),
        ("/wall", ".wall-banner"),
        ("/stations/WL-01", ".pub-main"),
        ("/console/stations/WL-01", ".page"),
    ],
)
def test_a_cut_cable_is_noticed_by_the_silence(
    visit: Callable[..., Watched], stand: Stand, path: str, greyed: str
) -> None:
    page = visit(path, 1366, 768, clock=True).page
    stand.wait_for_stream()
    page.clock.fast_forward(10_000)
    expect(page.locator("#lost")).to_be_hidden()
    forward_until(page, page.locator("#lost").is_visible, 4000)
    assert style(page, greyed, "filter") == "grayscale(1)"
    page.clock.fast_forward(65_000)
    expect(page.locator("#lost-age")).to_have_text("1 นาทีที่แล้ว")
    expect(page.locator("#lost-since")).to_contain_text("น.")
    stand.say("alive", "")
    expect(page.locator("#lost")).to_be_hidden()
    assert style(page, greyed, "filter") == "none"


def test_the_english_page_says_it_in_english(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    stand.routes["/english"] = html(pages.render("public/index.html", view=samples.public(language="en")))
    page = visit("/english", 390, 844, clock=True).page
    stand.wait_for_stream()
    forward_until(page, page.locator("#lost").is_visible, 4000)
    expect(page.locator("#lost")).to_contain_text("Connection lost")
    expect(page.locator("#lost-age")).to_contain_text("ago")


def test_a_station_page_follows_what_is_measured(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    """The table that was opened stays open, and whoever was on a link stays on it."""
    watched = visit("/console/stations/WL-01", 1366, 768)
    page = watched.page
    stand.wait_for_stream()
    page.locator(".chart-table summary").click()
    page.locator("#range-24h").focus()
    view = samples.station(panel=samples.panel(value="4.91"))
    stand.routes["/console/stations/WL-01"] = html(pages.render("console/_station.html", view=view))
    stand.say("readings", json.dumps({"now_us": 0, "series": {}}))
    expect(page.locator(".panel-value b")).to_have_text("4.91")
    expect(page.locator(".chart-table table")).to_be_visible()
    expect(page.locator("#range-24h")).to_be_focused()
    assert watched.troubles == []


@pytest.mark.parametrize(
    ("path", "width"), [("/console", 390), ("/console/stations/WL-01", 390), ("/stations/WL-01", 360)]
)
def test_a_hydrograph_is_readable_on_a_phone(visit: Callable[..., Watched], path: str, width: int) -> None:
    page = visit(path, width, 844).page
    plot = box(page, ".chart-plot")
    assert plot["width"] > 0.7 * width
    assert plot["x"] + plot["width"] <= width
    names = page.locator(".chart-name-inside:visible")
    expect(names).to_have_count(3)
    for text in page.locator(".chart-plot text:visible, .chart-x text:visible, .chart-y text:visible").all():
        found = text.bounding_box()
        assert found
        assert found["x"] >= 0
        assert found["x"] + found["width"] <= width
        assert text.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 12


def crowd(*, acknowledged: int = -1) -> ConsoleView:
    """Sixty alarms; one of them may have been acknowledged."""
    rows = [samples.alarm(id=f"flood.{i}", place=f"สถานที่ {i}", station="") for i in range(60)]
    if acknowledged >= 0:
        rows[acknowledged] = dataclasses.replace(rows[acknowledged], state="acknowledged", acknowledged_by="officer2")
    return samples.console(alarms=tuple(rows), unacknowledged=sum(r.state != "acknowledged" for r in rows))


def test_sixty_alarms_are_replaced_without_moving_under_the_eyes(
    visit: Callable[..., Watched], stand: Stand, pages: Pages
) -> None:
    stand.routes["/crowd"] = html(pages.render("console/overview.html", view=crowd()))
    watched = visit("/crowd")
    page = watched.page
    stand.wait_for_stream()
    assert page.evaluate("document.documentElement.scrollHeight") == 1080, "the list scrolls, not the page"
    row = page.locator('[id="episode-flood.30"]')
    row.focus()
    page.keyboard.press("ArrowDown")
    top = page.evaluate("document.getElementById('alarms').scrollTop")
    assert top > 500
    # Somebody else acknowledges the row above: everything is replaced.
    stand.say("alarms", pages.render("console/_alarms.html", view=crowd(acknowledged=30)))
    expect(row).to_contain_text("officer2")
    assert page.title().startswith("(59) ")
    after = page.locator('[id="episode-flood.31"]')
    expect(after).to_be_focused()
    assert page.evaluate("document.getElementById('alarms').scrollTop") == pytest.approx(top, abs=1)
    # The keyboard goes on where it was.
    page.keyboard.press("Tab")
    expect(after.locator("[data-acknowledge]")).to_be_focused()
    with page.expect_response(re.compile("acknowledge")):
        page.keyboard.press("a")
    assert [path for path, _, _ in stand.posts] == ["/api/v1/episodes/flood.31/acknowledge"]
    # The button that was pressed is gone: its row keeps the focus.
    stand.say("alarms", pages.render("console/_alarms.html", view=crowd(acknowledged=31)))
    expect(after).to_contain_text("officer2")
    expect(after).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(row).to_be_focused()
    assert watched.troubles == []


# --- what an officer does ---------------------------------------------------------------------------------------


def test_an_alarm_is_acknowledged_from_the_keyboard(visit: Callable[..., Watched], stand: Stand) -> None:
    watched = visit("/console")
    page = watched.page
    rows = page.locator(".alarm")
    rows.nth(0).focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    with page.expect_response(re.compile("acknowledge")):
        page.keyboard.press("a")
    path, body, token = stand.posts[0]
    assert path == "/api/v1/episodes/flood.33160801.20261122T0440Z/acknowledge"
    assert parse_qs(body) == {"version": ["3"]}
    assert token == "token-1"
    assert len(stand.posts) == 1
    assert watched.troubles == []


def test_the_alarm_list_has_its_keys_and_says_which(visit: Callable[..., Watched], stand: Stand) -> None:
    watched = visit("/console", 1366, 768)
    page = watched.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Shift+Slash")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("g")
    rows = page.locator(".alarm")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("r")
    expect(rows.nth(1).locator(".needs-release")).to_be_focused()
    page.keyboard.press("End")
    expect(rows.last).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Home")
    expect(rows.nth(0)).to_be_focused()
    assert stand.posts == [], "a key that moves must not act"
    page.locator("#help-open").click()
    expect(page.locator("#help")).to_be_visible()
    assert watched.troubles == []


def test_what_is_new_is_read_out_once(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    page = visit("/console").page
    stand.wait_for_stream()
    rows = (samples.alarm(id="flood.new", place="บ้านดอนกลาง"), *samples.alarms())
    stand.say("alarms", pages.render("console/_alarms.html", view=samples.console(alarms=rows, unacknowledged=3)))
    said = page.locator("#announce")
    expect(said).to_have_text("แจ้งเตือนใหม่ 1 รายการ: วิกฤต: บ้านดอนกลาง")
    assert said.get_attribute("aria-live") == "polite"
    blind = samples.console(world=samples.world(judging=False))
    stand.say("top", pages.render("console/_top.html", view=blind))
    expect(said).to_contain_text("ระบบตัดสินหยุดทำงาน")


def test_a_release_asks_once_more_and_names_version_and_level(visit: Callable[..., Watched], stand: Stand) -> None:
    page = visit("/console").page
    said: list[str] = []

    def refuse(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    # The incident bar and the row of its story offer the same.
    expect(page.get_by_role("button", name="ขอประกาศ เตือนภัย")).to_have_count(2)
    page.once("dialog", refuse)
    page.locator("#incident").get_by_role("button", name="ขอประกาศ เตือนภัย").click()
    assert said == ["ขอประกาศ เตือนภัย · ริมห้วยสำราญ? ต้องมีเจ้าหน้าที่อีกคนยืนยัน"]
    assert stand.posts == []
    page.once("dialog", lambda d: d.accept())
    with page.expect_response(re.compile("release")):
        page.locator(".alarm").get_by_role("button", name="ขอประกาศ เตือนภัย").click()
    assert stand.posts == [("/api/v1/episodes/flood.33160801.20261122T0440Z/release", "version=4&level=2", "token-1")]


def test_lowering_is_folded_away_from_where_the_release_was(
    visit: Callable[..., Watched], stand: Stand, pages: Pages
) -> None:
    released = samples.decision(choices=(samples.choice("lower", 1, "ask"),))
    view = samples.console(incident=samples.incident(decision=released), alarms=(samples.alarm(decision=released),))
    page = visit("/console").page
    stand.wait_for_stream()
    release = page.locator("#incident").get_by_role("button", name="ขอประกาศ เตือนภัย").bounding_box()
    assert release
    stand.say("incident", pages.render("console/_incident.html", view=view))
    stand.say("alarms", pages.render("console/_alarms.html", view=view))
    lower = page.locator("#incident button[hx-post$='/lower']")
    expect(lower).to_be_hidden()
    # The second click of an impatient finger opens nothing more than the fold.
    page.mouse.click(release["x"] + release["width"] - 20, release["y"] + release["height"] / 2)
    assert stand.posts == []
    row = page.locator(".alarm .lowering")
    row.locator("summary").click()
    expect(row.locator("button")).to_be_visible()
    stand.say("alarms", pages.render("console/_alarms.html", view=dataclasses.replace(view, unacknowledged=7)))
    expect(page.locator("#badge")).to_have_text("7")
    expect(row.locator("button")).to_be_visible()


def test_nothing_is_decided_on_a_lost_line(visit: Callable[..., Watched], stand: Stand) -> None:
    page = visit("/console", 1366, 768, clock=True).page
    stand.wait_for_stream()
    button = page.locator(".needs-acknowledge").first
    expect(button).to_be_enabled()
    forward_until(page, page.locator("#lost").is_visible, 4000)
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("title", "ขาดการติดต่อ: ทำรายการไม่ได้")
    expect(page.locator("#lost")).to_contain_text("รับทราบและประกาศไม่ได้")
    # The clock of the page, not of the watch: an exercise runs faster.
    expect(page.locator("#lost-since")).to_have_text("14:35 น.")
    stand.say("alive", "")
    expect(button).to_be_enabled()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1920, 1080), (390, 844)])
def test_on_the_wall_nothing_covers_anything(
    visit: Callable[..., Watched], stand: Stand, pages: Pages, width: int, height: int
) -> None:
    (card,) = samples.wall().stations
    view = samples.wall(world=samples.world(kind="exercise", speed=120.0), stations=(card, card, card))
    stand.routes["/walled"] = html(pages.render("wall.html", view=view))
    page = visit("/walled", width, height, clock=True).page
    for station in page.locator(".wall-station").all():
        boxes = [
            b for part in ("h2", ".tag", ".wall-value", ".wall-text") if (b := station.locator(part).bounding_box())
        ]
        assert len(boxes) == 4
        for one, other in itertools.combinations(boxes, 2):
            wide = min(one["x"] + one["width"], other["x"] + other["width"]) - max(one["x"], other["x"])
            high = min(one["y"] + one["height"], other["y"] + other["height"]) - max(one["y"], other["y"])
            assert min(wide, high) <= 1, (one, other)
    clock = page.locator("#now").bounding_box()
    assert clock
    assert clock["x"] + clock["width"] <= width
    stand.wait_for_stream()
    forward_until(page, page.locator("#lost").is_visible, 4000)
    tops = [b for s in ("#lost", ".drill", ".wall-banner") if (b := page.locator(s).bounding_box())]
    for above, below in itertools.pairwise(tops):
        assert above["y"] + above["height"] <= below["y"] + 1
    assert len(tops) == 3


def test_the_pin_and_the_panel_of_a_station_say_the_same(
    visit: Callable[..., Watched], stand: Stand, pages: Pages
) -> None:
    def at(text: str) -> dict[str, Any]:
        return {"pin": dataclasses.replace(samples.PINS[1], text=text)}

    stand.routes["/console"] = html(
        pages.render("console/overview.html", view=samples.console(panel=samples.panel(**at("−0.42"))))
    )
    stand.routes["/console/panel/WL-01"] = html(pages.render("console/_panel.html", view=samples.panel(**at("−0.31"))))
    page = visit("/console").page
    pin = page.locator("[data-station='WL-01'] .pin")
    expect(pin).to_contain_text("−0.42")
    stand.wait_for_stream()
    newer = [dataclasses.asdict(dataclasses.replace(p, text="−0.35")) for p in samples.PINS]
    stand.say("pins", json.dumps(newer))
    expect(page.locator("[data-station='WL-03'] .pin")).to_contain_text("−0.35")
    expect(pin).to_contain_text("−0.31")


def test_without_scripts_the_overview_says_how_old_it_is(browser: Browser, stand: Stand, pages: Pages) -> None:
    stand.begin({"/console": html(pages.render("console/overview.html", view=samples.console()))})
    with contextlib.closing(browser.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(f"{stand.url}/console")
        expect(page.locator(".no-script")).to_contain_text("หน้านี้ไม่อัปเดตเอง")
        expect(page.locator(".no-script")).to_contain_text("14:35 น.")
        expect(page.locator(".no-script a")).to_have_text("โหลดใหม่")
        expect(page.locator("#map")).to_be_hidden()
        expect(page.locator(".needs-acknowledge").first).to_be_hidden()


def test_a_refusal_is_said_in_its_own_words(visit: Callable[..., Watched], stand: Stand) -> None:
    stand.answer = (409, "เหตุการณ์เปลี่ยนไปแล้ว ดูใหม่อีกครั้ง <b>")
    page = visit("/console").page
    page.get_by_role("button", name="รับทราบ", exact=True).first.click()
    expect(page.locator("#toast")).to_have_text("เหตุการณ์เปลี่ยนไปแล้ว ดูใหม่อีกครั้ง <b>")
    expect(page.locator("#toast")).to_have_attribute("aria-live", "polite")


def test_who_asked_is_not_offered_the_confirmation(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    asked = samples.decision(requested_by="officer1", choices=(samples.choice("lower", 0, "confirm"),))
    view = samples.console(incident=samples.incident(decision=asked), alarms=(samples.alarm(decision=asked),))
    for name in ("officer1", "officer2"):
        theirs = dataclasses.replace(view, user=samples.user(name=name))
        stand.routes[f"/{name}"] = html(pages.render("console/overview.html", view=theirs))
    confirm = "button[hx-post$='/lower']:visible"
    expect(visit("/officer2").page.locator(confirm)).to_have_count(2)
    page = visit("/officer1").page
    expect(page.locator("#incident")).to_contain_text("รอผู้ยืนยันอีกคน")
    expect(page.locator(confirm)).to_have_count(0)
    stand.wait_for_stream()
    stand.say("incident", pages.render("console/_incident.html", view=view))
    stand.say("alarms", pages.render("console/_alarms.html", view=dataclasses.replace(view, unacknowledged=7)))
    expect(page.locator("#badge")).to_have_text("7")
    expect(page.locator(confirm)).to_have_count(0)


def test_who_may_not_is_not_offered_the_button(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    viewer = samples.user(may_acknowledge=False, may_release=False)
    stand.routes["/viewer"] = html(pages.render("console/overview.html", view=samples.console(user=viewer)))
    page = visit("/viewer").page
    expect(page.locator(".needs-acknowledge:visible, .needs-release:visible")).to_have_count(0)


def square(west: float, south: float, size: float) -> dict[str, Any]:
    ring = [[west, south], [west + size, south], [west + size, south + size], [west, south + size], [west, south]]
    return {"type": "Feature", "properties": None, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def feature(layer: str, kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"layer": layer}, "geometry": {"type": kind, "coordinates": coordinates}}


@pytest.fixture
def on_map(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> Callable[..., Page]:
    def draw(*features: dict[str, Any], **more: str) -> Page:
        drawing = json.dumps({"type": "FeatureCollection", "features": features, **more}).encode()
        stand.routes["/map.geojson"] = lambda _: ("application/geo+json", drawing)
        stand.routes["/foreign"] = html(
            pages.render("console/overview.html", view=samples.console(map_url="/map.geojson"))
        )
        page: Page = visit("/foreign").page
        return page

    return draw


def test_a_map_of_another_place_is_drawn_whatever_it_holds(on_map: Callable[..., Page]) -> None:
    page = on_map(
        square(104.15, 14.90, 0.1),
        square(104.25, 14.90, 5.0),
        feature("canal", "LineString", [[104.17, 14.90], [104.24, 14.95]]),
        feature("well", "Point", [104.17, 14.90]),
        note="วาดจากแนวเขตตำบล",
    )
    page.wait_for_selector("path.m-boundary", state="attached")
    assert page.locator("path.m-other").count() == 2
    assert page.locator("path.m-veil").count() == 1
    # Ours is the area with the stations in it: the map fits it, and not the province beside it.
    assert page.locator("path.m-boundary").count() == 1
    assert page.locator("path.m-outline").count() == 1
    host, ours = box(page, "#map"), box(page, "path.m-boundary")
    assert max(ours["width"] / host["width"], ours["height"] / host["height"]) > 0.8
    expect(page.locator("#map-note")).to_have_text("วาดจากแนวเขตตำบล")


def test_without_a_map_the_stations_stand_in_the_middle_and_nothing_is_credited(on_map: Callable[..., Page]) -> None:
    page = on_map()
    page.wait_for_selector(".pin")
    host = box(page, "#map")
    places = [found for pin in page.locator(".pin-anchor").all() if (found := pin.bounding_box())]
    assert len(places) == len(samples.PINS)
    middle = (min(p["x"] for p in places) + max(p["x"] for p in places)) / 2
    assert middle == pytest.approx(host["x"] + host["width"] / 2, rel=0.05)
    expect(page.locator("#map-note")).to_be_hidden()


def test_the_sample_map_says_that_it_is_one(visit: Callable[..., Watched]) -> None:
    expect(visit("/console").page.locator("#map-note")).to_have_text("แผนที่ตัวอย่าง วาดขึ้นเอง ไม่ใช่แนวเขตจริง")


# --- the public page --------------------------------------------------------------------------------------------


def test_the_public_page_is_complete_without_scripts(visit: Callable[..., Watched]) -> None:
    watched = visit("/", 390, 844, java_script_enabled=False)
    page = watched.page
    for words in ("เตือนภัยน้ำท่วม", "ยกของขึ้นที่สูง", "ต่ำกว่าตลิ่ง", "1669"):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.get_by_role("button", name="ดู", exact=True)).to_be_visible()
    page.locator("#village").select_option("33160803")
    page.get_by_role("button", name="ดู", exact=True).click()
    assert page.url.endswith("/?v=33160803")


def test_the_public_page_has_its_sizes_and_its_weight(visit: Callable[..., Watched], stand: Stand) -> None:
    watched = visit("/critical", 390, 844, color_scheme="light")  # a first visit: nothing kept
    page = watched.page
    page.evaluate("document.fonts.ready")
    assert style(page, "body", "font-size") == "19px"
    assert float(style(page, "body", "line-height").removesuffix("px")) == pytest.approx(30, abs=0.5)
    assert style(page, "h1", "font-size") == "37px"
    assert float(style(page, "h1", "line-height").removesuffix("px")) == pytest.approx(44, abs=0.1)
    assert style(page, ".pub-card h2", "font-size") == "23px"
    assert style(page, ".pub-figure", "font-size") == "30px"
    assert style(page, ".pub-banner", "background-color") == "rgb(181, 15, 41)"
    assert box(page, ".pub-head")["height"] == pytest.approx(60, abs=1)
    assert box(page, ".pub-level .glyph")["width"] == 64
    for target in page.locator("a:visible, select:visible").all():
        found = target.bounding_box()
        assert found
        assert found["height"] >= 44
    sizes = {r.url: len(r.body()) for r in watched.answers if "stream" not in r.url}
    assert 60_000 < sum(sizes.values()) <= 100_000, sizes
    assert watched.troubles == []


def test_green_and_its_tick_are_for_a_calm_day_only(visit: Callable[..., Watched]) -> None:
    page = visit("/normal", 390, 844).page
    assert style(page, ".pub-banner", "background-color") == "rgb(28, 117, 72)"
    expect(page.locator(".pub-banner .glyph")).to_have_count(1)
    page = visit("/quiet", 390, 844).page
    assert style(page, ".pub-banner", "background-color") == "rgb(68, 82, 93)"
    expect(page.locator(".pub-banner .glyph")).to_have_count(0)


def test_the_public_page_follows_the_stream(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    watched = visit("/", 390, 844)
    stand.wait_for_stream()
    stand.say("public", pages.render("public/_main.html", view=samples.public(3)))
    expect(watched.page.locator("h1")).to_have_text("อพยพทันที")
    assert watched.troubles == []


def test_a_refused_stream_is_replaced_by_reading_the_page_again(
    visit: Callable[..., Watched], stand: Stand, pages: Pages
) -> None:
    stand.hang_up()
    page = visit("/", 390, 844, clock=True).page
    stand.routes["/"] = html(pages.render("public/index.html", view=samples.public(3)))
    forward_until(page, lambda: page.locator("h1").inner_text() == "อพยพทันที", 31_000)
    expect(page.locator("#lost")).to_be_hidden()
    stand.routes.pop("/")
    forward_until(page, page.locator("#lost").is_visible, 31_000)
    expect(page.locator("h1")).to_have_text("อพยพทันที")


def test_a_personal_public_page_listens_for_itself(visit: Callable[..., Watched], stand: Stand) -> None:
    watched = visit("/watch", 390, 844)
    stand.wait_for_stream()
    assert "/api/v1/stream?text=large&page=public" in stand.asked
    assert style(watched.page, "body", "font-size") == "24px"
    assert watched.troubles == []


def test_a_message_appears_on_the_preview_phone(visit: Callable[..., Watched], stand: Stand, pages: Pages) -> None:
    watched = visit("/preview", 1366, 900)
    stand.wait_for_stream()
    first = samples.phone().messages[0]
    stand.say("phone", pages.render("preview/_messages.html", view=samples.phone(messages=(first,))))
    expect(watched.page.locator(".bubble")).to_have_count(1)
    expect(watched.page.locator(".bubble-text")).to_contain_text("โทร 1784")
    assert watched.troubles == []
