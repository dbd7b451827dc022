"""Coming in: a password, a one-time link, and how often one may guess."""

import re

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from alerts.people import Role
from api.app import create_app
from api.auth import (
    SESSION_COOKIE,
    TRIES_PER_ACCOUNT_AND_ADDRESS,
    TRIES_PER_ADDRESS,
    Forms,
    Passwords,
    SignIn,
    Wrong,
    local_path,
)
from api.limits import Attempts
from tests.api.browser import Browser
from tests.api.world import HOUR_US, PASSWORD, World


def form_token(client: Browser, path: str = "/signin") -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def try_in(client: Browser, name: str, password: str, next: str = "/console") -> tuple[int, str]:
    answer = client.post("/signin", {"csrf": form_token(client), "name": name, "password": password, "next": next})
    return answer.status_code, answer.headers.get("location", "")


def test_the_right_password_opens_the_console(world: World, client: Browser) -> None:
    world.account("officer", Role.OFFICER)
    assert try_in(client, " Officer ", PASSWORD) == (303, "/console")
    assert client.get("/console").status_code == 200
    assert world.accounts.session(client.cookies[SESSION_COOKIE], now_us=world.real_us) is not None


def test_unknown_account_and_wrong_password_get_the_same_answer(world: World, client: Browser) -> None:
    world.account("officer", Role.OFFICER)
    world.accounts.create("fresh", Role.VIEWER, now_us=world.real_us)
    pages = []
    for name, password in (("officer", "wrong password"), ("nobody", PASSWORD), ("fresh", PASSWORD)):
        answer = client.post("/signin", {"csrf": form_token(client), "name": name, "password": password})
        pages.append((answer.status_code, re.sub(r'value="[0-9a-f]{64}"', "", answer.text)))
    assert pages[0][0] == 401
    assert len(set(pages)) == 1
    assert SESSION_COOKIE not in client.cookies


class Counting(PasswordHash):
    """Counts how often it was made to work."""

    verified = 0

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        self.verified += 1
        return super().verify(password, hash)


def test_an_unknown_account_costs_the_same_work_as_a_known_one(world: World) -> None:
    world.account("officer", Role.OFFICER)
    hasher = Counting((Argon2Hasher(),))
    sign_in = SignIn(world.accounts, Passwords(hasher))

    async def wrong(name: str) -> None:
        answer = await sign_in.open(name, "a wrong password", address="here", real_us=world.real_us)
        assert isinstance(answer, Wrong)

    for tries, name in enumerate(("officer", "nobody"), start=1):
        anyio.run(wrong, name)
        assert hasher.verified == tries


def test_guessing_is_stopped_and_says_for_how_long(world: World, client: Browser) -> None:
    world.account("officer", Role.OFFICER)
    for _ in range(TRIES_PER_ACCOUNT_AND_ADDRESS):
        assert try_in(client, "officer", "a wrong password")[0] == 401
    answer = client.post("/signin", {"csrf": form_token(client), "name": "officer", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 900
    assert "รออีก 15 นาที" in answer.text
    world.real_us += 900 * 1_000_000
    assert try_in(client, "officer", PASSWORD)[0] == 303


def test_nobody_elsewhere_can_lock_an_officer_out(world: World) -> None:
    world.account("officer", Role.OFFICER)
    app = create_app(world.deps)
    with Browser.on(app, address="192.0.2.7") as stranger, Browser.on(app, address="127.0.0.1") as officer:
        for _ in range(TRIES_PER_ACCOUNT_AND_ADDRESS + 1):
            status, _ = try_in(stranger, "officer", "a wrong password")
        assert status == 429
        assert try_in(officer, "officer", PASSWORD)[0] == 303


def test_one_address_cannot_walk_through_the_accounts() -> None:
    limit = Attempts(most=TRIES_PER_ADDRESS, window_us=1000)
    for now_us in range(TRIES_PER_ADDRESS):
        assert limit.wait_us("here", now_us) == 0
        limit.note("here", now_us)
    assert limit.wait_us("here", TRIES_PER_ADDRESS) == 1000 - TRIES_PER_ADDRESS
    assert limit.wait_us("there", TRIES_PER_ADDRESS) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 50)), max_size=200))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_a_limit_never_lets_more_through_and_never_grows(tries: list[tuple[str, int]]) -> None:
    limit = Attempts(most=3, window_us=100, keys_max=4)
    free = Attempts(most=3, window_us=100, keys_max=1000)
    now_us, passed = 0, dict[str, list[int]]()
    for key, step in tries:
        now_us += step
        if free.wait_us(key, now_us) == 0:
            free.note(key, now_us)
            passed.setdefault(key, []).append(now_us)
        limit.note(key, now_us)
        assert len(limit._tries) <= 4
    for times in passed.values():
        assert all(later - first >= 100 for first, later in zip(times, times[3:], strict=False))


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "console",
        "/\t/evil.example",
        "/console\r\nSet-Cookie: a=b",
        "///evil.example",
        "http:evil.example",
        "",
        "/" + "a" * 600,
    ],
)
def test_signing_in_never_leads_to_another_host(target: str) -> None:
    assert local_path(target) == "/console"


def test_signing_in_leads_back_to_where_one_was(world: World, client: Browser) -> None:
    world.account("officer", Role.OFFICER)
    assert try_in(client, "officer", PASSWORD, "/console?station=WL-01") == (303, "/console?station=WL-01")
    assert try_in(client, "officer", PASSWORD, "//evil.example") == (303, "/console")


def test_a_form_without_its_cookie_or_with_another_is_refused(world: World, client: Browser) -> None:
    world.account("officer", Role.OFFICER)
    token = form_token(client)
    client.cookies.clear()
    answer = client.post("/signin", {"csrf": token, "name": "officer", "password": PASSWORD})
    assert answer.status_code == 403
    assert "แบบฟอร์มหมดอายุ" in answer.text
    forms = Forms()
    assert not forms.fits("", forms.sign(""))
    assert not forms.fits("a", forms.sign("b"))


def test_signing_out_ends_the_session_on_the_server(world: World, client: Browser) -> None:
    header = world.sign_in(client)
    token = client.cookies[SESSION_COOKIE]
    assert client.post("/signout", headers=header).headers["location"] == "/"
    assert world.accounts.session(token, now_us=world.real_us) is None


def invite(world: World, name: str = "newcomer") -> str:
    world.accounts.create(name, Role.OFFICER, now_us=world.real_us)
    return world.accounts.invite(name, now_us=world.real_us, expires_us=world.real_us + HOUR_US)


def test_a_one_time_link_sets_a_password_once(world: World, client: Browser) -> None:
    path = f"/invite/{invite(world)}"
    for _ in range(3):
        assert client.get(path).status_code == 200  # looking does not use it up
    answer = client.post(path, {"csrf": form_token(client, path), "password": "ten letters"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert client.get("/console").status_code == 200
    assert client.get(path).status_code == 404
    assert client.post(path, {"csrf": form_token(client), "password": "another one"}).status_code == 404
    client.cookies.clear()
    assert try_in(client, "newcomer", "ten letters")[0] == 303


@pytest.mark.parametrize("password", ["", "short", "nine char", "a" * 257])
def test_a_weak_password_does_not_use_the_link_up(world: World, client: Browser, password: str) -> None:
    path = f"/invite/{invite(world)}"
    answer = client.post(path, {"csrf": form_token(client, path), "password": password})
    assert answer.status_code == 422
    assert "ตัวอักษร" in answer.text
    assert client.get(path).status_code == 200


def test_a_link_ends_with_its_hour_by_the_real_clock(world: World, client: Browser) -> None:
    path = f"/invite/{invite(world)}"
    world.now_us += 100 * HOUR_US
    assert client.get(path).status_code == 200
    world.real_us += HOUR_US
    assert client.get(path).status_code == 404


def test_the_address_of_a_link_is_told_to_no_other_page(world: World, client: Browser) -> None:
    path = f"/invite/{invite(world)}"
    answer = client.get(path)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r'(href|src)="(?!/|data:)', answer.text)
