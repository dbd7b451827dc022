"""The screen on the wall."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.views import World
from api.views.chart import Chart
from api.views.stations import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class WallStation:
    """One of the stations in huge numbers."""

    level: int
    level_word: str
    name: str
    value: str
    unit: str
    """`ม. จากตลิ่ง`, or the unit of the stage."""
    trend: str
    text: str
    chart: Chart | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WallView:
    """The screen on the wall: read from across the room, no controls."""

    world: World
    level: int
    """Highest judged or announced level of an open story, 0 for none, -2 when nothing is known."""
    title: str
    detail: str
    stations: Sequence[WallStation]
    facts: Sequence[tuple[str, str, str]]
    """(icon, label, value)."""
    fault: str
    """What is broken; empty for nothing."""
    pins: Sequence[Pin]
    tints: Sequence[tuple[int, Sequence[str]]]
    """(level, names of places) of every open danger."""
    map_url: str
    bounds: tuple[float, float, float, float]
