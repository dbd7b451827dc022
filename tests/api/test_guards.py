"""What no request gets past: sign-in, the page's token, headers, bounds; and refusals that people can read."""

import re
from collections.abc import Iterator, Sequence

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from alerts.people import Role
from api.app import create_app
from api.auth import SESSION_COOKIE
from api.security import IMMUTABLE
from tests.api.browser import Browser
from tests.api.world import World

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
FORMS_OF_STRANGERS = {"/signin", "/invite/{token}"}
"""These cannot ask for a session; they ask for the form's own token."""


def routes(world: World) -> Iterator[tuple[str, str]]:
    def walk(found: Sequence[BaseRoute]) -> Iterator[APIRoute]:
        for route in found:
            if isinstance(route, APIRoute):
                yield route
            else:
                # FastAPI keeps an included router whole.
                yield from walk(getattr(getattr(route, "original_router", route), "routes", None) or ())

    for route in walk(create_app(world.deps).router.routes):
        for method in route.methods or ():
            yield method, route.path


def unsafe(world: World) -> list[tuple[str, str]]:
    return sorted((m, p) for m, p in routes(world) if m in UNSAFE)


def address(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path)


def test_the_routes_that_change_something_are_all_looked_at(world: World) -> None:
    assert {p for _, p in unsafe(world)} == FORMS_OF_STRANGERS | {
        "/signout",
        "/api/v1/episodes/{id}/acknowledge",
        "/api/v1/episodes/{id}/shelve",
        "/api/v1/episodes/{id}/unshelve",
        "/api/v1/episodes/{id}/release",
        "/api/v1/episodes/{id}/lower",
        "/api/v1/notices/{id}/acknowledge",
        "/api/v1/series/{station}/{name}/review",
        "/api/v1/silences",
        "/api/v1/silences/{id}/agree",
        "/api/v1/silences/{id}/end",
    }


def test_nobody_changes_anything_without_signing_in(world: World, client: Browser) -> None:
    for method, path in unsafe(world):
        expected = 403 if path in FORMS_OF_STRANGERS else 401
        assert client.send(method, address(path)).status_code == expected, path


def test_nobody_changes_anything_without_the_token_of_the_page(world: World, client: Browser) -> None:
    world.sign_in(client)
    other = world.sign_in_elsewhere("other")
    for method, path in unsafe(world):
        for token in ("", "0" * 64, other):
            assert client.send(method, address(path), headers={"X-CSRF-Token": token}).status_code == 403, path
        assert client.post(address(path), {"csrf": "ก"}).status_code == 403, path


def test_a_token_in_the_address_is_no_token(world: World, client: Browser) -> None:
    token = world.sign_in(client)["X-CSRF-Token"]
    assert client.post(f"/signout?csrf={token}").status_code == 403
    assert client.post("/signout", {"csrf": token}).status_code == 303


def test_a_session_ends_with_the_shift(world: World, client: Browser) -> None:
    world.sign_in(client)
    world.real_us += 12 * 3600 * 1_000_000 - 1
    assert client.get("/console").status_code == 200
    world.real_us += 1
    answer = client.get("/console")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=/console")


def test_the_judgement_clock_does_not_end_a_session(world: World, client: Browser) -> None:
    world.sign_in(client)
    world.now_us += 100 * 3600 * 1_000_000
    assert client.get("/console").status_code == 200


def test_a_fragment_for_the_signed_out_sends_its_page_to_the_form(client: Browser) -> None:
    answer = client.get("/console/panel/WL-01", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/signin?next=/console")
    assert client.get("/console/panel/WL-01").headers["location"] == "/signin?next=/console/panel/WL-01"


def test_a_viewer_may_look_and_decide_nothing(world: World, client: Browser) -> None:
    header = world.sign_in(client, "viewer", Role.VIEWER)
    story = world.judge("331608-samran", 2)
    assert client.get("/console").status_code == 200
    for action in ("acknowledge", "release", "lower"):
        answer = client.post(f"/api/v1/episodes/{story.id}/{action}", {"version": 1, "level": 1}, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "path", ["/", "/console", "/signin", "/healthz", "/nothing", "/api/v1/nothing", "/api/v1/episodes", "/map.geojson"]
)
def test_every_answer_is_sealed(client: Browser, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    for part in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in {"same-origin", "no-referrer"}
    assert headers["cache-control"] in {"no-store", "no-cache"}


def test_static_files_are_kept_for_ever_only_under_the_hash_of_their_content(client: Browser) -> None:
    page = client.get("/").text
    named = next(iter(re.findall(r'href="(/static/css/[^"]+\?v=[0-9a-f]+)"', page)))
    assert client.get(named).headers["cache-control"] == IMMUTABLE
    assert client.get(named.partition("?")[0]).headers["cache-control"] == "no-cache"
    assert client.get("/static/css/none.css?v=1").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/../pyproject.toml", "/static/%2e%2e/%2e%2e/__init__.py", "/static//etc/passwd"]
)
def test_nothing_outside_the_static_files_is_served(client: Browser, path: str) -> None:
    assert client.get(path).status_code == 404


def test_people_get_a_page_and_programs_get_json(client: Browser) -> None:
    page = client.get("/nothing")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "ไม่พบหน้านี้" in page.text
    data = client.get("/api/v1/nothing")
    assert (data.status_code, data.json()["code"]) == (404, "http_404")


def test_what_breaks_inside_is_not_shown_and_still_sealed(world: World) -> None:
    world.status = None  # type: ignore[assignment]  # a broken promise of our own
    with world.client() as client:
        for path in ("/", "/readyz", "/api/v1/stations"):
            answer = client.get(path)
            assert answer.status_code == 500
            assert "Traceback" not in answer.text
            assert "NoneType" not in answer.text
            assert "content-security-policy" in answer.headers


def test_a_body_without_end_is_cut_off(world: World, client: Browser) -> None:
    header = world.sign_in(client)
    answer = client.post("/api/v1/episodes/1/acknowledge", content=b"version=" + b"1" * 20_000, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert client.post("/signin", content=b"a" * 20_000).status_code == 413


@pytest.mark.parametrize("version", ["", "0", "-1", "1.5", "abc", "９", "9" * 30, "1e3", " 1"])
def test_a_version_that_is_none_is_refused_in_words(world: World, client: Browser, version: str) -> None:
    header = world.sign_in(client)
    answer = client.post("/api/v1/episodes/x/acknowledge", {"version": version}, headers=header)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("version: ")


@pytest.mark.parametrize(
    "content", [b"{", b"[1]", b'{"version": {"a": 1}}', b'{"version": 1e400}', b"[" * 10_000, b"\xff"]
)
def test_json_that_is_no_flat_object_is_refused(world: World, client: Browser, content: bytes) -> None:
    header = world.sign_in(client) | {"Content-Type": "application/json"}
    assert client.post("/api/v1/episodes/x/acknowledge", content=content, headers=header).status_code == 422


@pytest.mark.parametrize("cookie", ["", "x", "a" * 5000, "'; drop table session; --"])
def test_a_made_up_session_is_nobody(client: Browser, cookie: str) -> None:
    client.cookies.set(SESSION_COOKIE, cookie)
    assert client.get("/console").status_code == 303


def test_cookies_of_an_https_site_travel_only_there(world: World) -> None:
    world.public_url = "https://testserver"
    with world.client() as client:
        assert "secure" in client.get("/signin").headers["set-cookie"].lower()
    world.public_url = "http://testserver"
    with world.client() as client:
        cookie = client.get("/signin").headers["set-cookie"].lower()
    assert "secure" not in cookie
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
