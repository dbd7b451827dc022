"""Pages for people."""

from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from alerts.episode import Kind
from api import templates
from api.auth import csrf_of, set_cookie
from api.screens.console import console, user
from api.screens.public import phone
from api.screens.stations import observe, panel
from api.web import VILLAGE_COOKIE, Refused, Web

REMEMBER_S = 365 * 86_400
MAP_URL = "/map.geojson"


def router(web: Web) -> APIRouter:
    """`/`, `/console`, its station panel, `/preview`, and the base map."""
    api = APIRouter(include_in_schema=False)
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
        facts = await web.facts()

        def page() -> str:
            viewer = user(actor, csrf_of(web.session(request)))
            view = console(
                facts,
                observe(facts),
                viewer=viewer,
                station=request.query_params.get("station", ""),
                map_url=MAP_URL,
            )
            return render(templates.OVERVIEW, view=view)

        return HTMLResponse(await anyio.to_thread.run_sync(page))

    @api.get("/console/panel/{station}")
    async def station_panel(request: Request, station: str) -> Response:
        if await web.actor(request) is None:
            return to_sign_in(request)
        facts = await web.facts()
        view = panel(facts, observe(facts), station)
        if view is None:
            raise Refused(404, "not_found", "ไม่มีสถานีนี้ · no such station")
        return HTMLResponse(render(templates.PANEL, view=view))

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


def to_sign_in(request: Request) -> Response:
    """Off to the sign-in form and back; a fragment asks its page to go, instead of putting the form into itself."""
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("HX-Request"):
        return Response(status_code=401, headers={"HX-Redirect": "/signin?next=/console"})
    return RedirectResponse(f"/signin?next={quote(where, safe='/')}", 303)
