"""For machines that watch this one."""

from collections.abc import Iterator, Sequence

import anyio.to_thread
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from api.deps import MirrorStatus
from api.metrics import CONTENT_TYPE, exposition
from api.web import Web

NOTE_LAG_S = 60.0
"""A mirror that is less far behind is no news."""


def notes(mirrors: Sequence[MirrorStatus]) -> Iterator[str]:
    """What a technician may want to know, and what keeps nobody from being warned."""
    for mirror in mirrors:
        if mirror.reason or mirror.lag_s >= NOTE_LAG_S:
            behind = f"{mirror.backlog_rows} readings behind, the oldest of {mirror.lag_s:.0f} s ago"
            yield f"mirror {mirror.name}: {behind}" + (f"; it {mirror.reason}" if mirror.reason else "")


def router(web: Web) -> APIRouter:
    """`/healthz`, `/readyz`, `/metrics`."""
    api = APIRouter(include_in_schema=False)
    deps = web.deps

    @api.api_route("/healthz", methods=["GET", "HEAD"])
    async def alive() -> Response:
        return JSONResponse({"status": "alive"})

    @api.api_route("/readyz", methods=["GET", "HEAD"])
    async def ready() -> Response:
        """Whether this box is able to warn."""
        status = await anyio.to_thread.run_sync(deps.worker)
        reasons = [status.reason or "the worker is not ready"] if not (status.alive and status.ready) else []
        if not status.alive and status.heartbeat_age_s >= 1:
            reasons.insert(0, f"the worker was last heard {status.heartbeat_age_s:.0f} s ago")
        body = {
            "ready": not reasons,
            "reasons": reasons,
            "notes": list(notes(status.mirrors)),
            "heartbeat_age_s": round(status.heartbeat_age_s, 3),
            "stored_seq": status.stored_seq,
            "judged_seq": status.judged_seq,
        }
        return JSONResponse(body, 503 if reasons else 200)

    @api.get("/metrics")
    async def metrics() -> Response:
        status = await anyio.to_thread.run_sync(deps.worker)
        deliveries = await anyio.to_thread.run_sync(deps.ledger.delivery_counts, deps.kind)
        return Response(exposition(status, deliveries, clients=web.hub.clients), media_type=CONTENT_TYPE)

    return api
