"""The kinds of rule, as they stand in `rules.toml`: typed, with unit, source, author and date."""

from datetime import date
from typing import Literal

import msgspec


class _StepRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quantity at or above a threshold, held for a time: one step of a ladder (contract 5.2, 5.4)."""

    id: str
    version: str
    hazard: str
    level: int
    quantity: str
    enter: float
    leave: float
    """Below this it may be left; below `enter`, so that a value on the line does not flap."""
    up_for_s: float
    down_for_s: float
    unknown_after: float = 3.0
    """Evidence is unknown when its newest usable reading is older than this many cadences."""
    stations: tuple[str, ...] = ()
    """Empty: every station that measures the quantity (and has banks, where the unit is `bank`). A named station
    takes this rule instead of an unnamed one of the same kind, hazard and level."""
    source: str
    author: str
    date: date


class LevelRule(_StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="level"):
    """How high: the value itself."""

    unit: Literal["m", "bank", "ug/m3", "mm"]
    """`bank`: fraction of the lower bank's height over the bed, the percentage of the ThaiWater scale."""


class RiseRule(_StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="rise"):
    """How fast: the slope of the readings (Theil-Sen), see `sensors.trend.follow`."""

    unit: Literal["m/h", "ug/m3/h", "mm/h"]
    over_s: float
    """How far the slope looks back; one for all rise rules of a series."""
    gate: float
    """Where newest minus oldest reading over their time is below this, that is the slope and Theil-Sen is spared; at
    most `leave`. Part of the rule: the same live and in a backtest."""


class AbsenceRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="absence"
):
    """A station that promised readings and is silent (contract 5.6)."""

    id: str
    version: str
    hazard: Literal["station"]
    level: Literal[1]
    after: float = 3.0
    """Cadences without any arrival."""
    source: str
    author: str
    date: date


StepRule = LevelRule | RiseRule
Rule = LevelRule | RiseRule | AbsenceRule
