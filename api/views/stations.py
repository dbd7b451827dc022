"""Stations beside each other: on the map, in the panel, in the list."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.views import Moment, World
from api.views.chart import Chart, Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One station on the map. Sent as JSON too."""

    station: str
    name: str
    lat: float
    lon: float
    glyph: str
    """water, rain or air: sprite id of its main quantity."""
    text: str
    """`−0.42` (m to the bank), `96.5` (mm in 24 h), `18` (µg/m³), `–`."""
    unit: str
    level: int
    """0-3; -1 fault (silent station), -2 never heard."""
    level_word: str
    trend: str
    """up, down, steady or empty when not known."""
    label: str
    """Whole sentence for screen readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """The station panel."""

    station: str
    name: str
    quantity: str
    """Main reading name: stage_m, rain_mm or pm2_5_ug_m3."""
    unit: str
    value: str
    """`2.31`; `–` when unknown."""
    level: int
    """-2 never heard, -1 silent, 0-3."""
    level_word: str
    data: Moment | None
    bank_gap: str
    """`ต่ำกว่าตลิ่ง 0.42 ม.`; empty when the station has no bank."""
    percent: str
    """`88%` of the bank; empty."""
    trend: str
    trend_text: str
    """`↑ ขึ้น 11 ซม./ชม.`; empty when not known."""
    window_h: int
    """How far back the hydrograph looks."""
    thresholds: Sequence[Threshold]
    rain_name: str
    """`{station}/rain_mm` of the nearest rain gauge for the bars; empty for none."""
    facts: Sequence[tuple[str, str]]
    """Label and value pairs: rain 24 h, flag of the newest reading, battery, unsurveyed thresholds ..."""
    summary: str
    """One sentence for screen readers."""
    held: str = ""
    """Why the judged level stands above what is measured now; empty when it does not."""
    chart: Chart | None = None
    """Filled where it is shown: it needs more of the past than the facts hold."""
    pin: Pin | None = None
    """The same station on the map, of the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationRow:
    """One line of the list of stations."""

    station: str
    name: str
    icon: str
    level: int
    level_word: str
    value: str
    data: Moment | None
    battery: str
    flag_word: str
    attention: str
    """Why somebody should look; empty for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewcomerRow:
    """One device that is not registered."""

    id: str
    via: str
    data: Moment
    count: int
    readings: str
    """What it last said, or why that could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationsView:
    """The list of stations."""

    world: World
    rows: Sequence[StationRow]
    newcomers: Sequence[NewcomerRow] = ()
    """Only for whoever may adopt them."""
