"""Answers made smaller for a slow phone: files and public pages. Never a page that holds a form's secret, whose length
would then tell of it, and never a stream.
"""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

SMALLEST_BYTES = 500
"""Below this the headers of one packet weigh more than what is saved."""


class Compressed:
    """Compresses `/static/`, the map, the public page and the public station pages where the browser takes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._smaller = GZipMiddleware(app, minimum_size=SMALLEST_BYTES, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        secretless = path in ("/", "/map.geojson") or path.startswith(("/static/", "/stations/"))
        await (self._smaller if scope["type"] == "http" and secretless else self._app)(scope, receive, send)
