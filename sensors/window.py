"""What must be remembered of every series between batches: arrays, not objects."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

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
    last_jump: NDArray[np.int8]
    """(series,) 1 or -1 when it rose or fell faster than its station should, else 0."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            last_us=np.full(series, NEVER, dtype=np.int64),
            last_value=np.full(series, np.nan),
            last_jump=np.zeros(series, dtype=np.int8),
        )
