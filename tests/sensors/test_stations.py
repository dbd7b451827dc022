"""The registry: everything is checked against everything, and all mistakes are named at once."""

from pathlib import Path

import numpy as np
import pytest

from sensors import stations
from sensors.sensor import Season
from sensors.stations import Area, ConfigError, GaugeZero, Sensor, build
from takean.settings import SAMPLE
from tests.builders import PLACE, registry, station


def test_the_sample_has_eight_stations_on_a_tree_of_areas() -> None:
    reg = stations.load(SAMPLE / "stations.toml")
    assert len(reg.stations) == 8
    assert reg.descendants("331608-samran") == ("331608-samran", "33160801", "33160803", "33160807")
    assert reg.ancestors("33160801") == ("33160801", "331608-samran", "331608")
    assert [s.id for s in reg.stations_of("331608-phonyang")] == ["WL-04"]


def test_columns_hold_one_element_per_series_and_nan_where_no_limit_is_set() -> None:
    reg = registry(
        station("A", Sensor(quantity="stage_m", suspect=(-0.5, 8.0)), Sensor(quantity="rain_mm", cadence_s=300))
    )
    assert reg.keys() == ["A/stage_m", "A/rain_mm"]
    assert reg.limits.suspect_high[0] == 8.0
    assert np.isnan(reg.limits.suspect_high[1])
    assert reg.limits.cadence_us.tolist() == [60_000_000, 300_000_000]
    assert reg.index["A", "rain_mm"] == 1


def test_a_sensor_has_the_checks_of_its_quantity_unless_it_names_its_own() -> None:
    own = Sensor(quantity="stage_m", id="own", spike=0.2, flat_eps=0.01, flat_suspect_s=3600, flat_fail_s=7200)
    off = Sensor(quantity="stage_m", id="off", spike=0.0, flat_suspect_s=0, flat_fail_s=0)
    limits = registry(station("A", Sensor(quantity="stage_m"), own, off, Sensor(quantity="rain_mm"))).limits
    day_us = 86_400_000_000
    np.testing.assert_array_equal(limits.spike, [0.5, 0.2, np.nan, np.nan])
    np.testing.assert_array_equal(limits.flat_eps, [0.001, 0.01, np.nan, np.nan])
    assert limits.flat_suspect_us.tolist() == [day_us, 3_600_000_000, 0, 0]
    assert limits.flat_fail_us.tolist() == [3 * day_us, 7_200_000_000, 0, 0]


def test_the_lower_bank_decides() -> None:
    banks = station("A", bank_m=4.0).banks
    assert banks is not None
    assert banks.lower_m == 4.0


def test_all_mistakes_are_named_at_once() -> None:
    areas = [Area(id="a", name="a", english="a", parent="b"), Area(id="b", name="b", english="b", parent="a")]
    wrong = [
        station("bad id!", areas=("nowhere",)),
        station("X", Sensor(quantity="stage_ft"), cadence_s=0.0, areas=()),
        station("X", Sensor(quantity="stage_m", suspect=(9.0, 8.0)), areas=("a",), bank_m=-1.0),
        station("Y", Sensor(quantity="stage_m", rise_suspect_per_h=0.0), Sensor(quantity="stage_m"), areas=("a",)),
        station("Z", Sensor(quantity="stage_m", spike=-0.1, flat_eps=-1.0, flat_suspect_s=600, flat_fail_s=60)),
    ]
    with pytest.raises(ConfigError) as caught:
        build(place=PLACE, areas=areas, stations=wrong)
    text = "\n".join(caught.value.mistakes)
    for expected in (
        "form a ring",
        "1-32 characters",
        "'nowhere'",
        "station ids must differ",
        "'stage_ft'",
        "cadence_s is 0.0",
        "areas is empty",
        "must rise",
        "must lie above bed_m",
        "rise_suspect_per_h is 0.0",
        "spike is -0.1",
        "flat_eps is -1.0",
        "flat_suspect_s 600",
        "need different ids",
    ):
        assert expected in text


def test_a_national_datum_needs_a_dated_gauge_zero() -> None:
    from datetime import date

    import msgspec

    bare = msgspec.structs.replace(station("A"), datum="MSL_KOLAK1915")
    with pytest.raises(ConfigError, match="gauge_zero"):
        registry(bare)
    zero = GaugeZero(since=date(2026, 1, 1), height_m=134.2, source="survey")
    assert registry(msgspec.structs.replace(bare, gauge_zero=(zero,)))


@pytest.mark.parametrize("text", ["place = 3", "[place]\nname='x'", "colour = 'red'", "[["])
def test_an_unreadable_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stations.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"stations\.toml"):
        stations.load(path)
    with pytest.raises(ConfigError, match="no such file"):
        stations.load(tmp_path / "none.toml")


def test_limits_by_the_month_cost_no_column_where_nobody_has_any() -> None:
    wet = Season(months=(9, 10), low=0.5, high=6.0, source="2012-2025")
    limits = registry(station("A", Sensor(quantity="stage_m", season=(wet,))), station("B")).limits
    assert limits.seasonal.tolist() == [True, False]
    np.testing.assert_array_equal(limits.season_high[:, 8:11], [[6.0, 6.0, np.nan], [np.nan] * 3])
    assert registry(station("A"), station("B")).limits.season_high.shape == (2, 0)


@pytest.mark.parametrize(
    ("sensor", "mistake"),
    [
        (Sensor(quantity="stage_m", calm_range=0.1), "calm_range is 0.1 and calm_s None"),
        (Sensor(quantity="stage_m", calm_range=0.0, calm_s=60), "both must be above 0"),
        (Sensor(quantity="stage_m", calm_s=60), "without a calm_range"),
        (Sensor(quantity="rain_mm", calm_s=-1), "calm_s is -1"),
        (Sensor(quantity="stage_m", neighbours=("B/stage_m",)), "belong together"),
        (Sensor(quantity="stage_m", neighbours=("B/stage_m",), neighbour_differs=0.0), "must be above 0"),
        (Sensor(quantity="stage_m", neighbours=("C/stage_m",), neighbour_differs=0.3), "is not another series"),
        (Sensor(quantity="stage_m", neighbours=("A/stage_m",), neighbour_differs=0.3), "is not another series"),
        (Sensor(quantity="stage_m", neighbours=("B/rain_mm",), neighbour_differs=0.3), "unlike quantities"),
        (Sensor(quantity="stage_m", neighbours=("B/stage_m",), neighbour_differs=0.3), "survey both gauge zeros"),
        (Sensor(quantity="stage_m", season=(Season(months=(0,), low=0, high=1, source="x"),)), "each of 1-12"),
        (Sensor(quantity="stage_m", season=(Season(months=(5, 5), low=0, high=1, source="x"),)), "at most once"),
        (Sensor(quantity="stage_m", season=(Season(months=(5,), low=2, high=1, source="x"),)), "must rise"),
    ],
)
def test_a_check_that_cannot_be_is_refused_in_words(sensor: Sensor, mistake: str) -> None:
    with pytest.raises(ConfigError, match=mistake):
        registry(station("A", sensor), station("B", Sensor(quantity="stage_m"), Sensor(quantity="rain_mm")))


def test_every_check_of_a_sensor_is_read_from_the_file(tmp_path: Path) -> None:
    sample = (SAMPLE / "stations.toml").read_text(encoding="utf-8")
    station_1 = sample.index('id = "WL-01"')
    more = """
calm_range = 0.02
calm_s = 43200
season = [{ months = [12, 1, 2], low = -0.2, high = 3.0, source = "test" }]
neighbours = ["WL-01/stage_m@2"]
neighbour_differs = 0.1
[[station.sensor]]
quantity = "stage_m"
id = "2"
[[station.sensor]]
quantity = "battery_v"
"""
    path = tmp_path / "stations.toml"
    tail = sample[station_1:].replace('\n[[station.sensor]]\nquantity = "battery_v"', more, 1)
    path.write_text(sample[:station_1] + tail, encoding="utf-8")
    reg = stations.load(path)
    at = reg.index["WL-01", "stage_m"]
    assert (reg.limits.calm_range[at], reg.limits.season_high[at, 1]) == (0.02, 3.0)
