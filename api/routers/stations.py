"""Pages of stations: for officers behind the sign-in, for residents in front of it."""

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from alerts.people import Permission
from api import templates
from api.auth import csrf_of
from api.history import past
from api.routers.entrance import is_fragment, to_sign_in
from api.screens.console import user, world
from api.screens.facts import Facts
from api.screens.newcomers import newcomers
from api.screens.past import WINDOWS_US
from api.screens.public_station import for_residents
from api.screens.station_page import station_list, station_page
from api.screens.stations import observe
from api.views.station import StationView
from api.views.stations import StationsView
from api.web import Refused, Web

OFFICERS_WINDOW, PUBLIC_WINDOW = "6h", "24h"


def router(web: Web) -> APIRouter:
    """`/console/stations`, `/console/stations/{id}`, `/stations/{id}`."""
    api = APIRouter(include_in_schema=False)
    render = web.deps.pages.render
    kept: dict[tuple[str, str], tuple[Facts, str]] = {}

    def view_of(facts: Facts, station: str, window: str) -> StationView:
        """Blocks."""
        drawn = past(web.deps, station, now_us=facts.now_us, window_us=WINDOWS_US[window])
        week = past(web.deps, station, now_us=facts.now_us, window_us=WINDOWS_US["7d"])
        if drawn is None or week is None:
            raise Refused(404, "not_found", "ไม่มีสถานีนี้ · no such station")
        return station_page(facts, observe(facts), station, drawn, week, window=window)

    def window_of(request: Request, default: str) -> str:
        asked = request.query_params.get("window", default)
        return asked if asked in WINDOWS_US else default

    @api.get("/console/stations")
    async def stations(request: Request) -> Response:
        actor = await web.actor(request)
        if actor is None:
            return to_sign_in(request)
        facts = await web.facts()
        seen = await anyio.to_thread.run_sync(web.deps.unregistered) if actor.may(Permission.INSPECT) else ()
        view = StationsView(
            world=world(facts),
            rows=station_list(facts, observe(facts)),
            newcomers=newcomers(seen, facts.now_us),
        )
        if is_fragment(request):
            return HTMLResponse(render(templates.STATIONS_FRAGMENT, view=view))
        return HTMLResponse(render(templates.STATIONS, view=view, user=user(actor, csrf_of(web.session(request)))))

    @api.get("/console/stations/{station}")
    async def station(request: Request, station: str) -> Response:
        actor = await web.actor(request)
        if actor is None:
            return to_sign_in(request)
        window = window_of(request, OFFICERS_WINDOW)

        def page() -> str:
            view = view_of(web.snapshots.facts(), station, window)
            if is_fragment(request):
                return render(templates.STATION_FRAGMENT, view=view)
            return render(templates.STATION, view=view, user=user(actor, csrf_of(web.session(request))))

        return HTMLResponse(await anyio.to_thread.run_sync(page))

    @api.api_route("/stations/{station}", methods=["GET", "HEAD"])
    async def public_station(request: Request, station: str) -> Response:
        window = window_of(request, PUBLIC_WINDOW)

        def page() -> str:
            # Drawn once for all who ask within the blink for which the facts are kept.
            facts = web.snapshots.facts()
            drawn = kept.get((station, window))
            if drawn is None or drawn[0] is not facts:
                drawn = kept[station, window] = (
                    facts,
                    render(templates.PUBLIC_STATION, view=for_residents(facts, view_of(facts, station, window))),
                )
            return drawn[1]

        return HTMLResponse(await anyio.to_thread.run_sync(page))

    return api
