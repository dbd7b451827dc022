"""Rule tests: what an expert writes is read, run and answered with file, line, expected and found."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from alerts.rule_tests import Unreadable, seconds_of, values_of
from sensors.stations import ConfigError
from takean import rule_tests
from takean.cli import app
from takean.settings import SAMPLE

OURS = SAMPLE.parent / "rule-tests"
WORLD = """rules = "rules.toml"
[[area]]
id = "village"
name = "บ้าน"
english = "Village"
[[station]]
id = "WL"
name = "WL"
english = "WL"
lat = 14.9
lon = 104.2
areas = ["village"]
cadence_s = 60
[[station.sensor]]
quantity = "stage_m"
"""
RULE = """[[rule]]
id = "flood.watch"
kind = "level"
version = "1"
hazard = "flood"
level = 1
quantity = "stage_m"
unit = "m"
enter = 2.0
leave = 1.8
up_for_s = 60
down_for_s = 60
source = "test"
author = "test"
date = 2026-11-22
"""
TEST = """[[test]]
name = "it rises"
interval = "1m"
[[test.series]]
series = "WL/stage_m"
values = "{values}"
"""


def written(folder: Path, *tests: str) -> Path:
    (folder / "rules.toml").write_text(RULE, encoding="utf-8")
    path = folder / "flood.toml"
    path.write_text(WORLD + "".join(tests), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(OURS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_default_rules_do_what_their_tests_say(path: Path) -> None:
    outcome = rule_tests.run(path)
    assert outcome.unmet == []
    assert outcome.tests


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("2.5", [2.5]),
        ("0.5+0.1x3", [0.5, 0.6, 0.7, 0.8]),
        ("1-1x2 7", [1, 0, -1, 7]),
        ("2x1 _ _x2 nan", [2, 2, np.inf, np.inf, np.inf, np.nan]),
        ("(1 2)x1", [1, 2, 1, 2]),
        ("", []),
    ],
)
def test_series_are_written_as_prometheus_writes_them(text: str, values: list[float]) -> None:
    np.testing.assert_allclose(values_of(text), values)


@pytest.mark.parametrize("text", ["1+1", "x5", "1,2", "1x2x3", "2x9999999", "(1 2)x9999999"])
def test_what_is_no_series_is_named(text: str) -> None:
    with pytest.raises(Unreadable, match=r"is none of|more than"):
        values_of(text)


def test_times_are_written_as_people_say_them() -> None:
    assert [seconds_of(text) for text in ("90s", "35m", "1d6h", "0s")] == [90, 2100, 108_000, 0]
    for text in ("", "5", "m5", "5m 3s"):
        with pytest.raises(Unreadable, match="is no time"):
            seconds_of(text)


def test_what_is_not_as_expected_is_told_with_its_line(tmp_path: Path) -> None:
    expect = (
        '[[test.expect]]\nat = "1m"\nevidence = ["flood.watch false"]\nlevels = []\n'
        '[[test.expect]]\nat = "5m"\nevidence = ["flood.watch false"]\nlevels = ["village flood 2"]\n'
    )
    path = written(tmp_path, TEST.format(values="1.0 2.5x6"), expect)
    line = path.read_text().splitlines().index('at = "5m"')
    assert rule_tests.run(path).unmet == [
        f"{path}:{line}: it rises: flood.watch at 5m: expected false, found true",
        f"{path}:{line}: it rises: levels at 5m: expected village flood 2, found village flood 1",
    ]


def test_without_expectations_nothing_may_be_raised(tmp_path: Path) -> None:
    assert rule_tests.run(written(tmp_path, TEST.format(values="1.0x20"))).unmet == []
    path = written(tmp_path, TEST.format(values="1.0x20 2.5x5"))
    assert rule_tests.run(path).unmet == [
        f"{path}:16: it rises: flood.watch at 22m: expected nothing is raised, found level 1"
    ]


@pytest.mark.parametrize(
    ("expect", "found"),
    [
        ('at = "1m"\nevidence = ["flood.watch maybe"]', "is none of 'RULE true'"),
        ('at = "1m"\nevidence = ["flood.drizzle true"]', "no rule of that name listens here"),
        ('at = "soon"', "'soon' is no time"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, expect: str, found: str) -> None:
    (unmet,) = rule_tests.run(written(tmp_path, TEST.format(values="1.0"), f"[[test.expect]]\n{expect}\n")).unmet
    assert found in unmet


def test_unknown_is_expected_as_any_other_evidence(tmp_path: Path) -> None:
    expect = (
        '[[test.expect]]\nat = "30m"\nevidence = ["flood.watch WL/stage_m unknown"]\nlevels = ["village flood 1"]\n'
    )
    assert rule_tests.run(written(tmp_path, TEST.format(values="2.5x5"), expect)).unmet == []


def test_the_command_runs_files_and_folders_and_fails_where_something_is_not_as_expected(tmp_path: Path) -> None:
    good = CliRunner().invoke(app, ["rules", "test", str(OURS)])
    assert (good.exit_code, "0 not as expected" in good.output) == (0, True)
    bad = CliRunner().invoke(app, ["rules", "test", str(written(tmp_path, TEST.format(values="2.5x5")))])
    assert bad.exit_code == 1
    assert "expected nothing is raised, found level 1" in bad.output


def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        rule_tests.files([tmp_path / "nowhere.toml"])
    path = tmp_path / "odd.toml"
    path.write_text('rules = "rules.toml"\nspeed = 3\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"odd\.toml"):
        rule_tests.run(path)
