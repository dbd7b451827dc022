"""How the alarms treat those who must answer them: each indicator by hand, and what must hold for all."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.episode import Episode, Event, EventType, Kind, apply
from alerts.kpi import DAY_US, FLOOD_BEGINS, FLOOD_ENDS, WINDOW_US, AlarmKpis, alarm_kpis, find_floods
from tests.builders import T0_US, thorough

SECOND_US = 1_000_000


def alarm(at_us: int, *, area: str = "a", id: str = "", to: int = 1) -> Event:
    """A story that begins."""
    return Event(
        episode=id or f"{area}.{at_us}",
        version=1,
        kind=Kind.ACTUAL,
        area=area,
        hazard="flood",
        type=EventType.JUDGED,
        from_level=0,
        to_level=to,
        event_us=at_us,
        recorded_us=at_us,
    )


def then(before: Event, type: EventType, after_s: float, to: int = 1) -> Event:
    """What happens to its story so much later."""
    at_us = before.recorded_us + round(after_s * SECOND_US)
    return replace(before, type=type, version=before.version + 1, from_level=1, to_level=to, recorded_us=at_us)


def kpis(
    events: Sequence[Event], standing: Sequence[Episode] = (), *, days: float = 1, operators: int = 1
) -> AlarmKpis:
    return alarm_kpis(events, standing, from_us=T0_US, to_us=T0_US + round(days * DAY_US), operators=operators)


def every(step_s: float, count: int, *, area: str = "", start_s: float = 0) -> list[Event]:
    """Alarms, each of another area unless told otherwise."""
    return [
        alarm(T0_US + round((start_s + k * step_s) * SECOND_US), area=area or f"a{k}", id=f"{area}{start_s}.{k}")
        for k in range(count)
    ]


def test_rates_are_per_operator_day_and_ten_minutes() -> None:
    found = kpis(every(600, 144 * 2), days=2, operators=2)
    assert (found.alarms, found.per_day, found.per_ten_minutes) == (288, 72.0, 0.5)
    assert kpis(every(600, 144), operators=0).per_day == 144, "without an operator as for one"


def test_only_rises_and_acknowledgements_that_expired_are_alarms() -> None:
    first = alarm(T0_US)
    story = [
        first,
        then(first, EventType.ACKNOWLEDGED, 60),
        then(first, EventType.EXPIRED, 600),
        then(first, EventType.CALLED, 600),
        then(first, EventType.JUDGED, 900, to=0),
        then(first, EventType.CLOSED, 900, to=0),
    ]
    found = kpis(story)
    assert (found.alarms, found.escalated, found.answered, found.unanswered) == (2, 1, 1, 1)


def test_time_to_acknowledge_counts_from_each_alarm_to_the_word_that_answers_it() -> None:
    one, two = alarm(T0_US, area="a"), alarm(T0_US, area="b")
    higher = then(one, EventType.JUDGED, 60, to=3)
    events = [one, two, higher, then(one, EventType.ACKNOWLEDGED, 100, to=3), then(two, EventType.ACKNOWLEDGED, 300)]
    found = kpis(events)
    assert found.answer_median_s == 100, "of 40, 100 and 300 s"
    assert found.answer_p90_s == pytest.approx(260)


def test_a_flood_begins_with_more_than_ten_in_ten_minutes_and_ends_with_fewer_than_five() -> None:
    calm = kpis(every(60, 10))
    assert (calm.peak_ten_minutes, calm.floods, calm.flooded_share) == (10, (), 0)
    (flood,) = kpis(every(30, 20)).floods
    # The eleventh comes after 300 s; the window after the sixteenth left holds the last four, 450 + 600 s.
    assert (flood.from_us - T0_US, flood.to_us - T0_US) == (300 * SECOND_US, 1050 * SECOND_US)
    assert kpis(every(30, 20)).flooded_share == pytest.approx(750 / 86_400)


def test_two_floods_are_two_and_one_that_goes_on_ends_with_the_period() -> None:
    twice = kpis([*every(10, 12), *every(10, 12, start_s=7200)])
    assert len(twice.floods) == 2
    last = kpis(every(10, 12, start_s=86_200))
    assert last.floods[-1].to_us == T0_US + DAY_US


def test_chattering_is_three_of_one_source_within_a_minute() -> None:
    assert kpis(every(31, 6, area="x")).chattering == ()
    (found,) = kpis([*every(20, 4, area="x"), *every(20, 1, area="x", start_s=9000), *every(5, 9)]).chattering
    assert (found.area, found.alarms) == ("x", 4)


def test_the_ten_most_frequent_sources_and_their_part() -> None:
    events = [event for k in range(20) for event in every(3600, 2 if k < 10 else 1, area=f"s{k:02d}")]
    found = kpis(sorted(events, key=lambda event: event.recorded_us))
    assert [one.alarms for one in found.top] == [2] * 10
    assert found.top_share == pytest.approx(20 / 30)


def test_what_stands_longer_than_a_day_is_stale() -> None:
    old = apply(None, alarm(T0_US - DAY_US - 1, id="old"))
    new = apply(None, alarm(T0_US, id="new"))
    shelved = replace(new, id="shelved", shelved_until_us=T0_US + 2 * DAY_US)
    over = replace(old, id="over", judged_level=0)
    found = kpis([], [old, new, over, shelved])
    assert (found.stale, found.shelved_now) == (("old",), 1)


def test_nothing_is_no_number() -> None:
    found = kpis([])
    assert (found.alarms, found.per_day, found.floods, found.chattering) == (0, 0, (), ())
    assert np.isnan([found.top_share, found.answer_median_s, found.answer_p90_s]).all()
    with pytest.raises(ValueError, match="must be before"):
        alarm_kpis([], [], from_us=1, to_us=1, operators=1)


@thorough(60)
@given(st.lists(st.integers(0, 3 * WINDOW_US // SECOND_US), min_size=1, max_size=60))
def test_floods_are_what_counting_by_the_second_finds(seconds: list[int]) -> None:
    """The plain reading: second by second, how many alarms the last ten minutes held."""
    at = np.sort(np.array(seconds, dtype=np.int64))
    end_s = 4 * WINDOW_US // SECOND_US + 1
    flooded, expected, began = False, [], 0
    for now_s in range(end_s):
        held = int(((at > now_s - 600) & (at <= now_s)).sum())
        if not flooded and held > FLOOD_BEGINS:
            flooded, began = True, now_s
        elif flooded and held < FLOOD_ENDS:
            flooded = False
            expected.append((began, now_s))
    found = find_floods(at * SECOND_US, until_us=end_s * SECOND_US)
    assert [(f.from_us // SECOND_US, f.to_us // SECOND_US) for f in found] == expected
