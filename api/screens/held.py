"""Why a judged level stands above what is measured now: said beside it, so that nobody takes it for a mistake."""

from collections.abc import Sequence

import numpy as np

from alerts.episode import Episode
from alerts.words import duration
from api.screens.facts import Facts, usable_rows
from api.screens.words import UNIT_WORDS, level_word, number
from sensors.quantities import QUANTITIES


def held_text(facts: Facts, episode: Episode) -> str:
    """`น้ำลดแล้ว รอครบเวลา 30 นาที (อีก 12 นาที)`; empty while the evidence itself carries the level.

    A level is left when every series that can hold it has been below its leaving line for the rule's time, counted
    from the last change of the level: it comes down one step at a time.
    """
    level = episode.judged_level
    if not level or not episode.known:
        return ""
    ladders, registry = facts.rules.ladders, facts.registry
    lines: list[tuple[float, str]] = []
    unit = ""
    waits: list[tuple[int, int]] = []
    for ladder in range(len(ladders)):
        series = int(ladders.series[ladder])
        station = registry.stations[registry.series[series].station]
        if (
            not ladders.by_value[ladder]
            or ladders.hazard[ladder] != episode.hazard
            or episode.area not in station.areas
            or series not in facts.recent
        ):
            continue
        time_us, value = usable_rows(facts, series)
        if not len(value):
            continue
        if value[-1] >= ladders.enter[level - 1, ladder]:
            return ""
        leave, down_us = float(ladders.leave[level - 1, ladder]), int(ladders.down_for_us[level - 1, ladder])
        if value[-1] >= leave:
            lines.append((leave, station.name))
            unit = UNIT_WORDS[QUANTITIES[registry.series[series].quantity].unit]
            continue
        if not (value >= leave).any():
            continue  # it never stood so high: whatever raised the level was not this
        ends = np.flatnonzero((value[:-1] >= leave) | (np.diff(time_us) > ladders.cover_us[ladder]))
        began = max(int(time_us[ends[-1] + 1] if len(ends) else time_us[0]), episode.since_us)
        waits.append((down_us - (int(time_us[-1]) - began), down_us))
    if lines:
        leave, name = max(lines)
        return f"ลดแล้ว แต่ยังไม่ต่ำกว่า {number(leave, 2)} {unit} ที่ {name}"
    left, whole = max(waits, default=(0, 0))
    return f"ลดแล้ว รอครบเวลา {duration(whole)} (อีก {duration(left)})" if left > 0 else ""


def held_at(facts: Facts, areas: Sequence[str], level: int) -> str:
    """The same beside one measured level; empty where no story of these areas stands above it."""
    for episode in facts.episodes:
        if episode.area in areas and episode.judged_level > max(level, 0):
            why = held_text(facts, episode) or "ตามสถานีอื่น"
            place = facts.registry.areas[episode.area].name
            return f"{place} ยังตัดสินเป็น{level_word(episode.judged_level)}: {why}"
    return ""
