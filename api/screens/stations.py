"""What one station shows: observation, never the warning."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.words import duration
from api.screens.facts import CLOCK_AHEAD_US, DAY_US, HOUR_US, MINUTE_US, Facts, usable_rows
from api.screens.held import held_at
from api.screens.words import (
    FAULT,
    FLAG_WORDS,
    NO_VALUE,
    UNHEARD,
    UNIT_WORDS,
    level_word,
    moment,
    number,
    rain_word,
    rounded,
    short_age,
    signed,
)
from api.views.chart import Threshold
from api.views.stations import PanelView, Pin
from sensors.heights import bank_pct, freeboard_m
from sensors.least_squares import fit
from sensors.quantities import QUANTITIES
from sensors.stations import Registry, Station

MAIN = ("stage_m", "rain_mm", "pm2_5_ug_m3")
"""The quantity a station is shown by: the first of these that it has."""
GLYPHS = {"stage_m": "water", "rain_mm": "rain", "pm2_5_ug_m3": "air"}

STEADY_CM_H = 2.0
"""Slower than this is called steady: below what a staff gauge read every two minutes resolves in an hour."""
TREND_POINTS_MIN = 3
TREND_US = 15 * MINUTE_US
"""Looked back: an hour said *rising* for half an hour after the crest of a flash flood."""
TREND_SPAN_MIN_US = 4 * MINUTE_US
COMPLETE = 0.9
"""Share of the promised readings below which a sum is called incomplete."""
WINDOW_FAST_H, WINDOW_H = 6, 24
FAST_CADENCE_S = 300.0
"""A river read this often or oftener can rise within the hour: its hydrograph shows the near past, others a day."""
USELESS_WORD = "ค่าใช้ไม่ได้"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A station at one moment."""

    station: Station
    series: int
    """Index of the main series; -1 when it measures nothing we show."""
    quantity: str
    heard_us: int
    """Newest event time of any of its sensors that is not ahead of the clock; 0 when it never spoke."""
    silent: bool
    time_us: int
    """Of the newest usable main reading; 0 when there is none in the last two hours."""
    value: float
    """That reading; for rain the sum of 24 h; NaN when there is none."""
    current: bool
    """Whether the value may stand for now: neither silent nor older than a rule would listen to."""
    complete: bool
    """Whether a rain sum rests on nearly all promised readings."""
    level: int
    """0-3 by its own thresholds, -1 fault, -2 never heard."""
    judged: bool
    """Whether any rule has thresholds for it; without, level 0 says nothing."""
    slope_cm_h: float
    """Water only; NaN when not known."""

    @property
    def gap_m(self) -> float:
        """Water above (+) or below (-) the lower bank; NaN when it cannot be said."""
        banks = self.station.banks
        return 0.0 - freeboard_m(self.value, banks) if banks and self.quantity == "stage_m" else math.nan

    @property
    def trend(self) -> str:
        """up, down, steady, or empty when not known."""
        if math.isnan(self.slope_cm_h):
            return ""
        if abs(self.slope_cm_h) < STEADY_CM_H:
            return "steady"
        return "up" if self.slope_cm_h > 0 else "down"

    @property
    def word(self) -> str:
        """Level word; empty where nothing judges, and honest about a station that speaks but says nothing usable."""
        if self.level == FAULT and not self.silent:
            return USELESS_WORD
        if self.level == 0 and not self.judged:
            return ""
        return level_word(self.level)


def main_series(registry: Registry, station: str) -> int:
    """Index of the series a station is shown by: the first of MAIN that it has; -1 for none."""
    own = [
        (series.quantity, i)
        for i, series in enumerate(registry.series)
        if series.station == station and not series.superseded
    ]
    return next((i for quantity in MAIN for name, i in own if name == quantity), -1)


def observe(facts: Facts) -> tuple[Observed, ...]:
    """Every registered station, in the order of the registry."""
    of: dict[str, list[int]] = {station: [] for station in facts.registry.stations}
    for index, series in enumerate(facts.registry.series):
        of[series.station].append(index)
    return tuple(_observe(facts, station, of[station.id]) for station in facts.registry.stations.values())


def _observe(facts: Facts, station: Station, indices: Sequence[int]) -> Observed:
    series = main_series(facts.registry, station.id)
    quantity = facts.registry.series[series].quantity if series >= 0 else ""
    heard = max((_heard(facts, i) for i in indices), default=0)
    silent = heard > 0 and facts.now_us - heard > _silence_us(facts, station)
    time_us, value = _newest_usable(facts, series)
    ladder = ladder_of(facts, series)
    listen_us = int(facts.rules.ladders.cover_us[ladder]) if ladder >= 0 else _silence_us(facts, station)
    current = bool(time_us) and not silent and facts.now_us - time_us <= listen_us
    expected = DAY_US / facts.registry.series[series].cadence_us if series >= 0 else math.inf
    if quantity == "rain_mm":
        current = bool(heard) and not silent and facts.rain_count[series] > 0
        value = float(facts.rain_mm[series]) if facts.rain_count[series] else math.nan
    if not heard:
        level = UNHEARD
    elif not current:
        level = FAULT
    else:
        level = level_of(facts, ladder, value)
    return Observed(
        station=station,
        series=series,
        quantity=quantity,
        heard_us=heard,
        silent=silent,
        time_us=time_us,
        value=value,
        current=current,
        complete=quantity != "rain_mm" or int(facts.rain_count[series]) >= COMPLETE * expected,
        level=level,
        judged=ladder >= 0,
        slope_cm_h=100 * rise_m_h(facts, series)[0] if quantity == "stage_m" and current else math.nan,
    )


def _silence_us(facts: Facts, station: Station) -> float:
    absence = facts.rules.absence
    return (absence.after if absence else 3.0) * station.cadence_s * 1e6


def heard_us(facts: Facts, station: str) -> int:
    """Newest event time of any sensor of a station that is not ahead of the clock; 0 when it never spoke."""
    return max((_heard(facts, i) for i, s in enumerate(facts.registry.series) if s.station == station), default=0)


def _heard(facts: Facts, series: int) -> int:
    newest = int(facts.time_us[series])
    if newest <= facts.now_us + CLOCK_AHEAD_US:
        return newest
    # One reading dated into the future must not make a station look alive for ever.
    believable = facts.recent[series].time_us if series in facts.recent else np.zeros(0, dtype=np.int64)
    return int(believable[-1]) if len(believable) else 0


def _newest_usable(facts: Facts, series: int) -> tuple[int, float]:
    if series not in facts.recent:
        return 0, math.nan
    time_us, value = usable_rows(facts, series)
    return (int(time_us[-1]), float(value[-1])) if len(time_us) else (0, math.nan)


def ladder_of(facts: Facts, series: int) -> int:
    """The ladder whose thresholds are heights of a series, not its slope; -1 for none."""
    return facts.rules.ladders.by_level(series) if series >= 0 else -1


def level_of(facts: Facts, ladder: int, value: float) -> int:
    """Highest step whose threshold the value reaches; 0 where there is no ladder."""
    if ladder < 0:
        return 0
    reached = np.flatnonzero(facts.rules.ladders.enter[:, ladder] <= value)
    return int(reached[-1]) + 1 if len(reached) else 0


def rise_m_h(facts: Facts, series: int) -> tuple[float, float]:
    """Least squares over the newest usable readings, see TREND_US, m/h, and half the width of its 80 % interval.

    NaN with too few readings or over too short a span; the interval also with fewer than five.
    """
    time_us, value = usable_rows(facts, series)
    recent = time_us > facts.now_us - max(TREND_US, TREND_POINTS_MIN * facts.registry.series[series].cadence_us)
    time_us, value = time_us[recent], value[recent]
    if len(time_us) < TREND_POINTS_MIN or time_us[-1] - time_us[0] < TREND_SPAN_MIN_US:
        return math.nan, math.nan
    hours = (time_us - time_us[0])[None] / HOUR_US
    slope, reach = fit(hours, value[None], np.ones(hours.shape, dtype=np.bool_), least=TREND_POINTS_MIN)
    return float(slope[0]), float(reach[0])


def trend_text(observed: Observed) -> str:
    """`↑ ขึ้น 11 ซม./ชม.`; empty when not known."""
    speed = f"{abs(observed.slope_cm_h):.0f} ซม./ชม." if observed.trend else ""
    return {"up": f"↑ ขึ้น {speed}", "down": f"↓ ลง {speed}", "steady": "→ ทรงตัว", "": ""}[observed.trend]


def gap_text(gap_m: float) -> str:
    """`ต่ำกว่าตลิ่ง 0.42 ม.`; empty when it cannot be said."""
    if math.isnan(gap_m):
        return ""
    shown = rounded(gap_m, 2)
    if shown == 0:
        return "น้ำเสมอตลิ่ง"
    return f"{'สูงกว่า' if shown > 0 else 'ต่ำกว่า'}ตลิ่ง {abs(shown):.2f} ม."


def pin(facts: Facts, observed: Observed) -> Pin:
    """One station on the map."""
    station, quantity = observed.station, observed.quantity
    text, unit, sentence = NO_VALUE, "", ""
    if observed.current and quantity == "stage_m":
        if math.isnan(observed.gap_m):
            text, sentence = number(observed.value, 2), f"ระดับน้ำ {observed.value:.2f} เมตร"
        else:
            text, sentence = signed(observed.gap_m), gap_text(observed.gap_m)
        unit = UNIT_WORDS["m"]
    elif observed.current and quantity == "rain_mm":
        text, unit = number(observed.value, 1), UNIT_WORDS["mm"]
        sentence = f"ฝน 24 ชม. ล่าสุด {text} มม." + ("" if observed.complete else " (ข้อมูลไม่ครบ)")
    elif observed.current and quantity == "pm2_5_ug_m3":
        text, unit = number(observed.value, 0), "มคก."
        sentence = f"ฝุ่น PM2.5 {text} ไมโครกรัมต่อลูกบาศก์เมตร"
    elif observed.silent:
        text = short_age(facts.now_us - observed.heard_us)
        sentence = f"ไม่มีข้อมูลมา {duration(facts.now_us - observed.heard_us)}"
    trend = trend_text(observed).lstrip("↑↓→ ")
    # What is written on the pin is part of its name too: people who speak to their computer say what they see.
    seen = f"{text} {unit}".strip()
    written = f"บนหมุด {seen}" if seen not in (NO_VALUE, "") and seen not in sentence else ""
    parts = (f"{station.id} {station.name}", observed.word, sentence, trend, written)
    return Pin(
        station=station.id,
        name=station.name,
        lat=station.lat,
        lon=station.lon,
        glyph=GLYPHS.get(quantity, "water"),
        text=text,
        unit=unit,
        level=observed.level,
        level_word=observed.word,
        trend=observed.trend,
        label=", ".join(p for p in parts if p),
    )


def panel(facts: Facts, everyone: Sequence[Observed], station: str) -> PanelView | None:
    """The panel of one station; None when there is no such station."""
    observed = next((o for o in everyone if o.station.id == station), None)
    if observed is None or observed.series < 0:
        return None
    held, quantity = observed.station, QUANTITIES[observed.quantity]
    value = number(observed.value, quantity.decimals) if observed.current else NO_VALUE
    unit = UNIT_WORDS[quantity.unit]
    if observed.quantity == "rain_mm":
        unit = f"{unit} ใน 24 ชม."
    gap = gap_text(observed.gap_m) if observed.current else ""
    percent = ""
    if observed.current and held.banks and observed.quantity == "stage_m":
        percent = f"{bank_pct(observed.value, held.banks):.0f}%".replace("-", "−")
    near = nearest_gauge(facts.registry, held)
    gauge = next((o for o in everyone if o.station.id == near and o.quantity == "rain_mm"), None)
    newest = observed.time_us or observed.heard_us
    words = (f"{held.name}: {quantity.thai}", f"{value} {unit}" if observed.current else observed.word, gap)
    return PanelView(
        station=held.id,
        name=held.name,
        quantity=facts.registry.series[observed.series].name,
        unit=unit,
        value=value,
        level=observed.level,
        level_word=observed.word,
        data=moment(newest, facts.now_us) if newest else None,
        bank_gap=gap,
        percent=percent,
        trend=observed.trend,
        trend_text=trend_text(observed),
        window_h=window_h(observed.quantity, held.cadence_s),
        thresholds=thresholds(facts, observed),
        rain_name=f"{gauge.station.id}/{facts.registry.series[gauge.series].name}" if gauge else "",
        facts=_facts_of(facts, observed, gauge),
        summary=" ".join(w for w in (*words, trend_text(observed).lstrip("↑↓→ ")) if w),
        held=held_at(facts, held.areas, observed.level) if observed.current and observed.judged else "",
        pin=pin(facts, observed),
    )


def window_h(quantity: str, cadence_s: float) -> int:
    """How many hours a hydrograph looks back."""
    return WINDOW_FAST_H if quantity == "stage_m" and cadence_s <= FAST_CADENCE_S else WINDOW_H


def thresholds(facts: Facts, observed: Observed) -> tuple[Threshold, ...]:
    """The lines of the hydrograph: its own thresholds, and the lower bank."""
    lines: list[Threshold] = []
    ladder = ladder_of(facts, observed.series)
    if ladder >= 0:
        steps = facts.rules.ladders.enter[:, ladder]
        lines += [
            Threshold(level=level, label=f"{level_word(level)} {number(float(height), 2)}", value=float(height))
            for level, height in enumerate(steps, start=1)
            if np.isfinite(height)
        ]
    if observed.station.banks and observed.quantity == "stage_m":
        bank_m = observed.station.banks.lower_m
        lines.append(Threshold(level=0, label=f"ตลิ่ง {bank_m:.2f}", value=bank_m))
    return tuple(lines)


def nearest_gauge(registry: Registry, station: Station) -> str:
    """Station with the rain gauge nearest to another, as the crow flies; empty when nobody measures rain."""
    narrowing = math.cos(math.radians(station.lat))

    def distance(other: Station) -> float:
        return math.hypot(other.lat - station.lat, narrowing * (other.lon - station.lon))

    gauges = [s for s in registry.stations.values() if any(x.quantity == "rain_mm" for x in s.sensor)]
    return min(gauges, key=distance).id if gauges else ""


def _facts_of(facts: Facts, observed: Observed, gauge: Observed | None) -> tuple[tuple[str, str], ...]:
    rows: list[tuple[str, str]] = []
    if gauge is not None:
        word = rain_word(gauge.value, complete=gauge.complete) if gauge.current else ""
        total = f"{number(gauge.value, 1)} มม." if gauge.current else NO_VALUE
        rows.append((f"ฝน 24 ชม. ล่าสุด ({gauge.station.id})", " · ".join(w for w in (total, word) if w)))
    if observed.heard_us:
        rows.append(("คุณภาพค่าล่าสุด", FLAG_WORDS[int(facts.flag[observed.series])]))
    battery = facts.registry.index.get((observed.station.id, "battery_v"))
    if battery is not None and math.isfinite(facts.value[battery]):
        rows.append(("แบตเตอรี่", f"{facts.value[battery]:.2f} V"))
    if observed.station.id in facts.devices:
        online = facts.devices[observed.station.id] == "online"
        rows.append(("การเชื่อมต่อ", "เชื่อมต่ออยู่" if online else "หลุด"))
    banks = observed.station.banks
    if banks and observed.quantity == "stage_m" and not banks.surveyed:
        rows.append(("ระดับตลิ่ง", "ค่าเริ่มต้น · ยังไม่ได้รังวัด"))
    return tuple(rows)
