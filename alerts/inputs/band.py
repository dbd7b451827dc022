"""The air quality index of a running mean, by clock hours as its announcement has it."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from alerts.inputs.machine import Asked, Number
from alerts.rule import Listens, StepRule
from sensors.air.means import HoursState, follow, mean_of
from sensors.air.thai_aqi import THAI_AQI
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.quantities import Quantity

BEYOND = float(THAI_AQI.upper[-1] + 1)
"""An index above the last edge has no number; a ladder hears the first one above it."""


class BandRule(StepRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="band"):
    """Which band of the Thai air quality index (B.E. 2566) the running mean lies in: `enter` is its first number."""

    def listens(self) -> Listens:
        """The index."""
        return Listens("band")

    def units(self, quantity: Quantity) -> tuple[str, ...]:
        """An index has no unit; it exists for what its announcement names."""
        return ("AQI",) if quantity.name in THAI_AQI.tables else ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """See the module."""

    cadence_us: Int64
    pollutant: NDArray[np.int64]
    """(k,) number among `_POLLUTANTS`."""
    hears_still: ClassVar[bool] = False

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The cadences, and which pollutant each is."""
        quantities = [asked.registry.series[one].quantity for one in asked.series.tolist()]
        pollutant = np.array([_POLLUTANTS.index(name) for name in quantities], dtype=np.int64)
        return cls(cadence_us=asked.cadence_us, pollutant=pollutant)

    def empty(self) -> HoursState:
        """Nothing heard yet."""
        return HoursState.empty(len(self.cadence_us))

    def follow(self, batch: ReadingBatch, usable: Bool, state: HoursState) -> tuple[Number, HoursState]:
        """Index of the mean of the clock hours closed before each reading; NaN where too few of them are known."""
        every = np.ones(len(self.cadence_us), dtype=np.bool_)
        hours, state = follow(batch, usable, state, wanted=every, cadence_us=self.cadence_us)
        of = np.full(len(hours.mean), -1, dtype=np.int64)
        known = hours.row >= 0
        of[hours.row[known]] = self.pollutant[batch.series[known]]
        index = np.full(len(hours.mean), np.nan)
        for number in np.unique(of[of >= 0]).tolist():
            name, rows = _POLLUTANTS[number], of == number
            mean = mean_of(hours.mean[rows], THAI_AQI.tables[name][0].hours)
            index[rows] = np.minimum(THAI_AQI.sub_index(name, mean), BEYOND)
        return Number.exact(hours.spread(index)), state


_POLLUTANTS = tuple(THAI_AQI.tables)
