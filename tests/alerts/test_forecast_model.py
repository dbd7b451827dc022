"""A forecaster as arrays: no row depends on another, and its quantiles never cross."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.forecast.features import HORIZONS_US
from alerts.forecast.model import CHUNK, QUANTILES, Model, Trees, predict
from sensors.batch import Float64
from tests.builders import thorough

SHAPE = len(HORIZONS_US), len(QUANTILES)
NUMBERS = 5


def model(seed: int = 1, trees: int = 13) -> Model:
    """Stumps with random halves."""
    rng = np.random.default_rng(seed)
    many = SHAPE[0] * SHAPE[1] * trees
    root = np.arange(many, dtype=np.int32) * 3
    left, right = np.repeat(root, 3), np.repeat(root, 3)
    left[:] = right[:] = np.arange(3 * many)
    left[root], right[root] = root + 1, root + 2
    return Model(
        intercept=rng.standard_normal(SHAPE[0]),
        coef=rng.standard_normal((SHAPE[0], NUMBERS)),
        base=rng.standard_normal(SHAPE),
        trees=Trees(
            root=root.reshape(*SHAPE, trees),
            feature=rng.integers(0, NUMBERS, 3 * many).astype(np.int32),
            threshold=rng.standard_normal(3 * many),
            left=left,
            right=right,
            value=rng.standard_normal(3 * many),
            depth=1,
        ),
    )


def rows(n: int, seed: int = 2) -> Float64:
    return np.random.default_rng(seed).standard_normal((n, NUMBERS))


def by_hand(of: Model, x: Float64) -> Float64:
    found = np.zeros((len(x), *SHAPE))
    for i, row in enumerate(x):
        for h in range(SHAPE[0]):
            for q in range(SHAPE[1]):
                total = of.intercept[h] + row @ of.coef[h] + of.base[h, q]
                for at in of.trees.root[h, q].tolist():
                    goes_left = row[of.trees.feature[at]] <= of.trees.threshold[at]
                    total += of.trees.value[of.trees.left[at] if goes_left else of.trees.right[at]]
                found[i, h, q] = total
    return np.sort(found, axis=2)


def test_it_says_what_a_walk_by_hand_says() -> None:
    x = rows(20)
    assert np.abs(predict(model(), x) - by_hand(model(), x)).max() < 1e-12


def test_a_value_on_a_threshold_goes_left() -> None:
    of = model(trees=1)
    x = np.full((1, NUMBERS), of.trees.threshold[0])
    assert np.abs(predict(of, x) - by_hand(of, x)).max() < 1e-12


@given(st.integers(0, 50), st.lists(st.integers(0, 60), max_size=5))
@thorough(40)
def test_rows_in_pieces_are_said_to_the_last_bit_as_at_once(seed: int, cuts: list[int]) -> None:
    x, edges = rows(60, seed), [0, *sorted(cuts), 60]
    whole = predict(model(seed), x)
    parts = [predict(model(seed), x[a:b]) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert (np.diff(whole, axis=2) >= 0).all()


def test_more_rows_than_are_walked_at_once_change_nothing() -> None:
    x = rows(CHUNK + 7)
    assert np.array_equal(predict(model(), x)[-3:], predict(model(), x[-3:]))


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_what_is_not_known_gives_no_forecast_and_spoils_no_other(unknown: float) -> None:
    x = rows(10)
    x[4, 2] = unknown
    said = predict(model(), x)
    assert np.isnan(said[4]).all()
    others = np.arange(10) != 4
    assert np.array_equal(said[others], predict(model(), rows(10))[others])


def test_no_rows_are_no_forecast() -> None:
    assert predict(model(), rows(0)).shape == (0, *SHAPE)


def test_a_pointer_out_of_the_trees_is_no_model() -> None:
    good = model()
    broken = good.trees.right.copy()
    broken[0] = len(broken)
    with pytest.raises(AssertionError, match="not there"):
        Model(
            intercept=good.intercept,
            coef=good.coef,
            base=good.base,
            trees=Trees(**{name: getattr(good.trees, name) for name in Trees.__slots__} | {"right": broken}),
        )
