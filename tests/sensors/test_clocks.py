"""Clocks: what is steadily wrong is corrected, what is merely late is not, and no cutting changes either."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors import clocks
from sensors.batch import ReadingBatch
from sensors.box_clock import box_is_wrong
from sensors.clocks import FUTURE_US, PAST_US, RENEWED_US, SLACK_US, WATCHED_US, ClockState, place
from sensors.flags import Flag
from sensors.window import NEVER
from tests.builders import MINUTE_US, T0_US, batch, cut, thorough
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


def after(readings: ReadingBatch, cadence_us: int) -> int:
    """When the next reading would arrive."""
    return int(readings.received_us[-1]) + cadence_us


def drained(n: int, *, every_us: int, cadence_us: int = MINUTE_US, start_us: int = T0_US) -> ReadingBatch:
    """So many readings measured from a time on, that arrive one by one after the last."""
    return ReadingBatch.of(
        series=np.zeros(n),
        time_us=start_us + cadence_us * np.arange(n),
        value=np.ones(n),
        received_us=start_us + cadence_us * n + every_us * np.arange(n),
    )


def packed(packs: int, *, cadence_us: int, many: int, skew_us: int, newest_first: bool = False) -> ReadingBatch:
    """Several readings an uplink."""
    time_us = T0_US + cadence_us * np.arange(packs * many).reshape(packs, many)
    received_us = np.repeat(time_us[:, -1], many)
    times = time_us[:, ::-1] if newest_first else time_us
    return ReadingBatch.of(
        series=np.zeros(packs * many),
        time_us=times.ravel() + skew_us,
        value=np.ones(packs * many),
        received_us=received_us,
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
def test_a_first_backlog_drained_at_another_rate_than_it_was_measured_is_never_steady(every_us: int) -> None:
    """A reading of each minute of a day, one a second, one in half a minute, and one in two minutes."""
    assert flags(drained(1440, every_us=every_us)) == [Flag.GOOD] * 1440


CADENCES_US = [MINUTE_US, 5 * MINUTE_US, 15 * MINUTE_US]


@pytest.mark.parametrize("cadence_us", CADENCES_US)
@pytest.mark.parametrize("rate", [0.02, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0, 1.01, 1.05, 1.1, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("lead_us", [0, 7 * HOUR_US, -7 * HOUR_US])
def test_a_queue_behind_a_known_clock_is_never_now_however_fast_it_drains(
    lead_us: int, rate: float, cadence_us: int
) -> None:
    """Six hours heard, a day silent, then one queued reading an uplink: one a cadence at rate 1."""
    heard = arriving(lead_us, n=6 * HOUR_US // cadence_us, every_us=cadence_us)
    lost = 24 * HOUR_US // cadence_us
    late = drained(lost, cadence_us=cadence_us, every_us=round(cadence_us * rate), start_us=after(heard, cadence_us))
    state = place(heard, ClockState.empty(1)).state
    placed = place(replace(late, time_us=late.time_us + lead_us), state)
    lag_us = late.received_us - late.time_us
    # What is stamped as of now cannot be told from a clock that was set right; what is doubted moves nothing.
    told_apart = (lag_us > FUTURE_US) & (np.abs(lag_us - lead_us) > FUTURE_US) & (placed.flag != Flag.SUSPECT)
    assert (placed.judged_us[told_apart] == late.time_us[told_apart]).all()


def test_a_queue_of_six_hours_that_keeps_its_length_is_late_and_not_skewed() -> None:
    heard = arriving(0, n=240)
    silent_us = 6 * HOUR_US
    queue = arriving(-silent_us, n=600, start_us=after(heard, MINUTE_US) + silent_us)
    placed = place(queue, place(heard, ClockState.empty(1)).state)
    assert (placed.flag == Flag.GOOD).all()
    assert (placed.judged_us == queue.time_us).all()


@pytest.mark.parametrize("lost_every", [2, 3, 5])
def test_a_queue_that_grows_by_one_at_each_lost_uplink_is_never_a_skew(lost_every: int) -> None:
    """The head of the queue goes again until it is acknowledged; hours later no uplink is lost any more."""
    heard = arriving(0, n=60)
    uplinks = after(heard, MINUTE_US) + MINUTE_US * np.arange(900)
    kept = uplinks[(np.arange(900) % lost_every != 0) | (np.arange(900) > 600)]
    queue = ReadingBatch.of(
        series=np.zeros(len(kept)),
        time_us=after(heard, MINUTE_US) + MINUTE_US * np.arange(len(kept)),
        value=np.ones(len(kept)),
        received_us=kept,
    )
    placed = place(queue, place(heard, ClockState.empty(1)).state)
    assert (placed.judged_us - queue.time_us <= WATCHED_US + SLACK_US).all()
    assert (queue.received_us - queue.time_us)[-1] > HOUR_US


def test_a_clock_that_falls_back_in_device_time_is_skewed_and_not_late() -> None:
    assert flags(arriving([0] * 60 + [-7 * HOUR_US] * 30)) == [1] * 70 + [2] * 20


def test_a_clock_that_comes_back_wrong_after_a_long_silence_is_skewed_and_not_late() -> None:
    """Silent for ten hours, then seven behind: three hours of device time went by, no queue goes on so."""
    heard = arriving(0, n=60)
    wrong = arriving(-7 * HOUR_US, n=30, start_us=after(heard, MINUTE_US) + 10 * HOUR_US)
    placed = place(wrong, place(heard, ClockState.empty(1)).state)
    assert placed.flag.tolist() == [1] * 10 + [2] * 20


@pytest.mark.parametrize("cadence_us", CADENCES_US)
def test_fewer_than_five_arrivals_are_never_steady(cadence_us: int) -> None:
    found = flags(arriving(7 * HOUR_US, n=30, every_us=cadence_us))
    doubted = max(4, 10 * MINUTE_US // cadence_us)
    assert found == [3] * doubted + [2] * (30 - doubted)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("skew_us", [7 * HOUR_US, -7 * HOUR_US])
@pytest.mark.parametrize(("cadence_us", "many"), [(5 * MINUTE_US, 3), (2 * MINUTE_US, 3), (15 * MINUTE_US, 4)])
def test_a_skewed_device_that_packs_its_readings_is_corrected_and_they_keep_their_distances(
    cadence_us: int, many: int, skew_us: int, newest_first: bool
) -> None:
    readings = packed(30, cadence_us=cadence_us, many=many, skew_us=skew_us, newest_first=newest_first)
    placed = place(readings, ClockState.empty(1))
    known = slice(many * max(4, -(-10 * MINUTE_US // (cadence_us * many))) + many, None)
    assert (placed.flag[known] == Flag.UNKNOWN).all()
    assert (placed.judged_us[known] == readings.time_us[known] - skew_us).all()


def test_a_good_clock_that_packs_its_readings_is_left_alone() -> None:
    readings = packed(30, cadence_us=15 * MINUTE_US, many=8, skew_us=0)
    placed = place(readings, ClockState.empty(1))
    assert (placed.flag == Flag.GOOD).all()
    assert (placed.judged_us == readings.time_us).all()


def test_a_backlog_of_a_clock_known_to_be_ahead_is_old_also_where_its_stamps_say_now() -> None:
    """Seven hours ahead, a day of readings in one pack: those of seven hours ago are stamped as of this minute."""
    heard = arriving(7 * HOUR_US, n=60)
    at_us = after(heard, MINUTE_US) + 24 * HOUR_US
    time_us = after(heard, MINUTE_US) + 7 * HOUR_US + MINUTE_US * np.arange(1440)
    pack = ReadingBatch.of(
        series=np.zeros(1440), time_us=time_us, value=np.ones(1440), received_us=np.full(1440, at_us)
    )
    placed = place(pack, place(heard, ClockState.empty(1)).state)
    assert (placed.judged_us == time_us - 7 * HOUR_US).all()
    assert (placed.flag == Flag.UNKNOWN).all()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("skew_us", [7 * HOUR_US, -7 * HOUR_US])
def test_three_minutes_of_jitter_on_the_way_delay_the_correction_and_do_not_prevent_it(skew_us: int, seed: int) -> None:
    way_us = np.random.default_rng(seed).integers(0, 3 * MINUTE_US, 1500)
    received_us = np.maximum.accumulate(T0_US + MINUTE_US * np.arange(1500) + way_us)
    readings = ReadingBatch.of(
        series=np.zeros(1500),
        time_us=T0_US + MINUTE_US * np.arange(1500) + skew_us,
        value=np.ones(1500),
        received_us=received_us,
    )
    placed = place(readings, ClockState.empty(1))
    assert (placed.flag[30:] == Flag.UNKNOWN).all()
    off_us = placed.judged_us[30:] - (readings.time_us[30:] - skew_us)
    assert (np.abs(off_us) <= 3 * MINUTE_US).all()
    assert len(np.unique(off_us)) <= 6, "a constant shift, but for a renewal in six hours"


def test_a_clock_that_starts_in_1970_at_every_wake_is_doubted() -> None:
    readings = arriving(-YEARS_56_US - 15 * MINUTE_US * np.arange(100), every_us=15 * MINUTE_US)
    placed = place(readings, ClockState.empty(1))
    assert (placed.flag == Flag.SUSPECT).all()
    assert (placed.judged_us == readings.time_us).all()


def test_a_backlog_of_four_years_is_late_and_not_of_a_wrong_clock() -> None:
    assert flags(drained(200, every_us=1_000_000, start_us=T0_US)) == [Flag.GOOD] * 200
    old = drained(200, every_us=1_000_000)
    assert flags(replace(old, time_us=old.time_us - 4 * 8766 * HOUR_US)) == [Flag.GOOD] * 200
    assert flags(replace(old, time_us=old.time_us - PAST_US)) == [Flag.SUSPECT] * 200


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


def test_a_clock_is_known_as_steadily_wrong_from_the_reading_that_is_put_right_first() -> None:
    readings, state = arriving(7 * HOUR_US, n=15), ClockState.empty(1)
    for piece in cut(readings, range(1, 15)):
        placed = place(piece, state)
        state = placed.state
        assert bool(state.steady[0]) == (placed.flag[-1] == Flag.UNKNOWN)


def test_nothing_is_kept_of_a_run_that_has_ended() -> None:
    state = place(arriving([7 * HOUR_US] * 15 + [0] * 2), ClockState.empty(1)).state
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


def test_a_box_whose_clock_jumps_seven_hours_ahead_is_accused_although_each_series_looks_like_a_queue() -> None:
    series, minutes = 8, 60
    device_us = np.repeat(T0_US + MINUTE_US * np.arange(minutes), series)
    received_us = device_us + np.where(device_us >= T0_US + 30 * MINUTE_US, 7 * HOUR_US, 0)
    readings = ReadingBatch.of(
        series=np.tile(np.arange(series), minutes),
        time_us=device_us,
        value=np.ones(series * minutes),
        received_us=received_us,
    )
    placed = place(readings, ClockState.empty(series))
    assert (placed.judged_us == device_us).all()
    assert box_is_wrong(placed.state, np.arange(series), int(received_us[-1]))
    soon = place(readings[: 35 * series], ClockState.empty(series)).state
    assert not box_is_wrong(soon, np.arange(series), int(received_us[35 * series - 1])), "five minutes prove nothing"


def test_a_station_has_one_vote_on_the_box_however_many_series_it_has() -> None:
    station = np.repeat(np.arange(10), [10, 10, 10, 1, 1, 1, 1, 1, 1, 1])
    n, minutes = len(station), 30
    received_us = np.repeat(T0_US + MINUTE_US * np.arange(minutes), n)
    lead_us = np.tile(np.where(station < 3, 7 * HOUR_US, 0), minutes)
    series = np.tile(np.arange(n), minutes)
    lying = ReadingBatch.of(
        series=series, time_us=received_us + lead_us, value=np.ones(len(series)), received_us=received_us
    )
    assert not box_is_wrong(place(lying, ClockState.empty(n)).state, station, int(received_us[-1]))


def test_the_first_words_after_an_outage_of_all_stations_do_not_accuse_the_box() -> None:
    series = 8
    before_us, oldest_us = T0_US + MINUTE_US * np.arange(30), T0_US + MINUTE_US * np.arange(30, 31)
    time_us = np.repeat(np.concatenate([before_us, oldest_us]), series)
    received_us = np.repeat(np.concatenate([before_us, oldest_us + 40 * MINUTE_US]), series)
    readings = ReadingBatch.of(
        series=np.tile(np.arange(series), 31), time_us=time_us, value=np.ones(31 * series), received_us=received_us
    )
    assert not box_is_wrong(place(readings, ClockState.empty(series)).state, np.arange(series), int(received_us[-1]))


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


LEADS_MIN = [0, 4, 6, 9, 11, 11, 420, 420, 420, 421, -11, -420, -420, -500, -500, -30_000_000]
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


@pytest.fixture(autouse=True)
def _every_queue_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the few rows of a drawn example."""
    monkeypatch.setattr(clocks, "MANY", 1)


@given(rows_strategy, st.lists(st.integers(0, 200), max_size=6))
@thorough(300)
def test_judged_times_do_not_depend_on_how_the_stream_is_cut(rows: Rows, at: list[int]) -> None:
    whole, empty = drawn(rows), ClockState.empty(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clocks, "MANY", 1 << 30)  # queues as rows like any other
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


goes_on = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([0, 1, 60, 60, 600, 40_000]),  # seconds after the arrival before
        st.sampled_from([-400, -200, 1, 60, 60, 60, 3_000, 4_000]),  # seconds of device time after the reading before
        st.integers(1, 4),
    ),
    max_size=40,
)


@given(goes_on, st.sampled_from([0, 0, 6 * HOUR_US, -6 * HOUR_US]), st.integers(0, 3), st.integers(0, 40))
@thorough(300)
def test_a_queue_at_once_is_what_its_readings_are_one_by_one(
    steps: list[tuple[int, int, int, int]], skew_us: int, silent_h: int, begun: int
) -> None:
    heard = batch([1.0] * 45, series=[0, 1, 2] * 15, times_us=[T0_US + k // 3 * MINUTE_US for k in range(45)])
    state = place(replace(heard, time_us=heard.time_us + skew_us), ClockState.empty(3)).state
    received_us = int(heard.received_us[-1]) + silent_h * HOUR_US
    newest_us = [int(heard.time_us[-1]) + skew_us] * 3
    series, times, arrivals = [], [], []
    for i, gap_s, went_s, many in steps:
        received_us += gap_s * 1_000_000
        for _ in range(many):
            newest_us[i] += went_s * 1_000_000
            series.append(i)
            times.append(newest_us[i])
            arrivals.append(received_us)
    queue = ReadingBatch.of(series=series, time_us=times, value=np.ones(len(times)), received_us=arrivals)
    state, queue = place(queue[:begun], state).state, queue[begun:]
    at_once = place(queue, state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clocks, "MANY", 1 << 30)
        one_by_one = place(queue, state)
    assert at_once.judged_us.tolist() == one_by_one.judged_us.tolist()
    assert at_once.flag.tolist() == one_by_one.flag.tolist()
    for f in fields(ClockState):
        np.testing.assert_array_equal(getattr(at_once.state, f.name), getattr(one_by_one.state, f.name), err_msg=f.name)
