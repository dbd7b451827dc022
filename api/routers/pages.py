"""Pages for people."""

from collections.abc import Sequence
from dataclasses import replace

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from alerts.episode import Kind
from api import templates
from api.auth import csrf_of, set_cookie
from api.history import past, stories
from api.routers import stations
from api.routers.entrance import is_fragment, to_sign_in
from api.screens.console import console, user
from api.screens.facts import HOUR_US, Facts
from api.screens.hydrograph import chart
from api.screens.past import WINDOWS_US
from api.screens.public import phone
from api.screens.station_page import panel_with_chart
from api.screens.stations import Observed, observe, panel
from api.screens.timeline import WINDOW_US as TIMELINE_US
from api.screens.timeline import timeline
from api.screens.wall import wall
from api.views.chart import Chart, TimelineView
from api.views.stations import PanelView
from api.web import VILLAGE_COOKIE, Refused, Web

REMEMBER_S = 365 * 86_400
MAP_URL = "/map.geojson"


def router(web: Web) -> APIRouter:
    """`/`, `/console` with its panel and timeline, pages of stations, `/wall`, `/preview`, and the base map."""
    api = APIRouter(include_in_schema=False)
    api.include_router(stations.router(web))
    render = web.deps.pages.render

    @api.api_route("/", methods=["GET", "HEAD"])
    async def public_page(request: Request) -> Response:
        asked = request.query_params
        reader = web.reader(asked, remembered=request.cookies.get(VILLAGE_COOKIE, ""))
        response = HTMLResponse(await web.public_page(reader))
        if "v" in asked:
            set_cookie(response, VILLAGE_COOKIE, reader.village, max_age_s=REMEMBER_S, secure=web.secure)
        return response

    @api.get("/console")
    async def overview(request: Request) -> Response:
        actor = await web.actor(request)
        if actor is None:
            return to_sign_in(request)
        asked = request.query_params.get("station", "")

        def page() -> str:
            facts = web.snapshots.facts()
            viewer, everyone = user(actor, csrf_of(web.session(request))), observe(facts)
            view = console(facts, everyone, viewer=viewer, station=asked, map_url=MAP_URL)
            drawn = panel_of(facts, everyone, view.panel.station) if view.panel is not None else None
            return render(templates.OVERVIEW, view=replace(view, panel=drawn, timeline=timeline_of(facts)))

        return HTMLResponse(await anyio.to_thread.run_sync(page))

    def panel_of(facts: Facts, everyone: Sequence[Observed], station: str) -> PanelView | None:
        """With its hydrograph. Blocks."""
        view = panel(facts, everyone, station)
        if view is None:
            return None
        seen = past(web.deps, station, now_us=facts.now_us, window_us=view.window_h * HOUR_US)
        return panel_with_chart(facts, everyone, station, seen) if seen else view

    def timeline_of(facts: Facts) -> TimelineView:
        """Blocks."""
        return timeline(facts, stories(web.deps, from_us=facts.now_us - TIMELINE_US, to_us=facts.now_us))

    @api.get("/console/panel/{station}")
    async def station_panel(request: Request, station: str) -> Response:
        if await web.actor(request) is None:
            return to_sign_in(request)

        def fragment() -> str:
            facts = web.snapshots.facts()
            view = panel_of(facts, observe(facts), station)
            if view is None:
                raise Refused(404, "not_found", "ไม่มีสถานีนี้ · no such station")
            return render(templates.PANEL, view=view)

        return HTMLResponse(await anyio.to_thread.run_sync(fragment))

    @api.get("/console/timeline")
    async def console_timeline(request: Request) -> Response:
        if await web.actor(request) is None:
            return to_sign_in(request)

        def fragment() -> str:
            return render(templates.TIMELINE, view=timeline_of(web.snapshots.facts()))

        return HTMLResponse(await anyio.to_thread.run_sync(fragment))

    @api.get("/wall")
    async def wall_screen(request: Request) -> Response:
        if await web.actor(request) is None:
            return to_sign_in(request)

        def page() -> str:
            facts = web.snapshots.facts()
            everyone = observe(facts)

            def chart_of(observed: Observed) -> Chart | None:
                seen = past(web.deps, observed.station.id, now_us=facts.now_us, window_us=WINDOWS_US["6h"])
                return chart(facts, observed, seen) if seen else None

            view = wall(facts, everyone, chart_of=chart_of, map_url=MAP_URL)
            return (
                render(templates.WALL_FRAGMENT, view=view, oob=True)
                if is_fragment(request)
                else render(templates.WALL, view=view)
            )

        return HTMLResponse(await anyio.to_thread.run_sync(page))

    @api.get("/preview")
    async def preview(request: Request) -> Response:
        # In the actual world the phone shows what was sent to people: only for whoever is signed in.
        if web.deps.kind is Kind.ACTUAL and await web.actor(request) is None:
            return to_sign_in(request)
        facts = await web.facts()
        return HTMLResponse(render(templates.PREVIEW, view=phone(facts)))

    @api.get(MAP_URL)
    async def base_map() -> Response:
        return FileResponse(web.deps.map_file, media_type="application/geo+json", headers={"Cache-Control": "no-cache"})

    return api
