"""What residents see: the page, and the messages on the preview phone."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.views import Moment, World


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
