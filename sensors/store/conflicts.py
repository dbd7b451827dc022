"""What a store does to a reading that contradicts a stored one."""

import numpy as np
from numpy.typing import NDArray

from sensors.flags import Check, Flag, Flags


def as_conflict(flag: Flags, checks: NDArray[np.uint32]) -> tuple[Flags, NDArray[np.uint32]]:
    """Flag 3 by the check CONFLICT, worse flags kept (design 4.6)."""
    bits = np.uint32(4 * Check.CONFLICT)
    cleared = checks & ~(np.uint32(15) << bits)
    return np.maximum(flag, np.uint8(Flag.SUSPECT)), cleared | (np.uint32(Flag.SUSPECT) << bits)
