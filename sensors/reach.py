"""When the water is going to stand at a height, if it goes on as it does: with the interval of its slope."""

from dataclasses import dataclass

import numpy as np

from sensors.batch import Bool, Float64, Int64
from sensors.trend import HOUR_US, Slopes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """Answer of `times`: (heights, k), NaN where nothing is said.

    Of ten rises that are described so, eight come to the height between `first_h` and `last_h`, as far as their slope
    is what the readings say: the interval is that of Sen's slope, and no more.
    """

    expected_h: Float64
    """Hours from now to the height, at the slope itself."""
    first_h: Float64
    """At the steep end of the 80 % interval."""
    last_h: Float64
    """At its flat end."""

    @property
    def said(self) -> Bool:
        """(heights, k)"""
        return ~np.isnan(self.expected_h)


def times(slopes: Slopes, heights: Float64, now_us: int, *, window_us: Int64, young_us: Int64) -> Reach:
    """Say when k series come to some heights.

    Nothing is said of a series that may not be rising at all (the flat end of its interval is at or below zero), of one
    whose newest reading is old, of a height it stands at already, and of what lies further ahead than the slope looks
    back: a line is as good as the time it was drawn through.

    Parameters
    ----------
    slopes : of k series, see `sensors.trend.slopes`
    heights : (heights, k) unit of the series; NaN asks nothing
    now_us : the times count from here
    window_us : (k,) how far the slopes look back
    young_us : (k,) an older reading says nothing of now
    """
    rises = (slopes.low_per_h > 0) & (now_us - slopes.last_us <= young_us)
    left = np.where(rises & (heights > slopes.last_value), heights - slopes.last_value, np.nan)
    since_h = np.where(rises, (now_us - slopes.last_us) / HOUR_US, np.nan)
    found = [
        np.maximum(left / np.where(rises, per_h, np.nan) - since_h, 0.0)
        for per_h in (slopes.rise_per_h, slopes.high_per_h, slopes.low_per_h)
    ]
    near = found[0] <= window_us / HOUR_US
    expected, first, last = (np.where(near, one, np.nan) for one in found)
    return Reach(expected_h=expected, first_h=first, last_h=last)
