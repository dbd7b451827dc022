"""The commands for newcomers and the silent: who is not registered, who becomes a station, who is not heard."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from takean.cli_devices import kind, plain

if TYPE_CHECKING:
    from ingest.unregistered import Seen
    from sensors.stations import Metric

# Each command imports what it needs, as in takean.cli.

station = typer.Typer(no_args_is_help=True, help="Who is not registered, who is silent.")
out = Console(highlight=False)
Json = Annotated[bool, typer.Option("--json", help="One object; its fields stand in docs/onboarding.md.")]


@station.command("unregistered")
def station_unregistered(*, json: Json = False) -> None:
    """Who passed authentication and is not in stations.toml, with the last payload decoded."""
    import msgspec  # noqa: PLC0415

    listed = _listed()
    if json:
        sys.stdout.buffer.write(msgspec.json.encode({"unregistered": listed}) + b"\n")
        return
    for seen in listed:
        out.print(
            f"[bold]{plain(seen.id)}[/bold]  {seen.via}, {_when(seen.last_us)}, {seen.count} times", soft_wrap=True
        )
        out.print(f"  {plain(seen.topic)}", soft_wrap=True)
        for decoded in seen.readings:
            value = "-" if decoded.value is None else f"{decoded.value:g}"
            out.print(f"  {plain(decoded.name)} = {value}  {_when(decoded.time_us)}", soft_wrap=True)
        if seen.problem:
            out.print(f"  [red]{plain(seen.problem)}[/red]", soft_wrap=True)
    if not listed:
        out.print("nobody: everyone who speaks is registered")


@station.command("adopt")
def station_adopt(
    id: Annotated[str, typer.Argument(help="As `station unregistered` prints it")],
    *,
    name: Annotated[str, typer.Option(help="What people call the place, Thai.")],
    as_: Annotated[str, typer.Option("--as", help="Id of the station; left out: the device's own.")] = "",
    english: Annotated[str, typer.Option(help="The same in English.")] = "",
    area: Annotated[list[str] | None, typer.Option(help="Area it speaks for; again for more.")] = None,
    lat: Annotated[float | None, typer.Option()] = None,
    lon: Annotated[float | None, typer.Option()] = None,
    every: Annotated[float, typer.Option(min=0, help="Seconds between two readings that it promises.")] = 0.0,
    like: Annotated[str, typer.Option(help="A station whose area, place, cadence and limits hold for it too.")] = "",
    read: Annotated[
        list[str] | None, typer.Option(help="ITS_NAME=OURS[:UNIT], as in level=stage_m:cm; again for more.")
    ] = None,
    model: Annotated[str, typer.Option(help="Decoder of its raw payloads; docs/wire.md lists them.")] = "",
    parameter: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER, what the decoder must know.")] = None,
    via: Annotated[str, typer.Option(help="Where the list has one id twice.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be written.")] = False,
) -> None:
    """Write a station for an unregistered device into stations.toml, and have the platform take it."""
    from ingest.topics import Topics  # noqa: PLC0415
    from takean import configuration, onboarding, settings, supervise  # noqa: PLC0415

    state = settings.state_folder()
    wish = onboarding.Wish(
        id=id,
        via=via,
        station=as_,
        name=name,
        english=english,
        areas=tuple(area or ()),
        lat=lat,
        lon=lon,
        cadence_s=every,
        like=like,
        model=model,
        reads=dict(_read(text) for text in read or ()),
        parameters=dict(_parameter(text) for text in parameter or ()),
    )
    adopted = onboarding.adopt(
        wish,
        _listed(),
        folder=settings.config_folder(),
        state=state,
        topics=Topics(configuration.TOPIC_PREFIX[kind()]),
        write=not dry_run,
    )
    out.print(escape(adopted.text), soft_wrap=True)
    for note in adopted.notes:
        out.print(f"[yellow]{plain(note)}[/yellow]", soft_wrap=True)
    if dry_run:
        out.print("nothing was written")
    elif supervise.reload(state):
        told = "the running platform takes it now, with what it has sent"
        out.print(f"{adopted.station} is in stations.toml; {told}", soft_wrap=True)
    else:
        out.print(f"{adopted.station} is in stations.toml; nothing runs, it is taken at the next start", soft_wrap=True)


@station.command("review")
def station_review(
    series: Annotated[str, typer.Argument(metavar="STATION/READING", help="`WL-01/stage_m`")],
    *,
    from_: Annotated[str, typer.Option("--from", help="ISO 8601; a time without a zone is Thai time.")],
    to: Annotated[str, typer.Option(help="The same, not included; left out: the reading of that time alone.")] = "",
    flag: Annotated[int, typer.Option(min=1, max=4, help="1 good, 2 unknown, 3 suspect, 4 fail.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept beside the flag.")],
) -> None:
    """Say how far readings can be believed, as a person; every earlier flag is kept. Asks the running platform."""
    import getpass  # noqa: PLC0415
    import time  # noqa: PLC0415

    from sensors.stations import ConfigError  # noqa: PLC0415
    from sensors.store import Away  # noqa: PLC0415
    from takean import places, settings  # noqa: PLC0415
    from takean.exchange import THAI, moment  # noqa: PLC0415
    from takean.local_client import LocalOwner  # noqa: PLC0415

    try:
        from_us = moment(from_, naive=THAI)
        to_us = moment(to, naive=THAI) if to else from_us + 1
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    if not reason.strip() or from_us >= to_us:
        raise ConfigError(["--reason is empty, or --from is not before --to"])
    at_us = time.time_ns() // 1000
    with closing(LocalOwner(places.local_socket(settings.state_folder(), kind()))) as owner:
        try:
            count = owner.review(
                series,
                from_us=from_us,
                to_us=to_us,
                flag=flag,
                by=f"{getpass.getuser()} (takean)",
                reason=reason.strip(),
                at_us=at_us,
            )
        except Away as error:
            raise OSError(str(error)) from None
    if not count:
        raise OSError(f"{series}: nothing was measured then")
    out.print(f"{count} readings of {plain(series)} have flag {flag}", soft_wrap=True)


@station.command("silent")
def station_silent(*, json: Json = False) -> None:
    """Registered stations that were never heard, or not for longer than they promise. Asks the running platform."""
    import msgspec  # noqa: PLC0415

    from alerts.words import duration  # noqa: PLC0415
    from takean import configuration, onboarding, settings  # noqa: PLC0415
    from takean.readings import readings_from_worker  # noqa: PLC0415

    with ExitStack() as stack:
        world = configuration.load(
            settings.config_folder(), settings.state_folder(), {"TAKEAN_BROKER_PASSWORD": "the worker's"}
        )
        reader, status, _ = readings_from_worker(stack, world)
        if not (told := status()).alive:
            raise OSError(f"who is silent only the running platform can say: {told.reason}")
        time_us, _, _ = reader.latest(world.registry.keys())
    now_us = world.clock.now_us()
    silent = onboarding.silent(world.registry, world.rules, time_us, now_us)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode({"silent": silent}) + b"\n")
        return
    for each in silent:
        since = f"silent for {duration(now_us - each.heard_us)}" if each.heard_us else "never heard"
        out.print(f"[bold]{each.station}[/bold]  {plain(each.name)}  {since}", soft_wrap=True)
    if not silent:
        out.print("nobody: every registered station speaks")


def _listed() -> Sequence["Seen"]:
    from ingest.unregistered import Unregistered  # noqa: PLC0415
    from takean import places, settings  # noqa: PLC0415

    with closing(Unregistered(places.unregistered_file(settings.state_folder(), kind()))) as kept:
        return kept.list()


def _read(text: str) -> tuple[str, "Metric"]:
    from sensors.stations import ConfigError, Metric  # noqa: PLC0415

    theirs, _, ours = text.rpartition("=")
    reading, _, unit = ours.partition(":")
    if not theirs or not reading:
        raise ConfigError([f"--read {text}: expected for example level=stage_m:cm"])
    return theirs, Metric(reading=reading, unit=unit)


def _parameter(text: str) -> tuple[str, float]:
    from sensors.stations import ConfigError  # noqa: PLC0415

    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ConfigError([f"--parameter {text}: expected NAME=NUMBER"]) from None


def _when(time_us: int) -> str:
    from alerts.words import thai_clock, thai_date  # noqa: PLC0415

    return f"{thai_clock(time_us)} น. {thai_date(time_us, weekday=False)}"
