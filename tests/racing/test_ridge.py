"""The closed form of a cross-validated ridge regression, against one fit a fold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from featx.racing.ridge import INTERCEPT, SHARES, out_of_fold


@pytest.mark.parametrize("n_features", [6, 200], ids=["fewer columns", "fewer rows"])
@pytest.mark.parametrize("balanced", [True, False])
def test_every_fold_is_predicted_as_if_it_had_been_left_out(n_features: int, balanced: bool):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 20, 8])
    fold = rng.permutation(np.arange(len(y)) % 5)
    X = rng.normal(size=(len(y), n_features)).astype(np.float32) + y[:, None]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    Z = np.hstack([Z, np.full((len(Z), 1), INTERCEPT)])
    counts = np.bincount(y)
    weights = len(y) / (3 * counts[y]) if balanced else np.ones(len(y))
    scale = (weights[:, None] * Z**2).sum() / len(y)
    for share, found in zip(SHARES, out_of_fold(X, y, fold, 3, balanced=balanced), strict=True):
        expected = np.empty((len(y), 3))
        for f in range(5):
            seen = fold != f
            model = Ridge(alpha=share * scale, fit_intercept=False)
            model.fit(Z[seen], np.eye(3)[y[seen]], sample_weight=weights[seen])
            expected[~seen] = model.predict(Z[~seen])
        np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_constant_column_changes_nothing():
    rng = np.random.default_rng(1)
    y, fold = np.arange(40) % 2, np.arange(40) // 2 % 4
    X = rng.normal(size=(40, 5)).astype(np.float32)
    wider = np.hstack([X, np.full((40, 1), 7, np.float32)])
    plain, constant = (list(out_of_fold(each, y, fold, 2, balanced=True)) for each in (X, wider))
    np.testing.assert_allclose(plain, constant, atol=1e-4)
