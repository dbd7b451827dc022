"""Rules as data: the sample loads, mistakes are all named, unlike thresholds cannot be mixed up."""

import math
from pathlib import Path

import numpy as np
import pytest

from alerts import rules
from alerts.rules import compile_rules
from sensors import stations
from sensors.stations import ConfigError, Sensor
from takean.settings import SAMPLE
from tests.builders import absence_rule, level_rule, registry, rule_set, station


def test_the_sample_is_valid_and_speaks_for_every_gauge() -> None:
    reg = stations.load(SAMPLE / "stations.toml")
    ladders = compile_rules(rules.read(SAMPLE / "rules.toml"), reg).ladders
    gauges = [s.key for s in reg.series if s.quantity == "stage_m"]
    assert [reg.series[i].key for i in ladders.series] == gauges
    assert len(gauges) == 4


def test_a_fraction_of_the_bank_counts_from_the_bed_to_the_lower_bank() -> None:
    reg = registry(station("A", bank_m=4.0))
    ladders = rule_set(reg, level_rule(1, 0.7, unit="bank", leave=0.65)).ladders
    assert ladders.enter[0, 0] == pytest.approx(2.8)
    assert ladders.leave[0, 0] == pytest.approx(2.6)


def test_a_missing_step_is_never_entered_and_left_with_the_one_above() -> None:
    ladders = rule_set(registry(station("A")), level_rule(3, 4.0)).ladders
    assert ladders.enter[:, 0].tolist() == [math.inf, math.inf, 4.0]
    assert ladders.leave[:, 0].tolist() == pytest.approx([3.8, 3.8, 3.8])


def test_steps_above_the_highest_rule_are_never_entered_or_left() -> None:
    ladders = rule_set(registry(station("A")), level_rule(1, 2.0)).ladders
    assert ladders.enter[1:, 0].tolist() == [math.inf, math.inf]
    assert np.isnan(ladders.leave[1:, 0]).all()


def test_a_rule_for_a_named_station_takes_the_place_of_the_general_one() -> None:
    reg = registry(station("A"), station("B"))
    special = level_rule(1, 2.5, id="special", stations=("B",))
    ladders = rule_set(reg, special, level_rule(1, 2.0)).ladders
    assert ladders.enter[0].tolist() == [2.0, 2.5]


def test_a_rule_that_could_never_hold_is_refused() -> None:
    reg = registry(station("A", Sensor(quantity="stage_m", suspect=(-0.5, 3.5)), bank_m=None))
    for rule, why in (
        (level_rule(1, 0.7, unit="bank", leave=0.6), "has banks"),
        (level_rule(1, 10.0, quantity="rain_mm", unit="mm"), "no station measures rain_mm"),
        (level_rule(3, 4.0), "no reading is believed"),
        (level_rule(3, 50.0), "no reading is believed"),
        (level_rule(3, float("nan")), "finite"),
        (level_rule(3, 3.0, up_for_s=float("inf")), "finite"),
        (level_rule(3, 3.0, hazard="locusts"), "'locusts'"),
    ):
        with pytest.raises(ConfigError, match=why):
            rule_set(reg, rule)


def test_all_mistakes_are_named_at_once() -> None:
    reg = registry(station("A"), station("N", bank_m=None))
    wrong: list[rules.Rule] = [
        level_rule(1, 2.0, leave=2.0),
        level_rule(4, 5.0, id="no such level"),
        level_rule(3, 9.0, id="of nothing", quantity="stage_ft"),
        level_rule(3, 9.0, id="nowhere", stations=("Z",)),
        level_rule(3, 9.0, id="no bank", unit="bank", stations=("N",)),
        level_rule(3, 9.0, id="at once", down_for_s=0.0),
        level_rule(3, 9.0, id="nobody says so", source=" "),
        absence_rule(1.0),
    ]
    with pytest.raises(ConfigError) as caught:
        compile_rules(wrong, reg)
    text = "\n".join(caught.value.mistakes)
    for expected in (
        "must be below enter",
        "of nothing",
        "'Z'",
        "has no banks",
        "one step at a time",
        "source",
        "1.5",
        "must be 1, 2 or 3",
    ):
        assert expected in text


def test_a_higher_level_below_a_lower_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be below that of"):
        rule_set(registry(station("A")), level_rule(1, 3.0), level_rule(2, 2.5))


def test_two_rules_for_one_step_are_refused() -> None:
    with pytest.raises(ConfigError, match="both speak for A/stage_m level 1"):
        rule_set(registry(station("A")), level_rule(1, 2.0), level_rule(1, 2.5, id="again"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rule = [", "rules.toml"),
        ('[[rule]]\nkind = "level"\nid = "x"\nspeed = 3', "unknown field"),
        ('[[rule]]\nkind = "magic"', "Invalid value"),
    ],
)
def test_an_unreadable_file_is_refused_with_its_name(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=expected):
        rules.read(path)


def test_a_missing_file_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TAKEAN_CONFIG"):
        rules.read(tmp_path / "rules.toml")


def test_two_sensors_of_one_quantity_have_ladders_of_their_own() -> None:
    two = station("A", Sensor(quantity="stage_m"), Sensor(quantity="stage_m", id="radar"))
    reg = registry(two)
    assert [reg.series[i].name for i in rule_set(reg).ladders.series] == ["stage_m", "stage_m@radar"]
