"""What a hydrograph draws, and what it must not."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.episode import Event, EventType, Kind
from api.history import past, stories
from api.screens.hydrograph import chart, unbroken
from api.screens.past import WINDOWS_US, Past, bands
from api.screens.stations import observe
from api.screens.timeline import timeline
from api.views.chart import Chart
from sensors.flags import Flag
from tests.api.world import HOUR_US, MINUTE_US, NOW_US, World
from tests.builders import thorough


def drawn(world: World, station: str = "WL-01", window: str = "6h") -> Chart:
    facts = world.facts()
    seen = past(world.deps, station, now_us=facts.now_us, window_us=WINDOWS_US[window])
    assert seen is not None
    return chart(facts, next(o for o in observe(facts) if o.station.id == station), seen)


def points(chart: Chart) -> list[list[tuple[float, float]]]:
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in run.split())] for run in chart.runs]


def test_a_gap_is_never_bridged(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 30, ago_us=3 * HOUR_US)
    world.put("WL-01/stage_m", [2.4] * 30)
    seen = drawn(world)
    assert len(seen.runs) == 2
    (gap,) = [g for g in seen.gaps if "2 ชม." in g.text]
    first, second = points(seen)
    assert first[-1][0] / 10 == pytest.approx(gap.at, abs=0.02)
    assert second[0][0] / 10 == pytest.approx(gap.at + gap.width, abs=0.02)
    assert "ข้อมูลขาด 1 ช่วง" in seen.summary


@pytest.mark.parametrize(("minutes", "runs"), [(6, 1), (8, 2)])
def test_three_promised_intervals_are_the_longest_that_is_bridged(world: World, minutes: int, runs: int) -> None:
    world.put("WL-01/stage_m", [2.0] * 5, ago_us=minutes * MINUTE_US)
    world.put("WL-01/stage_m", [2.1, 2.1], step_us=MINUTE_US // 60)
    assert len(drawn(world).runs) == runs


def test_a_silent_station_has_a_gap_up_to_now(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 30, ago_us=2 * HOUR_US)
    seen = drawn(world)
    assert seen.gaps[-1].at + seen.gaps[-1].width == pytest.approx(seen.now_at, abs=0.01)


def test_what_was_before_the_first_word_is_no_gap(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 30)
    assert drawn(world).gaps == ()
    world.put("WL-01/stage_m", [2.0], ago_us=20 * HOUR_US)
    assert len(drawn(world).gaps) == 1


def test_a_station_that_fell_silent_before_the_window_is_one_gap(world: World) -> None:
    world.put("WL-01/stage_m", [2.0], ago_us=90 * HOUR_US)
    (gap,) = drawn(world).gaps
    assert gap.at == 0.0
    assert gap.width == pytest.approx(drawn(world).now_at, abs=0.01)


def test_a_doubted_reading_is_marked_and_is_part_of_no_line(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 10, ago_us=20 * MINUTE_US)
    world.put("WL-01/stage_m", [6.9], ago_us=10 * MINUTE_US, flag=Flag.SUSPECT)
    world.put("WL-01/stage_m", [2.1] * 4)
    seen = drawn(world)
    (spot,) = seen.doubted
    assert "6.90 ม." in spot.text
    assert "น่าสงสัย" in spot.text
    assert spot.beyond, "it lies above the plot: the scale follows what is believed"
    assert len(seen.runs) == 2
    assert max(y for run in points(seen) for _, y in run) <= 1000
    assert "doubted" in {span.name for span in seen.quality}


def test_bank_and_threshold_at_one_height_share_a_label(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 30)
    assert [line.label for line in drawn(world).lines] == ["เฝ้าระวัง 3.15", "เตือนภัย 3.83", "ตลิ่ง · วิกฤต 4.50"]


def test_labels_never_touch(world: World) -> None:
    world.put("WL-01/stage_m", [-0.1, 7.4] * 15)
    at = [line.label_at for line in drawn(world).lines]
    assert all(low - high >= 6.4 for low, high in pairwise(at))


def test_rain_hangs_from_the_nearest_gauge_and_says_whose_it_is(world: World) -> None:
    world.put("WL-01/stage_m", [2.0] * 30)
    world.put("RF-01/rain_mm", [1.0] * 12, step_us=5 * MINUTE_US)
    world.put("RF-02/rain_mm", [9.0] * 12, step_us=5 * MINUTE_US)
    seen = drawn(world)
    assert "RF-01" in seen.bars_name
    assert seen.from_top
    assert sum(float(b.text.split()[3]) for b in seen.bars) == pytest.approx(12.0)
    assert "ฝนรวม 12.0 มม. (RF-01)" in seen.summary


def test_a_rain_gauge_shows_bars_and_no_lines(world: World) -> None:
    world.put("RF-01/rain_mm", [1.0] * 12, step_us=5 * MINUTE_US)
    seen = drawn(world, "RF-01")
    assert (seen.runs, seen.lines, seen.zones, seen.from_top) == ((), (), (), False)
    assert seen.bars


def test_an_unheard_station_draws_axes_and_says_so(world: World) -> None:
    seen = drawn(world)
    assert (seen.runs, seen.gaps, seen.newest) == ((), (), None)
    assert "ไม่มีค่าที่ใช้ได้" in seen.summary
    assert seen.lines


@pytest.mark.parametrize("window", WINDOWS_US)
def test_dates_stand_on_the_axis_in_the_buddhist_year(world: World, window: str) -> None:
    world.put("WL-01/stage_m", [2.0] * 30)
    seen = drawn(world, window=window)
    assert 3 <= len(seen.x_ticks) <= 8
    dates = [t.date for t in seen.x_ticks if t.date]
    assert dates
    assert all(d.endswith("2569") for d in dates)
    assert {t.text for t in seen.x_ticks if t.date} == ({"00:00"} if window != "6h" else {seen.x_ticks[0].text})


def test_the_table_says_the_same_as_the_drawing(world: World) -> None:
    world.put("WL-01/stage_m", [2.0, 2.5, 2.2])
    world.put("WL-01/stage_m", [6.9], ago_us=60 * MINUTE_US, flag=Flag.SUSPECT)
    rows = drawn(world).rows
    newest = rows[0]
    assert (newest.clock, newest.value, newest.highest, newest.quality) == ("14:30", "2.20", "2.50", "ดี")
    assert newest.date == "22 พ.ย. 2569"
    doubted = next(r for r in rows if r.clock == "13:30")
    assert (doubted.value, doubted.quality) == ("–", "น่าสงสัย 1 ค่า")
    assert {r.quality for r in rows} == {"ดี", "น่าสงสัย 1 ค่า", "ขาดหาย"}


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from([1, 2, 3, 4, 9])), max_size=60))
@settings(thorough(60))
def test_every_usable_reading_is_on_exactly_one_line(rows: list[tuple[int, int]]) -> None:
    """Whatever the gaps and flags: nothing doubted is joined, nothing usable is lost."""
    time_us = NOW_US - MINUTE_US * np.cumsum([r[0] for r in rows] or [0])[::-1].astype(np.int64)
    time_us = time_us[: len(rows)]
    flag = np.array([r[1] for r in rows][::-1], dtype=np.uint8)
    good = np.isin(flag, (1, 2))
    runs = unbroken(time_us, good, 2 * MINUTE_US)
    assert sorted(int(i) for run in runs for i in run) == np.flatnonzero(good).tolist()
    for run in runs:
        assert np.all(np.diff(run) == 1)
        assert np.all(np.diff(time_us[run]) <= 6 * MINUTE_US)


def event(kind: EventType, minutes_ago: int, *, to: int = 0, version: int = 1) -> Event:
    at = NOW_US - minutes_ago * MINUTE_US
    return Event(
        episode="e", version=version, kind=Kind.EXERCISE, area="a", hazard="flood", type=kind, from_level=0,
        to_level=to, event_us=at, recorded_us=at,
    )  # fmt: skip


def test_bands_follow_level_and_knowledge() -> None:
    events = [
        event(EventType.JUDGED, 120, to=1),
        event(EventType.ACKNOWLEDGED, 110, to=1),
        event(EventType.JUDGED, 90, to=3),
        event(EventType.LOST, 60),
        event(EventType.HEARD, 50),
        event(EventType.JUDGED, 30, to=0),
        event(EventType.CLOSED, 20),
    ]
    found = bands(events, from_us=NOW_US - 100 * MINUTE_US, to_us=NOW_US)
    spans = [((NOW_US - b.from_us) // MINUTE_US, (NOW_US - b.to_us) // MINUTE_US, b.level, b.known) for b in found]
    assert spans == [(100, 90, 1, True), (90, 60, 3, True), (60, 50, 3, False), (50, 30, 3, True)]


def test_the_timeline_shows_every_story_and_who_did_what(world: World) -> None:
    world.now_us = NOW_US - 60 * MINUTE_US
    world.judge("331608-samran", 2)
    world.publish("331608-samran", 2)
    world.judge("AQ-02", 1, hazard="station")
    world.now_us = NOW_US
    facts = world.facts()
    view = timeline(facts, stories(world.deps, from_us=NOW_US - 12 * HOUR_US, to_us=NOW_US))
    assert [lane.place for lane in view.lanes] == ["ริมห้วยสำราญ", "AQ-02 บ้านหนองแวง"]
    assert [span.name for span in view.lanes[0].spans] == ["level-2"]
    assert view.lanes[0].spans[0].at + view.lanes[0].spans[0].width == pytest.approx(view.now_at, abs=0.01)
    (act,) = view.acts
    assert act.count == 2, "asked and released in one minute"
    assert "first" in act.text
    assert "second" in act.text


def test_a_story_that_ended_before_the_window_is_not_shown(world: World) -> None:
    world.now_us = NOW_US - 14 * HOUR_US
    world.judge("331608-samran", 1)
    world.judge("331608-samran", 0)
    world.now_us = NOW_US
    view = timeline(world.facts(), stories(world.deps, from_us=NOW_US - 12 * HOUR_US, to_us=NOW_US))
    assert view.lanes == ()


def test_the_levels_under_a_chart_are_those_of_its_own_areas(world: World) -> None:
    world.all_speak()
    world.now_us = NOW_US - 60 * MINUTE_US
    world.judge("331608-phonyang", 1)
    world.now_us = NOW_US
    assert drawn(world, "WL-01").levels == ()
    assert [span.name for span in drawn(world, "WL-04").levels] == ["level-1"]


def test_a_window_longer_than_what_is_read_is_cut_and_not_called_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.history.ROWS_MAX", 20)
    world.put("WL-01/stage_m", [2.0] * 120)
    facts = world.facts()
    seen = past(world.deps, "WL-01", now_us=facts.now_us, window_us=WINDOWS_US["6h"])
    assert isinstance(seen, Past)
    assert seen.from_us == int(seen.main.time_us[0])
    assert drawn(world).gaps == ()
