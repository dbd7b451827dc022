"""Who is not registered, and who is registered and silent: what a technician sets up by."""

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request

from alerts.people import Permission
from api import schemas
from api.screens.stations import observe
from api.web import Web


def router(web: Web) -> APIRouter:
    """`/api/v1/unregistered` and `/api/v1/silent`."""
    api = APIRouter(prefix="/api/v1", tags=["data"])

    @api.get("/unregistered")
    async def unregistered(request: Request) -> schemas.UnregisteredList:
        """Devices that passed authentication and are no station; who they are and what they said only for whoever may
        inspect.
        """
        actor = await web.actor(request)
        seen = await anyio.to_thread.run_sync(web.deps.unregistered)
        shown = seen if actor is not None and actor.may(Permission.INSPECT) else ()
        return schemas.UnregisteredList(count=len(seen), devices=[schemas.UnregisteredOut.of(s) for s in shown])

    @api.get("/silent")
    async def silent() -> list[schemas.SilentOut]:
        """Registered stations that were never heard, or not for longer than they promise."""
        return [
            schemas.SilentOut(
                station=o.station.id, name=o.station.name, heard=schemas.iso(o.heard_us) if o.heard_us else None
            )
            for o in observe(await web.facts())
            if o.silent or not o.heard_us
        ]

    return api
