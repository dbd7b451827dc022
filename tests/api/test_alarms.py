"""What is set aside and how the alarms fare, over HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from alerts.people import Role
from api.app import create_app
from tests.api.browser import Browser
from tests.api.world import HOUR_US, MINUTE_US, World

SAMRAN = "331608-samran"


@pytest.fixture
def two(real: World) -> Iterator[tuple[Browser, dict[str, str], Browser, dict[str, str]]]:
    """Two officers at browsers of their own, each with the header of their pages."""
    with ExitStack() as stack:
        app = create_app(real.deps)
        first, second = (stack.enter_context(Browser.on(app)) for _ in range(2))
        yield (
            first,
            real.sign_in(first, "first", Role.OFFICER),
            second,
            real.sign_in(second, "second", Role.OFFICER),
        )


Two = tuple[Browser, dict[str, str], Browser, dict[str, str]]


def test_an_alarm_is_shelved_listed_and_taken_back(real: World, two: Two) -> None:
    first, header, *_ = two
    story = real.judge(SAMRAN, 2)
    fields: dict[str, str | int] = {"version": story.version, "minutes": 120, "reason": "ประตูน้ำเปิดอยู่"}
    assert first.post(f"/api/v1/episodes/{story.id}/shelve", fields, headers=header).status_code == 204
    (held,) = first.get("/api/v1/alarms/shelved").json()
    assert (held["id"], held["shelved_level"]) == (story.id, 2)
    assert held["shelved_until"] == "2026-11-22T09:35:00Z"
    event = first.get(f"/api/v1/episodes/{story.id}/events").json()[-1]
    assert (event["type"], event["note"], event["until"]) == ("shelved", "ประตูน้ำเปิดอยู่", held["shelved_until"])
    with real.client() as anybody:
        assert anybody.get(f"/api/v1/episodes/{story.id}/events").json()[-1]["note"] == ""
    again = {"version": held["version"]}
    assert first.post(f"/api/v1/episodes/{story.id}/unshelve", again, headers=header).status_code == 204
    assert first.get("/api/v1/alarms/shelved").json() == []
    answer = first.post(f"/api/v1/episodes/{story.id}/unshelve", again, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (409, "pointless")


@pytest.mark.parametrize(
    ("level", "fields", "expected"),
    [
        (2, {"minutes": 481, "reason": "x"}, (422, "invalid")),
        (2, {"minutes": 0, "reason": "x"}, (422, "invalid")),
        (2, {"minutes": 60, "reason": "  "}, (422, "invalid")),
        (2, {"minutes": 60}, (422, "invalid")),
        (2, {"minutes": 60, "reason": "x" * 501}, (422, "invalid")),
        (3, {"minutes": 60, "reason": "x"}, (403, "forbidden")),
    ],
)
def test_a_shelf_that_must_not_be_is_refused(
    real: World, two: Two, level: int, fields: dict[str, str | int], expected: tuple[int, str]
) -> None:
    first, header, *_ = two
    story = real.judge(SAMRAN, level)
    answer = first.post(f"/api/v1/episodes/{story.id}/shelve", {"version": 1, **fields}, headers=header)
    assert (answer.status_code, answer.json()["code"]) == expected
    assert first.get("/api/v1/alarms/shelved").json() == []


def test_an_acknowledgement_says_until_when_and_can_be_prolonged(real: World, two: Two) -> None:
    first, header, second, other = two
    story = real.judge(SAMRAN, 2)
    address = f"/api/v1/episodes/{story.id}"
    assert first.post(f"{address}/acknowledge", {"version": 1}, headers=header).status_code == 204
    assert first.get(address).json()["acknowledged_until"] == "2026-11-22T15:35:00Z", "a shift"
    assert second.post(f"{address}/acknowledge", {"version": 2}, headers=other).status_code == 409
    assert second.post(f"{address}/acknowledge", {"version": 2, "minutes": 30}, headers=other).status_code == 204
    assert first.get(address).json()["acknowledged_until"] == "2026-11-22T08:05:00Z"
    answer = second.post(f"{address}/acknowledge", {"version": 2, "minutes": 1441}, headers=other)
    assert answer.status_code == 422


def test_a_critical_silence_takes_two_and_one_ends_it(real: World, two: Two) -> None:
    first, header, second, other = two
    asked: dict[str, str | int] = {"area": SAMRAN, "level": 3, "minutes": 60, "reason": "ซ้อมอพยพ"}
    made = first.post("/api/v1/silences", asked, headers=header)
    assert (made.status_code, made.json()["waits_for_second"]) == (201, True)
    id = made.json()["id"]
    assert first.post(f"/api/v1/silences/{id}/agree", headers=header).json()["code"] == "same_person"
    assert second.post(f"/api/v1/silences/{id}/agree", headers=other).json()["waits_for_second"] is False
    (held,) = first.get("/api/v1/silences").json()
    assert (held["by"], held["agreed_by"], held["reason"]) == ("first", "second", "ซ้อมอพยพ")
    with real.client() as anybody:
        (public,) = anybody.get("/api/v1/silences").json()
    assert (public["by"], public["agreed_by"], public["reason"], public["area"]) == ("", "", "", SAMRAN)
    assert first.post(f"/api/v1/silences/{id}/end", headers=header).status_code == 204
    assert first.get("/api/v1/silences").json() == []
    assert first.post(f"/api/v1/silences/{id}/end", headers=header).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"level": 1, "minutes": 60, "reason": "x"},
        {"area": "a", "level": 1, "minutes": 10_081, "reason": "x"},
        {"area": "a", "level": 0, "minutes": 60, "reason": "x"},
        {"area": "a", "level": 1, "minutes": 60},
    ],
)
def test_a_silence_that_must_not_be_is_refused(two: Two, fields: dict[str, str | int]) -> None:
    first, header, *_ = two
    answer = first.post("/api/v1/silences", fields, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert first.get("/api/v1/silences").json() == []


def test_the_indicators_of_a_period(real: World, two: Two) -> None:
    first, header, *_ = two
    story = real.judge(SAMRAN, 2)
    real.now_us += 5 * MINUTE_US
    assert first.post(f"/api/v1/episodes/{story.id}/acknowledge", {"version": 1}, headers=header).status_code == 204
    real.now_us += HOUR_US
    found = first.get("/api/v1/alarms/kpi").json()
    assert (found["alarms"], found["answered"], found["answer_median_s"], found["operators"]) == (1, 1, 300.0, 2)
    assert found["top"] == [{"area": SAMRAN, "hazard": "flood", "alarms": 1}]
    assert found["per_day"] == pytest.approx(1 / 2 / 30, rel=1e-3)
    early = first.get("/api/v1/alarms/kpi?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z").json()
    assert (early["alarms"], early["top_share"], early["answer_median_s"]) == (0, None, None)
    for period in ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from=2000-01-01T00:00:00Z", "from=noon"):
        assert first.get(f"/api/v1/alarms/kpi?{period}").status_code == 422
