"""What officers decide over HTTP, on the record that stands in front of a council."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from alerts.people import Role
from api.app import create_app
from tests.api.browser import Browser
from tests.api.world import World

SAMRAN = "331608-samran"


class Officer:
    """An officer at a browser."""

    def __init__(self, world: World, browser: Browser, name: str) -> None:
        self.browser = browser
        self.header = world.sign_in(browser, name, Role.OFFICER)

    def press(self, story: str, action: str, **fields: int) -> tuple[int, str]:
        answer = self.browser.post(f"/api/v1/episodes/{story}/{action}", fields, headers=self.header)
        return answer.status_code, answer.json()["code"] if answer.content else ""


@pytest.fixture
def officers(real: World) -> Iterator[tuple[Officer, Officer]]:
    with ExitStack() as stack:
        app = create_app(real.deps)
        yield (
            Officer(real, stack.enter_context(Browser.on(app)), "first"),
            Officer(real, stack.enter_context(Browser.on(app)), "second"),
        )


def levels(officer: Officer, story: str) -> tuple[int, int, int]:
    found = officer.browser.get(f"/api/v1/episodes/{story}").json()
    return found["judged_level"], found["public_level"], found["version"]


def test_a_warning_goes_public_by_two_officers(real: World, officers: tuple[Officer, Officer]) -> None:
    first, second = officers
    real.all_speak()
    story = real.judge(SAMRAN, 2).id
    assert first.press(story, "release", version=1, level=2) == (204, "")
    assert levels(first, story) == (2, 0, 2)
    assert "เตือนภัยน้ำท่วม" not in first.browser.get("/?v=").text
    assert first.press(story, "release", version=2, level=2) == (409, "same_person")
    assert second.press(story, "release", version=2, level=2) == (204, "")
    assert levels(first, story) == (2, 2, 3)
    assert "เตือนภัยน้ำท่วม" in first.browser.get("/?v=").text
    actors = [e["actor"] for e in first.browser.get(f"/api/v1/episodes/{story}/events").json()]
    assert actors == ["rule", "first", "second"]


def test_a_warning_is_taken_down_by_a_person(real: World, officers: tuple[Officer, Officer]) -> None:
    first, _ = officers
    real.judge(SAMRAN, 1)
    story = real.publish(SAMRAN, 1)
    version = real.judge(SAMRAN, 0).version
    assert first.press(story.id, "lower", version=version, level=0) == (204, "")
    found = first.browser.get(f"/api/v1/episodes/{story.id}").json()
    assert (found["public_level"], found["closed_at"] is None) == (0, False)


def test_a_critical_warning_is_ended_by_two_officers(real: World, officers: tuple[Officer, Officer]) -> None:
    first, second = officers
    real.all_speak()
    real.judge(SAMRAN, 3)
    story = real.publish(SAMRAN, 3).id
    version = real.judge(SAMRAN, 0).version
    assert "ขอยุติประกาศ (ต้องสองคน)" in first.browser.get("/console").text
    assert first.press(story, "lower", version=version, level=0) == (204, "")
    assert levels(first, story)[1] == 3
    assert "<h1>อพยพทันที</h1>" in first.browser.get("/?v=").text
    console = second.browser.get("/console").text
    assert "ยืนยันยุติประกาศ" in console
    assert "first ขอยุติประกาศ" in console
    assert f'hx-post="/api/v1/episodes/{story}/lower"' in console
    assert first.press(story, "lower", version=version + 1, level=0) == (409, "same_person")
    assert second.press(story, "lower", version=version + 1, level=0) == (204, "")
    found = first.browser.get(f"/api/v1/episodes/{story}").json()
    assert (found["public_level"], found["closed_at"] is None) == (0, False)
    assert "<h1>อพยพทันที</h1>" not in first.browser.get("/?v=").text


def test_what_was_seen_is_what_is_acknowledged(real: World, officers: tuple[Officer, Officer]) -> None:
    first, second = officers
    story = real.judge(SAMRAN, 1)
    real.judge(SAMRAN, 3)
    assert first.press(story.id, "acknowledge", version=1) == (204, "")
    # The level that came later is still waiting.
    seen = real.ledger.episode(story.id)
    assert seen is not None
    assert seen.unacknowledged
    assert second.press(story.id, "acknowledge", version=2) == (204, "")
    assert first.press(story.id, "acknowledge", version=2) == (409, "pointless")


def test_a_screen_that_is_out_of_date_decides_nothing(real: World, officers: tuple[Officer, Officer]) -> None:
    first, second = officers
    story = real.judge(SAMRAN, 2).id
    assert first.press(story, "release", version=1, level=2) == (204, "")
    assert second.press(story, "release", version=1, level=2) == (409, "changed")
    assert levels(first, story)[1] == 0


@pytest.mark.parametrize(
    ("action", "fields", "expected"),
    [
        ("acknowledge", {"version": 99}, (404, "not_found")),
        ("release", {"version": 1, "level": 0}, (422, "invalid")),
        ("release", {"version": 1, "level": 4}, (422, "invalid")),
        ("release", {"version": 1}, (422, "invalid")),
        ("lower", {"version": 1, "level": 3}, (422, "invalid")),
        ("lower", {"version": 1, "level": 0}, (409, "pointless")),
    ],
)
def test_what_cannot_be_decided_is_refused(
    real: World, officers: tuple[Officer, Officer], action: str, fields: dict[str, int], expected: tuple[int, str]
) -> None:
    story = real.judge(SAMRAN, 2).id
    assert officers[0].press(story, action, **fields) == expected
    assert levels(officers[0], story) == (2, 0, 1)


def test_a_story_that_is_not_there_is_not_found(officers: tuple[Officer, Officer]) -> None:
    assert officers[0].press("nothing", "acknowledge", version=1) == (404, "not_found")
    assert officers[0].browser.post("/api/v1/notices/7/acknowledge", headers=officers[0].header).status_code == 404


def test_a_release_works_with_the_worker_dead(real: World, officers: tuple[Officer, Officer]) -> None:
    first, second = officers
    real.all_speak()
    story = real.judge(SAMRAN, 2).id
    real.blind()
    first.press(story, "release", version=1, level=2)
    second.press(story, "release", version=2, level=2)
    page = first.browser.get("/?v=").text
    assert "เตือนภัยน้ำท่วม" in page
    assert "ระบบตัดสินหยุดทำงาน" in page


def test_json_is_understood_like_a_form(real: World, officers: tuple[Officer, Officer]) -> None:
    first, _ = officers
    story = real.judge(SAMRAN, 1).id
    answer = first.browser.post(
        f"/api/v1/episodes/{story}/release",
        content=b'{"version": 1, "level": 1}',
        headers=first.header | {"Content-Type": "application/json"},
    )
    assert answer.status_code == 204
    assert levels(first, story)[1] == 1
