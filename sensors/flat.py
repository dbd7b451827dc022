"""How long a series has stood still (QARTOD test 8)."""

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Float64, Int64
from sensors.flags import FAIL, GOOD, SUSPECT, Flags
from sensors.groups import Groups
from sensors.stations import Limits

SHIFTS = np.array([[0.0], [0.5]])


def still(rows: Groups, value: Float64, before: Float64, counted_us: Int64, eps: Float64, carried_us: Int64) -> Int64:
    """Time that readings in one band of values cover, up to each.

    A band is 2 eps wide, and bands come in two sets, one shifted by eps: what stays within eps lies in one band of one
    set, and what drifts or wanders further than 2 eps lies in one band of neither. So a slow recession, of which each
    step is small, is never still; and no reading must be compared with all before it.

    Parameters
    ----------
    rows, value : (n,) believable readings
    before : (n,) the believable reading before each; NaN where there is none
    counted_us : (n,) time since the one before, 0 across a gap: only covered time counts, but a gap ends nothing
    eps : (n,) unit of the quantity; 0 is equality; NaN never stands still
    carried_us : (series, 2) the answer at the newest reading before the batch

    Returns
    -------
    still_us : (n, 2) by set of bands; the longer one is how long the series has stood still
    """
    goes_on = _bands(value, eps) == _bands(before, eps)
    counted = np.where(goes_on, counted_us, 0)
    carried = carried_us[rows.series].T
    if len(rows.starts) == len(value):  # one reading of each, as devices send them
        return np.where(goes_on, carried + counted, 0).T
    total: Int64 = np.cumsum(counted, axis=1)
    began = np.maximum.accumulate(np.where(goes_on, -1, np.arange(len(value))), axis=1)
    here = np.take_along_axis(total, np.maximum(began, 0), axis=1)
    before_first = (total - counted)[:, rows.start]
    return (total - np.where(began >= rows.start, here, before_first - carried)).T


def flat_line(still_us: Int64, limits: Limits, series: NDArray[np.int32]) -> Flags:
    """(n,) FAIL or SUSPECT for what stood still so long, else GOOD."""
    suspect_us, fail_us = limits.flat_suspect_us[series], limits.flat_fail_us[series]
    doubted = np.where((suspect_us > 0) & (still_us >= suspect_us), SUSPECT, GOOD)
    return np.where((fail_us > 0) & (still_us >= fail_us), FAIL, doubted)


def _bands(value: Float64, eps: Float64) -> Float64:
    """(2, n) number of the band a value lies in; the value itself where eps is 0, NaN where either is NaN."""
    equal = eps == 0
    if not equal.any():
        bands: Float64 = np.floor(value / (2 * eps) + SHIFTS)
        return bands
    return np.where(equal, value, np.floor(value / np.where(equal, 1.0, 2 * eps) + SHIFTS))
