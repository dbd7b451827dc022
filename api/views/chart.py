"""What is drawn along an axis of time: hydrographs, and the timeline of the stories."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A labelled line of the hydrograph."""

    level: int
    """1-3; 0 for the bank."""
    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A label on an axis."""

    at: float
    """Place on the axis, % from the left or the top."""
    text: str
    date: str
    """Second line, with the Buddhist year; empty where the day is clear."""
    minor: bool
    """Left out where there is little room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLine:
    """A labelled level across the plot."""

    level: int
    """1-3; 0 for the bank alone."""
    label: str
    at: float
    """% from the top."""
    label_at: float
    """The same, moved apart from its neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the time axis."""

    at: float
    """% from the left."""
    width: float
    name: str
    """CSS word: good, doubted, missing, or level-0 .. level-3, level-unknown."""
    text: str
    """In words, for who points at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Rain of one hour, % of the plot."""

    at: float
    width: float
    height: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One reading, % of the plot."""

    x: float
    y: float
    text: str
    beyond: bool
    """It lies outside what the plot shows and stands at its edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """One line of the table beside a chart."""

    iso: str
    clock: str
    date: str
    value: str
    """Newest usable one of the step; `–` where there is none."""
    highest: str
    rain: str
    """Sum of the step; empty without a gauge."""
    quality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A hydrograph, ready to draw: every place is in % of the plot, so that one drawing serves every width."""

    key: str
    """`WL-01/stage_m`"""
    title: str
    unit: str
    from_top: bool
    """Whether the bars hang from above (rain over a river) or stand (a rain gauge's own)."""
    runs: Sequence[str]
    """Unbroken lines, each as points `x,y x,y` of a 1000 x 1000 square; a gap is never bridged."""
    lonely: Sequence[Spot]
    """Readings with gaps on both sides."""
    doubted: Sequence[Spot]
    """Suspect or failed: not part of any line."""
    gaps: Sequence[Span]
    zones: Sequence[tuple[int, float, float]]
    """(level, top, height): from a threshold to the next one."""
    lines: Sequence[ChartLine]
    bars: Sequence[Bar]
    bars_name: str
    """`ฝน มม./ชม. · RF-01 อบต.โพนยาง`; empty for none."""
    bar_ticks: Sequence[Tick]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    now_at: float
    newest: Spot | None
    quality: Sequence[Span]
    levels: Sequence[Span]
    """What the machine judged of the area; empty where no rule speaks of it."""
    rows: Sequence[ChartRow]
    step_text: str
    """`ราย 15 นาที`"""
    summary: str
    """For who cannot see it, and under it for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One place in the timeline."""

    place: str
    icon: str
    spans: Sequence[Span]
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody did, or several things done at nearly the same time."""

    at: float
    """% from the left."""
    icon: str
    filled: bool
    """Whether the public was told something by it."""
    count: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """The last hours of every story."""

    title: str
    lanes: Sequence[Lane]
    acts: Sequence[Act]
    ticks: Sequence[Tick]
    now_at: float
    word_fits: float
    """Least width of a band, %, that carries its word."""
