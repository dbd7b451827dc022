"""The middle of those that spoke."""

import numpy as np

from sensors.batch import Float64


def middle(columns: Float64, *, least: int = 1) -> Float64:
    """(n,) median of each row of (n, k) without its NaN; NaN where fewer than `least` are left."""
    many = (~np.isnan(columns)).sum(axis=1)
    found = np.full(len(columns), np.nan)
    enough = np.flatnonzero(many >= max(least, 1))
    if len(enough):
        ranked, half = np.sort(columns[enough], axis=1), many[enough]  # NaN last
        rows = np.arange(len(enough))
        found[enough] = (ranked[rows, (half - 1) // 2] + ranked[rows, half // 2]) / 2
    return found
