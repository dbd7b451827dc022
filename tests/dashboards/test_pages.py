"""Every template in every state: what must be said is said, what is hostile is escaped, nothing is inline."""

import dataclasses
import html
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from dashboards.pages import WEB, Pages, level_class
from tests.dashboards import samples
from tests.dashboards.samples import HOSTILE, LEVELS, LONG, WORDS

TEMPLATES: dict[str, Callable[[], Any]] = {
    "console/overview.html": samples.console,
    "console/_top.html": samples.console,
    "console/_incident.html": samples.console,
    "console/_kpi.html": samples.console,
    "console/_alarms.html": samples.console,
    "console/_panel.html": samples.panel,
    "console/_timeline.html": samples.timeline,
    "console/stations.html": samples.stations,
    "console/_stations.html": samples.stations,
    "console/station.html": samples.station,
    "console/_station.html": samples.station,
    "public/station.html": samples.station,
    "wall.html": samples.wall,
    "_wall.html": samples.wall,
    "_wall_top.html": samples.wall,
    "public/index.html": samples.public,
    "public/_main.html": samples.public,
    "preview/phone.html": samples.phone,
    "preview/_messages.html": samples.phone,
    "signin.html": samples.signin,
    "invite.html": samples.signin,
}
CODES = {"action", "step", "kind", "state", "trend", "staleness", "language", "tone", "iso", "quantity", "glyph"}
"""Fields that carry one of a few words, not text of people."""


def poisoned(value: Any) -> Any:
    """The same view with every free text replaced by an attack."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: poisoned(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name not in CODES}
        return dataclasses.replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(poisoned(item) for item in value)
    return HOSTILE if isinstance(value, str) else value


def render(pages: Pages, template: str, view: Any) -> str:
    """One template as somebody signed in gets it."""
    return pages.render(template, view=view, user=samples.user())


def visible(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


@pytest.mark.parametrize("template", TEMPLATES)
def test_hostile_text_stays_text(pages: Pages, template: str) -> None:
    page = render(pages, template, poisoned(TEMPLATES[template]()))
    assert "<script>alert" not in page
    assert "<img" not in page
    # A quote that got out of an attribute would leave the handler as an attribute of its own.
    assert not re.search(r"<[a-z]+(?:\s+[\w-]+(?:=\"[^\"]*\")?)*\s+onerror=", page)
    assert "&lt;script&gt;alert" in page


def test_hostile_errors_stay_text(pages: Pages) -> None:
    page = pages.render("error.html", status=500, title=HOSTILE, detail=HOSTILE, next_step=HOSTILE)
    assert "<script>alert" not in page


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_page_has_inline_script_or_style(pages: Pages, template: str) -> None:
    page = render(pages, template, TEMPLATES[template]())
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_missing_value_is_an_error_not_a_blank(pages: Pages, template: str) -> None:
    with pytest.raises(UndefinedError):
        pages.render(template)


def test_fragments_are_the_same_for_everyone(pages: Pages) -> None:
    nobody = samples.user(name="", role_thai="", csrf="", may_acknowledge=False, may_release=False)
    for name in ("top", "incident", "kpi", "alarms"):
        fragment = pages.render(f"console/_{name}.html", view=samples.console())
        assert fragment == pages.render(f"console/_{name}.html", view=samples.console(user=nobody))


# --- levels -----------------------------------------------------------------------------------------------------------


def test_each_level_has_a_shape_of_its_own(pages: Pages) -> None:
    drawings = set()
    for level in LEVELS:
        panel = pages.render("console/_panel.html", view=samples.panel(level=level, level_word=WORDS[level]))
        assert level_class(level) in panel
        assert WORDS[level] in visible(panel)
        drawing = re.search(r"<svg class=\"glyph.*?</svg>", panel, re.DOTALL)
        assert drawing
        drawings.add(re.sub(r'class="[^"]*"', "", drawing.group()))
    assert len(drawings) == len(LEVELS)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_renders_everywhere(pages: Pages, level: int) -> None:
    danger = max(level, 0)
    view = samples.console(
        incident=samples.incident(judged_level=danger, public_level=danger, known=level >= 0),
        kpis=tuple(dataclasses.replace(k, level=level) for k in samples.KPIS),
        alarms=(samples.alarm(level=max(level, -1)),),
        pins=tuple(dataclasses.replace(p, level=level) for p in samples.PINS),
        panel=samples.panel(level=level, data=None if level == -2 else samples.moment()),
        delivery=samples.delivery(level=danger),
    )
    page = pages.render("console/overview.html", view=view)
    assert f"kpi {level_class(level)}" in page


def test_an_acknowledged_row_is_hollow_and_offers_nothing(pages: Pages) -> None:
    waiting = pages.render("console/_alarms.html", view=samples.console(alarms=(samples.alarm(),)))
    seen = samples.alarm(state="acknowledged", acknowledged_by="officer1", acknowledged_at="13:52")
    done = pages.render("console/_alarms.html", view=samples.console(alarms=(seen,)))
    assert "hollow" not in waiting
    assert "tinted" in waiting
    assert "hx-post" in waiting
    assert "hollow" in done
    assert "tinted" not in done
    assert "hx-post" not in done
    assert "officer1 13:52" in visible(done)


def test_a_return_to_normal_still_waits_for_somebody(pages: Pages) -> None:
    page = pages.render(
        "console/_alarms.html", view=samples.console(alarms=(samples.alarm(level=0, state="returned"),))
    )
    assert "กลับสู่ปกติ" in page
    assert "hx-post" in page


def test_a_notice_is_acknowledged_under_its_own_address(pages: Pages) -> None:
    page = pages.render(
        "console/_alarms.html",
        view=samples.console(alarms=(samples.alarm(id="7", is_notice=True, level=-1),)),
    )
    assert 'hx-post="/api/v1/notices/7/acknowledge"' in page
    assert "hx-vals" not in page


def test_an_episode_is_acknowledged_at_the_version_that_was_seen(pages: Pages) -> None:
    page = html.unescape(pages.render("console/_alarms.html", view=samples.console(alarms=(samples.alarm(version=9),))))
    assert 'hx-post="/api/v1/episodes/flood.33160802.20261122T0731Z/acknowledge"' in page
    assert 'hx-vals="{"version":9}"' in page


# --- the incident bar ----------------------------------------------------------------------------------------------


def incident_bar(pages: Pages, **changes: Any) -> str:
    return html.unescape(
        pages.render("console/_incident.html", view=samples.console(incident=samples.incident(**changes)))
    )


def test_judged_and_public_level_stand_side_by_side(pages: Pages) -> None:
    bar = visible(incident_bar(pages, judged_word="วิกฤต", public_word="เฝ้าระวัง"))
    assert "ระบบประเมินวิกฤต" in bar.replace(" ", "")
    assert "ประกาศต่อประชาชนเฝ้าระวัง" in bar.replace(" ", "").replace("1", "")


@pytest.mark.parametrize(
    ("action", "level", "step", "words"),
    [
        ("release", 1, "do", "ประกาศ เฝ้าระวัง"),
        ("release", 2, "ask", "ขอประกาศ เตือนภัย (ต้องสองคน)"),
        ("release", 3, "confirm", "ยืนยันประกาศ วิกฤต"),
        ("lower", 1, "do", "ลดเป็น เฝ้าระวัง"),
        ("lower", 0, "do", "ยุติประกาศ"),
        ("lower", 0, "ask", "ขอยุติประกาศ (ต้องสองคน)"),
        ("lower", 0, "confirm", "ยืนยันยุติประกาศ"),
        ("lower", 2, "confirm", "ยืนยันลดเป็น เตือนภัย"),
    ],
)
def test_a_button_says_what_it_does_and_how_many_it_takes(
    pages: Pages, action: str, level: int, step: str, words: str
) -> None:
    decision = samples.decision(requested_by="officer2", choices=(samples.choice(action, level, step),))
    bar = incident_bar(pages, decision=decision)
    row = html.unescape(
        pages.render("console/_alarms.html", view=samples.console(alarms=(samples.alarm(decision=decision),)))
    )
    for page in (bar, row):
        (button,) = [b for b in re.findall(r"<button.*?</button>", page, re.DOTALL) if "data-acknowledge" not in b][-1:]
        assert visible(button) == words
        assert f'hx-post="/api/v1/episodes/{decision.episode}/{action}"' in button
        assert f'hx-vals="{{"version":4,"level":{level}}}"' in button
        assert decision.place in button


@pytest.mark.parametrize(("level", "words"), [(0, "officer2 ขอยุติประกาศ"), (1, "officer2 ขอลดเป็น เฝ้าระวัง")])
def test_what_waits_for_a_second_person_names_who_asked(pages: Pages, level: int, words: str) -> None:
    decision = samples.decision(requested_by="officer2", choices=(samples.choice("lower", level, "confirm"),))
    assert f"{words} · รอผู้ยืนยันอีกคน" in visible(incident_bar(pages, decision=decision))
    assert "รอผู้ยืนยัน" not in incident_bar(pages)


def test_no_open_story_is_not_called_normal(pages: Pages) -> None:
    bar = visible(pages.render("console/_incident.html", view=samples.console(incident=None)))
    assert "ไม่มีเหตุที่เปิดอยู่" in bar
    assert "ปกติ" not in bar


def test_an_unknown_story_is_never_shown_as_known(pages: Pages) -> None:
    assert "ไม่มีข้อมูลล่าสุด" in incident_bar(pages, known=False)
    assert "ไม่มีข้อมูลมา 25 นาที" in incident_bar(pages, known=False, unknown_for="25 นาที")


@pytest.mark.parametrize(
    "changes", [{"pins": ()}, {"world": samples.world(judging=False)}, {"pins": (samples.PINS[-1],)}]
)
def test_without_knowledge_no_open_story_is_not_called_calm(pages: Pages, changes: dict[str, Any]) -> None:
    view = samples.console(incident=None, **changes)
    assert "ไม่ทราบสถานการณ์" in visible(pages.render("console/_incident.html", view=view))


def test_a_held_level_says_why(pages: Pages) -> None:
    why = "ลดแล้ว รอครบเวลา 30 นาที (อีก 12 นาที)"
    view = samples.console(incident=samples.incident(held=why), alarms=(samples.alarm(held=why),))
    for template in ("console/_incident.html", "console/_alarms.html"):
        assert why in visible(pages.render(template, view=view))
    assert why in visible(pages.render("console/_panel.html", view=samples.panel(held=why)))


# --- the hydrograph --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["console/_panel.html", "console/_station.html", "public/station.html"])
def test_a_hydrograph_is_complete_without_scripts(pages: Pages, template: str) -> None:
    page = render(pages, template, TEMPLATES[template]())
    chart = samples.chart()
    assert page.count("<polyline") >= len(chart.runs)
    assert page.count('class="chart-gap-hatch"') == 1
    assert page.count("chart-doubted") == 1
    for words in (chart.summary, "ตลิ่ง · วิกฤต 5.00", "22 พ.ย. 2569", "ตอนนี้", chart.bars_name):
        assert words in html.unescape(re.sub(r"</?span[^>]*>", "", page))
    assert "<table>" in page


def test_a_station_hides_old_values_from_residents_but_not_its_past(pages: Pages) -> None:
    page = visible(render(pages, "public/station.html", samples.station(staleness="hidden")))
    assert "ข้อมูลเก่า จึงไม่แสดงค่า" in page
    assert "ค่าล่าสุด Latest readings" not in page


def test_a_threshold_says_where_it_comes_from_and_that_nobody_measured_the_bank(pages: Pages) -> None:
    page = visible(render(pages, "console/station.html", samples.station()))
    for words in ("4.50 ม.", "85% ของตลิ่ง", "ค่าเริ่มต้น ยังไม่ได้รังวัด", "half way between", "22 พ.ย. 2569"):
        assert words in page
    public = visible(render(pages, "public/station.html", samples.station()))
    assert "ค่าเริ่มต้น ยังไม่ได้รังวัด" in public


def test_every_region_of_the_list_is_in_its_page(pages: Pages) -> None:
    listed = tomllib.loads((WEB / "regions.toml").read_text(encoding="utf-8"))
    drill = samples.world(kind="exercise")
    shown = {
        "console": ("console/overview.html", samples.console(world=drill)),
        "station": ("console/station.html", samples.station(world=drill)),
        "stations": ("console/stations.html", samples.stations(world=drill)),
        "public": ("public/index.html", samples.public(world=drill)),
        "public_station": ("public/station.html", samples.station(world=drill)),
        "wall": ("wall.html", samples.wall(world=drill)),
        "preview": ("preview/phone.html", samples.phone(world=drill)),
    }
    assert listed.keys() == shown.keys()
    for name, (template, view) in shown.items():
        found = re.findall(r'data-region="([\w-]+)"', render(pages, template, view))
        inside = [region for regions in listed[name].get("inside", {}).values() for region in regions]
        assert {*listed[name]["order"], *inside} == set(found), name


# --- banners ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "console/_top.html",
        "console/station.html",
        "public/_main.html",
        "public/station.html",
        "wall.html",
        "preview/_messages.html",
        "signin.html",
    ],
)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "exercise"}, "ซ้อมแผน — ไม่ใช่เหตุจริง"),
        ({"kind": "test"}, "ทดสอบระบบ — ไม่ใช่เหตุจริง"),
        ({"judging": False}, "ระบบตัดสินหยุดทำงาน"),
    ],
)
def test_every_page_says_what_world_it_is_and_whether_the_machine_sees(
    pages: Pages, template: str, changes: dict[str, Any], words: str
) -> None:
    view = TEMPLATES[template]()
    assert words not in render(pages, template, view)
    changed = dataclasses.replace(view, world=samples.world(**changes))
    assert words in render(pages, template, changed)


@pytest.mark.parametrize(
    "template",
    ["console/_top.html", "public/_main.html", "public/station.html", "_wall_top.html", "preview/_messages.html"],
)
def test_a_fast_clock_is_marked(pages: Pages, template: str) -> None:
    view = dataclasses.replace(TEMPLATES[template](), world=samples.world(speed=120.0))
    assert "จำลอง ×120" in render(pages, template, view)
    calm = dataclasses.replace(view, world=samples.world())
    assert "จำลอง" not in render(pages, template, calm)


# --- empty and full ----------------------------------------------------------------------------------------------


def test_an_empty_console_renders(pages: Pages) -> None:
    view = samples.console(incident=None, kpis=(), delivery=None, alarms=(), unacknowledged=0, pins=(), panel=None)
    page = visible(pages.render("console/overview.html", view=view))
    assert "ไม่มีรายการแจ้งเตือน" in page
    assert "เลือกสถานี" in page


def test_nothing_delivered_is_no_division_by_zero(pages: Pages) -> None:
    empty = samples.delivery(total=0, accepted=0, sending=0, failed=0, by_channel=())
    assert "0 จาก 0" in visible(pages.render("console/_kpi.html", view=samples.console(delivery=empty)))


def test_a_station_without_bank_or_thresholds_shows_none(pages: Pages) -> None:
    bare = samples.panel(
        quantity="pm2_5_ug_m3",
        bank_gap="",
        percent="",
        trend_text="",
        thresholds=(),
        facts=(),
        chart=samples.chart(lines=(), zones=(), bars=(), bar_ticks=(), bars_name=""),
    )
    page = pages.render("console/_panel.html", view=bare)
    assert "ตลิ่ง" not in visible(page)
    assert "chart-line" not in page
    assert "chart-bar" not in page


def test_long_names_are_kept_whole(pages: Pages) -> None:
    view = samples.console(alarms=(samples.alarm(place=LONG, what=LONG),), panel=samples.panel(name=LONG))
    assert visible(pages.render("console/overview.html", view=view)).count(LONG) == 3


# --- the public page --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [-2, 0, 1, 2, 3])
def test_the_public_page_says_level_place_action_and_time(pages: Pages, level: int) -> None:
    view = samples.public(level)
    page = visible(pages.render("public/index.html", view=view))
    for words in (view.headline, view.where, view.sentence, view.do_now[0][1], "ข้อมูลเมื่อ 14:35 น.", "1669"):
        assert words in page


@pytest.mark.parametrize("staleness", ["hidden", "none"])
def test_old_values_are_withheld_from_the_public(pages: Pages, staleness: str) -> None:
    page = visible(pages.render("public/index.html", view=samples.public(staleness=staleness)))
    assert "96.5" not in page
    assert "42 เซนติเมตร" not in page
    assert "ข้อมูลเก่า จึงไม่แสดงค่า" in page


def test_aging_data_carries_a_note_and_fresh_data_none(pages: Pages) -> None:
    assert "ข้อมูลเก่ากว่า 30 นาที" in pages.render("public/_main.html", view=samples.public(staleness="old"))
    assert "ข้อมูลเก่า" not in pages.render("public/_main.html", view=samples.public())


def test_the_public_page_reloads_itself_without_scripts(pages: Pages) -> None:
    page = pages.render("public/index.html", view=samples.public())
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in page
    assert '<form class="pub-card pub-village" data-region="village" method="get"' in page


def test_the_english_page_is_english(pages: Pages) -> None:
    moment = dataclasses.replace(samples.moment(), date="Sunday 22 Nov 2026", ago="2 minutes ago")
    english = samples.public(
        level_word="Warning",
        headline="Flood warning",
        where="Villages 1, 3, 7",
        sentence="Homes may flood",
        detail="",
        do_now=(("package", "Lift belongings", ""),),
        villages=(),
        rivers=(samples.river(name="Bridge", headline="42 cm below the bank", trend_text="rising", data=moment),),
        readings=(),
        data=moment,
        language="en",
    )
    page = pages.render("public/index.html", view=english)
    assert '<html lang="en">' in page
    thai = re.findall(r"[\u0e00-\u0e7f]+", visible(page))
    assert thai == ["ไทย"]  # the way back


def test_choices_survive_each_other(pages: Pages) -> None:
    chosen = dataclasses.replace(samples.public().villages[0], chosen=True)
    view = samples.public(villages=(chosen,), large_text=True)
    page = html.unescape(pages.render("public/_main.html", view=view))
    assert 'href="?v=33160801&lang=en&text=large&"' in page
    assert 'href="?v=33160801&"' in page  # letters back to normal
    assert '<input type="hidden" name="text" value="large">' in page
    assert 'data-stream="/api/v1/stream?v=33160801&text=large&page=public"' in page


@pytest.mark.parametrize(
    ("gap", "fill", "words"), [(42, 0.72, "เหลือ 42 ซม."), (-18, 1.18, "ท่วม 18 ซม."), (None, 0.0, "ไม่มีข้อมูล")]
)
def test_the_river_picture_says_how_far_to_the_bank(pages: Pages, gap: int | None, fill: float, words: str) -> None:
    page = pages.render("public/_main.html", view=samples.public(rivers=(samples.river(gap_cm=gap, fill=fill),)))
    assert words in visible(page)
    water = re.search(r'class="r-water" y="([\d.]+)"', page)
    assert (water is None) == (gap is None)
    if water and gap is not None:
        assert (float(water.group(1)) < 82) == (gap < 0)


# --- Pages itself ------------------------------------------------------------------------------------------------


def test_a_static_address_changes_with_the_content(pages: Pages) -> None:
    address = pages.static("css/tokens.css")
    assert re.fullmatch(r"/static/css/tokens\.css\?v=[0-9a-f]{12}", address)
    with pytest.raises(FileNotFoundError):
        pages.static("css/none.css")


def test_an_unknown_icon_never_takes_a_page_down(pages: Pages) -> None:
    assert pages.icon("no-such-icon") == pages.icon("info")
    assert pages.icon("water") != pages.icon("info")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ต่ำกว่าตลิ่ง 0.42 ม. แล้ว", "0.42 ม."),
        ("ขึ้น 11 ซม./ชม.", "11 ซม./ชม."),
        ("หมู่ 1, 3, 7 · ริมห้วย", "หมู่ 1, 3, 7"),
        ("ราว 17:45 น. วันนี้", "17:45 น."),
        ("ถึงแล้ว · เกณฑ์ 4.50 ม.", "เกณฑ์ 4.50 ม."),
        ("ฝน 24 ชม. ล่าสุด (RF-01)", "(RF-01)"),
        ("ใกล้สะพานบ้านโพนยางมาก", "สะพานบ้านโพนยาง"),
        ("โทร 1784 ทันที", "1784"),
    ],
)
def test_amounts_and_names_are_not_broken_over_lines(pages: Pages, text: str, kept: str) -> None:
    assert f'<span class="nb">{kept}</span>' in pages.keep_together(text)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.text(alphabet="กขบ้านโพนยางห้วยสำราญม.น0123456789 .,:<>&\"'–", max_size=40))
def test_keeping_together_changes_no_letter(text: str) -> None:
    marked = Pages(no_break=["บ้านโพนยาง", "ห้วย"]).keep_together(text)
    assert html.unescape(re.sub(r"</?span[^>]*>", "", marked)) == text
