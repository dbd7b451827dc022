"""The screen on the wall: the same facts, huge."""

import math
from collections.abc import Callable, Sequence

from api.screens.console import alarms, bounds, delivery, incident, kpis, unacknowledged, world
from api.screens.facts import Facts
from api.screens.stations import Observed, gap_text, pin, trend_text
from api.screens.words import UNHEARD, UNIT_WORDS, level_word, number, signed
from api.views.chart import Chart
from api.views.wall import WallStation, WallView
from sensors.quantities import QUANTITIES

STATIONS_SHOWN = 3
SHORT = {"rain": "ฝน 24 ชม. สูงสุด", "dust": "PM2.5"}


def wall(
    facts: Facts, everyone: Sequence[Observed], *, chart_of: Callable[[Observed], Chart | None], map_url: str
) -> WallView:
    """What can be read from across the room: a warning that stands above what is judged dominates.

    Parameters
    ----------
    chart_of : the hydrograph of a station, None where there is none
    """
    story, rows = incident(facts), alarms(facts)
    known = any(s.known for s in facts.statuses) and facts.judging
    level = story.level if story else 0 if known else UNHEARD
    if story is None:
        title, detail = ("ไม่มีเหตุที่เปิดอยู่", "") if known else (level_word(UNHEARD), "ไม่มีข้อมูลไม่ได้แปลว่าปลอดภัย")
    else:
        title = f"{story.word} · {story.title}"
        unseen = f"ไม่มีข้อมูลมา {story.unknown_for}" if story.unknown_for else ""
        stands = story.public_level > story.judged_level
        other = f"ระบบประเมิน: {story.judged_word}" if stands else f"ประกาศต่อประชาชน: {story.public_word}"
        lapsed = f"ยังไม่ได้ต่ออายุ มีผลถึง {story.lapsed} น." if story.lapsed else ""
        detail = " · ".join(t for t in (lapsed, other, f"เปิดเหตุ {story.opened.clock} น.", story.held, unseen) if t)
    sent = delivery(facts)
    waiting = unacknowledged(rows)
    cards = {k.key: k for k in kpis(facts, everyone)}
    weather = [cards[key] for key in ("rain", "dust") if key in cards]
    shown = [(c.icon, SHORT[c.key], f"{c.value} {c.unit}") for c in weather]
    if cards["stations"].level >= 0:
        shown.append(("radio-tower", "สถานี", f"{cards['stations'].value} {cards['stations'].unit}"))
    if sent is not None:
        label = "จอตัวอย่าง" if sent.preview else "ส่งออกแล้ว"
        shown.append(("smartphone" if sent.preview else "send", label, f"{sent.accepted:,}/{sent.total:,}"))
    shown.append(("bell-ring", "รอรับทราบ", str(waiting)))
    return WallView(
        world=world(facts),
        level=level,
        title=title,
        detail=detail,
        stations=tuple(_station(o, chart_of(o)) for o in _worst(everyone)),
        facts=tuple(shown),
        fault=cards["stations"].note if cards["stations"].level < 0 else "",
        pins=tuple(pin(facts, o) for o in everyone),
        tints=tuple((row.level, row.tints) for row in rows if row.tints),
        map_url=map_url,
        bounds=bounds(facts.registry),
    )


def _worst(everyone: Sequence[Observed]) -> list[Observed]:
    """Water first by level, then by how near its bank it is; a silent one comes after those that speak."""
    water = [o for o in everyone if o.quantity == "stage_m"]
    return sorted(water, key=lambda o: (-o.level, -(o.gap_m if o.current and not math.isnan(o.gap_m) else -math.inf)))[
        :STATIONS_SHOWN
    ]


def _station(observed: Observed, drawn: Chart | None) -> WallStation:
    quantity = QUANTITIES[observed.quantity]
    over_bank = observed.current and not math.isnan(observed.gap_m)
    value = signed(observed.gap_m) if over_bank else number(observed.value if observed.current else math.nan, 2)
    text = " · ".join(t for t in (gap_text(observed.gap_m) if over_bank else "", trend_text(observed)) if t)
    return WallStation(
        level=observed.level,
        level_word=observed.word,
        name=observed.station.name,
        value=value,
        unit="ม. จากตลิ่ง" if over_bank else UNIT_WORDS[quantity.unit],
        trend=observed.trend,
        text=text or observed.word,
        chart=drawn,
    )
