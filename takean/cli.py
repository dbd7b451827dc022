"""The command line. Exit 0 done, 1 failed, 2 wrong usage or configuration."""

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from alerts import route, rules
from alerts.episode import Kind
from alerts.judge import StaleJournal
from alerts.ledger.accounts import open_accounts
from alerts.ledger.sql_engine import LedgerTooNew
from alerts.people import Role
from ingest import credentials
from sensors import stations
from sensors.stations import SECOND_US, ConfigError
from takean import clock, log, settings, wiring

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print the values of variables, and some are secrets
    help="Flood, rain and smoke early warning.",
)
user = typer.Typer(no_args_is_help=True, help="Local accounts.")
device = typer.Typer(no_args_is_help=True, help="Secrets of stations.")
app.add_typer(user, name="user")
app.add_typer(device, name="device")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

WRONG = 2
FAILED = 1
INVITE_US = 72 * 3600 * SECOND_US
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log every finished unit of work.")]


def main() -> None:
    """Run one command and exit with its code."""
    try:
        app()
    except ConfigError as error:
        for mistake in error.mistakes:
            _say("configuration", mistake)
        sys.exit(WRONG)
    except (OSError, StaleJournal, LedgerTooNew) as error:
        _say("failed", str(error))
        sys.exit(FAILED)


def _say(what: str, text: str) -> None:
    err.print(f"[red]{what}:[/red] {escape(text)}", soft_wrap=True)


@app.command("demo")
def demo_command(
    *,
    seed: Annotated[int, typer.Option(help="Of the storm and of every fault in it.")] = 1,
    speed: Annotated[float | None, typer.Option(min=1, max=100_000, help="Virtual seconds per second.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    mqtt_port: Annotated[int, typer.Option(min=0, max=65535)] = 1883,
    web_port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    map: Annotated[Path | None, typer.Option(help="GeoJSON to draw under the stations.", exists=True)] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder to keep the state in, and to go on from.")] = None,
    release: Annotated[
        str, typer.Option(help="auto: the exercise releases by itself; people: two officers do.")
    ] = "auto",
    record: Annotated[Path | None, typer.Option(help="CSV(.gz) to replay through the same devices.")] = None,
    value: Annotated[str, typer.Option(help="Column of the recording, named as its quantity.")] = "stage_m",
    threshold: Annotated[list[str] | None, typer.Option(help="watch|warning|critical=VALUE, for a recording.")] = None,
    start: Annotated[datetime | None, typer.Option("--from", help="First moment of the recording, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Its last moment.")] = None,
    verbose: Verbose = False,
) -> None:
    """Show a river rising, from simulated devices to a phone on screen. Ctrl-C ends it."""
    from takean import demo, scenes  # noqa: PLC0415  (the simulator brings pandas, which no other command needs)

    log.start(verbose=verbose)
    if release not in ("auto", "people"):
        raise typer.BadParameter("expected auto or people", param_hint="--release")
    options = scenes.Options(
        seed=seed,
        speed=speed,
        mqtt_port=mqtt_port,
        web_port=web_port,
        host=host,
        map_file=map,
        keep=keep,
        release="auto" if release == "auto" else "people",
        record=record,
        value=value,
        thresholds=tuple(_threshold(text) for text in threshold or ()),
        start=start,
        end=end,
    )
    stop, died = _stop_on_signals(), threading.Event()
    with demo.running(options, failed=_both(died, stop)) as (platform, links, playing):
        out.print("[bold]ตะเคียน · Takean[/bold]  การซ้อม ไม่ใช่เหตุจริง · an exercise, nothing here is real")
        out.print(f"  public page     {platform.url}/")
        out.print(f"  officer console {platform.url}/console")
        out.print(f"  preview phone   {platform.url}/preview")
        out.print(
            f"  devices (MQTT)  {platform.mqtt[0]}:{platform.mqtt[1]}, topics {wiring.TOPIC_PREFIX[Kind.EXERCISE]}/…"
        )
        for name, link in links.items():
            out.print(f"  {name}: set a password and sign in at", soft_wrap=True)
            out.print(f"    {link}", soft_wrap=True)
        out.print(f"  the clock runs x{playing.clock.speed:g}; Ctrl-C ends the demonstration")
        over = False
        while not stop.wait(1.0):
            if not over and playing.clock.now_us() > playing.end_us:
                over = True
                out.print("  the devices have played to their end and fall silent now; the pages stay until Ctrl-C")
    if died.is_set():
        raise typer.Exit(FAILED)
    out.print("ended; nothing is left running")


@app.command("run")
def run_command(*, verbose: Verbose = False) -> None:
    """Serve the configured world: devices, judgement, deliveries and pages. Ctrl-C or SIGTERM ends it."""
    log.start(verbose=verbose)
    stop, died = _stop_on_signals(), threading.Event()
    with ExitStack() as stack:
        world = _world()
        platform = wiring.build(stack, world, failed=_both(died, stop))
        out.print(f"pages {platform.url}/  devices {platform.mqtt[0]}:{platform.mqtt[1]}", soft_wrap=True)
        stop.wait()
    if died.is_set():
        raise typer.Exit(FAILED)


@user.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="2-40 of a-z 0-9 . _ -")],
    *,
    chosen: Annotated[Role | None, typer.Option("--role", help="What the account may do; viewer by default.")] = None,
) -> None:
    """Create an account, or a new one-time link for one that is there; prints the link's path."""
    accounts = open_accounts(settings.state_folder() / "ledger.sqlite")
    try:
        now_us = clock.real_us()
        there = accounts.names().get(name)
        if there is None:
            accounts.create(name, chosen or Role.VIEWER, now_us=now_us)
        elif chosen is not None and there is not chosen:
            raise ConfigError([f"{name} is there as {there}; a role is not changed by adding the account again"])
        token = accounts.invite(name, now_us=now_us, expires_us=now_us + INVITE_US)
    except ValueError as error:
        raise ConfigError([str(error)]) from error
    finally:
        accounts.close()
    out.print(f"/invite/{token}", soft_wrap=True)


@device.command("add")
def device_add(ids: Annotated[list[str], typer.Argument(metavar="STATION...", help="Ids of stations.toml")]) -> None:
    """Make a secret for each station and print it, once; an older one ends. Takes effect at the next start."""
    registry = stations.load(settings.config_folder() / "stations.toml")
    unknown = [station for station in ids if station not in registry.stations]
    if unknown:
        raise ConfigError([f"station {station!r} is not in stations.toml" for station in unknown])
    path = settings.state_folder() / f"devices.{settings.load(settings.config_folder()).world.kind}.json"
    held = _credentials(path)
    secrets = {station: credentials.generate() for station in ids}
    for station, secret in secrets.items():
        held = credentials.with_station(held, station, secret)
    credentials.save(path, held)
    for station, secret in secrets.items():
        out.print(f"{station} {secret}", soft_wrap=True)


def _world() -> wiring.World:
    folder, state = settings.config_folder(), settings.state_folder()
    held = settings.load(folder)
    registry = stations.load(folder / "stations.toml")
    judged = rules.compile_rules(rules.read(folder / "rules.toml"), registry, where=str(folder / "rules.toml"))
    routes = route.load(folder / "routes.toml", kind=held.world.kind)
    if missing := route.uncovered(routes, judged.rules):
        raise ConfigError(missing)
    return wiring.World(
        kind=held.world.kind,
        registry=registry,
        rules=judged,
        routes=routes,
        clock=clock.REAL,
        credentials=_credentials(state / f"devices.{held.world.kind}.json"),
        state=state,
        map_file=folder / held.web.map if held.web.map else settings.MAP,
        mqtt=(held.mqtt.host, held.mqtt.port),
        web=(held.web.host, held.web.port),
        public_url=held.web.public_url,
    )


def _credentials(path: Path) -> credentials.Credentials:
    try:
        return credentials.load(path)
    except FileNotFoundError:
        return credentials.create()
    except ValueError as error:
        raise ConfigError([str(error)]) from error


def _threshold(text: str) -> tuple[str, float]:
    word, _, value = text.partition("=")
    try:
        return word, float(value)
    except ValueError:
        raise ConfigError([f"--threshold {text}: expected for example critical=4.5"]) from None


def _both(died: threading.Event, stop: threading.Event) -> Callable[[BaseException], None]:
    def failed(error: BaseException) -> None:
        _say("failed", str(error))
        died.set()
        stop.set()

    return failed


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
