"""What cheap dust sensors read, put right: published equations, and a station's own coefficients.

All published ones come from the United States; none was found for Thailand. Each is continuous over its switches and
never below 0. Retrieved 2026-11-22.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sensors.batch import Float64

RANGE_UG_M3 = (0.0, 10_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One published equation."""

    raw: str
    """Quantity of the raw reading it was fitted to: the wrong channel of the same sensor would be put wrong."""
    source: str
    equation: Callable[[Float64, Float64], Float64]
    """(n,) raw ug/m3 and (n,) relative humidity %, -> (n,) ug/m3; NaN where it needs a humidity that is NaN."""


def barkjohn_2022(raw: Float64, humidity_pct: Float64) -> Float64:
    """Line up to 570 ug/m3, curve from 611 on, which needs no humidity; in between one goes over into the other."""
    share = np.clip(0.0244 * raw - 13.9, 0.0, 1.0)
    line = 0.524 * raw - 0.0862 * humidity_pct + 5.75
    curve = 4.21e-4 * raw**2 + 0.392 * raw + 3.44
    return _clamped(_between(line, curve, share))


def airgradient(raw: Float64, humidity_pct: Float64) -> Float64:
    """Line, steeper line, curve from 260 ug/m3 on, which needs no humidity; a raw 0 stays 0."""
    steeper, curved = np.clip(raw / 20 - 1.5, 0.0, 1.0), np.clip(raw / 50 - 4.2, 0.0, 1.0)
    line = (0.524 + (0.786 - 0.524) * steeper) * raw - 0.0862 * humidity_pct + 5.75
    curve = 2.966 + 0.69 * raw + 8.84e-4 * raw**2
    return np.where(raw == 0, 0.0, _clamped(_between(line, curve, curved)))


def local(raw: Float64, humidity_pct: Float64, factor: Float64, per_humidity: Float64, offset: Float64) -> Float64:
    """Line of a station: factor * raw + per_humidity * humidity + offset; where per_humidity is 0 none is needed."""
    damp = np.where(per_humidity == 0, 0.0, per_humidity * humidity_pct)
    return _clamped(factor * raw + damp + offset)


FORMS: Mapping[str, Form] = {
    "barkjohn_2022": Form(
        raw="pm2_5_cf1_ug_m3",
        source="Barkjohn et al. 2022, Sensors 22:9669; the line: Barkjohn et al. 2021, Atmos. Meas. Tech. 14:4617",
        equation=barkjohn_2022,
    ),
    "airgradient": Form(
        raw="pm2_5_ug_m3", source="airgradienthq/arduino, issue 182, after the same authors", equation=airgradient
    ),
}
"""Name in stations.toml -> equation. The first of a raw quantity is what is used unless told otherwise."""
LOCAL = "local"


def usual(raw: str) -> str:
    """Name of the equation for a raw quantity; empty where there is none."""
    return next((name for name, form in FORMS.items() if form.raw == raw), "")


def _between(low: Float64, high: Float64, share: Float64) -> Float64:
    """What is wholly one of them asks nothing of the other, which may be NaN."""
    return np.where(share <= 0, low, np.where(share >= 1, high, share * high + (1 - share) * low))


def _clamped(value: Float64) -> Float64:
    return np.clip(value, *RANGE_UG_M3)
