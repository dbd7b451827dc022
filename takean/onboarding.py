"""Adopting a device from the list of the unregistered: its station is written into stations.toml, or nothing is.

The file stays the people's own: a block of text is put behind what stands there, after the whole configuration with it
has been checked. The supervisor then brings back the processes that have read the old one.
"""

import math
import os
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from alerts.rules import RuleSet
from ingest import codecs
from ingest.credentials import Credentials
from ingest.message import Message, Rows
from ingest.source import Format, Sources
from ingest.topics import Topics
from ingest.unregistered import Seen
from sensors.batch import Int64
from sensors.quantities import QUANTITIES
from sensors.sensor import Sensor
from sensors.stations import ConfigError, Device, Metric, Registry, Station
from sensors.units import convert
from takean import configuration, station_toml
from takean.alone import alone

CADENCES_S = (10, 30, 60, 120, 180, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400)
"""A cadence that is guessed from arrivals is the nearest of these."""
ABSENT_AFTER = 3.0
"""Promised readings that are missed, where no rule says how many."""
AHEAD_US = 600 * 1_000_000
ARRIVALS_MIN = 5
"""Fewer say nothing of a cadence."""
BETWEEN_S_MIN = 5.0
"""What comes closer together is a backlog, and says nothing of a cadence either."""
_UNWRITTEN = ("Cc", "Zl", "Zp")
"""Unicode's categories of what moves a cursor and shows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person says of the device that is to be a station."""

    id: str
    """As the list has it."""
    via: str = ""
    """Where the list has one id twice."""
    station: str = ""
    """Id of the station; empty: the device's own."""
    name: str
    english: str = ""
    """Empty: the station's id."""
    areas: tuple[str, ...] = ()
    """Empty: those of `like`."""
    lat: float | None = None
    lon: float | None = None
    cadence_s: float = 0.0
    """0: that of `like`, or guessed from arrivals."""
    like: str = ""
    """A station whose areas, place, cadence and limits are taken where nothing else is said."""
    model: str = ""
    reads: Mapping[str, Metric] = field(default_factory=dict)
    """The device's own name -> ours."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """What the decoder must know of this instrument."""


class Silent(msgspec.Struct, frozen=True, kw_only=True):
    """A registered station that is not heard."""

    station: str
    name: str
    heard_us: int
    """Newest reading, microseconds UTC; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A station that was written, or would be."""

    station: str
    text: str
    """The block of stations.toml."""
    notes: Sequence[str]
    """What a person should know or do next."""


def adopt(
    wish: Wish,
    listed: Sequence[Seen],
    *,
    folder: Path,
    state: Path,
    topics: Topics,
    environment: Mapping[str, str] = os.environ,
    write: bool = True,
) -> Adopted:
    """Make a station of a device: check everything, then write stations.toml.

    Parameters
    ----------
    folder, state : of the configuration, and of the secrets that are checked with it
    write : False: only say what would be written

    Raises
    ------
    ConfigError : every reason why not; nothing was written
    OSError : the file cannot be written; it is as it was
    """
    with alone(folder):
        world = configuration.load(folder, state, environment)
        seen = _find(wish, listed)
        made = block(wish, seen, registry=world.registry, credentials=world.credentials, topics=topics)
        _put(folder, state, made.text, environment, write=write)
    return made


def silent(registry: Registry, rules: RuleSet, time_us: Int64, now_us: int) -> list[Silent]:
    """Registered stations that never spoke, or owe more readings than the rule for absence allows.

    Parameters
    ----------
    time_us : (series,) newest reading of each; 0 for none
    """
    newest = dict.fromkeys(registry.stations, 0)
    for series, heard_us in zip(registry.series, time_us.tolist(), strict=True):
        if heard_us <= now_us + AHEAD_US:  # what is dated into the future says nothing of now
            newest[series.station] = max(newest[series.station], heard_us)
    after = rules.absence.after if rules.absence else ABSENT_AFTER
    return [
        Silent(station=id, name=registry.stations[id].name, heard_us=heard_us)
        for id, heard_us in newest.items()
        if now_us - heard_us > after * registry.stations[id].cadence_s * 1e6
    ]


def block(wish: Wish, seen: Seen, *, registry: Registry, credentials: Credentials, topics: Topics) -> Adopted:
    """Write a station as text of stations.toml.

    Raises
    ------
    ConfigError : every reason why it cannot be one
    """
    mistakes, notes = list[str](), list[str]()
    id = wish.station or seen.id
    if id in registry.stations:
        mistakes.append(f"station {id} is in stations.toml already; choose another id with --as")
    if id in credentials.networks:
        mistakes.append(f"{id} is the name of a network; choose another id with --as")
    is_own = seen.via == Format.OWN
    if is_own and id != seen.id:
        mistakes.append(f"{seen.id} publishes below its own name and cannot be {id}: leave --as out")
    if is_own and (wish.reads or wish.model or wish.parameters):
        mistakes.append(f"{seen.id} speaks for itself: it must use the reading names of docs/wire.md, without --read")
    if not wish.name.strip():
        mistakes.append("--name is empty; what people call the place is expected")
    if any(unicodedata.category(c) in _UNWRITTEN for c in wish.name + wish.english):
        mistakes.append("--name or --english has a control character; one line of plain text is expected")
    like = registry.stations.get(wish.like)
    if wish.like and like is None:
        mistakes.append(f"--like {wish.like}: no such station")
    device = None
    if not is_own:
        via: Any = seen.via
        device = Device(via=via, id=seen.id, model=wish.model, names=wish.reads, parameters=wish.parameters)
    readings, said = _readings(wish, seen, device, topics)
    mistakes += said
    left_out = sorted(name for name in readings if name.partition("@")[0] not in QUANTITIES)
    if left_out:
        notes.append(f"not taken, for it is no reading name of docs/wire.md: {', '.join(left_out)}")
    sensors = [_sensor(name, like) for name in readings if name not in left_out]
    if not sensors and not said:
        heard = ", ".join(decoded.name for decoded in seen.readings) or "nothing"
        mistakes.append(
            f"no reading of it is known (it sent {heard}{f'; {seen.problem}' if seen.problem else ''});"
            " say which is which, for example --read level=stage_m:cm"
        )
    lat, lon = (wish.lat, wish.lon) if wish.lat is not None or like is None else (like.lat, like.lon)
    if lat is None or lon is None:
        mistakes.append("say where it stands: --lat and --lon, or --like for a station beside it")
    elif wish.lat is None:
        notes.append(f"it stands where {wish.like} stands until lat and lon are corrected")
    areas = wish.areas or (like.areas if like else ())
    if not areas:
        mistakes.append(f"say for which area it speaks: --area, one of {', '.join(registry.areas)}")
    cadence_s = wish.cadence_s or (like.cadence_s if like else _cadence_s(seen))
    if cadence_s and not wish.cadence_s and not like:
        notes.append(f"it promises a reading every {cadence_s:g} s, guessed from {seen.count} arrivals: see cadence_s")
    if not cadence_s:
        mistakes.append("say how often it reports: --every SECONDS; it has not been heard often enough to tell")
    if mistakes or lat is None or lon is None:
        raise ConfigError(mistakes)
    if any(s.quantity == "stage_m" for s in sensors):
        notes.append("it has no banks: rules in fractions of the bank do not judge it until banks are surveyed")
    station = Station(
        id=id,
        name=wish.name,
        english=wish.english or id,
        lat=lat,
        lon=lon,
        areas=tuple(areas),
        cadence_s=cadence_s,
        sensor=tuple(sensors),
        device=device,
    )
    text = station_toml.block(station, comment=f"From the list of the unregistered: {seen.via} {seen.id}.")
    return Adopted(station=id, text=text, notes=notes)


def _find(wish: Wish, listed: Sequence[Seen]) -> Seen:
    found = [s for s in listed if s.id == wish.id and wish.via in ("", s.via)]
    if len(found) == 1:
        return found[0]
    if found:
        ways = ", ".join(s.via for s in found)
        raise ConfigError([f"{wish.id} is on the list more than once: name one with --via ({ways})"])
    raise ConfigError([f"{wish.id} is not on the list of the unregistered; `takean station unregistered` prints it"])


def _readings(wish: Wish, seen: Seen, device: Device | None, topics: Topics) -> tuple[list[str], list[str]]:
    """Reading names it will store, and what is wrong with the values it last sent."""
    names, mistakes = dict[str, None](), list[str]()
    for theirs, metric in wish.reads.items():
        quantity = QUANTITIES.get(metric.reading.partition("@")[0])
        if quantity is None:
            mistakes.append(f"--read {theirs}={metric.reading}: one of {', '.join(QUANTITIES)} is expected")
        elif metric.unit and convert(1.0, metric.unit, quantity.unit) is None:
            mistakes.append(f"--read {theirs}: {metric.unit} cannot be converted to {quantity.unit}")
    if mistakes:
        return [], mistakes
    values = {}
    for decoded in seen.readings:
        metric = wish.reads.get(decoded.name, Metric(reading=decoded.name))
        quantity = QUANTITIES.get(metric.reading.partition("@")[0])
        value = math.nan if decoded.value is None else decoded.value
        if quantity is not None and metric.unit:
            converted = convert(value, metric.unit, quantity.unit)
            value = value if converted is None else converted
        values[metric.reading] = value
    if device is not None:  # what its decoder makes of the last payload with what is known now
        values.update(_decoded(seen, device, topics))
    names.update(dict.fromkeys(values))
    names.update(dict.fromkeys(metric.reading for metric in wish.reads.values()))
    for name, value in values.items():
        quantity = QUANTITIES.get(name.partition("@")[0])
        if quantity is not None and math.isfinite(value) and not quantity.fail[0] <= value <= quantity.fail[1]:
            mistakes.append(
                f"{name} was {value:g} {quantity.unit}, and no instrument gives less than {quantity.fail[0]:g} or more"
                f" than {quantity.fail[1]:g}: say its unit, for example --read NAME={name}:mm"
            )
    return list(names), mistakes


def _decoded(seen: Seen, device: Device, topics: Topics) -> dict[str, float]:
    source = Sources(topics, {(device.via, seen.id): (seen.id, device)}).find(seen.topic)
    if source is None or seen.length != len(seen.head):
        return {}
    rows = Rows()
    message = Message(seen.topic, seen.head, seen.last_us, seen.client)
    codecs.standard()[source.format](message.payload, source, message.received_us, 0, rows)
    return dict(zip(rows.name, rows.value, strict=True))


def _sensor(name: str, like: Station | None) -> Sensor:
    quantity, _, id = name.partition("@")
    same = next((s for s in like.sensor if s.quantity == quantity), None) if like else None
    return Sensor(quantity=quantity, id=id, **{key: getattr(same, key) for key in station_toml.LIMITS} if same else {})


def _cadence_s(seen: Seen) -> float:
    if seen.count < ARRIVALS_MIN:
        return 0.0
    between_s = (seen.last_us - seen.first_us) / 1e6 / (seen.count - 1)
    if between_s < BETWEEN_S_MIN:
        return 0.0
    return min(CADENCES_S, key=lambda cadence_s: abs(math.log(cadence_s / between_s)))


def _put(folder: Path, state: Path, text: str, environment: Mapping[str, str], *, write: bool) -> None:
    """Put a text behind stations.toml. What is checked is the file that takes its place."""
    path = (folder / "stations.toml").resolve()
    before, held = path.read_bytes(), path.stat()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(before + (b"" if before.endswith(b"\n") else b"\n") + text.encode())
            file.flush()
            os.fsync(file.fileno())
            if os.geteuid() == 0:
                os.fchown(file.fileno(), held.st_uid, held.st_gid)
            os.fchmod(file.fileno(), held.st_mode & 0o7777)
        world, mistakes = configuration.check(folder, state, environment, stations_file=beside)
        if world is None:
            raise ConfigError([mistake.text.replace(str(beside), str(path)) for mistake in mistakes])
        if path.read_bytes() != before:
            raise ConfigError([f"{path}: somebody changed it meanwhile; try again"])
        if write:
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
