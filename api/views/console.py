"""The overview, on which officers see what is wrong and decide."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.views import Moment, World
from api.views.chart import TimelineView
from api.views.stations import PanelView, Pin


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
