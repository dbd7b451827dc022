"""What officers see."""

from dataclasses import replace

import msgspec

from alerts.episode import Episode, Used
from alerts.ledger import DeliveryState
from alerts.people import Actor, Address, Role
from api.screens.console import alarms, console, delivery, incident, kpis, unacknowledged, user
from api.screens.decisions import decision
from api.screens.stations import observe
from api.screens.timeline import timeline
from api.screens.wall import wall
from api.views.console import Choice, ConsoleView
from tests.api.world import MINUTE_US, World, sample

SAMRAN, PHONYANG = "331608-samran", "331608-phonyang"
OFFICER = Actor(account="first", role=Role.OFFICER)


def overview(world: World) -> ConsoleView:
    facts = world.facts()
    return console(facts, observe(facts), viewer=user(OFFICER, "token"))


def grounds(world: World, value: float = 4.68) -> Used:
    return Used(
        rule="flood.critical",
        rule_version="1",
        series="WL-01/stage_m",
        time_us=world.now_us,
        value=value,
        flag=1,
        seq=7,
        threshold=4.5,
        truth=True,
    )


def test_a_quiet_console_has_no_incident_and_no_delivery_card(world: World) -> None:
    world.all_speak()
    view = overview(world)
    assert view.incident is None
    assert view.delivery is None
    assert view.alarms == ()
    assert [k.key for k in view.kpis] == ["water", "rain", "dust", "stations"]


def test_the_incident_shows_both_levels_and_what_may_be_asked(world: World) -> None:
    world.judge(SAMRAN, 2)
    bar = incident(world.facts())
    assert bar is not None
    assert (bar.judged_level, bar.public_level, bar.public_word) == (2, 0, "ยังไม่มีประกาศ")
    assert bar.decision.choices == (Choice(action="release", level=2, step="ask"),)
    assert bar.title == "น้ำท่วม · ริมห้วยสำราญ"
    world.publish(SAMRAN, 2)
    world.judge(SAMRAN, 3)
    bar = incident(world.facts())
    assert bar is not None
    # What two have released, one may step up; against the evidence it goes down one step at a time.
    assert bar.decision.choices == (
        Choice(action="release", level=3, step="do"),
        Choice(action="lower", level=1, step="ask"),
    )


def test_a_request_names_who_asked(world: World) -> None:
    story = world.judge(SAMRAN, 2)
    world.account("first", Role.OFFICER)
    world.deps.desk.release(story.id, version=story.version, level=2, actor=OFFICER)
    bar = incident(world.facts())
    assert bar is not None
    assert bar.decision.requested_by == "first"
    assert bar.decision.choices == (Choice(action="release", level=2, step="confirm"),)


def test_ending_a_critical_warning_waits_for_a_second_person_and_may_be_overtaken(world: World) -> None:
    world.judge(SAMRAN, 3)
    world.publish(SAMRAN, 3)
    story = world.judge(SAMRAN, 0)
    bar = incident(world.facts())
    assert bar is not None
    assert bar.decision.choices == (Choice(action="lower", level=0, step="ask"),)
    asked = world.deps.desk.lower(story.id, version=story.version, level=0, actor=OFFICER)
    assert isinstance(asked, Episode)
    bar = incident(world.facts())
    assert bar is not None
    assert (bar.decision.requested_by, bar.public_level) == ("first", 3)
    assert bar.decision.choices == (Choice(action="lower", level=0, step="confirm"),)


def test_one_person_takes_down_what_the_evidence_no_longer_carries(world: World) -> None:
    story = replace(world.judge(SAMRAN, 2), public_level=2, judged_level=0)
    assert decision(world.facts(), story, "here").choices == (Choice(action="lower", level=0, step="do"),)
    blind = replace(story, known=False)
    assert decision(world.facts(), blind, "here").choices == (Choice(action="lower", level=0, step="ask"),)


def test_a_rise_can_be_announced_while_an_end_waits(world: World) -> None:
    story = replace(world.judge(SAMRAN, 3), public_level=2, requested_by="first", requested_level=0)
    assert decision(world.facts(), story, "here").choices == (
        Choice(action="release", level=3, step="do"),
        Choice(action="lower", level=0, step="confirm"),
    )


def test_every_row_decides_its_own_story(world: World) -> None:
    world.judge(SAMRAN, 3)
    world.judge(PHONYANG, 1)
    world.judge("WL-03", 1, hazard="station")
    rows = {row.place: row.decision for row in alarms(world.facts())}
    first, second = rows["ริมห้วยสำราญ"], rows["ริมห้วยโพนยาง"]
    assert first is not None
    assert second is not None
    assert first.choices == (Choice(action="release", level=3, step="ask"),)
    assert second.choices == (Choice(action="release", level=1, step="do"),)
    assert (second.episode, second.place) == (world.stories[PHONYANG].id, "ริมห้วยโพนยาง")
    assert rows["WL-03 บ้านทุ่งสว่าง"] is None


def test_the_worst_story_is_the_incident_and_silence_is_none(world: World) -> None:
    world.judge(PHONYANG, 1)
    world.judge("WL-03", 1, hazard="station")
    world.judge(SAMRAN, 3)
    bar = incident(world.facts())
    assert bar is not None
    assert (bar.judged_level, bar.others) == (3, 1)


def test_alarms_come_unacknowledged_first_then_level_then_newest(world: World) -> None:
    seen = world.judge(SAMRAN, 3)
    world.account("first", Role.OFFICER)
    world.deps.desk.acknowledge(seen.id, version=seen.version, actor=OFFICER)
    world.judge(PHONYANG, 1)
    world.now_us += MINUTE_US
    world.judge("331608", 1)
    world.judge("WL-03", 1, hazard="station")
    world.notice()
    rows = alarms(world.facts())
    assert [(r.place, r.level) for r in rows[:2]] == [("ตำบลโพนยาง", 1), ("ริมห้วยโพนยาง", 1)]
    assert {r.level for r in rows[2:4]} == {-1}
    assert (rows[4].level, rows[4].state, rows[4].acknowledged_by) == (3, "acknowledged", "first")
    assert unacknowledged(rows) == 4


def test_an_alarm_says_by_what_it_rose(world: World) -> None:
    world.judge(SAMRAN, 3, used=[grounds(world)])
    row = alarms(world.facts())[0]
    assert row.what == "สะพานบ้านโพนยาง: สูงกว่าตลิ่ง 0.18 ม. เมื่อ 14:35 น. · เกณฑ์ 4.50 ม."
    assert row.station == "WL-01"
    bar = incident(world.facts())
    assert bar is not None
    assert bar.station == "WL-01", "shown until somebody picks another"


def test_an_alarm_that_eases_says_below_what_it_fell(world: World) -> None:
    world.judge(SAMRAN, 3, used=[grounds(world)])
    world.judge(SAMRAN, 2, used=[replace(grounds(world, 4.2), truth=False, threshold=4.27)])
    assert alarms(world.facts())[0].what == "สะพานบ้านโพนยาง: ลดลงต่ำกว่า 4.27 ม. เมื่อ 14:35 น."


def test_back_to_normal_but_unseen_is_returned(world: World) -> None:
    world.judge(SAMRAN, 2)
    world.publish(SAMRAN, 2)
    world.judge(SAMRAN, 1)
    world.judge(SAMRAN, 0)
    row = alarms(world.facts())[0]
    assert (row.state, row.level, row.public_word) == ("returned", 0, "เตือนภัย")


def test_a_closed_story_that_was_seen_is_not_listed(world: World) -> None:
    story = world.judge(SAMRAN, 1)
    world.account("first", Role.OFFICER)
    seen = world.deps.desk.acknowledge(story.id, version=story.version, actor=OFFICER)
    assert isinstance(seen, Episode)
    world.stories[SAMRAN] = seen
    world.judge(SAMRAN, 0)
    (story,) = world.ledger.episodes(world.kind)
    assert story.closed_us is not None
    assert alarms(replace(world.facts(), ended=(story,))) == ()


def test_repeats_of_a_notice_are_one_row_with_a_count(world: World) -> None:
    world.notice()
    world.now_us += MINUTE_US
    world.notice()
    (row,) = alarms(world.facts())
    assert (row.count, row.is_notice, row.level, row.station) == (2, True, -1, "WL-01")


def test_the_cards_name_the_highest_and_the_silent(world: World) -> None:
    world.all_speak()
    world.put("WL-02/stage_m", [4.18], ago_us=-1)
    world.now_us += 7 * MINUTE_US
    world.put("WL-02/stage_m", [4.18])
    world.put("RF-01/rain_mm", [96.5])
    world.put("AQ-02/pm2_5_ug_m3", [41.25])
    facts = world.facts()
    water, rain, dust, stations = kpis(facts, observe(facts))
    assert (water.value, water.level, water.tag) == ("+0.18", 3, "วิกฤต")
    assert (rain.value, rain.tag, rain.note) == ("96.5", "ฝนหนักมาก", "อบต.โพนยาง")
    assert (dust.value, dust.tag) == ("41.2", "")
    assert (stations.value, stations.unit, stations.level, stations.tag) == ("5", "/ 8 สถานี", -1, "ขัดข้อง")
    assert stations.note.startswith("WL-03 ขาดการติดต่อ 7 นาที")


def test_what_nobody_measures_has_no_card(world: World) -> None:
    world.all_speak()
    facts = world.facts()
    rivers = [o for o in observe(facts) if o.quantity == "stage_m"]
    assert [card.key for card in kpis(facts, rivers)] == ["water", "stations"]


def test_a_river_without_banks_shows_its_stage_and_level(world: World) -> None:
    world.put("WL-01/stage_m", [4.61])
    facts = world.facts()
    (river,) = [o for o in observe(facts) if o.station.id == "WL-01"]
    bare = replace(river, station=msgspec.structs.replace(river.station, banks=None))
    card = kpis(facts, [bare])[0]
    assert (card.label, card.value, card.unit, card.tag) == ("ระดับน้ำ (สูงสุด)", "4.61", "ม.", "วิกฤต")


def test_nothing_known_is_a_dash_and_not_a_zero(world: World) -> None:
    facts = world.facts()
    cards = kpis(facts, observe(facts))
    assert [c.value for c in cards] == ["–", "–", "–", "0"]
    assert [c.level for c in cards[:3]] == [-2, -2, -2]


def test_the_delivery_card_counts_the_open_story(world: World) -> None:
    world.ledger.put_addresses(
        [
            Address(
                id=f"a{i}",
                kind=world.kind,
                recipient=f"r{i}",
                area="33160801",
                channel="preview",
                target=f"08{i}5551234",
            )
            for i in range(3)
        ]
    )
    world.judge(SAMRAN, 2)
    world.publish(SAMRAN, 2)
    assert delivery(world.facts()) is None
    while world.ledger.expand(limit=100):
        pass
    card = delivery(world.facts())
    assert card is not None
    assert (card.total, card.accepted, card.sending, card.failed, card.level) == (3, 0, 3, 0, 2)
    assert card.by_channel == (("จอตัวอย่าง", 0),)


def test_the_panel_follows_the_most_pressing_alarm(world: World) -> None:
    world.all_speak()
    world.judge(SAMRAN, 3, used=[grounds(world)])
    view = overview(world)
    assert view.panel is not None
    assert view.panel.station == "WL-01"


def test_a_viewer_is_offered_no_button() -> None:
    view = user(Actor(account="v", role=Role.VIEWER), "token")
    assert (view.may_acknowledge, view.may_release) == (False, False)


def test_every_icon_is_in_the_sprite(world: World) -> None:
    world.judge(SAMRAN, 2)
    world.judge("WL-03", 1, hazard="station")
    for code in ("suspect_extreme", "late_extreme", "not_judged", "rule_failed", "not_listening"):
        world.notice(code=code)
    view = overview(world)
    used = {k.icon for k in view.kpis} | {row.icon for row in view.alarms} | {p.glyph for p in view.pins}
    assert used <= sample()[3].icons


def test_a_notice_about_a_story_names_its_place(world: World) -> None:
    story = world.judge("331608-samran", 2)
    world.notice(story.id, "nobody_reached")
    row = next(row for row in overview(world).alarms if row.is_notice)
    assert (row.place, row.icon) == ("ริมห้วยสำราญ", "send")


def test_a_warning_above_what_is_judged_dominates_the_bar_and_the_wall(world: World) -> None:
    world.judge(SAMRAN, 3)
    world.publish(SAMRAN, 3)
    world.judge(SAMRAN, 0)
    facts = world.facts()
    bar = incident(facts)
    assert bar is not None
    assert (bar.level, bar.word) == (3, "ประกาศอยู่: วิกฤต")
    screen = wall(facts, observe(facts), chart_of=lambda _: None, map_url="")
    assert (screen.level, screen.title) == (3, "ประกาศอยู่: วิกฤต · น้ำท่วม · ริมห้วยสำราญ")
    assert screen.detail.startswith("ระบบประเมิน: ปกติ")


def test_a_warning_that_was_not_renewed_is_said_in_the_bar_the_row_and_on_the_wall(world: World) -> None:
    story = world.judge(SAMRAN, 2)
    world.publish(SAMRAN, 2)
    facts = replace(world.facts(), valid_until_us={story.id: world.now_us - 52 * MINUTE_US})
    bar, row = incident(facts), alarms(facts)[0]
    assert bar is not None
    assert (bar.lapsed, row.lapsed) == ("13:43", "13:43")
    screen = wall(facts, observe(facts), chart_of=lambda _: None, map_url="")
    assert screen.detail.startswith("ยังไม่ได้ต่ออายุ มีผลถึง 13:43 น.")
    held = replace(facts, valid_until_us={story.id: world.now_us + MINUTE_US})
    assert [r.lapsed for r in alarms(held)] == [""]


def test_a_story_that_ended_unseen_is_listed_until_somebody_takes_note(world: World) -> None:
    world.judge(SAMRAN, 2)
    world.judge(SAMRAN, 0)
    story = world.ledger.episodes(world.kind)[0]
    assert story.closed_us is not None
    facts = replace(world.facts(), ended=(story,))
    (row,) = alarms(facts)
    assert (row.state, row.level, row.place, row.decision) == ("returned", 0, "ริมห้วยสำราญ", None)
    assert "เคยถึงเตือนภัย" in row.what
    world.account("first", Role.OFFICER)
    after = world.deps.desk.acknowledge(row.id, version=row.version, actor=OFFICER)
    assert isinstance(after, Episode)
    assert alarms(replace(facts, ended=(after,))) == ()
    assert alarms(replace(facts, ended=(story,), now_us=world.now_us + 25 * 60 * MINUTE_US)) == ()


def test_silence_is_as_old_on_the_row_as_on_the_pin(world: World) -> None:
    world.put("WL-01/stage_m", [2.0])
    world.now_us += 9 * MINUTE_US
    world.judge("WL-01", 1, hazard="station")
    world.judge("WL-03", 1, hazard="station")
    facts = world.facts()
    said = {row.station: row.what for row in alarms(facts)}
    assert said == {"WL-01": "ไม่มีข้อมูลมา 9 นาที", "WL-03": "ยังไม่เคยส่งข้อมูล"}
    assert next(p.text for p in overview(world).pins if p.station == "WL-01") == "9 นาที"


def test_the_phone_on_the_screen_is_not_counted_as_sent(world: World) -> None:
    world.judge(SAMRAN, 2)
    world.publish(SAMRAN, 2)
    counts = {("preview", DeliveryState.ACCEPTED): 4, ("line", DeliveryState.QUEUED): 2}
    facts = replace(world.facts(), deliveries=counts)
    card = delivery(facts)
    assert card is not None
    assert (card.preview, card.accepted, card.total) == (False, 0, 2)
    alone = delivery(replace(facts, deliveries={("preview", DeliveryState.ACCEPTED): 4}))
    assert alone is not None
    assert (alone.preview, alone.accepted) == (True, 4)


def test_a_timeline_over_midnight_names_both_days(world: World) -> None:
    assert timeline(world.facts(), ()).title == "22 พ.ย. 2569 · 02:35–14:35 น."
    world.now_us -= 12 * 60 * MINUTE_US
    assert timeline(world.facts(), ()).title == "21 พ.ย. 2569 14:35 น. – 22 พ.ย. 2569 02:35 น."
