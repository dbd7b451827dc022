"""One instrument, what its readings are compared with, and the columns of that over all series."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from sensors.batch import Bool, Float64, Int64
from sensors.origin import Origin
from sensors.quantities import QUANTITIES, Flat

SECOND_US = 1_000_000


MONTHS = 12


class Season(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a station shows in some months of the year (QARTOD climatology test)."""

    months: tuple[int, ...]
    """1-12, as the calendar in Bangkok has them."""
    low: float
    high: float
    source: str
    """Of which years, by whom."""


class Sensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instrument. Its name on the wire is `{quantity}` or `{quantity}@{id}`."""

    quantity: str
    id: str = ""
    cadence_s: float = 0.0
    """0: the station's."""
    suspect: tuple[float, float] | None = None
    """Beyond this the value is doubted (QARTOD user range)."""
    rise_suspect_per_h: float | None = None
    """Faster than this, up or down, the value is doubted; unit of the quantity per hour."""
    spike: float | None = None
    """A larger change from one reading to the next waits for the one after it (QARTOD spike test); unit of the
    quantity; None: the quantity's own; 0: off."""
    flat_eps: float | None = None
    """What stays within this stands still (QARTOD flat line test); unit of the quantity; None: the quantity's own."""
    flat_suspect_s: float | None = None
    """Standing still so long is doubted; None: the quantity's own; 0: off."""
    flat_fail_s: float | None = None
    """Standing still so long is a broken instrument; None: the quantity's own; 0: off."""
    calm_range: float | None = None
    """What moves by less than this for `calm_s` is attenuated (QARTOD test 10) and doubted; unit of the quantity."""
    calm_s: float | None = None
    """Of rain, which has no `calm_range`: the same amount for so long is doubted; None: the quantity's own; 0: off."""
    season: tuple[Season, ...] = ()
    """Months that none names have no limits."""
    neighbours: tuple[str, ...] = ()
    """Series that show the same level: `WL-02/stage_m`."""
    neighbour_differs: float | None = None
    """Further from the middle of its neighbours it is doubted (QARTOD test 11); unit of the quantity."""
    from_: Origin | None = msgspec.field(default=None, name="from")
    """Computed from another reading of the station; None: its device sends it."""

    @property
    def name(self) -> str:
        """Reading name of docs/wire.md."""
        return f"{self.quantity}@{self.id}" if self.id else self.quantity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """What the checks compare with: one element per series; NaN where a limit is not set."""

    fail_low: Float64
    fail_high: Float64
    suspect_low: Float64
    suspect_high: Float64
    rise_suspect_per_h: Float64
    spike: Float64
    flat_eps: Float64
    flat_suspect_us: Int64
    """0: off."""
    flat_fail_us: Int64
    """0: off."""
    calm_range: Float64
    """0: the same amount, but for none."""
    calm_us: Int64
    """0: off."""
    seasonal: Bool
    """Whether it has limits by the month."""
    season_low: Float64
    season_high: Float64
    """(series, 12), or (series, 0) where no series has any."""
    cadence_us: Int64


def limits_of(sensors: Sequence[Sensor], cadence_us: Sequence[int]) -> Limits:
    """The columns, one element per sensor: its own keys before those of its quantity."""

    def column(values: list[float | None]) -> Float64:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

    kinds = [QUANTITIES[s.quantity] for s in sensors]
    spikes = [k.spike if s.spike is None else s.spike for s, k in zip(sensors, kinds, strict=True)]
    flats = [_flat(s) for s in sensors]
    seasonal = np.array([bool(s.season) for s in sensors], dtype=np.bool_)
    season_low, season_high = np.full((2, len(sensors), MONTHS if seasonal.any() else 0), np.nan)
    for i, one in enumerate(sensors):
        for season in one.season:
            at = [month - 1 for month in season.months]
            season_low[i, at], season_high[i, at] = season.low, season.high
    return Limits(
        fail_low=column([k.fail[0] for k in kinds]),
        fail_high=column([k.fail[1] for k in kinds]),
        suspect_low=column([s.suspect[0] if s.suspect else None for s in sensors]),
        suspect_high=column([s.suspect[1] if s.suspect else None for s in sensors]),
        rise_suspect_per_h=column([s.rise_suspect_per_h for s in sensors]),
        spike=column([s or None for s in spikes]),
        flat_eps=column([f.eps if f else None for f in flats]),
        flat_suspect_us=np.array([round(f.suspect_s * SECOND_US) if f else 0 for f in flats], dtype=np.int64),
        flat_fail_us=np.array([round(f.fail_s * SECOND_US) if f else 0 for f in flats], dtype=np.int64),
        calm_range=column([s.calm_range or 0.0 for s in sensors]),
        calm_us=np.array(
            [
                round((k.repeats_s if s.calm_s is None else s.calm_s) * SECOND_US)
                for s, k in zip(sensors, kinds, strict=True)
            ],
            dtype=np.int64,
        ),
        seasonal=seasonal,
        season_low=season_low,
        season_high=season_high,
        cadence_us=np.array(cadence_us, dtype=np.int64),
    )


def sensor_mistakes(who: str, sensor: Sensor) -> Iterator[str]:
    """What is wrong with the keys of one sensor, each naming what was expected."""
    quantity = QUANTITIES.get(sensor.quantity)
    if quantity is None:
        yield f"{who}: quantity {sensor.quantity!r} is not one of {', '.join(QUANTITIES)}"
        return
    low, high = quantity.fail
    if sensor.suspect and not (low <= sensor.suspect[0] < sensor.suspect[1] <= high):
        yield f"{who}: suspect {sensor.suspect} must rise and lie inside {quantity.fail} {quantity.unit}"
    if sensor.rise_suspect_per_h is not None and not sensor.rise_suspect_per_h > 0:
        yield f"{who}: rise_suspect_per_h is {sensor.rise_suspect_per_h} but must be above 0"
    if sensor.spike is not None and not sensor.spike >= 0:
        yield f"{who}: spike is {sensor.spike} but must be 0 (off) or above"
    for key in ("flat_eps", "flat_suspect_s", "flat_fail_s"):
        if (value := getattr(sensor, key)) is not None and not value >= 0:
            yield f"{who}: {key} is {value} but must be 0 or above"
    flat = _flat(sensor)
    if flat and flat.suspect_s and flat.fail_s and not flat.suspect_s < flat.fail_s:
        yield f"{who}: flat_suspect_s {flat.suspect_s} must be shorter than flat_fail_s {flat.fail_s}"
    if sensor.calm_range is not None and not (sensor.calm_range > 0 and (sensor.calm_s or 0) > 0):
        yield f"{who}: calm_range is {sensor.calm_range} and calm_s {sensor.calm_s} but both must be above 0"
    if sensor.calm_range is None and sensor.calm_s is not None and not (quantity.repeats_s and sensor.calm_s >= 0):
        yield f"{who}: calm_s is {sensor.calm_s} without a calm_range; give both or neither"
    if bool(sensor.neighbours) != (sensor.neighbour_differs is not None):
        yield f"{who}: neighbours and neighbour_differs belong together; give both or neither"
    elif sensor.neighbour_differs is not None and not sensor.neighbour_differs > 0:
        yield f"{who}: neighbour_differs is {sensor.neighbour_differs} but must be above 0"
    named = [month for season in sensor.season for month in season.months]
    if not set(named) <= set(range(1, MONTHS + 1)) or len(set(named)) < len(named):
        yield f"{who}: season names the months {named}; each of 1-12 at most once is expected"
    for season in sensor.season:
        if not low <= season.low < season.high <= high:
            limits = f"({season.low}, {season.high})"
            yield f"{who}: season {limits} must rise and lie inside {quantity.fail} {quantity.unit}"


def _flat(sensor: Sensor) -> Flat | None:
    """When a sensor stands still: its own keys before those of its quantity; None: it may."""
    own = (sensor.flat_eps, sensor.flat_suspect_s, sensor.flat_fail_s)
    usual = QUANTITIES[sensor.quantity].flat or Flat(eps=0.0, suspect_s=0.0, fail_s=0.0)
    eps, suspect_s, fail_s = (
        default if value is None else value
        for value, default in zip(own, (usual.eps, usual.suspect_s, usual.fail_s), strict=True)
    )
    return Flat(eps=eps, suspect_s=suspect_s, fail_s=fail_s) if suspect_s or fail_s else None
