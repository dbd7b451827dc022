"""What is sent because of what happened: once per release, once at the end, with every part a warning must have."""

from dataclasses import replace
from pathlib import Path

import pytest

from alerts import route, rules, text
from alerts.episode import Episode, Event, EventType, FanOut, Kind, Purpose, Used, apply
from alerts.plan import plan
from alerts.route import Routes
from sensors import stations
from sensors.stations import ConfigError
from takean.settings import SAMPLE
from tests.builders import MINUTE_US, T0_US

REG = stations.load(SAMPLE / "stations.toml")
ROUTES = route.load(SAMPLE / "routes.toml", kind=Kind.EXERCISE)
USED = Used(
    rule="flood.critical",
    rule_version="1",
    series="WL-01/stage_m",
    time_us=T0_US,
    value=4.62,
    flag=1,
    seq=7,
    threshold=4.5,
    truth=True,
)


def story(*steps: tuple[EventType, int, int], kind: Kind = Kind.EXERCISE) -> list[tuple[Event, Episode]]:
    changes: list[tuple[Event, Episode]] = []
    after: Episode | None = None
    for version, (type, low, high) in enumerate(steps, start=1):
        event = Event(
            episode="e",
            version=version,
            kind=kind,
            area="331608-samran",
            hazard="flood",
            type=type,
            from_level=low,
            to_level=high,
            event_us=T0_US,
            recorded_us=T0_US,
            used=(USED,) if type is EventType.JUDGED else (),
        )
        after = apply(after, event)
        changes.append((event, after))
    return changes


def planned(*steps: tuple[EventType, int, int], kind: Kind = Kind.EXERCISE) -> tuple[FanOut, ...]:
    return plan(story(*steps, kind=kind), T0_US + MINUTE_US, registry=REG, routes=ROUTES)


def test_judging_alone_sends_nothing() -> None:
    assert planned((EventType.JUDGED, 0, 3)) == ()


def test_a_release_goes_to_the_area_and_all_below_it() -> None:
    (made,) = planned((EventType.JUDGED, 0, 3), (EventType.RELEASED, 0, 3))
    assert made.id == "e#2"
    assert made.purpose is Purpose.ALERT
    assert made.areas == ("331608-samran", "33160801", "33160803", "33160807")
    assert made.expires_us == T0_US + MINUTE_US + 6 * 60 * MINUTE_US


def test_a_warning_says_who_what_where_how_high_what_to_do_whom_to_call_until_when() -> None:
    (made,) = planned((EventType.JUDGED, 0, 3), (EventType.RELEASED, 0, 3))
    for part in (
        "ซ้อม",
        "อบต.โพนยาง",
        "วิกฤต",
        "น้ำท่วม",
        "ริมห้วยสำราญ",
        "หมู่ 7",
        "สะพานบ้านโพนยาง 4.62 ม.",
        "เกณฑ์ 4.50",
        "โทร 1784",
    ):
        assert part in made.text
    assert "13:50 น. 22 พ.ย. 2569" in made.text, "times are Thai and of the Buddhist year"
    assert "มีผลถึง 19:51 น." in made.text


@pytest.mark.parametrize("kind", list(Kind))
def test_only_an_actual_warning_starts_without_the_word_drill_or_test(kind: Kind) -> None:
    (made,) = planned((EventType.JUDGED, 0, 2), (EventType.RELEASED, 0, 2), kind=kind)
    assert made.text.startswith(text.DRILL_PREFIX[kind])
    assert made.text.startswith("อบต.") is (kind is Kind.ACTUAL)


def test_stepping_down_is_silent_until_the_end_which_is_told_once() -> None:
    made = planned(
        (EventType.JUDGED, 0, 3),
        (EventType.RELEASED, 0, 3),
        (EventType.LOWERED, 3, 2),
        (EventType.LOWERED, 2, 1),
        (EventType.JUDGED, 3, 0),
        (EventType.LOWERED, 1, 0),
    )
    assert [f.purpose for f in made] == [Purpose.ALERT, Purpose.ALL_CLEAR]
    assert "ยุติ" in made[-1].text
    assert [f.level for f in made] == [3, 0], "an all-clear never goes before a warning"


def test_a_warning_taken_back_against_the_evidence_never_says_that_all_is_well() -> None:
    made = planned((EventType.JUDGED, 0, 2), (EventType.RELEASED, 0, 2), (EventType.LOWERED, 2, 0))
    assert "กลับสู่ภาวะปกติ" not in made[-1].text
    assert "ยกเลิกประกาศ" in made[-1].text


def test_a_reading_is_told_in_the_words_and_unit_of_its_quantity() -> None:
    rain = replace(USED, series="RF-01/rain_mm", value=41.2, threshold=35.0)
    (released,) = [c for c in story((EventType.JUDGED, 0, 2), (EventType.RELEASED, 0, 2)) if c[0].version == 2]
    (made,) = plan([released], T0_US, registry=REG, routes=ROUTES, used=(rain,))
    assert "ฝนอบต.โพนยาง 41.2 มม. (เกณฑ์ 35.0 มม.)" in made.text


def test_a_story_whose_area_and_route_were_configured_away_can_still_be_told_and_ended() -> None:
    lost = [
        (replace(event, area="gone"), replace(after, area="gone"))
        for event, after in story((EventType.JUDGED, 0, 3), (EventType.RELEASED, 0, 3), (EventType.LOWERED, 3, 0))
    ]
    only_watch = Routes(by={key: r for key, r in ROUTES.by.items() if key[1] == 1})
    made = plan(lost, T0_US, registry=REG, routes=only_watch)
    assert [f.areas for f in made] == [("gone",), ("gone",)]


def test_a_person_who_releases_later_still_tells_the_reading() -> None:
    (released,) = [c for c in story((EventType.JUDGED, 0, 2), (EventType.RELEASED, 0, 2)) if c[0].version == 2]
    (made,) = plan([released], T0_US, registry=REG, routes=ROUTES, used=(USED,))
    assert "4.62" in made.text


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        (Kind.ACTUAL, ('release = "one"', 'release = "auto"'), "auto is for exercise"),
        (Kind.ACTUAL, ('clear = "person"', 'clear = "auto"'), "auto is for exercise"),
        (Kind.ACTUAL, ('release = "two"', 'release = "one"'), "needs two people"),
        (Kind.EXERCISE, ('channels = ["preview"]', "channels = []"), "warns nobody"),
        (Kind.EXERCISE, ('channels = ["preview"]', 'channels = ["sms"]'), "channel 'sms' is not one of preview"),
        (Kind.EXERCISE, ("level = 2", "level = 7"), "1, 2 or 3"),
        (Kind.EXERCISE, ("level = 2", "level = 1"), "one route"),
        (Kind.EXERCISE, ("expires_s = 21600", "expires_s = 0"), "above 0"),
        (Kind.EXERCISE, ("expires_s", "expire_s"), "expire_s"),
    ],
)
def test_routes_that_must_not_go_live_are_refused(
    tmp_path: Path, kind: Kind, change: tuple[str, str], expected: str
) -> None:
    path = tmp_path / "routes.toml"
    path.write_text((SAMPLE / "routes.toml").read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError, match=expected):
        route.load(path, kind=kind)


def test_the_sample_routes_suit_the_actual_world() -> None:
    assert route.load(SAMPLE / "routes.toml", kind=Kind.ACTUAL).find("flood", 3) is not None


def test_a_level_that_nobody_would_be_told_of_is_named() -> None:
    sample = rules.read(SAMPLE / "rules.toml")
    assert route.uncovered(ROUTES, sample) == []
    without = Routes(by={key: r for key, r in ROUTES.by.items() if key[1] != 3})
    missing, other = route.uncovered(without, sample)
    assert "road_flood level 3" in other
    assert "flood.critical reaches flood level 3" in missing


def test_a_release_tells_the_level_of_now_and_not_of_the_reading_that_decided() -> None:
    changes = story((EventType.JUDGED, 0, 3), (EventType.RELEASED, 0, 3))[1:]
    later = T0_US + 13 * MINUTE_US
    (made,) = plan(
        changes, later, registry=REG, routes=ROUTES, used=(USED,), newest=lambda series: (later - MINUTE_US, 4.94)
    )
    assert "4.94 ม. (เกณฑ์ 4.50 ม.)" in made.text
    assert "4.62" not in made.text
    (older,) = plan(changes, later, registry=REG, routes=ROUTES, used=(USED,), newest=lambda series: (T0_US - 1, 1.0))
    assert "4.62 ม." in older.text
    slope = replace(USED, per_h=True, value=0.14, threshold=0.1)
    (rate,) = plan(changes, later, registry=REG, routes=ROUTES, used=(slope,), newest=lambda series: (later, 4.94))
    assert "0.14 ม./ชม." in rate.text
