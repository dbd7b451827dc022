"""`takean forecast train`: what upstream foretells is learned and accepted, what nobody can foretell is not."""

import json
import tomllib
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from alerts.forecast.features import Gauge, Layout
from alerts.forecast.forecaster import Forecaster, layout_of, train
from alerts.forecast.model import Model, predict
from alerts.forecast.trial import LEARNED, LINEAR, PERSISTENCE, rows_of, trial
from sensors.batch import Float64, ReadingBatch
from sensors.stations import ConfigError, Sensor, Station, Upstream
from sensors.stations import load as load_stations
from sensors.store.duck import DuckStore
from takean import cli, clock, configuration, forecast, forecast_file, forecast_fit, forecast_history, places, settings
from takean.exchange import ExchangeError, iso
from takean.exchange_rows import opened
from takean.forecast_history import Past
from takean.settings import SAMPLE
from tests.alerts.catchments import ALONE, LAYOUT, STEP_US, TRAVEL_H, catchment, walk
from tests.builders import T0_US, registry, station
from tests.takean.test_exchange import running

LOW, HIGH = catchment()
SHORT = slice(0, 700)


def quick(x: Float64, rise: Float64) -> Model:
    """Fewer trees."""
    return forecast_fit.learned(x, rise, trees=6)[0]


@pytest.fixture(scope="module")
def learned() -> Forecaster:
    """Of the catchment, with its gauge upstream."""
    return forecast.learn(Past(layout=LAYOUT, own=LOW, upstream=(HIGH,)), now_us=T0_US)


def test_what_the_gauge_upstream_foretells_is_accepted_for_every_horizon(learned: Forecaster) -> None:
    assert learned.accepted.all(), [one.english for one in learned.verdicts]
    for score in learned.scores:
        assert score.mae[LEARNED] < 0.8 * min(score.mae[PERSISTENCE], score.mae[LINEAR])
        assert 0.65 <= score.inside <= 0.95


def test_what_is_on_its_way_is_heard_and_not_only_how_the_gauge_itself_moves() -> None:
    together, alone = (trial(rows, quick) for rows in (rows_of(LAYOUT, LOW, [HIGH]), rows_of(ALONE, LOW, [])))
    for one, two in zip(together, alone, strict=True):
        assert one.mae[LEARNED] < two.mae[LEARNED], (one.horizon_h, one.rises)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_walk_that_nobody_can_foretell_is_accepted_for_no_horizon(seed: int) -> None:
    found = forecast.learn(Past(layout=ALONE, own=walk(3000, seed=seed), upstream=()), now_us=T0_US)
    assert not found.accepted.any()
    assert found.model is None
    assert all("ไม่ใช้" in one.thai for one in found.verdicts)
    assert all("not accepted" in one.english for one in found.verdicts)


@pytest.mark.parametrize("rows", [0, 1, 30, 90])
def test_a_record_too_short_is_said_to_be(rows: int) -> None:
    short = Gauge(time_us=LOW.time_us[:rows], value=LOW.value[:rows], cadence_us=STEP_US)
    found = forecast.learn(Past(layout=ALONE, own=short, upstream=()), now_us=T0_US)
    assert not found.accepted.any()
    assert all("too short" in one.english or "too little" in one.english for one in found.verdicts)
    assert forecast.told(found)


def some_rows() -> tuple[Float64, Float64]:
    rows = rows_of(LAYOUT, LOW, [HIGH])
    return rows.x[SHORT], rows.rise[SHORT]


def test_the_arrays_say_what_scikit_learn_says() -> None:
    x, rise = some_rows()
    model, theirs = forecast_fit.learned(x, rise, trees=8)
    every = rows_of(LAYOUT, LOW, [HIGH]).x
    assert np.abs(predict(model, every) - np.sort(theirs(every), axis=2)).max() < 1e-9


def test_the_same_rows_are_learned_alike_and_unknown_ones_not_at_all() -> None:
    x, rise = some_rows()
    holes = np.vstack([x, np.full((5, x.shape[1]), np.nan)])
    first = forecast_fit.fit(x, rise, trees=4)
    again = forecast_fit.fit(holes, np.vstack([rise, np.ones((5, 3))]), trees=4)
    assert np.array_equal(predict(first, x), predict(again, x))


def test_it_is_kept_in_a_file_to_the_last_bit(learned: Forecaster, tmp_path: Path) -> None:
    path = forecast_file.path_of(tmp_path / "new", "LOW")
    forecast_file.save(path, learned)
    found = forecast_file.load(path)
    assert learned.model is not None
    assert found.model is not None
    x = some_rows()[0]
    assert np.array_equal(predict(found.model, x), predict(learned.model, x))
    for name in ("layout", "trained_us", "from_us", "until_us", "rows", "scores", "verdicts"):
        assert getattr(found, name) == getattr(learned, name)
    assert [p.name for p in path.parent.iterdir()] == ["LOW.npz"]
    with np.load(path) as held:
        about = json.loads(held["about"].tobytes())
    assert about["format"] == "takean.forecast/1"
    assert about["verdicts"][0]["thai"].startswith("ล่วงหน้า 1 ชม.: ใช้")


def test_what_is_no_file_of_ours_is_not_used(learned: Forecaster, tmp_path: Path) -> None:
    path = tmp_path / "LOW.npz"
    forecast_file.save(path, learned)
    whole = path.read_bytes()
    with np.load(path) as held:
        arrays = dict(held)
    about = json.loads(arrays["about"].tobytes())

    def written(**changes: Any) -> None:
        np.savez_compressed(path, **{**arrays, **changes})

    def text(**changes: Any) -> Any:
        return np.frombuffer(json.dumps({**about, **changes}).encode(), dtype=np.uint8)

    for broken in (whole[:200], b"", whole[:-40] + b"x" * 40):
        path.write_bytes(broken)
        with pytest.raises(ExchangeError, match="train it anew"):
            forecast_file.load(path)
    for changes in (
        {"about": text(format="takean.forecast/0")},
        {"about": text(names=about["names"][1:])},
        {"about": text(verdicts=[{**one, "accepted": False} for one in about["verdicts"]])},
        {"coef": arrays["coef"][:, 1:]},
        {"tree_left": arrays["tree_left"] + 10**6},
        {"tree_value": arrays["tree_value"][1:]},
    ):
        written(**changes)
        with pytest.raises(ExchangeError, match="train it anew"):
            forecast_file.load(path)
        assert forecast_file.Forecasters(tmp_path)("LOW") is None


def test_a_file_is_read_anew_when_it_changes_and_gone_when_it_goes(learned: Forecaster, tmp_path: Path) -> None:
    found = forecast_file.Forecasters(tmp_path)
    assert found("LOW") is None
    path = forecast_file.path_of(tmp_path, "LOW")
    forecast_file.save(path, learned)
    first = found("LOW")
    assert first is not None
    assert found("LOW") is first
    forecast_file.save(path, learned)
    assert found("LOW") is not first
    path.unlink()
    assert found("LOW") is None


# ---- the command line


def recorded(path: Path) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write("time_utc,low,high\n")
        for t, low, high in zip(iso(LOW.time_us), LOW.value.tolist(), HIGH.value.tolist(), strict=True):
            file.write(f"{t},{100 * low:.1f},{100 * high:.1f}\n")
    return path


def invoked(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["forecast", *words])


def test_a_bare_recording_is_learned_with_its_column_upstream_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast_fit, "fit", quick)
    file, out = recorded(tmp_path / "river.csv"), tmp_path / "low.npz"
    words = ["train", "--record", str(file), "--value", "low", "--unit", "cm", "--upstream", f"high@{TRAVEL_H:g}h"]
    result = invoked(*words, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "ล่วงหน้า 1 ชม.: ใช้" in result.stdout
    assert "1 h ahead: accepted" in result.stdout
    assert "| 6 | rises |" in result.stdout
    found = forecast_file.load(out)
    assert found.layout == Layout(series="record/stage_m", cadence_us=STEP_US, upstream=found.layout.upstream)
    assert [(one.series, one.travel_us) for one in found.layout.upstream] == [("high", LAYOUT.upstream[0].travel_us)]


def test_rows_of_another_station_of_the_file_are_its_gauge_upstream(tmp_path: Path) -> None:
    file = tmp_path / "both.csv"
    with file.open("w", encoding="utf-8") as opened_file:
        opened_file.write("time_utc,station,stage_m\n")
        for name, of in (("low", LOW), ("high", HIGH)):
            for t, value in zip(iso(of.time_us[:500]), of.value[:500].tolist(), strict=True):
                opened_file.write(f"{t},{name},{value!r}\n")
    past = forecast_history.of_record(
        file,
        time="time_utc",
        value="stage_m",
        where=["station=low"],
        unit="m",
        cadence_s=None,
        upstream=[("station=high", 3600.0 * TRAVEL_H)],
    )
    assert np.array_equal(past.own.value, LOW.value[:500])
    assert np.array_equal(past.upstream[0].value, HIGH.value[:500])
    assert past.layout.upstream[0].travel_us == LAYOUT.upstream[0].travel_us


@pytest.mark.parametrize(
    "more",
    [["--upstream", "high"], ["--upstream", "@3h"], ["--upstream", "high@0h"], ["--cadence", "often"], ["WL-01"]],
)
def test_wrong_usage_is_said(tmp_path: Path, more: list[str]) -> None:
    file = tmp_path / "river.csv"
    file.write_text("time_utc,low,high\n", encoding="utf-8")
    assert invoked("train", "--record", str(file), "--value", "low", *more).exit_code == 2


# ---- stations of the configuration


def low_and_high() -> tuple[Station, Station]:
    half_hour = STEP_US / 1_000_000
    low, high = station("LOW", cadence_s=half_hour), station("HIGH", cadence_s=half_hour, areas=("other",))
    upstream = (Upstream(station="HIGH", travel_s=3600 * TRAVEL_H),)
    return msgspec.structs.replace(low, upstream=upstream), high


def test_the_configuration_says_what_a_forecaster_hears() -> None:
    assert layout_of(registry(*low_and_high()), "LOW") == LAYOUT
    dry = station("RF", Sensor(quantity="rain_mm"), bank_m=None)
    assert layout_of(registry(dry), "RF") is None


@pytest.mark.parametrize(
    ("upstream", "why"),
    [
        ((Upstream(station="NOWHERE", travel_s=60),), "no station that measures"),
        ((Upstream(station="RF", travel_s=60),), "no station that measures"),
        ((Upstream(station="LOW", travel_s=60),), "come back"),
        ((Upstream(station="HIGH", travel_s=0),), "above 0"),
        ((Upstream(station="HIGH", travel_s=float("nan")),), "above 0"),
        ((Upstream(station="HIGH", travel_s=1e9),), "at most"),
        ((Upstream(station="HIGH", travel_s=60), Upstream(station="HIGH", travel_s=90)), "twice"),
    ],
)
def test_an_upstream_that_cannot_be_is_a_mistake(upstream: tuple[Upstream, ...], why: str) -> None:
    low, high = low_and_high()
    rain = station("RF", Sensor(quantity="rain_mm"), bank_m=None)
    with pytest.raises(ConfigError, match=why):
        registry(msgspec.structs.replace(low, upstream=upstream), high, rain)


def test_water_that_comes_back_and_rain_with_an_upstream_are_mistakes() -> None:
    low, high = low_and_high()
    with pytest.raises(ConfigError, match="come back"):
        registry(low, msgspec.structs.replace(high, upstream=(Upstream(station="LOW", travel_s=60),)))
    rain = station("RF", Sensor(quantity="rain_mm"), bank_m=None)
    with pytest.raises(ConfigError, match="only a water level"):
        registry(msgspec.structs.replace(rain, upstream=(Upstream(station="HIGH", travel_s=60),)), high)


def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The sample, with WL-01 upstream of WL-02, both every half hour; (configuration, state)."""
    config, state = tmp_path / "config", tmp_path / "state"
    config.mkdir()
    for file in SAMPLE.glob("*.toml"):
        text = file.read_text(encoding="utf-8")
        if file.name == "stations.toml":
            text = text.replace("cadence_s = 120", "cadence_s = 1800")
            wl_02 = 'id = "WL-02"\n'
            assert wl_02 in text
            text = text.replace(wl_02, f'{wl_02}upstream = [{{ station = "WL-01", travel_s = {3600 * TRAVEL_H:g} }}]\n')
            assert tomllib.loads(text)
        (config / file.name).write_text(text, encoding="utf-8")
    state.mkdir()
    monkeypatch.setenv("TAKEAN_CONFIG", str(config))
    monkeypatch.setenv("TAKEAN_STATE", str(state))
    return config, state


def put(config: Path, state: Path, name: str, of: Gauge) -> None:
    """Good readings, in the journal."""
    there, n = load_stations(config / "stations.toml"), len(of.time_us)
    series = np.full(n, there.index[name, "stage_m"])
    batch = ReadingBatch.of(series=series, time_us=of.time_us, value=of.value, received_us=of.time_us)
    with closing(DuckStore(state / f"journal.{settings.load(config).world.kind}.duckdb", there.keys())) as store:
        none, good = np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.uint8)
        store.append(batch, none, good, np.zeros(n, dtype=np.uint32))


def stored(config: Path, state: Path) -> None:
    """The catchment's record, with readings that count for nothing among it."""
    there = load_stations(config / "stations.toml")
    low, high = there.index["WL-02", "stage_m"], there.index["WL-01", "stage_m"]
    n = len(LOW.time_us)
    series = np.r_[np.full(n, low), np.full(n, high), [low, low]]
    time_us = np.r_[LOW.time_us, HIGH.time_us, LOW.time_us[5] + 1_000_000, LOW.time_us[6]]
    value = np.r_[LOW.value, HIGH.value, 99.0, 88.0]
    flag, conflict = np.ones(2 * n + 2, dtype=np.uint8), np.zeros(2 * n + 2, dtype=np.bool_)
    flag[-2:], conflict[-1] = (4, 3), True
    batch = ReadingBatch.of(series=series, time_us=time_us, value=value, received_us=time_us)
    kind = settings.load(config).world.kind
    with closing(DuckStore(state / f"journal.{kind}.duckdb", there.keys())) as store:
        store.append(batch, conflict, flag, np.zeros(2 * n + 2, dtype=np.uint32))


def test_a_station_is_trained_on_its_own_and_its_upstream_record_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast_fit, "fit", quick)
    config, state = configured(tmp_path, monkeypatch)
    stored(config, state)
    kind = settings.load(config).world.kind
    layout = layout_of(load_stations(config / "stations.toml"), "WL-02")
    assert layout is not None
    with opened(
        socket=places.local_socket(state, kind),
        journal=state / f"journal.{kind}.duckdb",
        days=places.days_folder(state, kind),
    ) as rows:
        past = forecast_history.of_store(rows, layout)
    assert np.array_equal(past.own.value, LOW.value), "what is flagged bad or contradicts is not learned from"
    assert np.array_equal(past.upstream[0].value, HIGH.value)

    result = invoked("train", "WL-02")
    assert result.exit_code == 0, result.output
    assert "3 h ahead: accepted" in result.stdout
    found = forecast_file.load(forecast_file.path_of(places.forecasts_folder(state, kind), "WL-02"))
    assert (found.layout, found.until_us) == (layout, int(LOW.time_us[-1]))
    shown = invoked("show", "WL-02")
    assert "ล่วงหน้า 3 ชม.: ใช้" in shown.stdout
    assert isinstance(shown.exception, ExchangeError)
    assert "does not run" in str(shown.exception)


def test_what_is_ahead_is_shown_of_the_running_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, state = configured(tmp_path, monkeypatch)
    world = replace(configuration.load(config, state, {}), mqtt=("127.0.0.1", 0), broker=None)
    time_us = clock.real_us() - STEP_US * np.arange(12)[::-1]
    put(config, state, "WL-02", Gauge.of(time_us, 3.0 - 0.1 * np.arange(12.0)[::-1], STEP_US))
    with running(world):
        shown, silent = invoked("show", "WL-02"), invoked("show", "WL-01")
    assert shown.exit_code == 0, shown.output
    assert "nothing was trained" in shown.stdout
    assert "3.00 m" in shown.stdout
    assert "แนวโน้ม · trend" in shown.stdout
    assert "ตลิ่ง" in shown.stdout
    assert "the data is too old" in silent.stdout


def test_a_station_without_a_record_or_without_water_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, state = configured(tmp_path, monkeypatch)
    stored(config, state)
    told = invoked("train", "WL-04", "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["rows"], [one["accepted"] for one in found["verdicts"]]) == (0, [False] * 3)
    for name in ("RF-01", "NOWHERE"):
        assert isinstance(invoked("train", name).exception, ExchangeError)


# ---- recorded rivers


def of_reference(path: Path, value: str, where: list[str], *upstream: tuple[str, float]) -> Forecaster:
    past = forecast_history.of_record(
        path, time="time_utc", value=value, where=where, unit="m", cadence_s=None, upstream=upstream
    )
    return train(past.layout, rows_of(past.layout, past.own, past.upstream), quick, now_us=T0_US)


def test_on_a_river_of_a_quarter_hourly_gauge_it_is_worth_something(reference: Path) -> None:
    found = of_reference(reference / "data" / "flood" / "uk" / "aire_armley_2015.csv.gz", "stage_m", [])
    assert found.rows > 30_000
    assert found.accepted.all(), [one.english for one in found.verdicts]
    rises = [one for one in found.scores if one.rises]
    assert [one.mae[LEARNED] < min(one.mae[PERSISTENCE], one.mae[LINEAR]) for one in rises] == [True] * 3


def test_of_four_days_of_a_flood_nothing_is_learned_that_may_be_used(reference: Path) -> None:
    kelani = reference / "data" / "flood" / "lk" / "kelani_2025.csv"
    found = of_reference(kelani, "level_m", ["station=Hanwella"], ("station=Glencourse", 5 * 3600.0))
    assert 0 < found.rows < 100
    assert not found.accepted.any()
    assert all("ข้อมูล" in one.thai for one in found.verdicts)
