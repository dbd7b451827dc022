"""What rules say together: three values, in the order in which it came about."""

from itertools import product

import numpy as np
import pytest

from alerts.composites import FALSE, TRUE, UNKNOWN, Formula, Sign
from alerts.inputs.listeners import empty as nothing_heard
from alerts.rules import Rule, compile_rules
from alerts.track_state import TrackState
from alerts.tracks import Tracks
from sensors.batch import ReadingBatch
from sensors.stations import ConfigError, Sensor
from tests.alerts.input_rules import composite
from tests.builders import MINUTE_US, T0_US, level_rule, registry, station

REG = registry(
    station("P", Sensor(quantity="pm2_5_ug_m3"), Sensor(quantity="humidity_pct")),
    station("Q", Sensor(quantity="pm2_5_ug_m3"), areas=("village", "other")),
)
DUST, HUMIDITY, DUST_TOO = range(3)


def sign(id: str, quantity: str, enter: float) -> Rule:
    unit = "%RH" if quantity == "humidity_pct" else "ug/m3"
    held = {"up_for_s": 0.0, "down_for_s": 60.0, "leave": enter - 5}
    return level_rule(0, enter, id=id, hazard="smoke", quantity=quantity, unit=unit, **held)


SIGNS = (sign("dust", "pm2_5_ug_m3", 50.0), sign("fog", "humidity_pct", 90.0))


def told(rules: tuple[Rule, ...], *readings: tuple[float, int, float]) -> list[tuple[int, int, int]]:
    """(minute, from, to) of the composite of the village; readings are (minute, series, value)."""
    ladders = compile_rules(rules, REG).ladders
    one = Tracks(limits=REG.limits, ladders=ladders, shown=np.full(3, -1.0))
    state = TrackState.empty(3, len(ladders), inputs=nothing_heard(ladders.listeners))
    number = next(p for p in range(len(ladders)) if ladders.areas[p] == ("village",) and ladders.hazard[p] == "smoke")
    found = []
    for seq, (minute, series, value) in enumerate(readings, start=1):
        time_us = [T0_US + round(minute * MINUTE_US)]
        batch = ReadingBatch.of(series=[series], time_us=time_us, value=[value], received_us=time_us)
        taken = one.take(batch, np.zeros(1, dtype=bool), np.array([seq]), state)
        state = taken.state
        rows = zip(
            taken.told.ladder.tolist(), taken.told.from_level.tolist(), taken.told.to_level.tolist(), strict=True
        )
        found += [(int(minute), a, b) for p, a, b in rows if p == number]
    return found


@pytest.mark.parametrize("values", list(product((TRUE, UNKNOWN, FALSE), repeat=3)))
def test_and_or_and_k_of_n_are_kleenes(values: tuple[int, ...]) -> None:
    level = {p: 1 if value == TRUE else 0 for p, value in enumerate(values)}
    known = {p: value != UNKNOWN for p, value in enumerate(values)}
    parts = tuple(Sign(ladder=p, level=1) for p in range(3))
    assert Formula(parts=parts, at_least=3).value(level, known) == min(values)
    assert Formula(parts=parts, at_least=1).value(level, known) == max(values)
    assert Formula(parts=parts, at_least=2).value(level, known) == sorted(values)[1]
    assert Formula(parts=parts[:1], at_least=1, negated=True).value(level, known) == -values[0]


BOTH = (*SIGNS, composite("both", 2, all=("dust", "fog")))
EITHER = (*SIGNS, composite("either", 1, any=("dust", "fog")))
CLEAR = (*SIGNS, composite("clear", 1, all=("dust",), none=("fog",)))
TWO = (*SIGNS, composite("two", 2, any=("dust",), at_least=2, each_sensor=True))


def test_all_of_them_must_hold_and_it_falls_one_level_at_a_time() -> None:
    readings = [(0, DUST, 60.0), (0, HUMIDITY, 80.0), (1, HUMIDITY, 95.0), (1, DUST, 60.0)]
    after = [(2, DUST, 20.0), (2, HUMIDITY, 95.0), (3, DUST, 20.0), (3, HUMIDITY, 95.0)]
    assert told(BOTH, *readings, *after) == [(1, 0, 2), (3, 2, 1), (3, 1, 0)]


def test_a_sensor_that_is_silent_holds_what_it_held_and_nothing_else() -> None:
    fall = [(60, DUST_TOO, 20.0), (61, DUST_TOO, 20.0), (62, DUST_TOO, 20.0)]
    one = (*SIGNS, composite("one", 1, all=("dust",)))
    assert told(one, (0, DUST_TOO, 60.0), (0, DUST, 20.0), *fall) == [(0, 0, 1), (61, 1, 0)]
    assert told(one, (0, DUST_TOO, 60.0), (0, DUST, 60.0), *fall) == [(0, 0, 1)]


def test_what_is_unknown_does_not_raise() -> None:
    assert told(CLEAR, (0, DUST, 60.0), (1, DUST, 60.0)) == [], "nobody knows whether there is fog"
    assert told(BOTH, (0, HUMIDITY, 95.0), (60, DUST, 60.0)) == [], "the humidity of an hour ago"


def test_what_is_heard_again_decides() -> None:
    assert told(CLEAR, (0, DUST, 60.0), (1, DUST, 60.0), (1, HUMIDITY, 70.0)) == [(1, 0, 1)]
    assert told(BOTH, (0, HUMIDITY, 95.0), (60, DUST, 60.0), (60, HUMIDITY, 95.0)) == [(60, 0, 2)]


def test_what_is_unknown_does_not_clear() -> None:
    fall = [(60, DUST, 20.0), (61, DUST, 20.0), (62, DUST, 20.0)]
    assert told(EITHER, (0, HUMIDITY, 95.0), (0, DUST, 60.0), *fall) == [(0, 0, 1)], "the fog was not heard since"
    heard = [*fall, (62, HUMIDITY, 70.0), (63, HUMIDITY, 70.0), (64, HUMIDITY, 70.0)]
    assert told(EITHER, (0, HUMIDITY, 95.0), (0, DUST, 60.0), *heard) == [(0, 0, 1), (63, 1, 0)]


def test_sensors_may_be_counted_instead_of_rules() -> None:
    assert told(TWO, (0, DUST, 60.0), (0, DUST_TOO, 20.0), (1, DUST, 60.0)) == []
    assert told(TWO, (0, DUST, 60.0), (0, DUST_TOO, 60.0)) == [(0, 0, 2)]


def test_a_composite_stands_where_it_can_be_true_and_says_so_where_it_can_nowhere() -> None:
    found = compile_rules(TWO, REG)
    assert [(one.area, one.hazard) for one in found.ladders.composites.ladders] == [("village", "smoke")]
    assert compile_rules((*SIGNS, composite("three", 1, any=("dust",), at_least=3, each_sensor=True)), REG).idle == (
        "three",
    )


def test_signs_alone_tell_no_story() -> None:
    ladders = compile_rules(SIGNS, REG).ladders
    assert set(ladders.hazard) == {""}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (composite("x", 1, all=("nobody",)), "'nobody' is no rule that stands before it"),
        (composite("x", 1, none=("fog",)), "names neither all nor any"),
        (composite("x", 1, any=("dust", "fog"), at_least=3), "at_least is 3 but must be 1 to 2"),
        (composite("x", 1, any=("dust",), hazard="battery"), "is of a station"),
        (composite("x", 4, any=("dust",)), "level is 4"),
    ],
)
def test_a_composite_that_makes_no_sense_is_refused(rule: Rule, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        compile_rules((*SIGNS, rule), REG)
