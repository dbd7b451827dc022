"""Convective cells that move over the stations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from firmware_sim.sites import Site

Float64 = NDArray[np.float64]

KM_PER_DEGREE = 111.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Round rain cells that follow each other on one track; rain falls from a cell's middle to nothing at its rim
    (cosine squared).

    The defaults are a severe tropical burst: two cells, 85 mm in 100 minutes where their middles pass. Cells of the
    wet season are renewed about every half hour to hour and move at 20 to 50 km/h.
    """

    peaks_mm_h: tuple[float, ...] = (91.0, 113.0)
    """Intensity in the middle of each cell, in the order of their arrival."""
    radius_km: float = 16.5
    apart_km: float = 33.0
    """From middle to middle; twice the radius makes each begin where the one before ends."""
    speed_km_h: float = 39.6
    towards_deg: float = 50.0
    """Direction of travel, clockwise from north: the south-west monsoon."""
    gust: float = 0.25
    """Spread of the intensity at a point from minute to minute (log-normal, correlated over `gust_s`)."""
    gust_s: float = 300.0
    place: float = 0.03
    """Spread of the whole storm from place to place (log-normal)."""


def varied(storm: Storm, *, seed: int) -> Storm:
    """The same kind of storm on another day: strength, speed and direction drawn from the seed."""
    rng = np.random.default_rng([seed, crc32(b"storm")])
    faster = rng.uniform(0.96, 1.04)
    stronger = rng.uniform(0.97, 1.03, size=len(storm.peaks_mm_h))
    return replace(
        storm,
        # What falls is intensity over speed: a faster storm of the same depth rains harder.
        peaks_mm_h=tuple((np.array(storm.peaks_mm_h) * faster * stronger).tolist()),
        speed_km_h=storm.speed_km_h * faster,
        towards_deg=storm.towards_deg + rng.uniform(-15.0, 15.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rain:
    """What falls during every step."""

    at_gauge_mm: Float64
    """(sites, steps) in the funnel at the site."""
    around_mm: Float64
    """(sites, steps) on the country around it: gusts average out over a few square kilometres."""


def rain(sites: Sequence[Site], *, steps: int, step_s: float, seed: int, storm: Storm) -> Rain:
    """Rain at and around every site during every step.

    The first cell's rim touches the first site at step 0, so that the storm begins with the record, and the cells'
    middles pass over the middle of the sites.

    Parameters
    ----------
    sites : s sites
    steps, step_s : number and length of the steps
    seed : gusts and local differences come from (seed, station)
    """
    east_km, north_km = _local_km(sites)
    heading = np.radians(storm.towards_deg)
    along_km = east_km * np.sin(heading) + north_km * np.cos(heading)
    across_km = east_km * np.cos(heading) - north_km * np.sin(heading)
    reach_km = np.sqrt(np.maximum(storm.radius_km**2 - across_km**2, 0.0))
    start_km = float((along_km - reach_km).min())

    middle_s = (np.arange(steps) + 0.5) * step_s
    intensity_mm_h = np.zeros((len(sites), steps))
    for nth, peak_mm_h in enumerate(storm.peaks_mm_h):
        centre_km = start_km + storm.speed_km_h * middle_s / 3600.0 - nth * storm.apart_km
        distance_km = np.hypot(along_km[:, None] - centre_km[None, :], across_km[:, None])
        shape = np.cos(np.pi / 2 * np.minimum(distance_km / storm.radius_km, 1.0)) ** 2
        intensity_mm_h += peak_mm_h * shape
    local = [_local(site.station, steps, step_s, seed, storm) for site in sites]
    around_mm = intensity_mm_h * np.array([place for place, _ in local])[:, None] * step_s / 3600.0
    return Rain(at_gauge_mm=around_mm * np.stack([gusts for _, gusts in local]), around_mm=around_mm)


def _local_km(sites: Sequence[Site]) -> tuple[Float64, Float64]:
    lat = np.array([site.lat for site in sites])
    lon = np.array([site.lon for site in sites])
    north_km = (lat - lat.mean()) * KM_PER_DEGREE
    east_km = (lon - lon.mean()) * KM_PER_DEGREE * np.cos(np.radians(lat.mean()))
    return east_km, north_km


def _local(station: str, steps: int, step_s: float, seed: int, storm: Storm) -> tuple[float, Float64]:
    """The storm's strength at this place, and its gusts; both around one."""
    rng = np.random.default_rng([seed, crc32(station.encode())])
    place = float(np.exp(storm.place * rng.standard_normal()))
    gusts: Float64 = np.exp(storm.gust * correlated(rng, steps, step_s / storm.gust_s) - storm.gust**2 / 2)
    return place, gusts


def correlated(rng: np.random.Generator, steps: int, step_over_memory: float) -> Float64:
    """Normal noise of unit variance with an exponential memory (first-order autoregression).

    Parameters
    ----------
    step_over_memory : length of a step over the correlation time
    """
    keep = float(np.exp(-step_over_memory))
    shocks = rng.standard_normal(steps)
    noise = np.empty(steps)
    last = shocks[0]
    noise[0] = last
    fresh = float(np.sqrt(1.0 - keep**2))
    for i in range(1, steps):
        last = keep * last + fresh * shocks[i]
        noise[i] = last
    return noise
