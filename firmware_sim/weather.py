"""Sun, air, fine dust and batteries beside the rain."""

from dataclasses import dataclass
from typing import ClassVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from firmware_sim.rainfall import correlated
from firmware_sim.sites import Site

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

HOUR_US = 3_600_000_000


def solar_hour(time_us: Int64, lon: float) -> Float64:
    """Local mean solar time, 0..24 h; noon is when the sun stands highest."""
    hour: Float64 = (time_us / HOUR_US + lon / 15.0) % 24.0
    return hour


def sunshine(hour: Float64, rain_mm_h: Float64) -> Float64:
    """Share of a clear noon's sun, 0..1; rain clouds take up to nine tenths of it."""
    clear = np.maximum(np.sin(np.pi * (hour - 6.0) / 12.0), 0.0)
    share: Float64 = clear * (1.0 - 0.9 * rain_mm_h / (rain_mm_h + 2.0))
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """Fine dust, temperature and humidity of a wet-season day in north-east Thailand."""

    TEMPERATURE_MEMORY_S: ClassVar[float] = 1_800.0

    pm2_5_ug_m3: float = 18.0
    """Mean without rain; the wet season's usual."""
    refill_s: float = 3 * 3_600.0
    """Time in which mixing brings the dust back after a wash-out."""
    washout_per_s: float = 2e-5
    washout_exponent: float = 0.7
    """Scavenging rate 2e-5 s-1 (R / 1 mm h-1)^0.7: the order of field measurements of fine particles
    (7e-6 to 4e-5 s-1 at 0.5 to 10 mm/h, Laakso et al. 2003)."""
    temperature_c: float = 28.0
    swing_c: float = 4.0
    rain_cooling_c: float = 6.0
    dew_point_c: float = 24.0

    def dust(self, site: Site, time_us: Int64, rain_mm_h: Float64, *, seed: int) -> Float64:
        """PM2.5, ug/m3: peaks of morning and evening, washed out by rain, seeded noise of about a tenth."""
        hour = solar_hour(time_us, site.lon)
        daily = 1.0 + 0.3 * np.cos(np.pi * (hour - 7.0) / 12.0) + 0.2 * np.cos(np.pi * (hour - 8.0) / 6.0)
        step_s = _step_s(time_us)
        rng = np.random.default_rng([seed, crc32(site.station.encode()), crc32(b"dust")])
        local = np.exp(0.1 * rng.standard_normal() + 0.1 * correlated(rng, len(time_us), step_s / 3_600.0))
        source = self.pm2_5_ug_m3 * daily * local
        washed_per_s = self.washout_per_s * rain_mm_h**self.washout_exponent
        return _relax(source, lost_per_s=washed_per_s, memory_s=self.refill_s, step_s=step_s)

    def temperature(self, site: Site, time_us: Int64, rain_mm_h: Float64) -> Float64:
        """Air temperature, degrees Celsius: warmest at 14 h, cooled by rain."""
        hour = solar_hour(time_us, site.lon)
        target = self.temperature_c + self.swing_c * np.cos(np.pi * (hour - 14.0) / 12.0)
        target = target - self.rain_cooling_c * rain_mm_h / (rain_mm_h + 10.0)
        return _relax(
            target,
            lost_per_s=np.zeros(len(time_us)),
            memory_s=self.TEMPERATURE_MEMORY_S,
            step_s=_step_s(time_us),
        )

    def humidity(self, temperature_c: Float64) -> Float64:
        """Relative humidity, %, at a steady dew point (Magnus formula)."""

        def pressure(at_c: Float64 | float) -> Float64:
            vapour: Float64 = np.exp(17.62 * np.asarray(at_c) / (243.12 + np.asarray(at_c)))
            return vapour

        humidity: Float64 = np.minimum(100.0 * pressure(self.dew_point_c) / pressure(temperature_c), 100.0)
        return humidity


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A lithium cell with a small solar panel: five days without sun, full after a clear day."""

    empty_v: float = 3.45
    full_v: float = 4.15
    drain_per_h: float = 1.0 / 120.0
    charge_per_h: float = 0.12

    def voltage(self, site: Site, time_us: Int64, rain_mm_h: Float64, *, seed: int) -> Float64:
        """Battery voltage, V; the charge at the start is drawn from the seed."""
        sun = sunshine(solar_hour(time_us, site.lon), rain_mm_h)
        change = (self.charge_per_h * sun - self.drain_per_h) * _step_s(time_us) / 3_600.0
        rng = np.random.default_rng([seed, crc32(site.station.encode()), crc32(b"battery")])
        charge = rng.uniform(0.6, 0.9)
        course = np.empty(len(time_us))
        for i, gained in enumerate(change.tolist()):
            course[i] = charge
            charge = min(max(charge + gained, 0.0), 1.0)
        volts: Float64 = self.empty_v + (self.full_v - self.empty_v) * course
        return volts


def _step_s(time_us: Int64) -> float:
    return float(time_us[1] - time_us[0]) / 1e6


def _relax(target: Float64, *, lost_per_s: Float64, memory_s: float, step_s: float) -> Float64:
    """dx/dt = (target - x) / memory - lost x, exact within each step, starting in balance."""
    rate = 1.0 / memory_s + lost_per_s
    balance = (target / (memory_s * rate)).tolist()
    keep = np.exp(-rate * step_s).tolist()
    course = np.empty(len(target))
    value = balance[0]
    for i in range(len(target)):
        value = balance[i] + (value - balance[i]) * keep[i]
        course[i] = value
    return course
