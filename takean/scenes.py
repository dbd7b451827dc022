"""What a demonstration plays: a storm over the sample sub-district, or a recording as a small world of its own."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from alerts import route, rules
from alerts.episode import Kind
from alerts.route import Release, Route, Routes
from alerts.rules import AbsenceRule, LevelRule, Rule
from firmware_sim import device as devices_of
from firmware_sim import instruments
from firmware_sim.device import Device
from firmware_sim.recording import recording
from firmware_sim.sites import Site
from firmware_sim.truth import Truth, flash_flood
from sensors import stations
from sensors.quantities import QUANTITIES
from sensors.stations import SECOND_US, Area, ConfigError, Place, Registry, Sensor, Station
from takean.settings import MAP, SAMPLE

STORM_SPEED = 120.0
STORM_HOURS = 72.0
"""The storm itself is over after eight; devices go on in calm weather, so that nobody falls silent."""
RECORD_WINDOW = timedelta(hours=36)
"""Played before and after the highest value of a recording, unless told otherwise."""
RECORD_MINUTES = 3.0
"""How long a recording plays, unless told otherwise."""
LEAVE_SHARE = 0.05
"""A recording's threshold is left this share of its height above the record's median below it, so that a ripple does
not flap.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose."""

    seed: int = 1
    speed: float | None = None
    mqtt_port: int = 1883
    web_port: int = 8080
    host: str = "127.0.0.1"
    map_file: Path | None = None
    keep: Path | None = None
    """State folder to keep and to go on from; None: a fresh one, removed at the end."""
    release: Literal["auto", "people"] = "auto"
    record: Path | None = None
    value: str = "stage_m"
    thresholds: tuple[tuple[str, float], ...] = ()
    """(level word, value) for a recording."""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A world to be simulated."""

    registry: Registry
    rules: tuple[Rule, ...]
    routes: Routes
    devices: tuple[Device, ...]
    truth: Truth
    start_us: int
    end_us: int
    """When the devices stop: the end of the recording, or of the weather that was made."""
    speed: float
    map_file: Path | None
    """None: no land is drawn under the stations."""
    phones: Sequence[str]
    """Areas in which a preview phone lives."""


def storm(options: Options, *, now_us: int) -> Scene:
    """The sample sub-district under a flash flood that begins now."""
    registry = stations.load(SAMPLE / "stations.toml")
    places = tomllib.loads((SAMPLE / "catchment.toml").read_text(encoding="utf-8"))
    sites = [_site(station, places.get(station.id, {})) for station in registry.stations.values()]
    truth = flash_flood(sites, start_us=now_us, hours=STORM_HOURS, seed=options.seed)
    return Scene(
        registry=registry,
        rules=rules.read(SAMPLE / "rules.toml"),
        routes=route.load(SAMPLE / "routes.toml", kind=Kind.EXERCISE),
        devices=devices_of.install(sites, set_us=now_us, seed=options.seed),
        truth=truth,
        start_us=now_us,
        end_us=truth.end_us,
        speed=options.speed or STORM_SPEED,
        map_file=MAP,
        phones=("33160801", "33160805"),
    )


def replay(options: Options) -> Scene:
    """A recorded series as the only station of a small world.

    Raises
    ------
    ConfigError : the file, the column, a threshold or the window does not fit; says what was expected
    """
    assert options.record is not None
    if not options.record.is_file():
        raise ConfigError([f"--record {options.record}: no such file"])
    if options.value not in QUANTITIES:
        raise ConfigError([f"--value {options.value}: expected one of {', '.join(QUANTITIES)}"])
    if not options.thresholds:
        raise ConfigError(["--record needs at least one --threshold, such as --threshold critical=4.5"])
    station = "REC-01"
    try:
        truth = recording(options.record, station=station, column=options.value)
    except ValueError as error:
        raise ConfigError([str(error)]) from error
    course = next(iter(truth.courses.values()))
    start_us, end_us = _window(options, course.time_us, course.value)
    cadence_s = float(np.median(np.diff(course.time_us))) / SECOND_US
    truth = _until(truth, end_us)
    registry = stations.build(
        place=Place(name="การเล่นย้อนข้อมูล", long=options.record.name, english="Replay", phone="1784"),
        areas=[Area(id="replay", name="พื้นที่ของข้อมูลที่บันทึกไว้", english="Area of the recording")],
        stations=[
            Station(
                id=station,
                name=options.record.name.split(".")[0],
                english=options.record.name.split(".")[0],
                lat=14.926,
                lon=104.204,
                areas=("replay",),
                cadence_s=cadence_s,
                sensor=(Sensor(quantity=options.value),),
            )
        ],
    )
    sites = [
        Site(
            station=station,
            lat=14.926,
            lon=104.204,
            readings=(options.value,),
            cadence_s=cadence_s,
            stream="recorded",
            river_km=1.0,
            bankfull_m=1.0,
        )
    ]
    median = float(np.nanmedian(course.value))
    return Scene(
        registry=registry,
        rules=_record_rules(options, median=median, cadence_s=cadence_s),
        routes=Routes(by={("flood", level): _record_route(level) for level in (1, 2, 3)}),
        devices=devices_of.install(
            sites, set_us=truth.start_us, seed=options.seed, instrument=instruments.exact, clocks_true=True
        ),
        truth=truth,
        start_us=start_us,
        end_us=end_us,
        map_file=None,
        speed=options.speed or max(1.0, (end_us - start_us) / SECOND_US / (RECORD_MINUTES * 60.0)),
        phones=("replay",),
    )


def _site(station: Station, place: Mapping[str, object]) -> Site:
    return Site(
        station=station.id,
        lat=station.lat,
        lon=station.lon,
        readings=tuple(sensor.name for sensor in station.sensor),
        cadence_s=station.cadence_s,
        bankfull_m=station.banks.lower_m if station.banks else 0.0,
        **place,  # type: ignore[arg-type]  # checked by Site
    )


def _window(options: Options, time_us: np.ndarray, value: np.ndarray) -> tuple[int, int]:
    first, last = int(time_us[0]), int(time_us[-1])
    peak_us, span_us = int(time_us[np.nanargmax(value)]), round(RECORD_WINDOW.total_seconds() * SECOND_US)
    start_us = _stamp(options.start) if options.start else max(first, peak_us - span_us)
    end_us = _stamp(options.end) if options.end else min(last, start_us + 2 * span_us)
    if not first <= start_us < end_us:
        have = f"{_shown(first)} to {_shown(last)}"
        raise ConfigError([f"--from {_shown(start_us)} --to {_shown(end_us)}: the recording holds {have}"])
    return start_us, end_us


def _until(truth: Truth, end_us: int) -> Truth:
    """The truth without what comes after `end_us`."""
    return Truth(
        courses={
            where: replace(course, time_us=course.time_us[inside], value=course.value[inside])
            for where, course in truth.courses.items()
            for inside in [course.time_us <= end_us]
        }
    )


def _record_rules(options: Options, *, median: float, cadence_s: float) -> tuple[Rule, ...]:
    words = {"watch": 1, "warning": 2, "critical": 3}
    made: list[Rule] = []
    for word, value in options.thresholds:
        if word not in words:
            raise ConfigError([f"--threshold {word}={value}: expected watch, warning or critical"])
        if not value > median:
            raise ConfigError([f"--threshold {word}={value}: must lie above the recording's median ({median:g})"])
        made.append(
            LevelRule(
                id=f"record.{word}",
                version="1",
                hazard="flood",
                level=words[word],
                quantity=options.value,
                unit=QUANTITIES[options.value].unit,  # checked by compile_rules
                enter=value,
                leave=value - LEAVE_SHARE * (value - median),
                up_for_s=0.0,
                down_for_s=2 * cadence_s,
                source="command line",
                author="command line",
                date=date(2026, 11, 22),
            )
        )
    made.append(
        AbsenceRule(
            id="station.silent",
            version="1",
            hazard="station",
            level=1,
            after=3.0,
            source="QARTOD test 1 (gap), three intervals",
            author="default",
            date=date(2026, 11, 22),
        )
    )
    return tuple(made)


def _record_route(level: int) -> Route:
    return Route(
        hazard="flood",
        level=level,
        release=Release.TWO if level >= 2 else Release.ONE,
        clear=route.Clear.PERSON,
        channels=("preview",),
        expires_s=6 * 3600,
    )


def _stamp(moment: datetime) -> int:
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND_US)


def _shown(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / SECOND_US, tz=UTC).isoformat(timespec="minutes")
