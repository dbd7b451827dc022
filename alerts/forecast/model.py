"""A learned forecaster as plain arrays: a straight line and small trees upon it, computed by NumPy alone.

The line goes on beyond what was ever seen, which trees cannot; the trees bend it, and know how far it is off.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.forecast.features import HORIZONS_US
from sensors.batch import Float64

QUANTILES = (0.1, 0.5, 0.9)
CHUNK = 4_000
"""Rows that walk down the trees at once: some 20 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """Nodes of all trees in one row; a leaf points at itself."""

    root: NDArray[np.int32]
    """(horizons, quantiles, trees) node each begins at."""
    feature: NDArray[np.int32]
    """(nodes,)"""
    threshold: Float64
    """(nodes,) values at or below it go left."""
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Float64
    """(nodes,) of the leaves; what a tree adds."""
    depth: int
    """Steps after which every walk has come to a leaf."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """How much the water rises within each horizon, from the `k` numbers of `alerts.forecast.features`."""

    intercept: Float64
    """(horizons,)"""
    coef: Float64
    """(horizons, k)"""
    base: Float64
    """(horizons, quantiles) what the trees are added to."""
    trees: Trees

    def __post_init__(self) -> None:
        many = len(HORIZONS_US), len(QUANTILES)
        nodes, k = len(self.trees.feature), self.coef.shape[-1]
        assert self.coef.shape == (many[0], k)
        assert self.base.shape == many
        assert self.trees.root.shape[:2] == many
        for column in (self.trees.threshold, self.trees.left, self.trees.right, self.trees.value):
            assert column.shape == (nodes,)
        for pointer in (self.trees.root, self.trees.left, self.trees.right):
            assert ((pointer >= 0) & (pointer < nodes)).all(), "a node that is not there"
        assert ((self.trees.feature >= 0) & (self.trees.feature < k)).all(), "a number that is not heard"


def predict(model: Model, x: Float64) -> Float64:
    """(n, horizons, quantiles) rise from now, ascending in the quantiles; NaN where a number is not known.

    Parameters
    ----------
    x : (n, k)
    """
    found = np.full((len(x), *model.base.shape), np.nan)
    known = np.flatnonzero(np.isfinite(x).all(axis=1))
    for some in (known[k : k + CHUNK] for k in range(0, len(known), CHUNK)):
        found[some] = np.sort(_raw(model, x[some]), axis=2)
    return found


def _raw(model: Model, x: Float64) -> Float64:
    """Quantiles as each was learned: they may cross. Sums run along rows alone: no row depends on another."""
    line = (x[:, None, :] * model.coef).sum(axis=2) + model.intercept
    trees, node = model.trees, np.broadcast_to(model.trees.root.ravel(), (len(x), model.trees.root.size))
    row = np.arange(len(x))[:, None]
    for _ in range(trees.depth):
        node = np.where(x[row, trees.feature[node]] <= trees.threshold[node], trees.left[node], trees.right[node])
    bent = np.ascontiguousarray(trees.value[node].reshape(len(x), *trees.root.shape)).sum(axis=3)
    total: Float64 = line[:, :, None] + model.base + bent
    return total
