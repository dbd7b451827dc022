"""Stations, their sensors and the areas they speak for: a validated registry with one column per property."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from sensors.origin import origin_mistakes
from sensors.sensor import SECOND_US, Limits, Sensor, limits_of, sensor_mistakes

__all__ = [
    "SECOND_US",
    "Area",
    "Banks",
    "ConfigError",
    "Datum",
    "Device",
    "GaugeZero",
    "Limits",
    "Metric",
    "Place",
    "Registry",
    "Sensor",
    "Series",
    "Station",
    "build",
    "load",
]

Datum = Literal["LOCAL_STAFF", "MSL_KOLAK1915"]
"""LOCAL_STAFF: the gauge zero's height over a national datum has not been surveyed. Never mixed."""


class ConfigError(Exception):
    """A configuration that must not go live: every mistake that was found, one line each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local government on whose screens this runs."""

    name: str
    long: str
    english: str
    phone: str
    """What a resident in trouble calls, as it is printed."""


class Area(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of the tree tambon > reach > village."""

    id: str
    name: str
    english: str
    short: str = ""
    """Short form for lists: `หมู่ 1`."""
    parent: str = ""


class GaugeZero(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Height of the gauge zero over the station's datum, valid from a day on."""

    since: date
    height_m: float
    source: str


class Banks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Heights over the gauge zero, m."""

    left_m: float
    right_m: float
    bed_m: float
    surveyed: bool
    """False: a default nobody has measured; shown beside every threshold made from it."""
    source: str

    @property
    def lower_m(self) -> float:
        """Water leaves over the lower bank."""
        return min(self.left_m, self.right_m)


class Metric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device's own name for a value stands for."""

    reading: str
    """Reading name of docs/wire.md."""
    unit: str = ""
    """Of the device's value, as in sensors/units.py; empty: the canonical one."""


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a station speaks that does not speak for itself: through a network server or a Sparkplug node."""

    via: Literal["chirpstack", "things_stack", "sparkplug"]
    id: str
    """DevEUI; application@tenant/device of The Things Stack; group/node or group/node/device of Sparkplug."""
    model: str = ""
    """Decoder of raw LoRaWAN payloads; see docs/wire.md."""
    names: Mapping[str, Metric] = {}
    """The device's own name -> ours. Whoever is not named keeps its name."""
    parameters: Mapping[str, float] = {}
    """What the decoder must know of this very instrument, as its label says; see docs/wire.md."""


class Station(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place with one device."""

    id: str
    name: str
    english: str
    lat: float
    lon: float
    areas: tuple[str, ...]
    """The areas it speaks for."""
    cadence_s: float
    """How often it promises a reading."""
    sensor: tuple[Sensor, ...]
    datum: Datum = "LOCAL_STAFF"
    gauge_zero: tuple[GaugeZero, ...] = ()
    banks: Banks | None = None
    device: Device | None = None
    """None: it publishes below its own topic."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    place: Place
    area: tuple[Area, ...]
    station: tuple[Station, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One quantity of one sensor."""

    key: str
    """`WL-01/stage_m`"""
    station: str
    name: str
    quantity: str
    cadence_us: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registry:
    """All that is known of the stations; immutable for the life of a process."""

    place: Place
    areas: Mapping[str, Area]
    stations: Mapping[str, Station]
    series: tuple[Series, ...]
    index: Mapping[tuple[str, str], int]
    """(station, reading name) -> index into `series`."""
    limits: Limits
    devices: Mapping[tuple[str, str], tuple[str, Device]]
    """(via, the device's own id) -> station and device."""

    def keys(self) -> list[str]:
        """Keys of all series in the order of their index."""
        return [s.key for s in self.series]

    def descendants(self, area: str) -> tuple[str, ...]:
        """The area and everything below it, itself first."""

        def walk(node: str) -> Iterator[str]:
            yield node
            for child in self.areas.values():
                if child.parent == node:
                    yield from walk(child.id)

        return tuple(walk(area))

    def ancestors(self, area: str) -> tuple[str, ...]:
        """The area and everything above it, itself first."""
        chain: list[str] = []
        while area:
            chain.append(area)
            area = self.areas[area].parent
        return tuple(chain)

    def stations_of(self, area: str) -> list[Station]:
        """Stations that speak for an area directly."""
        return [s for s in self.stations.values() if area in s.areas]


def load(path: Path) -> Registry:
    """Read `stations.toml`.

    Raises
    ------
    ConfigError : every mistake found, each naming the place and what was expected
    """
    try:
        data = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; name another with TAKEAN_CONFIG"]) from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    return build(place=data.place, areas=data.area, stations=data.station, where=str(path))


def build(*, place: Place, areas: Sequence[Area], stations: Sequence[Station], where: str = "stations") -> Registry:
    """Check everything against everything and make the columns.

    Raises
    ------
    ConfigError : all mistakes at once
    """
    mistakes = [f"{where}: {m}" for m in (*_area_mistakes(areas), *_station_mistakes(stations, areas))]
    if mistakes:
        raise ConfigError(mistakes)
    sensors = [(station, sensor) for station in stations for sensor in station.sensor]
    series = tuple(
        Series(
            key=f"{station.id}/{sensor.name}",
            station=station.id,
            name=sensor.name,
            quantity=sensor.quantity,
            cadence_us=round((sensor.cadence_s or station.cadence_s) * SECOND_US),
        )
        for station, sensor in sensors
    )

    return Registry(
        place=place,
        areas={a.id: a for a in areas},
        stations={s.id: s for s in stations},
        series=series,
        index={(s.station, s.name): i for i, s in enumerate(series)},
        limits=limits_of([sensor for _, sensor in sensors], [one.cadence_us for one in series]),
        devices={(s.device.via, _device_id(s.device)): (s.id, s.device) for s in stations if s.device},
    )


def _device_id(device: Device) -> str:
    return device.id.lower() if device.via == "chirpstack" else device.id


def _area_mistakes(areas: Sequence[Area]) -> Iterator[str]:
    known = {a.id: a for a in areas}
    if len(known) < len(areas):
        yield "area ids must differ"
    for area in areas:
        if area.parent and area.parent not in known:
            yield f"area {area.id}: parent {area.parent!r} is not an area"
        seen, node = {area.id}, area
        while node.parent and node.parent in known:
            node = known[node.parent]
            if node.id in seen:
                yield f"area {area.id}: its parents form a ring"
                break
            seen.add(node.id)


def _station_mistakes(stations: Sequence[Station], areas: Sequence[Area]) -> Iterator[str]:
    known = {a.id for a in areas}
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    if len({s.id for s in stations}) < len(stations):
        yield "station ids must differ"
    devices = [(s.device.via, _device_id(s.device)) for s in stations if s.device]
    for via, name in {one for one in devices if devices.count(one) > 1}:
        yield f"device {name} of {via} stands at more than one station"
    for station in stations:
        who = f"station {station.id}"
        if not (1 <= len(station.id) <= 32 and set(station.id) <= allowed):
            yield f"{who}: an id is 1-32 characters of A-Z a-z 0-9 _ -"
        if not (-90 <= station.lat <= 90 and -180 <= station.lon <= 180):
            yield f"{who}: lat {station.lat}, lon {station.lon} is not on earth"
        if not station.areas:
            yield f"{who}: areas is empty; name the areas it speaks for"
        for area in station.areas:
            if area not in known:
                yield f"{who}: area {area!r} is not in [[area]]"
        if not station.cadence_s > 0:
            yield f"{who}: cadence_s is {station.cadence_s} but must be above 0"
        names = [sensor.name for sensor in station.sensor]
        if len(set(names)) < len(names):
            yield f"{who}: two sensors of one quantity need different ids"
        if station.banks and station.banks.lower_m <= station.banks.bed_m:
            yield f"{who}: banks {station.banks.lower_m} m must lie above bed_m {station.banks.bed_m} m"
        if station.datum != "LOCAL_STAFF" and not station.gauge_zero:
            yield f"{who}: datum {station.datum} needs a dated gauge_zero"
        for sensor in station.sensor:
            yield from sensor_mistakes(f"{who}, sensor {sensor.name}", sensor)
        yield from _origin_mistakes(who, station)


def _origin_mistakes(who: str, station: Station) -> Iterator[str]:
    sent = {sensor.name: sensor.quantity for sensor in station.sensor if sensor.from_ is None}
    used: list[str] = []
    for sensor in station.sensor:
        if (origin := sensor.from_) is not None:
            raw = sent.get(origin.reading)
            yield from origin_mistakes(f"{who}, sensor {sensor.name}", sensor.quantity, origin, raw=raw, others=used)
            used.append(origin.reading)
    for sensor in station.sensor:
        if sensor.name in used and (sensor.suspect or sensor.spike or sensor.rise_suspect_per_h):
            keys = "suspect, spike and rise_suspect_per_h"
            yield f"{who}, sensor {sensor.name}: {keys} belong at the sensor computed from it, which rules listen to"
