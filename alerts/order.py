"""Which rows of a batch come in order of judged time, and which do not. Pure."""

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Int64
from sensors.groups import Groups
from sensors.window import NEVER


def newest_before(series: NDArray[np.int32], time_us: Int64, counted: Bool, carried: Int64) -> Int64:
    """(n,) newest counted time of its series before each row, `carried` (series,) before the first: an exclusive
    running maximum by series.
    """
    rows = Groups.of(series)
    before = rows.before(np.where(counted, time_us, NEVER)[rows.order], carried)
    # A running maximum that may not cross series: rank the values, lift every series above the one before it.
    values, rank = np.unique(before, return_inverse=True)
    lifted = np.maximum.accumulate(rank + rows.group * len(values))
    newest = np.empty_like(before)
    newest[rows.order] = values[lifted - rows.group * len(values)]
    return newest


def heads(series: NDArray[np.int32], bad: Bool) -> tuple[Bool, Bool]:
    """Rows before the first bad one of their series; and bad ones that are the first of their series."""
    rows = Groups.of(series)
    marked = bad[rows.order]
    so_far = np.cumsum(marked)
    clean: Bool = so_far == (so_far - marked)[rows.start]
    first = np.zeros(len(series), dtype=np.bool_)
    first[rows.starts] = True
    ahead, single = np.empty(len(series), dtype=np.bool_), np.empty(len(series), dtype=np.bool_)
    ahead[rows.order], single[rows.order] = clean, first & marked
    return ahead, single
