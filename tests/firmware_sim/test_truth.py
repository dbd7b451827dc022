"""The physics: volumes are kept, the storm tells its story in time, the same seed is the same world."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.hydrology import Catchment, Gauge, Rating, cascade, delay, discharge_m3_s, excess_mm, respond
from firmware_sim.rainfall import Storm, rain
from firmware_sim.truth import Course, Truth, flash_flood, joined
from tests.firmware_sim.world import (
    AIR,
    BRIDGE,
    BROOK,
    MINUTE_US,
    RAIN,
    SITES,
    START_US,
    UPPER,
    WEIR,
    bank_fraction,
    stage_site,
    storm,
)

STAGE_SITES = (UPPER, BRIDGE, WEIR, BROOK)
SEEDS = range(12)


def first_minute(fraction: np.ndarray[tuple[int], np.dtype[np.float64]], at_least: float) -> int:
    """Minute at which a fraction of bank-full is first reached."""
    assert fraction.max() >= at_least, f"never reached {at_least}, the peak is {fraction.max():.3f}"
    return int(np.argmax(fraction >= at_least))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bridge_goes_through_all_levels_in_time(seed: int) -> None:
    fraction = bank_fraction(storm(seed=seed), BRIDGE)
    watch, warning, critical = (first_minute(fraction, level) for level in (0.62, 0.80, 1.00))
    assert 45 <= watch <= 60
    assert 20 <= warning - watch <= 30
    assert warning + 10 <= critical <= 140
    assert 1.05 <= fraction.max() <= 1.15


@pytest.mark.parametrize("seed", SEEDS)
def test_the_other_stations_stay_below_the_bridge_and_all_fall_in_time(seed: int) -> None:
    truth = storm(seed=seed)
    bridge = bank_fraction(truth, BRIDGE).max()
    for site in STAGE_SITES:
        fraction = bank_fraction(truth, site)
        assert fraction[0] < 0.30
        assert fraction.max() > 0.80
        assert site is BRIDGE or fraction.max() < bridge - 0.05
        assert (fraction[330:] < 0.55).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rise_is_one_that_a_rate_of_change_check_believes(seed: int) -> None:
    truth = storm(seed=seed)
    for site in STAGE_SITES:
        rise_m_h = np.diff(truth.course(site.station, "stage_m").value).max() * 60
        assert 1.5 < rise_m_h < 5.0


@pytest.mark.parametrize("reach_km", [4.0, 6.0, 9.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_lowest_station_of_usual_beds_is_flooded_whatever_the_layout(reach_km: float, seed: int) -> None:
    sites = [
        stage_site(
            f"S-{n}",
            14.94 - 0.012 * n,
            104.19 + 0.01 * n,
            stream="s",
            river_km=reach_km * (0.6 + 0.2 * n),
            bankfull_m=3.5,
        )
        for n in range(3)
    ]
    fractions = [bank_fraction(storm(seed=seed, sites=sites), site) for site in sites]
    assert 0.85 < fractions[0].max() < fractions[1].max() < fractions[2].max() < 1.25
    assert all((fraction[330:] < 0.55).all() for fraction in fractions)


def test_rain_comes_before_the_water() -> None:
    truth = storm()
    rain_mm = truth.course(RAIN.station, "rain_total_mm").value
    stage_m = truth.course(BRIDGE.station, "stage_m").value
    assert rain_mm[12] > 0.2
    assert stage_m[12] - stage_m[0] < 0.01
    assert (np.diff(rain_mm) >= 0).all()


def test_rain_washes_the_dust_out_and_it_comes_back() -> None:
    dust = storm().course(AIR.station, "pm2_5_ug_m3").value
    assert dust[110] < 0.5 * dust[0]
    assert dust[-1] > 2 * dust[110]


def test_the_day_cools_in_the_rain_and_batteries_live_on() -> None:
    truth = storm(hours=48.0)
    temperature = truth.course(AIR.station, "temperature_c").value
    humidity = truth.course(AIR.station, "humidity_pct").value
    battery = truth.course(AIR.station, "battery_v").value
    assert temperature[70] < temperature[0] - 2
    assert humidity[70] > humidity[0]
    assert (np.diff(battery[12 * 60 : 16 * 60]) < 0).all(), "by night the battery only drains"
    assert battery.min() > 3.45
    assert (humidity <= 100).all()


def test_the_same_seed_is_the_same_world() -> None:
    one, again, other = storm(seed=7), storm(seed=7), storm(seed=8)
    for where, course in one.courses.items():
        assert course.value.tobytes() == again.courses[where].value.tobytes()
        assert course.value.tobytes() != other.courses[where].value.tobytes()


@given(
    rain_mm=st.lists(st.floats(0, 20), min_size=1, max_size=200).map(np.array),
    curve_number=st.floats(40, 100),
)
@settings(derandomize=True, max_examples=100, deadline=None)
def test_no_more_runs_off_than_falls(
    rain_mm: np.ndarray[tuple[int], np.dtype[np.float64]], curve_number: float
) -> None:
    excess = excess_mm(rain_mm, curve_number=curve_number)
    assert (excess >= 0).all()
    assert (excess <= rain_mm + 1e-9).all()


def test_a_sealed_catchment_loses_nothing() -> None:
    rain_mm = np.array([0.0, 3.0, 5.0])
    np.testing.assert_allclose(excess_mm(rain_mm, curve_number=100), rain_mm)


def test_the_curve_number_equation_gives_the_handbook_value() -> None:
    # S = 25400 / 80 - 254 = 63.5 mm; Q = (100 - 12.7)^2 / (100 + 50.8) = 50.54 mm
    assert excess_mm(np.full(10, 10.0), curve_number=80).sum() == pytest.approx(50.54, abs=0.005)


@given(reservoirs=st.integers(1, 6), lag_s=st.floats(30, 20_000), step_s=st.sampled_from([30.0, 60.0, 300.0]))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_reservoirs_and_reaches_keep_the_volume_and_the_lag(reservoirs: int, lag_s: float, step_s: float) -> None:
    def mean_s(weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        assert weights.sum() == pytest.approx(1.0, abs=1e-9)
        assert (weights >= 0).all()
        return float((weights * np.arange(len(weights))).sum()) * step_s

    assert mean_s(delay(lag_s=lag_s, step_s=step_s)) == pytest.approx(lag_s, abs=1e-6)
    # A step's weight stands at its beginning.
    assert lag_s - step_s <= mean_s(cascade(reservoirs=reservoirs, lag_s=lag_s, step_s=step_s)) <= lag_s


def test_a_nash_cascade_answers_like_its_gamma_distribution() -> None:
    # Two reservoirs of k: u(t) = t / k^2 exp(-t / k), which peaks at t = k.
    weights = cascade(reservoirs=2, lag_s=7_200, step_s=60)
    assert abs(int(np.argmax(weights)) - 60) <= 1
    middle = (np.arange(300) + 0.5) / 60
    np.testing.assert_allclose(weights[:300], middle * np.exp(-middle) / 60, rtol=2e-3, atol=1e-6)


def test_the_routed_flood_is_the_runoff_of_the_catchment() -> None:
    catchment, step_s = Catchment(base_m3_s_km2=0.0), 60.0
    sites = (UPPER, BRIDGE, WEIR)
    fallen = rain(sites, steps=72 * 60, step_s=step_s, seed=3, storm=Storm()).around_mm
    gauges = [Gauge(river_km=s.river_km, rain_mm=mm) for s, mm in zip(sites, fallen, strict=True)]
    flows = discharge_m3_s(gauges, step_s=step_s, catchment=catchment)
    areas_km2 = np.array([catchment.area_km2(s.river_km) for s in sites])
    own_km2 = np.diff(areas_km2, prepend=0.0)
    excess_mm_total = np.array([excess_mm(mm, curve_number=catchment.curve_number).sum() for mm in fallen])
    run_off_m3 = np.cumsum(excess_mm_total * own_km2 * 1_000.0)
    rain_m3 = np.cumsum(fallen.sum(axis=1) * own_km2 * 1_000.0)
    routed_m3 = np.array([flow.sum() * step_s for flow in flows])
    np.testing.assert_allclose(routed_m3, run_off_m3, rtol=0.01)
    assert (routed_m3 <= rain_m3).all()
    assert (routed_m3 > 0.5 * rain_m3).all()


def test_what_flows_past_the_last_step_is_cut_off_and_not_wrapped_around() -> None:
    out = respond(np.array([0.0, 0.0, 8.0]), delay(lag_s=60, step_s=60))
    np.testing.assert_array_equal(out, [0.0, 0.0, 0.0])


@given(flows=st.lists(st.floats(0, 500), min_size=2, max_size=50, unique=True), bankfull_m=st.floats(0.5, 12))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_more_water_stands_higher(flows: list[float], bankfull_m: float) -> None:
    rating = Rating.through_bankfull(bankfull_m=bankfull_m, bankfull_m3_s=100.0)
    stage = rating.stage_m(np.array(sorted(flows)))
    assert (np.diff(stage) >= 0).all()
    assert rating.stage_m(np.array([100.0]))[0] == pytest.approx(bankfull_m)
    assert rating.stage_m(np.array([0.0]))[0] == pytest.approx(0.05 * bankfull_m)


def test_a_peak_travels_downstream() -> None:
    truth = storm(sites=[UPPER, BRIDGE, WEIR])
    peaks = [int(truth.course(s.station, "discharge_m3_s").value.argmax()) for s in (UPPER, BRIDGE, WEIR)]
    assert peaks == sorted(set(peaks))


def course(*pairs: tuple[int, float], gap_us: int = 10) -> Course:
    times, values = zip(*pairs, strict=True)
    return Course(time_us=np.array(times, dtype=np.int64), value=np.array(values), gap_us=gap_us)


def test_between_neighbours_a_course_is_a_line() -> None:
    line = course((0, 1.0), (10, 3.0))
    np.testing.assert_array_equal(line.at(np.array([0, 5, 10])), [1.0, 2.0, 3.0])


def test_outside_a_course_in_gaps_and_beside_missing_values_nothing_is_known() -> None:
    broken = course((0, 1.0), (10, np.nan), (20, 3.0), (40, 5.0))
    times = np.array([-1, 0, 5, 10, 15, 20, 30, 40, 41])
    np.testing.assert_array_equal(broken.at(times), [np.nan, 1.0, np.nan, np.nan, np.nan, 3.0, np.nan, 5.0, np.nan])


def test_the_last_known_value_looks_back_over_missing_ones() -> None:
    broken = course((0, 1.0), (10, np.nan))
    assert broken.last_known(15) == 1.0
    assert np.isnan(broken.last_known(-1))


def test_two_truths_of_one_column_are_refused() -> None:
    truth = Truth(courses={("A", "stage_m"): course((0, 1.0))})
    with pytest.raises(ValueError, match=r"two truths for.*'A', 'stage_m'"):
        joined([truth, truth])


def test_an_impossible_world_is_refused_with_what_was_expected() -> None:
    with pytest.raises(ValueError, match="stations must differ"):
        storm(sites=[RAIN, RAIN])
    twin = stage_site("TWIN", 14.9, 104.2, stream=BRIDGE.stream, river_km=BRIDGE.river_km, bankfull_m=3.0)
    with pytest.raises(ValueError, match="two stage stations at one place"):
        storm(sites=[BRIDGE, twin])
    with pytest.raises(ValueError, match="at least one site"):
        storm(sites=[])
    with pytest.raises(ValueError, match="at least two steps"):
        flash_flood(SITES, start_us=START_US, hours=0.0, seed=1)
    with pytest.raises(ValueError, match="stage_m needs a stream"):
        stage_site("X", 14.9, 104.2, stream="", river_km=1.0, bankfull_m=3.0)
    with pytest.raises(ValueError, match="the truth has no stage_m; it has"):
        storm(sites=[RAIN]).course(RAIN.station, "stage_m")


def test_the_record_starts_with_the_storm_and_has_its_length() -> None:
    truth = storm(hours=8.0)
    assert truth.start_us == START_US
    assert truth.end_us == START_US + 480 * MINUTE_US
