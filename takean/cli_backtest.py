"""`takean backtest` and `takean replay`: rules over the past."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from takean import supervise

if TYPE_CHECKING:
    from alerts.skill import Skill

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
FAILED = supervise.FAILED


def backtest(
    files: Annotated[list[Path] | None, typer.Argument(help="Exported readings; none: the store.", exists=True)] = None,
    *,
    rules: Annotated[Path | None, typer.Option(help="Rules to test; else the configured ones.", exists=True)] = None,
    against: Annotated[Path | None, typer.Option(help="Rules to compare with: exit 1 if worse.", exists=True)] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write a report: .html")] = None,
    record: Annotated[Path | None, typer.Option(help="A bare recording: .csv, .csv.gz, .parquet", exists=True)] = None,
    value: Annotated[str | None, typer.Option(help="Its column of values.")] = None,
    threshold: Annotated[list[str] | None, typer.Option(help="critical=3.9; also warning=, watch=.")] = None,
    time: Annotated[str, typer.Option(help="Its column of times, ISO 8601.")] = "time_utc",
    where: Annotated[list[str] | None, typer.Option(help="column=text: only such rows; may be repeated.")] = None,
    unit: Annotated[str, typer.Option(help="Of the values and thresholds: m, cm, mm or ug/m3.")] = "m",
    cadence: Annotated[str | None, typer.Option(help="How often it promises a reading: 15min.")] = None,
    bed: Annotated[float | None, typer.Option(help="Height of the bed, for rules in fractions of the bank.")] = None,
    warnings: Annotated[Path | None, typer.Option(help="Where to write each change of the judged level: .csv")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Judge the past as it would have been judged live, and say what the warnings were worth."""
    if record is None:
        if value or threshold or where or warnings or cadence or bed is not None:
            raise typer.BadParameter("--value, --threshold, --where, --warnings, --cadence and --bed need --record")
        _stations(files or [], rules=rules, against=against, report=report, as_json=as_json)
        return
    if value is None:
        raise typer.BadParameter("--record needs --value")
    if files or against or report:
        raise typer.BadParameter("--record stands alone: no exported files, no --against, no --report")
    given = _thresholds(threshold or ())
    from alerts.rules import read as read_rules  # noqa: PLC0415
    from takean import backtest as past  # noqa: PLC0415
    from takean import backtest_record  # noqa: PLC0415
    from takean.exchange_cli import bar  # noqa: PLC0415

    cadence_s = None if cadence is None else _seconds(cadence)
    found = backtest_record.read(record, time=time, value=value, where=where or (), unit=unit)
    heights = {level: backtest_record.canonical(height, unit) for level, height in given.items()}
    if bed is not None:
        heights["bed"] = backtest_record.canonical(bed, unit)
    found, heights = backtest_record.grounded(found, heights)
    bed = heights.pop("bed", None)
    judged_by = backtest_record.default_rules() if rules is None else read_rules(rules)
    by = backtest_record.stages(found, heights, cadence_s=cadence_s, bed=bed, rules=judged_by)
    with bar(err) as show:
        tested = past.run(found, by, progress=lambda done, of: show(record.name, done, of))
    if warnings is not None:
        past.write(warnings, tested.changes)
    if as_json:
        out.print(past.summary(tested, heights), soft_wrap=True, markup=False)
        return
    for level, height in heights.items():
        out.print(f"{level} {given[level]:g} {unit}: {_said(tested.skill(height))}", soft_wrap=True)


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Exported readings.", exists=True)],
    *,
    speed: Annotated[float | None, typer.Option(help="1 is real time; none: at once.", min=0.001)] = None,
) -> None:
    """Play recorded readings through the whole judge, on a ledger in memory; print each event as a line of JSON."""
    from takean import backtest_history, configuration, settings  # noqa: PLC0415
    from takean import replay as played  # noqa: PLC0415
    from takean.exchange_cli import bar  # noqa: PLC0415

    world = configuration.load(settings.config_folder(), settings.state_path())
    with bar(err) as show:
        history = backtest_history.of_files(files, world.registry, refused=_refused, progress=show)
        for event in played.replay(history, world, speed=speed, progress=lambda done, of: show("replay", done, of)):
            out.print(played.line(event), soft_wrap=True, markup=False)


def _refused(path: Path, line: int, text: str) -> None:
    err.print(f"{escape(str(path))}:{line}: {escape(text)}", soft_wrap=True)


def _stations(
    files: list[Path], *, rules: Path | None, against: Path | None, report: Path | None, as_json: bool
) -> None:
    from alerts.skill import Skill  # noqa: PLC0415
    from takean import backtest_stations  # noqa: PLC0415
    from takean.exchange_cli import bar  # noqa: PLC0415

    with bar(err) as show:
        found = backtest_stations.of_world(files, rules=rules, against=against, refused=_refused, show=show)
    if report is not None:
        report.write_text(found.html, encoding="utf-8")
    if as_json:
        out.print(found.summary(), soft_wrap=True, markup=False)
    else:
        for one in found.sets:
            out.print(f"{escape(one.name)}: {_said(Skill.pooled(one.scores.values()))}", soft_wrap=True)
        for sentence in found.worse:
            out.print(f"worse: {escape(sentence)}", soft_wrap=True)
    if found.worse:
        raise typer.Exit(FAILED)


def _said(skill: "Skill") -> str:
    years = skill.covered_us / 31_557_600e6
    lead = f", median lead {skill.lead_h():.1f} h" if skill.hits else ""
    return f"{skill.hits} hits, {skill.misses} misses, {skill.false_alarms} false alarms in {years:.1f} years{lead}"


def _thresholds(texts: Sequence[str]) -> dict[str, float]:
    """By level; each once, and a higher level higher."""
    given = dict(_threshold(one) for one in texts)
    if "critical" not in given:
        raise typer.BadParameter("--record needs --threshold critical=…")
    if len(given) < len(texts):
        raise typer.BadParameter("--threshold: a level is given twice")
    heights = [given[level] for level in ("watch", "warning", "critical") if level in given]
    if any(low >= high for low, high in pairwise(heights)):
        raise typer.BadParameter("--threshold: watch must be below warning, and warning below critical")
    return given


def _threshold(text: str) -> tuple[str, float]:
    level, sign, height = text.partition("=")
    if level not in ("watch", "warning", "critical") or not sign:
        raise typer.BadParameter(f"--threshold {text}: expected critical=3.9, warning=… or watch=…")
    try:
        number = float(height)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise typer.BadParameter(f"--threshold {text}: {height!r} is no number")
    return level, number


def _seconds(text: str) -> float:
    """`15min`, `1h`, `90s`."""
    for unit, seconds in (("min", 60.0), ("h", 3600.0), ("s", 1.0)):
        if text.endswith(unit):
            try:
                found = float(text.removesuffix(unit)) * seconds
            except ValueError:
                break
            if 0 < found < math.inf:
                return found
            break
    raise typer.BadParameter(f"--cadence {text}: expected 15min, 1h or 90s")
