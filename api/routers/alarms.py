"""What is set aside, and how the alarms treat those who must answer them."""

import math
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from alerts.kpi import AlarmKpis, Source, alarm_kpis
from alerts.people import PERMISSIONS, Permission, Refusal
from alerts.shelf import SILENCE_MAX_US, Scope, Silencing
from api import schemas
from api.routers.data import time_of
from api.routers.decide import RESPONSES, VERSION_MAX, reason_of, refused
from api.schemas import Out, iso, maybe_iso
from api.screens.facts import DAY_US
from api.web import Refused, Web, fields, require_meant, whole_number

STORIES_MAX = 10_000
EVENTS_MAX = 200_000
PERIOD_DEFAULT_US, PERIOD_MAX_US = 30 * DAY_US, 400 * DAY_US
SILENCE_MIN_MAX = SILENCE_MAX_US // 60_000_000
SCOPE_MAX = 64
"""Characters of an id."""
INVALID: dict[int | str, dict[str, object]] = {422: {"model": schemas.Problem}}


class SilenceOut(Out):
    """One silence that is in force, or waits for its second person."""

    id: int
    area: str
    hazard: str
    station: str
    level: int
    reason: str
    """Only for the signed-in: it may name a person."""
    since: str
    until: str
    waits_for_second: bool
    by: str
    """Only for the signed-in."""
    agreed_by: str
    agreed_at: str | None

    @classmethod
    def of(cls, one: Silencing, *, named: bool) -> "SilenceOut":
        """From the record."""
        return cls(
            id=one.id,
            area=one.scope.area,
            hazard=one.scope.hazard,
            station=one.scope.station,
            level=one.level,
            reason=one.reason if named else "",
            since=iso(one.from_us),
            until=iso(one.end_us),
            waits_for_second=one.starts_us is None,
            by=one.by if named else "",
            agreed_by=one.agreed_by if named else "",
            agreed_at=maybe_iso(one.agreed_us),
        )


class SourceOut(Out):
    """A source of alarms."""

    area: str
    hazard: str
    alarms: int

    @classmethod
    def of(cls, one: Source) -> "SourceOut":
        """From the indicator."""
        return cls(area=one.area, hazard=one.hazard, alarms=one.alarms)


class FloodOut(Out):
    """A stretch with more alarms than anybody can follow."""

    begins: str
    ends: str
    alarms: int


class KpiOut(Out):
    """Indicators after ANSI/ISA-18.2; docs/episodes.md says what each means and what is acceptable. Null: nothing to
    divide by.
    """

    begins: str
    ends: str
    """Not included."""
    operators: int
    alarms: int
    per_day: float
    per_ten_minutes: float
    peak_ten_minutes: int
    flooded_share: float
    floods: list[FloodOut]
    chattering: list[SourceOut]
    stale: list[str]
    top: list[SourceOut]
    top_share: float | None
    answered: int
    unanswered: int
    answer_median_s: float | None
    answer_p90_s: float | None
    escalated: int
    shelved: int
    shelved_now: int

    @classmethod
    def of(cls, k: AlarmKpis) -> "KpiOut":
        """From the core."""
        return cls(
            begins=iso(k.from_us),
            ends=iso(k.to_us),
            operators=k.operators,
            alarms=k.alarms,
            per_day=k.per_day,
            per_ten_minutes=k.per_ten_minutes,
            peak_ten_minutes=k.peak_ten_minutes,
            flooded_share=k.flooded_share,
            floods=[FloodOut(begins=iso(f.from_us), ends=iso(f.to_us), alarms=f.alarms) for f in k.floods],
            chattering=[SourceOut.of(one) for one in k.chattering],
            stale=list(k.stale),
            top=[SourceOut.of(one) for one in k.top],
            top_share=_number(k.top_share),
            answered=k.answered,
            unanswered=k.unanswered,
            answer_median_s=_number(k.answer_median_s),
            answer_p90_s=_number(k.answer_p90_s),
            escalated=k.escalated,
            shelved=k.shelved,
            shelved_now=k.shelved_now,
        )


def router(web: Web) -> APIRouter:
    """Silences, the shelf, the indicators."""
    api = APIRouter(prefix="/api/v1", tags=["alarms"])
    deps, desk = web.deps, web.deps.desk

    @api.get("/alarms/shelved")
    async def shelved() -> list[schemas.StoryOut]:
        """Alarms that are put aside, the first to come back first."""
        found = await anyio.to_thread.run_sync(
            lambda: deps.ledger.episodes(deps.kind, open_only=True, limit=STORIES_MAX)
        )
        held = sorted((e for e in found if e.shelved_until_us is not None), key=lambda e: e.shelved_until_us or 0)
        return [schemas.StoryOut.whole(e) for e in held]

    @api.get("/alarms/kpi", responses=INVALID)
    async def kpi(
        from_: Annotated[str, Query(alias="from", description="ISO 8601 with offset, or microseconds")] = "",
        to: Annotated[str, Query(description="ISO 8601 with offset, or microseconds; not included")] = "",
    ) -> KpiOut:
        """Indicators of a period, else of the last 30 days."""
        to_us = time_of("to", to) if to else deps.now_us() + 1
        from_us = time_of("from", from_) if from_ else to_us - PERIOD_DEFAULT_US
        if not 0 < to_us - from_us <= PERIOD_MAX_US:
            raise Refused(422, "invalid", f"from must be before to, by {PERIOD_MAX_US // DAY_US} days at most")

        def compute() -> AlarmKpis:
            ledger = deps.ledger
            return alarm_kpis(
                ledger.recorded(deps.kind, from_us=from_us, to_us=to_us, limit=EVENTS_MAX),
                ledger.episodes(deps.kind, open_only=True, limit=STORIES_MAX),
                from_us=from_us,
                to_us=to_us,
                operators=sum(Permission.ACKNOWLEDGE in PERMISSIONS[role] for role in deps.accounts.names().values()),
            )

        return KpiOut.of(await anyio.to_thread.run_sync(compute))

    @api.get("/silences")
    async def silences(request: Request) -> list[SilenceOut]:
        """Those in force, and those that wait for a second person."""
        named = await web.actor(request) is not None
        now_us = deps.now_us()
        found = await anyio.to_thread.run_sync(lambda: deps.ledger.silences(deps.kind, after_us=now_us))
        return [SilenceOut.of(one, named=named) for one in found]

    @api.post("/silences", status_code=201, responses=RESPONSES)
    async def silence(request: Request) -> SilenceOut:
        """Silence an `area`, a `hazard` or a `station` up to `level`, for `minutes` (7 days at most), with a `reason`.

        Level 3 is silent once a second officer agrees.
        """
        actor = await require_meant(web, request)
        given = await fields(request)
        scope = Scope(**{name: given.get(name, "").strip()[:SCOPE_MAX] for name in ("area", "hazard", "station")})
        level = whole_number(given, "level", low=1, high=3)
        minutes = whole_number(given, "minutes", low=1, high=SILENCE_MIN_MAX)
        why = reason_of(given)
        return _told(
            await anyio.to_thread.run_sync(
                lambda: desk.silence(scope, level=level, minutes=minutes, reason=why, actor=actor)
            )
        )

    @api.post("/silences/{id}/agree", responses=RESPONSES)
    async def agree(request: Request, id: str) -> SilenceOut:
        """Agree, as the second officer, to a silence of level 3."""
        actor = await require_meant(web, request)
        number = whole_number({"id": id}, "id", low=1, high=VERSION_MAX)
        return _told(await anyio.to_thread.run_sync(lambda: desk.agree_silence(number, actor=actor)))

    @api.post("/silences/{id}/end", status_code=204, responses=RESPONSES)
    async def end(request: Request, id: str) -> Response:
        """End a silence before its time."""
        actor = await require_meant(web, request)
        number = whole_number({"id": id}, "id", low=1, high=VERSION_MAX)
        _told(await anyio.to_thread.run_sync(lambda: desk.end_silence(number, actor=actor)))
        return Response(status_code=204)

    return api


def _told(answer: Silencing | Refusal) -> SilenceOut:
    if isinstance(answer, Refusal):
        raise refused(answer)
    return SilenceOut.of(answer, named=True)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
