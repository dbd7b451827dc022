"""Columns of readings: the form in which water travels through the program."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadingBatch:
    """Readings in the order of their arrival; equal-length columns.

    The order matters: judgement is causal in arrival order, so that any cutting of one stream into batches gives the
    same flags and the same alerts.
    """

    series: NDArray[np.int32]
    """(n,) index into `Registry.series`."""
    time_us: Int64
    """(n,) event time, microseconds since 1970 UTC."""
    value: Float64
    """(n,) canonical unit; NaN where the instrument measured nothing."""
    received_us: Int64
    """(n,) arrival by the clock of judgement, microseconds UTC."""

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        assert len(set(lengths.values())) == 1, f"columns of unequal length: {lengths}"
        assert not np.isinf(self.value).any(), "an infinite value passed the codecs"

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: slice | NDArray[Any]) -> Self:
        """Rows by slice, mask or positions, as a batch."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def of(cls, *, series: object, time_us: object, value: object, received_us: object) -> "ReadingBatch":
        """Build a batch from anything array-like."""
        return cls(
            series=np.asarray(series, dtype=np.int32),
            time_us=np.asarray(time_us, dtype=np.int64),
            value=np.asarray(value, dtype=np.float64),
            received_us=np.asarray(received_us, dtype=np.int64),
        )
