"""The whole configuration, read once: a world that may go live, or everything that must be mended first."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from alerts import route, rules
from alerts.duty import Contact
from alerts.episode import Kind
from alerts.route import Route, Routes
from alerts.rules import Rule, RuleSet
from ingest import credentials
from ingest.broker_options import BrokerOptions
from ingest.certificates import TlsOptions
from ingest.codecs.lorawan import models
from ingest.credentials import Credentials
from ingest.serial import mistakes as serial_mistakes
from ingest.serial.options import SerialLine
from sensors import stations
from sensors.quantities import QUANTITIES
from sensors.stations import Area, ConfigError, Place, Registry, Station
from sensors.store.destination import Destination
from sensors.store.retention_policy import Policy
from sensors.units import convert
from takean import clock, mirror_settings, places, secret_file, settings, shapes, tls_settings
from takean.clock import Clock
from takean.settings import SAMPLE, Settings
from takean.shapes import Mistake

JOURNAL_DAYS_MIN = 7
"""Changed rules are judged again from the journal, and they look back three days and more."""
SHOWN = "the sample shows how"
TOPIC_PREFIX = {Kind.ACTUAL: "takean/v1", Kind.EXERCISE: "takean/drill/v1", Kind.TEST: "takean/drill/v1"}
"""An exercise is a second world with topics of its own (contract 6)."""


class StationsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`stations.toml`."""

    place: Place
    area: tuple[Area, ...]
    station: tuple[Station, ...]


class RulesFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`rules.toml`."""

    rule: tuple[Rule, ...]


class RoutesFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`routes.toml`."""

    route: tuple[Route, ...]
    contact: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that distinguishes one installation from another."""

    kind: Kind
    registry: Registry
    rules: RuleSet
    routes: Routes
    clock: Clock
    credentials: Credentials
    state: Path
    map_file: Path
    mqtt: tuple[str, int] | None
    """Where devices connect without TLS; None: nowhere."""
    tls: TlsOptions | None = None
    """Where they connect with TLS."""
    broker: BrokerOptions | None = None
    serial: Sequence[SerialLine] = ()
    """Instruments on this box's own lines."""
    mirrors: Sequence[Destination] = ()
    """Other servers that are sent every reading."""
    web: tuple[str, int]
    public_url: str = ""
    policy: Policy = field(default_factory=Policy)
    """How long readings are kept where."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `check-config --json` prints."""

    ok: bool
    mistakes: Sequence[Mistake] = ()
    kind: str = ""
    stations: int = 0
    series: int = 0
    rules: int = 0
    routes: int = 0
    ways_in: Sequence[str] = ()
    devices_with_secret: int = 0


def load(folder: Path, state: Path, environment: Mapping[str, str] = os.environ) -> World:
    """The world of a folder.

    Raises
    ------
    ConfigError : every mistake of every file
    """
    world, mistakes = check(folder, state, environment)
    if world is None:
        raise ConfigError([mistake.text for mistake in mistakes])
    return world


def check(
    folder: Path, state: Path, environment: Mapping[str, str] = os.environ, *, stations_file: Path | None = None
) -> tuple[World | None, Sequence[Mistake]]:
    """Read everything; the world only if there is no mistake at all. `stations_file` goes before the folder's."""
    files = {name: folder / f"{name}.toml" for name in ("takean", "stations", "rules", "routes")}
    files["stations"] = stations_file or files["stations"]
    held = settings.read(folder)
    there = shapes.read(
        files["stations"], StationsFile, sample=SAMPLE / "stations.toml", kept_at=places.stations_kept(state)
    )
    ruled = shapes.read(files["rules"], RulesFile, sample=SAMPLE / "rules.toml")
    routed = shapes.read(files["routes"], RoutesFile, sample=SAMPLE / "routes.toml")
    mistakes = [*held.mistakes, *there.mistakes, *ruled.mistakes, *routed.mistakes]
    kind = held.value.world.kind if held.value else Kind.ACTUAL

    registry, found = _registry(files["stations"], there.value)
    mistakes += found
    mistakes += _device_mistakes(files["stations"], there.value)
    judged: RuleSet | None = None
    if ruled.value is not None and registry is not None:
        broken = bool(there.mistakes or found)
        judged, more = _rules(files["rules"], ruled.value.rule, registry, stations_missing=broken)
        mistakes += more
    routes: Routes | None = None
    if routed.value is not None:
        try:
            routes = route.build(routed.value.route, routed.value.contact, kind=kind, where=str(files["routes"]))
        except ConfigError as error:
            mistakes += _told(files["routes"], error)
    if routes is not None and kind is Kind.ACTUAL:
        mistakes += _told(files["routes"], ConfigError([f"{files['routes']}: {m}" for m in route.unwatched(routes)]))
    if judged is not None and routes is not None and not routed.mistakes:
        missing = ConfigError([f"{files['routes']}: {m}" for m in route.uncovered(routes, judged.rules)])
        mistakes += _told(files["routes"], missing)

    broker: BrokerOptions | None = None
    mirrors: Sequence[Destination] = ()
    if held.value is not None:
        mistakes += _settings_mistakes(files["takean"], held.value)
        broker, more = _broker(files["takean"], held.value, environment)
        mistakes += more
        mistakes += _map_mistakes(files["takean"], held.value)
        mistakes += tls_settings.mistakes(files["takean"], held.value.mqtt)
        mirrors, more = mirror_settings.destinations(files["takean"], held.value, environment)
        mistakes += more
        mistakes += _serial(files["takean"], held.value, registry, broken=there.broken)
    secrets, more = _credentials(credentials_file(state, kind))
    mistakes += more
    if mistakes or held.value is None or registry is None or judged is None or routes is None or secrets is None:
        return None, mistakes
    web, mqtt = held.value.web, held.value.mqtt
    world = World(
        kind=kind,
        registry=registry,
        rules=judged,
        routes=routes,
        clock=clock.REAL,
        credentials=secrets,
        state=state,
        map_file=folder / web.map if web.map else settings.MAP,
        mqtt=(mqtt.host, mqtt.port) if mqtt.enabled and mqtt.plain else None,
        tls=tls_settings.options(folder, mqtt),
        broker=broker,
        serial=held.value.serial,
        mirrors=mirrors,
        web=(web.host, web.port),
        public_url=web.public_url,
        policy=Policy(journal_days=held.value.store.journal_days, days=held.value.store.days),
    )
    return world, ()


def summary(world: World | None, mistakes: Sequence[Mistake]) -> Summary:
    """In one object, for people and machines."""
    if world is None:
        return Summary(ok=False, mistakes=mistakes)
    ways = [f"mqtt {world.mqtt[0]}:{world.mqtt[1]}"] if world.mqtt else []
    ways += [f"mqtts {world.tls.host}:{world.tls.port}"] if world.tls else []
    if world.broker is not None:
        ways.append(f"broker {world.broker.host}:{world.broker.port}")
    ways += [f"serial {line.port}" for line in world.serial]
    return Summary(
        ok=True,
        kind=str(world.kind),
        stations=len(world.registry.stations),
        series=len(world.registry.series),
        rules=len(world.rules.rules),
        routes=len(world.routes.by),
        ways_in=ways,
        devices_with_secret=sum(s in world.credentials.digests for s in world.registry.stations),
    )


def _registry(path: Path, file: StationsFile | None) -> tuple[Registry | None, list[Mistake]]:
    """The stations, or as many of them as are without mistakes."""
    if file is None:
        return None, []
    try:
        return stations.build(place=file.place, areas=file.area, stations=file.station, where=str(path)), []
    except ConfigError as error:
        mistakes = _told(path, error)
    good = []
    for station in file.station:
        try:
            stations.build(place=file.place, areas=file.area, stations=[station])
            good.append(station)
        except ConfigError:
            continue
    try:
        return stations.build(place=file.place, areas=file.area, stations=good), mistakes
    except ConfigError:
        return None, mistakes


def _device_mistakes(path: Path, file: StationsFile | None) -> Iterator[Mistake]:
    for station in file.station if file else ():
        device = station.device
        for found, expected in models.mistakes(device) if device and device.via != "sparkplug" else ():
            yield _mistake(path, f"station {station.id}, device", found, expected, "docs/wire.md lists the models")
        for own, metric in device.names.items() if device else ():
            where = f"station {station.id}, device, names.{own}"
            if all(metric.reading != sensor.name for sensor in station.sensor):
                said = ", ".join(sensor.name for sensor in station.sensor)
                yield _mistake(
                    path, where, f"reading {metric.reading!r} is none of its sensors", said, "it would be lost"
                )
            quantity = QUANTITIES.get(metric.reading.partition("@")[0])
            if metric.unit and quantity is not None and convert(0.0, metric.unit, quantity.unit) is None:
                found = f"unit {metric.unit!r} does not convert"
                yield _mistake(path, where, found, f"{quantity.unit} or what converts to it", "it would be refused")


def _rules(
    path: Path, held: Sequence[Rule], registry: Registry, *, stations_missing: bool
) -> tuple[RuleSet | None, list[Mistake]]:
    try:
        return rules.compile_rules(held, registry, where=str(path)), []
    except ConfigError as error:
        mistakes = _told(path, error)
    if stations_missing:  # what follows from a station's own mistake is not another one
        mistakes = [m for m in mistakes if "no station measures" not in m.found and "stations.toml" not in m.found]
    return None, mistakes


def _told(path: Path, error: ConfigError) -> list[Mistake]:
    """Mistakes that were told as sentences: `file: place: what is wrong and what was expected`."""
    mistakes = []
    for text in error.mistakes:
        rest = text.removeprefix(f"{path}: ")
        place, colon, sentence = rest.partition(": ")
        if not colon:
            place, sentence = "", rest
        wanted = re.search(r"(?:but |; )?((?:must|expected|is not one of|needs?|use) .*)", sentence)
        mistakes.append(
            Mistake(
                file=str(path),
                place=place,
                found=sentence,
                expected=wanted[1].removeprefix("expected ") if wanted else "",
                do=f"Correct it; {SHOWN}",
            )
        )
    return mistakes


def _settings_mistakes(path: Path, held: Settings) -> Iterator[Mistake]:
    for name, port, low in (
        ("mqtt, port", held.mqtt.port, 0),
        ("mqtt, tls_port", held.mqtt.tls_port, 0),
        ("web, port", held.web.port, 0),
        ("broker, port", held.broker.port, 1),
    ):
        if not low <= port <= 65_535:
            yield _mistake(path, name, f"is {port}", f"a port, {low} to 65535", "Correct it")
    for name, days, least in (
        ("store, journal_days", held.store.journal_days, JOURNAL_DAYS_MIN),
        ("store, days", held.store.days, held.store.journal_days),
    ):
        if days < least:
            yield _mistake(path, name, f"is {days}", f"{least} or more", "Keep readings longer")
    if not held.mqtt.enabled and not held.broker.host and not held.serial:
        yield _mistake(
            path,
            "mqtt, enabled",
            "is false, and there is no broker and no serial line: no reading could come in",
            "one way in",
            "Set enabled = true, name a host under [broker], or add a [[serial]]",
        )
    same_port = held.mqtt.enabled and held.mqtt.port == held.web.port != 0
    if same_port and held.mqtt.host == held.web.host:
        yield _mistake(path, "web, port", f"is {held.web.port}, as of [mqtt]", "another port", "Choose another one")
    url = urlsplit(held.web.public_url)
    if held.web.public_url and (url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/")):
        do = "Write it as people type it"
        yield _mistake(path, "web, public_url", f"is {held.web.public_url!r}", "http(s)://host or host:port", do)


def _broker(path: Path, held: Settings, environment: Mapping[str, str]) -> tuple[BrokerOptions | None, list[Mistake]]:
    wanted, mistakes = held.broker, list[Mistake]()
    if not wanted.host:
        return None, []
    password = environment.get("TAKEAN_BROKER_PASSWORD", "")
    if wanted.password_file and not password:
        password, mistakes = secret_file.read(
            path.parent / wanted.password_file, what="the broker's password", key="password_file"
        )
    ca_file = str(path.parent / wanted.ca_file) if wanted.ca_file else ""
    if ca_file and not os.access(ca_file, os.R_OK):
        place, do = "broker, ca_file", "Put the certificates there"
        mistakes.append(_mistake(path, place, f"is {ca_file}, which cannot be read", "a PEM file", do))
    try:
        options = BrokerOptions(
            host=wanted.host,
            port=wanted.port,
            username=wanted.username,
            password=password,
            client_id=wanted.client_id,
            ca_file=ca_file,
            topics=wanted.topics,
            protocol=wanted.protocol,
        )
    except ValueError as error:
        if 1 <= wanted.port <= 65_535:  # said above
            mistakes.append(_mistake(path, "broker", str(error), "", "Correct it"))
        return None, mistakes
    return options, mistakes


def _serial(path: Path, held: Settings, registry: Registry | None, *, broken: Collection[str]) -> Iterator[Mistake]:
    """What follows from a station's own mistake is not another one."""
    if registry is None:
        return
    for place, found, expected, do in serial_mistakes.find(held.serial, registry, broken=broken):
        yield _mistake(path, place, found, expected, do)


def _map_mistakes(path: Path, held: Settings) -> Iterator[Mistake]:
    if not held.web.map:
        return
    file = path.parent / held.web.map
    try:
        drawn = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        do = "Put the map there, or leave map empty"
        yield _mistake(file, "", f"cannot be read: {error}", "a GeoJSON file", do)
        return
    if not isinstance(drawn, dict) or drawn.get("type") != "FeatureCollection":
        yield _mistake(file, "", "is no map", 'GeoJSON with "type": "FeatureCollection"', "Export it again")


def credentials_file(state: Path, kind: Kind) -> Path:
    """Where the hashes of secrets lie, of one world."""
    return state / f"devices.{kind}.json"


def _credentials(path: Path) -> tuple[Credentials | None, list[Mistake]]:
    try:
        return credentials.load(path), []
    except FileNotFoundError:
        return credentials.create(), []
    except (ValueError, OSError) as error:
        return None, [_mistake(path, "", str(error), "what `takean device add` wrote", "Restore it from a backup")]


def _mistake(path: Path, place: str, found: str, expected: str, do: str) -> Mistake:
    return Mistake(file=str(path), place=place, found=found, expected=expected, do=do)
