"""The trial of a forecaster: from earlier rows alone, against two that learned nothing, and what follows from it."""

from dataclasses import replace

import numpy as np
import pytest

from alerts.forecast.features import HORIZONS_US, features
from alerts.forecast.forecaster import HORIZONS_H
from alerts.forecast.model import QUANTILES, Model, Trees
from alerts.forecast.trial import FOLDS, LEARNED, LINEAR, METHODS, PERSISTENCE, Rows, Score, origins, rows_of, trial
from alerts.forecast.verdict import LEAST_RISES, Verdict, verdicts
from sensors.batch import Float64
from sensors.trend import HOUR_US
from tests.alerts.catchments import ALONE, LAYOUT, STEP_US, catchment, gauge
from tests.builders import T0_US

N = 600


def constant(rise_m: Float64, numbers: int) -> Model:
    """Says the same of every row: (horizons, quantiles)."""
    nothing = np.zeros(1, dtype=np.int32)
    return Model(
        intercept=np.zeros(len(HORIZONS_US)),
        coef=np.zeros((len(HORIZONS_US), numbers)),
        base=rise_m,
        trees=Trees(
            root=np.zeros((len(HORIZONS_US), len(QUANTILES), 1), dtype=np.int32),
            feature=nothing,
            threshold=np.zeros(1),
            left=nothing,
            right=nothing,
            value=np.zeros(1),
            depth=0,
        ),
    )


def still(numbers: int) -> Model:
    return constant(np.zeros((len(HORIZONS_US), len(QUANTILES))), numbers)


def dated_rows() -> Rows:
    """Rows whose only number is their time."""
    time_us = T0_US + STEP_US * np.arange(N)
    rng = np.random.default_rng(1)
    return Rows(
        time_us=time_us,
        x=time_us[:, None].astype(np.float64),
        rise=rng.standard_normal((N, len(HORIZONS_US))),
        straight=np.zeros((N, len(HORIZONS_US))),
        slopes=rng.standard_normal((N, 1)),
    )


def test_nothing_is_learned_of_what_was_not_over_at_the_origin() -> None:
    rows, learned_until = dated_rows(), list[float]()

    def fit(x: Float64, rise: Float64) -> Model:
        assert len(x) == len(rise)
        learned_until.append(float(x[-1, 0]))
        return still(1)

    trial(rows, fit)
    firsts = [first_us for first_us, _ in origins(rows.time_us)]
    assert len(firsts) == FOLDS == len(learned_until)
    for until_us, first_us in zip(learned_until, firsts, strict=True):
        assert until_us + HORIZONS_US[-1] < first_us <= until_us + HORIZONS_US[-1] + 2 * STEP_US


def test_the_folds_are_all_rows_but_the_first_third_each_once() -> None:
    times = dated_rows().time_us
    folds = origins(times)
    counted = [int(((times >= first) & (times < end)).sum()) for first, end in folds]
    assert counted == [80] * FOLDS
    assert folds[0][0] == times[200]


def test_a_record_too_short_to_learn_from_has_no_score() -> None:
    def fit(x: Float64, rise: Float64) -> Model:
        raise AssertionError("there is nothing to learn from")

    assert trial(dated_rows()[np.arange(N) < 40], fit) == []
    assert trial(dated_rows()[np.arange(N) < 3], fit) == []


def test_what_says_that_all_stays_is_worth_exactly_persistence() -> None:
    low, high = catchment(30)
    rows = rows_of(LAYOUT, low, [high])
    for score in trial(rows, lambda x, rise: still(x.shape[1])):
        assert score.mae[LEARNED] == score.mae[PERSISTENCE]
        assert score.pinball[LEARNED] > score.pinball[PERSISTENCE], "the rival has an interval of its own errors"


def test_a_straight_line_is_right_of_what_rises_evenly() -> None:
    low = gauge(np.linspace(0, 10, 400))
    rows = rows_of(ALONE, low, [])
    known = np.isfinite(rows.rise)
    assert np.abs(rows.straight - rows.rise)[known].max() < 1e-9


def test_rises_are_told_apart_by_what_was_known_then() -> None:
    low, high = catchment(30)
    rows = rows_of(LAYOUT, low, [high])
    steep = rows.steep()
    rising = rows.in_rise(steep)
    assert 0.1 <= rising.mean() <= 0.2
    later = replace(low, value=np.where(low.time_us > rows.time_us[500], 9.9, low.value))
    again = rows_of(LAYOUT, later, [high])
    assert np.array_equal(again.in_rise(steep)[:500], rising[:500])


def test_a_row_is_only_where_everything_is_known() -> None:
    low, high = catchment(10)
    away = (np.arange(len(high.time_us)) < 100) | (np.arange(len(high.time_us)) > 140)
    silent = replace(high, time_us=high.time_us[away], value=high.value[away])
    rows = rows_of(LAYOUT, low, [silent])
    assert np.isfinite(rows.x).all()
    assert len(rows) < len(rows_of(LAYOUT, low, [high])) - 30
    assert features(LAYOUT, low, [silent], rows.time_us).shape == rows.x.shape


def score(rises: bool, *, horizon_h: float = 1.0, **changes: object) -> Score:
    """Of a forecaster that errs half as much as the others."""
    good: dict[str, object] = {
        "horizon_h": horizon_h,
        "rises": rises,
        "rows": 1000,
        "mae": {LEARNED: 0.05, PERSISTENCE: 0.1, LINEAR: 0.1},
        "pinball": {LEARNED: 0.02, PERSISTENCE: 0.04, LINEAR: 0.04},
        "inside": 0.8,
        "folds": 5,
        "won": 5,
    }
    return Score(**{**good, **changes})  # type: ignore[arg-type]


def judged(**changes: object) -> Verdict:
    """With something else in rises."""
    rises = score(True, **changes)  # type: ignore[arg-type]
    return verdicts([score(False), rises], [1.0])[0]


def test_what_beats_both_everywhere_is_accepted_in_words() -> None:
    found = judged()
    assert found.accepted
    assert found.thai.startswith("ล่วงหน้า 1 ชม.: ใช้ ")
    assert "50 % below that of persistence and 50 % below that of the straight line" in found.english


BARELY = 0.096


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mae": {LEARNED: BARELY, PERSISTENCE: 0.1, LINEAR: 0.2}}, "mean error in rises is not 5% below"),
        ({"mae": {LEARNED: BARELY, PERSISTENCE: 0.2, LINEAR: 0.1}}, "the straight line"),
        ({"pinball": {LEARNED: BARELY, PERSISTENCE: 0.1, LINEAR: 0.2}}, "pinball loss"),
        ({"mae": {LEARNED: 0.0, PERSISTENCE: 0.0, LINEAR: 0.0}}, "mean error"),
        ({"won": 3}, "only 3 of 5"),
        ({"folds": 2, "won": 2}, "too little"),
        ({"rows": LEAST_RISES - 1}, "too little"),
        ({"inside": 0.5}, "50% of what came"),
        ({"inside": 0.99}, "99% of what came"),
    ],
)
def test_one_weakness_in_rises_is_enough_to_refuse(changes: dict[str, object], why: str) -> None:
    found = judged(**changes)
    assert not found.accepted
    assert found.thai.startswith("ล่วงหน้า 1 ชม.: ไม่ใช้ ")
    assert why in found.english


def test_a_weakness_over_all_rows_is_enough_as_well() -> None:
    weak = score(False, mae={LEARNED: 0.1, PERSISTENCE: 0.1, LINEAR: 0.1})
    assert not verdicts([weak, score(True)], [1.0])[0].accepted


def test_each_horizon_is_judged_for_itself_and_none_without_a_score() -> None:
    scores = [score(rises, horizon_h=h, won=5 if h < 6 else 0) for h in (1.0, 6.0) for rises in (False, True)]
    assert [one.accepted for one in verdicts(scores, HORIZONS_H)] == [True, False, False]
    assert "too short" in verdicts([], HORIZONS_H)[0].english
    assert not verdicts([score(False)], [1.0])[0].accepted, "no row in a rise"


def test_methods_are_scored_by_hours_that_are_whole() -> None:
    assert [horizon_us / HOUR_US for horizon_us in HORIZONS_US] == list(HORIZONS_H)
    assert METHODS[0] == LEARNED
