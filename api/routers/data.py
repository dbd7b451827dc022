"""What stands in store and record, for programs. Open to all; what names or reaches a person is masked."""

import math
from datetime import datetime
from typing import Annotated

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from alerts.episode import Episode
from alerts.people import Permission
from api import schemas
from api.derived import derived
from api.derived_schemas import DerivedOut
from api.screens.facts import DAY_US
from api.screens.stations import observe
from api.web import Refused, Web
from sensors.quantities import QUANTITIES

LIST_MAX = 500
ROWS_MAX = 20_000
ROWS_DEFAULT = 5_000
HOURS_DEFAULT_US, HOURS_MAX_US = 366 * DAY_US, 3_660 * DAY_US
TIME_MAX_US = 2**62
"""Beyond the year 2262 no 64-bit microsecond is left to compare with."""

Limit = Annotated[int, Query(ge=1, le=LIST_MAX, description="newest this many")]
MISSING: dict[int | str, dict[str, object]] = {404: {"model": schemas.Problem}}


def router(web: Web) -> APIRouter:
    """The reads of `/api/v1`."""
    api = APIRouter(prefix="/api/v1", tags=["data"])
    deps = web.deps
    ledger = deps.ledger

    async def story(id: str) -> Episode:
        found = await anyio.to_thread.run_sync(ledger.episode, id)
        if found is None or found.kind is not deps.kind:
            raise Refused(404, "not_found", f"episode {id[:80]!r}: there is none of that id")
        return found

    @api.get("/episodes")
    async def episodes(open: bool = False, limit: Limit = 200) -> list[schemas.EpisodeOut]:
        """Stories, newest opened first."""
        found = await anyio.to_thread.run_sync(lambda: ledger.episodes(deps.kind, open_only=open, limit=limit))
        return [schemas.EpisodeOut.of(e) for e in found]

    @api.get("/episodes/{id}", responses=MISSING)
    async def episode(id: str) -> schemas.StoryOut:
        """One story, with what waits for people in it."""
        return schemas.StoryOut.whole(await story(id))

    @api.get("/episodes/{id}/events", responses=MISSING)
    async def events(request: Request, id: str) -> list[schemas.EventOut]:
        """A story line by line, oldest first."""
        await story(id)
        named = await web.actor(request) is not None
        found = await anyio.to_thread.run_sync(ledger.events, id)
        roles = await anyio.to_thread.run_sync(deps.accounts.names)
        return [schemas.EventOut.of(e, roles=roles, named=named) for e in found]

    @api.get("/deliveries", responses=MISSING)
    async def deliveries(request: Request, episode: str = "", limit: Limit = 200) -> list[schemas.DeliveryOut]:
        """Messages and what became of them, newest first; of one story, or of all."""
        if episode:
            await story(episode)
        named = await web.actor(request) is not None
        found = await anyio.to_thread.run_sync(lambda: ledger.deliveries(episode or None, limit=limit))
        return [schemas.DeliveryOut.of(d, named=named) for d in found if d.kind is deps.kind]

    @api.get("/series/{station}/{name}", responses=MISSING, response_model=schemas.SeriesOut)
    async def series(
        request: Request,
        station: str,
        name: str,
        from_: Annotated[str, Query(alias="from", description="ISO 8601 with offset, or microseconds")] = "",
        to: Annotated[str, Query(description="ISO 8601 with offset, or microseconds; not included")] = "",
        limit: Annotated[int, Query(ge=1, le=ROWS_MAX, description="newest this many")] = ROWS_DEFAULT,
        format: str = "",
    ) -> Response:
        """One series, from <= time < to, else the last 24 hours. CSV with `format=csv` or by `Accept`."""
        index = deps.registry.index.get((station, name))
        if index is None:
            raise Refused(404, "not_found", f"series {f'{station}/{name}'[:80]!r}: no such station or reading")
        to_us = time_of("to", to) if to else deps.now_us() + 1
        from_us = time_of("from", from_) if from_ else to_us - DAY_US
        if from_us >= to_us:
            raise Refused(422, "invalid", f"from ({schemas.iso(from_us)}) must be before to ({schemas.iso(to_us)})")
        held = deps.registry.series[index]
        history = await anyio.to_thread.run_sync(
            lambda: deps.reader.history(held.key, from_us=from_us, to_us=to_us, limit=limit)
        )
        columns = zip(history.time_us.tolist(), history.value.tolist(), history.flag.tolist(), strict=True)
        if format == "csv" or (not format and "text/csv" in request.headers.get("accept", "")):
            lines = [f"{schemas.iso(t)},{'' if math.isnan(v) else repr(v)},{f}" for t, v, f in columns]
            name_of_file = f"{station}-{name}.csv".replace("@", "-")
            return Response(
                "\r\n".join(["time,value,flag", *lines, ""]),
                media_type="text/csv",
                headers={"Content-Disposition": f'attachment; filename="{name_of_file}"', "Vary": "Accept"},
            )
        # Written straight from the columns: twenty thousand rows need no object each.
        body = {
            "station": station,
            "name": name,
            "unit": QUANTITIES[held.quantity].unit,
            "times_us": history.time_us.tolist(),
            "values": [None if math.isnan(v) else v for v in history.value.tolist()],
            "flags": history.flag.tolist(),
        }
        return Response(msgspec.json.encode(body), media_type="application/json", headers={"Vary": "Accept"})

    @api.get("/series/{station}/{name}/hours", responses=MISSING, response_model=schemas.HoursOut)
    async def hours(
        station: str,
        name: str,
        from_: Annotated[str, Query(alias="from", description="ISO 8601 with offset, or microseconds")] = "",
        to: Annotated[str, Query(description="ISO 8601 with offset, or microseconds; not included")] = "",
    ) -> Response:
        """One series by the hour, from <= beginning < to, else the last year; also of days whose readings have gone."""
        index = deps.registry.index.get((station, name))
        if index is None or deps.hours is None:
            raise Refused(404, "not_found", f"hours of {f'{station}/{name}'[:80]!r}: no such station or reading")
        to_us = time_of("to", to) if to else deps.now_us() + 1
        from_us = time_of("from", from_) if from_ else to_us - HOURS_DEFAULT_US
        if not 0 < to_us - from_us <= HOURS_MAX_US:
            raise Refused(422, "invalid", f"from must be before to, by {HOURS_MAX_US // DAY_US} days at most")
        held, kept = deps.registry.series[index], deps.hours
        found = await anyio.to_thread.run_sync(lambda: kept.hourly(held.key, from_us=from_us, to_us=to_us))
        body = {
            "station": station,
            "name": name,
            "unit": QUANTITIES[held.quantity].unit,
            "hours_us": found.hour_us.tolist(),
            "usable": found.usable.tolist(),
            "means": [None if math.isnan(v) else v for v in found.mean.tolist()],
            "mins": [None if math.isnan(v) else v for v in found.min.tolist()],
            "maxs": [None if math.isnan(v) else v for v in found.max.tolist()],
            "flags": found.flag.tolist(),
        }
        return Response(msgspec.json.encode(body), media_type="application/json")

    @api.get("/stations")
    async def stations() -> list[schemas.StationOut]:
        """Every station as it is observed now."""
        facts = await web.facts()
        skews = (await anyio.to_thread.run_sync(deps.worker)).skews

        def sensor(index: int) -> schemas.SensorOut:
            s, value, time_us = deps.registry.series[index], float(facts.value[index]), int(facts.time_us[index])
            return schemas.SensorOut(
                name=s.name,
                quantity=s.quantity,
                unit=QUANTITIES[s.quantity].unit,
                time=schemas.iso(time_us) if time_us else None,
                value=None if math.isnan(value) else value,
                flag=int(facts.flag[index]),
            )

        return [
            schemas.StationOut.of(
                o,
                [sensor(deps.registry.index[o.station.id, s.name]) for s in o.station.sensor],
                skews.get(o.station.id),
            )
            for o in observe(facts)
        ]

    @api.get("/stations/{station}/derived", responses=MISSING)
    async def station_derived(station: str) -> DerivedOut:
        """What the newest readings of one station mean: rain sums and classes, air quality, water and bank."""
        facts = await web.facts()
        observed = next((o for o in observe(facts) if o.station.id == station), None)
        if observed is None:
            raise Refused(404, "not_found", f"station {station[:80]!r}: there is none of that id")
        return await anyio.to_thread.run_sync(derived, deps, facts, observed)

    @api.get("/quarantine")
    async def quarantine(request: Request, limit: Limit = 100) -> schemas.QuarantineList:
        """Refused payloads; what was in them only for whoever may inspect."""
        actor = await web.actor(request)
        inspect = actor is not None and actor.may(Permission.INSPECT)
        rows = await anyio.to_thread.run_sync(lambda: deps.quarantine.list(limit))
        counts = await anyio.to_thread.run_sync(deps.quarantine.count_by_reason)
        return schemas.QuarantineList(
            counts=dict(counts), rows=[schemas.QuarantineOut.of(r, inspect=inspect) for r in rows]
        )

    @api.get("/notices")
    async def notices(request: Request, open: bool = True, limit: Limit = 200) -> list[schemas.NoticeOut]:
        """What officers and technicians must look at, newest first."""
        named = await web.actor(request) is not None
        found = await anyio.to_thread.run_sync(lambda: ledger.notices(deps.kind, open_only=open, limit=limit))
        return [schemas.NoticeOut.of(n, named=named) for n in found]

    return api


def time_of(name: str, text: str) -> int:
    """A time as microseconds UTC.

    Raises
    ------
    Refused : neither microseconds nor ISO 8601 with an offset
    """
    expected = f"{name}: {text[:40]!r} is neither microseconds since 1970 nor ISO 8601 with an offset (…+07:00 or Z)"
    if text.isascii() and text.isdigit() and len(text) <= 19:
        return min(int(text), TIME_MAX_US)
    try:
        # A plus sign that was not escaped in the address arrives as a space.
        time = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise Refused(422, "invalid", expected) from None
    if time.tzinfo is None:
        raise Refused(422, "invalid", expected)
    return round(time.timestamp() * 1_000_000)
