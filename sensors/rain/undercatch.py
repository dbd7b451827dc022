"""What a tipping bucket misses while it tips: the harder it rains, the more."""

import numpy as np

from sensors.batch import Float64

# Duchon et al. 2014, J. Atmos. Oceanic Technol. (abstract), retrieved 2026-11-22: mechanical error alone, 0.45 s a tip.
_INTENSITY_MM_PER_H = np.array([0.0, 19.9, 175.2])
_MISSED = np.array([0.0, 0.0098, 0.0878])


def factor(counted_mm_per_h: Float64) -> Float64:
    """By what a counted amount must be multiplied.

    Parameters
    ----------
    counted_mm_per_h : (n,) mean intensity since the reading before; a shower within it was harder, so this is the least

    Returns
    -------
    factor : (n,) from 1.0 to 1.096: beyond 175 mm/h nobody measured, and nothing more is added; NaN stays NaN
    """
    missed: Float64 = np.interp(counted_mm_per_h, _INTENSITY_MM_PER_H, _MISSED)
    return 1.0 / (1.0 - missed)
