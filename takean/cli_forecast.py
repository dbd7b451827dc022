"""`takean forecast`: train a forecaster, and see what it says."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from api.forecast_schemas import ForecastOut, ReachOut

# Each command imports what it needs, as in takean.cli.

forecast = typer.Typer(no_args_is_help=True, help="Forecasters: train one, see what it says and what it is worth.")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@forecast.command("train")
def train(
    stations: Annotated[list[str] | None, typer.Argument(metavar="[STATION]...", help="None: all with water.")] = None,
    *,
    record: Annotated[Path | None, typer.Option(help="A bare recording: .csv, .csv.gz, .parquet", exists=True)] = None,
    value: Annotated[str | None, typer.Option(help="Its column of values.")] = None,
    time: Annotated[str, typer.Option(help="Its column of times, ISO 8601.")] = "time_utc",
    where: Annotated[list[str] | None, typer.Option(help="column=text: only such rows; may be repeated.")] = None,
    unit: Annotated[str, typer.Option(help="Of the values: m, cm or mm.")] = "m",
    cadence: Annotated[str | None, typer.Option(help="How often it promises a reading: 15min.")] = None,
    upstream: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN@6h", help="A gauge upstream: column, or column=text of rows.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--out", help="Where to write the forecaster of a record: .npz")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Learn from the past of stations, try it by rolling origin, and keep it for the horizons where it was worth it."""
    from takean import clock, forecast_file, forecast_history  # noqa: PLC0415
    from takean import forecast as work  # noqa: PLC0415
    from takean.exchange_cli import bar  # noqa: PLC0415

    if record is None:
        with bar(err) as show:
            for name, path, found in work.train_stations(stations or [], show=show):
                if as_json:
                    out.print(work.summary(found), soft_wrap=True, markup=False)
                else:
                    _say([f"{name}: {path}", *work.told(found)])
        return
    if value is None or stations:
        raise typer.BadParameter("--record needs --value, and no station")
    past = forecast_history.of_record(
        record,
        time=time,
        value=value,
        where=where or (),
        unit=unit,
        cadence_s=None if cadence is None else _seconds("--cadence", cadence),
        upstream=[_upstream(one) for one in upstream or ()],
    )
    with bar(err) as show:
        found = work.learn(past, now_us=clock.real_us(), progress=lambda done, of: show(record.name, done, of))
    if file is not None:
        forecast_file.save(file, found)
    if as_json:
        out.print(work.summary(found), soft_wrap=True, markup=False)
    else:
        _say(work.told(found))


@forecast.command("show")
def show_command(station: Annotated[str, typer.Argument(help="Station id.")]) -> None:
    """Say what is ahead of a station, who says it and why; of the running platform."""
    from api.forecast import forecast as ahead  # noqa: PLC0415
    from takean import clock, configuration, forecast_file, places, settings  # noqa: PLC0415
    from takean import forecast as work  # noqa: PLC0415
    from takean.exchange import ExchangeError  # noqa: PLC0415
    from takean.readings import readings_from_worker  # noqa: PLC0415

    state = settings.state_path()
    world = configuration.load(settings.config_folder(), state)
    path = forecast_file.path_of(places.forecasts_folder(world.state, world.kind), station)
    found = forecast_file.load(path) if path.exists() else None
    _say([f"{path}", *work.told(found)] if found is not None else ["ยังไม่มีแบบจำลอง · nothing was trained"])
    if station not in world.registry.stations:
        raise ExchangeError(f"{station}: no station of that id")
    with ExitStack() as stack:
        reader, status, _ = readings_from_worker(stack, world)
        if not status().alive:
            raise ExchangeError("the platform does not run: what is ahead is not known")
        now_us = clock.shown(world.clock, places.clock_file(world.state, world.kind)).now_us()
        said = ahead(world.registry, world.rules, reader, station, forecaster=found, now_us=now_us)
    if said is None:
        raise ExchangeError(f"{station}: it measures no water level")
    _say(_lines(said))


def _lines(said: "ForecastOut") -> list[str]:
    if said.stale or said.value is None:
        return [f"{said.why} · {said.english}"]
    assert said.age_s is not None
    who = {"learned": "แบบจำลอง · learned", "trend": "แนวโน้ม · trend"}[said.speaks]
    lines = [f"{said.value:.2f} {said.unit} ({said.age_s / 60:.0f} นาทีก่อน · min ago) · {who}"]
    if said.speaks == "trend":
        lines += [said.why, said.english]
    for step in said.horizons:
        lines.append(f"+{step.horizon_h:g} h  {step.p50:.2f} ({step.p10:.2f} - {step.p90:.2f}) {said.unit}")
    for one in said.thresholds:
        what = f"{one.word} {one.height:.2f} {said.unit}"
        lines.append(f"{what}: ถึงแล้ว · reached" if one.reached else f"{what}: {_when(one.learned, one.trend)}")
    return lines


def _when(learned: "ReachOut | None", trend: "ReachOut | None") -> str:
    def hours(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    said = [
        f"{name} {hours(one.expected_h)} h ({hours(one.first_h)} - {hours(one.last_h)})"
        for name, one in (("แบบจำลอง · learned", learned), ("แนวโน้ม · trend", trend))
        if one is not None
    ]
    return "; ".join(said) or "-"


def _say(lines: list[str]) -> None:
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


def _upstream(text: str) -> tuple[str, float]:
    name, sign, travel = text.rpartition("@")
    if not sign or not name:
        raise typer.BadParameter(f"--upstream {text}: expected column@6h or column=text@6h")
    return name, _seconds("--upstream", travel)


def _seconds(option: str, text: str) -> float:
    """`15min`, `1.5h`, `90s`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h)", text)
    if match is None or not float(match[1]) > 0:
        raise typer.BadParameter(f"{option} {text}: expected a time such as 15min, 1.5h or 90s")
    return float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]
