"""Errors that depend on (key, sample number) alone.

A generator that is drawn from in sequence would give other errors when the same samples are made in other blocks. A
hash of the sample's number does not: a device played at once and one driven live send the same bytes.
"""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def key(seed: int, *names: str) -> int:
    """A 64-bit key for one source of errors, such as one instrument of one station."""
    mixed = seed & MASK
    for name in names:
        mixed = (mixed * GOLDEN + crc32(name.encode())) & MASK
    return mixed


def uniform(source: int, index: Int64) -> Float64:
    """Numbers in (0, 1), one per sample number: splitmix64 (Steele, Lea and Flood 2014) of key and number."""
    start = np.uint64((source * GOLDEN) & MASK)
    bits: UInt64 = start + index.astype(np.uint64) * np.uint64(GOLDEN)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    unit: Float64 = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return unit


def normal(source: int, index: Int64) -> Float64:
    """Standard normal numbers, one per sample number (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(source, 2 * index)))
    bell: Float64 = radius * np.cos(2.0 * np.pi * uniform(source, 2 * index + 1))
    return bell
