"""What is said of a gauge now: by whom, why, and nothing of old data."""

from dataclasses import replace

import numpy as np
import pytest

from alerts.forecast.features import HORIZONS_US, Gauge, Layout
from alerts.forecast.forecaster import HORIZONS_H, Forecaster
from alerts.forecast.outlook import Outlook, Voice, crossings, outlook
from alerts.forecast.verdict import Verdict
from sensors.batch import Float64
from sensors.reach import Reach
from sensors.trend import HOUR_US
from tests.alerts.catchments import ALONE, LAYOUT, STEP_US, gauge
from tests.alerts.test_forecast_trial import constant
from tests.builders import T0_US

HOURS = 24
RISING = gauge(1.0 + 0.1 * np.arange(2.0 * HOURS))
"""0.2 m/h."""
NOW_US = int(RISING.time_us[-1])
STANDS = float(RISING.value[-1])
LEARNED = np.array([[0.1, 0.2, 0.4], [0.3, 0.6, 1.2], [0.6, 1.2, 2.4]])
"""Rise, by horizon and quantile."""


def forecaster(*, accepted: tuple[bool, ...] = (True, True, True), layout: Layout = ALONE) -> Forecaster:
    """Says LEARNED of every row."""
    return Forecaster(
        layout=layout,
        trained_us=T0_US,
        from_us=T0_US,
        until_us=T0_US,
        rows=1000,
        scores=(),
        verdicts=tuple(
            Verdict(horizon_h=h, accepted=yes, thai=f"ไทย {h:g}", english=f"English {h:g}")
            for h, yes in zip(HORIZONS_H, accepted, strict=True)
        ),
        model=constant(LEARNED, len(layout.names)) if any(accepted) else None,
    )


def look(
    own: Gauge = RISING, *heights: float, of: Forecaster | None = None, now_us: int = NOW_US, layout: Layout = ALONE
) -> Outlook | None:
    upstream = [RISING for _ in layout.upstream]
    return outlook(own, upstream, np.array(heights), now_us, forecaster=of, layout=layout)


def said(own: Gauge = RISING, *heights: float, of: Forecaster | None = None, now_us: int = NOW_US) -> Outlook:
    found = look(own, *heights, of=of, now_us=now_us)
    assert found is not None
    return found


def hours(reach: Reach) -> list[list[float]]:
    return [one[:, 0].tolist() for one in (reach.first_h, reach.expected_h, reach.last_h)]


def test_without_a_forecaster_the_trend_speaks_and_says_so() -> None:
    found = said(RISING, STANDS + 0.5)
    assert found.speaks is Voice.TREND
    assert "nothing was trained" in found.why_english
    assert "แนวโน้ม" in found.why_thai
    assert hours(found.trend) == [[pytest.approx(2.5)]] * 3
    assert found.rise.tolist() == [pytest.approx(0.2)] * 3
    assert np.isnan(found.stage).all()


def test_the_trend_says_nothing_further_ahead_than_it_looks_back() -> None:
    found = said(RISING, STANDS + 1.1, STANDS + 1.3)
    assert np.isfinite(found.trend.expected_h[:, 0]).tolist() == [True, False]


def test_what_is_reached_is_not_ahead() -> None:
    found = said(RISING, STANDS, of=forecaster())
    assert np.isnan(found.trend.expected_h).all()
    assert np.isnan(found.learned.first_h).all()


def test_a_slope_across_a_silence_is_none() -> None:
    kept = (np.arange(48) < 40) | (np.arange(48) > 44)
    silent = Gauge(time_us=RISING.time_us[kept], value=RISING.value[kept], cadence_us=STEP_US)
    found = said(silent, STANDS + 0.5)
    assert np.isnan(found.rise).all()
    assert np.isnan(found.trend.expected_h).all()


def test_water_that_only_trembles_is_going_nowhere() -> None:
    still = gauge(2.0 + 0.01 * np.random.default_rng(3).standard_normal(48))
    assert np.isnan(said(still, 2.1).trend.expected_h).all()


@pytest.mark.parametrize("age_us", [0, 3 * STEP_US])
def test_of_readings_young_enough_something_is_said(age_us: int) -> None:
    assert look(now_us=NOW_US + age_us) is not None


def test_of_old_readings_or_none_nothing_is_said() -> None:
    assert look(RISING, STANDS + 1, of=forecaster(), now_us=NOW_US + 3 * STEP_US + 1) is None
    assert look(gauge(np.zeros(0))) is None


def test_what_was_learned_speaks_where_it_is_accepted() -> None:
    found = said(RISING, STANDS + 0.9, of=forecaster())
    assert found.speaks is Voice.LEARNED
    assert found.stage == pytest.approx(STANDS + LEARNED)
    assert found.why_english == "English 1; English 3; English 6"
    assert hours(found.learned) == [
        [pytest.approx(1 + 2 * 0.5 / 0.8)],
        [pytest.approx(4.5)],
        [pytest.approx(np.nan, nan_ok=True)],
    ]
    assert np.isfinite(found.trend.expected_h).all(), "the trend is said beside it"


def test_hours_count_from_now_not_from_the_reading() -> None:
    later = said(RISING, STANDS + 0.9, of=forecaster(), now_us=NOW_US + STEP_US)
    assert later.learned.expected_h[0, 0] == pytest.approx(4.0)


def test_a_horizon_that_is_not_accepted_is_not_shown_nor_reached_across() -> None:
    found = said(RISING, STANDS + 0.1, STANDS + 0.9, of=forecaster(accepted=(True, False, True)))
    assert np.isfinite(found.stage).all(axis=1).tolist() == [True, False, True]
    assert np.isfinite(found.learned.expected_h[:, 0]).tolist() == [True, False]


def test_a_forecaster_accepted_nowhere_says_why_and_leaves_it_to_the_trend() -> None:
    found = said(of=forecaster(accepted=(False, False, False)))
    assert (found.speaks, found.why_thai) == (Voice.TREND, "ไทย 1 · ไทย 3 · ไทย 6")


def test_a_forecaster_of_another_configuration_does_not_speak() -> None:
    found = said(of=forecaster(layout=LAYOUT))
    assert found.speaks is Voice.TREND
    assert "another configuration" in found.why_english
    assert np.isnan(found.stage).all()


def test_while_a_gauge_upstream_is_silent_the_trend_speaks() -> None:
    nobody = gauge(np.zeros(0))
    found = outlook(RISING, [nobody], np.array([9.0]), NOW_US, forecaster=forecaster(layout=LAYOUT), layout=LAYOUT)
    assert found is not None
    assert found.speaks is Voice.TREND
    assert "upstream are missing" in found.why_english


def test_quantiles_are_followed_from_horizon_to_horizon() -> None:
    stage = np.array([[1.0, 1.0, 2.0], [1.0, 3.0, 4.0], [2.0, 3.0, 4.0]])
    found = crossings(1.0, stage, np.array([1.5, 3.5, 4.5]), 0.0)
    assert found.first_h[:, 0] == pytest.approx([0.5, 2.5, np.nan], nan_ok=True)
    assert found.expected_h[:, 0] == pytest.approx([1.5, np.nan, np.nan], nan_ok=True)
    assert found.last_h[:, 0] == pytest.approx([4.5, np.nan, np.nan], nan_ok=True)


def test_no_heights_are_no_crossings() -> None:
    none: Float64 = np.zeros(0)
    assert crossings(1.0, LEARNED, none, 0.0).expected_h.shape == (0, 1)
    assert said().trend.expected_h.shape == (0, 1)


def test_horizons_are_those_of_the_slopes() -> None:
    assert [h * HOUR_US for h in HORIZONS_H] == list(HORIZONS_US)
    assert replace(forecaster(), rows=1).accepted.tolist() == [True, True, True]
