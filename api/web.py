"""What all routes share: one value, made once, handed to each router."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import anyio.to_thread
import msgspec
from starlette.requests import Request

from alerts.people import Actor
from api import templates
from api.auth import CSRF_FIELD, CSRF_HEADER, SESSION_COOKIE, Forms, Passwords, SignIn, csrf_of, same
from api.deps import Deps
from api.hub import Hub
from api.read import Snapshots
from api.screens.console import world
from api.screens.facts import Facts
from api.screens.public import Reader, leaves, public
from api.screens.stations import observe
from api.views import World

BODY_MAX = 16 * 1024
"""Bytes of a form: ours have a handful of short fields."""
FIELDS_MAX = 20
VILLAGE_COOKIE = "takean_village"
"""Which village a resident chose, so that it need not be chosen again."""


class Refused(Exception):
    """A request that goes no further; `api.errors` puts it into words."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The web's own parts, beside what it was given."""

    deps: Deps
    snapshots: Snapshots
    hub: Hub
    passwords: Passwords
    sign_in: SignIn
    forms: Forms
    _pages: dict[Reader, tuple[Facts, str]] = field(default_factory=dict)
    """Newest public page of each kind of resident: at most villages x languages x text sizes."""

    @property
    def secure(self) -> bool:
        """Whether cookies may only travel over https."""
        return self.deps.public_url.startswith("https:")

    async def facts(self) -> Facts:
        """Everything as it stands."""
        return await anyio.to_thread.run_sync(self.snapshots.facts)

    async def world(self) -> World:
        """What stands on every page."""
        return world(await self.facts())

    async def actor(self, request: Request) -> Actor | None:
        """Who sent this request, None for anybody."""
        token = request.cookies.get(SESSION_COOKIE, "")
        if not token or len(token) > 256:
            return None
        now_us = self.deps.real_us()
        return await anyio.to_thread.run_sync(lambda: self.deps.accounts.session(token, now_us=now_us))

    def session(self, request: Request) -> str:
        """The session token as sent; empty for none. Says nothing about its being valid."""
        return request.cookies.get(SESSION_COOKIE, "")

    async def public_page(self, reader: Reader) -> str:
        """The residents' page, rendered once for all who read it alike."""

        def render() -> str:
            facts = self.snapshots.facts()
            kept = self._pages.get(reader)
            if kept is not None and kept[0] is facts:
                return kept[1]
            html = self.deps.pages.render(templates.PUBLIC, view=public(facts, observe(facts), reader))
            self._pages[reader] = (facts, html)
            return html

        return await anyio.to_thread.run_sync(render)

    def reader(self, asked: Mapping[str, str], *, remembered: str = "") -> Reader:
        """How a resident wants the page; what we do not know is the default.

        Parameters
        ----------
        asked : `v` village, `lang` th or en, `text` large, as in the address
        remembered : the village chosen before, for an address without `v`
        """
        village = asked.get("v", remembered)
        return Reader(
            village=village if village in {a.id for a in leaves(self.deps.registry)} else "",
            language="en" if asked.get("lang") == "en" else "th",
            large_text=asked.get("text") == "large",
        )


async def fields(request: Request) -> Mapping[str, str]:
    """The fields of a form or of a flat JSON object, as text; read once per request.

    Raises
    ------
    Refused : too large, or neither of the two
    """
    if hasattr(request.state, "fields"):
        kept: Mapping[str, str] = request.state.fields
        return kept
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            raise Refused(413, "too_large", f"body: more than {BODY_MAX} bytes")
    read: dict[str, str] = {}
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            flat = msgspec.json.decode(bytes(body), type=dict[str, str | int])
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused(422, "invalid", f"body: not a flat JSON object of text and whole numbers: {error}") from None
        read = {name: str(value) for name, value in flat.items()}
    elif body:
        try:
            read = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"))
        except ValueError as error:
            raise Refused(422, "invalid", f"body: not a form in UTF-8: {error}") from None
    request.state.fields = read
    return read


async def require_actor(web: Web, request: Request) -> Actor:
    """Whoever is signed in.

    Raises
    ------
    Refused : nobody is
    """
    actor = await web.actor(request)
    if actor is None:
        raise Refused(401, "signed_out", "ต้องเข้าสู่ระบบก่อน · sign in first")
    return actor


async def require_meant(web: Web, request: Request) -> Actor:
    """Whoever is signed in and meant this request: for everything that changes something.

    Raises
    ------
    Refused : nobody is signed in, or the token of the page is missing or of another session
    """
    actor = await require_actor(web, request)
    given = request.headers.get(CSRF_HEADER) or (await fields(request)).get(CSRF_FIELD, "")
    if not same(given, csrf_of(web.session(request))):
        raise Refused(403, "csrf", "หน้านี้เก่าแล้ว โปรดโหลดใหม่ · this page is old, load it again")
    return actor


def whole_number(given: Mapping[str, str], name: str, *, low: int, high: int) -> int:
    """A field as a whole number.

    Raises
    ------
    Refused : missing, not a number, or outside the span
    """
    text = given.get(name)
    if text is None:
        raise Refused(422, "invalid", f"{name}: missing; a whole number {low}-{high} is expected")
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and low <= int(text) <= high):
        raise Refused(422, "invalid", f"{name}: {text[:40]!r} is not a whole number {low}-{high}")
    return int(text)
