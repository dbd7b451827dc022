"""Readings by the hour, for a graph of a year."""

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from api.app import create_app
from sensors.flags import Flag
from sensors.store.rollup import HOUR_US, HourReader
from tests.api.browser import Browser
from tests.api.world import MINUTE_US, NOW_US, World

PATH = "/api/v1/series/WL-01/stage_m/hours"


@pytest.fixture
def hours(world: World, tmp_path: Path) -> Iterator[Browser]:
    """A browser on a world that keeps hours, of which no day has closed."""
    with (
        closing(HourReader(tmp_path / "hours", world.store)) as kept,
        Browser.on(create_app(replace(world.deps, hours=kept)), base_url=world.public_url) as client,
    ):
        yield client


def test_an_hour_is_its_mean_and_its_bounds(world: World, hours: Browser) -> None:
    world.put("WL-01/stage_m", [2.0, 3.0, 4.0])
    world.put("WL-01/stage_m", [math.nan], ago_us=2 * HOUR_US, flag=Flag.MISSING)
    begins_us = NOW_US // HOUR_US * HOUR_US
    assert hours.get(PATH).json() == {
        "station": "WL-01",
        "name": "stage_m",
        "unit": "m",
        "hours_us": [begins_us - 2 * HOUR_US, begins_us],
        "usable": [0, 3],
        "means": [None, 3.0],
        "mins": [None, 2.0],
        "maxs": [None, 4.0],
        "flags": [9, 1],
    }
    assert hours.get(f"{PATH}?from={NOW_US - MINUTE_US}&to={NOW_US}").json()["hours_us"] == []


@pytest.mark.parametrize("query", ["from=2&to=1", "from=1&to=1", "from=0&to=9223372036854775", "from=yesterday"])
def test_a_span_that_makes_no_sense_is_refused(hours: Browser, query: str) -> None:
    assert hours.get(f"{PATH}?{query}").status_code == 422


def test_where_no_hours_are_kept_there_are_none(client: Browser) -> None:
    assert client.get(PATH).status_code == 404
