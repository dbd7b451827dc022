"""Settings: one file and the environment, read once; an unknown key is an error."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from alerts.episode import Kind
from ingest.serial.options import SerialLine
from takean import shapes
from takean.shapes import Read

SAMPLE = Path(__file__).parent / "sample"
"""The commented sample configuration that travels with the program."""
MAP = Path(__file__).parent.parent / "dashboards" / "web" / "static" / "map" / "base.geojson"
"""The sample's own map."""


class Mqtt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where devices connect."""

    enabled: bool = True
    host: str = "127.0.0.1"
    plain: bool = True
    """Whether without TLS."""
    port: int = 1883
    certificate_file: str = ""
    """Beside this file, or absolute; empty: no TLS."""
    key_file: str = ""
    tls_port: int = 8883


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A broker to take readings from, beside our own endpoint or instead of it."""

    host: str = ""
    """Empty: none."""
    port: int = 1883
    username: str = ""
    password_file: str = ""
    """Beside this file, or absolute; TAKEAN_BROKER_PASSWORD goes before it."""
    client_id: str = ""
    """Names our session at the broker; empty: made from the topics."""
    ca_file: str = ""
    """Certificates (PEM) that the broker's is checked with; empty: no TLS."""
    topics: tuple[str, ...] = ()
    """Of network servers and Sparkplug nodes, beside those of our own devices."""
    protocol: Literal["5", "3.1.1"] = "5"


class Web(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where browsers connect."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    """As people type it; empty: http://host:port."""
    map: str = ""
    """A GeoJSON file to draw under the stations, beside this file; empty: the sample's."""


class World(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which world this installation serves."""

    kind: Kind = Kind.ACTUAL


class Mirror(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another server that is sent every reading; see docs/mirrors.md."""

    name: str
    kind: Literal["influxdb", "victoriametrics"]
    url: str
    bucket: str = "takean"
    org: str = ""
    """Of InfluxDB 2."""
    token_file: str = ""
    """Beside this file, or absolute; where none is named, TAKEAN_MIRROR_TOKEN is used."""
    ca_file: str = ""
    """Certificates (PEM) that the server's is checked with; empty: the system's."""


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long readings are kept where; hours of them are kept for ever. See docs/operate.md."""

    journal_days: int = 30
    days: int = 400


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`takean.toml`."""

    mqtt: Mqtt = Mqtt()
    broker: Broker = Broker()
    web: Web = Web()
    world: World = World()
    store: Store = Store()
    serial: tuple[SerialLine, ...] = ()
    """Instruments on this box's own serial lines."""
    mirror: tuple[Mirror, ...] = ()


def config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Folder of takean.toml, stations.toml, rules.toml, routes.toml.

    Raises
    ------
    ConfigError : TAKEAN_CONFIG is not set
    """
    named = environment.get("TAKEAN_CONFIG")
    if not named:
        from sensors.stations import ConfigError  # noqa: PLC0415  (NumPy comes with it, which the dispatcher spares)

        raise ConfigError(
            [f"TAKEAN_CONFIG is not set: name the folder of your configuration; copy {SAMPLE} to begin with"]
        )
    return Path(named)


def state_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the journal, the ledger and the snapshots live."""
    return Path(environment.get("TAKEAN_STATE", "var"))


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The same, made where it is missing."""
    folder = state_path(environment)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def load(folder: Path) -> Settings:
    """Read `takean.toml`.

    Raises
    ------
    ConfigError : missing, not TOML, unknown keys, wrong types
    """
    found = read(folder)
    if found.value is None or found.mistakes:
        from sensors.stations import ConfigError  # noqa: PLC0415

        raise ConfigError([mistake.text for mistake in found.mistakes])
    return found.value


def read(folder: Path) -> Read[Settings]:
    """`takean.toml` and its mistakes."""
    return shapes.read(folder / "takean.toml", Settings, sample=SAMPLE / "takean.toml")
