"""Two tracks: the settled one does not depend on how readings arrive, and the live one misses none of its rises."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alerts import snapshot
from alerts.columns import Rows
from alerts.snapshot import Snapshot
from alerts.track_state import TrackState
from sensors.batch import ReadingBatch
from tests.alerts.tracks_world import (
    REG,
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
from tests.builders import MINUTE_US, T0_US, batch, thorough

TRACKS = tracks()


def same(one: object, other: object) -> None:
    """Two states are equal in all their arrays."""
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    elif is_dataclass(one):
        for f in fields(one):
            same(getattr(one, f.name), getattr(other, f.name))


def same_tracks(one: TrackState, other: TrackState) -> None:
    """Two states say the same, however much of them is settled."""
    one, other = settled_at_last(TRACKS, one)[0], settled_at_last(TRACKS, other)[0]
    for name in ("clocks", "live", "settled", "retro"):
        same(getattr(one, name), getattr(other, name))


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
    assert plain(at_once[2]) == plain(in_parts[2])
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


def test_what_contradicts_a_final_reading_changes_nothing() -> None:
    later = [reading(3.5, m, m) for m in range(1, 30)]
    assert steps(joined(reading(3.5, 0, 0), *later, reading(1.0, 0, 29))) == [(0, 0, 2, False)]


def test_beyond_the_bound_a_reading_speaks_for_the_past_only() -> None:
    fresh = [reading(1.0, m, m) for m in range(20, 22)]
    old = [reading(3.5, m, 22) for m in (1, 2, 3)]
    state, told, retro, _ = run(TRACKS, joined(*fresh, *old), empty(TRACKS))
    assert plain(told) == []
    assert [(r[3], r[7], r[8]) for r in plain(retro)] == [(0, 0, 2)]
    assert state.live.ladders.level().tolist() == [0] * len(TRACKS.ladders)


def test_an_older_backlog_behind_a_newer_one_is_looked_at_as_well() -> None:
    fresh = reading(1.0, 1000, 1000)
    newer = [reading(3.5, m, 1001) for m in (500, 501)]
    older = [reading(3.5, m, 1001) for m in (100, 101)]
    _, _, retro, _ = run(TRACKS, joined(fresh, *newer, *older), empty(TRACKS))
    assert [(r[4] - T0_US) // MINUTE_US for r in plain(retro)] == [500, 100]  # type: ignore[operator]


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
