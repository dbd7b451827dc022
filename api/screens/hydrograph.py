"""From readings to a drawing: what was measured, is missing, is doubted, and the lines it is compared with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from alerts.words import duration, thai_clock, thai_date
from api.screens.chart_words import BANGKOK_US, DOUBTED, rows, summary, table_step, when
from api.screens.facts import DAY_US, HOUR_US, Facts
from api.screens.past import GAP_CADENCES, Past, bands
from api.screens.stations import Observed, thresholds
from api.screens.words import FLAG_WORDS, UNIT_WORDS, level_word, number
from api.views.chart import Bar, Chart, ChartLine, Span, Spot, Threshold, Tick
from sensors.batch import Bool, Float64, Int64
from sensors.flags import Flag, usable
from sensors.quantities import QUANTITIES
from sensors.store import History

AHEAD = 0.03
"""Share of the time axis after now."""
RAIN_SHARE = 0.26
"""Of the plot's height, from the top."""
RAIN_AXIS_MIN_MM = 20
BUCKETS = 500
"""A run is thinned to first, lowest, highest and last of so many stretches: what a screen can show of it."""
LABEL_GAP = 6.5
"""Least distance of two labels, % of the height."""
TICKS_MAX = 7
_TICK_HOURS = (1, 2, 3, 6, 12, 24, 48)


@dataclass(frozen=True, slots=True)
class _Frame:
    """From time and value to % of the plot."""

    from_us: int
    to_us: int
    low: float
    high: float

    def x(self, time_us: float) -> float:
        return round(100 * (time_us - self.from_us) / (self.to_us - self.from_us), 3)

    def y(self, value: float) -> float:
        return round(100 * (self.high - value) / (self.high - self.low), 3)


def chart(facts: Facts, observed: Observed, past: Past) -> Chart:
    """Draw the main series of a station over a window.

    Parameters
    ----------
    observed : the station now
    past : the window
    """
    series = facts.registry.series[observed.series]
    quantity = QUANTITIES[series.quantity]
    rain_only = series.quantity == "rain_mm"
    good = usable(past.main.flag) & np.isfinite(past.main.value)
    frame_to = past.to_us + round(AHEAD * (past.to_us - past.from_us))
    # A rule about rain speaks of a sum over many hours: across hourly bars its line would say something else.
    levels = () if rain_only else thresholds(facts, observed)
    hours = _hourly(past.main if rain_only else past.rain, past.from_us)
    low, high, top = _range(past.main.value[good], levels, hours, rain_only=rain_only, hangs=bool(past.gauge))
    frame = _Frame(past.from_us, frame_to, low, high)
    runs = unbroken(past.main.time_us, good, series.cadence_us)
    gaps = _gaps(past, good, series.cadence_us)
    lines = () if rain_only else tuple(_lines(frame, levels))
    unit, decimals = UNIT_WORDS[quantity.unit], quantity.decimals
    gauge = facts.registry.stations.get(past.gauge)
    step_us = table_step(past)
    return Chart(
        key=series.key,
        title=f"{quantity.thai}{'และฝน' if gauge else ''}",
        unit=unit,
        from_top=not rain_only,
        runs=() if rain_only else tuple(_points(frame, past.main, run) for run in runs if len(run) > 1),
        lonely=()
        if rain_only
        else tuple(_spot(frame, past.main, int(r[0]), unit, decimals) for r in runs if len(r) == 1),
        doubted=()
        if rain_only
        else tuple(
            _spot(frame, past.main, int(i), unit, decimals)
            for i in np.flatnonzero(np.isin(past.main.flag, DOUBTED) & np.isfinite(past.main.value))
        ),
        gaps=tuple(_span(frame, a, b, "missing", f"ไม่มีข้อมูล {duration(b - a)} · {when(a)}–{when(b)}") for a, b in gaps),
        zones=tuple(_zones(frame, levels, top)),
        lines=lines,
        bars=tuple(_bars(frame, hours, past.to_us, hangs=not rain_only)),
        bars_name=f"ฝน มม./ชม. · {gauge.id} {gauge.name}" if gauge else "ฝน มม./ชม." if rain_only else "",
        bar_ticks=tuple(_bar_ticks(hours)) if gauge else (),
        x_ticks=_x_ticks(frame, past.to_us),
        y_ticks=_y_ticks(frame, top, decimals if series.quantity == "stage_m" else 0),
        now_at=frame.x(past.to_us),
        newest=_spot(frame, past.main, int(runs[-1][-1]), unit, decimals) if runs and not rain_only else None,
        quality=_quality(frame, past, gaps),
        levels=tuple(_judged(frame, past)),
        rows=rows(past, good, step_us, decimals),
        step_text=f"ราย {duration(step_us)}",
        summary=summary(facts, observed, past, good, gaps, hours, unit, decimals),
    )


def unbroken(time_us: Int64, good: Bool, cadence_us: int) -> list[NDArray[np.intp]]:
    """Rows of each unbroken line: a doubted reading ends it, and so does a gap."""
    rows = np.flatnonzero(good)
    if not len(rows):
        return []
    broken = (np.diff(rows) > 1) | (np.diff(time_us[rows]) > GAP_CADENCES * cadence_us)
    return np.split(rows, np.flatnonzero(broken) + 1)


def _gaps(past: Past, good: Bool, cadence_us: int) -> list[tuple[int, int]]:
    """Stretches without a usable reading, longer than a promise three times broken."""
    marks = past.main.time_us[good].tolist()
    marks = [*([past.from_us] if past.heard_before or not marks else []), *marks, past.to_us]
    if len(marks) < 2 or (not past.heard_before and not good.any()):
        return []
    return [(a, b) for a, b in pairwise(marks) if b - a > GAP_CADENCES * cadence_us]


def _range(
    value: Float64, levels: Sequence[Threshold], hours: Sequence[tuple[int, float]], *, rain_only: bool, hangs: bool
) -> tuple[float, float, float]:
    """Lowest and highest value of the plot, and where its level part ends under the rain."""
    if rain_only:
        most = 1.15 * max(5.0, *(mm for _, mm in hours), 0.0)
        return 0.0, most, most
    shown = [*([float(value.min()), float(value.max())] if len(value) else []), *(t.value for t in levels)]
    if not shown:
        return 0.0, 1.0, 1.0
    margin = max(0.12 * (max(shown) - min(shown)), 0.1)
    low, top = min(shown) - margin, max(shown) + margin
    return low, low + (top - low) / (1 - RAIN_SHARE) if hangs else top, top


def _points(frame: _Frame, history: History, rows: NDArray[np.intp]) -> str:
    kept = _thinned(history, rows, frame)
    return " ".join(
        f"{10 * frame.x(t):.1f},{10 * frame.y(v):.1f}"
        for t, v in zip(history.time_us[kept].tolist(), history.value[kept].tolist(), strict=True)
    )


def _thinned(history: History, rows: NDArray[np.intp], frame: _Frame) -> NDArray[np.intp]:
    if len(rows) <= 2 * BUCKETS:
        return rows
    bucket = (history.time_us[rows] - frame.from_us) * BUCKETS // (frame.to_us - frame.from_us)
    kept: set[int] = set()
    for part in np.split(rows, np.flatnonzero(np.diff(bucket)) + 1):
        value = history.value[part]
        kept.update((int(part[0]), int(part[value.argmin()]), int(part[value.argmax()]), int(part[-1])))
    return np.array(sorted(kept), dtype=np.intp)


def _spot(frame: _Frame, history: History, row: int, unit: str, decimals: int) -> Spot:
    time_us, value, flag = int(history.time_us[row]), float(history.value[row]), int(history.flag[row])
    y = frame.y(value)
    word = "" if flag == Flag.GOOD else f" · {FLAG_WORDS[flag]}"
    return Spot(
        x=frame.x(time_us),
        y=min(max(y, 1.0), 99.0),
        text=f"{when(time_us)} {number(value, decimals)} {unit}{word}",
        beyond=not 0 <= y <= 100,
    )


def _span(frame: _Frame, start: int, end: int, name: str, text: str) -> Span:
    at = max(0.0, frame.x(start))
    return Span(at=at, width=round(frame.x(end) - at, 3), name=name, text=text)


def _zones(frame: _Frame, levels: Sequence[Threshold], top: float) -> list[tuple[int, float, float]]:
    """From each threshold to the next one above; the bank begins no level of its own."""
    steps = sorted((t for t in levels if t.level), key=lambda t: t.value)
    ends = [*(t.value for t in steps), top]
    return [
        (t.level, frame.y(end), round(frame.y(t.value) - frame.y(end), 3))
        for t, end in zip(steps, ends[1:], strict=True)
    ]


def _lines(frame: _Frame, levels: Sequence[Threshold]) -> list[ChartLine]:
    """One line per height: where bank and threshold coincide, one label names both."""
    at: dict[float, list[Threshold]] = {}
    for line in sorted(levels, key=lambda t: (t.value, t.level)):
        at.setdefault(round(line.value, 3), []).append(line)
    lines: list[ChartLine] = []
    last = 100.0 + LABEL_GAP
    for value, same in at.items():
        words = [t.label.rpartition(" ")[0] for t in same]
        last = min(frame.y(value), last - LABEL_GAP)
        lines.append(
            ChartLine(
                level=max(t.level for t in same),
                label=f"{' · '.join(words)} {number(value, 2)}",
                at=frame.y(value),
                label_at=round(last, 3),
            )
        )
    return lines


def _hourly(history: History, from_us: int) -> list[tuple[int, float]]:
    """(hour, mm): a reading at 14:00 closes the hour from 13:00. Only hours with rain."""
    good = usable(history.flag) & np.isfinite(history.value)
    sums: dict[int, float] = {}
    for time_us, mm in zip(history.time_us[good].tolist(), history.value[good].tolist(), strict=True):
        hour = -(-time_us // HOUR_US) * HOUR_US - HOUR_US
        sums[hour] = sums.get(hour, 0.0) + mm
    return sorted((hour, mm) for hour, mm in sums.items() if mm > 0 and hour + HOUR_US > from_us)


def _axis_mm(hours: Sequence[tuple[int, float]]) -> float:
    return 10 * math.ceil(max(RAIN_AXIS_MIN_MM, *(mm for _, mm in hours), 0.0) / 10)


def _bars(frame: _Frame, hours: Sequence[tuple[int, float]], now_us: int, *, hangs: bool) -> list[Bar]:
    found = []
    for hour, mm in hours:
        left, right = max(0.0, frame.x(hour)), frame.x(min(hour + HOUR_US, now_us))
        height = 100 * RAIN_SHARE * 0.9 * mm / _axis_mm(hours) if hangs else 100 - frame.y(mm)
        text = f"{when(hour)} ฝน {number(mm, 1)} มม."
        found.append(Bar(at=left, width=round(max(right - left, 0.2), 3), height=round(height, 3), text=text))
    return found


def _bar_ticks(hours: Sequence[tuple[int, float]]) -> list[Tick]:
    most = _axis_mm(hours)
    return [
        Tick(at=round(90 * RAIN_SHARE * share, 3), text=f"{most * share:.0f}", date="", minor=False)
        for share in (0.5, 1.0)
    ]


def _x_ticks(frame: _Frame, now_us: int) -> tuple[Tick, ...]:
    """Whole hours of Bangkok. A date stands at each midnight, or at the first mark where none is in sight."""
    span = now_us - frame.from_us
    step = next((h for h in _TICK_HOURS if span / (h * HOUR_US) <= TICKS_MAX), _TICK_HOURS[-1]) * HOUR_US
    first = -(-(frame.from_us + BANGKOK_US) // step) * step - BANGKOK_US
    times = list(range(first, now_us, step))
    midnights = [at for at in times if (at + BANGKOK_US) % DAY_US == 0]
    dated = midnights or times[:1]
    major = dated[::2] if len(dated) > 2 else [*dated, *_every_other(times, dated[0])] if times else []
    return tuple(
        Tick(
            at=frame.x(at),
            text=thai_clock(at),
            date=thai_date(at, weekday=False) if at in dated else "",
            minor=at not in major,
        )
        for at in times
    )


def _every_other(times: Sequence[int], around: int) -> list[int]:
    """Every second mark, one of them the given."""
    return [at for order, at in enumerate(times) if (order - times.index(around)) % 2 == 0]


def _y_ticks(frame: _Frame, top: float, decimals: int) -> tuple[Tick, ...]:
    rough = (top - frame.low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough)
    first = math.ceil(frame.low / step)
    values = [step * k for k in range(first, math.floor(top / step + 1e-9) + 1)]
    digits = decimals if step < 1 else min(decimals, 2)
    return tuple(Tick(at=frame.y(v), text=number(v, digits), date="", minor=False) for v in values)


def _quality(frame: _Frame, past: Past, gaps: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
    """The strip under the axis: good, where something was doubted, where nothing came."""
    if not len(past.main.time_us):
        return tuple(_span(frame, a, b, "missing", "ไม่มีข้อมูล") for a, b in gaps)
    start = past.from_us if past.heard_before else int(past.main.time_us[0])
    spans = [_span(frame, start, past.to_us, "good", "ใช้ได้")]
    spans += [_span(frame, a, b, "missing", f"ไม่มีข้อมูล {duration(b - a)}") for a, b in gaps]
    least = round((frame.to_us - frame.from_us) / 200)
    for row in np.flatnonzero(np.isin(past.main.flag, DOUBTED)):
        at = int(past.main.time_us[row])
        text = f"{when(at)} {FLAG_WORDS[int(past.main.flag[row])]}"
        spans.append(_span(frame, at - least // 2, at + least // 2, "doubted", text))
    return tuple(spans)


def _judged(frame: _Frame, past: Past) -> list[Span]:
    found = []
    for events in past.stories.values():
        for band in bands(events, from_us=past.from_us, to_us=past.to_us):
            word = level_word(band.level) if band.known else f"ไม่มีข้อมูล (ค้าง {level_word(band.level)})"
            name = f"level-{band.level}" if band.known else "level-unknown"
            text = f"{word} {when(band.from_us)}–{when(band.to_us)}"
            found.append(_span(frame, band.from_us, band.to_us, name, text))
    return found
