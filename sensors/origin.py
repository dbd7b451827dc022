"""What a sensor is computed from: a raw reading of its own station, which is stored beside it as it came."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise

import msgspec

COUNTED: Mapping[str, str] = {"rain_mm": "rain_total_mm"}
"""Amounts between two readings of a counter: derived quantity -> raw one."""
HEIGHTS: Mapping[tuple[str, str], float] = {("stage_m", "distance_m"): -1.0, ("stage_m", "depth_m"): 1.0}
"""(derived, raw) -> sign with which the raw value goes to the height of the instrument."""


class Mount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an instrument hangs or stands, from the beginning of a day on."""

    since: date
    height_m: float
    """Over the gauge zero; a probe may lie below it."""
    source: str
    """Who measured it and how."""


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The raw reading and what must be known to use it."""

    reading: str
    """Reading name of a sensor of the same station."""
    wraps_at: float = 0.0
    """A counter that stands here is at 0 again; unit of the counter; 0: it never wraps."""
    mount: tuple[Mount, ...] = ()
    """Of a distance or depth, in order of time."""


def origin_mistakes(
    who: str, quantity: str, origin: Origin, *, raw: str | None, others: Sequence[str]
) -> Iterator[str]:
    """What is wrong with the origin of one sensor.

    Parameters
    ----------
    quantity : of the sensor
    raw : quantity of the reading it names; None where the station has no such reading that comes from its device
    others : readings that other sensors of the station are computed from
    """
    if raw is None:
        yield f"{who}: from.reading {origin.reading!r} is no sensor of this station that its device sends; add it"
        return
    if origin.reading in others:
        yield f"{who}: from.reading {origin.reading!r} is the origin of another sensor already"
    counter, height = COUNTED.get(quantity) == raw, (quantity, raw) in HEIGHTS
    if not counter and not height:
        ways = [f"{q} from {r}" for q, r in (*COUNTED.items(), *HEIGHTS)]
        yield f"{who}: {quantity} cannot be computed from {raw}, only {', '.join(ways)}"
        return
    if counter and origin.mount:
        yield f"{who}: from.mount is of distances and depths, not of a counter; take it out"
    if not origin.wraps_at >= 0:
        yield f"{who}: from.wraps_at is {origin.wraps_at} but must be 0 (never) or above"
    if height and origin.wraps_at:
        yield f"{who}: from.wraps_at is of counters, not of {raw}; take it out"
    if height and not origin.mount:
        yield f"{who}: from.mount is missing: the instrument's height over the gauge zero, and since which day"
    if any(a.since >= b.since for a, b in pairwise(origin.mount)):
        yield f"{who}: the days of from.mount must rise, one entry for each"
