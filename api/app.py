"""The web as one ASGI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from api import errors
from api.auth import Forms, Passwords, SignIn
from api.compress import Compressed
from api.deps import Deps
from api.feed import LiveFeed
from api.hub import Hub
from api.read import Snapshots
from api.routers import alarms, data, decide, forecast, health, newcomers, pages, reviews, signin, stream
from api.security import SecurityHeaders
from api.web import Web


def create_app(deps: Deps, *, hub: Hub | None = None) -> FastAPI:
    """Build the app. Its hub is `app.state.hub`: close it before the server stops, so that no stream holds it up."""
    snapshots = Snapshots(deps)
    passwords = Passwords()
    web = Web(
        deps=deps,
        snapshots=snapshots,
        hub=hub or Hub(LiveFeed(deps, snapshots)),
        passwords=passwords,
        sign_in=SignIn(deps.accounts, passwords),
        forms=Forms(),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        web.hub.start()
        try:
            yield
        finally:
            await web.hub.aclose()

    app = FastAPI(
        title="Takean",
        version="1",
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from other hosts; nothing leaves this box.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.hub = web.hub
    errors.install(app, web)
    app.add_middleware(Compressed)
    app.add_middleware(SecurityHeaders)
    for module in (pages, signin, data, forecast, newcomers, decide, alarms, reviews, health, stream):
        app.include_router(module.router(web))
    app.mount("/static", StaticFiles(directory=deps.static_dir), name="static")
    return app
