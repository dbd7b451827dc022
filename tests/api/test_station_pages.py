"""The pages of stations, the wall, and why a level is held: over real stores and the real record."""

import re
from html import unescape

import pytest

from alerts import lifecycle
from alerts.ledger import Record
from alerts.people import Role
from api.history import past
from api.screens.console import alarms, incident
from api.screens.station_health import completeness
from api.screens.stations import observe, panel
from sensors.flags import Flag
from tests.api.browser import Browser
from tests.api.world import HOUR_US, MINUTE_US, NOW_US, World


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


# --- pages -----------------------------------------------------------------------------------------------------------


def test_a_resident_reads_a_station_without_signing_in(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [4.08] * 30)
    answer = client.get("/stations/WL-01")
    page = text(answer.text)
    assert answer.status_code == 200
    for words in ("สะพานบ้านโพนยาง", "ต่ำกว่าตลิ่ง 0.42 ม.", "91% ของตลิ่ง", "ข้อมูลเมื่อ 14:35 น.", "ค่าเริ่มต้น ยังไม่ได้รังวัด"):
        assert words in page, words
    assert "<polyline" in answer.text
    assert len(answer.content) < 60_000


def test_a_resident_reads_what_is_announced_and_what_is_observed_but_no_judged_level(
    world: World, client: Browser
) -> None:
    world.put("WL-01/stage_m", [4.72] * 30)
    world.judge("331608-samran", 3)
    page = client.get("/stations/WL-01").text
    assert "ประกาศสำหรับพื้นที่นี้: ยังไม่มีประกาศ" in text(page)
    assert "สูงกว่าตลิ่ง 0.22 ม." in text(page)
    for word in ("วิกฤต", "เตือนภัย 3.8", "เฝ้าระวัง", "ตัดสิน"):
        assert word not in page, word
    assert "ตลิ่ง · เส้น 3: 4.50" in page
    world.publish("331608-samran", 3)
    world.real_us += 1_000_000
    with world.client() as another:
        assert "ประกาศสำหรับพื้นที่นี้: วิกฤต" in text(another.get("/stations/WL-01").text)


def test_a_threshold_reads_the_same_in_the_graph_and_in_the_list(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [3.9] * 30)
    page = text(client.get("/stations/WL-01").text)
    assert "เส้น 2: 3.83" in page
    assert "เส้น 2 3.83 ม." in page
    assert "3.82" not in page


def test_rain_says_over_how_long(world: World, client: Browser) -> None:
    world.put("RF-01/rain_mm", [98.6])
    assert "98.6 มม. ใน 24 ชม." in text(client.get("/stations/RF-01").text)


@pytest.mark.parametrize("window", ["6h", "3d", "99y", "<script>"])
def test_any_window_gives_a_page(world: World, client: Browser, window: str) -> None:
    world.put("WL-01/stage_m", [2.0] * 30)
    answer = client.get(f"/stations/WL-01?window={window}")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("path", ["/stations/nobody", "/console/stations/nobody"])
def test_an_unknown_station_is_said_to_be_none(world: World, client: Browser, path: str) -> None:
    world.sign_in(client)
    answer = client.get(path)
    assert answer.status_code == 404
    assert "ไม่มีสถานีนี้" in answer.text


@pytest.mark.parametrize("path", ["/console/stations", "/console/stations/WL-01", "/console/timeline", "/wall"])
def test_pages_of_the_officers_ask_for_a_sign_in(client: Browser, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=/")
    fragment = client.get(path, headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/signin?next=/console")


@pytest.mark.parametrize("path", ["/console/stations", "/console/stations/WL-01", "/wall"])
def test_a_live_page_asks_for_its_own_part(world: World, client: Browser, path: str) -> None:
    world.all_speak()
    world.sign_in(client, name="tech", role=Role.TECHNICIAN)
    whole = client.get(path)
    part = client.get(path, headers={"HX-Request": "true"})
    assert (whole.status_code, part.status_code) == (200, 200)
    assert "<!doctype html>" in whole.text
    assert "<!doctype html>" not in part.text


def test_a_technician_sees_where_every_number_comes_from(world: World, client: Browser) -> None:
    world.all_speak()
    world.put("WL-01/battery_v", [3.9, 3.4], step_us=HOUR_US)
    world.put("WL-01/stage_m", [6.9], ago_us=7 * MINUTE_US, flag=Flag.SUSPECT)
    world.sign_in(client, name="tech", role=Role.TECHNICIAN)
    page = text(client.get("/console/stations/WL-01").text)
    for words in (
        "3.15 ม.", "70% ของตลิ่ง", "ThaiWater situation scale", "22 พ.ย. 2569", "ค่าเริ่มต้น ยังไม่ได้รังวัด",
        "เฝ้าระวัง (ขึ้นเร็ว)", "3.40 V", "น่าสงสัย", "ครบ", "ดาวน์โหลด CSV", "1 ค่า",
    ):  # fmt: skip
        assert words in page, words
    overview = text(client.get("/console/stations").text)
    assert "แบตเตอรี่อ่อน" in overview


def test_the_csv_of_the_page_is_what_it_shows(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [2.0, 2.5, 2.25])
    world.sign_in(client)
    found = re.search(r'id="csv" href="([^"]+)"', client.get("/console/stations/WL-01").text)
    assert found
    answer = client.get(unescape(found[1]))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[1] for line in answer.text.splitlines()[1:]] == ["2.0", "2.5", "2.25"]


def test_old_values_are_withheld_from_residents_and_aged_for_officers(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [4.08] * 30)
    world.now_us += 3 * HOUR_US
    page = text(client.get("/stations/WL-01").text)
    assert "ข้อมูลเก่า จึงไม่แสดงค่า" in page
    assert "ต่ำกว่าตลิ่ง 0.42" not in page
    world.sign_in(client)
    assert "3 ชม. ที่แล้ว" in text(client.get("/console/stations/WL-01").text)


@pytest.mark.parametrize("path", ["/", "/stations/WL-01", "/console", "/console/stations/WL-01", "/wall", "/preview"])
def test_every_page_says_that_nobody_judges_and_how_old_it_is(world: World, client: Browser, path: str) -> None:
    world.all_speak()
    world.sign_in(client)
    world.blind()
    page = text(client.get(path).text)
    assert "ระบบตัดสินหยุดทำงาน" in page
    assert "ข้อมูลใหม่สุด 14:35 น." in page


# --- a held level ----------------------------------------------------------------------------------------------------


def held(world: World) -> tuple[str, str, str]:
    facts = world.facts()
    story, view = incident(facts), panel(facts, observe(facts), "WL-01")
    assert story
    assert view
    return story.held, next(row.held for row in alarms(facts) if row.tints), view.held


def test_a_level_that_waits_for_its_time_says_how_long(world: World) -> None:
    world.all_speak()
    world.now_us += HOUR_US
    world.judge("331608-samran", 3)
    world.known("331608-samran", level=3)
    world.now_us += 40 * MINUTE_US
    for key in ("WL-02", "WL-03"):
        world.put(f"{key}/stage_m", [1.9] * 30)
    world.put("WL-01/stage_m", [4.6] * 20, ago_us=18 * MINUTE_US)
    world.put("WL-01/stage_m", [4.2] * 9)
    why = "ลดแล้ว รอครบเวลา 30 นาที (อีก 14 นาที)"
    assert held(world) == (why, why, f"ริมห้วยสำราญ ยังตัดสินเป็นวิกฤต: {why}")


def test_a_level_between_its_two_lines_says_below_what_it_must_fall(world: World) -> None:
    world.judge("331608-samran", 3)
    world.put("WL-01/stage_m", [4.4] * 20)
    assert held(world)[0] == "ลดแล้ว แต่ยังไม่ต่ำกว่า 4.28 ม. ที่ สะพานบ้านโพนยาง"


def test_a_level_that_the_evidence_carries_is_not_held(world: World) -> None:
    world.judge("331608-samran", 3)
    world.put("WL-01/stage_m", [4.6] * 20)
    assert held(world) == ("", "", "")


def test_a_gap_starts_the_waiting_again(world: World) -> None:
    world.now_us -= 2 * HOUR_US
    world.judge("331608-samran", 1)
    world.now_us += 2 * HOUR_US
    world.put("WL-01/stage_m", [3.2] * 5, ago_us=50 * MINUTE_US)
    world.put("WL-01/stage_m", [1.0] * 5, ago_us=30 * MINUTE_US)
    world.put("WL-01/stage_m", [1.0] * 6)
    assert held(world)[0] == "ลดแล้ว รอครบเวลา 30 นาที (อีก 20 นาที)"


def test_a_level_that_another_rule_raised_is_not_said_to_wait_for_the_water(world: World) -> None:
    """A rise rule may hold a level over water that never stood at its line."""
    world.judge("331608-samran", 1)
    world.put("WL-01/stage_m", [1.0 + 0.05 * i for i in range(20)])
    assert held(world)[0] == ""


def test_an_unknown_story_says_for_how_long(world: World) -> None:
    world.all_speak()
    world.judge("331608-samran", 2)
    world.judge("AQ-02", 1, hazard="station")
    world.known("331608-samran", level=2, known=False)
    (change,) = lifecycle.hear(world.stories["331608-samran"], known=False, now_us=world.now_us)
    world.ledger.record(Record(kind=world.kind, changes=[change]))
    world.now_us += 25 * MINUTE_US
    story = incident(world.facts())
    assert story
    assert (story.known, story.unknown_for, story.held) == (False, "25 นาที", "")


def test_only_the_places_of_a_danger_are_tinted(world: World) -> None:
    world.judge("331608-samran", 2)
    world.judge("AQ-02", 1, hazard="station")
    rows = alarms(world.facts())
    (tints,) = [row.tints for row in rows if row.tints]
    assert "ริมห้วยสำราญ" in tints
    assert "หมู่ 1 บ้านโพนยาง" in tints
    assert "หมู่ 2 บ้านหนองแวง" not in tints


# --- completeness ----------------------------------------------------------------------------------------------------


def test_completeness_counts_promises_since_the_first_word(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 31, ago_us=HOUR_US)
    world.put("WL-01/stage_m", [2.0] * 15)
    week = past(world.deps, "WL-01", now_us=NOW_US, window_us=7 * 24 * HOUR_US)
    assert week
    found = completeness(week, 2 * MINUTE_US)
    assert found
    assert found.share == f"{100 * 46 / 60:.1f}%"
    assert found.since == "12:35 น. 22 พ.ย. 2569"
    assert found.longest.startswith("32 นาที ตั้งแต่ 13:35 น.")
    words = [word for word, _ in found.days[-1].cells]
    assert words[11] == "ahead"
    assert words[12] == "full"
    assert words[23] == "ahead"
    assert len(found.days) == 1


def test_a_station_that_never_spoke_has_no_completeness(world: World) -> None:
    week = past(world.deps, "WL-01", now_us=NOW_US, window_us=HOUR_US)
    assert week
    assert completeness(week, 2 * MINUTE_US) is None
