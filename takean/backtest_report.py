"""The report of a backtest: one HTML file that needs nothing else, with drawings made here. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

import numpy as np

from alerts.backtest import LevelChange
from alerts.comparison import WARNING, Scores, Target, spells
from alerts.skill import WINDOW_US, Skill, events
from sensors.batch import Float64, Int64
from sensors.trend import HOUR_US

WIDE, HIGH, LEFT, LOW = 720, 200, 46, 24
"""Of a drawing and its margins, px."""
POINTS = 600
"""A drawing shows the highest of each of so many stretches."""
SHOWN = 12
"""Floods and false alarms that are drawn of each height."""
BINS_H = (0.0, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 48.0)
HEADS = (
    *("สถานี · station", "rules", "hits", "misses", "false", "POD", "FAR", "CSI"),
    *("false a year", "lead h", "warnings a day"),
)
THAI = timedelta(hours=7)
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#16202a;margin:2rem auto;max-width:60rem;padding:0 1rem}
.wide{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0}h2,p,td:nth-child(2){overflow-wrap:anywhere}
td,th{border-bottom:1px solid #cfd8e0;padding:.25rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}svg{display:block;margin:.3rem 0 1.2rem}
.water{fill:none;stroke:#1d5f9e;stroke-width:1.5}.height{stroke:#b3261e;stroke-dasharray:5 4}
.new{fill:#e8830c;opacity:.35}.old{fill:#6b7785;opacity:.3}.worse{color:#8c1d18}text{font-size:11px;fill:#45525e}
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One rule set over the past."""

    name: str
    scores: Scores
    changes: Sequence[LevelChange]


def page(sets: Sequence[Judged], record: Mapping[int, tuple[Int64, Float64]], verdict: Sequence[str]) -> str:
    """The report as HTML.

    Parameters
    ----------
    sets : the rules that are tested, then those they are compared with
    record : times and values of each series with a height
    verdict : in what the first are worse than the others
    """
    parts = [
        "<!doctype html><html lang=th><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'><title>ผลย้อนหลัง · Backtest</title>",
        f"<style>{STYLE}</style><h1>ผลย้อนหลังของกติกา · Backtest of rules</h1>",
        *_verdict(sets, verdict),
        *_table(sets),
        "<h2>เตือนล่วงหน้า · Lead of the hits</h2>",
        *(f"<p>{escape(one.name)}</p>{leads(Skill.pooled(one.scores.values()))}" for one in sets),
    ]
    colours = zip(("ส้ม · orange", "เทา · grey"), sets, strict=False)
    legend = ", ".join(f"{colour}: {escape(one.name)}" for colour, one in colours)
    parts.append(f"<p>ช่วงที่เตือน · When a warning stood: {legend}</p>")
    for target in sorted(sets[0].scores):
        parts.append(f"<h2>{escape(target.station)} · {target.height:g} {target.unit}</h2>")
        parts += _drawings(target, sets, *record[target.series])
    return "\n".join(parts) + "\n"


def leads(skill: Skill) -> str:
    """How many hits came how early: a drawing of bars."""
    many, _ = np.histogram(np.array(skill.leads_us) / HOUR_US, bins=[*BINS_H[:-1], np.inf])
    step, top = (WIDE - LEFT) / len(many), max(1, int(many.max(initial=0)))
    bars = []
    for k, count in enumerate(many.tolist()):
        tall = (HIGH - 2 * LOW) * count / top
        x, y = LEFT + k * step, HIGH - LOW - tall
        bars.append(f'<rect class=new x="{x:.1f}" y="{y:.1f}" width="{step - 4:.1f}" height="{tall:.1f}"/>')
        label = f"{BINS_H[k]:g} - {BINS_H[k + 1]:g} h" if k + 2 < len(BINS_H) else f"{BINS_H[k]:g} h +"
        bars.append(f'<text x="{x:.1f}" y="{HIGH - 8}">{label}</text>')
        bars.append(f'<text x="{x:.1f}" y="{y - 4:.1f}">{count}</text>' if count else "")
    return _svg("".join(bars), "hits by lead")


def _verdict(sets: Sequence[Judged], verdict: Sequence[str]) -> Iterator[str]:
    if len(sets) < 2:
        return
    names = f"{escape(sets[0].name)} / {escape(sets[1].name)}"
    if not verdict:
        yield f"<p>ไม่ด้อยกว่าเดิม · Not worse than before ({names}).</p>"
        return
    items = "".join(f"<li>{escape(one)}</li>" for one in verdict)
    yield f"<p class=worse>ด้อยกว่าเดิม · Worse than before ({names}):</p><ul class=worse>{items}</ul>"


def _table(sets: Sequence[Judged]) -> Iterator[str]:
    yield "<div class=wide><table><tr>" + "".join(f"<th>{one}</th>" for one in HEADS) + "</tr>"
    for target in sorted(sets[0].scores):
        for one in sets:
            yield _row(f"{target.station} {target.height:g} {target.unit}", one.name, one.scores[target])
    for one in sets:
        yield _row("ทั้งหมด · all", one.name, Skill.pooled(one.scores.values()))
    yield "</table></div>"


def _row(who: str, rules: str, skill: Skill) -> str:
    numbers = (skill.pod, skill.far, skill.csi, skill.false_per_year, skill.lead_h(), skill.warnings_per_day)
    cells = [escape(who), escape(rules), *map(str, (skill.hits, skill.misses, skill.false_alarms))]
    cells += ["-" if np.isnan(number) else f"{number:.2f}" for number in numbers]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _drawings(target: Target, sets: Sequence[Judged], time_us: Int64, value: Float64) -> Iterator[str]:
    """Each flood, and each warning of none, with the warnings of all sets."""
    warned = [
        spells([c for c in one.changes if (c.place, c.hazard) == (target.station, target.hazard)], level=WARNING)
        for one in sets
    ]
    moments = [one.onset_us for one in events(time_us, value, target.height)]
    moments += [at for raised, _ in warned for at in raised]
    shown: list[int] = []
    for at in sorted(moments):
        if not shown or at - shown[-1] > WINDOW_US:
            shown.append(at)
    for at in shown[:SHOWN]:
        yield f"<p>{_thai(at)}</p>" + _hydrograph(target.height, warned, time_us, value, at)
    if len(shown) > SHOWN:
        yield f"<p>และอีก · and {len(shown) - SHOWN} more</p>"


def _hydrograph(
    height: float, warned: Sequence[tuple[list[int], list[int]]], time_us: Int64, value: Float64, at_us: int
) -> str:
    begin, end = at_us - WINDOW_US, at_us + WINDOW_US
    some = (time_us >= begin) & (time_us <= end) & ~np.isnan(value)
    times, values = time_us[some], value[some]
    bottom, top = float(np.min(values, initial=height)), float(np.max(values, initial=height))
    room = max(top - bottom, 1e-6)

    def x(at: float) -> float:
        return LEFT + (WIDE - LEFT) * (min(max(at, begin), end) - begin) / (end - begin)

    def y(level: float) -> float:
        return 8 + (HIGH - LOW - 8) * (1 - (level - bottom) / room)

    parts = []
    for css, (raised, until) in zip(("new", "old"), warned, strict=False):
        for start, stop in zip(raised, until, strict=True):
            if start <= end and stop >= begin:
                wide = max(x(stop) - x(start), 1.0)
                parts.append(
                    f'<rect class={css} x="{x(start):.1f}" y="8" width="{wide:.1f}" height="{HIGH - LOW - 8}"/>'
                )
    stretch = -(-len(times) // POINTS) or 1
    tops = [k + int(np.argmax(values[k : k + stretch])) for k in range(0, len(times), stretch)]
    line = " ".join(f"{x(int(times[k])):.1f},{y(float(values[k])):.1f}" for k in tops)
    parts.append(f'<polyline class=water points="{line}"/>')
    parts.append(f'<line class=height x1="{LEFT}" x2="{WIDE}" y1="{y(height):.1f}" y2="{y(height):.1f}"/>')
    parts += [f'<text x="2" y="{y(level) + 4:.1f}">{level:.2f}</text>' for level in {bottom, top, height}]
    parts += [f'<text x="{x(at):.1f}" y="{HIGH - 8}">{_thai(at)}</text>' for at in (begin, at_us)]
    return _svg("".join(parts), "readings with warnings")


def _svg(inside: str, label: str) -> str:
    return (
        f'<div class=wide><svg role=img aria-label="{label}" viewBox="0 0 {WIDE} {HIGH}" '
        f'width="{WIDE}" height="{HIGH}">{inside}</svg></div>'
    )


def _thai(time_us: int) -> str:
    """Time in Thailand, Buddhist year."""
    local = datetime.fromtimestamp(time_us // 1_000_000, tz=UTC) + THAI
    return f"{local.day}/{local.month}/{local.year + 543} {local:%H:%M}"
