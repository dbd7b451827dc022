"""Who is signed in: passwords, sessions, and proof that a request was meant by whoever made it."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from pwdlib import PasswordHash
from starlette.responses import Response

from alerts.people import Accounts
from api.limits import SECOND_US, Attempts

SESSION_COOKIE = "takean_session"
SESSION_S = 12 * 3600
"""A shift: afterwards one signs in again."""
FORM_COOKIE = "takean_form"
FORM_S = 3600
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
PASSWORD_MIN = 10
PASSWORD_MAX = 256
"""Characters; a bound, because hashing is meant to be dear."""
ACCOUNT_MAX = 40

HASHERS = 2
"""Passwords hashed at once: each takes about 64 MiB and a core."""
# Few enough to make guessing hopeless, enough for cold fingers at night. By account *and* address, so that nobody far
# away can lock an officer out during a flood; by address alone, so that one address cannot walk through the accounts.
TRIES_PER_ACCOUNT_AND_ADDRESS = 6
TRIES_PER_ADDRESS = 30
TRIES_WINDOW_US = 15 * 60 * SECOND_US


class Passwords:
    """Argon2, in a thread, a few at a time."""

    def __init__(self, hasher: PasswordHash | None = None) -> None:
        self._hasher = hasher or PasswordHash.recommended()
        self._nobody = _nobody()
        self._threads = anyio.CapacityLimiter(HASHERS)

    async def hash(self, password: str) -> str:
        """As it is stored."""
        return await anyio.to_thread.run_sync(self._hasher.hash, password, limiter=self._threads)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether this is the password; None, for an account that has none, takes as long and says no."""

        def check() -> bool:
            return self._hasher.verify(password, stored or self._nobody)

        return await anyio.to_thread.run_sync(check, limiter=self._threads) and stored is not None


@cache
def _nobody() -> str:
    """A hash that no password fits: an account that is not there costs the same time as one that is."""
    return PasswordHash.recommended().hash(secrets.token_urlsafe())


def password_mistake(password: str) -> str:
    """Why this may not be a password; empty when it may."""
    if len(password) < PASSWORD_MIN:
        return f"รหัสผ่านต้องยาวอย่างน้อย {PASSWORD_MIN} ตัวอักษร · at least {PASSWORD_MIN} characters"
    if len(password) > PASSWORD_MAX:
        return f"รหัสผ่านยาวได้ไม่เกิน {PASSWORD_MAX} ตัวอักษร · at most {PASSWORD_MAX} characters"
    return ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Too many tries."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """No such account, no password yet, or not this one: not said which."""


class SignIn:
    """Tries to sign in, counted."""

    def __init__(self, accounts: Accounts, passwords: Passwords) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._pairs = Attempts(most=TRIES_PER_ACCOUNT_AND_ADDRESS, window_us=TRIES_WINDOW_US)
        self._addresses = Attempts(most=TRIES_PER_ADDRESS, window_us=TRIES_WINDOW_US)

    async def open(self, account: str, password: str, *, address: str, real_us: int) -> str | Wait | Wrong:
        """A session token, or why not."""
        account, password = account.strip().lower()[: ACCOUNT_MAX + 1], password[: PASSWORD_MAX + 1]
        pair = f"{address}\n{account}"
        wait_us = max(self._pairs.wait_us(pair, real_us), self._addresses.wait_us(address, real_us))
        if wait_us:
            return Wait(-(-wait_us // SECOND_US))
        # Counted before the password is looked at: many at once are many tries.
        self._pairs.note(pair, real_us)
        self._addresses.note(address, real_us)
        stored = await anyio.to_thread.run_sync(self._accounts.password_hash, account)
        if not await self._passwords.fits(password, stored):
            return Wrong()
        self._pairs.forget(pair)

        def begin() -> str:
            return self._accounts.open_session(account, now_us=real_us, expires_us=real_us + SESSION_S * SECOND_US)

        return await anyio.to_thread.run_sync(begin)


def csrf_of(session: str) -> str:
    """The token that a page of this session sends back; who does not know the session cannot make it."""
    return hmac.new(session.encode(), b"takean.csrf.v1", hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare two secrets without telling by the time where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


class Forms:
    """Proof for forms of people who are not signed in: a cookie, and its signature in the form."""

    def __init__(self) -> None:
        # Lives as long as the process: after a restart a form that was open has to be loaded again.
        self._secret = secrets.token_bytes(32)

    def new(self) -> str:
        """A value for the cookie."""
        return secrets.token_urlsafe(24)

    def sign(self, cookie: str) -> str:
        """What the form carries."""
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()

    def fits(self, cookie: str, field: str) -> bool:
        """Whether form and cookie belong together."""
        return bool(cookie) and same(field, self.sign(cookie))


def set_cookie(response: Response, name: str, value: str, *, max_age_s: int, secure: bool) -> None:
    """Set one of our cookies; an empty value takes it away."""
    response.set_cookie(
        name, value, max_age=max_age_s if value else 0, path="/", httponly=True, samesite="lax", secure=secure
    )


def local_path(target: str, default: str = "/console") -> str:
    """Where to go after signing in: a path on this site, or the default. Never another host (open redirect).

    Browsers read `//host`, `/\\host` and control characters as an address of another host.
    """
    parts = urlsplit(target) if target.isprintable() else None
    if parts is None or parts.scheme or parts.netloc or "\\" in target or not target.startswith("/"):
        return default
    return default if target.startswith("//") or len(target) > 512 else target
