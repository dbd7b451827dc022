"""The commands for who may come in: secrets of stations and networks, and the broker's files."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from alerts.episode import Kind
    from ingest.credentials import Credentials

# Each command imports what it needs, as in takean.cli.

device = typer.Typer(no_args_is_help=True, help="Secrets of stations.")
network = typer.Typer(no_args_is_help=True, help="Secrets of those who speak for many stations.")
broker = typer.Typer(no_args_is_help=True, help="A broker in front of Takean.")
out = Console(highlight=False)

KEEP_OLD_DAYS = 30
DAY_US = 24 * 3600 * 1_000_000
TELL_LOOK_S = 0.1
KeepOld = Annotated[
    bool, typer.Option("--keep-old", help=f"Let the secret before this one in for {KEEP_OLD_DAYS} days more.")
]
Json = Annotated[bool, typer.Option("--json", help="One object; its fields stand in docs/onboarding.md.")]
Via = Literal["chirpstack", "things_stack", "sparkplug", "stations"]


@device.command("add")
def device_add(
    ids: Annotated[list[str], typer.Argument(metavar="STATION...", help="Ids of stations.toml")],
    *,
    keep_old: KeepOld = False,
    unregistered: Annotated[
        bool, typer.Option("--unregistered", help="Also for ids that are not in stations.toml yet.")
    ] = False,
) -> None:
    """Make a secret for each station and print it, once; an older one ends. A running platform takes it at once."""
    from ingest import credentials  # noqa: PLC0415
    from sensors import stations  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean import settings  # noqa: PLC0415

    registry = stations.load(settings.config_folder() / "stations.toml")
    unknown = [station for station in ids if station not in registry.stations]
    if unknown and not unregistered:
        say = "is not in stations.toml; --unregistered lets it in before it is"
        raise ConfigError([f"station {station!r} {say}" for station in unknown])
    until_us = _until_us() if keep_old else None
    _change_secrets(
        dict.fromkeys(ids),
        lambda held, name, secret: credentials.with_station(held, name, secret, keep_old_until_us=until_us),
    )


@device.command("remove")
def device_remove(
    ids: Annotated[list[str], typer.Argument(metavar="NAME...", help="Stations or networks")],
    *,
    old: Annotated[bool, typer.Option("--old", help="Only the secret that was kept beside a newer one.")] = False,
) -> None:
    """Shut stations or networks out; those that are connected are closed within a second."""
    from ingest import credentials  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415

    with _alone():
        path, held, _ = _secrets()
        if unknown := [name for name in ids if name not in (held.older if old else held.digests)]:
            raise ConfigError([f"{name} has no {'older ' if old else ''}secret" for name in unknown])
        for name in ids:
            held = credentials.without_old(held, name) if old else credentials.without(held, name)
        credentials.save(path, held)
    out.print(f"{', '.join(ids)}: {'the older secret lets' if old else 'let'} in no more")


@device.command("tell")
def device_tell(
    id: Annotated[str, typer.Argument(metavar="STATION")],
    order: Annotated[str, typer.Argument(help='A JSON object, as in \'{"do": "report"}\'; docs/wire.md, Commands')],
    *,
    expires: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds until the device may refuse it.")] = 60.0,
    wait: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds to wait for the answer.")] = 10.0,
) -> None:
    """Send a command to a device and print what becomes of it; exit code 1 where no answer came."""
    import secrets  # noqa: PLC0415
    import time  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from ingest.commands import Stage  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415
    from sensors.store import Away  # noqa: PLC0415
    from takean import local, places, settings  # noqa: PLC0415
    from takean.local_client import LocalOwner  # noqa: PLC0415

    try:
        asked = msgspec.json.decode(order, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigError([f"{order!r} is no command, {error}; a JSON object is expected"]) from None
    command = secrets.token_hex(4)
    with closing(LocalOwner(places.local_socket(settings.state_folder(), kind()))) as owner:
        try:
            fate = owner.order(local.OrderAsk(station=id, id=command, order=asked, expires_s=expires))
            end_s = time.monotonic() + wait
            while fate and fate.stage not in (Stage.ANSWERED, Stage.EXPIRED) and time.monotonic() < end_s:
                time.sleep(TELL_LOOK_S)
                fate = owner.fate(id, command)
        except Away as error:
            raise OSError(str(error)) from None
    if fate is None:
        raise OSError(f"command {command} is not known any more: the worker was started again")
    reached = f", was {fate.reached}" if fate.reached is not fate.stage else ""
    out.print(f"{command} {fate.stage}{reached}", soft_wrap=True)
    if fate.answer:
        out.print(plain(fate.answer.decode("utf-8", "replace")), soft_wrap=True)
    if fate.stage is not Stage.ANSWERED:
        raise typer.Exit(1)


@device.command("list")
def device_list() -> None:
    """Who has a secret, and for whom it speaks."""
    from alerts.words import thai_date  # noqa: PLC0415
    from sensors import stations  # noqa: PLC0415
    from takean import settings  # noqa: PLC0415

    registry = stations.load(settings.config_folder() / "stations.toml")
    _, held, _ = _secrets()
    now_us = _now_us()
    for name in sorted(held.digests):
        told = "station" if name in registry.stations else "station, not registered"
        if (speaks := held.networks.get(name)) is not None:
            told = f"network {speaks.via} {speaks.group or ', '.join(speaks.stations)}".strip()
        older = held.older.get(name)
        if older is not None and now_us < older.until_us:
            told += f"; an older secret until {thai_date(older.until_us, weekday=False)}"
        out.print(escape(f"{name}  {told}"), soft_wrap=True)
    without = [id for id, s in registry.stations.items() if id not in held.digests and s.device is None]
    for name in without:
        out.print(f"{name}  station, no secret", soft_wrap=True)


@network.command("add")
def network_add(
    name: Annotated[str, typer.Argument(help="Its user name, 1-32 of A-Z a-z 0-9 _ -")],
    *,
    via: Annotated[Via, typer.Option(help="What it is: a network server, a Sparkplug group, a gateway of stations.")],
    group: Annotated[str, typer.Option(help="Of sparkplug: the group id.")] = "",
    station: Annotated[list[str] | None, typer.Option(help="Of stations: one it speaks for; again for more.")] = None,
    keep_old: KeepOld = False,
) -> None:
    """Make a secret for a network and print it, once; an older one ends, and so do older rights."""
    from ingest import credentials  # noqa: PLC0415
    from ingest.networks import Network  # noqa: PLC0415
    from sensors import stations  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean import settings  # noqa: PLC0415

    if name in stations.load(settings.config_folder() / "stations.toml").stations:
        raise ConfigError([f"{name} is a station of stations.toml; a network needs a name of its own"])
    wanted = Network(via=via, group=group, stations=tuple(station or ()))
    until_us = _until_us() if keep_old else None

    def change(held: "Credentials", name: str, secret: str) -> "Credentials":
        return credentials.with_network(held, name, wanted, secret, keep_old_until_us=until_us)

    _change_secrets({name: wanted}, change)


@broker.command("config")
def broker_config_command(
    *,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to, where Mosquitto reads them.")],
    listen: Annotated[str, typer.Option(help="Address the broker listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8883,
    host: Annotated[list[str] | None, typer.Option(help="Name by which devices dial it; again for more.")] = None,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Make a new one for Takean itself.")] = False,
) -> None:
    """Write Mosquitto's password file, access list, certificates and configuration from stations and networks."""
    from ingest.topics import Topics  # noqa: PLC0415
    from takean import broker_config, configuration, settings  # noqa: PLC0415

    _, held, served = _secrets()
    written = broker_config.write(
        folder,
        state=settings.state_folder(),
        topics=Topics(configuration.TOPIC_PREFIX[served]),
        held=held,
        listener=broker_config.Listener(address=listen, port=port, names=tuple(host or ())),
        now_us=_now_us(),
        renew=new_secret,
    )
    for path in written.files:
        out.print(escape(str(path)), soft_wrap=True)
    out.print(f"\n{len(held.digests)} names may come in. In takean.toml:\n", soft_wrap=True)
    out.print(escape(written.settings), soft_wrap=True)


def kind() -> "Kind":
    """Of the configured world."""
    from takean import settings  # noqa: PLC0415

    return settings.load(settings.config_folder()).world.kind


def _secrets() -> tuple[Path, "Credentials", "Kind"]:
    from ingest import credentials  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean import configuration, settings  # noqa: PLC0415

    served = kind()
    path = configuration.credentials_file(settings.state_folder(), served)
    try:
        return path, credentials.load(path), served
    except FileNotFoundError:
        return path, credentials.create(), served
    except ValueError as error:
        raise ConfigError([str(error)]) from error


def _change_secrets(names: Iterable[str], change: Callable[["Credentials", str, str], "Credentials"]) -> None:
    """Make a secret for each name, keep its hash, print it."""
    from ingest import credentials  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415

    made = {name: credentials.generate() for name in names}
    with _alone():
        path, held, _ = _secrets()
        try:
            for name, secret in made.items():
                held = change(held, name, secret)
        except ValueError as error:
            raise ConfigError([str(error)]) from error
        credentials.save(path, held)
    for name, secret in made.items():
        out.print(f"{name} {secret}", soft_wrap=True)


def _alone() -> AbstractContextManager[int]:
    from takean import alone, settings  # noqa: PLC0415

    return alone.alone(settings.state_folder())


def _until_us() -> int:
    return _now_us() + KEEP_OLD_DAYS * DAY_US


def _now_us() -> int:
    """By the clock that the worker goes by: after a power cut the wall clock may stand at 1970."""
    from takean import clock, places, settings  # noqa: PLC0415

    return clock.shown(clock.REAL, places.clock_file(settings.state_folder(), kind())).now_us()


def plain(text: str) -> str:
    """What a device wrote, without what a terminal would obey."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
