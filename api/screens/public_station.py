"""The page of one station as residents see it: what is announced, and beside it what is observed. No judged level."""

from dataclasses import replace

from api.screens.facts import Facts
from api.screens.public import scope_of, warnings
from api.screens.words import NOT_ANNOUNCED, level_word
from api.views.chart import ChartLine
from api.views.station import StationView


def for_residents(facts: Facts, view: StationView) -> StationView:
    """Take the machine's opinion off a station page: its level words belong to announcements, which people make.

    Thresholds stay as numbered lines, so that the graph can still be read.
    """
    station = facts.registry.stations[view.panel.station]
    in_force = [e for area in station.areas for e in warnings(facts, scope_of(facts.registry, area))]
    level = max((e.public_level for e in in_force), default=0)
    drawn = view.panel.chart
    if drawn is not None:
        lines = tuple(map(_nameless, drawn.lines))
        drawn = replace(drawn, lines=lines, levels=(), zones=())
    rows = [
        replace(row, word=f"เส้น {row.level}{' (ขึ้นเร็ว)' if 'ขึ้นเร็ว' in row.word else ''}") if row.level else row
        for row in view.thresholds
    ]
    return replace(
        view,
        panel=replace(view.panel, level_word="", held="", chart=drawn),
        thresholds=tuple(rows),
        public_level=level,
        public_word=level_word(level) if level else NOT_ANNOUNCED,
    )


def _nameless(line: ChartLine) -> ChartLine:
    """`เส้น 2: 3.83`; the bank keeps its name."""
    label = line.label
    for level in (1, 2, 3):
        label = label.replace(level_word(level), f"เส้น {level}:")
    return replace(line, label=label)
