"""How long a series has stood still (QARTOD test 8)."""

import numpy as np

from sensors.batch import Bool, Float64, Int64
from sensors.flags import FAIL, GOOD, SUSPECT, Flags
from sensors.groups import Groups
from sensors.stations import Limits

SHIFTS = (0.0, 0.5)
NEVER_US = np.iinfo(np.int64).max
"""Nothing stands still so long."""


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
    goes_on = _goes_on(rows, value, before, eps)
    counted = np.where(goes_on, counted_us, 0)
    carried = carried_us[rows.series[rows.starts]].T
    if len(rows.starts) == len(value):  # one reading of each, as devices send them
        return np.where(goes_on, carried + counted, 0).T
    counted[:, rows.starts] += np.where(goes_on[:, rows.starts], carried, 0)
    begins = ~goes_on
    begins[:, rows.starts] = True
    still_us = np.cumsum(counted, axis=1)
    for bands in range(len(SHIFTS)):
        at = np.flatnonzero(begins[bands])
        still_us[bands] -= (still_us[bands, at] - counted[bands, at])[np.cumsum(begins[bands]) - 1]
    return still_us.T


def flat_line(still_us: Int64, limits: Limits, rows: Groups) -> Flags:
    """(n,) FAIL or SUSPECT for what stood still so long, else GOOD."""
    suspect_us, fail_us = (
        rows.spread(np.where(one > 0, one, NEVER_US)) for one in (limits.flat_suspect_us, limits.flat_fail_us)
    )
    flags = np.full(len(still_us), GOOD)
    flags[still_us >= suspect_us] = SUSPECT
    flags[still_us >= fail_us] = FAIL
    return flags


def _goes_on(rows: Groups, value: Float64, before: Float64, eps: Float64) -> Bool:
    """(2, n) whether a reading lies in the band of the one before it, by set of bands."""
    bands = _bands(value, eps)
    goes_on = np.empty(bands.shape, dtype=np.bool_)
    np.equal(bands[:, 1:], bands[:, :-1], out=goes_on[:, 1:])
    goes_on[:, rows.starts] = bands[:, rows.starts] == _bands(before[rows.starts], eps[rows.starts])
    return goes_on


def _bands(value: Float64, eps: Float64) -> Float64:
    """(2, n) number of the band a value lies in; the value itself where eps is 0, NaN where either is NaN."""
    equal = eps == 0
    any_equal = bool(equal.any())
    wide = value / (2 * (np.where(equal, 1.0, eps) if any_equal else eps))
    bands = np.stack([np.floor(wide + shift) for shift in SHIFTS])
    return np.where(equal, value, bands) if any_equal else bands
