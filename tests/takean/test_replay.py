"""`takean replay`: a recorded stream through the whole judge."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from alerts.backtest import judge
from alerts.episode import EventType
from alerts.rules import compile_rules
from takean import cli, configuration
from takean.backtest_history import History
from takean.configuration import World
from takean.replay import line, replay
from takean.settings import SAMPLE
from tests.alerts.rivers import batch, river
from tests.alerts.test_backtest import RULES
from tests.builders import registry, station
from tests.takean.test_backtest_stations import exported

FLOODS = [(0.5, 3.2, 9.0)]


def world_of(state: Path) -> World:
    there = registry(station("A", cadence_s=900.0))
    held = configuration.load(SAMPLE, state, {})
    return replace(held, registry=there, rules=compile_rules(RULES, there))


def stream(*, gap: slice | None = None) -> History:
    readings = batch(river(FLOODS, days=2))
    if gap is not None:
        readings = readings[np.delete(np.arange(len(readings)), gap)]
    return History(batch=readings, conflict=np.zeros(len(readings), dtype=bool))


def test_played_again_it_is_the_same_to_the_bit(tmp_path: Path) -> None:
    world, recorded = world_of(tmp_path), stream()
    once = [line(event) for event in replay(recorded, world)]
    waited: list[float] = []
    again = [line(event) for event in replay(recorded, world, speed=60.0, rest=waited.append)]
    assert once == again
    assert sum(waited) == pytest.approx((recorded.batch.time_us[-1] - recorded.batch.time_us[0]) / 60e6, rel=0.01)


def test_a_backtest_sees_the_same_levels(tmp_path: Path) -> None:
    world, recorded = world_of(tmp_path), stream()
    judged = [one for one in replay(recorded, world) if one.type is EventType.JUDGED]
    changes = list(judge(recorded.batch, recorded.conflict, world.registry, world.rules))
    assert [(one.event_us, one.from_level, one.to_level) for one in judged] == [
        (one.time_us, one.from_level, one.to_level) for one in changes
    ]
    assert len(judged) >= 6


def test_a_silence_in_a_rise_is_heard(tmp_path: Path) -> None:
    """What a backtest does not know: the station falls silent while the water rises."""
    recorded = stream(gap=slice(73, 150))
    found = [one for one in replay(recorded, world_of(tmp_path)) if one.hazard == "flood"]
    assert any(one.type is EventType.LOST for one in found)


def test_nothing_to_play_is_nothing(tmp_path: Path) -> None:
    recorded = stream()
    none = History(batch=recorded.batch[:0], conflict=recorded.conflict[:0])
    assert list(replay(none, world_of(tmp_path))) == []


def test_files_are_played_by_the_configured_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    shutil.copytree(SAMPLE, config)
    stations = (config / "stations.toml").read_text(encoding="utf-8")
    (config / "stations.toml").write_text(stations.replace("cadence_s = 120", "cadence_s = 900"), encoding="utf-8")
    monkeypatch.setenv("TAKEAN_CONFIG", str(config))
    monkeypatch.setenv("TAKEAN_STATE", str(tmp_path / "state"))
    result = CliRunner().invoke(cli.app, ["replay", str(exported(tmp_path / "past.csv", days=2, day=0.5))])
    assert result.exit_code == 0, result.output
    told = [json.loads(text) for text in result.stdout.splitlines()]
    assert 3 in [one["level"] for one in told if one["hazard"] == "flood" and one["type"] == "judged"]
    assert not (tmp_path / "state").exists() or not list((tmp_path / "state").iterdir())
