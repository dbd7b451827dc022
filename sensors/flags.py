"""QARTOD flags. A flag is never edited; a review adds a new set."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Flag(IntEnum):
    """QARTOD Water Level manual v2.1, the flag scale of IOC 54:V3."""

    GOOD = 1
    UNKNOWN = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


class Check(IntEnum):
    """The checks, in the order of their four bits in the stored `checks` column; all eight places are taken.

    0 stands where nothing was said. Checks of one kind share a place; `docs/quality.md` says which.
    """

    GROSS_RANGE = 0
    """What the instrument, the station, and the station in this month can show (QARTOD 4 and 5)."""
    RATE_OF_CHANGE = 1
    GAP = 2
    CLOCK = 3
    CONFLICT = 4
    SPIKE = 5
    FLAT_LINE = 6
    """Stands still, or moves too little (QARTOD 8 and 10)."""
    COMPANY = 7
    """What other series say: neighbours, the rain gauges around, the other channel (QARTOD 9 and 11). Never when a
    reading comes: always a revision.
    """


AT_RECEPTION = int(Check.COMPANY)
"""So many checks speak when a reading comes; `Flagged.per_check` has no row for the last."""


Flags = NDArray[np.uint8]

# As numpy reads them fastest, for the checks.
GOOD, UNKNOWN, SUSPECT, FAIL, MISSING = (np.uint8(flag) for flag in Flag)


def roll_up(per_check: Flags) -> Flags:
    """Give each reading the worst flag any check gave it.

    Parameters
    ----------
    per_check : (checks, n) uint8

    Returns
    -------
    flag : (n,) uint8; MISSING if any check says so, else FAIL, SUSPECT, UNKNOWN, GOOD in that order.
        One GOOD never hides an UNKNOWN.
    """
    worst: Flags = per_check.max(axis=0, initial=0)
    return worst


def usable(flag: Flags) -> NDArray[np.bool_]:
    """Whether a rule may listen: GOOD or UNKNOWN (contract 5.1)."""
    good: NDArray[np.bool_] = (flag == Flag.GOOD) | (flag == Flag.UNKNOWN)
    return good


def pack(per_check: Flags) -> NDArray[np.uint32]:
    """Put the flags of all checks into one column, four bits each."""
    packed = np.zeros(per_check.shape[1], dtype=np.uint32)
    for check, row in enumerate(per_check):
        packed |= row.astype(np.uint32) << np.uint32(4 * check)
    return packed


def unpack(packed: NDArray[np.uint32]) -> Flags:
    """Undo `pack`: (n,) -> (len(Check), n)."""
    shifts = np.arange(len(Check), dtype=np.uint32)[:, None] * np.uint32(4)
    return ((packed[None, :] >> shifts) & np.uint32(15)).astype(np.uint8)
