"""The forms of sign-in."""

from dataclasses import dataclass

from api.views import World


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInView:
    """Sign-in and one-time-link forms."""

    world: World
    csrf: str
    error: str
    """A sentence, or empty."""
    account: str
    """For a one-time link: whose password is being set; empty on the sign-in form."""
    action: str
    """Form target."""
    next: str
