"""What a person says of readings: a flag of its own beside those of the checks, with who, when and why."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.requests import Request

from alerts.people import Permission
from api import schemas
from api.routers.data import LIST_MAX, MISSING, time_of
from api.routers.decide import REASON_MAX, RESPONSES, reason_of
from api.screens.facts import DAY_US
from api.web import Refused, Web, fields, require_meant, whole_number
from sensors.flags import Flag
from sensors.store import Away, Reviewer

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "from": {"type": "string", "description": "ISO 8601 with offset, or microseconds"},
                        "to": {"type": "string", "description": "the same, not included; left out: one reading"},
                        "flag": {"type": "integer", "enum": [1, 2, 3, 4], "description": "QARTOD"},
                        "reason": {"type": "string", "maxLength": REASON_MAX},
                    },
                    "required": ["from", "flag", "reason"],
                }
            }
        },
    }
}


def router(web: Web) -> APIRouter:
    """`/api/v1/series/{station}/{name}/review` and `…/revisions`."""
    api = APIRouter(prefix="/api/v1", tags=["reviews"])
    deps = web.deps

    def key_of(station: str, name: str) -> str:
        index = deps.registry.index.get((station, name))
        if index is None:
            raise Refused(404, "not_found", f"series {f'{station}/{name}'[:80]!r}: no such station or reading")
        return deps.registry.series[index].key

    def reviewer() -> Reviewer:
        if deps.reviewer is None:
            raise Refused(503, "away", "ระบบเก็บข้อมูลไม่ตอบ · whoever holds the readings cannot be asked")
        return deps.reviewer

    @api.post("/series/{station}/{name}/review", responses=RESPONSES, openapi_extra=BODY)
    async def review(request: Request, station: str, name: str) -> schemas.ReviewedOut:
        """Say how far readings can be believed. Nothing stored is changed, no rule judges anew, and no check overrules
        it; screens and sums go by it from now on.
        """
        actor = await require_meant(web, request)
        if not actor.may(Permission.REVIEW):
            raise Refused(403, "forbidden", "ไม่มีสิทธิ์ · technicians and officers review readings")
        key, given = key_of(station, name), await fields(request)
        from_us = time_of("from", given.get("from", ""))
        to_us = time_of("to", given["to"]) if given.get("to") else from_us + 1
        if from_us >= to_us:
            raise Refused(422, "invalid", f"from ({schemas.iso(from_us)}) must be before to ({schemas.iso(to_us)})")
        flag = whole_number(given, "flag", low=Flag.GOOD, high=Flag.FAIL)
        why, take = reason_of(given), reviewer()
        try:
            count = await anyio.to_thread.run_sync(
                lambda: take.review(
                    key,
                    from_us=from_us,
                    to_us=to_us,
                    flag=flag,
                    by=actor.account,
                    reason=why,
                    at_us=deps.now_us(),
                )
            )
        except ValueError as error:
            raise Refused(422, "invalid", str(error)) from None
        except Away as error:
            raise Refused(503, "away", str(error)) from None
        if not count:
            raise Refused(404, "not_found", "ไม่มีค่าในช่วงเวลานี้ · nothing was measured then")
        web.snapshots.forget()
        return schemas.ReviewedOut(readings=count)

    @api.get("/series/{station}/{name}/revisions", responses=MISSING)
    async def revisions(
        request: Request,
        station: str,
        name: str,
        from_: Annotated[str, Query(alias="from", description="ISO 8601 with offset, or microseconds")] = "",
        to: Annotated[str, Query(description="ISO 8601 with offset, or microseconds; not included")] = "",
        limit: Annotated[int, Query(ge=1, le=LIST_MAX, description="newest this many")] = 200,
    ) -> list[schemas.RevisionOut]:
        """Flags that were said anew, newest first; who said so and why only for the signed-in."""
        key, take = key_of(station, name), reviewer()
        to_us = time_of("to", to) if to else deps.now_us() + 1
        from_us = time_of("from", from_) if from_ else to_us - DAY_US
        named = await web.actor(request) is not None
        try:
            found = await anyio.to_thread.run_sync(
                lambda: take.revisions(key, from_us=from_us, to_us=to_us, limit=limit)
            )
        except Away as error:
            raise Refused(503, "away", str(error)) from None
        return [schemas.RevisionOut.of(one, named=named) for one in found]

    return api
