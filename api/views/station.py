"""The page of one station."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.views import Moment, World
from api.views.stations import PanelView


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """One line of the table of thresholds, with where its number comes from."""

    level: int
    """1-3; 0 for the bank."""
    word: str
    value: str
    share: str
    """`85% ของตลิ่ง`; empty where it is no fraction of the bank."""
    leave: str
    holds: str
    """How long it must hold before the level rises and falls."""
    source: str
    author: str
    date: str
    surveyed: bool
    """False: the number rests on a bank that nobody has measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRow:
    """One reading as it came."""

    at: Moment
    value: str
    flag: int
    flag_word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCard:
    """One instrument or property of a station, with a line of its past where there is one."""

    icon: str
    label: str
    value: str
    note: str
    runs: Sequence[str]
    """As in `Chart`; empty where there is no past to draw."""
    bad: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """One day of the completeness picture."""

    label: str
    cells: Sequence[tuple[str, str]]
    """24 of (CSS word, sentence): full, most, some, few, none, or ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """Which promised readings came."""

    share: str
    """`98.5%`"""
    since: str
    longest: str
    """Longest gap with its time; empty for none."""
    days: Sequence[DayRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationView:
    """The page of one station, for officers and for residents."""

    world: World
    panel: PanelView
    english: str
    """Its name in English."""
    about: Sequence[tuple[str, str]]
    """Label and value pairs: kind, areas, bank, datum."""
    window: str
    windows: Sequence[tuple[str, str]]
    """(name in the address, words)."""
    thresholds: Sequence[ThresholdRow]
    health: Sequence[HealthCard]
    completeness: Completeness | None
    readings: Sequence[ReadingRow]
    csv_url: str
    csv_size: str
    staleness: str
    """As on the public page: values of an old station are withheld from residents."""
    public_level: int = 0
    """What is announced where the station speaks for."""
    public_word: str = ""
