"""A sample world for the tests: eight stations on two streams."""

from collections.abc import Iterable

import numpy as np

from firmware_sim.sites import Site
from firmware_sim.truth import Truth, flash_flood

START_US = 1_795_330_200_000_000
"""2026-11-22 06:50 UTC, afternoon in Thailand."""
MINUTE_US = 60_000_000


def stage_site(
    station: str, lat: float, lon: float, *, stream: str, river_km: float, bankfull_m: float, capacity: float = 1.0
) -> Site:
    return Site(
        station=station,
        lat=lat,
        lon=lon,
        readings=("stage_m", "battery_v"),
        cadence_s=120,
        stream=stream,
        river_km=river_km,
        bankfull_m=bankfull_m,
        capacity=capacity,
    )


UPPER = stage_site("WL-03", 14.938, 104.190, stream="samran", river_km=5.8, bankfull_m=4.2)
BRIDGE = stage_site("WL-01", 14.924, 104.187, stream="samran", river_km=8.0, bankfull_m=4.5, capacity=0.9)
WEIR = stage_site("WL-02", 14.914, 104.192, stream="samran", river_km=9.7, bankfull_m=4.0, capacity=1.3)
BROOK = stage_site("WL-04", 14.921, 104.222, stream="phonyang", river_km=4.5, bankfull_m=3.0)
RAIN = Site(station="RF-01", lat=14.9275, lon=104.203, readings=("rain_mm", "battery_v"), cadence_s=300)
HILL = Site(station="RF-02", lat=14.932, lon=104.217, readings=("rain_mm", "battery_v"), cadence_s=300)
AIR = Site(
    station="AQ-01",
    lat=14.9285,
    lon=104.199,
    readings=("pm2_5_ug_m3", "temperature_c", "humidity_pct", "battery_v"),
    cadence_s=300,
)
DUST = Site(station="AQ-02", lat=14.939, lon=104.207, readings=("pm2_5_ug_m3", "battery_v"), cadence_s=300)
SITES = (UPPER, BRIDGE, WEIR, BROOK, RAIN, HILL, AIR, DUST)


def storm(*, seed: int = 1, hours: float = 8.0, sites: Iterable[Site] = SITES) -> Truth:
    """The default flood over the sample stations."""
    return flash_flood(tuple(sites), start_us=START_US, hours=hours, seed=seed)


def bank_fraction(truth: Truth, site: Site) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Stage over bank-full stage, one value per minute."""
    return np.asarray(truth.course(site.station, "stage_m").value / site.bankfull_m)
