"""The last hours of every story: bands of judged level, and what people did."""

from collections.abc import Callable, Sequence

from alerts.episode import Episode, Event, EventType
from alerts.words import HAZARD_WORDS, SILENT_WORD, STATION_HAZARDS, thai_clock, thai_date
from api.screens.console import HAZARD_ICONS, STATION, place_name
from api.screens.facts import DAY_US, HOUR_US, Facts, worst_first
from api.screens.past import bands
from api.screens.words import level_word
from api.views.chart import Act, Lane, Span, Tick, TimelineView

WINDOW_US = 12 * HOUR_US
AHEAD = 0.02
LANES_MAX = 6
NEAR = 2.5
"""Acts nearer than this, %, are drawn as one: a finger or a pointer must hit each (WCAG 2.5.8)."""
TICK_US = 2 * HOUR_US
WORD_FITS = 9.0
"""Least width of a band, %, that carries its word."""
_BANGKOK_US = 7 * HOUR_US

_ACTS = {
    EventType.ACKNOWLEDGED: ("check", "รับทราบ {word}", False),
    EventType.CALLED: ("users", "เรียกเวร {word}", False),
    EventType.UNANSWERED: ("users", "ไม่มีใครรับทราบ {word}", False),
    EventType.SHELVED: ("check", "พักไว้ {word}", False),
    EventType.REQUESTED: ("users", "ขอประกาศ {word}", False),
    EventType.RELEASED: ("send", "ประกาศ {word}", True),
    EventType.LOWERED: ("arrow-down", "ลดประกาศเป็น {word}", True),
}


def timeline(facts: Facts, stories: Sequence[tuple[Episode, Sequence[Event]]]) -> TimelineView:
    """Lanes of every place with a story in the window, worst first.

    Parameters
    ----------
    stories : those that were open in the window, with their events, oldest event first
    """
    start, end = facts.now_us - WINDOW_US, facts.now_us
    whole = WINDOW_US * (1 + AHEAD)

    def x(time_us: int) -> float:
        return round(100 * (max(time_us, start) - start) / whole, 3)

    lanes: dict[tuple[str, str], list[Span]] = {}
    acts: list[tuple[int, str, str, bool]] = []
    for episode, events in sorted(stories, key=lambda s: worst_first(s[0])):
        spans = lanes.setdefault((episode.area, episode.hazard), [])
        fault = episode.hazard in STATION_HAZARDS
        for band in bands(events, from_us=start, to_us=end):
            word = _fault_word(episode.hazard) if fault else level_word(band.level) if band.known else "ไม่มีข้อมูล"
            name = "level-fault" if fault else f"level-{band.level}" if band.known else "level-unknown"
            width = round(x(band.to_us) - x(band.from_us), 3)
            text = f"{word} {thai_clock(band.from_us)}–{thai_clock(band.to_us)} น."
            spans.append(Span(at=x(band.from_us), width=width, name=name, text=text))
        place = place_name(facts.registry, episode.area)
        for event in events:
            if event.type in _ACTS and start <= event.recorded_us <= end:
                icon, words, filled = _ACTS[event.type]
                told = words.format(word=level_word(event.to_level))
                text = f"{thai_clock(event.recorded_us)} น. {told} · {place} · {event.actor}"
                acts.append((event.recorded_us, icon, text, filled))
    kept = [(key, spans) for key, spans in lanes.items() if spans][:LANES_MAX]
    first = -(-(start + _BANGKOK_US) // TICK_US) * TICK_US - _BANGKOK_US
    return TimelineView(
        title=_title(start, end),
        lanes=tuple(
            Lane(
                place=place_name(facts.registry, area),
                icon=HAZARD_ICONS.get(hazard, "triangle-alert"),
                spans=tuple(spans),
                summary=", ".join(span.text for span in spans),
            )
            for (area, hazard), spans in kept
        ),
        acts=tuple(_near_together(x, sorted(acts))),
        ticks=tuple(
            Tick(
                at=x(at),
                text=thai_clock(at),
                date=thai_date(at, weekday=False) if (at + _BANGKOK_US) % DAY_US == 0 else "",
                minor=order % 2 == 1,
            )
            for order, at in enumerate(range(first, end, TICK_US))
        ),
        now_at=x(end),
        word_fits=WORD_FITS,
    )


def _title(start: int, end: int) -> str:
    """The span with the day of each end, where they differ."""
    first, last = thai_date(start, weekday=False), thai_date(end, weekday=False)
    if first == last:
        return f"{last} · {thai_clock(start)}–{thai_clock(end)} น."
    return f"{first} {thai_clock(start)} น. – {last} {thai_clock(end)} น."


def _near_together(x: Callable[[int], float], acts: Sequence[tuple[int, str, str, bool]]) -> list[Act]:
    found: list[Act] = []
    for at, icon, text, filled in acts:
        here = x(at)
        if found and here - found[-1].at < NEAR:
            last = found.pop()
            both, many = f"{last.text}; {text}", last.count + 1
            found.append(Act(at=last.at, icon=icon, filled=filled or last.filled, count=many, text=both))
        else:
            found.append(Act(at=here, icon=icon, filled=filled, count=1, text=text))
    return found


def _fault_word(hazard: str) -> str:
    return SILENT_WORD if hazard == STATION else HAZARD_WORDS.get(hazard, hazard)
