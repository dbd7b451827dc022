"""Who acts and who is warned."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Permission(StrEnum):
    """What a click may do; every action is checked on the server."""

    VIEW = "view"
    ACKNOWLEDGE = "acknowledge"
    RELEASE = "release"
    INSPECT = "inspect"
    """Raw payloads and quarantine."""
    REVIEW = "review"
    """Say how far a reading can be believed."""
    ADMINISTER = "administer"


class Role(StrEnum):
    """Roles as data."""

    VIEWER = "viewer"
    TECHNICIAN = "technician"
    OFFICER = "officer"
    ADMIN = "admin"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.TECHNICIAN: frozenset({Permission.VIEW, Permission.INSPECT, Permission.REVIEW}),
    Role.OFFICER: frozenset(
        {Permission.VIEW, Permission.INSPECT, Permission.REVIEW, Permission.ACKNOWLEDGE, Permission.RELEASE}
    ),
    Role.ADMIN: frozenset({Permission.VIEW, Permission.INSPECT, Permission.ADMINISTER}),
}

ROLE_THAI: Mapping[Role, str] = {
    Role.VIEWER: "ผู้ชม",
    Role.TECHNICIAN: "ช่างเทคนิค",
    Role.OFFICER: "เจ้าหน้าที่เวร",
    Role.ADMIN: "ผู้ดูแลระบบ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Whoever decides: goes into every decision."""

    account: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Whether this role carries the permission."""
        return permission in PERMISSIONS[self.role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where one recipient can be reached by one channel."""

    id: str
    kind: str
    """actual, exercise or test: a delivery may only name an address of its own kind."""
    recipient: str
    """Pseudonymous id of the person."""
    area: str
    channel: str
    target: str
    """Phone number, LINE id, ...: never logged or shown whole."""


class Accounts(Protocol):
    """Local accounts, their one-time links and sessions. Tokens are stored as SHA-256 only; times are real,
    microseconds UTC.
    """

    def create(self, name: str, role: Role, *, now_us: int) -> None:
        """New account without a password.

        Raises
        ------
        ValueError : the name is taken or is not 2-40 characters of a-z 0-9 . _ -
        """

    def invite(self, name: str, *, now_us: int, expires_us: int) -> str:
        """One-time token with which this account sets its password; older unused ones end.

        Raises
        ------
        KeyError : no such account
        """

    def invited(self, token: str, *, now_us: int) -> Actor | None:
        """Whose unused, unexpired token this is."""

    def redeem(self, token: str, *, password_hash: str, now_us: int) -> Actor | None:
        """Use the token up and set the password in one transaction; all older sessions of the account end. None when
        it was used or expired.
        """

    def password_hash(self, name: str) -> str | None:
        """The stored hash, None when there is no such account or no password yet."""

    def open_session(self, name: str, *, now_us: int, expires_us: int) -> str:
        """New session; returns its token.

        Raises
        ------
        KeyError : no such account
        """

    def session(self, token: str, *, now_us: int) -> Actor | None:
        """Whose unexpired session this is."""

    def close_session(self, token: str) -> None:
        """End it; unknown tokens are ignored."""

    def names(self) -> dict[str, Role]:
        """All accounts, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A decision that may not be taken, and why: a value, not an error."""

    code: str
    """not_found, forbidden, changed, pointless, same_person, invalid or busy."""
    text: str
