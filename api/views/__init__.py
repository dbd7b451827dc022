"""What the pages show, as plain values: templates format nothing but these. Here what stands on every page."""

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
