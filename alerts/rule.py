"""The rules as they stand in `rules.toml`: typed, with unit, source, author and date."""

from collections.abc import Iterator
from datetime import date
from typing import Literal, NamedTuple

import msgspec

from sensors.quantities import Quantity
from sensors.trend import POINTS


class Listens(NamedTuple):
    """What a ladder listens to: a number per reading, computed from the readings of its own series."""

    kind: str
    """A key of `alerts.inputs.KINDS`, `value` or `rise`."""
    numbers: tuple[float, ...] = ()
    """What the kind must know: a window, a horizon."""

    def label(self) -> str:
        """`sum 10800`; empty for the value itself."""
        return "" if self == VALUE else " ".join([self.kind, *(f"{number:g}" for number in self.numbers)])


VALUE, RISE = Listens("value"), Listens("rise")


class StepRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number at or above a threshold, held for a time: one step of a ladder (contract 5.2, 5.4)."""

    id: str
    version: str
    hazard: str
    level: int
    """0: a sign, which raises nothing itself and is named by composite rules."""
    quantity: str
    """Of all sensors that measure it; `depth_m@road` of those registered as `road` alone."""
    unit: str
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
    for_areas: tuple[str, ...] = ()
    """Empty: the areas of the station. Named: those downstream, for which a station upstream speaks."""
    travel_s: float = 0.0
    """How long the water takes to `for_areas`: said with the event; moves no evidence."""
    source: str
    author: str
    date: date

    def listens(self) -> Listens:
        """What its ladder listens to."""
        return VALUE

    @property
    def turned(self) -> bool:
        """Whether low numbers are the dangerous ones: the ladder climbs by the number with its sign turned."""
        return False

    def units(self, quantity: Quantity) -> tuple[str, ...]:
        """Units its numbers may have."""
        return (quantity.unit, "bank") if quantity.name == "stage_m" else (quantity.unit,)

    def numbers(self) -> dict[str, float]:
        """Its numbers by name; they must be finite."""
        names = ("enter", "leave", "up_for_s", "down_for_s", "unknown_after", "travel_s")
        return {name: getattr(self, name) for name in names}

    def wrong(self) -> Iterator[str]:
        """What its kind finds wrong with it."""
        return iter(())

    def wrong_at(self, cadence_s: float) -> Iterator[str]:  # noqa: ARG002 - kinds may need it
        """What makes no sense for a series that promises a reading so often."""
        return iter(())


class LevelRule(StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="level"):
    """How high: the value itself. `unit = "bank"` is the fraction of the lower bank's height over the bed, the
    percentage of the ThaiWater scale.
    """

    below: bool = False
    """The value at or below `enter` raises, one above `leave` ends it: a battery."""

    def listens(self) -> Listens:
        """The value; with its sign turned where it holds below."""
        return Listens("low") if self.below else VALUE

    @property
    def turned(self) -> bool:
        """See `StepRule.turned`."""
        return self.below


class RiseRule(StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="rise"):
    """How fast: the slope of the readings (Theil-Sen), see `sensors.trend.follow`."""

    over_s: float
    """How far the slope looks back; one for all rise rules of a series."""
    gate: float
    """Where newest minus oldest reading over their time is below this, that is the slope and Theil-Sen is spared; at
    most `leave`. Part of the rule: the same live and in a backtest."""

    def listens(self) -> Listens:
        """The slope."""
        return RISE

    def units(self, quantity: Quantity) -> tuple[str, ...]:
        """Per hour."""
        return (f"{quantity.unit}/h",)

    def numbers(self) -> dict[str, float]:
        """With the span and the gate."""
        return {**StepRule.numbers(self), "over_s": self.over_s, "gate": self.gate}

    def wrong(self) -> Iterator[str]:
        """A gate above `leave` would hide what ends the rise."""
        if self.gate > self.leave:
            yield f"gate is {self.gate} but must not be above leave ({self.leave} {self.unit})"

    def wrong_at(self, cadence_s: float) -> Iterator[str]:
        """A slope needs some readings."""
        least_s = (POINTS - 1) * cadence_s
        if self.over_s < least_s:
            yield f"over_s of {self.id} is {self.over_s:g} but must span {POINTS} readings, {least_s:g} s"


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


class CompositeRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="composite"
):
    """What other rules say together of one area: every one of `all`, at least `at_least` of `any`, and none of `none`.

    Kleene's logic of three values: what is unknown neither raises nor clears.
    """

    id: str
    version: str
    hazard: str
    level: int
    """0: a sign, to be named by composite rules that stand behind it."""
    all: tuple[str, ...] = ()
    """Ids of rules; a rule is true in an area when it is by any sensor that speaks for the area."""
    any: tuple[str, ...] = ()
    at_least: int = 1
    """Of `any`."""
    each_sensor: bool = False
    """Whether `at_least` counts the sensors by which one of `any` is true, not the rules."""
    none: tuple[str, ...] = ()
    source: str
    author: str
    date: date
