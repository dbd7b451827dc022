"""`takean backtest --record`: what a bare recording would have been warned of."""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from alerts.backtest import LEVELS, LevelChange
from alerts.skill import Skill
from takean import cli
from takean.backtest import run
from takean.backtest_record import Record, RecordError, default_rules, read, stages
from tests.alerts.rivers import QUARTER_US, Values, river
from tests.builders import T0_US, thorough

CRITICAL_M = 3.0
FLOODS = [(10.0, 3.2, 9.0), (16.0, 1.2, 5.0), (25.0, 2.9, 14.0)]


def stamp(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def recorded(path: Path, level: Values, *, step_us: int = QUARTER_US) -> Path:
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.write("time_utc,stage_m\n")
        for k, value in enumerate(level.tolist()):
            file.write(f"{stamp(T0_US + k * step_us)},{'' if np.isnan(value) else f'{value:.3f}'}\n")
    return path


def backtest(file: Path, *more: str) -> Result:
    words = ["backtest", "--record", str(file), "--value", "stage_m", "--threshold", f"critical={CRITICAL_M}", *more]
    return CliRunner().invoke(cli.app, words)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def changes_of(file: Path, folder: Path, *more: str) -> list[dict[str, str]]:
    out = folder / "out.csv"
    result = backtest(file, "--warnings", str(out), *more)
    assert result.exit_code == 0, result.output
    return rows_of(out)


def test_each_change_of_the_judged_level_is_a_row_and_the_floods_are_hits(tmp_path: Path) -> None:
    file = recorded(tmp_path / "river.csv", river(FLOODS))
    rows = changes_of(file, tmp_path)
    assert list(rows[0]) == ["time_utc", "from_level", "level", "known", "rule", "until_utc"]
    for one, next_ in zip(rows, [*rows[1:], {"time_utc": "", "from_level": "normal"}], strict=True):
        assert one["until_utc"] == next_["time_utc"]
        assert one["level"] == next_["from_level"]
        assert {one["level"], one["from_level"]} <= set(LEVELS)
        assert one["known"] == "true"
    told = json.loads(backtest(file, "--json").stdout)
    assert told["readings"] == 3840
    found = told["skill"]["critical"]
    assert (found["hits"], found["misses"], found["false_alarms"]) == (2, 0, 0)
    assert found["lead_h_median"] >= 0.5


@pytest.mark.parametrize("part", [0.27, 0.452, 0.9])
def test_a_file_that_is_cut_off_has_the_same_rows_up_to_there(tmp_path: Path, part: float) -> None:
    level = river(FLOODS)
    whole = changes_of(recorded(tmp_path / "whole.csv", level), tmp_path)
    end = int(part * len(level))
    cut = changes_of(recorded(tmp_path / "cut.csv", level[:end]), tmp_path)
    last = stamp(T0_US + (end - 1) * QUARTER_US)
    same = [row for row in whole if row["time_utc"] <= last]
    assert [list(row.values())[:5] for row in cut] == [list(row.values())[:5] for row in same]


@thorough(5)
@given(
    steps_min=st.lists(st.sampled_from([1, 15, 60, 240]), min_size=13, max_size=13),
    levels=st.lists(st.sampled_from([1.0, 1.9, 2.85, 2.93, 3.1]), min_size=14, max_size=14),
)
@example(  # judged by a cadence that is learned from later rows, the warning of row 3 comes and goes with them
    steps_min=[15, 15, 15, 240, 240, 240, 240, 240, 15, 15, 15, 15, 15],
    levels=[1.0, 1.0, 1.9, 2.93, 2.93, 2.85, 2.85, 1.9, 1.0, 1.0, 1.0, 1.9, 2.93, 3.1],
)
def test_a_record_that_is_cut_off_while_its_cadence_is_learned_has_the_same_changes_up_to_there(
    steps_min: list[int], levels: list[float]
) -> None:
    time_us = T0_US + 60_000_000 * np.cumsum([0, *steps_min])
    value = np.array(levels)

    def changes(rows: int) -> list[LevelChange]:
        some = Record(
            quantity="stage_m", time_us=time_us[:rows], value=value[:rows], conflict=np.zeros(rows, dtype=np.bool_)
        )
        by = stages(some, {"critical": CRITICAL_M}, cadence_s=None, bed=None, rules=default_rules())
        return list(run(some, by).changes)

    whole = changes(len(value))
    for end in range(1, len(value)):
        assert changes(end) == [one for one in whole if one.time_us <= time_us[end - 1]]


def test_what_is_no_number_is_not_taken_for_calm(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("time_utc,stage_m\n2026-01-01T00:00:00Z,high\n", encoding="utf-8")
    with pytest.raises(RecordError, match="holds no number, but such as 'high'"):
        read(file, time="time_utc", value="stage_m", where=(), unit="m")
    file.write_text("time_utc,stage_m\n2026-01-01T00:00:00Z,high\n2026-01-01T01:00:00Z,1.0\n", encoding="utf-8")
    assert json.loads(backtest(file, "--json").stdout)["without_value"] == 1


def test_a_station_that_is_not_in_the_file_is_not_taken_for_calm(tmp_path: Path) -> None:
    file = tmp_path / "named.csv"
    file.write_text("time_utc,id,stage_m\n2026-01-01T00:00:00Z,007,1.0\n", encoding="utf-8")
    with pytest.raises(RecordError, match="no row has id=7"):
        read(file, time="time_utc", value="stage_m", where=["id=7"], unit="m")
    assert len(read(file, time="time_utc", value="stage_m", where=["id=007"], unit="m")) == 1


def test_a_parquet_file_may_have_its_times_as_index(tmp_path: Path) -> None:
    times = pd.date_range("2026-01-01", periods=3, freq="15min", name="time_utc", tz="Asia/Bangkok")
    pd.DataFrame({"stage_m": [1.0, 2.0, 3.0]}, index=times).to_parquet(tmp_path / "x.parquet")
    found = read(tmp_path / "x.parquet", time="time_utc", value="stage_m", where=(), unit="m")
    assert stamp(int(found.time_us[0])) == "2025-12-31T17:00:00Z"


def test_a_packed_file_that_is_torn_off_is_said_to_be(tmp_path: Path) -> None:
    file = recorded(tmp_path / "torn.csv.gz", river(FLOODS))
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(RecordError, match=r"torn\.csv\.gz"):
        read(file, time="time_utc", value="stage_m", where=(), unit="m")


def test_what_no_gauge_shows_and_a_second_value_of_a_time_are_no_flood(tmp_path: Path) -> None:
    file = recorded(tmp_path / "river.csv", np.where(np.arange(400) == 200, 999.0, 1.0))
    with file.open("a", encoding="utf-8") as more:
        more.write(f"{stamp(T0_US + 300 * QUARTER_US)},3.5\n")
    found = json.loads(backtest(file, "--json").stdout)["skill"]["critical"]
    assert (found["hits"], found["misses"], found["false_alarms"]) == (0, 0, 0)


def test_heights_are_told_as_they_were_given(tmp_path: Path) -> None:
    file = recorded(tmp_path / "far.csv", river(FLOODS)[:40] * 100 + 12000)
    said = backtest(file, "--unit", "cm", "--threshold", "critical=12300")
    assert said.exit_code == 2  # twice: CRITICAL_M stands already
    words = ["backtest", "--record", str(file), "--value", "stage_m", "--unit", "cm", "--threshold", "critical=12300"]
    told = CliRunner().invoke(cli.app, words)
    assert told.stdout.startswith("critical 12300 cm: 0 hits, 0 misses, 0 false alarms")
    assert "nan" not in told.stdout


def test_packed_and_parquet_files_are_read_the_same(tmp_path: Path) -> None:
    level = river(FLOODS)
    plain = recorded(tmp_path / "river.csv", level)
    frame = pd.read_csv(plain)
    frame.to_parquet(tmp_path / "river.parquet")
    rows = changes_of(plain, tmp_path)
    assert changes_of(recorded(tmp_path / "river.csv.gz", level), tmp_path) == rows
    assert changes_of(tmp_path / "river.parquet", tmp_path) == rows


def test_a_stage_over_a_far_datum_is_judged_as_one_over_its_own_zero(tmp_path: Path) -> None:
    level = river(FLOODS)
    rows = changes_of(recorded(tmp_path / "near.csv", level), tmp_path)
    file, out = recorded(tmp_path / "far.csv", level.round(3) + 120.0), tmp_path / "far.out.csv"
    result = CliRunner().invoke(
        cli.app,
        [
            "backtest",
            "--record",
            str(file),
            "--value",
            "stage_m",
            "--threshold",
            "critical=123",
            "--warnings",
            str(out),
        ],
    )
    assert result.exit_code == 0, result.output
    assert rows_of(out) == rows


def test_centimetres_are_judged_as_metres(tmp_path: Path) -> None:
    level = river(FLOODS)
    rows = changes_of(recorded(tmp_path / "m.csv", level), tmp_path)
    file = recorded(tmp_path / "cm.csv", 100 * np.round(level, 3))
    result = CliRunner().invoke(
        cli.app,
        ["backtest", "--record", str(file), "--value", "stage_m", "--unit", "cm", "--threshold", "critical=300",
         "--warnings", str(tmp_path / "cm.out.csv")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert rows_of(tmp_path / "cm.out.csv") == rows


def test_only_the_rows_that_are_asked_for_count(tmp_path: Path) -> None:
    times = [stamp(T0_US + k * QUARTER_US) for k in range(3840)]
    frame = pd.concat(
        [pd.DataFrame({"time_utc": times, "station": name, "stage_m": river(FLOODS, base_m=base).round(3)})
         for name, base in (("A", 0.6), ("B", 9.0))]
    )  # fmt: skip
    frame.to_csv(tmp_path / "two.csv", index=False)
    alone = changes_of(recorded(tmp_path / "one.csv", river(FLOODS)), tmp_path)
    assert changes_of(tmp_path / "two.csv", tmp_path, "--where", "station=A") == alone


def test_a_level_that_is_given_is_a_height_and_takes_the_place_of_the_derived_one(tmp_path: Path) -> None:
    file = recorded(tmp_path / "river.csv", river(FLOODS))
    rows = changes_of(file, tmp_path, "--threshold", "warning=2.0")
    level = river(FLOODS).round(3)
    times = [stamp(T0_US + k * QUARTER_US) for k in range(len(level))]
    first = times[int(np.argmax(level >= 2.0))]
    raised = [row for row in rows if row["level"] == "warning" and row["from_level"] in ("normal", "watch")]
    assert raised[0]["time_utc"] == first
    assert raised[0]["rule"] == "given.warning"
    assert not any(row["rule"] == "flood.ahead" for row in rows)


def test_rules_of_ones_own_are_judged_by(tmp_path: Path) -> None:
    sample = Path(cli.__file__).parent / "sample" / "record.toml"
    text = sample.read_text(encoding="utf-8").replace("reach = 0.21", "reach = 0.02")
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    file = recorded(tmp_path / "river.csv", river([(10.0, 3.2, 20.0)]))

    def first(*more: str) -> str:
        return next(row["time_utc"] for row in changes_of(file, tmp_path, *more) if row["level"] == "warning")

    assert first() < first("--rules", str(own))


def test_gaps_repeats_contradictions_and_disorder_break_nothing(tmp_path: Path) -> None:
    level = river(FLOODS)
    level[500:700] = np.nan
    file = recorded(tmp_path / "river.csv", level)
    lines = file.read_text(encoding="utf-8").splitlines()
    torn = [lines[0], *lines[1:900], lines[800], lines[901], lines[900], *lines[902:1500], *lines[1700:]]
    torn.append(lines[-1].rsplit(",", 1)[0] + ",77.0")
    file.write_text("\n".join(torn) + "\n", encoding="utf-8")
    result = backtest(file, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["skill"]["critical"]["hits"] == 2


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--value", "no_such"], "no column no_such"),
        (["--time", "stage_m"], "column stage_m"),
        (["--unit", "K"], "--unit K"),
        (["--where", "station"], "expected column=text"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, more: Sequence[str], says: str) -> None:
    file = recorded(tmp_path / "river.csv", river(FLOODS)[:10])
    result = backtest(file, *more)
    assert isinstance(result.exception, RecordError)
    assert says in str(result.exception)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--threshold", "high=3"],
        ["--threshold", "warning=x"],
        ["--threshold", "warning=nan"],
        ["--threshold", "warning=3.0"],
        ["--threshold", "critical=4"],
        ["--cadence", "often"],
        ["--cadence", "infmin"],
        ["--report", "report.html"],
    ],
)
def test_wrong_usage_is_told(tmp_path: Path, wrong: Sequence[str]) -> None:
    file = recorded(tmp_path / "river.csv", river(FLOODS)[:10])
    assert backtest(file, *wrong).exit_code == 2


def test_an_empty_recording_has_no_changes(tmp_path: Path) -> None:
    assert changes_of(recorded(tmp_path / "river.csv", np.empty(0)), tmp_path) == []


def skill_of(path: Path, *, value: str, critical: float) -> Skill:
    record = read(path, time="time_utc", value=value, where=(), unit="m")
    by = stages(record, {"critical": critical}, cadence_s=None, bed=None, rules=default_rules())
    return run(record, by).skill(critical)


def test_the_floods_of_three_english_rivers_are_warned_of(reference: Path) -> None:
    """A floor, not the aim: docs/skill.md has the numbers, and on how little they rest."""
    rivers = {"aire_armley": (3.9,), "calder_mytholmroyd": (4.5,), "irwell_adelphi": (2.0, 3.0)}
    folder = reference / "data" / "flood" / "uk"
    found = Skill.pooled(
        skill_of(folder / f"{name}_2015.csv.gz", value="stage_m", critical=critical)
        for name, heights in rivers.items()
        for critical in heights
    )
    assert (found.hits, found.misses) == (4, 0)
    assert found.false_alarms <= 3
    assert found.lead_h() >= 3


def test_nine_years_of_tide_hold_no_false_alarm_a_year(reference: Path) -> None:
    file = reference / "data" / "flood" / "nl" / "vlissingen_1976_1984.csv.gz"
    found = skill_of(file, value="level_m_nap", critical=3.12)
    assert found.hits >= 10
    assert found.false_per_year <= 1


def test_rivers_of_our_own_making_are_warned_of_in_time(tmp_path: Path) -> None:
    """Slow and quick ones, and floods that stay just below."""
    parts = []
    for number, (peak_h, height_m) in enumerate([(5.0, 3.4), (9.0, 3.0), (20.0, 2.8), (40.0, 3.1), (9.0, 1.9)]):
        file = recorded(tmp_path / f"{number}.csv", river([(12.0, height_m, peak_h)], days=30))
        parts.append(skill_of(file, value="stage_m", critical=CRITICAL_M))
    found = Skill.pooled(parts)
    assert (found.hits, found.misses) == (4, 0)
    assert found.false_alarms == 0
    assert found.lead_h() >= 1.5
