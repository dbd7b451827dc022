"""Train a forecaster with scikit-learn and take it out as plain arrays. The only place that needs scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alerts.forecast.features import HORIZONS_US
from alerts.forecast.model import QUANTILES, Model, Trees, predict
from sensors.batch import Float64
from takean.exchange import ExchangeError

SEED = 1
EXACT = 1e-9
"""The arrays say what scikit-learn says to within this, relative to the largest number, or they are not used."""
TREES, LEAVES, LEAST_ROWS, RATE = 30, 12, 30, 0.2
RIDGE = 1.0
Learned = Callable[[Float64], Float64]
"""(n, k) -> (n, horizons, quantiles), unsorted, as scikit-learn itself says it."""


def fit(x: Float64, rise: Float64, *, trees: int = TREES) -> Model:
    """Learn how much the water rises.

    Parameters
    ----------
    x : (n, k) see `alerts.forecast.features`; rows with NaN do not count
    rise : (n, horizons) of what came; NaN does not count
    trees : for each horizon and quantile

    Raises
    ------
    ExchangeError : scikit-learn is not installed
    """
    return learned(x, rise, trees=trees)[0]


def learned(x: Float64, rise: Float64, *, trees: int = TREES) -> tuple[Model, Learned]:
    """The arrays, and what they were taken from."""
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415
        from sklearn.linear_model import Ridge  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise ExchangeError("training needs scikit-learn: install takean[learn]") from error
    heard = np.isfinite(x).all(axis=1)
    lines: list[Any] = []
    boosted: list[list[Any]] = []
    # One thread: several wait for each other in a loop, which on a box that is busy judging costs more than it brings.
    with threadpool_limits(limits=1):
        for h in range(len(HORIZONS_US)):
            rows = heard & np.isfinite(rise[:, h])
            own, came = x[rows], rise[rows, h]
            line = make_pipeline(StandardScaler(), Ridge(alpha=RIDGE)).fit(own, came)
            left = came - line.predict(own)
            lines.append(line)
            boosted.append(
                [
                    HistGradientBoostingRegressor(
                        loss="quantile",
                        quantile=q,
                        max_iter=trees,
                        max_leaf_nodes=LEAVES,
                        min_samples_leaf=LEAST_ROWS,
                        learning_rate=RATE,
                        early_stopping=False,
                        random_state=SEED,
                    ).fit(own, left)
                    for q in QUANTILES
                ]
            )

    def said(of: Float64) -> Float64:
        with threadpool_limits(limits=1):
            pairs = zip(lines, boosted, strict=True)
            ones = [[line.predict(of) + one.predict(of) for one in own] for line, own in pairs]
        return np.stack([np.column_stack(own) for own in ones], axis=1)

    model = _arrays(lines, boosted)
    some = x[heard][:: max(1, int(heard.sum()) // 1000)]
    theirs = np.sort(said(some), axis=2)
    off = float(np.abs(predict(model, some) - theirs).max())
    if off > EXACT * max(1.0, float(np.abs(theirs).max())):
        raise ExchangeError(f"this scikit-learn lays its trees out in another way: the arrays are off by {off:g}")
    return model, said


def _arrays(lines: list[Any], boosted: list[list[Any]]) -> Model:
    coef = np.stack([line[-1].coef_ / line[0].scale_ for line in lines])
    mean = np.stack([line[0].mean_ for line in lines])
    intercept = np.array([line[-1].intercept_ for line in lines]) - (coef * mean).sum(axis=1)
    base = np.array([[float(np.ravel(one._baseline_prediction)[0]) for one in ones] for ones in boosted])
    feature, threshold, left, right, value, root = [], [], [], [], [], []
    many, deepest = 0, 0
    for one in (one for ones in boosted for one in ones):
        for (tree,) in one._predictors:
            nodes = tree.nodes
            leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
            root.append(many)
            feature.append(np.where(leaf, 0, nodes["feature_idx"]))
            threshold.append(np.where(leaf, 0.0, nodes["num_threshold"]))
            left.append(np.where(leaf, own, nodes["left"]) + many)
            right.append(np.where(leaf, own, nodes["right"]) + many)
            value.append(np.where(leaf, nodes["value"], 0.0))
            deepest, many = max(deepest, int(nodes["depth"].max())), many + len(nodes)
    return Model(
        intercept=intercept,
        coef=coef,
        base=base,
        trees=Trees(
            root=np.array(root, dtype=np.int32).reshape(len(boosted), len(QUANTILES), -1),
            feature=np.concatenate(feature).astype(np.int32),
            threshold=np.concatenate(threshold),
            left=np.concatenate(left).astype(np.int32),
            right=np.concatenate(right).astype(np.int32),
            value=np.concatenate(value),
            depth=deepest,
        ),
    )
