"""Embeddings side by side weigh the same, however wide they are."""

from __future__ import annotations

import numpy as np

from featx.config import FitConfig
from featx.fitting import FitData, fit_heads
from featx.fitting.candidates import Setup, Trial
from featx.fitting.splitting import split_data
from featx.fitting.training import project

WIDTHS = [3, 48]


def _X(n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(2.0, 5.0, (n, sum(WIDTHS))), np.float32)


def _scaled(widths: list[int]) -> np.ndarray:
    """What a head is fitted on, where embeddings of these widths lie side by side."""
    X = _X()
    blocks = np.split(X, np.cumsum(widths)[:-1], axis=1)
    data = FitData(
        {str(k): block for k, block in enumerate(blocks)},
        np.array(["a", "b"])[np.arange(60) % 2],
        [str(i) for i in range(60)],
        np.random.default_rng(2).integers(0, 256, (60, 32), np.uint8),
    )
    part = split_data(data.joined() if len(widths) > 1 else data, use_test=False)[0]
    setup = Setup(tuple(part.X), "logreg", "none", "none")
    return project(part, np.ones(60, bool), Trial(setup, ()), seed=0).X


def test_each_has_the_same_total_variance() -> None:
    Z = _scaled(WIDTHS)
    narrow, wide = (part.var(axis=0).sum() for part in np.split(Z, WIDTHS[:1], axis=1))
    np.testing.assert_allclose([narrow, wide], sum(WIDTHS) / 2, rtol=1e-4)
    np.testing.assert_allclose(Z.mean(axis=0), 0.0, atol=1e-5)


def test_one_alone_is_standardised_as_ever() -> None:
    np.testing.assert_allclose(_scaled([sum(WIDTHS)]).var(axis=0), 1.0, rtol=1e-4)


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
