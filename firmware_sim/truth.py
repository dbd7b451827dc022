"""What is really the case, as columns over time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from firmware_sim.hydrology import Catchment, Gauge, Rating, discharge_m3_s
from firmware_sim.rainfall import Storm, rain, varied
from firmware_sim.sites import Site
from firmware_sim.weather import Air, Battery

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

SECOND_US = 1_000_000

TOTALS = {"rain_mm": "rain_total_mm"}
"""Quantities an instrument counts up: the truth beneath `rain_mm` is the rain fallen since the record began."""


def beneath(quantity: str) -> str:
    """Name of the physical column that an instrument of this quantity looks at."""
    return TOTALS.get(quantity, quantity)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """One physical quantity at one place over time."""

    time_us: Int64
    """(n,) strictly increasing, microseconds UTC."""
    value: Float64
    """(n,) NaN where nothing is known."""
    gap_us: int
    """Neighbours further apart than this are not joined by a line."""

    def __post_init__(self) -> None:
        assert len(self.time_us) == len(self.value) > 0, "a course needs equally many times and values"
        assert (np.diff(self.time_us) > 0).all(), "the times of a course must rise"

    def at(self, time_us: Int64) -> Float64:
        """Value at any times, linear between neighbours.

        Parameters
        ----------
        time_us : (m,) int64

        Returns
        -------
        value : (m,) float64, NaN outside the course, beside a NaN, and inside a gap
        """
        last = len(self.time_us) - 1
        before = np.clip(np.searchsorted(self.time_us, time_us, side="right") - 1, 0, last)
        after = np.minimum(before + 1, last)
        span = self.time_us[after] - self.time_us[before]
        past = time_us - self.time_us[before]
        share = past / np.maximum(span, 1)
        between = self.value[before] + share * (self.value[after] - self.value[before])
        value: Float64 = np.where(past == 0, self.value[before], between)
        outside = (past != 0) & ((past < 0) | (span == 0) | (span > self.gap_us))
        value[outside] = np.nan
        return value

    def last_known(self, time_us: int) -> float:
        """Value at a time, or else the newest known before it; NaN before the first."""
        now = float(self.at(np.array([time_us], dtype=np.int64))[0])
        if np.isfinite(now):
            return now
        known = self.value[: int(np.searchsorted(self.time_us, time_us, side="right"))]
        known = known[np.isfinite(known)]
        return float(known[-1]) if len(known) else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """Everything that is the case in a simulated or recorded world."""

    courses: Mapping[tuple[str, str], Course] = field(repr=False)
    """(station, physical column) -> course. Columns are the quantities of docs/wire.md, with `rain_total_mm` beneath
    `rain_mm`, and beside them what no instrument reports, such as `discharge_m3_s`."""

    def course(self, station: str, column: str) -> Course:
        """One course.

        Raises
        ------
        ValueError : this truth does not hold it
        """
        found = self.courses.get((station, column))
        if found is None:
            held = sorted(c for s, c in self.courses if s == station)
            raise ValueError(
                f"station {station}: the truth has no {column}; it has {held or 'nothing of this station'}"
            )
        return found

    @property
    def start_us(self) -> int:
        """Earliest time of any course."""
        return min(int(c.time_us[0]) for c in self.courses.values())

    @property
    def end_us(self) -> int:
        """Latest time of any course."""
        return max(int(c.time_us[-1]) for c in self.courses.values())


def joined(truths: Iterable[Truth]) -> Truth:
    """Several truths as one world.

    Raises
    ------
    ValueError : two of them tell of the same (station, column)
    """
    courses: dict[tuple[str, str], Course] = {}
    for truth in truths:
        twice = courses.keys() & truth.courses.keys()
        if twice:
            raise ValueError(f"two truths for {sorted(twice)}; give each station and column once")
        courses.update(truth.courses)
    return Truth(courses=courses)


def flash_flood(
    sites: Sequence[Site],
    *,
    start_us: int,
    hours: float,
    step_s: float = 60.0,
    seed: int,
    storm: Storm | None = None,
    catchment: Catchment | None = None,
    air: Air | None = None,
    battery: Battery | None = None,
) -> Truth:
    """A burst of rain on small catchments, and what it does to streams, dust and batteries.

    Cells of rain move over the sites; on every sub-catchment the SCS curve number leaves the runoff, a Nash cascade
    turns it into discharge, reaches delay and spread it downstream, rating curves give the stage.

    Parameters
    ----------
    sites : stations of any streams; a stream's sites are sorted by `river_km`
    start_us : the first drop falls here, microseconds UTC
    hours, step_s : length and resolution of the record
    seed : strength, speed, direction and gusts of the storm; the same seed gives the same bytes
    storm, catchment, air, battery : the physics, by default a severe burst on flashy country in the wet season

    Raises
    ------
    ValueError : no sites, a station twice, two gauges at one place of a stream, or less than two steps
    """
    _refuse_impossible(sites, hours=hours, step_s=step_s)
    catchment, air, battery = catchment or Catchment(), air or Air(), battery or Battery()
    steps = round(hours * 3_600.0 / step_s)
    time_us = start_us + np.arange(steps + 1, dtype=np.int64) * round(step_s * SECOND_US)
    fallen = rain(sites, steps=steps, step_s=step_s, seed=seed, storm=varied(storm or Storm(), seed=seed))
    columns: dict[tuple[str, str], Float64] = {}
    for site, rain_mm in zip(sites, fallen.at_gauge_mm, strict=True):
        # A column holds values at the ends of the steps; a rate holds over the step that ends there.
        rate_mm_h = _at_ends(rain_mm) * 3_600.0 / step_s
        columns[site.station, "rain_total_mm"] = np.cumsum(_at_ends(rain_mm))
        columns[site.station, "battery_v"] = battery.voltage(site, time_us, rate_mm_h, seed=seed)
        columns[site.station, "pm2_5_ug_m3"] = air.dust(site, time_us, rate_mm_h, seed=seed)
        temperature_c = air.temperature(site, time_us, rate_mm_h)
        columns[site.station, "temperature_c"] = temperature_c
        columns[site.station, "humidity_pct"] = air.humidity(temperature_c)
    for stream in sorted({site.stream for site in sites if site.measures("stage_m")}):
        columns |= _stream(
            [(site, mm) for site, mm in zip(sites, fallen.around_mm, strict=True) if site.stream == stream],
            step_s=step_s,
            catchment=catchment,
        )
    gap_us = round(step_s * SECOND_US)
    return Truth(
        courses={where: Course(time_us=time_us, value=value, gap_us=gap_us) for where, value in columns.items()}
    )


def _stream(
    sites: list[tuple[Site, Float64]], *, step_s: float, catchment: Catchment
) -> dict[tuple[str, str], Float64]:
    """Discharge and stage at the stage stations of one stream."""
    down = sorted((pair for pair in sites if pair[0].measures("stage_m")), key=lambda pair: pair[0].river_km)
    gauges = [Gauge(river_km=site.river_km, rain_mm=rain_mm) for site, rain_mm in down]
    columns: dict[tuple[str, str], Float64] = {}
    flows = discharge_m3_s(gauges, step_s=step_s, catchment=catchment)
    for (site, _), flow in zip(down, flows, strict=True):
        rating = Rating.through_bankfull(
            bankfull_m=site.bankfull_m,
            bankfull_m3_s=site.capacity * catchment.bankfull_at(site.river_km),
        )
        discharge = np.concatenate([flow[:1], flow])
        columns[site.station, "discharge_m3_s"] = discharge
        columns[site.station, "stage_m"] = rating.stage_m(discharge)
    return columns


def _at_ends(per_step: Float64) -> Float64:
    return np.concatenate([[0.0], per_step])


def _refuse_impossible(sites: Sequence[Site], *, hours: float, step_s: float) -> None:
    if not sites:
        raise ValueError("a flood needs at least one site")
    if not (step_s > 0 and hours * 3_600.0 >= 2 * step_s):
        raise ValueError(f"hours is {hours} and step_s {step_s}, but a record needs at least two steps")
    names = [site.station for site in sites]
    if len(set(names)) < len(names):
        raise ValueError(f"stations must differ, got {names}")
    gauges = [(site.stream, site.river_km) for site in sites if site.measures("stage_m")]
    if len(set(gauges)) < len(gauges):
        raise ValueError(f"two stage stations at one place: {gauges}; use one site with stage_m and stage_m@b")
