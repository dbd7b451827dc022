"""Who is not registered and who is silent, on the screen and for programs."""

from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest

from alerts.people import Role
from api.app import create_app
from ingest.unregistered import Decoded, Seen
from tests.api.browser import Browser
from tests.api.world import MINUTE_US, NOW_US, World

HOSTILE = '<script>alert("ท")</script>'
SEEN = (
    Seen(
        via="chirpstack",
        id="0011223344556677",
        first_us=NOW_US - 3_600_000_000,
        last_us=NOW_US - 2 * MINUTE_US,
        count=31,
        topic="application/a/device/0011223344556677/event/up",
        client="ns",
        readings=(Decoded("distance", 1520.0, NOW_US), Decoded(HOSTILE, None, NOW_US)),
    ),
    Seen(via="own", id="WL-09", first_us=0, last_us=NOW_US, count=1, topic="t", client="c", problem="not UTF-8"),
)
"""One with readings, one that could not be read."""


@pytest.fixture
def client(world: World) -> Iterator[Browser]:
    """A browser on a world in which two devices wait."""
    app = create_app(replace(world.deps, unregistered=lambda: SEEN))
    with Browser.on(app, base_url=world.public_url) as made:
        yield made


def test_a_technician_sees_who_waits_and_what_it_said(world: World, client: Browser) -> None:
    world.sign_in(client, "technician", Role.TECHNICIAN)
    page = client.get("/console/stations").text
    assert "อุปกรณ์ที่ยังไม่ลงทะเบียน" in page
    for words in ("0011223344556677", "ChirpStack", "distance 1520", "WL-09", "not UTF-8"):
        assert words in page
    assert HOSTILE not in page
    assert HOSTILE in unescape(page)
    told = client.get("/api/v1/unregistered").json()
    assert told["count"] == 2
    assert [d["id"] for d in told["devices"]] == ["0011223344556677", "WL-09"]
    assert told["devices"][0]["readings"][0] == {
        "name": "distance",
        "value": 1520.0,
        "time": "2026-11-22T07:35:00Z",
    }


def test_whoever_may_not_inspect_is_told_how_many_and_no_more(world: World, client: Browser) -> None:
    for sign_in in (False, True):
        if sign_in:
            world.sign_in(client, "viewer", Role.VIEWER)
            assert "0011223344556677" not in client.get("/console/stations").text
        assert client.get("/api/v1/unregistered").json() == {"count": 2, "devices": []}


def test_a_page_without_newcomers_says_nothing_of_them(world: World) -> None:
    with world.client() as client:
        world.sign_in(client, "technician", Role.TECHNICIAN)
        assert "newcomers" not in client.get("/console/stations").text


def test_who_never_spoke_and_who_fell_silent_are_named(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [2.0], ago_us=6 * MINUTE_US + 1)
    world.put("WL-02/stage_m", [2.0], ago_us=6 * MINUTE_US)
    told = {s["station"]: s["heard"] for s in client.get("/api/v1/silent").json()}
    assert told["WL-01"] == "2026-11-22T07:28:59.999999Z"
    assert told["WL-03"] is None
    assert "WL-02" not in told
