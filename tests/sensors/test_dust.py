"""Dust put right: the equations as published, without a step at a switch, and with the humidity that was there."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.air.pm_correction import FORMS, airgradient, barkjohn_2022, local
from sensors.batch import Float64, ReadingBatch
from sensors.calibration import Calibration, CounterState
from sensors.clocks import ClockState, place
from sensors.origin import Coefficients, Origin
from sensors.stations import ConfigError, Registry, Sensor
from tests.builders import MINUTE_US, T0_US, batch, cut, registry, station, thorough

HOUR_US = 60 * MINUTE_US
NAN = float("nan")
Equation = Callable[[Float64, Float64], Float64]


def at(equation: Equation, raw: float, humidity: float) -> float:
    return float(equation(np.array([raw]), np.array([humidity]))[0])


@pytest.mark.parametrize(
    ("raw", "humidity", "corrected"),
    [
        (0.0, 95.0, 0.0),  # the line says -2.4
        (100.0, 50.0, 53.84),  # 52.4 - 4.31 + 5.75
        (560.0, 20.0, 297.466),
        (590.0, 50.0, 345.6525496),  # share 0.496 of 381.2701, and 0.504 of 310.6
        (700.0, 50.0, 484.13),  # 206.29 + 274.4 + 3.44
    ],
)
def test_the_equation_of_2022_by_hand(raw: float, humidity: float, corrected: float) -> None:
    assert at(barkjohn_2022, raw, humidity) == pytest.approx(corrected)


@pytest.mark.parametrize(
    ("raw", "humidity", "corrected"),
    [
        (0.0, 20.0, 0.0),
        (20.0, 50.0, 11.92),  # 10.48 - 4.31 + 5.75
        (40.0, 50.0, 27.64),  # slope half way, 0.655
        (100.0, 50.0, 80.04),
        (300.0, 50.0, 289.526),  # 2.966 + 207 + 79.56
    ],
)
def test_the_equation_of_airgradient_by_hand(raw: float, humidity: float, corrected: float) -> None:
    assert at(airgradient, raw, humidity) == pytest.approx(corrected)


@given(
    equation=st.sampled_from([form.equation for form in FORMS.values()]),
    raw=st.floats(0.1, 2_000),
    humidity=st.floats(0, 100),
)
@thorough(150)
def test_no_switch_makes_a_jump(equation: Equation, raw: float, humidity: float) -> None:
    step = 0.1
    there, next_ = at(equation, raw, humidity), at(equation, raw + step, humidity)
    assert there >= 0
    assert abs(next_ - there) <= 5 * step, "at most five times as steep as the raw reading"


@given(
    equation=st.sampled_from([form.equation for form in FORMS.values()]),
    raw=st.lists(st.floats(0.1, 2_000), min_size=2),
    humidity=st.floats(0, 100),
)
@thorough(100)
def test_more_raw_dust_is_never_less_dust(equation: Equation, raw: list[float], humidity: float) -> None:
    found = equation(np.sort(np.array(raw)), np.full(len(raw), humidity))
    assert (np.diff(found) >= -1e-9).all()


@pytest.mark.parametrize(("equation", "known_from"), [(barkjohn_2022, 611.0), (airgradient, 260.0)])
def test_without_humidity_only_thick_smoke_is_known(equation: Equation, known_from: float) -> None:
    assert np.isnan(at(equation, known_from - 5, NAN))
    assert at(equation, known_from, NAN) == pytest.approx(at(equation, known_from, 90.0))


def test_a_station_uses_its_own_line() -> None:
    raw, humidity = np.array([50.0, 50.0, 1.0]), np.array([60.0, NAN, 60.0])

    def line(per_humidity: float) -> list[float]:
        found: list[float] = local(raw, humidity, np.full(3, 0.6), np.full(3, per_humidity), np.full(3, 2.0)).tolist()
        return found

    assert line(0.0) == pytest.approx([32.0, 32.0, 2.6])
    assert line(-0.1) == pytest.approx([26.0, NAN, 0.0], nan_ok=True)


# ---- in the chain


RAW, DAMP, OUT = 0, 1, 2


def box(origin: Origin | None = None, raw: str = "pm2_5_cf1_ug_m3") -> Calibration:
    origin = origin or Origin(reading=raw)
    sensors = (
        Sensor(quantity=raw),
        Sensor(quantity="humidity_pct"),
        Sensor(quantity="pm2_5_ug_m3", id="x", from_=origin),
    )
    return Calibration.of(registry(station("P", *sensors)))


BOX = box()


def derived(calibration: Calibration, parts: list[ReadingBatch], out: int = OUT) -> list[tuple[int, float]]:
    """What a journal would hold of the computed series."""
    clocks, state = ClockState.empty(len(calibration.of_raw)), CounterState.empty(len(calibration))
    found: list[tuple[int, float]] = []
    for part in parts:
        whole = calibration.derive(part, np.zeros(len(part), dtype=np.bool_), clocks, state)
        placed = place(whole, clocks)
        state = calibration.after(whole, np.zeros(len(whole), dtype=np.bool_), placed, state)
        clocks = placed.state
        own = whole.series == out
        found += zip(whole.time_us[own].tolist(), whole.value[own].tolist(), strict=True)
    return found


def pairs(*rows: tuple[int, int, float]) -> ReadingBatch:
    """(series, minutes after T0, value) in order of arrival."""
    times = [T0_US + minutes * MINUTE_US for _, minutes, _ in rows]
    return batch([v for _, _, v in rows], times_us=times, series=[s for s, _, _ in rows])


def values(found: list[tuple[int, float]]) -> list[float]:
    return [value for _, value in found]


def test_dust_is_put_right_with_the_humidity_that_arrived_before_it() -> None:
    found = derived(BOX, [pairs((DAMP, 0, 50.0), (RAW, 0, 100.0), (DAMP, 10, 80.0), (RAW, 10, 100.0))])
    assert values(found) == pytest.approx([53.84, 51.254])


def test_dust_before_any_humidity_or_long_after_it_is_not_known() -> None:
    found = derived(BOX, [pairs((RAW, 0, 100.0), (DAMP, 0, 50.0), (RAW, 60, 100.0), (RAW, 61, 100.0))])
    assert values(found) == pytest.approx([NAN, 53.84, NAN], nan_ok=True)


def test_a_humidity_that_cannot_be_serves_nothing() -> None:
    found = derived(BOX, [pairs((DAMP, 0, 50.0), (DAMP, 1, 140.0), (DAMP, 2, NAN), (RAW, 3, 100.0))])
    assert values(found) == pytest.approx([53.84])


@pytest.mark.parametrize("raw", [NAN, -1.0, 20_000.0])
def test_dust_that_no_instrument_measures_is_missing(raw: float) -> None:
    assert np.isnan(values(derived(BOX, [pairs((DAMP, 0, 50.0), (RAW, 0, raw))]))).all()


def test_two_sensors_share_one_humidity() -> None:
    quantity = "pm2_5_cf1_ug_m3"
    two = Calibration.of(
        registry(
            station(
                "P",
                Sensor(quantity=quantity, id="a"),
                Sensor(quantity="humidity_pct"),
                Sensor(quantity=quantity, id="b"),
                Sensor(quantity="pm2_5_ug_m3", id="a", from_=Origin(reading=f"{quantity}@a")),
                Sensor(quantity="pm2_5_ug_m3", id="b", from_=Origin(reading=f"{quantity}@b")),
            )
        )
    )
    rows = [pairs((1, 0, 50.0)), pairs((0, 1, 100.0), (2, 1, 200.0))]
    assert values(derived(two, rows, out=3)) == pytest.approx([53.84])
    assert values(derived(two, rows, out=4)) == pytest.approx([106.24])


def test_a_raw_quantity_has_its_own_equation_unless_told_otherwise() -> None:
    atmospheric = box(raw="pm2_5_ug_m3")
    assert values(derived(atmospheric, [pairs((DAMP, 0, 50.0), (RAW, 0, 100.0))])) == pytest.approx([80.04])
    own = Coefficients(factor=0.5, offset=1.0, since=date(2026, 11, 1), source="beside a reference")
    mine = box(Origin(reading="pm2_5_cf1_ug_m3", correction="local", local=own))
    assert values(derived(mine, [pairs((RAW, 0, 100.0))])) == pytest.approx([51.0])


rows_of_a_day = st.lists(
    st.tuples(st.sampled_from([RAW, DAMP]), st.integers(1, 50), st.one_of(st.floats(0, 120), st.just(NAN))),
    min_size=1,
    max_size=60,
)


@given(rows=rows_of_a_day, cuts=st.lists(st.integers(0, 60), max_size=5))
@thorough(80)
def test_any_cutting_gives_the_same_dust(rows: list[tuple[int, int, float]], cuts: list[int]) -> None:
    minutes = np.cumsum([step for _, step, _ in rows]).tolist()
    whole = pairs(*[(s, m, v) for (s, _, v), m in zip(rows, minutes, strict=True)])
    found = derived(BOX, [whole])
    np.testing.assert_array_equal(np.array(derived(BOX, cut(whole, cuts))), np.array(found))
    assert len(found) == sum(s == RAW for s, _, _ in rows), "each raw reading gives one, known or not"


def test_what_a_bucket_missed_is_added_only_where_it_is_asked_for() -> None:
    def gauge(correction: str) -> Calibration:
        origin = Origin(reading="rain_total_mm", correction=correction)
        return Calibration.of(
            registry(station("R", Sensor(quantity="rain_total_mm"), Sensor(quantity="rain_mm", from_=origin)))
        )

    hourly = batch([0.0, 19.9, 195.1, 195.1, 3.0], step_us=HOUR_US)
    counted = values(derived(gauge(""), [hourly], out=1))
    put_right = values(derived(gauge("duchon_2014"), [hourly], out=1))
    assert counted == pytest.approx([19.9, 175.2, 0.0, NAN], nan_ok=True)
    assert put_right == pytest.approx([19.9 / 0.9902, 175.2 / 0.9122, 0.0, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (Origin(reading="pm2_5_cf1_ug_m3", correction="airgradient"), "is not one for pm2_5_cf1_ug_m3: barkjohn_2022"),
        (Origin(reading="pm2_5_cf1_ug_m3", correction="local"), "belong together"),
        (Origin(reading="pm2_5_cf1_ug_m3", humidity="temperature_c"), "is no humidity_pct of this station"),
        (Origin(reading="pm2_5_cf1_ug_m3", wraps_at=5.0), "from.wraps_at is of counters"),
    ],
)
def test_a_correction_that_cannot_be_is_refused_with_what_is_wrong(origin: Origin, said: str) -> None:
    def world(origin: Origin) -> Registry:
        raw, damp = Sensor(quantity="pm2_5_cf1_ug_m3"), Sensor(quantity="humidity_pct")
        return registry(station("P", raw, damp, Sensor(quantity="pm2_5_ug_m3", from_=origin)))

    world(Origin(reading="pm2_5_cf1_ug_m3"))
    with pytest.raises(ConfigError, match="station P") as refused:
        world(origin)
    assert said in str(refused.value)


def test_a_correction_of_dust_is_none_of_counters() -> None:
    with pytest.raises(ConfigError, match="'barkjohn_2022' is not of rain_total_mm"):
        registry(
            station(
                "R",
                Sensor(quantity="rain_total_mm"),
                Sensor(quantity="rain_mm", from_=Origin(reading="rain_total_mm", correction="barkjohn_2022")),
            )
        )


def test_what_is_put_right_supersedes_a_raw_reading_of_its_own_quantity_only() -> None:
    def superseded(raw: str) -> list[bool]:
        sensors = Sensor(quantity=raw), Sensor(quantity="humidity_pct")
        corrected = Sensor(quantity="pm2_5_ug_m3", id="x", from_=Origin(reading=raw))
        return [one.superseded for one in registry(station("P", *sensors, corrected)).series]

    assert superseded("pm2_5_ug_m3") == [True, False, False]
    assert superseded("pm2_5_cf1_ug_m3") == [False, False, False]
