"""What an officer decides: recorded here, sent by others."""

from collections.abc import Callable, Mapping

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from alerts.desk import MINUTE_US
from alerts.episode import Episode
from alerts.lifecycle import SHELF_MAX_US
from alerts.people import Refusal
from alerts.route import ACKNOWLEDGED_MIN_MAX as ACKNOWLEDGED_MAX
from api import schemas
from api.web import Refused, Web, fields, require_meant, whole_number

STATUS = {"not_found": 404, "forbidden": 403, "invalid": 422}
"""Code of a refusal -> HTTP; whatever else stands in the way is a conflict with how things stand (409)."""

VERSION_MAX = 2**53
ACKNOWLEDGED_MIN_MAX = round(ACKNOWLEDGED_MAX)
SHELF_MIN_MAX = SHELF_MAX_US // MINUTE_US
REASON_MAX = 500
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "version": {"type": "integer", "description": "of the story as it stood on the screen"},
                        "level": {"type": "integer", "minimum": 0, "maximum": 3},
                        "minutes": {"type": "integer", "minimum": 1, "description": "how long it holds"},
                        "reason": {"type": "string", "maxLength": REASON_MAX},
                    },
                    "required": ["version"],
                }
            }
        },
    }
}
RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"model": schemas.Problem} for status in (401, 403, 404, 409, 413, 422)
}


def refused(answer: Refusal) -> Refused:
    """A refusal of the desk as one of a request."""
    return Refused(STATUS.get(answer.code, 409), answer.code, answer.text)


def reason_of(given: Mapping[str, str]) -> str:
    """Why, in the officer's words.

    Raises
    ------
    Refused : nothing is said, or more than REASON_MAX characters
    """
    reason = given.get("reason", "").strip()
    if not 0 < len(reason) <= REASON_MAX:
        raise Refused(422, "invalid", f"reason: ต้องบอกเหตุผล · 1 to {REASON_MAX} characters are expected")
    return reason


def router(web: Web) -> APIRouter:
    """Acknowledge, shelve, release, lower; each needs a session and the token of its page."""
    api = APIRouter(prefix="/api/v1", tags=["decisions"])
    desk = web.deps.desk

    async def decide(decision: Callable[[], Episode | Refusal | bool]) -> Response:
        answer = await anyio.to_thread.run_sync(decision)
        if isinstance(answer, Refusal):
            raise refused(answer)
        if answer is False:
            raise Refused(404, "not_found", "ไม่มีรายการนี้ที่ยังเปิดอยู่ · no such open notice")
        web.snapshots.forget()
        return Response(status_code=204)

    @api.post("/episodes/{id}/acknowledge", status_code=204, responses=RESPONSES, openapi_extra=BODY)
    async def acknowledge(request: Request, id: str) -> Response:
        """Take note of a story as it stood at `version`; a level that came later stays unacknowledged. It holds for
        `minutes`, else as the route says; with `minutes` it can be taken over or prolonged.
        """
        actor = await require_meant(web, request)
        given = await fields(request)
        version = whole_number(given, "version", low=1, high=VERSION_MAX)
        minutes = whole_number(given, "minutes", low=1, high=ACKNOWLEDGED_MIN_MAX) if "minutes" in given else None
        return await decide(lambda: desk.acknowledge(id, version=version, actor=actor, minutes=minutes))

    @api.post("/episodes/{id}/shelve", status_code=204, responses=RESPONSES, openapi_extra=BODY)
    async def shelve(request: Request, id: str) -> Response:
        """Put an alarm aside for `minutes`, 8 h at most, with a `reason`; a higher level rings all the same."""
        actor = await require_meant(web, request)
        given = await fields(request)
        version = whole_number(given, "version", low=1, high=VERSION_MAX)
        minutes = whole_number(given, "minutes", low=1, high=SHELF_MIN_MAX)
        why = reason_of(given)
        return await decide(lambda: desk.shelve(id, version=version, minutes=minutes, reason=why, actor=actor))

    @api.post("/episodes/{id}/unshelve", status_code=204, responses=RESPONSES, openapi_extra=BODY)
    async def unshelve(request: Request, id: str) -> Response:
        """Take an alarm from the shelf before its time."""
        actor = await require_meant(web, request)
        version = whole_number(await fields(request), "version", low=1, high=VERSION_MAX)
        return await decide(lambda: desk.unshelve(id, version=version, actor=actor))

    @api.post("/episodes/{id}/release", status_code=204, responses=RESPONSES, openapi_extra=BODY)
    async def release(request: Request, id: str) -> Response:
        """Ask for, or agree to, the release of `level` to the public."""
        actor = await require_meant(web, request)
        given = await fields(request)
        version = whole_number(given, "version", low=1, high=VERSION_MAX)
        level = whole_number(given, "level", low=1, high=3)
        return await decide(lambda: desk.release(id, version=version, level=level, actor=actor))

    @api.post("/episodes/{id}/lower", status_code=204, responses=RESPONSES, openapi_extra=BODY)
    async def lower(request: Request, id: str) -> Response:
        """Lower the public warning to `level`; 0 gives the all-clear."""
        actor = await require_meant(web, request)
        given = await fields(request)
        version = whole_number(given, "version", low=1, high=VERSION_MAX)
        level = whole_number(given, "level", low=0, high=2)
        return await decide(lambda: desk.lower(id, version=version, level=level, actor=actor))

    @api.post("/notices/{id}/acknowledge", status_code=204, responses=RESPONSES)
    async def acknowledge_notice(request: Request, id: str) -> Response:
        """Take note of a notice."""
        actor = await require_meant(web, request)
        number = whole_number({"id": id}, "id", low=1, high=VERSION_MAX)
        return await decide(lambda: desk.acknowledge_notice(number, actor=actor))

    return api
