"""How high the rise is going to stand: a threshold is warned of before the water is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from alerts.inputs.machine import Asked, Number
from alerts.rule import Listens, StepRule
from sensors.ahead import AheadState, follow
from sensors.batch import Bool, Float64, Int64, ReadingBatch


class AheadRule(StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="ahead"):
    """The height at which the rise would stand within the horizon, see `sensors.ahead.follow`."""

    horizon_s: float
    """How far ahead; a slow river is thought on for longer."""
    reach: float
    """A rise goes on by at most this part of its height over the lowest stage ever seen."""

    def listens(self) -> Listens:
        """The height, for its horizon and reach."""
        return Listens("ahead", (self.horizon_s, self.reach))

    def numbers(self) -> dict[str, float]:
        """With the horizon and the reach."""
        return {**StepRule.numbers(self), "horizon_s": self.horizon_s, "reach": self.reach}

    def wrong(self) -> Iterator[str]:
        """A rule that looks nowhere, or no further than the water stands."""
        for name in ("horizon_s", "reach"):
            if getattr(self, name) <= 0:
                yield f"{name} is {getattr(self, name):g} but must be above 0"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ahead:
    """See the module."""

    horizon_us: Int64
    reach: Float64
    cadence_us: Int64
    rest: Float64
    """Below this no ladder cares for the number."""
    hears_still: ClassVar[bool] = False

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The horizon, the reach, the cadences, and what spares a look at the tides."""
        horizon_s, reach = asked.listens.numbers
        return cls(
            horizon_us=asked.every_us(horizon_s),
            reach=asked.every(reach),
            cadence_us=asked.cadence_us,
            rest=asked.rest,
        )

    def empty(self) -> AheadState:
        """Nothing heard yet."""
        return AheadState.empty(len(self.rest))

    def follow(self, batch: ReadingBatch, usable: Bool, state: AheadState) -> tuple[Number, AheadState]:
        """The height ahead of each reading; unknown at the first ones and behind a silence."""
        number, state = follow(
            batch,
            usable,
            state,
            horizon_us=self.horizon_us,
            reach=self.reach,
            cadence_us=self.cadence_us,
            rest=self.rest,
        )
        return Number.exact(number), state
