"""The real application on a real socket, showing one fixed scene to whoever opens a browser."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page

from alerts.people import Role
from api.app import create_app
from api.auth import SESSION_COOKIE, SESSION_S
from tests.api.world import World, open_world
from tests.look.scenes import SCENES

SECOND_US = 1_000_000
OFFICER = "officer-1"
OPEN_MS = 20_000
"""Longest wait for anything on a page: the machine may be busy with other tests."""


@dataclass
class Stand:
    """One served scene."""

    url: str
    world: World
    server: uvicorn.Server
    thread: threading.Thread

    @contextmanager
    def page(
        self, browser: Browser, width: int, height: int, *, signed_in: bool = False, script: bool = True, **options: Any
    ) -> Iterator[Page]:
        """Somebody's page: Thai, in Bangkok, with or without a session; without `script` ours never arrive."""
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="th-TH", timezone_id="Asia/Bangkok", **options
        )
        context.set_default_timeout(OPEN_MS)
        if not script:
            context.route("**/*.js*", lambda route: route.abort())
        if signed_in:
            context.add_cookies([{"name": SESSION_COOKIE, "value": self._session(), "url": self.url}])
        try:
            yield context.new_page()
        finally:
            context.close()

    def stop(self) -> None:
        """Stop serving, as when the box is switched off; streams end."""
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive(), "the server did not stop"

    def _session(self) -> str:
        self.world.account(OFFICER, Role.OFFICER)
        now_us = self.world.real_us
        return self.world.accounts.open_session(OFFICER, now_us=now_us, expires_us=now_us + SESSION_S * SECOND_US)


class _Server(uvicorn.Server):
    """Ends its event streams before it waits for open answers, as the installed one does."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.state.hub.aclose()
        await super().shutdown(sockets)


@contextmanager
def standing(scene: str) -> Iterator[Stand]:
    """Serve a scene of `SCENES` on a port of its own until the block is left."""
    kind, act = SCENES[scene]
    with tempfile.TemporaryDirectory() as folder, open_world(Path(folder), kind=kind) as world:
        act(world)
        app = create_app(world.deps)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = _Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, lifespan="on"), app)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()
            stand = Stand(f"http://127.0.0.1:{listening.getsockname()[1]}", world, server, thread)
            try:
                yield stand
            finally:
                stand.stop()


def settled(page: Page) -> None:
    """Wait until type, map and hydrograph stand, where the page has them."""
    page.evaluate("document.fonts.ready.then(() => null)")
    if page.locator("#map").count():
        page.wait_for_selector("path.m-boundary", state="attached")
        page.wait_for_selector(".pin")
    for chart in page.locator(".hydro").all():
        chart.locator("canvas, .hydro-note").first.wait_for()
