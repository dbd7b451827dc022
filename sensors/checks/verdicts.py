"""What a second look says of readings that are stored already."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Int64
from sensors.flags import Check, Flag, Flags


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdicts:
    """n verdicts, each of one check on one stored reading, in the order in which they were reached."""

    series: NDArray[np.int32]
    time_us: Int64
    """As stored: the device's time."""
    check: NDArray[np.uint8]
    """`Check`"""
    flag: Flags

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, rows: Bool | NDArray[np.intp] | slice) -> "Verdicts":
        return Verdicts(
            series=self.series[rows], time_us=self.time_us[rows], check=self.check[rows], flag=self.flag[rows]
        )

    @classmethod
    def of(cls, check: Check, series: NDArray[np.int32], time_us: Int64, flag: Flags) -> "Verdicts":
        """Of one check."""
        return cls(
            series=series.astype(np.int32),
            time_us=time_us,
            check=np.full(len(series), check, dtype=np.uint8),
            flag=flag,
        )

    @classmethod
    def joined(cls, parts: Sequence["Verdicts"]) -> "Verdicts":
        """One behind the other; at least one."""
        return cls(
            series=np.concatenate([p.series for p in parts]),
            time_us=np.concatenate([p.time_us for p in parts]),
            check=np.concatenate([p.check for p in parts]),
            flag=np.concatenate([p.flag for p in parts]),
        )

    def worth_writing(self) -> "Verdicts":
        """Those that change what a reader is shown: a comparison that finds nothing, or nobody to compare with, leaves
        a reading as it is (0: nothing was said).
        """
        return self[(self.check != Check.COMPANY) | (self.flag == Flag.SUSPECT)]
