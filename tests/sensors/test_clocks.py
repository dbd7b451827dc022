"""Clocks: what is steadily wrong is corrected, what is merely late is not, and no cutting changes either."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.batch import ReadingBatch
from sensors.clocks import FUTURE_US, RENEWED_US, ClockState, box_is_wrong, place
from sensors.flags import Flag
from sensors.window import NEVER
from tests.builders import MINUTE_US, T0_US, cut, thorough
from tests.sensors.plain import PlainClock

HOUR_US = 60 * MINUTE_US
YEARS_56_US = 56 * 8766 * HOUR_US


def arriving(
    lead_us: object, *, every_us: int = MINUTE_US, n: int | None = None, start_us: int = T0_US
) -> ReadingBatch:
    """Readings of series 0 that arrive `every_us`, each stamped `lead_us` ahead."""
    lead = np.asarray(lead_us)
    lead = np.broadcast_to(lead, (n,)) if n is not None else lead
    received = start_us + every_us * np.arange(len(lead))
    return ReadingBatch.of(
        series=np.zeros(len(lead)), time_us=received + lead, value=np.ones(len(lead)), received_us=received
    )


def flags(readings: ReadingBatch) -> list[int]:
    found: list[int] = place(readings, ClockState.empty(1)).flag.tolist()
    return found


@pytest.mark.parametrize("lead_us", [0, FUTURE_US, -FUTURE_US, -3 * MINUTE_US])
def test_a_clock_that_is_minutes_off_is_left_alone(lead_us: int) -> None:
    readings = arriving(lead_us, n=60)
    placed = place(readings, ClockState.empty(1))
    assert (placed.flag == Flag.GOOD).all()
    assert (placed.judged_us == readings.time_us).all()


def test_a_zone_fault_of_seven_hours_ahead_is_doubted_for_ten_minutes_and_then_corrected() -> None:
    readings = arriving(7 * HOUR_US, n=20)
    placed = place(readings, ClockState.empty(1))
    assert placed.flag.tolist() == [Flag.SUSPECT] * 10 + [Flag.UNKNOWN] * 10
    assert (placed.judged_us[:10] == readings.time_us[:10]).all()
    assert (placed.judged_us[10:] == readings.received_us[10:]).all()


def test_a_zone_fault_of_seven_hours_behind_is_corrected_after_ten_minutes() -> None:
    readings = arriving(-7 * HOUR_US, n=20)
    placed = place(readings, ClockState.empty(1))
    assert placed.flag.tolist() == [Flag.GOOD] * 10 + [Flag.UNKNOWN] * 10
    assert (placed.judged_us[10:] == readings.received_us[10:]).all()


def test_a_clock_fixed_in_mid_run_is_believed_at_once() -> None:
    readings = arriving([7 * HOUR_US] * 15 + [0] * 5)
    placed = place(readings, ClockState.empty(1))
    assert placed.flag.tolist() == [3] * 10 + [2] * 5 + [1] * 5
    assert (placed.judged_us[15:] == readings.time_us[15:]).all()


def test_a_clock_set_wrong_in_another_way_must_be_steady_anew() -> None:
    assert flags(arriving([7 * HOUR_US] * 15 + [8 * HOUR_US] * 15)) == [3] * 10 + [2] * 5 + [3] * 10 + [2] * 5


def test_a_backlog_of_a_day_in_one_burst_is_never_steady() -> None:
    burst = arriving(-MINUTE_US * np.arange(1440, 0, -1), every_us=5_000)
    assert flags(burst) == [Flag.GOOD] * 1440


@pytest.mark.parametrize("every_us", [1_000_000, 30_000_000, 45_000_000, 119_000_000])
def test_a_backlog_drained_at_another_rate_than_it_was_measured_is_never_steady(every_us: int) -> None:
    """A reading of each minute of a day, one a second, one in half a minute, and one in two minutes."""
    n = 1440
    time_us = T0_US + MINUTE_US * np.arange(n)
    received_us = T0_US + MINUTE_US * n + every_us * np.arange(n)
    late = ReadingBatch.of(series=np.zeros(n), time_us=time_us, value=np.ones(n), received_us=received_us)
    assert flags(late) == [Flag.GOOD] * n


def test_a_queue_that_grows_behind_a_good_clock_of_long_standing_never_becomes_a_skew() -> None:
    """A month on time, then a link that carries one reading where the device takes two."""
    good = arriving(0, n=30 * 24, every_us=HOUR_US)
    growing = -(30_000_000) * np.arange(24 * 60)
    queue = arriving(growing, every_us=MINUTE_US, start_us=int(good.received_us[-1]) + MINUTE_US)
    state = place(good, ClockState.empty(1)).state
    assert (place(queue, state).flag == Flag.GOOD).all()


def test_a_bad_oscillator_that_runs_away_stays_corrected() -> None:
    """A skew of 7 h that grows by 14 s an hour for two days, with 20 s of jitter on the way."""
    n = 2 * 24 * 60
    lead = 7 * HOUR_US + 14_000_000 * np.arange(n) // 60 + 20_000_000 * (np.arange(n) % 2)
    assert flags(arriving(lead)) == [3] * 10 + [2] * (n - 10)


def test_a_clock_that_slowly_drifts_beyond_what_is_believed_is_never_doubted() -> None:
    lead = 4 * MINUTE_US + 1_000_000 * np.arange(600)
    found = flags(arriving(lead))
    assert found[:361] == [Flag.GOOD] * 361
    assert set(found[361:]) == {Flag.UNKNOWN}


def test_the_renewal_of_its_reference_interrupts_no_correction() -> None:
    start_us = T0_US // RENEWED_US * RENEWED_US - HOUR_US
    readings, state, found = arriving(7 * HOUR_US, n=120, start_us=start_us), ClockState.empty(1), []
    for piece in cut(readings, range(120)):
        placed = place(piece, state)
        state = placed.state
        found += placed.flag.tolist()
    assert found == flags(readings) == [3] * 10 + [2] * 110


def test_nothing_is_kept_of_a_run_that_has_ended() -> None:
    state = place(arriving([7 * HOUR_US] * 15 + [0]), ClockState.empty(1)).state
    assert (state.since_us[0], state.since_lead_us[0], bool(state.steady[0])) == (NEVER, 0, False)


def stations_at(lead_us: list[int], *, start_us: int, minutes: int) -> tuple[ClockState, np.ndarray, int]:
    """Two series of each station, a reading of each every minute; the state, the stations, and the box's time."""
    n = 2 * len(lead_us)
    series = np.tile(np.arange(n), minutes)
    received = np.repeat(start_us + MINUTE_US * np.arange(minutes), n)
    lead = np.tile(np.repeat(lead_us, 2), minutes)
    readings = ReadingBatch.of(series=series, time_us=received + lead, value=np.ones(len(series)), received_us=received)
    return place(readings, ClockState.empty(n)).state, np.repeat(np.arange(len(lead_us)), 2), int(received[-1])


def test_ten_stations_that_agree_against_a_box_at_1970_say_that_the_box_is_wrong() -> None:
    leads = [YEARS_56_US + s * 1_000_000 for s in range(10)]
    state, stations, now_us = stations_at(leads, start_us=HOUR_US, minutes=12)
    assert box_is_wrong(state, stations, now_us)
    early, _, now_us = stations_at(leads, start_us=HOUR_US, minutes=5)
    assert not box_is_wrong(early, stations, now_us), "five minutes prove nothing"


@pytest.mark.parametrize(
    ("leads", "why"),
    [
        ([0] * 10, "all is well"),
        ([7 * HOUR_US] * 5 + [0] * 5, "half is no majority"),
        ([7 * HOUR_US] * 2, "two stations are no majority"),
        ([7 * HOUR_US, 6 * HOUR_US, -HOUR_US, 5 * HOUR_US], "they do not agree with each other"),
    ],
)
def test_the_box_is_not_accused_without_a_majority(leads: list[int], why: str) -> None:
    state, stations, now_us = stations_at(leads, start_us=T0_US, minutes=30)
    assert not box_is_wrong(state, stations, now_us), why


def test_who_was_not_heard_for_an_hour_has_no_say_on_the_box() -> None:
    state, stations, now_us = stations_at([7 * HOUR_US] * 4, start_us=T0_US, minutes=30)
    assert box_is_wrong(state, stations, now_us)
    assert not box_is_wrong(state, stations, now_us + 2 * HOUR_US)
    assert not box_is_wrong(ClockState.empty(8), stations, now_us)


def test_backlogs_of_all_stations_that_drain_together_do_not_accuse_the_box() -> None:
    n, series = 600, 8
    time_us = np.repeat(T0_US + MINUTE_US * np.arange(n), series)
    received_us = np.repeat(T0_US + MINUTE_US * n + 2_000_000 * np.arange(n), series)
    readings = ReadingBatch.of(
        series=np.tile(np.arange(series), n), time_us=time_us, value=np.ones(n * series), received_us=received_us
    )
    state = ClockState.empty(series)
    for piece in cut(readings, range(0, len(readings), 80)):
        state = place(piece, state).state
        assert not box_is_wrong(state, np.arange(series), int(piece.received_us.max(initial=T0_US)))


LEADS_MIN = [0, 4, 6, 9, 11, 11, 420, 420, 420, 421, -11, -420, -420]
rows_strategy = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(LEADS_MIN),
        st.integers(-50, 50),  # seconds of jitter
        st.sampled_from([0, 1, 30, 60, 60, 200, 700, 30_000]),  # seconds after the arrival before
        st.integers(1, 2) | st.integers(1, 15),  # so many times one after the other
    ),
    max_size=30,
)
Rows = list[tuple[int, int, int, int, int]]


def drawn(runs: Rows) -> ReadingBatch:
    rows = [run for run in runs for _ in range(run[4])]
    start_us = T0_US // RENEWED_US * RENEWED_US - 20 * MINUTE_US
    received = start_us + 1_000_000 * np.cumsum([r[3] for r in rows], dtype=np.int64)
    lead = np.array([r[1] * 60 + r[2] * (k % 3) for k, r in enumerate(rows)], dtype=np.int64) * 1_000_000
    return ReadingBatch.of(
        series=[r[0] for r in rows], time_us=received + lead, value=np.ones(len(rows)), received_us=received
    )


@given(rows_strategy, st.lists(st.integers(0, 200), max_size=6))
@thorough(300)
def test_judged_times_do_not_depend_on_how_the_stream_is_cut(rows: Rows, at: list[int]) -> None:
    whole, empty = drawn(rows), ClockState.empty(3)
    once = place(whole, empty)
    state, judged, found = empty, [], []
    for piece in cut(whole, at):
        placed = place(piece, state)
        state = placed.state
        judged.append(placed.judged_us)
        found.append(placed.flag)
    assert (np.concatenate(judged) == once.judged_us).all()
    assert (np.concatenate(found) == once.flag).all()
    for f in fields(ClockState):
        np.testing.assert_array_equal(getattr(state, f.name), getattr(once.state, f.name), err_msg=f.name)
        np.testing.assert_array_equal(getattr(empty, f.name), getattr(ClockState.empty(3), f.name))


@given(rows_strategy)
@thorough(300)
def test_judged_times_equal_a_plain_reading_of_the_rule(rows: Rows) -> None:
    whole = drawn(rows)
    placed = place(whole, ClockState.empty(3))
    plain = [PlainClock() for _ in range(3)]
    columns = (whole.series.tolist(), whole.time_us.tolist(), whole.received_us.tolist())
    expected = [plain[i].judged(time_us, received_us) for i, time_us, received_us in zip(*columns, strict=True)]
    assert list(zip(placed.judged_us.tolist(), placed.flag.tolist(), strict=True)) == expected
