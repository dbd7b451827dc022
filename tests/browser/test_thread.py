"""One thread, whole: a river rises, travels, is judged, shown, acknowledged, told to a phone, and is over."""

import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Person

pytestmark = [pytest.mark.browser, pytest.mark.live]

STAY = "window.stayed = true"
FLOOD_S_MAX = 60_000
OVER_S_MAX = 120_000
NOTHING_RELEASED = re.compile("ไม่มีประกาศเตือนภัย|น้ำสูงกว่าตลิ่ง")
"""What a resident reads while two officers have not agreed: nothing, or only what is measured."""


@dataclass
class Demo:
    """`takean demo` as a process, with what it printed."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, pattern: str) -> list[str]:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            found = re.findall(pattern, "\n".join(self.lines))
            if found and any("Ctrl-C" in line for line in self.lines):
                return found
            assert self.process.poll() is None, "\n".join(self.lines)
            time.sleep(0.1)
        raise AssertionError("\n".join(self.lines))


def started(*words: str, folder: Path) -> Demo:
    command = [sys.executable, "-m", "takean", "demo", "--mqtt-port", "0", "--web-port", "0", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=None, cwd=folder
    )
    demo = Demo(process)
    threading.Thread(target=demo.read, daemon=True).start()
    return demo


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    words: tuple[str, ...] = getattr(request, "param", ())
    running = started(*words, folder=Path(__file__).parents[2])
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
    running.process.wait(timeout=30)
    assert running.process.stdout is not None
    running.process.stdout.close()


def signed_in(browser: Browser, base: str, link: str) -> tuple[Person, Page]:
    person = Person(browser.new_context(viewport={"width": 1920, "height": 1080}, locale="th-TH"), base)
    page = person.open(link)
    page.fill("input[name=password]", "a river in the night")
    page.click("button[type=submit]")
    page.wait_for_url("**/console*")
    return person, page


@pytest.mark.parametrize("demo", [("--speed", "300")], indirect=True)
@pytest.mark.timeout(240)
def test_a_river_rises_is_told_and_is_over(demo: Demo, browser: Browser) -> None:
    links = demo.wait_for(r"http://\S+/invite/\S+")
    base = links[0].split("/invite")[0]
    officer, console = signed_in(browser, base, links[0])
    resident = Person(browser.new_context(viewport={"width": 390, "height": 844}, locale="th-TH"), base)
    public, phone = resident.open("/"), resident.open("/preview")
    for page in (console, public, phone):
        page.evaluate(STAY)

    # The alarm list fills without a reload, and the map and the phone with it.
    flood = console.locator("li.alarm", has_text="ริมห้วยสำราญ")
    expect(flood).to_have_attribute("data-state", "unacknowledged", timeout=FLOOD_S_MAX)
    expect(public.locator("h1")).to_have_text("อพยพทันที", timeout=FLOOD_S_MAX)
    expect(phone.locator(".bubble", has_text="วิกฤต").first).to_contain_text("ซ้อม: ไม่ใช่เหตุจริง", timeout=10_000)
    expect(console.locator("#panel .chart-run").first).to_be_attached()
    expect(console.locator("#timeline .timeline-band").first).to_be_attached()
    station = resident.open("/stations/WL-01")
    expect(station.locator("h1")).to_contain_text("สะพานบ้านโพนยาง")
    expect(station.locator(".chart-run").first).to_be_attached()
    station.close()

    # An officer acknowledges; every screen knows.
    flood.locator("[data-acknowledge]").click()
    expect(flood).to_have_attribute("data-state", "acknowledged", timeout=5_000)
    expect(flood).to_contain_text("officer-1")

    # And it is over: nothing open, the resident told.
    expect(console.locator("#incident div.level-normal")).to_be_visible(timeout=OVER_S_MAX)
    expect(phone.locator(".bubble", has_text="ยุติเหตุ").first).to_be_visible(timeout=10_000)
    expect(public.locator("h1")).to_have_text("ปกติ", timeout=10_000)
    for page in (console, public, phone):
        assert page.evaluate("window.stayed"), "the page was loaded again"
    assert officer.complaints + resident.complaints == []

    told = httpx.get(f"{base}/api/v1/episodes").json()
    assert {e["area"] for e in told if e["hazard"] == "flood"} == {"331608-samran", "331608-phonyang"}
    assert {e["kind"] for e in told} == {"exercise"}
    samran = next(e for e in told if e["area"] == "331608-samran")
    events = httpx.get(f"{base}/api/v1/episodes/{samran['id']}/events").json()
    assert [e["to_level"] for e in events if e["type"] == "judged"] == [1, 2, 3, 2, 1, 0]
    deliveries = httpx.get(f"{base}/api/v1/deliveries", params={"episode": samran["id"]}).json()
    assert {d["state"] for d in deliveries} == {"accepted"}
    officer.context.close()
    resident.context.close()

    folders = set(Path(tempfile.gettempdir()).glob("takean-demo-*"))
    begin_s = time.monotonic()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(timeout=30) == 0
    assert time.monotonic() - begin_s < 15
    assert len(set(Path(tempfile.gettempdir()).glob("takean-demo-*"))) < len(folders), "its state folder is gone"


@pytest.mark.parametrize("demo", [("--speed", "300", "--release", "people")], indirect=True)
@pytest.mark.timeout(240)
def test_a_warning_takes_two_officers_and_the_public_page_waits_for_them(demo: Demo, browser: Browser) -> None:
    links = demo.wait_for(r"http://\S+/invite/\S+")
    base = links[0].split("/invite")[0]
    one, first = signed_in(browser, base, links[0])
    two, second = signed_in(browser, base, links[1])
    resident = Person(browser.new_context(viewport={"width": 390, "height": 844}, locale="th-TH"), base)
    public = resident.open("/")
    for page in (first, second):
        page.on("dialog", lambda dialog: dialog.accept())

    release = first.locator("button[hx-post$='/release']")
    expect(first.locator("li.alarm", has_text="ริมห้วยสำราญ")).to_contain_text("วิกฤต", timeout=FLOOD_S_MAX)
    expect(public.locator("h1")).to_have_text(NOTHING_RELEASED)
    release.first.click()
    expect(second.locator("#incident")).to_contain_text("officer-1", timeout=5_000)
    expect(public.locator("h1")).to_have_text(NOTHING_RELEASED)
    second.locator("button[hx-post$='/release']").first.click()
    expect(public.locator("h1")).to_have_text("อพยพทันที", timeout=10_000)
    assert one.complaints + two.complaints + resident.complaints == []
    for person in (one, two, resident):
        person.context.close()
