"""Prometheus on holds: what our rules say of `up_for_s`, `promtool test rules` says of `for:`, and where not."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

from alerts.episode import EventType
from tests.alerts.judge_world import World
from tests.builders import MINUTE_US, T0_US, absence_rule, batch, level_rule

ENTER_M, HOLD_MIN, MINUTES = 3.0, 2, 20
GAP = None
"""A minute without a reading."""


def promtool(folder: Path, sequences: Sequence[Sequence[float | None]], firing: Sequence[set[int]]) -> str:
    """What promtool has against the claim that each sequence fires in exactly these minutes; empty when nothing."""
    rule = {"alert": "Flood", "expr": f"stage_m >= {ENTER_M}", "for": f"{HOLD_MIN}m"}
    (folder / "rules.json").write_text(json.dumps({"groups": [{"name": "flood", "rules": [rule]}]}))
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": "stage_m", "values": " ".join("_" if v is GAP else f"{v:g}" for v in values)}],
            "alert_rule_test": [
                {
                    "eval_time": f"{minute}m",
                    "alertname": "Flood",
                    "exp_alerts": [{"exp_labels": {}}] if minute in minutes else [],
                }
                for minute in range(len(values))
            ],
        }
        for values, minutes in zip(sequences, firing, strict=True)
    ]
    file = folder / "tests.json"
    file.write_text(json.dumps({"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def ours(values: Sequence[float | None]) -> set[int]:
    """Minutes in which the level stands, by event time, until it first falls."""
    world = World(
        own_rules=(
            level_rule(1, ENTER_M, leave=ENTER_M - 1e-6, up_for_s=HOLD_MIN * 60.0, down_for_s=60.0),
            absence_rule(),
        )
    )
    minutes = [k for k, value in enumerate(values) if value is not GAP]
    world.take(batch([values[k] or 0.0 for k in minutes], times_us=[T0_US + k * MINUTE_US for k in minutes]))
    judged = [e for e in world.events() if e.type is EventType.JUDGED and e.hazard == "flood"]
    if not judged:
        return set()
    first = (judged[0].event_us - T0_US) // MINUTE_US
    last = (judged[1].event_us - T0_US) // MINUTE_US if len(judged) > 1 else len(values)
    return set(range(first, last))


def until_first_fall(values: Sequence[float | None], minutes: set[int]) -> Sequence[float | None]:
    """The sequence up to where what stands is first below: from there on the two differ by design."""
    if not minutes:
        return values
    fall = next((k for k in range(min(minutes), len(values)) if (values[k] or 0.0) < ENTER_M), len(values))
    return values[:fall]


def test_a_hold_begins_and_is_broken_as_prometheus_says(tmp_path: Path) -> None:
    rng = Random(7)
    drawn = [[rng.choice((2.5, 3.0, 3.5, 3.5)) for _ in range(MINUTES)] for _ in range(60)]
    told = [ours(values) for values in drawn]
    assert sum(bool(minutes) for minutes in told) > 10, "most of them fire"
    cut = [until_first_fall(values, minutes) for values, minutes in zip(drawn, told, strict=True)]
    claimed = [{m for m in minutes if m < len(values)} for values, minutes in zip(cut, told, strict=True)]
    assert promtool(tmp_path, cut, claimed) == ""
    wrong = [{m + 1 for m in minutes} for minutes in claimed]
    assert "FAILED" in promtool(tmp_path, cut, wrong), "it would object"


def test_a_fall_ends_at_once_there_and_after_its_dwell_here(tmp_path: Path) -> None:
    values = [3.5] * 5 + [2.5] + [3.5] * 4
    assert promtool(tmp_path, [values], [{2, 3, 4, 8, 9}]) == "", "one dip, and the hold begins anew"
    assert ours(values) == set(range(2, 10)), "one dip is no end"


def test_a_gap_is_bridged_there_and_breaks_the_hold_here(tmp_path: Path) -> None:
    values = [2.5, 3.5, GAP, GAP, GAP, 3.5, 3.5, 3.5]
    assert promtool(tmp_path, [values], [{3, 4, 5, 6, 7}]) == "", "the last value counts for five minutes"
    assert ours(values) == {7}, "nothing was measured in between (contract 5.2)"
