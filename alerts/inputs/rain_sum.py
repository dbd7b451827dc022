"""Rain that fell in a trailing window, or since the Thai rain day began at 07:00."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from alerts.inputs.machine import Asked, Number
from alerts.rule import Listens, StepRule
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.quantities import Quantity
from sensors.rain.sums import RainState, follow

WINDOWS_H = (1, 3, 12, 24, 72)


class SumRule(StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="sum"):
    """How much in all: rain of the trailing hours."""

    over_h: float
    """One of WINDOWS_H."""

    def listens(self) -> Listens:
        """The sum over its window."""
        return Listens("sum", (self.over_h,))

    def units(self, quantity: Quantity) -> tuple[str, ...]:
        """Millimetres of rain; nothing else is summed up."""
        return ("mm",) if quantity.name == "rain_mm" else ()

    def wrong(self) -> Iterator[str]:
        """Windows that nobody publishes thresholds for."""
        if self.over_h not in WINDOWS_H:
            yield f"over_h is {self.over_h:g} but must be one of {', '.join(map(str, WINDOWS_H))}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RainSum:
    """See the module: true however little of the window is known, over only where enough of it is."""

    window_us: Int64
    cadence_us: Int64
    hears_still: ClassVar[bool] = False

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The window, and the cadences."""
        return cls(window_us=asked.every_us(asked.listens.numbers[0] * 3600), cadence_us=asked.cadence_us)

    def empty(self) -> RainState:
        """Nothing heard yet."""
        return RainState.empty(len(self.window_us))

    def follow(self, batch: ReadingBatch, usable: Bool, state: RainState) -> tuple[Number, RainState]:
        """Rain of the window that ends with each reading."""
        sums, state = follow(batch, usable, state, window_us=self.window_us, cadence_us=self.cadence_us)
        most: Float64 = sums.complete_mm()
        return Number(value=sums.fell_mm, most=most), state
