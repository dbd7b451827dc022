"""Two tracks: the settled one does not depend on how readings arrive, and the live one misses none of its rises."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import snapshot
from alerts.columns import Rows, Told
from alerts.judgement import Judged, assess
from alerts.snapshot import Snapshot
from alerts.track_state import TrackState
from alerts.tracks import DAY_US, shown
from sensors.batch import ReadingBatch
from sensors.checks import Flagged, flag
from tests.alerts.tracks_world import (
    REG,
    RULES,
    Arrivals,
    contradicted,
    disordered,
    empty,
    of_track,
    plain,
    readings,
    run,
    settled_at_last,
    tracks,
)
from tests.builders import MINUTE_US, T0_US, batch, registry, station, thorough

TRACKS = tracks()


def same(one: object, other: object) -> None:
    """Two states are equal in all their arrays."""
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    elif is_dataclass(one):
        for f in fields(one):
            same(getattr(one, f.name), getattr(other, f.name))
    elif isinstance(one, tuple) and isinstance(other, tuple):
        for a, b in zip(one, other, strict=True):
            same(a, b)


def same_tracks(one: TrackState, other: TrackState) -> None:
    """Two states say the same, however much of them is settled."""
    one, other = settled_at_last(TRACKS, one)[0], settled_at_last(TRACKS, other)[0]
    for name in ("clocks", "live", "settled"):
        same(getattr(one, name), getattr(other, name))


def past(retro: Sequence[Told]) -> list[tuple[object, ...]]:
    """What is told of the past: the first reading for each ladder, day and level."""
    first = {(row[3], row[4] // DAY_US, row[8]): row for row in reversed(plain(retro))}  # type: ignore[operator]
    return sorted(first.values(), key=str)


whole_streams = readings().flatmap(contradicted)


@given(whole_streams, st.data())
@thorough(40)
def test_any_order_of_arrival_within_the_bound_settles_the_same(whole: ReadingBatch, data: st.DataObject) -> None:
    found = []
    for _ in range(2):
        arrivals = Arrivals.of(data.draw(disordered(whole)))
        cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=5))
        state, _, retro, settled = run(TRACKS, arrivals, empty(TRACKS), cuts, settle=data.draw(st.booleans()))
        state, last = settled_at_last(TRACKS, state)
        assert plain(retro) == []
        found.append((of_track([*settled, last]), state))
    assert found[0][0] == found[1][0]
    for name in ("live", "settled"):
        same(getattr(found[0][1], name), getattr(found[1][1], name))


@given(whole_streams, st.data())
@thorough(40)
def test_after_the_last_reading_the_live_levels_are_the_settled_ones(whole: ReadingBatch, data: st.DataObject) -> None:
    arrivals = Arrivals.of(data.draw(disordered(whole)))
    state, told, _, _ = run(TRACKS, arrivals, empty(TRACKS), data.draw(st.lists(st.integers(0, 80), max_size=4)))
    level = np.zeros(len(TRACKS.ladders), dtype=np.int64)
    for _, _, _, ladder, _, _, _, from_level, to_level, _ in plain(told):
        assert level[ladder] == from_level  # type: ignore[call-overload]
        level[ladder] = to_level  # type: ignore[call-overload]
    final, _ = settled_at_last(TRACKS, state)
    same(final.live, final.settled)
    np.testing.assert_array_equal(level, final.settled.ladders.level())


@given(whole_streams, st.data())
@thorough(40)
def test_no_settled_rise_is_missing_from_the_live_track(whole: ReadingBatch, data: st.DataObject) -> None:
    arrivals = Arrivals.of(data.draw(disordered(whole)))
    state, told, _, settled = run(TRACKS, arrivals, empty(TRACKS), data.draw(st.lists(st.integers(0, 80), max_size=4)))
    _, last = settled_at_last(TRACKS, state)
    live = plain(told)
    for _, seq, _, ladder, _, _, _, from_level, to_level, _ in plain([*settled, last]):
        if to_level <= from_level:  # type: ignore[operator]
            continue
        mine = [row for row in live if row[3] == ladder]
        before = [row[8] for row in mine if row[0] < seq][-1:]  # type: ignore[operator]
        since = [row[8] for row in mine if row[0] >= seq]  # type: ignore[operator]
        assert max([0, *before, *since]) >= to_level  # type: ignore[type-var,operator]


@given(whole_streams, st.integers(0, 60), st.lists(st.integers(0, 80), max_size=6), st.data())
@thorough(40)
def test_cutting_and_settling_change_nothing_that_is_told(
    whole: ReadingBatch, minutes: int, cuts: list[int], data: st.DataObject
) -> None:
    """Also of readings that come beyond the bound."""
    arrivals = Arrivals.of(data.draw(disordered(whole, longest_us=(minutes + 1) * MINUTE_US)))
    at_once = run(TRACKS, arrivals, empty(TRACKS))
    in_parts = run(TRACKS, arrivals, empty(TRACKS), cuts, settle=True)
    assert plain(at_once[1]) == plain(in_parts[1])
    assert past(at_once[2]) == past(in_parts[2])
    same_tracks(at_once[0], in_parts[0])
    final = settled_at_last(TRACKS, at_once[0])[1], settled_at_last(TRACKS, in_parts[0])[1]
    assert of_track([*at_once[3], final[0]]) == of_track([*in_parts[3], final[1]])


@given(whole_streams, st.integers(0, 60), st.integers(0, 80), st.data())
@thorough(20)
def test_a_snapshot_goes_on_where_it_was_taken(
    tmp_path_factory: object, whole: ReadingBatch, minutes: int, at: int, data: st.DataObject
) -> None:
    arrivals = Arrivals.of(data.draw(disordered(whole, longest_us=(minutes + 1) * MINUTE_US)))
    path = Path(tmp_path_factory.mktemp("snapshot")) / "judge.npz"  # type: ignore[attr-defined]
    state, told, _, _ = run(TRACKS, arrivals[:at], empty(TRACKS))
    snapshot.save(path, Snapshot(seq=1, state=state, quiet_us=np.zeros(3, dtype=np.int64), listened_us=2), "mark")
    held = snapshot.load(path, "mark", empty=empty(TRACKS))
    assert held is not None
    same(held.state.all_pending(), state.all_pending())
    end, more, _, _ = run(TRACKS, arrivals[at:], held.state)
    straight = run(TRACKS, arrivals, empty(TRACKS))
    assert plain([*told, *more]) == plain(straight[1])
    same_tracks(end, straight[0])


def reading(value: float, minute: float, received: float, series: int = 0) -> ReadingBatch:
    return batch(
        [value],
        series=series,
        times_us=[T0_US + round(minute * MINUTE_US)],
        delay_us=round((received - minute) * MINUTE_US),
    )


def joined(*parts: ReadingBatch) -> Arrivals:
    columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(ReadingBatch)}
    return Arrivals.of(ReadingBatch(**columns))


def steps(arrivals: Arrivals) -> list[tuple[object, ...]]:
    """(minute of the deciding reading, from, to, late) of the first ladder."""
    _, told, _, _ = run(TRACKS, arrivals, empty(TRACKS))
    return [((r[4] - T0_US) // MINUTE_US, r[7], r[8], r[9]) for r in plain(told) if r[3] == 0]  # type: ignore[operator]


def test_a_late_reading_completes_a_hold() -> None:
    assert steps(joined(reading(2.5, 0, 0), reading(2.5, 6, 6), reading(2.5, 3, 7))) == [(3, 0, 1, True)]


def test_a_rise_that_is_over_by_now_is_told_and_taken_back() -> None:
    low = [reading(1.0, m, m) for m in range(2, 9)]
    arrivals = joined(reading(1.0, 0, 0), *low, reading(3.5, 1, 9))
    assert steps(arrivals) == [(1, 0, 2, True), (8, 2, 0, True)]


def test_a_contradicted_reading_raises_no_more() -> None:
    arrivals = joined(reading(3.5, 0, 0), reading(1.0, 0, 1))
    assert steps(arrivals) == [(0, 0, 2, False), (0, 2, 0, True)]


def test_a_reading_beyond_the_bound_moves_no_watermark_of_those_before_it_in_the_batch() -> None:
    late = [reading(1.0, 0, 0), reading(2.5, 6, 6), reading(1.0, 2, 7), reading(2.5, 3, 7)]
    later = [reading(1.0, m, m) for m in range(8, 32)]
    arrivals = joined(*late, *later, reading(1.0, 20.5, 31))
    assert steps(arrivals)[0] == (6, 0, 1, True)


def test_what_contradicts_a_final_reading_changes_nothing() -> None:
    later = [reading(3.5, m, m) for m in range(1, 30)]
    assert steps(joined(reading(3.5, 0, 0), *later, reading(1.0, 0, 29))) == [(0, 0, 2, False)]


def test_beyond_the_bound_a_reading_speaks_for_the_past_only() -> None:
    fresh = [reading(1.0, m, m) for m in range(20, 22)]
    old = [reading(3.5, m, 22) for m in (1, 2, 3)]
    state, told, retro, _ = run(TRACKS, joined(*fresh, *old), empty(TRACKS))
    assert plain(told) == []
    assert [(r[3], (r[4] - T0_US) // MINUTE_US, r[7], r[8]) for r in plain(retro)] == [(0, 1, 0, 2)]  # type: ignore[operator]
    assert state.live.ladders.level().tolist() == [0] * len(TRACKS.ladders)


def test_a_device_of_the_wrong_zone_is_judged_by_arrival_after_ten_minutes() -> None:
    behind = joined(*[reading(1.0, m - 7 * 60, m) for m in range(11)], *[reading(3.5, m - 7 * 60, m) for m in (11, 12)])
    state, told, _, _ = run(TRACKS, behind, empty(TRACKS))
    assert [((r[4] - T0_US) // MINUTE_US, r[6], r[8]) for r in plain(told)] == [(11, 2, 2)]  # type: ignore[operator]
    assert state.live.window.last_us[0] == T0_US + 12 * MINUTE_US


def test_nothing_pending_is_kept_behind_the_watermark() -> None:
    state, _, _, _ = run(TRACKS, joined(*[reading(1.0, m, m) for m in range(100)]), empty(TRACKS))
    state, _ = TRACKS.settle(state)
    assert len(state.all_pending()) == 10
    assert isinstance(state.all_pending(), Rows)
    assert len(REG.series) == 3


@given(whole_streams, st.integers(20, 900), st.lists(st.integers(0, 160), max_size=6), st.data())
@thorough(40)
def test_a_box_clock_put_back_is_cut_as_any_other_stream(
    whole: ReadingBatch, minutes: int, cuts: list[int], data: st.DataObject
) -> None:
    """First all that came while the box was ahead and its devices right, then the same readings later, in good time."""
    ahead = data.draw(disordered(replace(whole, time_us=whole.time_us + minutes * MINUTE_US)))
    good = data.draw(disordered(replace(whole, time_us=whole.time_us + 1)))
    arrivals = joined(ahead, good)
    at_once = run(TRACKS, arrivals, empty(TRACKS))
    in_parts = run(TRACKS, arrivals, empty(TRACKS), cuts, settle=True)
    assert plain(at_once[1]) == plain(in_parts[1])
    assert past(at_once[2]) == past(in_parts[2])
    same_tracks(at_once[0], in_parts[0])
    final, last = settled_at_last(TRACKS, at_once[0])
    same(final.live, final.settled)
    assert of_track([*at_once[3], last]) == of_track([*in_parts[3], settled_at_last(TRACKS, in_parts[0])[1]])


def test_a_series_that_stands_in_the_future_begins_anew_and_keeps_its_level() -> None:
    wrong = [reading(2.5, m + 420, m + 420) for m in range(10)]
    good = [reading(2.5, 30, 30), reading(4.5, 31, 31), reading(4.5, 34, 34)]
    state, told, _, _ = run(TRACKS, joined(*wrong, *good), empty(TRACKS))
    assert [((r[4] - T0_US) // MINUTE_US, r[7], r[8]) for r in plain(told) if r[3] == 0] == [  # type: ignore[operator]
        (421, 0, 1),
        (31, 1, 2),
        (34, 2, 3),
    ]
    assert state.reached_us[0] == T0_US + 34 * MINUTE_US
    assert state.live.ladders.last_us[0] == T0_US + 34 * MINUTE_US


def test_a_small_correction_of_our_clock_begins_nothing_anew() -> None:
    assert steps(joined(reading(2.5, 0, 0), reading(2.5, 6, 6), reading(2.5, 3, 3))) == [(3, 0, 1, True)]


RARE = registry(station("A", cadence_s=200), station("B", cadence_s=200), station("C", cadence_s=200))
SMALL = replace(tracks(RARE, RULES[:3]), room=3)
"""Six pending readings fill a series."""


@given(whole_streams, st.lists(st.integers(0, 80), max_size=6), st.data())
@thorough(40)
def test_a_full_series_is_cut_as_any_other(whole: ReadingBatch, cuts: list[int], data: st.DataObject) -> None:
    arrivals = Arrivals.of(data.draw(disordered(whole)))
    at_once, in_parts = run(SMALL, arrivals, empty(SMALL)), run(SMALL, arrivals, empty(SMALL), cuts, settle=True)
    assert plain(at_once[1]) == plain(in_parts[1])
    assert past(at_once[2]) == past(in_parts[2])
    final, last = settled_at_last(SMALL, at_once[0])
    other, end = settled_at_last(SMALL, in_parts[0])
    same(final.live, final.settled)
    same(final, other)
    assert of_track([*at_once[3], last]) == of_track([*in_parts[3], end])
    assert np.bincount(SMALL.settle(in_parts[0])[0].all_pending().series, minlength=3).max() <= 6


def test_a_full_series_takes_nothing_out_of_order() -> None:
    arrivals = joined(*[reading(1.0, m, m) for m in range(6)], reading(3.5, 1.5, 6), reading(3.5, 6.5, 6.5))
    taken = SMALL.take(arrivals.batch, arrivals.conflict, arrivals.seq, empty(SMALL))
    assert taken.beyond.tolist() == [False] * 6 + [True, False]
    assert [(r[1], r[8]) for r in plain([taken.told])] == [(8, 2)]
    assert [(r[1], r[8]) for r in plain([taken.retro])] == [(7, 2)]


def test_one_series_can_ask_for_no_more_than_it_has_room_for() -> None:
    descending = [reading(1.0, 10 - k / 200, 10) for k in range(1500)]
    folds: list[int] = []

    def counted(batch: ReadingBatch, *args: object, **more: object) -> Judged:
        folds.append(len(batch))
        return assess(batch, *args, **more)  # type: ignore[arg-type]

    run(replace(TRACKS, assess=counted), joined(*descending), empty(TRACKS))
    assert len(folds) < 300
    assert max(folds[1:]) <= 257


def test_two_encodings_of_one_value_are_one_value() -> None:
    exact = replace(TRACKS, shown=shown(REG))
    twice = [
        reading(value, m, m + later) for m in range(4) for value, later in ((4.53, 0), (float(np.float32(4.53)), 0.1))
    ]
    arrivals = joined(*twice)
    taken = exact.take(arrivals.batch, arrivals.conflict, arrivals.seq, empty(exact))
    assert taken.alike.tolist() == [False, True] * 4
    assert taken.listened.tolist() == [True, False] * 4
    assert [r[8] for r in plain([taken.told]) if r[3] == 0] == [2, 3]
    assert [
        r[8] for r in plain([TRACKS.take(arrivals.batch, arrivals.conflict, arrivals.seq, empty(TRACKS)).told])
    ] != [2, 3]


@pytest.mark.parametrize("received_days_later", [0, 3])
def test_a_check_that_breaks_on_the_very_first_readings_is_told(received_days_later: int) -> None:
    """Live and backfilled."""

    def poisoned(readings: ReadingBatch, *more: Any) -> Flagged:
        if (readings.value == 13.0).any():
            raise ValueError("thirteen")
        return flag(readings, *more)

    rows = batch([13.0, 1.0, 1.0])
    rows = replace(rows, received_us=rows.time_us + received_days_later * 86_400_000_000)
    one = replace(tracks(), assess=partial(assess, check=poisoned))
    taken = one.take(rows, np.zeros(3, dtype=np.bool_), np.arange(1, 4), empty(one))
    assert taken.broken.tolist() == [True, False, False]
    assert any("thirteen" in error for error in taken.errors)
