"""The page of one station: where it stands, what it is compared with and why, how it is."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from alerts.rule import StepRule
from alerts.words import duration, input_words, thai_date
from api.screens.console import world
from api.screens.facts import MINUTE_US, RECENT_US, Facts
from api.screens.hydrograph import chart
from api.screens.past import WINDOW_WORDS, WINDOWS_US, Past
from api.screens.station_health import WEAK_BATTERY_V, battery_v_of, completeness, health
from api.screens.stations import GLYPHS, Observed, panel
from api.screens.words import FLAG_WORDS, NO_VALUE, UNIT_WORDS, level_word, moment, number
from api.views.station import ReadingRow, StationView, ThresholdRow
from api.views.stations import PanelView, StationRow
from sensors.flags import Flag
from sensors.quantities import QUANTITIES
from sensors.stations import SECOND_US

READINGS_SHOWN = 20
CSV_BYTES_PER_ROW = 36
"""`2026-11-22T14:35:00+07:00,4.08,1` and the line's end."""
OLD_US = 30 * MINUTE_US
DATUM_WORDS = {"LOCAL_STAFF": "เสาระดับของสถานี (ยังไม่เทียบ ม.รทก.)", "MSL_KOLAK1915": "ม.รทก."}


def station_page(
    facts: Facts, everyone: Sequence[Observed], station: str, past: Past, week: Past, *, window: str
) -> StationView:
    """Everything on the page of one registered station.

    Parameters
    ----------
    past : the window that is drawn
    week : the last seven days, for health
    window : its name, a key of WINDOWS_US
    """
    observed = next(o for o in everyone if o.station.id == station)
    shown = panel_with_chart(facts, everyone, station, past)
    assert shown is not None
    series = facts.registry.series[observed.series]
    newest_us = observed.time_us or observed.heard_us
    age = facts.now_us - newest_us
    rows = len(past.main.time_us)
    return StationView(
        world=world(facts),
        panel=shown,
        english=observed.station.english,
        about=tuple(_about(facts, observed)),
        window=window,
        windows=tuple((name, WINDOW_WORDS[name][0]) for name in WINDOWS_US),
        thresholds=tuple(_thresholds(facts, observed)),
        health=tuple(health(facts, observed, past, week)),
        completeness=completeness(week, series.cadence_us),
        readings=tuple(_readings(facts, observed, past)),
        csv_url=f"/api/v1/series/{series.key}?from={past.from_us}&to={past.to_us + 1}&limit=20000&format=csv",
        csv_size=f"{max(1, round(rows * CSV_BYTES_PER_ROW / 1024)):,} kB",
        staleness="none" if not newest_us else "hidden" if age > RECENT_US else "old" if age > OLD_US else "fresh",
    )


def panel_with_chart(facts: Facts, everyone: Sequence[Observed], station: str, past: Past) -> PanelView | None:
    """The panel of a station with its hydrograph; None when there is no such station."""
    view = panel(facts, everyone, station)
    observed = next((o for o in everyone if o.station.id == station), None)
    return replace(view, chart=chart(facts, observed, past)) if view is not None and observed is not None else None


def station_list(facts: Facts, everyone: Sequence[Observed]) -> tuple[StationRow, ...]:
    """Every station, those that need a look first."""
    rows = [_row(facts, o) for o in everyone]
    return tuple(sorted(rows, key=lambda r: (not r.attention, -r.level if r.level > 0 else 0, r.station)))


def _row(facts: Facts, observed: Observed) -> StationRow:
    battery_v = battery_v_of(facts, observed.station.id)
    flag = int(facts.flag[observed.series]) if observed.series >= 0 and observed.heard_us else 0
    quantity = QUANTITIES.get(observed.quantity)
    reasons = [
        observed.word if observed.level < 0 else "",
        "แบตเตอรี่อ่อน" if battery_v < WEAK_BATTERY_V else "",
        f"ค่าล่าสุด{FLAG_WORDS[flag]}" if flag in (Flag.SUSPECT, Flag.FAIL) else "",
    ]
    newest = observed.time_us or observed.heard_us
    return StationRow(
        station=observed.station.id,
        name=observed.station.name,
        icon=GLYPHS.get(observed.quantity, "water"),
        level=observed.level,
        level_word=observed.word or "ไม่มีเกณฑ์",
        value=f"{number(observed.value, quantity.decimals)} {UNIT_WORDS[quantity.unit]}"
        if observed.current and quantity
        else NO_VALUE,
        data=moment(newest, facts.now_us) if newest else None,
        battery=f"{battery_v:.2f} V" if math.isfinite(battery_v) else NO_VALUE,
        flag_word=FLAG_WORDS[flag] if flag else NO_VALUE,
        attention=" · ".join(r for r in reasons if r),
    )


def _about(facts: Facts, observed: Observed) -> list[tuple[str, str]]:
    station = observed.station
    rows = [("วัด", QUANTITIES[observed.quantity].thai)]
    rows.append(("พื้นที่", ", ".join(facts.registry.areas[a].name for a in station.areas)))
    if station.banks and observed.quantity == "stage_m":
        rows.append(("ตลิ่งต่ำสุด", f"{station.banks.lower_m:.2f} ม."))
        rows.append(("ระดับอ้างอิง", DATUM_WORDS[station.datum]))
    rows.append(("ส่งข้อมูลทุก", duration(round(station.cadence_s * SECOND_US))))
    return rows


def _thresholds(facts: Facts, observed: Observed) -> list[ThresholdRow]:
    """Highest first, the bank where it stands among them; what speaks of the rise comes last."""
    banks = observed.station.banks if observed.quantity == "stage_m" else None
    unit = UNIT_WORDS[QUANTITIES[observed.quantity].unit]
    ladders, found = facts.rules.ladders, list[tuple[bool, float, ThresholdRow]]()
    for ladder in range(int(ladders.first[observed.series]), int(ladders.first[observed.series + 1])):
        rise = bool(ladders.rise[ladder])
        label = ladders.listens(ladder).label()
        what, per = ("ขึ้นเร็ว", f"{unit}/ชม.") if rise else input_words(label, what="", unit=unit)
        for step, rule in enumerate(ladders.rules[ladder]):
            if not isinstance(rule, StepRule):
                continue
            word = level_word(step + 1) if rule.level else "สัญญาณ"
            enter = ladders.shown(ladder, float(ladders.enter[step, ladder]))
            leave = ladders.shown(ladder, float(ladders.leave[step, ladder]))
            row = ThresholdRow(
                level=step + 1,
                word=f"{word} ({what})" if what else word,
                value=f"{number(enter, 2)} {per}",
                share=f"{100 * rule.enter:.0f}% ของตลิ่ง" if rule.unit == "bank" else "",
                leave=f"{number(leave, 2)} {per}",
                holds=_holds(rule),
                source=rule.source,
                author="ค่าเริ่มต้น" if rule.author == "default" else rule.author,
                date=_day(rule.date.year, rule.date.month, rule.date.day),
                surveyed=rule.unit != "bank" or banks is None or banks.surveyed,
            )
            found.append((not ladders.by_value[ladder], -enter, row))
    if banks is not None:
        bank = ThresholdRow(
            level=0,
            word="ตลิ่ง (ฝั่งต่ำ)",
            value=f"{banks.lower_m:.2f} {unit}",
            share="",
            leave="",
            holds="",
            source=banks.source,
            author="",
            date="",
            surveyed=banks.surveyed,
        )
        found.append((False, -banks.lower_m - 1e-9, bank))
    return [row for *_, row in sorted(found, key=lambda one: one[:2])]


def _holds(rule: StepRule) -> str:
    up, down = duration(round(rule.up_for_s * SECOND_US)), duration(round(rule.down_for_s * SECOND_US))
    return f"ขึ้นเมื่อครบ {up} · ลงเมื่อครบ {down}"


def _day(year: int, month: int, day: int) -> str:
    noon = datetime(year, month, day, 5, tzinfo=UTC)
    return thai_date(round(noon.timestamp()) * 1_000_000, weekday=False)


def _readings(facts: Facts, observed: Observed, past: Past) -> list[ReadingRow]:
    quantity = QUANTITIES[observed.quantity]
    columns = (past.main.time_us, past.main.value, past.main.flag)
    newest = zip(*(c[::-1][:READINGS_SHOWN].tolist() for c in columns), strict=True)
    return [
        ReadingRow(
            at=moment(t, facts.now_us),
            value=f"{number(v, quantity.decimals)} {UNIT_WORDS[quantity.unit]}" if math.isfinite(v) else NO_VALUE,
            flag=f,
            flag_word=FLAG_WORDS[f],
        )
        for t, v, f in newest
    ]
