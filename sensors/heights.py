"""Heights of water: over what they are measured, how far below the bank, and what ThaiWater calls it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self, TypeVar

import numpy as np

from sensors.batch import Float64, Int64
from sensors.stations import Banks, Station

Stage = TypeVar("Stage", float, Float64)
BANGKOK = timedelta(hours=7)


class UnlikeDatums(ArithmeticError):
    """Two heights over different zeros have no difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Height:
    """Heights over one zero."""

    value_m: Float64 | float
    datum: str
    """`MSL_KOLAK1915`, or the staff of one station: two local staffs have different zeros."""

    @classmethod
    def on_staff(cls, station: Station, stage_m: Float64 | float) -> Self:
        """Over the gauge zero of a station."""
        return cls(value_m=stage_m, datum=f"LOCAL_STAFF of {station.id}")

    @classmethod
    def over_datum(cls, station: Station, stage_m: float, at_us: int) -> Self:
        """Over the datum of a station, by the gauge zero of that day in Thailand.

        Raises
        ------
        UnlikeDatums : the gauge zero was never surveyed, or not yet
        """
        day = (datetime.fromtimestamp(at_us / 1_000_000, UTC) + BANGKOK).date()
        zeros = [zero for zero in station.gauge_zero if zero.since <= day]
        if station.datum == "LOCAL_STAFF" or not zeros:
            raise UnlikeDatums(f"station {station.id}: on {day} the gauge zero has no surveyed height")
        return cls(value_m=max(zeros, key=lambda zero: zero.since).height_m + stage_m, datum=station.datum)

    def __sub__(self, other: "Height") -> Float64 | float:
        """The difference, m.

        Raises
        ------
        UnlikeDatums : they are over different zeros
        """
        if self.datum != other.datum:
            raise UnlikeDatums(f"a height over {self.datum} less one over {other.datum} is no height difference")
        return self.value_m - other.value_m


def freeboard_m(stage_m: Stage, banks: Banks) -> Stage:
    """How far the water stands below the lower bank, of one stage or of many; negative above it."""
    return banks.lower_m - stage_m


def bank_pct(stage_m: Stage, banks: Banks) -> Stage:
    """Percent of the way from the bed to the lower bank; below 0 under the bed, above 100 over the bank."""
    return 100 * (stage_m - banks.bed_m) / (banks.lower_m - banks.bed_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One step of ThaiWater's scale. Blue means high, and the number is no rank of danger: 1 and 5 both are."""

    thai: str
    english: str
    hex: str


# ThaiWater (HII) front end, retrieved 2026-11-22; percent of the bank.
_UPPER_PCT = np.array([10.0, 30.0, 70.0, 100.0])
SITUATIONS: Mapping[int, Situation] = {
    1: Situation(thai="น้อยวิกฤต", english="critically low", hex="#DB802B"),
    2: Situation(thai="น้อย", english="low", hex="#FFC000"),
    3: Situation(thai="ปกติ", english="normal", hex="#00B050"),
    4: Situation(thai="มาก", english="high", hex="#003CFA"),
    5: Situation(thai="ล้นตลิ่ง", english="over the bank", hex="#FF0000"),
}
"""ThaiWater's `situation_level` -> how it is shown."""


def situation(percent: Float64) -> Int64:
    """(n,) ThaiWater's `situation_level` of each percentage of the bank; 0 where it is NaN."""
    return np.where(np.isnan(percent), 0, np.searchsorted(_UPPER_PCT, percent, side="left") + 1)
