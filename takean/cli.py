"""The command line. Exit 0 done, 1 failed, 2 wrong usage or configuration."""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from alerts.people import Role
from takean import cli_backtest, cli_devices, cli_forecast, cli_rules, cli_stations, log, supervise

# Each command imports what it needs: the supervisor needs nothing, and each of its processes must be back at once.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print the values of variables, and some are secrets
    help="Flood, rain and smoke early warning.",
)
user = typer.Typer(no_args_is_help=True, help="Local accounts.")
app.add_typer(user, name="user")
app.add_typer(cli_devices.device, name="device")
app.add_typer(cli_devices.network, name="network")
app.add_typer(cli_stations.station, name="station")
app.add_typer(cli_devices.broker, name="broker")
app.add_typer(cli_rules.rules, name="rules")
app.add_typer(cli_forecast.forecast, name="forecast")
app.command("backtest")(cli_backtest.backtest)
app.command("replay")(cli_backtest.replay)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

WRONG = supervise.WRONG
FAILED = supervise.FAILED
INVITE_US = 72 * 3600 * 1_000_000
FILE_BYTES_MAX = 4 * 1024 * 1024
"""Of one that `decode` reads: a payload at its bound, as a dump in hexadecimal."""
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log every finished unit of work.")]


def main() -> None:
    """Run one command and exit with its code."""
    try:
        app()
    except Exception as error:
        sys.exit(told(error))


def told(error: Exception) -> int:
    """Say what went wrong, if it is of a kind that people can mend; the exit code."""
    from alerts.judge import StaleJournal  # noqa: PLC0415
    from alerts.ledger.sql_engine import LedgerTooNew  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean.exchange import ExchangeError  # noqa: PLC0415

    if isinstance(error, ConfigError):
        for mistake in error.mistakes:
            _say("configuration", mistake)
        return WRONG
    if isinstance(error, OSError | StaleJournal | LedgerTooNew | ExchangeError):
        _say("failed", str(error))
        return FAILED
    raise error


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
    from alerts.episode import Kind  # noqa: PLC0415
    from takean import demo, scenes  # noqa: PLC0415
    from takean.configuration import TOPIC_PREFIX  # noqa: PLC0415

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
        out.print(f"  devices (MQTT)  {platform.mqtt[0]}:{platform.mqtt[1]}, topics {TOPIC_PREFIX[Kind.EXERCISE]}/…")
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
    from takean import run  # noqa: PLC0415

    raise typer.Exit(run.main(verbose=verbose))


@app.command("check-config")
def check_config_command(
    *,
    json: Annotated[bool, typer.Option("--json", help="One object; its fields stand in docs/operate.md.")] = False,
) -> None:
    """Read the whole configuration and name every mistake in it; exit code 2 if there is one."""
    import msgspec  # noqa: PLC0415

    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean import clock, configuration, settings, tls_settings  # noqa: PLC0415
    from takean.shapes import Mistake  # noqa: PLC0415

    try:
        world, mistakes = configuration.check(settings.config_folder(), settings.state_path())
        if world is not None and world.tls is not None:
            mistakes = list(tls_settings.out_of_date(world.tls, clock.real_us()))
            world = None if mistakes else world
    except ConfigError as error:  # there is no folder to look at
        text = error.mistakes[0]
        world, mistakes = None, [Mistake(file="TAKEAN_CONFIG", place="", found=text, expected="a folder", do="Set it")]
        if not json:
            raise
    told = configuration.summary(world, mistakes)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    elif mistakes:
        for mistake in mistakes:
            _say("configuration", mistake.text)
        err.print(f"{len(mistakes)} to mend; nothing was started")
    else:
        out.print(
            f"{told.kind}: {told.stations} stations with {told.series} series, {told.devices_with_secret} of them with"
            f" a secret; {told.rules} rules, {told.routes} routes; {', '.join(told.ways_in)}",
            soft_wrap=True,
        )
    if mistakes:
        raise typer.Exit(WRONG)


@app.command("decode")
def decode_command(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Payloads, or hex or base64 of them; - reads stdin.")
    ],
    *,
    topic: Annotated[str, typer.Option(help="What they were published on; says format, station and device.")] = "",
    form: Annotated[str, typer.Option("--format", help="own, chirpstack, things_stack or sparkplug.")] = "",
    station: Annotated[str, typer.Option(help="Whose they are.")] = "",
    model: Annotated[str, typer.Option(help="LoRaWAN device; a FILE may then be its bare frame.")] = "",
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="What the model's decoder must know, off its label.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=255, help="fPort of a bare frame.")] = 1,
    stations: Annotated[Path | None, typer.Option(help="stations.toml with names and units of devices.")] = None,
    received: Annotated[str, typer.Option(help="When they arrived, as 2026-11-22 18:00; now by default.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One object; its fields stand in docs/decode.md.")] = False,
) -> None:
    """Show payloads as ingest would read them: format, readings and refusals; exit code 1 if anything is refused."""
    import msgspec  # noqa: PLC0415

    from ingest import codecs, times  # noqa: PLC0415
    from ingest.source import Format  # noqa: PLC0415
    from sensors.stations import load  # noqa: PLC0415
    from takean import clock, configuration, decode, decode_page  # noqa: PLC0415

    if form and form not in list(Format):
        raise typer.BadParameter(f"expected one of {', '.join(Format)}", param_hint="--format")
    received_us = times.read_us(received) if received else clock.real_us()
    if received_us is None:
        raise typer.BadParameter("expected a date with a time of day, as 2026-11-22 18:00", param_hint="--received")
    registry = load(stations) if stations else None
    source = decode.source_of(topic, list(configuration.TOPIC_PREFIX.values()), registry) if topic else None
    if topic and source is None:
        raise typer.BadParameter("no readings come by such a topic; see docs/wire.md", param_hint="--topic")
    try:
        parameters = decode.read_parameters(parameter or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--parameter") from None
    asked = decode.Asked(
        source=source,
        format=Format(form) if form else None,
        station=station,
        model=model,
        parameters=parameters,
        port=port,
        registry=registry,
    )
    held, found = codecs.standard(), []
    for file in files:
        found.append(decode.explain(file, _payload(file), asked, codecs=held, received_us=received_us))
        if not json:
            out.print(decode_page.told(found[-1]))
    report = decode.Report(ok=not any(each.refused for each in found), payloads=found)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    if not report.ok:
        raise typer.Exit(FAILED)


def _payload(file: str) -> bytes:
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from None
    if len(data) > FILE_BYTES_MAX:
        raise typer.BadParameter(f"{file}: more than {FILE_BYTES_MAX} bytes; no payload is so long", param_hint="FILE")
    return data


@app.command("reload")
def reload_command() -> None:
    """Check the configuration and have the running platform take it; about two seconds without judgement."""
    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean import configuration, settings  # noqa: PLC0415

    _, mistakes = configuration.check(settings.config_folder(), settings.state_path())
    if mistakes:
        raise ConfigError([mistake.text for mistake in mistakes])
    if not supervise.reload(settings.state_folder()):
        raise OSError(f"{settings.state_path()}: no `takean run` has this state folder")
    out.print("told: stations, rules, routes and settings are read again")


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="Where to; .csv or .parquet. It appears when it is whole.")],
    *,
    station: Annotated[list[str] | None, typer.Option(help="Only of this station; may be repeated.")] = None,
    quantity: Annotated[list[str] | None, typer.Option(help="Only this reading or quantity; may be repeated.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601; Thai time if no zone.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment that is not exported.")] = None,
    format: Annotated[str | None, typer.Option(help="csv or parquet; else as the file is named.")] = None,
    thai: Annotated[bool, typer.Option("--thai", help="With a second column of times in Thailand.")] = False,
) -> None:
    """Write stored readings with their flags to a file, whether or not the platform runs."""
    from takean import exchange_cli  # noqa: PLC0415

    done = exchange_cli.export(
        file,
        station=station or (),
        quantity=quantity or (),
        start=start,
        end=end,
        format=format,
        thai=thai,
        err=err,
    )
    out.print(f"{done.rows} readings of {done.series} series on {done.days} days: {escape(str(file))}", soft_wrap=True)


@app.command("import")
def import_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".csv or .parquet", exists=True)],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of each row.")] = False,
) -> None:
    """Put old readings out of files into the journal of the running platform; they are judged and warn nobody."""
    from takean import exchange_cli  # noqa: PLC0415

    found = exchange_cli.bring_in(files, dry=dry_run, err=err)
    new = "would be new" if dry_run else "stored"
    out.print(
        f"{found.stored} {new}, {found.repeat} there before, {found.conflict} contradict what is there,"
        f" {found.refused} refused",
        soft_wrap=True,
    )
    if found.refused:
        raise typer.Exit(FAILED)


@user.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="2-40 of a-z 0-9 . _ -")],
    *,
    chosen: Annotated[Role | None, typer.Option("--role", help="What the account may do; viewer by default.")] = None,
) -> None:
    """Create an account, or a new one-time link for one that is there; prints the link's path."""
    from alerts.ledger.accounts import open_accounts  # noqa: PLC0415
    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean import clock, settings  # noqa: PLC0415

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


def _threshold(text: str) -> tuple[str, float]:
    from sensors.stations import ConfigError  # noqa: PLC0415

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
