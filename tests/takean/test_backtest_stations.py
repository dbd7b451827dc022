"""`takean backtest` for the stations of the configuration: two rule sets over one past."""

import json
import math
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from alerts.comparison import Target, worse
from alerts.rules import Rule, RuleSet, compile_rules
from alerts.skill import Skill
from sensors.batch import ReadingBatch
from sensors.sensor import Sensor
from sensors.stations import Registry
from sensors.store.duck import DuckStore
from sensors.trend import HOUR_US
from takean import cli, configuration, settings
from takean.backtest_history import History, of_files
from takean.backtest_stations import compare
from takean.exchange import ExchangeError
from takean.settings import SAMPLE
from tests.alerts.rivers import QUARTER_US, river
from tests.alerts.test_backtest import RULES
from tests.builders import T0_US, level_rule, registry, station

FLOODS = [(10.0, 3.2, 9.0), (25.0, 2.9, 14.0)]
HEIGHTS: tuple[Rule, ...] = (
    level_rule(3, 3.0, id="critical", leave=2.9, up_for_s=0),
    level_rule(2, 2.99, id="late", leave=2.8, up_for_s=0),
)


def two_rivers() -> tuple[Registry, History]:
    there = registry(station("A", cadence_s=900.0), station("B", cadence_s=900.0, areas=("other",)))
    one, two = river(FLOODS), river([(18.0, 1.5, 6.0)])
    time_us = np.tile(T0_US + np.arange(len(one)) * QUARTER_US, 2)
    series = np.repeat([there.index["A", "stage_m"], there.index["B", "stage_m"]], len(one))
    readings = ReadingBatch.of(series=series, time_us=time_us, value=np.round(np.r_[one, two], 3), received_us=time_us)
    readings = readings[np.lexsort((series, time_us))]
    return there, History(batch=readings, conflict=np.zeros(len(readings), dtype=bool))


def unseen(what: str, done: int, of: int) -> None:
    """Nobody looks."""


def sets(there: Registry, *rules: tuple[Rule, ...]) -> list[tuple[str, RuleSet]]:
    return [(f"set {k}", compile_rules(own, there)) for k, own in enumerate(rules)]


def test_each_station_has_its_table_and_all_have_one() -> None:
    there, history = two_rivers()
    found = compare(history, there, sets(there, RULES), show=unseen)
    told = json.loads(found.summary())
    assert [(one["station"], one["hits"], one["false_alarms"]) for one in told["rules"][0]["stations"]] == [
        ("A", 2, 0),
        ("B", 0, 0),
    ]
    assert told["rules"][0]["all"]["pod"] == 1.0
    assert told["worse"] == []


def test_rules_that_warn_too_late_are_worse() -> None:
    there, history = two_rivers()
    found = compare(history, there, sets(there, HEIGHTS, RULES), show=unseen)
    assert any("misses" in one or "lead" in one for one in found.worse)
    assert not compare(history, there, sets(there, RULES, HEIGHTS), show=unseen).worse


def test_the_report_needs_nothing_else_and_draws_each_flood() -> None:
    there, history = two_rivers()
    html = compare(history, there, sets(there, RULES, HEIGHTS), show=unseen).html
    assert html.startswith("<!doctype html>")
    assert "http" not in html
    assert "src=" not in html
    assert html.count("class=water") == 2
    assert "2569" in html
    assert "nan" not in html
    assert "width=device-width" in html


def test_dust_is_told_in_its_own_unit() -> None:
    there = registry(station("Q", Sensor(quantity="pm2_5_ug_m3"), cadence_s=900.0))
    time_us = T0_US + np.arange(9) * QUARTER_US
    readings = ReadingBatch.of(series=np.zeros(9), time_us=time_us, value=np.arange(9) * 30.0, received_us=time_us)
    rule = level_rule(3, 150.0, quantity="pm2_5_ug_m3", unit="ug/m3", hazard="air", leave=100.0)
    found = compare(History(batch=readings, conflict=np.zeros(9, dtype=bool)), there, sets(there, (rule,)), show=unseen)
    assert "Q 150 ug/m3" in found.html
    assert json.loads(found.summary())["rules"][0]["stations"][0]["unit"] == "ug/m3"


def test_without_a_height_there_is_nothing_to_be_warned_of() -> None:
    there, history = two_rivers()
    with pytest.raises(ExchangeError, match="level 3"):
        compare(history, there, sets(there, (level_rule(2, 2.0),)), show=unseen)


def test_more_misses_more_false_alarms_or_less_lead_is_worse_and_nothing_else() -> None:
    target = Target(station="A", hazard="flood", series=0, height=3.0, unit="m")
    old = Skill(hits=4, misses=1, false_alarms=1, covered_us=HOUR_US, leads_us=(4 * HOUR_US,) * 4)

    def verdict(new: Skill) -> int:
        return len(list(worse({target: new}, {target: old})))

    assert verdict(old) == 0
    assert verdict(replace(old, hits=5, misses=0, false_alarms=0)) == 0
    assert verdict(replace(old, misses=2)) == 1
    assert verdict(replace(old, false_alarms=2)) == 1
    assert verdict(replace(old, leads_us=(3 * HOUR_US,) * 4)) == 1
    assert verdict(replace(old, leads_us=(4 * HOUR_US - 60_000_000,) * 4)) == 0
    assert math.isnan(Skill().lead_h())


def exported(path: Path, *, days: float = 16, day: float = 10.0) -> Path:
    """A flood of a sample station as `takean export` would have written it; every second reading twice."""
    level = river([(day, 3.2, 9.0)], days=days)
    lines = ["station,reading,time_utc,value,unit"]
    for k, value in enumerate(level.tolist()):
        moment = datetime.fromtimestamp((T0_US + k * QUARTER_US) // 1_000_000, tz=UTC)
        lines += [f"WL-03,stage_m,{moment:%Y-%m-%dT%H:%M:%SZ},{value + 1.5:.3f},m"] * (1 + k % 2)
    path.write_text("\n".join([*lines, "WL-03,stage_m,no time,1.0,m"]) + "\n", encoding="utf-8")
    return path


def configured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample with a reading each quarter of an hour, and its state folder."""
    config, state = folder / "config", folder / "state"
    shutil.copytree(SAMPLE, config)
    stations = (config / "stations.toml").read_text(encoding="utf-8")
    (config / "stations.toml").write_text(stations.replace("cadence_s = 120", "cadence_s = 900"), encoding="utf-8")
    monkeypatch.setenv("TAKEAN_CONFIG", str(config))
    monkeypatch.setenv("TAKEAN_STATE", str(state))
    return config


def test_a_changed_threshold_is_a_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured(tmp_path, monkeypatch)
    file, report = exported(tmp_path / "past.csv"), tmp_path / "report.html"
    accepted = config / "rules.toml"
    same = CliRunner().invoke(cli.app, ["backtest", str(file), "--against", str(accepted), "--report", str(report)])
    assert same.exit_code == 0, same.output
    assert "WL-03" in report.read_text(encoding="utf-8")
    deaf = tmp_path / "deaf.toml"
    deaf.write_text(accepted.read_text(encoding="utf-8").replace("enter = 0.85", "enter = 0.99"), encoding="utf-8")
    changed = CliRunner().invoke(
        cli.app, ["backtest", str(file), "--rules", str(deaf), "--against", str(accepted), "--json"]
    )
    assert changed.exit_code == 1, changed.output
    told = json.loads(changed.stdout)
    assert told["worse"]
    assert [one["name"] for one in told["rules"]] == [str(deaf), str(accepted)]


def journal_of(config: Path, state: Path, lines: Sequence[str], *, kind: str) -> None:
    """Exported lines, stored as they would have been."""
    world = configuration.load(config, state, {})
    state.mkdir()
    readings: list[tuple[int, int, float]] = []
    for line in lines:
        station, name, moment, number, _ = line.split(",")
        at = world.registry.index[station, name]
        readings.append((at, int(datetime.fromisoformat(moment).timestamp()) * 1_000_000, float(number)))
    series, time_us, value = zip(*readings, strict=True)
    batch = ReadingBatch.of(series=series, time_us=time_us, value=value, received_us=time_us)
    n = len(batch)
    with closing(DuckStore(state / f"journal.{kind}.duckdb", world.registry.keys())) as store:
        none, good = np.zeros(n, dtype=bool), np.ones(n, dtype=np.uint8)
        order = np.random.default_rng(1).permutation(n)  # readings come as they like
        store.append(batch[order], none, good, np.zeros(n, dtype=np.uint32))


def test_the_store_is_judged_as_what_was_exported_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, state = configured(tmp_path, monkeypatch), tmp_path / "state"
    file = exported(tmp_path / "past.csv")
    lines = list(dict.fromkeys(file.read_text(encoding="utf-8").splitlines()[1:-1]))
    journal_of(config, state, lines, kind=settings.load(config).world.kind)
    of_store = CliRunner().invoke(cli.app, ["backtest", "--json"])
    assert of_store.exit_code == 0, of_store.output
    of_file = CliRunner().invoke(cli.app, ["backtest", str(file), "--json"])
    assert json.loads(of_store.stdout) == json.loads(of_file.stdout)
    assert json.loads(of_store.stdout)["rules"][0]["all"]["hits"] == 1


def test_without_a_store_and_without_files_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, monkeypatch)
    (tmp_path / "state").mkdir()
    result = CliRunner().invoke(cli.app, ["backtest"])
    assert isinstance(result.exception, ExchangeError)
    assert "there is no journal yet" in str(result.exception)


def test_options_of_a_recording_without_one_are_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, monkeypatch)
    for option in (["--threshold", "critical=3"], ["--warnings", "out.csv"], ["--value", "stage_m"]):
        result = CliRunner().invoke(cli.app, ["backtest", *option])
        assert result.exit_code == 2
        assert "--record" in result.output


def test_a_repeat_counts_once_and_a_contradiction_speaks_for_nothing(tmp_path: Path) -> None:
    there = registry(station("A"))
    path = tmp_path / "past.csv"
    head = "station,reading,time_utc,value,unit\n"
    rows = ["A,stage_m,2026-01-01T00:01:00Z,1.1,m", "A,stage_m,2026-01-01T00:00:00Z,1.0,m"] * 2
    path.write_text(head + "\n".join([*rows, "A,stage_m,2026-01-01T00:00:00Z,9.0,m"]) + "\n", encoding="utf-8")

    def refused(path: Path, line: int, text: str) -> None:
        raise AssertionError(text)

    found = of_files([path], there, refused=refused, progress=unseen)
    assert found.batch.value.tolist() == [1.0, 9.0, 1.1]
    assert found.conflict.tolist() == [False, True, False]
    assert found.of_series(0)[1].tolist() == [1.0, 1.1]
