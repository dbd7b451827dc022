"""Rain to runoff, runoff to discharge, discharge to stage: lumped, linear after the losses, volume-conserving."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

TAIL = 1e-9
"""Share of the volume at which a response is cut off; it is put into the last step, so nothing is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catchment:
    """The country the streams drain; the defaults are a small flashy one of saturated paddy on clay."""

    curve_number: float = 95.0
    """SCS: paddy on clay under standing water, wet antecedent condition; a water surface would be 98 to 100 (NRCS
    National Engineering Handbook 630, chapters 9 and 10)."""
    hack_km: float = 1.27
    hack_exponent: float = 0.6
    """Hack's law L = 1.27 A^0.6 (Hack 1957, in km): how the drained area grows along a stream."""
    reservoirs: int = 2
    """Nash (1957): a chain of equal linear reservoirs."""
    lag_min: float = 33.0
    lag_exponent: float = 0.36
    """Lag of a sub-catchment = 33 min A^0.36: Snyder's (L Lc)^0.3 with Hack's law and Lc = L / 2; the factor is
    short for flat country (ditched, compact, wet)."""
    celerity_m_s: float = 2.5
    """Speed of the flood wave: 5/3 of a mean velocity of 1.5 m/s (kinematic wave, wide channel)."""
    reach_storage: float = 0.3
    """Share of a reach's travel time that acts as storage (a linear reservoir); the rest is pure delay."""
    base_m3_s_km2: float = 0.2
    """Flow before the storm: the streams still run from the days before."""
    bankfull_m3_s: float = 29.0
    bankfull_exponent: float = 0.6
    """Bank-full discharge = 29 A^0.6 m3/s. The usual exponent is about 0.75 (Leopold, Wolman and Miller 1964); beds
    in flat country silt up and do not keep pace, so floods grow downstream."""

    def area_km2(self, river_km: float) -> float:
        """Area drained by a stream at a distance from its source."""
        return math.pow(river_km / self.hack_km, 1.0 / self.hack_exponent)

    def lag_s(self, area_km2: float) -> float:
        """Mean delay between rain on a sub-catchment and its discharge."""
        return 60.0 * self.lag_min * math.pow(area_km2, self.lag_exponent)

    def bankfull_at(self, river_km: float) -> float:
        """Discharge at which the usual bed is full, m3/s."""
        return self.bankfull_m3_s * math.pow(self.area_km2(river_km), self.bankfull_exponent)


def excess_mm(rain_mm: Float64, *, curve_number: float) -> Float64:
    """Part of the rain that runs off, by the SCS curve number method.

    Parameters
    ----------
    rain_mm : (steps,) float64, rain during each step
    curve_number : 0 < CN <= 100

    Returns
    -------
    excess : (steps,) float64, mm during each step, 0 <= excess <= rain

    Source: NRCS National Engineering Handbook 630, chapter 10; initial abstraction 0.2 S.
    """
    storage_mm = 25_400.0 / curve_number - 254.0
    fallen = np.cumsum(rain_mm)
    beyond = np.maximum(fallen - 0.2 * storage_mm, 0.0)
    run_off = beyond**2 / (beyond + storage_mm) if storage_mm > 0 else fallen
    excess: Float64 = np.diff(run_off, prepend=0.0)
    return excess


def cascade(*, reservoirs: int, lag_s: float, step_s: float) -> Float64:
    """Response of a chain of equal linear reservoirs to one step of inflow, by steps; sums to one.

    Source: Nash (1957). The chain's S-curve is a gamma distribution with an integer shape; its steps are the weights.
    """
    k_s = lag_s / reservoirs
    count = 1 + math.ceil(lag_s / step_s)
    while True:
        x = np.arange(count + 1) * step_s / k_s
        still_inside = np.exp(-x) * sum(x**i / math.factorial(i) for i in range(reservoirs))
        if still_inside[-1] < TAIL:
            break
        count *= 2
    weights: Float64 = -np.diff(still_inside)
    weights[-1] += still_inside[-1]
    return weights


def delay(*, lag_s: float, step_s: float) -> Float64:
    """Response of pure travel: the volume arrives after `lag_s`, split over the two steps it falls between."""
    whole, part = divmod(lag_s / step_s, 1.0)
    weights = np.zeros(int(whole) + 2)
    weights[-2:] = (1.0 - part, part)
    return weights


def respond(inflow: Float64, *responses: Float64) -> Float64:
    """Pass an inflow through responses in series; what leaves after the last step is cut off."""
    steps = len(inflow)
    flow = inflow
    for response in responses:
        flow = np.convolve(flow, response)[:steps]
    return flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Stage h = h0 + a Q^b, the power-law rating curve of a gauging station."""

    h0_m: float
    a: float
    b: float

    @classmethod
    def through_bankfull(cls, *, bankfull_m: float, bankfull_m3_s: float) -> Self:
        """The curve of a parabolic bed: by Manning Q grows with h^(13/6), so b = 6/13.

        The water's edge at no flow stands 5 % of the bank's height above the gauge zero.
        """
        b, h0_m = 6.0 / 13.0, 0.05 * bankfull_m
        return cls(h0_m=h0_m, a=(bankfull_m - h0_m) / bankfull_m3_s**b, b=b)

    def stage_m(self, discharge_m3_s: Float64) -> Float64:
        """Stage over the gauge zero for discharges >= 0."""
        stage: Float64 = self.h0_m + self.a * discharge_m3_s**self.b
        return stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauge:
    """A place on a stream with the rain on what drains to it from the gauge above."""

    river_km: float
    rain_mm: Float64


def discharge_m3_s(gauges: list[Gauge], *, step_s: float, catchment: Catchment) -> list[Float64]:
    """Discharge at gauges along one stream.

    Every gauge receives the flow of the one above, delayed and spread by the reach, and the runoff of its own
    sub-catchment.

    Parameters
    ----------
    gauges : in the order of the flow, `river_km` strictly increasing
    step_s : length of a step of their rain

    Returns
    -------
    discharge : one (steps,) float64 per gauge, m3/s, storm flow plus base flow
    """
    flows: list[Float64] = []
    storm, above_km, above_km2 = np.zeros(len(gauges[0].rain_mm)), 0.0, 0.0
    for gauge in gauges:
        area_km2 = catchment.area_km2(gauge.river_km)
        own_km2 = area_km2 - above_km2
        excess = excess_mm(gauge.rain_mm, curve_number=catchment.curve_number)
        inflow = excess * own_km2 * 1_000.0 / step_s  # 1 mm on 1 km2 is 1,000 m3
        lag_s = catchment.lag_s(own_km2)
        slopes = cascade(reservoirs=catchment.reservoirs, lag_s=lag_s, step_s=step_s)
        storm = respond(inflow, slopes) + (
            respond(storm, *_reach(gauge.river_km - above_km, step_s, catchment)) if flows else 0.0
        )
        flows.append(storm + catchment.base_m3_s_km2 * area_km2)
        above_km, above_km2 = gauge.river_km, area_km2
    return flows


def _reach(length_km: float, step_s: float, catchment: Catchment) -> tuple[Float64, Float64]:
    travel_s = 1_000.0 * length_km / catchment.celerity_m_s
    stored_s = catchment.reach_storage * travel_s
    return (
        delay(lag_s=travel_s - stored_s, step_s=step_s),
        cascade(reservoirs=1, lag_s=stored_s, step_s=step_s),
    )
