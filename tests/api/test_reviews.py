"""What a person says of readings: by whom it may be said, who reads it, and that nothing stored changes."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alerts.people import Role
from api.app import create_app
from sensors.batch import ReadingBatch
from sensors.flags import Check, Flag, pack
from sensors.store.duck import DuckStore
from tests.api.browser import Browser
from tests.api.world import MINUTE_US, NOW_US, World

URL = "/api/v1/series/WL-01/stage_m"
FROM_US = NOW_US - 10 * MINUTE_US
FIRST = "2026-11-22T14:25:00+07:00"
ICE: dict[str, str | int] = {"from": str(FROM_US), "to": str(NOW_US), "flag": 4, "reason": "น้ำแข็งเกาะ · ice"}


@pytest.fixture
def journal(world: World, tmp_path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore(tmp_path / "journal.duckdb", world.registry.keys())) as made:
        time_us = FROM_US + MINUTE_US * np.arange(10)
        series = np.full(10, world.registry.index["WL-01", "stage_m"])
        rows = ReadingBatch.of(series=series, time_us=time_us, value=np.full(10, 2.0), received_us=time_us)
        good = np.ones((1, 10), dtype=np.uint8)
        made.append(rows, np.zeros(10, dtype=np.bool_), good[0], pack(good))
        yield made


@pytest.fixture
def browser(world: World, journal: DuckStore) -> Iterator[Browser]:
    deps = replace(world.deps, reader=journal, reviewer=journal.reviews)
    with Browser.on(create_app(deps)) as client:
        yield client


def flags(browser: Browser) -> list[int]:
    found: list[int] = browser.get(f"{URL}?from={FROM_US}&to={NOW_US}").json()["flags"]
    return found


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.OFFICER])
def test_a_technician_or_an_officer_says_how_far_readings_can_be_believed(
    world: World, browser: Browser, journal: DuckStore, role: Role
) -> None:
    header = world.sign_in(browser, "nok", role)
    answer = browser.post(f"{URL}/review", ICE, headers=header)
    assert (answer.status_code, answer.json()) == (200, {"readings": 10})
    assert flags(browser) == [Flag.FAIL] * 10
    assert next(journal.scan(after_seq=0, rows=99)).flag.tolist() == [Flag.GOOD] * 10
    said = browser.get(f"{URL}/revisions").json()
    assert len(said) == 10
    assert said[-1] == {
        "time": "2026-11-22T07:25:00Z",
        "flag": 4,
        "flag_before": 1,
        "checks": {Check.GROSS_RANGE.name.lower(): 1},
        "by": "nok",
        "reason": ICE["reason"],
        "at": "2026-11-22T07:35:00Z",
    }


def test_one_reading_is_reviewed_by_its_time_alone(world: World, browser: Browser) -> None:
    header = world.sign_in(browser, "nok", Role.TECHNICIAN)
    given: dict[str, str | int] = {"from": FIRST, "flag": 3, "reason": "a branch"}
    assert browser.post(f"{URL}/review", given, headers=header).json() == {"readings": 1}
    assert flags(browser) == [3] + [1] * 9


def test_who_said_so_and_why_is_for_the_signed_in(world: World, browser: Browser) -> None:
    header = world.sign_in(browser, "nok", Role.TECHNICIAN)
    browser.post(f"{URL}/review", ICE, headers=header)
    browser.cookies.clear()
    said = browser.get(f"{URL}/revisions").json()
    assert {(one["by"], one["reason"]) for one in said} == {("person", "")}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
def test_others_review_nothing(world: World, browser: Browser, role: Role) -> None:
    header = world.sign_in(browser, "somebody", role)
    answer = browser.post(f"{URL}/review", ICE, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert flags(browser) == [1] * 10


def test_nobody_reviews_without_a_session_or_the_token_of_a_page(world: World, browser: Browser) -> None:
    assert browser.post(f"{URL}/review", ICE).status_code == 401
    world.sign_in(browser, "nok", Role.OFFICER)
    assert browser.post(f"{URL}/review", ICE).status_code == 403
    assert flags(browser) == [1] * 10


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"reason": "  "}, 422),
        ({"reason": "x" * 501}, 422),
        ({"flag": 9}, 422),
        ({"flag": 0}, 422),
        ({"from": "yesterday"}, 422),
        ({"to": str(FROM_US)}, 422),
        ({"from": str(NOW_US), "to": str(NOW_US + 1)}, 404),
    ],
)
def test_a_review_that_says_nothing_is_refused(
    world: World, browser: Browser, changed: dict[str, str | int], status: int
) -> None:
    header = world.sign_in(browser, "nok", Role.OFFICER)
    assert browser.post(f"{URL}/review", {**ICE, **changed}, headers=header).status_code == status
    assert flags(browser) == [1] * 10


def test_a_series_that_nobody_registered_has_no_reviews(world: World, browser: Browser) -> None:
    header = world.sign_in(browser, "nok", Role.OFFICER)
    assert browser.post("/api/v1/series/WL-01/rain_mm/review", ICE, headers=header).status_code == 404
    assert browser.get("/api/v1/series/WL-99/stage_m/revisions").status_code == 404
