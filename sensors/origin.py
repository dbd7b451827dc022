"""What a sensor is computed from: a raw reading of its own station, which is stored beside it as it came."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise

import msgspec

from sensors.air.pm_correction import FORMS, LOCAL, usual

COUNTED: Mapping[str, str] = {"rain_mm": "rain_total_mm"}
"""Amounts between two readings of a counter: derived quantity -> raw one."""
HEIGHTS: Mapping[tuple[str, str], float] = {("stage_m", "distance_m"): -1.0, ("stage_m", "depth_m"): 1.0}
"""(derived, raw) -> sign with which the raw value goes to the height of the instrument."""
DUST: Sequence[tuple[str, str]] = (("pm2_5_ug_m3", "pm2_5_cf1_ug_m3"), ("pm2_5_ug_m3", "pm2_5_ug_m3"))
"""(derived, raw) that a correction of dust sensors joins."""
UNDERCATCH = "duchon_2014"
"""Of counters: what the bucket misses while it tips is added. Off unless asked for."""


class Mount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an instrument hangs or stands, from the beginning of a day on."""

    since: date
    height_m: float
    """Over the gauge zero; a probe may lie below it."""
    source: str
    """Who measured it and how."""


class Coefficients(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A station's own line, fitted beside a reference: factor * raw + per_humidity * humidity + offset."""

    factor: float
    per_humidity: float = 0.0
    """ug/m3 for each % of relative humidity; 0: none is needed."""
    offset: float = 0.0
    since: date
    """Of the fit. It is used for whatever is heard from now on; nothing stored is rewritten."""
    source: str
    """Who fitted it, beside which instrument."""


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The raw reading and what must be known to use it."""

    reading: str
    """Reading name of a sensor of the same station."""
    wraps_at: float = 0.0
    """A counter that stands here is at 0 again; unit of the counter; 0: it never wraps."""
    mount: tuple[Mount, ...] = ()
    """Of a distance or depth, in order of time."""
    correction: str = ""
    """Of dust, a name of `pm_correction.FORMS` or `local`; empty: the usual one of the raw quantity. Of a counter,
    UNDERCATCH; empty: none."""
    local: Coefficients | None = None
    """Of the correction `local`."""
    humidity: str = "humidity_pct"
    """Of dust: reading name of the humidity sensor of the same station."""

    @property
    def needs_humidity(self) -> bool:
        """Whether a correction of dust rests on the humidity."""
        return self.local is None or self.local.per_humidity != 0


def origin_mistakes(
    who: str, quantity: str, origin: Origin, *, sent: Mapping[str, str], others: Sequence[str]
) -> Iterator[str]:
    """What is wrong with the origin of one sensor.

    Parameters
    ----------
    quantity : of the sensor
    sent : reading name -> quantity of the station's sensors that its device sends
    others : readings that other sensors of the station are computed from
    """
    raw = sent.get(origin.reading)
    if raw is None:
        yield f"{who}: from.reading {origin.reading!r} is no sensor of this station that its device sends; add it"
        return
    if origin.reading in others:
        yield f"{who}: from.reading {origin.reading!r} is the origin of another sensor already"
    counter, height, dust = COUNTED.get(quantity) == raw, (quantity, raw) in HEIGHTS, (quantity, raw) in DUST
    if not counter and not height and not dust:
        ways = [f"{q} from {r}" for q, r in (*COUNTED.items(), *HEIGHTS, *DUST)]
        yield f"{who}: {quantity} cannot be computed from {raw}, only {', '.join(ways)}"
        return
    if origin.mount and not height:
        yield f"{who}: from.mount is of distances and depths, not of {raw}; take it out"
    if not origin.wraps_at >= 0:
        yield f"{who}: from.wraps_at is {origin.wraps_at} but must be 0 (never) or above"
    if origin.wraps_at and not counter:
        yield f"{who}: from.wraps_at is of counters, not of {raw}; take it out"
    if height and not origin.mount:
        yield f"{who}: from.mount is missing: the instrument's height over the gauge zero, and since which day"
    if any(a.since >= b.since for a, b in pairwise(origin.mount)):
        yield f"{who}: the days of from.mount must rise, one entry for each"
    if dust:
        yield from _dust_mistakes(who, origin, raw, sent)
        return
    if origin.correction and not (counter and origin.correction == UNDERCATCH):
        yield f"{who}: from.correction {origin.correction!r} is not of {raw}; take it out"
    if origin.local:
        yield f"{who}: from.local is of dust, not of {raw}; take it out"


def _dust_mistakes(who: str, origin: Origin, raw: str, sent: Mapping[str, str]) -> Iterator[str]:
    known = [name for name, form in FORMS.items() if form.raw == raw] + [LOCAL]
    if origin.correction and origin.correction not in known:
        yield f"{who}: from.correction {origin.correction!r} is not one for {raw}: {', '.join(known)}"
    if (origin.correction == LOCAL) != (origin.local is not None):
        yield f'{who}: from.local and correction = "{LOCAL}" belong together; {usual(raw)} is used without both'
    if origin.needs_humidity and sent.get(origin.humidity) != "humidity_pct":
        yield f"{who}: from.humidity {origin.humidity!r} is no humidity_pct of this station; the correction needs one"
