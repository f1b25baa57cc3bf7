"""Embeddings side by side weigh the same, however wide they are."""

from __future__ import annotations

import numpy as np

from featx.config import FitConfig
from featx.fitting import FitData, fit_heads
from featx.fitting.candidates import Setup
from featx.fitting.training import project

WIDTHS = [3, 48]


def _X(n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(2.0, 5.0, (n, sum(WIDTHS))), np.float32)


def test_each_has_the_same_total_variance() -> None:
    X = _X()
    setup = Setup("a + b", "logreg", "none", "none")
    Z = project(X, np.arange(60) % 2, setup, seed=0, widths=WIDTHS).X
    narrow, wide = (part.var(axis=0).sum() for part in np.split(Z, WIDTHS[:1], axis=1))
    np.testing.assert_allclose([narrow, wide], sum(WIDTHS) / 2, rtol=1e-4)
    np.testing.assert_allclose(Z.mean(axis=0), 0.0, atol=1e-5)


def test_one_alone_is_standardised_as_ever() -> None:
    X = _X()
    setup = Setup("a", "logreg", "none", "none")
    Z = project(X, np.arange(60) % 2, setup, seed=0, widths=[X.shape[1]]).X
    np.testing.assert_allclose(Z.var(axis=0), 1.0, rtol=1e-4)


def test_a_wide_one_of_noise_does_not_drown_a_narrow_one() -> None:
    """Sixty images, a class in one feature of three: 600 features of noise beside it."""
    rng = np.random.default_rng(1)
    y = np.array(["a", "b"])[np.arange(60) % 2]
    signal = rng.normal(size=(60, 3)).astype(np.float32)
    signal[:, 0] += 2.5 * (y == "b")
    noise = rng.normal(size=(60, 600)).astype(np.float32)
    hashes = rng.integers(0, 256, (60, 32), np.uint8)
    data = FitData({"s": signal, "n": noise}, y, [str(i) for i in range(60)], hashes).joined()
    result = fit_heads(data, FitConfig(head=["logreg"], estimate="cv", cv=5, learning_curve=False))
    score = {row.backbone: row.cv_mean for row in result.candidates}
    assert score["s"] is not None
    assert score["s + n"] is not None
    assert score["s + n"] > score["s"] - 0.1
