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
    """The two newest believable readings of each series, and how long it has stood still."""

    last_us: Int64
    """(series,) judged time of the newest; NEVER before the first."""
    last_value: Float64
    """(series,) its value; NaN before the first."""
    last_jump: NDArray[np.int8]
    """(series,) 1 or -1 when it rose or fell by more than its sensor should, else 0."""
    earlier_us: Int64
    """(series,) the same of the one before; NEVER before the second."""
    earlier_value: Float64
    still_us: Int64
    """(series, 2) time covered by readings that stayed in one band of values, see `flat.still`."""
    calm_us: Int64
    """(series, 2) the same with the wider bands of an attenuated signal; 0 where nobody asks for it."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            last_us=np.full(series, NEVER, dtype=np.int64),
            last_value=np.full(series, np.nan),
            last_jump=np.zeros(series, dtype=np.int8),
            earlier_us=np.full(series, NEVER, dtype=np.int64),
            earlier_value=np.full(series, np.nan),
            still_us=np.zeros((series, 2), dtype=np.int64),
            calm_us=np.zeros((series, 2), dtype=np.int64),
        )
