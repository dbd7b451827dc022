"""How a station is: its last word, its battery, what of its promises it kept."""

import math
from datetime import timedelta

import numpy as np

from alerts.words import duration, local, thai_clock, thai_date
from api.screens.facts import DAY_US, HOUR_US, Facts
from api.screens.past import GAP_CADENCES, Past
from api.screens.stations import Observed
from api.screens.words import moment
from api.views.station import Completeness, DayRow, HealthCard
from sensors.batch import Int64
from sensors.flags import Flag

WEAK_BATTERY_V = 3.45
"""A lithium cell below this has about a tenth of its charge left (the line in the picture of the station page)."""
_CELL_WORDS = ((0.95, "full"), (0.75, "most"), (0.4, "some"), (0.0, "few"))


def battery_v_of(facts: Facts, station: str) -> float:
    """Newest voltage; NaN where it is not measured."""
    index = facts.registry.index.get((station, "battery_v"))
    return float(facts.value[index]) if index is not None else math.nan


def health(facts: Facts, observed: Observed, past: Past, week: Past) -> list[HealthCard]:
    """Last word, connection, battery, doubted readings."""
    station = observed.station
    cards: list[HealthCard] = []
    newest = observed.heard_us
    silent = observed.silent or not newest
    cards.append(
        HealthCard(
            icon="wifi-off" if silent else "radio-tower",
            label="ได้ข้อมูลล่าสุด",
            value=moment(newest, facts.now_us).ago if newest else "ยังไม่เคย",
            note=_when(newest) if newest else "",
            runs=(),
            bad=silent,
        )
    )
    if station.id in facts.devices:
        online = facts.devices[station.id] == "online"
        value = "เชื่อมต่ออยู่" if online else "หลุด"
        cards.append(HealthCard(icon="unplug", label="การเชื่อมต่อ", value=value, note="", runs=(), bad=not online))
    battery_v = battery_v_of(facts, station.id)
    if math.isfinite(battery_v):
        seen = week.battery.value[np.isfinite(week.battery.value)]
        note = f"7 วัน: {seen.min():.2f}–{seen.max():.2f} V" if len(seen) else ""
        cards.append(
            HealthCard(
                icon="battery-warning",
                label="แบตเตอรี่",
                value=f"{battery_v:.2f} V",
                note=note,
                runs=_spark(week),
                bad=battery_v < WEAK_BATTERY_V,
            )
        )
    doubted = int(np.isin(past.main.flag, (Flag.SUSPECT, Flag.FAIL)).sum())
    word = f"จาก {len(past.main.flag):,} ค่าในช่วงที่แสดง"
    cards.append(
        HealthCard(
            icon="triangle-alert",
            label="ค่าน่าสงสัยหรือใช้ไม่ได้",
            value=f"{doubted:,} ค่า",
            note=word,
            runs=(),
            bad=doubted > 0,
        )
    )
    return cards


def _spark(week: Past) -> tuple[str, ...]:
    """The battery's week as points of a 1000 x 1000 square, the lowest of each hour."""
    good = np.isfinite(week.battery.value)
    time_us, value = week.battery.time_us[good], week.battery.value[good]
    if len(value) < 2:
        return ()
    low, high = float(value.min()) - 0.05, float(value.max()) + 0.05
    points: list[str] = []
    for part in np.split(np.arange(len(value)), np.flatnonzero(np.diff(time_us // HOUR_US)) + 1):
        lowest = part[value[part].argmin()]
        x = 1000 * (int(time_us[lowest]) - week.from_us) / (week.to_us - week.from_us)
        points.append(f"{x:.1f},{1000 * (high - float(value[lowest])) / (high - low):.1f}")
    return (" ".join(points),)


def completeness(week: Past, cadence_us: int) -> Completeness | None:
    """Promised against received, hour by hour, since the station first spoke or for seven days."""
    came = week.main.time_us[(week.main.flag != Flag.MISSING) & (week.main.time_us <= week.to_us)]
    if not len(came) and not week.heard_before:
        return None
    since = week.from_us if week.heard_before else int(came[0])
    expected = max((week.to_us - since) / cadence_us, 1.0)
    share = min(1.0, len(came) / expected)
    edges = np.r_[since, came, week.to_us]
    steps = np.diff(edges)
    longest = int(steps.argmax())
    gap = int(steps[longest])
    midnight = local(week.to_us).replace(hour=0, minute=0, second=0, microsecond=0)
    days: list[DayRow] = []
    for back in range(6, -1, -1):
        start = round((midnight - timedelta(days=back)).timestamp()) * 1_000_000
        if start + DAY_US <= since:
            continue
        label = thai_date(start, weekday=False).rsplit(" ", 1)[0]
        cells = [_cell(came, start + h * HOUR_US, since, week.to_us, cadence_us) for h in range(24)]
        days.append(DayRow(label=label, cells=tuple(cells)))
    return Completeness(
        share=f"{100 * share:.1f}%",
        since=_when(since),
        longest=f"{duration(gap)} ตั้งแต่ {_when(int(edges[longest]))}" if gap > GAP_CADENCES * cadence_us else "",
        days=tuple(days),
    )


def _cell(came: Int64, start: int, since: int, now_us: int, cadence_us: int) -> tuple[str, str]:
    begin, end = max(start, since), min(start + HOUR_US, now_us)
    clock = thai_clock(start)
    if end - begin < cadence_us:
        return "ahead", f"{clock} น. ไม่อยู่ในช่วง"
    count = (
        int(((came > begin) & (came <= end)).sum()) if begin > since else int(((came >= begin) & (came <= end)).sum())
    )
    expected = max(1, int((end - begin) / cadence_us))
    share = count / expected
    word = next(word for least, word in _CELL_WORDS if share >= least) if count else "none"
    return word, f"{clock} น. {count}/{expected}"


def _when(time_us: int) -> str:
    return f"{thai_clock(time_us)} น. {thai_date(time_us, weekday=False)}"
