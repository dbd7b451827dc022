"""What residents are told: what was released, what is known, and nothing else."""

from dataclasses import replace

import msgspec
import pytest

from alerts.episode import Kind
from api.screens.public import Reader, public
from api.screens.stations import observe
from api.texts import PHRASES, PUBLIC
from api.views.public import PublicView
from sensors.flags import Flag
from tests.api.browser import Browser
from tests.api.world import HOUR_US, MINUTE_US, World, sample

SAMRAN = "331608-samran"
PHONYANG = "331608-phonyang"


def page(world: World, **reader: object) -> PublicView:
    facts = world.facts()
    return public(facts, observe(facts), Reader(**reader))  # type: ignore[arg-type]


def calm(world: World) -> None:
    world.all_speak()
    world.known(SAMRAN)
    world.known(PHONYANG)


def test_a_system_that_never_heard_anything_says_no_data(world: World) -> None:
    view = page(world)
    assert (view.level, view.headline, view.staleness, view.data) == (-2, "ไม่มีข้อมูล", "none", None)
    assert all(river.gap_cm is None for river in view.rivers)


def test_a_calm_day_says_there_is_no_warning(world: World) -> None:
    calm(world)
    view = page(world)
    assert (view.level, view.headline, view.sentence, view.calm) == (0, "ปกติ", "ไม่มีประกาศเตือนภัย", True)
    assert (view.detail, view.where, view.staleness) == ("น้ำต่ำกว่าตลิ่งทุกสถานี", "ตำบลโพนยาง ทุกหมู่บ้าน", "fresh")


def test_unknown_is_never_shown_as_normal(world: World) -> None:
    world.all_speak()
    world.known(SAMRAN, known=False)
    world.known(PHONYANG, known=False)
    assert page(world).level == -2


def test_a_worker_that_stopped_makes_a_calm_page_unknown(world: World) -> None:
    calm(world)
    world.blind()
    view = page(world)
    assert view.level == -2
    assert not view.world.judging


def test_knowledge_that_rests_on_old_readings_is_none(world: World) -> None:
    calm(world)
    world.now_us += 2 * HOUR_US + MINUTE_US
    assert page(world).level == -2


def test_normal_is_for_what_is_known_and_the_rest_is_named(world: World) -> None:
    calm(world)
    world.known(PHONYANG, known=False)
    view = page(world)
    assert (view.level, view.calm, view.headline) == (-2, False, "ข้อมูลไม่ครบ")
    assert view.sentence == "ไม่มีประกาศเตือนภัย · ทราบว่าปกติเฉพาะ ริมห้วยสำราญ"
    assert view.detail == "ไม่มีข้อมูล: ริมห้วยโพนยาง · ไม่มีข้อมูลไม่ได้แปลว่าปลอดภัย"
    assert page(world, language="en").headline == "Incomplete data"
    assert page(world, village="33160801").calm


def test_one_gauge_of_three_does_not_make_a_reach_normal(world: World) -> None:
    world.put("WL-02/stage_m", [1.8] * 5)
    world.put("WL-04/stage_m", [1.1] * 5)
    world.known(SAMRAN)
    world.known(PHONYANG)
    view = page(world)
    assert (view.level, view.headline) == (-2, "ข้อมูลไม่ครบ")
    world.known(PHONYANG, known=False)
    assert page(world).sentence == "ไม่มีประกาศเตือนภัย · เห็นระดับน้ำเฉพาะที่ ฝายห้วยสำราญ, บ้านดอนกลาง"
    world.known(PHONYANG)
    world.put("WL-01/stage_m", [2.0] * 5)
    assert page(world).headline == "ปกติ"


def test_a_silent_station_is_no_flood_status(world: World) -> None:
    world.known("WL-01", hazard="station")
    world.known(SAMRAN, hazard="station")
    assert page(world).level == -2


def test_what_the_machine_thinks_is_not_the_warning(world: World) -> None:
    calm(world)
    world.judge(SAMRAN, 3)
    view = page(world)
    assert (view.level, view.calm) == (0, False)
    assert "ปกติ" not in (view.headline, view.level_word)
    assert view.sentence == PHRASES["th"].raised


def test_water_above_a_line_is_not_called_normal(world: World) -> None:
    calm(world)
    world.put("WL-01/stage_m", [3.3], ago_us=-MINUTE_US)
    assert page(world).headline == "ไม่มีประกาศเตือนภัย"


@pytest.mark.parametrize(("level", "headline"), [(1, "เฝ้าระวังน้ำท่วม"), (2, "เตือนภัยน้ำท่วม"), (3, "อพยพทันที")])
def test_a_released_level_is_the_warning(world: World, level: int, headline: str) -> None:
    calm(world)
    world.judge(SAMRAN, level)
    world.publish(SAMRAN, level)
    view = page(world)
    assert (view.level, view.headline, view.where) == (level, headline, "หมู่ 1, 3, 7 · ริมห้วยสำราญ")


def test_a_river_without_banks_gives_its_stage(world: World) -> None:
    calm(world)
    facts = world.facts()
    bare = [replace(o, station=msgspec.structs.replace(o.station, banks=None)) for o in observe(facts)]
    view = public(facts, bare, Reader())
    assert [(r.has_bank, r.gap_cm) for r in view.rivers] == [(False, None)] * 4
    assert {r.headline for r in view.rivers} == {
        "ระดับน้ำ 1.10 เมตร",
        "ระดับน้ำ 1.80 เมตร",
        "ระดับน้ำ 1.90 เมตร",
        "ระดับน้ำ 2.00 เมตร",
    }
    assert view.detail != PHRASES["th"].below


def test_a_warning_stands_while_nothing_is_known(world: World) -> None:
    calm(world)
    world.judge(SAMRAN, 2)
    world.publish(SAMRAN, 2)
    world.known(SAMRAN, known=False)
    world.blind()
    world.now_us += 5 * HOUR_US
    view = page(world)
    assert (view.level, view.staleness, view.detail) == (2, "hidden", PHRASES["th"].stands)


def test_a_village_is_told_what_concerns_it(world: World) -> None:
    calm(world)
    world.judge(SAMRAN, 2)
    world.publish(SAMRAN, 2)
    assert page(world, village="33160801").level == 2
    assert page(world, village="33160805").level == 0
    levels = {v.code: v.level for v in page(world).villages}
    assert (levels["33160807"], levels["33160805"]) == (2, 0)


def test_a_village_is_told_the_warning_of_its_sub_district(world: World) -> None:
    calm(world)
    world.judge("331608", 1)
    world.publish("331608", 1)
    view = page(world, village="33160805")
    assert (view.level, view.where) == (1, "หมู่ 5 บ้านดอนกลาง")
    assert page(world).where == "ตำบลโพนยาง ทุกหมู่บ้าน"


def test_a_village_without_a_gauge_is_not_called_normal(world: World) -> None:
    calm(world)
    view = page(world, village="33160802")
    assert (view.level, view.sentence) == (-2, "ไม่มีสถานีวัดระดับน้ำสำหรับหมู่บ้านนี้")
    assert [r.name for r in view.rivers] == []


@pytest.mark.parametrize(
    ("age_min", "staleness"), [(0, "fresh"), (30, "fresh"), (31, "old"), (120, "old"), (121, "hidden")]
)
def test_data_grow_old_in_public(world: World, age_min: int, staleness: str) -> None:
    calm(world)
    world.now_us += age_min * MINUTE_US
    view = page(world)
    assert view.staleness == staleness
    river = view.rivers[0]
    assert (river.gap_cm is None) == (staleness == "hidden")
    assert view.data is not None
    assert view.data.clock == "14:35"


def test_dust_that_still_arrives_does_not_freshen_an_old_river(world: World) -> None:
    calm(world)
    world.now_us += 3 * HOUR_US
    world.put("AQ-01/pm2_5_ug_m3", [20.0])
    assert page(world).staleness == "hidden"


def test_the_river_says_how_far_the_bank_is(world: World) -> None:
    world.put("WL-01/stage_m", [3.98 + 0.11 / 30 * i for i in range(-30, 1)])
    world.put("WL-02/stage_m", [4.18])
    rivers = {r.name: r for r in page(world).rivers}
    near, over = rivers["สะพานบ้านโพนยาง"], rivers["ฝายห้วยสำราญ"]
    assert (near.gap_cm, near.headline) == (52, "ต่ำกว่าตลิ่ง 52 เซนติเมตร")
    assert (near.trend, near.trend_text) == ("up", "น้ำกำลังขึ้น ชั่วโมงละ 11 ซม.")
    assert (over.gap_cm, over.headline) == (-18, "ท่วมเหนือตลิ่ง 18 เซนติเมตร")
    assert over.fill == pytest.approx(1.045)


def test_the_river_nearest_its_bank_comes_first(world: World) -> None:
    world.put("WL-01/stage_m", [2.0])
    world.put("WL-02/stage_m", [4.18])
    assert [r.gap_cm for r in page(world).rivers] == [-18, 250, None, None]


def test_a_doubted_reading_is_not_shown_to_residents(world: World) -> None:
    world.put("WL-01/stage_m", [2.0], ago_us=4 * MINUTE_US)
    world.put("WL-01/stage_m", [6.9], flag=Flag.SUSPECT)
    river = next(r for r in page(world).rivers if r.name == "สะพานบ้านโพนยาง")
    assert river.gap_cm == 250


def test_rain_is_named_only_when_the_day_is_whole(world: World) -> None:
    world.put("RF-01/rain_mm", [12.0], ago_us=MINUTE_US)
    rain = page(world).readings[0]
    assert (rain.value, rain.word) == ("12.0", "")
    world.put("RF-01/rain_mm", [80.0])
    assert page(world).readings[0].word == "ฝนหนักมาก"


def test_dust_of_one_reading_has_no_official_word(world: World) -> None:
    world.all_speak()
    dust = page(world).readings[1]
    assert (dust.value, dust.word, dust.tone) == ("18", "", "plain")


def test_every_text_exists_in_both_languages_with_icons_of_the_sprite() -> None:
    icons = sample()[3].icons
    for level in (-2, 0, 1, 2, 3):
        for language in ("th", "en"):
            text = PUBLIC[level, language]
            assert text.headline
            assert text.do_now
            assert {icon for icon, _, _ in text.do_now} <= icons


def test_english_is_english(world: World) -> None:
    calm(world)
    view = page(world, language="en")
    assert (view.headline, view.level_word, view.where) == ("Normal", "Normal", "Phon Yang all villages")


@pytest.mark.parametrize("kind", list(Kind))
def test_only_the_real_world_carries_no_drill_mark(world: World, kind: Kind) -> None:
    world.kind = kind
    with world.client() as client:
        marked = "ไม่ใช่เหตุจริง" in client.get("/").text
    assert marked == (kind is not Kind.ACTUAL)


def test_an_exercise_is_not_shown_in_the_real_world(world: World) -> None:
    calm(world)
    world.judge(SAMRAN, 3)
    world.publish(SAMRAN, 3)
    world.kind = Kind.ACTUAL
    view = page(world)
    assert (view.level, view.world.kind) == (-2, "actual")


def test_a_chosen_village_is_remembered(world: World, client: Browser) -> None:
    calm(world)
    assert "selected>หมู่ 7" not in client.get("/").text
    client.get("/?v=33160807")
    assert "selected>หมู่ 7" in client.get("/").text
    client.get("/?v=")
    assert "selected>หมู่ 7" not in client.get("/").text


@pytest.mark.parametrize(
    "query",
    ["v=<script>", "v=../../etc", "v=%00", "lang=%F0%9F", "v=331608&text=' or 1=1", "v=" + "9" * 5000],
)
def test_hostile_choices_are_the_default_page(client: Browser, query: str) -> None:
    answer = client.get(f"/?{query}")
    assert answer.status_code == 200
    assert "<script>" not in answer.text.replace('<script type="module"', "")


def test_a_warning_whose_area_was_configured_away_is_still_shown_to_all(world: World) -> None:
    calm(world)
    world.judge("gone", 3)
    world.publish("gone", 3)
    assert page(world).level == 3
    assert "gone" in page(world).where
    assert page(world, village="33160804").level == 3


def test_water_over_the_bank_is_the_headline_although_nothing_is_announced(world: World) -> None:
    world.put("WL-01/stage_m", [4.92])
    view = page(world)
    assert (view.level, view.calm, view.observed, view.headline) == (0, False, True, "น้ำสูงกว่าตลิ่ง 42 ซม.")
    assert view.sentence == "ที่ สะพานบ้านโพนยาง · ยังไม่มีประกาศ ติดตามใกล้ชิด"
    english = page(world, language="en")
    assert (english.headline, "Ban Phon Yang bridge" in english.sentence) == ("Water 42 cm over the bank", True)


def test_a_warning_whose_time_has_passed_stands_and_says_so(world: World) -> None:
    calm(world)
    story = world.judge(SAMRAN, 2)
    world.publish(SAMRAN, 2)
    for until_us, said in ((world.now_us + MINUTE_US, False), (world.now_us - 52 * MINUTE_US, True)):
        facts = replace(world.facts(), valid_until_us={story.id: until_us})
        view = public(facts, observe(facts), Reader())
        assert view.level == 2
        assert ("ยังไม่ได้ต่ออายุ · ที่ทราบล่าสุดมีผลถึง 13:43 น." in view.detail) == said


def test_the_whole_place_can_be_chosen_again(world: World, client: Browser) -> None:
    calm(world)
    chosen = client.get("/?v=33160807").text
    assert '<option value="">ทุกหมู่บ้าน</option>' in chosen
    assert "selected>หมู่ 7" in chosen
