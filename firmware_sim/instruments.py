"""What an instrument makes of the truth: blur, steps and counts, for columns of samples."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from firmware_sim import noise
from firmware_sim.sites import quantity_of

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


class Instrument(Protocol):
    """One instrument of a station."""

    @property
    def name(self) -> str:
        """Reading name of docs/wire.md."""

    @property
    def decimals(self) -> int:
        """Digits after the point that it gives."""

    def count(self, true: float) -> int:
        """What its counter stands at when the truth is `true`; 0 for an instrument without one."""

    def read(self, true: Float64, *, index: Int64, source: int, count: int) -> tuple[Float64, int]:
        """Readings for true values.

        Parameters
        ----------
        true : (n,) float64 of the physical column beneath; NaN where nothing is known
        index : (n,) int64, consecutive sample numbers
        source : key of this instrument's errors (`noise.key`)
        count : what its counter stood at after the sample before

        Returns
        -------
        values : (n,) float64, NaN where it gets nothing
        count : what its counter stands at now
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """An instrument that shows the present value: water level, dust, temperature, humidity, voltage."""

    name: str
    decimals: int
    noise: float = 0.0
    """Standard deviation of a single reading, in the unit of the quantity."""
    noise_share: float = 0.0
    """The same as a share of the value; the larger of the two holds."""
    low: float = -np.inf
    high: float = np.inf

    def count(self, true: float) -> int:
        """It has no counter."""
        del true
        return 0

    def read(self, true: Float64, *, index: Int64, source: int, count: int) -> tuple[Float64, int]:
        """The true value with an error, within its span, to its last digit."""
        error = np.maximum(self.noise, self.noise_share * np.abs(true)) * noise.normal(source, index)
        shown: Float64 = np.clip(true + error, self.low, self.high)
        return shown.round(self.decimals) + 0.0, count  # + 0.0 turns -0.0 into 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TippingBucket:
    """A rain gauge that tips whenever so much has fallen, and reports its tips since the report before, in mm."""

    name: str
    tip_mm: float = 0.2
    decimals: int = 1

    def count(self, true: float) -> int:
        """Tips of a total; nothing known is nothing counted."""
        return 0 if np.isnan(true) else int(np.floor(true / self.tip_mm + 1e-6))

    def read(self, true: Float64, *, index: Int64, source: int, count: int) -> tuple[Float64, int]:
        """Rain of the tips since the sample before; what fell during unknown samples comes with the next known."""
        del index, source
        known = np.isfinite(true)
        tips = np.full(len(true) + 1, count, dtype=np.int64)
        # A total that is exactly so many tips must not lose one to the last bit of a float.
        tips[1:][known] = np.floor(true[known] / self.tip_mm + 1e-6)
        tips = np.maximum.accumulate(tips)
        fallen: Float64 = np.where(known, np.round(np.diff(tips) * self.tip_mm, self.decimals), np.nan)
        return fallen, int(tips[-1])


def usual(name: str) -> Instrument:
    """The instrument that usually stands behind a reading name.

    Water level: ultrasonic or radar over the water, 1 mm steps, a few mm of waves. Dust: Plantower's whole ug/m3 with
    the scatter of single readings. Temperature and humidity: the steps and repeatability of a small digital sensor.
    """
    match quantity_of(name):
        case "stage_m":
            return Gauge(name=name, decimals=3, noise=0.003)
        case "rain_mm":
            return TippingBucket(name=name)
        case "pm2_5_ug_m3":
            return Gauge(name=name, decimals=0, noise=1.0, noise_share=0.04, low=0.0, high=1_000.0)
        case "temperature_c":
            return Gauge(name=name, decimals=1, noise=0.1)
        case "humidity_pct":
            return Gauge(name=name, decimals=1, noise=0.5, low=0.0, high=100.0)
        case "battery_v":
            return Gauge(name=name, decimals=2, noise=0.005)
        case other:
            raise ValueError(f"no instrument for {name}: {other!r} is not a quantity of docs/wire.md")


def exact(name: str) -> Instrument:
    """An instrument that adds nothing, for recordings: whatever is wrong with them is in them already."""
    if quantity_of(name) == "rain_mm":
        return TippingBucket(name=name, tip_mm=0.01, decimals=2)
    return Gauge(name=name, decimals=4)
