"""Rules as data: the sample loads, mistakes are all named, unlike thresholds cannot be mixed up."""

import math
from pathlib import Path

import numpy as np
import pytest

from alerts import rules
from alerts.route import Routes, uncovered
from alerts.rules import compile_rules
from sensors import stations
from sensors.stations import ConfigError, Sensor
from takean.settings import SAMPLE
from tests.alerts.rises import rise_rule
from tests.builders import absence_rule, level_rule, registry, rule_set, station


def test_the_sample_is_valid_and_speaks_for_every_gauge() -> None:
    reg = stations.load(SAMPLE / "stations.toml")
    ladders = compile_rules(rules.read(SAMPLE / "rules.toml"), reg).ladders
    gauges = [s.key for s in reg.series if s.quantity == "stage_m"]
    floods = np.array(ladders.hazard) == "flood"
    assert [reg.series[i].key for i in ladders.series[ladders.by_value & floods]] == gauges
    assert [reg.series[i].key for i in ladders.series[ladders.rise]] == gauges
    assert all(ladders.enter[1:, p].min() == math.inf for p in np.flatnonzero(ladders.rise)), "watch only"
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
        (level_rule(1, 0.7, unit="bank", leave=0.6, stations=("A",)), "has banks"),
        (level_rule(1, 10.0, quantity="rain_mm", unit="mm", stations=("A",)), "no station measures rain_mm"),
        (level_rule(3, 4.0), "no reading is believed"),
        (level_rule(3, 50.0), "no reading is believed"),
        (level_rule(3, float("nan")), "finite"),
        (level_rule(3, 3.0, up_for_s=float("inf")), "finite"),
        (level_rule(3, 3.0, hazard="locusts"), "'locusts'"),
    ):
        with pytest.raises(ConfigError, match=why):
            rule_set(reg, rule)


def test_a_rule_for_all_stations_may_wait_for_the_first_that_measures_its_quantity() -> None:
    wet = level_rule(1, 10.0, id="wet", quantity="rain_mm", unit="mm")
    found = rule_set(registry(station("A")), level_rule(1, 2.0), wet)
    assert found.idle == ("wet",)
    assert len(found.ladders) == 1


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
        "level is 4 but must be 1, 2 or 3",
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


def test_a_rise_rule_makes_a_ladder_of_its_own_behind_that_by_level() -> None:
    reg = registry(station("A"), station("B"))
    ladders = rule_set(reg, rise_rule(1, 0.3, stations=("A",)), level_rule(1, 2.0), level_rule(2, 3.0)).ladders
    assert ladders.series.tolist() == [0, 0, 1]
    assert ladders.rise.tolist() == [False, True, False]
    assert ladders.enter[:, 1].tolist() == [0.3, math.inf, math.inf]
    assert ladders.leave[0, 1] == pytest.approx(0.15)
    assert ladders.sloped.tolist() == [True, False]
    assert ladders.gate_per_h.tolist() == [0.0, -math.inf]
    assert ladders.span_us.tolist() == [600_000_000, 3_600_000_000]
    assert [ladders.by_level(s) for s in (0, 1)] == [0, 2]


def test_a_series_with_a_rise_rule_alone_has_no_ladder_by_level() -> None:
    ladders = rule_set(registry(station("A")), rise_rule(1, 0.3)).ladders
    assert ladders.by_level(0) == -1


@pytest.mark.parametrize(
    ("rules_", "expected"),
    [
        ([rise_rule(1, 0.3, unit="mm/h")], r"unit 'mm/h' does not fit stage_m \(m/h\)"),
        ([rise_rule(1, 0.3, leave=0.3)], "must be below enter"),
        ([rise_rule(1, 0.3, gate=0.2)], "gate is 0.2 but must not be above leave"),
        ([rise_rule(1, 0.3, gate=float("nan"))], "gate is nan, but must be finite"),
        ([rise_rule(1, 0.3, down_for_s=0.0)], "one step at a time"),
        ([rise_rule(1, 0.3, over_s=60.0)], "over_s of flood.rise.1 is 60 but must span 5 readings, 240 s"),
        ([rise_rule(1, 0.3), rise_rule(2, 0.6, over_s=1200.0)], "a series has one slope"),
        ([rise_rule(1, 0.3), rise_rule(2, 0.2)], "must be below that of"),
        ([rise_rule(1, 0.3), rise_rule(1, 0.4, id="again")], "both speak for A/stage_m level 1"),
    ],
)
def test_a_rise_rule_that_makes_no_sense_is_refused(rules_: list[rules.Rule], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        compile_rules(rules_, registry(station("A")))


def test_every_mistake_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nkind = "level"\nid = "x"\nspeed = 3\n[[rule]]\nkind = "magic"\n[[other]]\na = 1\n')
    with pytest.raises(ConfigError) as caught:
        rules.read(path)
    assert len(caught.value.mistakes) == 3
    assert "rule 1 (x)" in caught.value.mistakes[1]


def test_every_mistake_of_one_rule_is_named_although_a_number_is_endless() -> None:
    wrong = level_rule(5, float("inf"), hazard="locusts", down_for_s=-1.0, source="", stations=("Z",))
    with pytest.raises(ConfigError) as caught:
        compile_rules([wrong], registry(station("A")))
    text = "\n".join(caught.value.mistakes)
    for expected in ("level is 5", "'locusts'", "finite", "down_for_s is -1.0", "source", "'Z'"):
        assert expected in text


def test_a_level_reached_by_rise_needs_a_route() -> None:
    assert uncovered(Routes(by={}), [rise_rule(1, 0.3), absence_rule()]) == [
        "rule flood.rise.1 reaches flood level 1, for which routes.toml has no route"
    ]
