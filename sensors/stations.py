"""Stations, their sensors and the areas they speak for: a validated registry with one column per property."""

import tomllib
from collections import Counter
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
    "Upstream",
    "build",
    "load",
]

Datum = Literal["LOCAL_STAFF", "MSL_KOLAK1915"]
"""LOCAL_STAFF: the gauge zero's height over a national datum has not been surveyed. Never mixed."""


TRAVEL_MAX_S = 259_200
"""Three days: water that takes longer is no news of tomorrow."""


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


class Upstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A station whose water comes by later."""

    station: str
    travel_s: float
    """How long it takes."""


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
    gateway: str = ""
    """What it speaks through, by any name of ours; empty: by nothing that others share. When several stations behind
    one fall silent together, it is the gateway that is missed (contract 5.6)."""
    upstream: tuple[Upstream, ...] = ()
    """Stations that a forecaster of this one listens to as well; see docs/forecast.md."""


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
    superseded: bool = False
    """Whether another of the same quantity is computed from it: that one is shown, and rules listen to it."""


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

    def gateways(self) -> dict[str, tuple[str, ...]]:
        """Gateway -> the stations behind it, where there are several: of a single one it cannot be told from it."""
        behind: dict[str, list[str]] = {}
        for station in self.stations.values():
            if station.gateway:
                behind.setdefault(station.gateway, []).append(station.id)
        return {gateway: tuple(ids) for gateway, ids in behind.items() if len(ids) > 1}

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
    found = (
        *_area_mistakes(areas),
        *_station_mistakes(stations, areas),
        *_neighbour_mistakes(stations),
        *_upstream_mistakes(stations),
    )
    mistakes = [f"{where}: {m}" for m in found]
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
            superseded=any(
                s.from_ is not None and (s.from_.reading, s.quantity) == (sensor.name, sensor.quantity)
                for s in station.sensor
            ),
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
    ids = {s.id for s in stations}
    devices = Counter((s.device.via, _device_id(s.device)) for s in stations if s.device)
    for via, name in (one for one, n in devices.items() if n > 1):
        yield f"device {name} of {via} stands at more than one station"
    for station in stations:
        who = f"station {station.id}"
        if not (1 <= len(station.id) <= 32 and set(station.id) <= allowed):
            yield f"{who}: an id is 1-32 characters of A-Z a-z 0-9 _ -"
        if not (-90 <= station.lat <= 90 and -180 <= station.lon <= 180):
            yield f"{who}: lat {station.lat}, lon {station.lon} is not on earth"
        if station.gateway in ids or station.gateway in known:
            yield f"{who}: gateway {station.gateway!r} is the id of a station or an area; give it a name of its own"
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
            yield from origin_mistakes(f"{who}, sensor {sensor.name}", sensor.quantity, origin, sent=sent, others=used)
            used.append(origin.reading)
    for sensor in station.sensor:
        if sensor.name in used and (sensor.suspect or sensor.spike or sensor.rise_suspect_per_h):
            keys = "suspect, spike and rise_suspect_per_h"
            yield f"{who}, sensor {sensor.name}: {keys} belong at the sensor computed from it, which rules listen to"


def _neighbour_mistakes(stations: Sequence[Station]) -> Iterator[str]:
    series = {f"{station.id}/{sensor.name}": (station, sensor) for station in stations for sensor in station.sensor}
    for own, (station, sensor) in series.items():
        for key in sensor.neighbours:
            who = f"station {station.id}, sensor {sensor.name}: neighbour {key!r}"
            if key not in series or key == own:
                yield f"{who} is not another series; one like 'WL-02/stage_m' is expected"
                continue
            other, theirs = series[key]
            if theirs.quantity != sensor.quantity:
                yield f"{who} is not {sensor.quantity}: unlike quantities are not compared"
            elif (
                sensor.quantity == "stage_m" and other is not station and "LOCAL_STAFF" in (station.datum, other.datum)
            ):
                yield f"{who}: survey both gauge zeros over one national datum before they are compared"


def _upstream_mistakes(stations: Sequence[Station]) -> Iterator[str]:
    measures = {s.id: any(sensor.quantity == "stage_m" for sensor in s.sensor) for s in stations}
    above = {s.id: [one.station for one in s.upstream] for s in stations}
    for station in stations:
        who = f"station {station.id}, upstream"
        if station.upstream and not measures[station.id]:
            yield f"{who}: it measures no stage_m itself; only a water level has an upstream"
        if len(set(above[station.id])) < len(above[station.id]):
            yield f"{who}: a station is named twice"
        for one in station.upstream:
            if not measures.get(one.station):
                yield f"{who}: {one.station!r} is no station that measures stage_m"
            if not 0 < one.travel_s <= TRAVEL_MAX_S:
                yield f"{who} {one.station}: travel_s is {one.travel_s:g} but must be above 0, {TRAVEL_MAX_S} at most"
        seen, next_ = set[str](), list(above[station.id])
        while next_:
            node = next_.pop()
            if node not in seen:
                seen.add(node)
                next_ += above.get(node, [])
        if station.id in seen:
            yield f"{who}: the water would come back to it"
