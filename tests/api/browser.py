"""A browser without a screen: requests straight into the app, cookies kept, redirects not followed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI


class Browser:
    """Blocking requests to one app."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal = portal
        self._client = client

    @property
    def cookies(self) -> httpx.Cookies:
        """What it holds."""
        return self._client.cookies

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Read a page."""
        return self.send("GET", url, headers=headers)

    def post(
        self,
        url: str,
        data: Mapping[str, str | int] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """Send a form, or raw content."""
        fields = None if data is None else {name: str(value) for name, value in data.items()}
        return self._portal.call(
            lambda: self._client.post(url, data=fields, content=content, headers=dict(headers or {}))
        )

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Any method, no body."""
        return self._portal.call(lambda: self._client.request(method, url, headers=dict(headers or {})))

    @classmethod
    @contextmanager
    def on(cls, app: FastAPI, *, base_url: str = "http://testserver", address: str = "127.0.0.1") -> Iterator[Self]:
        """A fresh one; `address` is where it seems to sit."""
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50_000))
        with start_blocking_portal() as portal:
            client = httpx.AsyncClient(transport=transport, base_url=base_url)
            try:
                yield cls(portal, client)
            finally:
                portal.call(client.aclose)
