"""What is ahead of a gauge. Open to all, as the readings are."""

import anyio.to_thread
from fastapi import APIRouter

from api.forecast import forecast
from api.forecast_schemas import ForecastOut
from api.schemas import Problem
from api.web import Refused, Web


def router(web: Web) -> APIRouter:
    """`/api/v1/stations/{station}/forecast`."""
    api = APIRouter(prefix="/api/v1", tags=["data"])
    deps = web.deps

    def said(station: str) -> ForecastOut | None:
        if station not in deps.registry.stations:
            return None
        return forecast(
            deps.registry,
            deps.rules,
            deps.reader,
            station,
            forecaster=deps.forecaster(station),
            now_us=deps.now_us(),
        )

    @api.get("/stations/{station}/forecast", responses={404: {"model": Problem}})
    async def station_forecast(station: str) -> ForecastOut:
        """When the water comes to each threshold, by its trend and by what was learned; which of them speaks, and why.
        Nothing while the data is stale. None of it is a warning.
        """
        found = await anyio.to_thread.run_sync(said, station)
        if found is None:
            raise Refused(404, "not_found", f"station {station[:80]!r}: there is none of that id with a water level")
        return found

    return api
