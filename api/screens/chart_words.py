"""A hydrograph in words: the table beside it and the sentence under it hold without the drawing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alerts.words import duration, thai_clock, thai_date
from api.screens.facts import HOUR_US, Facts
from api.screens.past import WINDOWS_US, Past
from api.screens.stations import Observed
from api.screens.words import FLAG_WORDS, NO_VALUE, moment, number
from api.views.chart import ChartRow
from sensors.batch import Bool
from sensors.flags import Flag, usable
from sensors.quantities import QUANTITIES

BANGKOK_US = 7 * HOUR_US
"""Thailand has no daylight saving time: whole hours there are whole hours in UTC."""
DOUBTED = (Flag.SUSPECT, Flag.FAIL)
_TABLE_ROWS = 24


def when(time_us: int) -> str:
    """`14:35 น.`"""
    return f"{thai_clock(time_us)} น."


def table_step(past: Past) -> int:
    """Microseconds of one line of the table: about a day's dozen of lines whatever the window."""
    span = past.to_us - past.from_us
    shortest = min(WINDOWS_US.values()) // _TABLE_ROWS
    return max(shortest, -(-span // (_TABLE_ROWS * HOUR_US)) * HOUR_US if span > WINDOWS_US["6h"] else shortest)


def rows(past: Past, good: Bool, step_us: int, decimals: int) -> tuple[ChartRow, ...]:
    """Newest first, one per step of the clock."""
    rain_good = usable(past.rain.flag) & np.isfinite(past.rain.value)
    found: list[ChartRow] = []
    end = (past.to_us + BANGKOK_US) // step_us * step_us - BANGKOK_US + step_us
    while end - step_us > past.from_us - step_us and len(found) <= _TABLE_ROWS + 4:
        start = end - step_us
        inside = (past.main.time_us >= start) & (past.main.time_us < end)
        value = past.main.value[inside & good]
        fell = rain_good & (past.rain.time_us > start) & (past.rain.time_us <= end)
        shown = moment(max(start, past.from_us), past.to_us)
        found.append(
            ChartRow(
                iso=shown.iso,
                clock=shown.clock,
                date=thai_date(start, weekday=False),
                value=number(float(value[-1]), decimals) if len(value) else NO_VALUE,
                highest=number(float(value.max()), decimals) if len(value) else NO_VALUE,
                rain=number(float(past.rain.value[fell].sum()), 1) if fell.any() else NO_VALUE if past.gauge else "",
                quality=_worst(past.main.flag[inside]),
            )
        )
        end = start
    return tuple(found)


def _worst(flags: NDArray[np.uint8]) -> str:
    doubted = int(np.isin(flags, DOUBTED).sum())
    if not len(flags):
        return FLAG_WORDS[Flag.MISSING]
    return f"{FLAG_WORDS[Flag.SUSPECT]} {doubted} ค่า" if doubted else FLAG_WORDS[Flag.GOOD]


def summary(
    facts: Facts,
    observed: Observed,
    past: Past,
    good: Bool,
    gaps: Sequence[tuple[int, int]],
    hours: Sequence[tuple[int, float]],
    unit: str,
    decimals: int,
) -> str:
    """What the drawing shows, in sentences that hold without it."""
    quantity = QUANTITIES[facts.registry.series[observed.series].quantity]
    parts = [f"{quantity.thai} {observed.station.name} {duration(past.to_us - past.from_us)}ล่าสุด"]
    time_us, value = past.main.time_us[good], past.main.value[good]
    if observed.quantity == "rain_mm":
        parts.append(f"ฝนรวม {number(float(value.sum()), 1)} มม." if len(value) else "ไม่มีข้อมูล")
    elif len(value):
        lowest, highest = int(value.argmin()), int(value.argmax())
        parts.append(f"ล่าสุด {number(float(value[-1]), decimals)} {unit} เมื่อ {when(int(time_us[-1]))}")
        parts.append(f"สูงสุด {number(float(value[highest]), decimals)} {unit} เมื่อ {when(int(time_us[highest]))}")
        parts.append(f"ต่ำสุด {number(float(value[lowest]), decimals)} {unit} เมื่อ {when(int(time_us[lowest]))}")
    else:
        parts.append("ไม่มีค่าที่ใช้ได้")
    if past.gauge:
        parts.append(f"ฝนรวม {number(sum(mm for _, mm in hours), 1)} มม. ({past.gauge})")
    if gaps:
        parts.append(f"ข้อมูลขาด {len(gaps)} ช่วง รวม {duration(sum(b - a for a, b in gaps))}")
    doubted = int(np.isin(past.main.flag, DOUBTED).sum())
    if doubted:
        parts.append(f"ค่าน่าสงสัยหรือใช้ไม่ได้ {doubted} ค่า")
    return " · ".join(parts)
