"""Lost while rising: the one thing that silence may raise, once, as a proposal."""

import socket
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from alerts import loss
from alerts.episode import EventType, Kind
from alerts.judge import Judge
from alerts.lifecycle import LOST, UNHEARD
from alerts.rules import Rule
from ingest import credentials
from ingest.broker_options import BrokerOptions
from ingest.quarantine import Quarantine
from ingest.topics import Topics
from sensors.batch import Int64
from sensors.trend import Slopes, Trend, slopes
from takean.clock import REAL
from takean.worker import Worker
from tests.alerts.judge_world import MANUAL, World, drained
from tests.builders import MINUTE_US, T0_US, absence_rule, batch, level_rule, registry, station, thorough

RULES: tuple[Rule, ...] = (level_rule(1, 2.0), level_rule(2, 3.0), level_rule(3, 4.0), absence_rule())
TWO = registry(station("A"), station("B"))
"""Both speak for one village."""


def rising(at_m: float, per_min: float, count: int = 12) -> list[float]:
    """The last `count` readings before reaching a height."""
    return [at_m - per_min * (count - 1 - k) for k in range(count)]


def world(**changes: object) -> World:
    return World(**{"own_rules": RULES, **changes})  # type: ignore[arg-type]


def losses(one: World) -> list[tuple[int, int]]:
    return [(e.from_level, e.to_level) for e in one.events() if e.note == LOST]


def test_a_series_lost_while_it_rises_proposes_one_step_up_when_it_is_due() -> None:
    one = world(routes=MANUAL.automatic())
    one.take(batch(rising(2.4, 0.05)))
    one.tick()
    assert one.story().public_level == 1
    one.tick(2.9)
    assert losses(one) == []
    one.tick(0.2)
    assert (one.story().judged_level, one.story().public_level) == (2, 1)
    (event,) = [e for e in one.events() if e.note == LOST]
    (used,) = event.used
    assert (used.rule, used.series, used.threshold, used.truth) == ("lost_while_rising.2", "A/stage_m", 3.0, True)
    assert event.event_us == T0_US + 14 * MINUTE_US
    for _ in range(20):
        one.tick(5)
    assert (one.story().judged_level, one.story().public_level) == (2, 1)
    assert losses(one) == [(1, 2)]
    assert {s.area: s.level for s in one.ledger.statuses(Kind.EXERCISE)}["village"] == 2


def test_it_reaches_a_threshold_within_an_hour_and_only_then() -> None:
    near, far = world(), world()
    near.take(batch(rising(1.5, 0.01)))  # 0.6 m/h
    far.take(batch(rising(1.3, 0.01)))
    near.tick(5)
    far.tick(5)
    assert (near.floods(), far.floods()) == ({"village": 1}, {})


@pytest.mark.parametrize(
    "values",
    [[2.4] * 12, rising(2.4, -0.05), [2.4, 2.5] * 6, rising(3.4, 0.05)],
    ids=["still", "falls", "noise", "two"],
)
def test_what_does_not_surely_rise_or_stands_at_warning_is_only_absent(values: list[float]) -> None:
    one = world()
    one.take(batch(values))
    before = one.floods()
    one.tick(60)
    assert losses(one) == []
    assert one.floods() == before


def test_a_usable_reading_ends_it_and_the_level_is_what_the_evidence_says() -> None:
    one = world()
    one.take(batch(rising(2.4, 0.05)))
    one.tick(5)
    assert one.floods() == {"village": 2}
    one.take(batch([99.0], start_us=T0_US + 18 * MINUTE_US))  # outside the instrument's range: not usable
    assert one.floods() == {"village": 2}
    one.take(batch([2.5], start_us=T0_US + 20 * MINUTE_US))
    assert one.floods() == {"village": 1}
    last = [e for e in one.events() if e.type is EventType.JUDGED and e.hazard == "flood"][-1]
    assert (last.used[0].rule, last.used[0].value, last.used[0].truth) == ("lost_while_rising", 2.5, False)


def test_a_second_loss_is_a_second_proposal() -> None:
    one = world()
    one.take(batch(rising(2.4, 0.05)))
    one.tick(5)
    one.take(batch(rising(2.8, 0.02), start_us=T0_US + 20 * MINUTE_US))
    assert one.floods() == {"village": 1}
    one.tick(5)
    assert losses(one) == [(1, 2), (1, 2)]


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("killed", [True, False])
def test_a_restart_neither_forgets_nor_repeats_it(tmp_path: Path, snapshot: bool, killed: bool) -> None:
    one = world(snapshot_path=tmp_path / "judge.npz" if snapshot else None)
    one.take(batch(rising(2.4, 0.05)))
    one.tick(5)
    if not killed:
        one.judge.stop()
    for _ in range(3):
        one.restart()
        one.tick(5)
    assert losses(one) == [(1, 2)]
    assert one.floods() == {"village": 2}
    one.take(batch([2.5], start_us=one.now_us))
    assert one.floods() == {"village": 1}
    one.restart()
    one.tick(1)
    assert one.floods() == {"village": 1}


def test_it_holds_whether_or_not_other_ladders_of_the_area_stand_there() -> None:
    one = world(registry=TWO)
    one.take(batch([3.5] * 12, series=1))
    one.take(batch(rising(2.4, 0.05)))
    one.tick(1)
    one.take(batch([3.5] * 3, series=1, start_us=T0_US + 12 * MINUTE_US))
    one.tick(1)
    assert losses(one) == [(2, 2)]
    one.restart()
    one.take(batch([1.0] * 20, series=1, start_us=T0_US + 15 * MINUTE_US))
    assert one.floods() == {"village": 2}
    one.take(batch([2.4], start_us=one.now_us))
    assert one.floods() == {"village": 1}


def test_while_nothing_can_be_heard_the_clock_of_absence_stands_still() -> None:
    one = world()
    one.take(batch([1.0, 1.0]))
    for _ in range(60):
        one.tick(1, deaf=True)
    one.tick(2.9)
    assert "A" not in {e.area for e in one.ledger.episodes(Kind.EXERCISE)}
    one.tick(0.2)
    assert "A" in {e.area for e in one.ledger.episodes(Kind.EXERCISE)}


def test_a_loss_while_nothing_can_be_heard_is_proposed_with_its_cause() -> None:
    one = world()
    one.take(batch(rising(2.4, 0.05)))
    for _ in range(60):
        one.tick(1, deaf=True)
    assert [(e.from_level, e.to_level) for e in one.events() if e.note == UNHEARD] == [(1, 2)]
    assert losses(one) == []
    one.restart()
    one.tick(5)
    assert one.floods() == {"village": 2}
    assert losses(one) == []


@pytest.mark.parametrize("endpoint", [True, False])
def test_only_a_box_without_another_way_in_is_deaf_when_its_broker_is_away(tmp_path: Path, endpoint: bool) -> None:
    one, heard = world(), list[bool]()

    class Noting(Judge):
        def tick(self, *, deaf: bool = False) -> None:
            heard.append(deaf)

    made = Noting(
        cells=one.judge.cells,
        plan=one.judge.plan,
        store=one.store,
        ledger=one.ledger,
        snapshot_path=None,
        now_us=lambda: one.now_us,
        real_us=lambda: one.now_us,
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    worker = Worker(
        judge=made,
        topics=Topics("takean/v1"),
        credentials=credentials.create(),
        quarantine=Quarantine(tmp_path / "quarantine.sqlite"),
        clock=REAL,
        listen=("127.0.0.1", 0) if endpoint else None,
        broker=BrokerOptions(host="127.0.0.1", port=port),
        failed=lambda error: pytest.fail(str(error)),
    )
    worker.start()
    heard.clear()
    deadline_s = time.monotonic() + 10
    while not heard and time.monotonic() < deadline_s:
        time.sleep(0.02)
    worker.stop()
    assert heard[0] is not endpoint


@pytest.mark.parametrize("what", ["repeats", "nan"])
def test_a_sender_without_a_usable_reading_is_lost_and_yet_not_absent(what: str) -> None:
    one = world()
    last = batch(rising(2.4, 0.05))
    one.take(last)
    for minute in range(12, 16):
        said = last[-1:] if what == "repeats" else batch([float("nan")], start_us=T0_US + minute * MINUTE_US)
        one.take(replace(said, received_us=np.array([T0_US + minute * MINUTE_US])))
        one.tick()
    assert losses(one) == [(1, 2)]
    assert "A" not in {e.area for e in one.ledger.episodes(Kind.EXERCISE) if e.hazard == "station"}
    one.restart()
    one.tick(1)
    assert losses(one) == [(1, 2)]


def test_rows_too_old_to_speak_for_now_neither_end_a_loss_nor_make_another() -> None:
    one = world()
    one.take(batch(rising(2.4, 0.05)))
    one.tick(5)
    for k in range(6):
        row = batch([2.4 + 0.05 * (k + 1)], start_us=T0_US + (12 + k) * MINUTE_US)
        one.take(drained(row, one.now_us + 20 * MINUTE_US))
        one.tick(5)
        if k == 3:
            one.restart()
        assert one.floods() == {"village": 2}
    assert losses(one) == [(1, 2)]
    one.take(batch([2.5], start_us=one.now_us))
    assert one.floods() == {"village": 1}


def test_a_backlog_of_the_past_is_not_lost_now() -> None:
    one = world()
    one.take(drained(batch(rising(2.4, 0.05)), T0_US + 24 * 60 * MINUTE_US))
    for _ in range(10):
        one.tick(1)
    assert losses(one) == []
    assert one.floods() == {"village": 1}


def test_a_series_that_speaks_again_is_remembered_also_where_the_level_stays() -> None:
    one = world(registry=TWO)
    one.take(batch([3.5] * 12, series=1))
    one.take(batch(rising(2.4, 0.05)))
    one.tick(1)
    one.take(batch([3.5] * 3, series=1, start_us=T0_US + 12 * MINUTE_US))
    one.tick(1)
    assert losses(one) == [(2, 2)]
    one.take(batch([2.4], start_us=one.now_us))
    one.restart()
    one.take(batch([1.0] * 20, series=1, start_us=T0_US + 15 * MINUTE_US))
    assert one.floods() == {"village": 1}


def test_a_box_that_was_off_finds_nobody_lost_before_they_could_speak(tmp_path: Path) -> None:
    one = world(snapshot_path=tmp_path / "judge.npz")
    one.take(batch(rising(2.4, 0.05)))
    one.tick(1)
    for _ in range(3):
        one.judge.stop()
        one.now_us += 60 * MINUTE_US
        one.restart()
        one.tick(0.5)
        assert losses(one) == []
    one.tick(0.6)
    assert losses(one) == [(1, 2)]


@pytest.mark.parametrize("deaf", [True, False])
def test_a_silence_is_looked_at_once_and_all_of_a_tick_together(monkeypatch: pytest.MonkeyPatch, deaf: bool) -> None:
    many = registry(*[station(f"S{k}") for k in range(40)])
    one, asked = world(registry=many), list[int]()
    for minute in range(12):
        one.take(batch([1.0] * 40, series=list(range(40)), times_us=[T0_US + minute * MINUTE_US] * 40))

    def counted(trend: Trend, series: NDArray[np.integer], now_us: int, *, span_us: Int64) -> Slopes:
        asked.append(len(series))
        return slopes(trend, series, now_us, span_us=span_us)

    monkeypatch.setattr(loss, "slopes", counted)
    for _ in range(10):
        one.tick(1, deaf=deaf)
    assert asked == [40]


def test_the_box_tells_its_own_alarms_once_the_ledger_takes_them() -> None:
    one = world()
    one.judge.tell("broker_away", "mqtt", "127.0.0.1")
    one.judge.tell("broker_away", "mqtt", "127.0.0.1")
    (notice,) = one.ledger.notices(Kind.EXERCISE)
    assert (notice.code, notice.subject) == ("broker_away", "mqtt")
    assert notice.text.endswith(": 127.0.0.1")
    assert notice.text.startswith("ติดต่อโบรกเกอร์")


@given(
    st.lists(
        st.tuples(st.sampled_from(["rise", "still", "fall", "silence"]), st.integers(0, 1), st.integers(3, 14)),
        min_size=1,
        max_size=6,
    ),
    st.sets(st.integers(0, 60), max_size=4),
)
@thorough(25)
def test_silence_raises_once_for_each_loss_and_clears_nothing(
    pieces: list[tuple[str, int, int]], restarts: set[int]
) -> None:
    """Whenever the worker is killed, and whatever the other gauge of the village does."""
    one, height, minute, spoken = world(registry=TWO), [1.5, 1.5], 0, {"A/stage_m": 0, "B/stage_m": 0}
    lost: dict[str, int] = {}
    for what, which, count in pieces:
        for _ in range(count):
            minute += 1
            one.now_us = T0_US + minute * MINUTE_US
            if what != "silence":
                height[which] += {"rise": 0.08, "still": 0.0, "fall": -0.08}[what]
                one.take(batch([height[which]], series=which, start_us=one.now_us))
                spoken["AB"[which] + "/stage_m"] += 1
            before = {e.id: e.version for e in one.ledger.episodes(Kind.EXERCISE)}
            if minute in restarts:
                one.restart()
            one.tick()
            by_clock = [e for e in one.events() if e.hazard == "flood" and e.version > before.get(e.episode, 0)]
            for event in by_clock:
                if event.type is not EventType.JUDGED:
                    continue
                series = event.used[0].series
                assert event.note == LOST
                assert event.from_level <= event.to_level <= 2 or event.to_level == event.from_level
                assert lost.get(series) != spoken[series], "a second proposal for one loss"
                lost[series] = spoken[series]
