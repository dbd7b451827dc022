"""Settings: one file and the environment, read once; an unknown key is an error."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from alerts.episode import Kind
from sensors.stations import ConfigError

SAMPLE = Path(__file__).parent / "sample"
"""The commented sample configuration that travels with the program."""
MAP = Path(__file__).parent.parent / "dashboards" / "web" / "static" / "map" / "base.geojson"
"""The sample's own map."""


class Mqtt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where devices connect."""

    host: str = "127.0.0.1"
    port: int = 1883


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


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`takean.toml`."""

    mqtt: Mqtt = Mqtt()
    web: Web = Web()
    world: World = World()


def config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Folder of takean.toml, stations.toml, rules.toml, routes.toml.

    Raises
    ------
    ConfigError : TAKEAN_CONFIG is not set
    """
    named = environment.get("TAKEAN_CONFIG")
    if not named:
        raise ConfigError(
            [f"TAKEAN_CONFIG is not set: name the folder of your configuration; copy {SAMPLE} to begin with"]
        )
    return Path(named)


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the journal, the ledger and the snapshots live; made where it is missing."""
    folder = Path(environment.get("TAKEAN_STATE", "var"))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def load(folder: Path) -> Settings:
    """Read `takean.toml`.

    Raises
    ------
    ConfigError : missing, not TOML, an unknown key or a wrong type
    """
    path = folder / "takean.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; copy {SAMPLE / 'takean.toml'} to begin with"]) from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
