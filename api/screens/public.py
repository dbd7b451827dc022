"""The residents' page and the preview phone. The page carries what has been released; measurements stand beside it."""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from alerts.episode import Episode, Kind
from alerts.words import STATION_HAZARDS, thai_clock
from api.screens import public_words as words
from api.screens.console import world
from api.screens.facts import MINUTE_US, RECENT_US, Facts, lapsed_us
from api.screens.stations import Observed
from api.screens.words import NO_VALUE, level_word, moment, number, rain_word
from api.texts import PHRASES, PUBLIC, QUIET, UNSEEN, PublicPhrases
from api.views.public import PhoneMessage, PhoneView, PublicView, Reading, RiverView, Village
from sensors.heights import bank_pct
from sensors.stations import Area, Registry

OLD_US = 30 * MINUTE_US
"""From here on the age of the data is pointed out; beyond RECENT_US values are withheld."""
RIVER_FILL_MAX = 1.3
MASK = "••••"

_MOO = re.compile(r"หมู่ (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How a resident wants the page."""

    village: str = ""
    """Area id, empty for the whole sub-district."""
    language: str = "th"
    large_text: bool = False


def leaves(registry: Registry) -> list[Area]:
    """The villages: areas without areas below, by code."""
    parents = {a.parent for a in registry.areas.values()}
    return sorted((a for a in registry.areas.values() if a.id not in parents), key=lambda a: a.id)


def scope_of(registry: Registry, village: str) -> frozenset[str]:
    """The areas whose warnings and waters concern a village: itself, what it lies in, what lies in it; else all."""
    if village not in registry.areas:
        return frozenset(registry.areas)
    return frozenset((*registry.ancestors(village), *registry.descendants(village)))


def warnings(facts: Facts, scope: frozenset[str]) -> list[Episode]:
    """Stories in force for the public there, highest first; one whose area the configuration has lost concerns all."""
    found = [
        e
        for e in facts.episodes
        if e.hazard not in STATION_HAZARDS
        and e.public_level > 0
        and (e.area in scope or e.area not in facts.registry.areas)
    ]
    return sorted(found, key=lambda e: -e.public_level)


def known_areas(facts: Facts, water: Sequence[Observed], scope: frozenset[str]) -> frozenset[str]:
    """Areas of which enough is known to call them calm: the machine knows them, and most of their own gauges speak.

    The machine knows an area by any one of its gauges; a flood may come by another. A record that nobody keeps up says
    nothing.
    """

    def seen(area: str) -> bool:
        own = [o.current for o in water if o.judged and area in o.station.areas]
        return 2 * sum(own) > len(own)

    judged = {s.area for s in facts.statuses if s.known and s.hazard not in STATION_HAZARDS and facts.judging}
    return frozenset(area for area in judged & scope if seen(area))


def public(facts: Facts, everyone: Sequence[Observed], reader: Reader) -> PublicView:
    """The whole page for one resident."""
    registry, english = facts.registry, reader.language == "en"
    phrases = PHRASES[reader.language]
    scope = scope_of(registry, reader.village)
    there = [o for o in everyone if scope.intersection(o.station.areas)]
    water = [o for o in there if o.quantity == "stage_m"]
    known = known_areas(facts, water, scope)
    watched = {a for o in water if o.judged for a in o.station.areas if a in scope}
    in_force = warnings(facts, scope)
    data_us = max((o.time_us or o.heard_us for o in water or there), default=0)
    staleness = _staleness(facts, data_us)
    over = sorted((o for o in water if o.current and round(100 * o.gap_m, 0) > 0), key=lambda o: -o.gap_m)
    raised = bool(over) or (bool(known) and staleness in ("fresh", "old") and _raised(facts, there, scope))
    # Nothing announced is calm only where everything watched is known: silence is not safety.
    level = in_force[0].public_level if in_force else QUIET if raised or (known and known >= watched) else UNSEEN
    text = PUBLIC[level, reader.language]
    headline, sentence, detail = text.headline, text.sentence, text.detail
    unseen = _names(registry, watched - known, english=english)
    word = level_word(level, language=reader.language)
    speaking = [o.station.english if english else o.station.name for o in water if o.current]
    if level == UNSEEN and watched and speaking and facts.judging:
        headline = word = words.incomplete_headline(english=english)
        calm = _names(registry, known & watched, english=english)
        places = ", ".join(speaking)
        sentence = words.seen_only(calm, english=english) if calm else words.measured_only(places, english=english)
        detail = words.unseen(unseen, english=english)
    elif level == UNSEEN and not watched:
        sentence = phrases.unwatched
    elif level == QUIET:
        if over:
            headline = word = words.over_bank_headline(round(100 * over[0].gap_m), english=english)
            places = ", ".join(o.station.english if english else o.station.name for o in over)
            sentence, detail = words.not_announced(places, english=english), words.keep_away(english=english)
        elif raised:
            headline, word, sentence = phrases.raised_headline, phrases.raised_headline, phrases.raised
        elif water and all(o.current and o.gap_m < 0 for o in water):
            detail = phrases.below
        if unseen:
            detail = " · ".join(part for part in (detail, phrases.partly_unseen + unseen) if part)
    elif level > QUIET:
        until_us = max((lapsed_us(facts, e) for e in in_force if e.public_level == level), default=0)
        if until_us:
            detail = words.not_renewed(thai_clock(until_us), english=english)
        elif not known or staleness != "fresh":
            detail = phrases.stands
    phone = registry.place.phone
    return PublicView(
        world=world(facts),
        level=level,
        level_word=word,
        calm=level == QUIET and not raised,
        observed=level == QUIET and bool(over),
        headline=headline,
        where=_where(registry, in_force, level, reader, phrases),
        sentence=sentence,
        detail=detail,
        do_now=tuple((icon, action.format(phone=phone), small) for icon, action, small in text.do_now),
        villages=_villages(facts, reader),
        rivers=tuple(sorted((_river(facts, o, reader.language, phrases) for o in water), key=_nearest_the_bank)),
        readings=_readings(everyone, there, reader.language),
        data=moment(data_us, facts.now_us, language=reader.language) if data_us else None,
        staleness=staleness,
        language=reader.language,
        large_text=reader.large_text,
    )


def _staleness(facts: Facts, data_us: int) -> str:
    if not data_us:
        return "none"
    age = facts.now_us - data_us
    return "hidden" if age > RECENT_US else "old" if age > OLD_US else "fresh"


def _raised(facts: Facts, there: Sequence[Observed], scope: frozenset[str]) -> bool:
    """Whether anything speaks against the word normal, although nothing is announced."""
    return (
        any(o.level > 0 for o in there)
        or any(s.level > 0 and s.hazard not in STATION_HAZARDS and s.area in scope for s in facts.statuses)
        or any(e.judged_level > 0 and e.hazard not in STATION_HAZARDS and e.area in scope for e in facts.episodes)
    )


def _names(registry: Registry, areas: Collection[str], *, english: bool) -> str:
    return ", ".join(_name(registry.areas[a], english=english) for a in sorted(areas))


def _name(area: Area, *, english: bool) -> str:
    return area.english if english else area.name


def _where(registry: Registry, in_force: Sequence[Episode], level: int, reader: Reader, phrases: PublicPhrases) -> str:
    english = reader.language == "en"
    if reader.village in registry.areas:
        return _name(registry.areas[reader.village], english=english)
    villages = leaves(registry)
    areas = [e.area for e in in_force if e.public_level == level]
    told = {a for area in areas for a in registry.descendants(area)} or {v.id for v in villages}
    named = [v for v in villages if v.id in told]
    if len(named) == len(villages):
        roots = [a for a in registry.areas.values() if not a.parent]
        return " ".join((*(_name(a, english=english) for a in roots), phrases.everywhere))
    numbers = [_MOO.fullmatch(v.short) for v in named]
    if named and not english and all(numbers):
        short = "หมู่ " + ", ".join(str(n) for n in sorted(int(m[1]) for m in numbers if m))
    else:
        short = ", ".join(_name(v, english=english) for v in named)
    reaches = [
        _name(registry.areas[a], english=english) if a in registry.areas else a
        for a in dict.fromkeys(areas)
        if a not in {v.id for v in named}
    ]
    return " · ".join(part for part in (short, ", ".join(reaches)) if part)


def _villages(facts: Facts, reader: Reader) -> tuple[Village, ...]:
    def level(village: str) -> int:
        return max((e.public_level for e in warnings(facts, scope_of(facts.registry, village))), default=0)

    return tuple(
        Village(
            code=v.id,
            name=_name(v, english=reader.language == "en"),
            level=level(v.id),
            chosen=v.id == reader.village,
        )
        for v in leaves(facts.registry)
    )


def _river(facts: Facts, observed: Observed, language: str, phrases: PublicPhrases) -> RiverView:
    english, banks = language == "en", observed.station.banks
    seen_us = observed.time_us or observed.heard_us
    name = observed.station.english if english else observed.station.name
    data = moment(seen_us, facts.now_us, language=language) if seen_us else None
    if not observed.time_us or facts.now_us - observed.time_us > RECENT_US:
        headline = phrases.old_data if seen_us and facts.now_us - seen_us > RECENT_US else phrases.no_data
        return RiverView(
            name=name,
            has_bank=banks is not None,
            gap_cm=None,
            fill=0.0,
            headline=headline,
            trend="",
            trend_text="",
            data=data,
            station=observed.station.id,
        )
    gap_cm, fill = None, 0.0
    headline = f"{'stage' if english else 'ระดับน้ำ'} {observed.value:.2f} {'m' if english else 'เมตร'}"
    if banks is not None:
        gap_cm = round(-100 * observed.gap_m)
        fill = min(max(bank_pct(observed.value, banks) / 100, 0.0), RIVER_FILL_MAX)
        headline = _bank_words(gap_cm, english=english)
    return RiverView(
        name=name,
        has_bank=banks is not None,
        gap_cm=gap_cm,
        fill=round(fill, 3),
        headline=headline,
        trend=observed.trend,
        trend_text=_trend_words(observed, english=english),
        data=data,
        station=observed.station.id,
    )


def _nearest_the_bank(river: RiverView) -> tuple[bool, int]:
    """Sort key: whoever reads only the first picture sees the worst; what is not known comes last."""
    return river.gap_cm is None, river.gap_cm or 0


def _bank_words(gap_cm: int, *, english: bool) -> str:
    size = abs(gap_cm)
    if size == 0:
        return "level with the bank" if english else "น้ำเสมอตลิ่ง"
    far = size >= 100
    if english:
        length = f"{size / 100:.2f} m" if far else f"{size} cm"
        return f"{length} below the bank" if gap_cm > 0 else f"{length} over the bank"
    length = f"{size / 100:.2f} เมตร" if far else f"{size} เซนติเมตร"
    return f"ต่ำกว่าตลิ่ง {length}" if gap_cm > 0 else f"ท่วมเหนือตลิ่ง {length}"


def _trend_words(observed: Observed, *, english: bool) -> str:
    if not observed.trend:
        return ""
    speed = f"{abs(observed.slope_cm_h):.0f}"
    words = {
        "up": ("น้ำกำลังขึ้น ชั่วโมงละ {} ซม.", "rising {} cm per hour"),
        "down": ("น้ำกำลังลง ชั่วโมงละ {} ซม.", "falling {} cm per hour"),
        "steady": ("น้ำทรงตัว", "steady"),
    }
    return words[observed.trend][english].format(speed)


def _readings(everyone: Sequence[Observed], there: Sequence[Observed], language: str) -> tuple[Reading, ...]:
    """Rain and dust where the reader lives; where no instrument speaks for it, of the whole sub-district."""
    english = language == "en"

    def highest(quantity: str) -> Observed | None:
        near = [o for o in there if o.quantity == quantity] or [o for o in everyone if o.quantity == quantity]
        current = [o for o in near if o.current and not math.isnan(o.value)]
        return max(current, key=lambda o: o.value, default=None)

    cards: list[Reading] = []
    have = {o.quantity for o in everyone}
    if "rain_mm" in have:
        rain = highest("rain_mm")
        cards.append(
            Reading(
                icon="cloud-rain",
                label="Rain, last 24 h" if english else "ฝน 24 ชม. ล่าสุด",
                value=number(rain.value, 1) if rain else NO_VALUE,
                unit="mm" if english else "มม.",
                word=rain_word(rain.value, complete=rain.complete, language=language) if rain else "",
                tone="plain",
            )
        )
    if "pm2_5_ug_m3" in have:
        dust = highest("pm2_5_ug_m3")
        # No word and no colour of the air-quality index: it is defined on 24-hour averages, and this is one reading.
        cards.append(
            Reading(
                icon="wind",
                label="PM2.5 now" if english else "ฝุ่น PM2.5 ขณะนี้",
                value=number(dust.value, 0) if dust else NO_VALUE,
                unit="µg/m³" if english else "มคก./ลบ.ม.",
                word="",
                tone="plain",
            )
        )
    return tuple(cards)


def phone(facts: Facts) -> PhoneView:
    """The preview phone: invented numbers keep their last two digits, real ones none."""
    shown = 0 if facts.kind is Kind.ACTUAL else 2
    return PhoneView(
        world=world(facts),
        messages=tuple(
            PhoneMessage(
                text=m.text,
                level=m.level,
                at=moment(m.at_us, facts.now_us),
                target=mask(m.target, shown=shown),
            )
            for m in facts.messages
        ),
    )


def mask(target: str, *, shown: int) -> str:
    """Hide an address but for its last characters; one that is short is hidden whole."""
    return MASK + (target[-shown:] if shown and len(target) > 2 * shown else "")
