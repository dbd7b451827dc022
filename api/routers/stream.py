"""Live pages."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from alerts.episode import Kind
from api import schemas
from api.hub import EventStream, Full, Topic
from api.web import Refused, Web, require_actor

RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": {"text/event-stream": {}}, "description": "events: each a full replacement of what it names"},
    401: {"model": schemas.Problem},
    503: {"model": schemas.Problem},
}


def router(web: Web) -> APIRouter:
    """`/api/v1/stream`: server-sent events, each a full replacement of what it names."""
    api = APIRouter(prefix="/api/v1", tags=["live"])
    deps = web.deps

    @api.get("/stream", response_class=StreamingResponse, responses=RESPONSES)
    async def stream(
        request: Request, page: Annotated[Literal["console", "public", "preview"], Query()] = "public"
    ) -> Response:
        """Fragments of one page as they change; a browser that comes, or comes back, is first sent all of them."""
        closed = page == "console" or (page == "preview" and deps.kind is Kind.ACTUAL)
        if closed:
            await require_actor(web, request)
        topic = Topic(page=page, reader=web.reader(request.query_params)) if page == "public" else Topic(page=page)
        session = web.session(request)

        def still_signed_in() -> bool:
            return deps.accounts.session(session, now_us=deps.real_us()) is not None

        try:
            client = web.hub.join(topic)
        except Full:
            raise Refused(503, "full", "too many live pages; load the page again later") from None
        return EventStream(web.hub, client, still_allowed=still_signed_in if closed else None)

    return api
