"""What every answer carries: headers that keep a page to itself, and how long it may be kept."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self'",
        "script-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
YEAR_S: Final = 31_536_000
IMMUTABLE: Final = f"public, max-age={YEAR_S}, immutable"


def protect(headers: MutableHeaders, scope: Scope, status: int) -> None:
    """Add what is missing. Static files named with their content's hash may be kept for ever, nothing else at all."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    path: str = scope["path"]
    if path.startswith("/static/"):
        hashed = scope.get("query_string", b"").startswith(b"v=") and status in (200, 206, 304)
        headers["Cache-Control"] = IMMUTABLE if hashed else "no-cache"
    else:
        headers.setdefault("Cache-Control", "no-store")


class SecurityHeaders:
    """Plain ASGI, so that a stream passes through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                protect(MutableHeaders(scope=message), scope, message["status"])
            await send(message)

        await self._app(scope, receive, sealed)
