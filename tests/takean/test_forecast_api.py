"""`/api/v1/stations/{station}/forecast`: who speaks and why, and nothing of stale data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alerts.forecast.forecaster import Forecaster, layout_of
from api.app import create_app
from sensors.flags import Flag
from tests.alerts.test_forecast_outlook import LEARNED, forecaster
from tests.api.browser import Browser
from tests.api.world import HOUR_US, MINUTE_US, World, open_world

STEP_M = 0.02
"""Every two minutes: 0.6 m/h."""
ROWS = 14 * 30
TOP_M = 3.6
DAY_US = 24 * HOUR_US


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as made:
        yield made


def rising(world: World, *, ago_us: int = 0) -> None:
    """Still for most of the day, and rising for the last two hours up to TOP_M."""
    values = [max(TOP_M - STEP_M * k, TOP_M - 60 * STEP_M) for k in range(ROWS - 1, -1, -1)]
    world.put("WL-01/stage_m", values, ago_us=ago_us)


@contextmanager
def serving(world: World, of: Forecaster | None = None) -> Iterator[Browser]:
    deps = replace(world.deps, forecaster=lambda station: of if station == "WL-01" else None)
    with Browser.on(create_app(deps), base_url=world.public_url) as client:
        yield client


def asked(world: World, of: Forecaster | None = None, station: str = "WL-01") -> dict[str, Any]:
    with serving(world, of) as client:
        answer = client.get(f"/api/v1/stations/{station}/forecast")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def of_world(world: World, *, accepted: tuple[bool, ...] = (True, True, True)) -> Forecaster:
    layout = layout_of(world.registry, "WL-01")
    assert layout is not None
    return replace(forecaster(accepted=accepted, layout=layout), trained_us=world.now_us - 10 * DAY_US)


def test_the_trend_says_when_each_threshold_is_reached(world: World) -> None:
    rising(world)
    found = asked(world)
    assert (found["speaks"], found["stale"], found["value"]) == ("trend", False, TOP_M)
    assert "ยังไม่มีแบบจำลอง" in found["why"]
    assert found["rise_per_h"] == pytest.approx(0.6)
    assert (found["model"], found["horizons"]) == (None, [])
    heights = [one["height"] for one in found["thresholds"]]
    assert heights == sorted(heights)
    for one in found["thresholds"]:
        assert one["learned"] is None
        assert one["reached"] == (one["height"] <= TOP_M)
        left_h = (one["height"] - TOP_M) / 0.6
        if 0 < left_h <= 1:
            assert one["trend"] == {
                name: pytest.approx(left_h, abs=0.02) for name in ("expected_h", "first_h", "last_h")
            }
    assert any(one["trend"] for one in found["thresholds"])


def test_what_was_learned_goes_first_where_it_is_accepted_and_says_its_age(world: World) -> None:
    rising(world)
    found = asked(world, of_world(world))
    assert (found["speaks"], found["why"]) == ("learned", "ไทย 1 · ไทย 3 · ไทย 6")
    assert [(one["horizon_h"], one["p50"]) for one in found["horizons"]] == [
        (h, pytest.approx(TOP_M + rise[1])) for h, rise in zip((1.0, 3.0, 6.0), LEARNED.tolist(), strict=True)
    ]
    assert found["model"]["age_days"] == 10.0
    assert [one["accepted"] for one in found["model"]["verdicts"]] == [True] * 3
    assert any(one["learned"] for one in found["thresholds"])


def test_what_was_learned_and_not_accepted_is_not_shown(world: World) -> None:
    rising(world)
    found = asked(world, of_world(world, accepted=(False, False, False)))
    assert (found["speaks"], found["horizons"]) == ("trend", [])
    assert all(one["learned"] is None for one in found["thresholds"])
    assert [one["accepted"] for one in found["model"]["verdicts"]] == [False] * 3


@pytest.mark.parametrize("ago_us", [7 * MINUTE_US, 3 * DAY_US])
def test_of_stale_data_nothing_is_said(world: World, ago_us: int) -> None:
    rising(world, ago_us=ago_us)
    found = asked(world, of_world(world))
    assert (found["stale"], found["speaks"], found["value"], found["rise_per_h"]) == (True, "nothing", None, None)
    assert (found["thresholds"], found["horizons"]) == ([], [])
    assert "เก่าเกินไป" in found["why"]
    assert found["age_s"] is None if ago_us == 3 * DAY_US else found["age_s"] == 420.0


def test_a_station_that_never_spoke_has_nothing_ahead(world: World) -> None:
    found = asked(world)
    assert (found["stale"], found["time"]) == (True, None)


def test_readings_that_are_doubted_are_not_heard(world: World) -> None:
    rising(world, ago_us=2 * MINUTE_US)
    world.put("WL-01/stage_m", [9.9], flag=Flag.FAIL)
    assert asked(world)["value"] == TOP_M


@pytest.mark.parametrize("station", ["NOWHERE", "RF-01"])
def test_what_has_no_water_level_has_no_forecast(world: World, station: str) -> None:
    with serving(world) as client:
        answer = client.get(f"/api/v1/stations/{station}/forecast")
    assert answer.status_code == 404
    assert "water level" in answer.json()["detail"]
