"""The officers' overview."""

import math
from collections.abc import Sequence

from alerts.episode import Episode, Level, Notice
from alerts.ledger import DeliveryState
from alerts.people import ROLE_THAI, Actor, Permission
from alerts.words import HAZARD_WORDS, STATION_HAZARDS, duration, thai_clock
from api.screens.decisions import decision
from api.screens.facts import DAY_US, Facts, lapsed_us, worst_first
from api.screens.held import held_text
from api.screens.stations import Observed, gap_text, heard_us, panel, pin, trend_text
from api.screens.words import (
    FAULT,
    NO_VALUE,
    NOT_ANNOUNCED,
    UNHEARD,
    UNIT_WORDS,
    level_word,
    moment,
    number,
    rain_word,
    signed,
)
from api.views import World
from api.views.console import AlarmRow, ConsoleView, DeliveryKpi, IncidentView, Kpi, User
from sensors.quantities import QUANTITIES
from sensors.stations import Registry

STATION = "station"
"""Hazard of the stories about silent stations; its area is the station."""

PREVIEW = "preview"
CHANNEL_WORDS = {PREVIEW: "จอตัวอย่าง", "line": "LINE", "sms": "SMS"}
HAZARD_ICONS = {"flood": "waves", "flash_flood": "waves", "road_flood": "waves", STATION: "wifi-off"}
NOTICE_ICONS = {
    "suspect_extreme": "triangle-alert",
    "late_extreme": "triangle-alert",
    "clock": "clock",
    "nobody_reached": "send",
    "plan_failed": "send",
}

ALARM_ROWS_MAX = 200


def world(facts: Facts) -> World:
    """What stands on every page."""
    place = facts.registry.place
    newest = min(int(facts.time_us.max(initial=0)), facts.now_us)
    return World(
        kind=facts.kind,
        speed=facts.speed,
        now=moment(facts.now_us, facts.now_us),
        place=place.name,
        place_long=place.long,
        place_en=place.english,
        judging=facts.judging,
        newest=moment(newest, facts.now_us) if newest else None,
    )


def user(actor: Actor, csrf: str) -> User:
    """Whoever is signed in, with what the buttons may offer."""
    return User(
        name=actor.account,
        role_thai=ROLE_THAI[actor.role],
        csrf=csrf,
        may_acknowledge=actor.may(Permission.ACKNOWLEDGE),
        may_release=actor.may(Permission.RELEASE),
    )


def place_name(registry: Registry, area: str) -> str:
    """Name of an area, or of a station where a story is about one."""
    if area in registry.areas:
        return registry.areas[area].name
    station = registry.stations.get(area)
    return f"{station.id} {station.name}" if station else area


def dangers(facts: Facts) -> list[Episode]:
    """Open stories about people's danger, worst first; silent stations are not among them."""
    return sorted((e for e in facts.episodes if e.hazard not in STATION_HAZARDS), key=worst_first)


def incident(facts: Facts) -> IncidentView | None:
    """The worst open story, with what an officer may do about it."""
    stories = dangers(facts)
    if not stories:
        return None
    worst = stories[0]
    place = place_name(facts.registry, worst.area)
    return IncidentView(
        judged_level=worst.judged_level,
        judged_word=level_word(worst.judged_level),
        public_level=worst.public_level,
        public_word=level_word(worst.public_level) if worst.public_level else NOT_ANNOUNCED,
        known=worst.known,
        title=f"{HAZARD_WORDS.get(worst.hazard, worst.hazard)} · {place}",
        opened=moment(worst.opened_us, facts.now_us),
        running=duration(facts.now_us - worst.opened_us),
        others=len(stories) - 1,
        decision=decision(facts, worst, place),
        station=_grounds(facts, worst)[1],
        unknown_for=_unknown_for(facts, worst),
        held=held_text(facts, worst),
        lapsed=_lapsed(facts, worst),
    )


def _lapsed(facts: Facts, episode: Episode) -> str:
    until_us = lapsed_us(facts, episode)
    return thai_clock(until_us) if until_us else ""


def _unknown_for(facts: Facts, episode: Episode) -> str:
    """How long nothing has been known of a story's place; empty while something is."""
    if episode.known:
        return ""
    found = (s for s in facts.statuses if (s.area, s.hazard) == (episode.area, episode.hazard) and not s.known)
    status = next(found, None)
    return duration(facts.now_us - status.since_us) if status else ""


def _tints(registry: Registry, area: str) -> tuple[str, ...]:
    """Names under which a map may show an area and what lies in it."""
    return tuple(registry.areas[a].name for a in registry.descendants(area)) if area in registry.areas else ()


def kpis(facts: Facts, everyone: Sequence[Observed]) -> tuple[Kpi, ...]:
    """The row of cards, without the delivery card and without what no station measures."""
    measured = {o.quantity for o in everyone}
    cards = [card(everyone) for quantity, card in _CARDS.items() if quantity in measured]
    return (*cards, _reporting(facts, everyone))


def _unknown(key: str, icon: str, label: str, unit: str) -> Kpi:
    return Kpi(
        key=key, icon=icon, label=label, value=NO_VALUE, unit=unit, level=UNHEARD, tag=level_word(UNHEARD), note=""
    )


def _water(everyone: Sequence[Observed]) -> Kpi:
    candidates = [o for o in everyone if o.current and o.quantity == "stage_m"]
    if not candidates:
        return _unknown("water", "waves", "ระดับน้ำ (สูงสุด)", "ม.")
    # Nearest the bank; where no station has one, the highest level.
    top = max(candidates, key=lambda o: (-math.inf if math.isnan(o.gap_m) else o.gap_m, o.level))
    if math.isnan(top.gap_m):
        label, value, unit = "ระดับน้ำ (สูงสุด)", number(top.value, 2), "ม."
    else:
        label, value = "ระดับน้ำเทียบตลิ่ง (สูงสุด)", signed(top.gap_m)
        unit = "ม. เหนือตลิ่ง" if round(top.gap_m, 2) > 0 else "ม. ถึงตลิ่ง"
    return Kpi(
        key="water",
        icon="waves",
        label=label,
        value=value,
        unit=unit,
        level=top.level,
        tag=top.word,
        note=" ".join(t for t in (top.station.name, trend_text(top)) if t),
    )


def _rain(everyone: Sequence[Observed]) -> Kpi:
    label, unit = "ฝนสะสม 24 ชม. ล่าสุด (สูงสุด)", "มม."
    candidates = [o for o in everyone if o.current and o.quantity == "rain_mm"]
    if not candidates:
        return _unknown("rain", "cloud-rain", label, unit)
    top = max(candidates, key=lambda o: o.value)
    return Kpi(
        key="rain",
        icon="cloud-rain",
        label=label,
        value=number(top.value, 1),
        unit=unit,
        level=top.level,
        tag=rain_word(top.value, complete=top.complete),
        note=top.station.name if top.complete else f"{top.station.name} · ข้อมูลไม่ครบ 24 ชม.",
    )


def _dust(everyone: Sequence[Observed]) -> Kpi:
    label, unit = "PM2.5 ล่าสุด (สูงสุด)", "มคก./ลบ.ม."
    candidates = [o for o in everyone if o.current and o.quantity == "pm2_5_ug_m3"]
    if not candidates:
        return _unknown("dust", "wind", label, unit)
    top = max(candidates, key=lambda o: o.value)
    # No word of the air-quality index: it is defined on 24-hour averages, and this is one reading.
    return Kpi(
        key="dust",
        icon="wind",
        label=label,
        value=number(top.value, 1),
        unit=unit,
        level=top.level,
        tag="",
        note=top.station.name,
    )


_CARDS = {"stage_m": _water, "rain_mm": _rain, "pm2_5_ug_m3": _dust}


def _reporting(facts: Facts, everyone: Sequence[Observed]) -> Kpi:
    speaking = sum(o.heard_us > 0 and not o.silent for o in everyone)
    faults = [o for o in everyone if o.level < 0]
    note = "ทุกสถานีส่งข้อมูล"
    if faults:
        first = faults[0]
        word = "ยังไม่เคยส่งข้อมูล" if first.level == UNHEARD else first.word
        age = f" {duration(facts.now_us - first.heard_us)}" if first.silent else ""
        more = f" และอีก {len(faults) - 1}" if len(faults) > 1 else ""
        note = f"{first.station.id} {word}{age}{more}"
    return Kpi(
        key="stations",
        icon="radio-tower",
        label="สถานีที่ส่งข้อมูล",
        value=str(speaking),
        unit=f"/ {len(everyone)} สถานี",
        level=FAULT if faults else 0,
        tag="ขัดข้อง" if faults else "",
        note=note,
    )


def delivery(facts: Facts) -> DeliveryKpi | None:
    """How the newest message travels; None when nothing was sent."""
    counts, story = facts.deliveries, facts.told
    if story is None or not counts:
        return None

    # What only the phone on the screen shows has reached nobody: it is not counted beside what left the box.
    preview = all(channel == PREVIEW for channel, _ in counts)

    def total(*states: DeliveryState) -> int:
        return sum(n for (c, state), n in counts.items() if state in states and (preview or c != PREVIEW))

    accepted = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
    channels = sorted({channel for channel, _ in counts if preview or channel != PREVIEW})
    return DeliveryKpi(
        total=total(*DeliveryState),
        accepted=total(*accepted),
        sending=total(DeliveryState.QUEUED, DeliveryState.SENDING),
        failed=total(DeliveryState.FAILED, DeliveryState.EXPIRED),
        by_channel=tuple(
            (CHANNEL_WORDS.get(c, c), sum(counts.get((c, state), 0) for state in accepted)) for c in channels
        ),
        level=story.public_level,
        preview=preview,
    )


def alarms(facts: Facts) -> tuple[AlarmRow, ...]:
    """Everything open, and what ended without anybody having looked: unacknowledged first, then level, then newest."""
    rows = [_episode_row(facts, e) for e in facts.episodes] + [_notice_row(facts, n) for n in facts.notices]
    rows += [_returned_row(facts, e) for e in returned(facts)]
    rows.sort(key=lambda r: (bool(r[0].acknowledged_by), -r[0].level, -r[1]))
    return tuple(row for row, _ in rows[:ALARM_ROWS_MAX])


def unacknowledged(rows: Sequence[AlarmRow]) -> int:
    """How many rows somebody still has to look at."""
    return sum(not row.acknowledged_by for row in rows)


def _episode_row(facts: Facts, episode: Episode) -> tuple[AlarmRow, int]:
    """One story; the number is the time it is sorted by."""
    fault = episode.hazard in STATION_HAZARDS
    seen = episode.shelved or not episode.unacknowledged
    state = "acknowledged" if seen else "returned" if episode.judged_level == 0 else "unacknowledged"
    what, station = _grounds(facts, episode)
    place = place_name(facts.registry, episode.area)
    public_word = level_word(episode.public_level) if episode.public_level else NOT_ANNOUNCED
    return AlarmRow(
        id=episode.id,
        is_notice=False,
        level=FAULT if fault else episode.judged_level,
        level_word=level_word(FAULT if fault else episode.judged_level),
        state=state,
        icon=HAZARD_ICONS.get(episode.hazard, "triangle-alert"),
        place=place,
        what=what,
        at=moment(episode.since_us, facts.now_us),
        count=1,
        known=episode.known,
        acknowledged_by=(episode.seen_by or "–") if seen else "",
        acknowledged_at=thai_clock(episode.seen_us) if seen and episode.seen_us is not None else "",
        public_word="" if fault or episode.public_level == episode.judged_level else public_word,
        version=episode.version,
        decision=None if fault else decision(facts, episode, place),
        station=station,
        unknown_for=_unknown_for(facts, episode),
        held="" if fault else held_text(facts, episode),
        tints=() if fault or not episode.judged_level else _tints(facts.registry, episode.area),
        lapsed=_lapsed(facts, episode),
    ), episode.since_us


def returned(facts: Facts) -> list[Episode]:
    """Stories that ended in the last 24 h before anybody looked: about people's danger, or once at level 2."""
    return [
        e
        for e in facts.ended
        if e.closed_us is not None
        and facts.now_us - e.closed_us <= DAY_US
        and e.seen_us is None
        and (e.hazard not in STATION_HAZARDS or e.peak_level >= Level.WARNING)
    ]


def _returned_row(facts: Facts, episode: Episode) -> tuple[AlarmRow, int]:
    """A story that ended unseen; it is listed until somebody takes note of it."""
    hazard = HAZARD_WORDS.get(episode.hazard, episode.hazard)
    closed_us = episode.closed_us if episode.closed_us is not None else episode.since_us
    span = f"เปิด {thai_clock(episode.opened_us)} น. ปิด {thai_clock(closed_us)} น."
    return AlarmRow(
        id=episode.id,
        is_notice=False,
        level=0,
        level_word=level_word(0),
        state="returned",
        icon=HAZARD_ICONS.get(episode.hazard, "triangle-alert"),
        place=place_name(facts.registry, episode.area),
        what=f"{hazard} · เคยถึง{level_word(episode.peak_level)} · {span}",
        at=moment(closed_us, facts.now_us),
        count=1,
        known=True,
        acknowledged_by="",
        acknowledged_at="",
        public_word="",
        version=episode.version,
        decision=None,
        station="",
    ), closed_us


def _grounds(facts: Facts, episode: Episode) -> tuple[str, str]:
    """What the story rests on, in words, and the station to show."""
    if episode.hazard == STATION:
        station = episode.area if episode.area in facts.registry.stations else ""
        if episode.judged_level == 0:
            return "กลับมาส่งข้อมูลแล้ว", station
        # As on the pin: the age of its newest reading, whenever the machine noticed.
        heard = heard_us(facts, station)
        return f"ไม่มีข้อมูลมา {duration(facts.now_us - heard)}" if heard else "ยังไม่เคยส่งข้อมูล", station
    event = facts.grounds.get(episode.id)
    if event is None or not event.used:
        return HAZARD_WORDS.get(episode.hazard, episode.hazard), ""
    used = max(event.used, key=lambda u: (u.truth, u.threshold))
    owner, _, name = used.series.partition("/")
    held = facts.registry.stations.get(owner)
    where = held.name if held else owner
    if held is not None and held.banks is not None and name.startswith("stage_m"):
        at = thai_clock(used.time_us)
        if not used.truth:
            return f"{where}: ลดลงต่ำกว่า {number(used.threshold, 2)} ม. เมื่อ {at} น.", held.id
        return (
            f"{where}: {gap_text(used.value - held.banks.lower_m)} เมื่อ {at} น. · เกณฑ์ {number(used.threshold, 2)} ม.",
            held.id,
        )
    index = facts.registry.index.get((owner, name))
    if index is None:
        return f"{where}: {used.value:.2f} · เกณฑ์ {number(used.threshold, 2)}", held.id if held else ""
    quantity = QUANTITIES[facts.registry.series[index].quantity]
    unit, shown = UNIT_WORDS[quantity.unit], quantity.decimals
    return (
        f"{where}: {quantity.thai} {used.value:.{shown}f} {unit} · เกณฑ์ {number(used.threshold, shown)} {unit}",
        owner,
    )


def _notice_row(facts: Facts, notice: Notice) -> tuple[AlarmRow, int]:
    # A notice speaks of a series, or of a story and so of its area.
    about = next((e.area for e in facts.episodes if e.id == notice.subject), notice.subject)
    owner = about.partition("/")[0]
    station = owner if owner in facts.registry.stations else ""
    return AlarmRow(
        id=str(notice.id),
        is_notice=True,
        level=FAULT,
        level_word="ขัดข้อง",
        state="unacknowledged" if notice.acknowledged_us is None else "acknowledged",
        icon=NOTICE_ICONS.get(notice.code, "circle-question-mark"),
        place=place_name(facts.registry, owner),
        what=notice.text,
        at=moment(notice.at_us, facts.now_us),
        count=notice.count,
        known=True,
        acknowledged_by=notice.acknowledged_by,
        acknowledged_at=thai_clock(notice.acknowledged_us) if notice.acknowledged_us is not None else "",
        public_word="",
        version=0,
        decision=None,
        station=station,
    ), notice.at_us


def console(
    facts: Facts, everyone: Sequence[Observed], *, viewer: User, station: str = "", map_url: str = ""
) -> ConsoleView:
    """The whole overview; `station` is the one in the panel, else the first of the most pressing alarm."""
    rows = alarms(facts)
    chosen = (
        station or next((row.station for row in rows if row.station), "") or next(iter(facts.registry.stations), "")
    )
    return ConsoleView(
        world=world(facts),
        user=viewer,
        incident=incident(facts),
        kpis=kpis(facts, everyone),
        delivery=delivery(facts),
        alarms=rows,
        unacknowledged=unacknowledged(rows),
        pins=tuple(pin(facts, o) for o in everyone),
        panel=panel(facts, everyone, chosen),
        map_url=map_url,
        bounds=bounds(facts.registry),
    )


def bounds(registry: Registry) -> tuple[float, float, float, float]:
    """South, west, north, east around all stations, a tenth wider than they are."""
    lats = [s.lat for s in registry.stations.values()] or [0.0]
    lons = [s.lon for s in registry.stations.values()] or [0.0]
    high, wide = max(0.01, max(lats) - min(lats)) / 10, max(0.01, max(lons) - min(lons)) / 10
    return min(lats) - high, min(lons) - wide, max(lats) + high, max(lons) + wide
