"""Everything a ladder may listen to: the same however a stream is cut, disordered, repeated or begun again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import snapshot
from alerts.inputs.jump import Jump, JumpState
from alerts.inputs.listeners import empty as nothing_heard
from alerts.rules import Rule, compile_rules
from alerts.snapshot import Snapshot
from alerts.track_state import TrackState
from alerts.tracks import Tracks
from sensors.batch import ReadingBatch
from sensors.stations import ConfigError, Registry, Sensor
from tests.alerts.input_rules import BATTERY, DUST, RAIN, REG, RULES, STAGE, jump_rule, readings, sum_rule
from tests.alerts.test_tracks import same
from tests.alerts.tracks_world import Arrivals, contradicted, disordered, of_track, plain, run, settled_at_last
from tests.builders import MINUTE_US, T0_US, batch, level_rule, registry, station, thorough


def world(*rules: Rule, reg: Registry = REG) -> Tracks:
    exact = np.full(len(reg.series), -1.0)
    return Tracks(limits=reg.limits, ladders=compile_rules(rules or RULES, reg).ladders, shown=exact)


def before(one: Tracks) -> TrackState:
    laid = one.ladders
    return TrackState.empty(laid.many, len(laid), inputs=nothing_heard(laid.listeners))


TRACKS = world()
SINGLE = len(TRACKS.ladders) - len(TRACKS.ladders.composites)
whole_streams = readings().flatmap(contradicted)


def levels(series: int, values: list[float], *rules: Rule, step_us: int = MINUTE_US) -> list[tuple[int, str, int]]:
    """(minute, ladder, level) of each change."""
    one = world(*rules) if rules else TRACKS
    _, told, _, _ = run(one, Arrivals.of(batch(values, series=series, step_us=step_us)), before(one))
    return [
        ((time_us - T0_US) // MINUTE_US, one.ladders.names[ladder], to)
        for part in told
        for time_us, ladder, to in zip(part.time_us.tolist(), part.ladder.tolist(), part.to_level.tolist(), strict=True)
    ]


@given(whole_streams, st.integers(0, 60), st.lists(st.integers(0, 300), max_size=6), st.data())
@thorough(12)
def test_cutting_and_settling_change_nothing_that_is_told(
    whole: ReadingBatch, minutes: int, cuts: list[int], data: st.DataObject
) -> None:
    arrivals = Arrivals.of(data.draw(disordered(whole, longest_us=(minutes + 1) * MINUTE_US)))
    at_once, in_parts = run(TRACKS, arrivals, before(TRACKS)), run(TRACKS, arrivals, before(TRACKS), cuts, settle=True)
    assert plain(at_once[1]) == plain(in_parts[1])
    one, two = settled_at_last(TRACKS, at_once[0]), settled_at_last(TRACKS, in_parts[0])
    assert of_track([*at_once[3], one[1]]) == of_track([*in_parts[3], two[1]])
    same(one[0].live, two[0].live)
    same(one[0].settled, two[0].settled)


@given(whole_streams, st.data())
@thorough(12)
def test_any_order_of_arrival_within_the_bound_settles_the_same(whole: ReadingBatch, data: st.DataObject) -> None:
    found = []
    for _ in range(2):
        arrivals = Arrivals.of(data.draw(disordered(whole)))
        state, _, _, settled = run(TRACKS, arrivals, before(TRACKS), settle=data.draw(st.booleans()))
        state, last = settled_at_last(TRACKS, state)
        found.append((of_track([*settled, last]), state))
    assert found[0][0] == found[1][0]
    same(found[0][1].settled, found[1][1].settled)
    live, settled_ = found[0][1].live, found[0][1].settled
    same(live.inputs, settled_.inputs)
    np.testing.assert_array_equal(live.ladders.active[:, :SINGLE], settled_.ladders.active[:, :SINGLE])


@given(whole_streams, st.integers(0, 300), st.data())
@thorough(8)
def test_a_snapshot_goes_on_where_it_was_taken(
    tmp_path_factory: pytest.TempPathFactory, whole: ReadingBatch, at: int, data: st.DataObject
) -> None:
    arrivals = Arrivals.of(data.draw(disordered(whole)))
    path = Path(tmp_path_factory.mktemp("snapshot")) / "judge.npz"
    state, told, _, _ = run(TRACKS, arrivals[:at], before(TRACKS))
    snapshot.save(path, Snapshot(seq=1, state=state, quiet_us=np.zeros(6, dtype=np.int64), listened_us=2), "mark")
    held = snapshot.load(path, "mark", empty=before(TRACKS))
    assert held is not None
    same(held.state.live, state.live)
    _, more, _, _ = run(TRACKS, arrivals[at:], held.state)
    assert plain([*told, *more]) == plain(run(TRACKS, arrivals, before(TRACKS))[1])


@given(readings())
@thorough(12)
def test_series_do_not_hear_each_other(whole: ReadingBatch) -> None:
    """Single rules say the same of a series, whatever other series there are."""
    every = of_track([part for part in run(TRACKS, Arrivals.of(whole), before(TRACKS))[1] if len(part)])
    alone = []
    for series in range(len(REG.series)):
        mine = whole[whole.series == series]
        alone += of_track([part for part in run(TRACKS, Arrivals.of(mine), before(TRACKS))[1] if len(part)])
    assert [r for r in every if r[0] < SINGLE] == sorted(r for r in alone if r[0] < SINGLE)  # type: ignore[operator]


def test_rain_is_true_before_its_window_is_full_and_over_only_when_it_is_known() -> None:
    one = sum_rule(1, 10.0)
    assert levels(RAIN, [4.0, 4.0, 4.0, *[0.0] * 10], one) == [(2, "A/rain_mm sum 1", 1)]
    assert levels(RAIN, [4.0, 4.0, 4.0, *[0.0] * 70], one)[1:] == [(63, "A/rain_mm sum 1", 0)]


def test_a_silence_in_the_rain_ends_nothing() -> None:
    one = world(sum_rule(1, 10.0))
    times = [T0_US + m * MINUTE_US for m in (0, 1, 2, 90, 91, 92, 93)]
    arrivals = Arrivals.of(batch([6.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0], series=RAIN, times_us=times))
    _, told, _, _ = run(one, arrivals, before(one))
    assert [row[8] for row in plain(told)] == [1]


def test_windows_of_one_hazard_are_ladders_of_their_own() -> None:
    names = [n for n, h in zip(TRACKS.ladders.names, TRACKS.ladders.hazard, strict=True) if h == "flash_flood"]
    assert names == ["A/rain_mm sum 1", "A/rain_mm sum 3"]


def test_a_battery_is_low_below_and_well_above() -> None:
    one = level_rule(1, 11.0, id="b", hazard="battery", quantity="battery_v", unit="V", leave=12.0, below=True)
    found = levels(BATTERY, [12.5, 10.9, 10.9, 11.5, 11.5, *[12.5] * 8], one)
    assert found == [(2, "A/battery_v low A", 1), (10, "A/battery_v low A", 0)]


def test_a_stuck_sensor_is_heard_although_its_readings_are_doubted_and_failed() -> None:
    found = [row for row in levels(STAGE, [*[1.0] * 20, *[1.5 + 0.1 * k for k in range(6)]]) if "stuck" in row[1]]
    assert found == [(6, "A/stage_m stuck 0.001 A", 1), (22, "A/stage_m stuck 0.001 A", 0)]


def test_a_jump_is_measured_against_what_was_usual_before() -> None:
    rises = [(20, "P/pm2_5_ug_m3 jump 1800 16.7", 1)]
    sudden = jump_rule(1)
    assert levels(DUST, [20.0 + k % 2 for k in range(20)] + [70.0] * 5, sudden) == rises
    assert levels(DUST, [60.0 + k % 2 for k in range(20)] + [70.0] * 5, sudden) == []
    assert levels(DUST, [2.0 + k % 2 for k in range(20)] + [20.0] * 5, sudden) == [], "three times next to nothing"
    assert levels(DUST, [70.0] * 3, sudden) == [], "nobody knows what is usual"


def test_a_difference_is_a_jump_of_its_own() -> None:
    one = jump_rule(1, unit="ug/m3", floor=0.0, enter=30.0, leave=10.0)
    assert levels(DUST, [60.0 + k % 2 for k in range(20)] + [95.0] * 3, one) == [(20, "P/pm2_5_ug_m3 jump 1800 0", 1)]


@given(st.lists(st.sampled_from([5.0, 20.0, 21.0, 60.0, 200.0]), max_size=60), st.lists(st.integers(0, 60), max_size=4))
@thorough(60)
def test_a_jump_is_the_value_over_the_median_of_the_slots_before_it(values: list[float], cuts: list[int]) -> None:
    span_us, floor, rest = 30 * MINUTE_US, 10.0, 1.5
    slot_us = -(-span_us // 24)
    machine = Jump(span_us=np.array([span_us]), floor=np.array([floor]), rest=np.array([rest]))
    whole = batch(values)
    found, state, start = [], machine.empty(), 0
    for end in (*sorted(cuts), len(values)):
        piece = whole[start:end]
        number, state = machine.follow(piece, np.ones(len(piece), dtype=bool), state)
        found += number.value.tolist()
        start = max(start, end)
    assert isinstance(state, JumpState)
    slots: dict[int, tuple[int, float]] = {}
    expected = []
    for time_us, value in zip(whole.time_us.tolist(), values, strict=True):
        held = [(t, v) for t, v in list(slots.values())[-24:] if time_us - span_us <= t < time_us]
        enough = len(held) >= 5 and 2 * (time_us - min(t for t, _ in held)) >= span_us
        median = float(np.median([v for _, v in held])) if enough else float("nan")
        low = value / floor < rest
        expected.append(value / floor if low else value / max(median, floor) if enough else float("nan"))
        slots.setdefault(time_us // slot_us, (time_us, value))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_noise_on_the_line_moves_a_level_a_few_times_an_hour_at_most(noise: float) -> None:
    rng = np.random.default_rng(4)
    hours = 24
    for height in (1.8, 1.9, 2.0):
        values = (height + noise * rng.standard_normal(60 * hours)).tolist()
        found = levels(STAGE, values, level_rule(1, 2.0))
        assert len(found) <= 2 * hours


def test_no_series_pays_for_an_input_that_no_rule_of_it_uses() -> None:
    assert TRACKS.ladders.uses[DUST] != 0
    reg = registry(station("A"), station("R", Sensor(quantity="rain_mm")))
    ladders = compile_rules([level_rule(1, 2.0), sum_rule(1, 10.0)], reg).ladders
    assert ladders.uses.tolist() == [0, 1]
    assert [one.series.tolist() for one in ladders.listeners] == [[1]]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (sum_rule(1, 10.0, over_h=2.0), "over_h is 2 but must be one of 1, 3, 12, 24, 72"),
        (sum_rule(1, 10.0, quantity="stage_m", unit="m"), "there is no such number of it"),
        (jump_rule(1, floor=0.0), "floor is 0 but must be above 0 for a ratio"),
        (jump_rule(1, over_s=300.0), "over_s of jump.1 is 300 but must span 10 readings, 600 s"),
        (level_rule(1, 2.0, below=True, leave=1.8), "must be above enter"),
        (level_rule(1, 2.0, travel_s=60.0), "needs for_areas"),
        (level_rule(1, 2.0, for_areas=("nowhere",)), "'nowhere' is not in stations.toml"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: Rule, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        compile_rules([rule], REG)


def test_a_station_upstream_speaks_for_the_areas_downstream_beside_its_own() -> None:
    up = level_rule(1, 2.5, id="up", for_areas=("other",), travel_s=7200.0, stations=("A",))
    ladders = compile_rules([level_rule(1, 2.0), up], REG).ladders
    assert ladders.areas[:2] == (("village",), ("other",))
    assert ladders.travel_us[:2].tolist() == [0, 7_200_000_000]
    assert ladders.enter[0, :2].tolist() == [2.0, 2.5]


def test_replacing_a_state_does_not_change_the_old_one() -> None:
    arrivals = Arrivals.of(batch([20.0] * 30, series=DUST))
    state = before(TRACKS)
    kept = before(TRACKS)
    run(TRACKS, arrivals, state)
    same(replace(state, pending=()), replace(kept, pending=()))
