"""Indices of air quality: every edge of every table, the words of each, and the hours they rest on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.air.breakpoints import ABOVE, Index, overall
from sensors.air.means import HOUR_US, HOURS, HoursState, before_now, follow, mean_of
from sensors.air.nowcast import nowcast
from sensors.air.thai_aqi import BANDS, THAI_AQI
from sensors.air.us_aqi import CATEGORIES, US_AQI
from sensors.batch import Float64, Int64, ReadingBatch
from tests.builders import MINUTE_US, T0_US, batch, cut, thorough

START_US = T0_US // HOUR_US * HOUR_US
CADENCE_US = 5 * MINUTE_US
SERIES = 2
NAN = float("nan")


def index_of(index: Index, pollutant: str, *concentration: float, hours: int | None = None) -> list[float]:
    found: list[float] = index.sub_index(pollutant, np.array(concentration), hours=hours).tolist()
    return found


EDGES = [
    (index, pollutant, table.hours, edge, 10.0**-table.decimals, index.upper[k + max(table.skipped - 1, 0)])
    for index in (THAI_AQI, US_AQI)
    for pollutant, tables in index.tables.items()
    for table in tables
    for k, edge in enumerate(table.upper)
]


@pytest.mark.parametrize(("index", "pollutant", "hours", "edge", "step", "upper"), EDGES)
def test_an_edge_has_the_index_of_its_band_and_a_step_more_begins_the_next(
    index: Index, pollutant: str, hours: int, edge: float, step: float, upper: int
) -> None:
    table = next(t for t in index.tables[pollutant] if t.hours == hours)
    at, above = index_of(index, pollutant, edge, edge + step, hours=hours)
    if table.skipped and edge == table.upper[0]:
        assert np.isnan(at), "this averaging time does not speak of what lies below"
    else:
        assert at == upper
    assert above == (table.beyond if edge == table.upper[-1] else upper + 1)


@pytest.mark.parametrize(
    ("pm2_5", "aqi", "text", "band"),
    [
        (0.0, 0, "0", "ดีมาก"),
        (15.0, 25, "25", "ดีมาก"),
        (15.04, 25, "25", "ดีมาก"),
        (15.1, 26, "26", "ดี"),
        (25.0, 50, "50", "ดี"),
        (25.04, 50, "50", "ดี"),
        (25.05, 51, "51", "ปานกลาง"),
        (25.1, 51, "51", "ปานกลาง"),
        (37.5, 100, "100", "ปานกลาง"),
        (37.54, 100, "100", "ปานกลาง"),
        (37.6, 101, "101", "เริ่มมีผลกระทบต่อสุขภาพ"),
        (50.0, 134, "134", "เริ่มมีผลกระทบต่อสุขภาพ"),  # 101 + 99 / 37.4 * 12.4 = 133.8
        (75.0, 200, "200", "เริ่มมีผลกระทบต่อสุขภาพ"),
        (75.1, ABOVE, ">200", "มีผลกระทบต่อสุขภาพ"),
        (900.0, ABOVE, ">200", "มีผลกระทบต่อสุขภาพ"),
    ],
)
def test_the_thai_index_of_fine_dust(pm2_5: float, aqi: float, text: str, band: str) -> None:
    index = THAI_AQI.sub_index("pm2_5_ug_m3", np.array([pm2_5]))
    assert index.tolist() == [aqi]
    assert THAI_AQI.text(float(index[0])) == text
    assert BANDS[int(THAI_AQI.band(index)[0])].thai == band


@pytest.mark.parametrize(
    ("pm2_5", "aqi", "category"),
    [
        (9.0, 50, "Good"),
        (9.09, 50, "Good"),
        (9.1, 51, "Moderate"),
        (35.49, 100, "Moderate"),
        (35.5, 101, "Unhealthy for Sensitive Groups"),
        (55.5, 151, "Unhealthy"),
        (100.0, 182, "Unhealthy"),  # 151 + 49 / 69.9 * 44.5 = 182.2
        (125.5, 201, "Very Unhealthy"),
        (225.5, 301, "Hazardous"),
        (325.4, 500, "Hazardous"),
        (325.5, ABOVE, "Hazardous (beyond the AQI)"),
    ],
)
def test_the_american_index_of_fine_dust_cuts_digits_off(pm2_5: float, aqi: float, category: str) -> None:
    index = US_AQI.sub_index("pm2_5_ug_m3", np.array([pm2_5]))
    assert index.tolist() == [aqi]
    assert CATEGORIES[int(US_AQI.band(index)[0])].english == category


def test_where_an_averaging_time_ends_another_goes_on() -> None:
    assert index_of(US_AQI, "so2_ppb", 304, 305, 900, hours=1) == [200, 200, 200]
    assert index_of(US_AQI, "so2_ppb", 305, 604, hours=24) == [201, 300]
    assert np.isnan(index_of(US_AQI, "o3_ppm", 0.120, hours=1)).all()
    assert index_of(US_AQI, "o3_ppm", 0.125, hours=1) == [101]
    with pytest.raises(KeyError, match="no mean of pm10_ug_m3 over 1 h"):
        index_of(US_AQI, "pm10_ug_m3", 1.0, hours=1)


@pytest.mark.parametrize("index", [THAI_AQI, US_AQI])
def test_minus_one_and_nothing_are_no_clean_air(index: Index) -> None:
    found = index.sub_index("pm2_5_ug_m3", np.array([-1.0, -0.001, NAN]))
    assert np.isnan(found).all()
    assert index.band(found).tolist() == [0, 0, 0]
    assert index.text(NAN) == ""


def test_the_worst_pollutant_is_the_index_and_one_that_is_not_known_hides_none() -> None:
    worst = overall(np.array([[50.0, NAN, NAN, ABOVE], [101.0, 26.0, NAN, 3.0]]))
    np.testing.assert_array_equal(worst, [101.0, 26.0, NAN, ABOVE])


every_table = st.sampled_from([(i, p, t.hours) for i in (THAI_AQI, US_AQI) for p, ts in i.tables.items() for t in ts])


@given(table=every_table, share=st.lists(st.floats(0, 1.5), min_size=2, max_size=30))
@thorough(100)
def test_more_of_a_pollutant_never_has_a_smaller_index(table: tuple[Index, str, int], share: list[float]) -> None:
    index, pollutant, hours = table
    top = next(t for t in index.tables[pollutant] if t.hours == hours).upper[-1]
    found = index.sub_index(pollutant, np.sort(np.array(share)) * top, hours=hours)
    known = found[np.isfinite(found)]
    assert (np.diff(known) >= 0).all()
    assert np.isnan(found[: int(np.isnan(found).sum())]).all(), "what is not spoken of lies below, never in between"
    assert ((known >= 0) & (known == np.rint(known))).all()


# ---- NowCast


def hours_of(*newest_first: float) -> Float64:
    return np.array([[*newest_first, *[NAN] * (12 - len(newest_first))]])


def test_nowcast_by_hand() -> None:
    # min / max = 10 / 40 = 0.25, so w = 0.5: (40 + 20 * 0.5 + 10 * 0.25) / (1 + 0.5 + 0.25) = 30
    assert nowcast(hours_of(40.0, 20.0, 10.0)) == pytest.approx([30.0])
    # w = 30 / 40 = 0.75: (40 + 30 * 0.75) / 1.75 = 35.714...
    assert nowcast(hours_of(40.0, 30.0)) == pytest.approx([35.714285714285715])


def test_the_weight_of_an_hour_falls_with_its_age_and_not_with_its_rank() -> None:
    # w = 0.5, the hour between is missing: (40 + 20 * 0.25) / 1.25 = 36; by rank it would be 33.3
    assert nowcast(hours_of(40.0, NAN, 20.0)) == pytest.approx([36.0])


def test_nowcast_needs_two_of_the_newest_three_hours_but_not_the_newest() -> None:
    assert np.isnan(nowcast(hours_of(40.0, NAN, NAN, 40.0, 40.0, 40.0))).all()
    assert nowcast(hours_of(NAN, 40.0, 40.0)) == pytest.approx([40.0])


def test_air_without_dust_has_a_nowcast_of_nothing_and_below_nothing_is_not_known() -> None:
    assert nowcast(hours_of(0.0, 0.0, 0.0)).tolist() == [0.0]
    assert np.isnan(nowcast(hours_of(-1.0, -1.0, 20.0))).all()
    assert nowcast(hours_of(20.0, 20.0, -5.0)) == pytest.approx([20.0])


def test_nowcast_is_cut_and_not_rounded_before_it_is_looked_up() -> None:
    cast = nowcast(hours_of(35.49, 35.49, 35.49))
    assert US_AQI.sub_index("pm2_5_ug_m3", cast).tolist() == [100]


@given(st.lists(st.one_of(st.floats(0, 900), st.just(NAN)), min_size=12, max_size=12))
@thorough(100)
def test_a_nowcast_lies_between_the_least_and_the_most_of_its_hours(hours: list[float]) -> None:
    known = [value for value in hours if not np.isnan(value)]
    cast = float(nowcast(np.array([hours]))[0])
    assert np.isnan(cast) == (sum(not np.isnan(value) for value in hours[:3]) < 2)
    if not np.isnan(cast):
        assert min(known) - 1e-9 <= cast <= max(known) + 1e-9


# ---- means over clock hours


def followed(readings: ReadingBatch, state: HoursState | None = None) -> tuple[Float64, HoursState]:
    """(n, HOURS) of each reading."""
    hours, after = follow(
        readings,
        np.isfinite(readings.value),
        HoursState.empty(SERIES) if state is None else state,
        wanted=np.ones(SERIES, dtype=np.bool_),
        cadence_us=np.full(SERIES, CADENCE_US),
    )
    rows = np.full((len(readings), HOURS), np.nan)
    rows[hours.row >= 0] = hours.mean[hours.row[hours.row >= 0]]
    return rows, after


def day(values: list[float]) -> ReadingBatch:
    """Readings every five minutes, the first at five past."""
    return batch(values, start_us=START_US + CADENCE_US - 1, step_us=CADENCE_US)


def test_an_hour_counts_when_it_is_over() -> None:
    rows, state = followed(day([10.0] * 12 + [20.0] * 12))
    assert np.isnan(rows[:12]).all()
    assert rows[12:, 0].tolist() == [10.0] * 12
    assert before_now(state, np.array([0]), START_US + 2 * HOUR_US)[0, :3].tolist()[:2] == [20.0, 10.0]


def test_three_quarters_of_an_hour_are_an_hour_and_less_is_not() -> None:
    for many, known in ((9, True), (8, False)):
        _, state = followed(day([30.0] * many))
        assert np.isfinite(before_now(state, np.array([0]), START_US + HOUR_US)[0, 0]) == known


def test_a_burst_of_readings_does_not_make_an_hour() -> None:
    burst = batch([30.0] * 60, start_us=START_US, step_us=1_000_000)
    _, state = followed(burst)
    assert np.isnan(before_now(state, np.array([0]), START_US + HOUR_US)).all()


def test_eighteen_of_twenty_four_hours_are_a_day_and_six_of_eight_are_eight() -> None:
    hours = np.array([[NAN] * 6 + [30.0] * 18, [NAN] * 7 + [30.0] * 17])
    np.testing.assert_array_equal(mean_of(hours, 24), [30.0, NAN])
    assert mean_of(np.array([[NAN] * 2 + [4.0] * 6]), 8).tolist() == [4.0]
    assert np.isnan(mean_of(np.array([[NAN] * 3 + [4.0] * 5]), 8)).all()


def test_hours_nobody_listened_in_are_missing_and_not_forgotten() -> None:
    first = day([10.0] * 12)
    later = batch([50.0] * 12, start_us=START_US + 5 * HOUR_US + CADENCE_US - 1, step_us=CADENCE_US)
    _, state = followed(first)
    rows, state = followed(later, state)
    np.testing.assert_array_equal(rows[0, :6], [NAN, NAN, NAN, NAN, 10.0, NAN])
    np.testing.assert_array_equal(before_now(state, np.array([0]), START_US + 6 * HOUR_US)[0, :6], [50, *[NAN] * 4, 10])


def columns(state: HoursState) -> list[Int64]:
    """All that is remembered."""
    return [state.closed.fields, state.closed.count, state.open, state.last_us]


steps = st.integers(min_value=1, max_value=90 * 60).map(lambda s: s * 1_000_000)
values = st.one_of(st.floats(min_value=0, max_value=600), st.just(NAN))


@given(
    rows=st.lists(st.tuples(steps, values, st.integers(0, 1)), min_size=1, max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=4),
)
@thorough(60)
def test_any_cutting_gives_the_same_hours(rows: list[tuple[int, float, int]], cuts: list[int]) -> None:
    times = START_US + np.cumsum([step for step, _, _ in rows])
    readings = batch([v for _, v, _ in rows], times_us=times.tolist(), series=[s for _, _, s in rows])
    whole, state = followed(readings)
    parts, kept = [], HoursState.empty(SERIES)
    for part in cut(readings, cuts):
        found, kept = followed(part, kept)
        parts.append(found)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for one, other in zip(columns(kept), columns(state), strict=True):
        np.testing.assert_array_equal(one, other)
    # And once more by hand: the plain mean of whatever lies in each hour that is covered.
    usable = np.isfinite(readings.value)
    for row in np.flatnonzero(usable):
        own = usable[: row + 1] & (readings.series[: row + 1] == readings.series[row])
        time, value = readings.time_us[: row + 1][own], readings.value[: row + 1][own]
        spoken = np.minimum(np.diff(time, prepend=time[:1] - CADENCE_US), CADENCE_US)
        for age in range(HOURS):
            inside = time // HOUR_US == time[-1] // HOUR_US - 1 - age
            known = inside.any() and spoken[inside].sum() >= 0.75 * HOUR_US
            expected = value[inside].mean() if known else NAN
            np.testing.assert_allclose(whole[row, age], expected, atol=1e-5)
