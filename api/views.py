"""What the pages show, as plain values: templates format nothing but these."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time for people: Asia/Bangkok, Buddhist year."""

    iso: str
    """`2026-11-22T14:35:00+07:00`, for <time datetime>."""
    clock: str
    """`14:35`"""
    date: str
    """`อาทิตย์ 22 พ.ย. 2569`"""
    ago: str
    """`2 นาทีที่แล้ว`, by the judgement clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """On every page."""

    kind: str
    """actual, exercise or test."""
    speed: float
    """Of the judgement clock; 1 when real."""
    now: Moment
    place: str
    """อบต.โพนยาง"""
    place_long: str
    """อ.วังหิน จ.ศรีสะเกษ"""
    place_en: str
    judging: bool
    """Whether the worker's heartbeat is fresh: False is a banner on every page, silence is not safety."""
    newest: Moment | None = None
    """Of the newest reading of any station: how old a page is that nobody judges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whoever is signed in."""

    name: str
    role_thai: str
    csrf: str
    may_acknowledge: bool
    may_release: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One button that moves the public level."""

    action: str
    """release (up) or lower: the address it is posted to."""
    level: int
    """Public level it leads to; 0 ends the warning."""
    step: str
    """do: one person suffices; ask: the first of two; confirm: the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """What may be decided about one story."""

    episode: str
    version: int
    place: str
    """Said again before anything is sent: there may be several stories on the screen."""
    requested_by: str
    """Who asked for what a second person must confirm; empty when nothing waits."""
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """The worst open episode, in the bar on top of the console."""

    station: str
    """The one whose reading decided: shown until somebody picks another; empty for none."""

    judged_level: int
    judged_word: str
    public_level: int
    public_word: str
    """`ยังไม่มีประกาศ` at 0: nothing announced is not the same as normal."""
    known: bool
    title: str
    """น้ำท่วม · หมู่ 1 บ้านโพนยาง"""
    opened: Moment
    running: str
    """2 ชม. 55 นาที"""
    others: int
    """How many more episodes are open."""
    decision: DecisionView
    unknown_for: str = ""
    """How long nothing has been known of it; empty while something is."""
    held: str = ""
    """Why it stands above what is measured now; empty when it does not."""
    lapsed: str = ""
    """`07:43`: until when the warning in force was announced to hold; empty while that has not passed."""

    @property
    def level(self) -> int:
        """What dominates: a public warning above what the machine judges is what people act on."""
        return max(self.judged_level, self.public_level)

    @property
    def word(self) -> str:
        """`วิกฤต`, or `ประกาศอยู่: วิกฤต` where only the warning stands so high."""
        return f"ประกาศอยู่: {self.public_word}" if self.public_level > self.judged_level else self.judged_word


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """One card of the KPI row."""

    key: str
    icon: str
    """Sprite id."""
    label: str
    value: str
    """`+0.18`, `96.5`, `11`; `–` when unknown."""
    unit: str
    level: int
    """0-3; -1 is a fault, -2 no data."""
    tag: str
    """Word in the coloured tag; empty for none."""
    note: str
    """Place or explanation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryKpi:
    """The delivery card: counts over the open (else newest) episode."""

    total: int
    accepted: int
    sending: int
    failed: int
    by_channel: Sequence[tuple[str, int]]
    """(channel label, accepted)."""
    level: int
    preview: bool = False
    """Whether all of it went to the phone on the screen: nothing left the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """One row of the alarm list: an episode or a notice."""

    id: str
    """Episode id, or notice number."""
    is_notice: bool
    level: int
    """0-3 judged level; -1 for a fault or notice (violet)."""
    level_word: str
    state: str
    """unacknowledged, acknowledged, returned (back to normal, unacknowledged; also when the story has ended)."""
    icon: str
    """Sprite id of the hazard."""
    place: str
    what: str
    """`น้ำสูงกว่าตลิ่ง +0.18 ม. · เกณฑ์ 4.50 ม.`"""
    at: Moment
    count: int
    """Repeats folded into this row."""
    known: bool
    acknowledged_by: str
    acknowledged_at: str
    """`13:52`; empty."""
    public_word: str
    """What the public is told, where that differs from the level of the row; empty where it does not."""
    version: int
    decision: DecisionView | None
    """None for what is no danger to people: notices, silent stations."""
    station: str
    """Station to show when the row is chosen; empty for none."""
    unknown_for: str = ""
    """How long nothing has been known of it; empty while something is."""
    held: str = ""
    """Why it stands above what is measured now; empty when it does not."""
    tints: Sequence[str] = ()
    """Names of the places on the map that it concerns; empty for what is no danger."""
    lapsed: str = ""
    """As in `IncidentView`."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleView:
    """Everything on the overview."""

    world: World
    user: User
    incident: IncidentView | None
    kpis: Sequence[Kpi]
    delivery: DeliveryKpi | None
    alarms: Sequence[AlarmRow]
    unacknowledged: int
    pins: Sequence[Pin]
    panel: PanelView | None
    map_url: str
    bounds: tuple[float, float, float, float]
    """South, west, north, east of the area."""
    timeline: TimelineView | None = None
    """Filled where it is shown: it needs the past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Village:
    """One choice of the public page."""

    code: str
    name: str
    level: int
    """Public level there."""
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RiverView:
    """The river picture."""

    name: str
    """สะพานบ้านโพนยาง"""
    has_bank: bool
    """Without one there is nothing to draw: the headline gives the stage itself."""
    gap_cm: int | None
    """To the bank: positive below, negative over it; None when unknown."""
    fill: float
    """Water height in the drawing: 0 bed, 1 bank, up to 1.3."""
    headline: str
    """`ต่ำกว่าตลิ่ง 42 เซนติเมตร`, `ระดับน้ำ 2.52 เมตร`, `ไม่มีข้อมูล`"""
    trend: str
    trend_text: str
    """`น้ำกำลังขึ้น ชั่วโมงละ 11 ซม.`"""
    data: Moment | None
    station: str = ""
    """Whose page shows more; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A small card: rain or dust."""

    icon: str
    label: str
    value: str
    unit: str
    word: str
    """Official word (TMD rain class); empty where none may be given."""
    tone: str
    """`level-0`..`level-3` or `plain`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicView:
    """The page for residents. `level` is the public level: what has been released, never what the machine thinks."""

    world: World
    level: int
    """0-3; -2 when the system cannot see (no level known anywhere)."""
    level_word: str
    calm: bool
    """Whether the headline is `ปกติ`. Level 0 alone is not: nothing may be announced while water stands above a line."""
    headline: str
    """`เตือนภัยน้ำท่วม`, `ปกติ`, `น้ำสูงกว่าตลิ่ง 42 ซม.`, `ไม่มีประกาศเตือนภัย`, `ข้อมูลไม่ครบ`, `ไม่มีข้อมูล`"""
    where: str
    """`หมู่ 1, 3, 7 · ริมห้วยสำราญ`"""
    sentence: str
    detail: str
    do_now: Sequence[tuple[str, str, str]]
    """(sprite id, action, small text)."""
    villages: Sequence[Village]
    rivers: Sequence[RiverView]
    readings: Sequence[Reading]
    data: Moment | None
    """Newest reading shown; None when there is none."""
    staleness: str
    """fresh; old (> 30 min, amber note); hidden (> 2 h, values withheld); none."""
    language: str
    """th or en."""
    large_text: bool
    observed: bool = False
    """Whether the headline is what the gauges show, water over its bank, because nothing is announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneMessage:
    """One bubble on the preview phone."""

    text: str
    level: int
    at: Moment
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneView:
    """The preview phone."""

    world: World
    messages: Sequence[PhoneMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInView:
    """Sign-in and one-time-link forms."""

    world: World
    csrf: str
    error: str
    """A sentence, or empty."""
    account: str
    """For a one-time link: whose password is being set; empty on the sign-in form."""
    action: str
    """Form target."""
    next: str
