"""What must be remembered of every series between batches: arrays, not objects."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sensors.batch import Float64, Int64

NEVER = np.iinfo(np.int64).min
"""Time of what has not happened yet."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """The newest believable reading of each series."""

    last_us: Int64
    """(series,) event time; NEVER before the first."""
    last_value: Float64
    """(series,) its value; NaN before the first."""
    arrived_us: Int64
    """(series,) newest arrival of anything, believable or not; NEVER before the first."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            last_us=np.full(series, NEVER, dtype=np.int64),
            last_value=np.full(series, np.nan),
            arrived_us=np.full(series, NEVER, dtype=np.int64),
        )
