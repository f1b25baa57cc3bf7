"""Embeddings side by side weigh the same, however wide they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fit_lab import part_of

from featx.artifact.novelty import Novelty
from featx.config import FitConfig
from featx.fitting import FitData, fit_heads, trust
from featx.fitting.candidates import Setup, Trial
from featx.fitting.training import project
from featx.stats.novelty import fit_spread

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
    part = part_of(data.joined() if len(widths) > 1 else data)
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


@pytest.mark.parametrize("options", [{"concat": True}, {"protocol": "clip"}], ids=str)
def test_held_out_distances_are_of_embeddings_scaled_as_the_model_scales_them(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the out-of-distribution score comes from them."""
    kept: list[Any] = []

    def keep(search: Any, chosen: Any) -> Any:
        kept.append((search, chosen, held_out_scores(search, chosen)))
        return kept[-1][-1]

    held_out_scores = trust._held_out_scores
    monkeypatch.setattr(trust, "_held_out_scores", keep)
    rng = np.random.default_rng(3)
    y = np.repeat(["a", "b"], 60)
    X = {"n": rng.normal(0.0, [2.0, 3.0, 0.1], (120, 3)).astype(np.float32)}
    X["n"][:, 0] += 3.0 * (y == "b")
    if "concat" in options:
        X["w"] = rng.normal(size=(120, 20)).astype(np.float32)
        X["w"][:, 0] += 1.5 * (y == "b")
    hashes = rng.integers(0, 256, (120, 32), np.uint8)
    data = FitData(X, y, [str(i) for i in range(120)], hashes)
    fit_heads(
        data.joined() if "concat" in options else data,
        FitConfig(head=["logreg"], cv=4, learning_curve=False, **options),
    )
    [(search, chosen, scores)] = kept
    assert len(chosen.setup.backbones) == len(X)
    embeddings = search.part.embeddings(chosen.setup.backbones)
    for k in np.unique(search.data.fold):
        seen = search.data.fold != k
        projected = project(search.part, seen, chosen, seed=0)
        spread = fit_spread(projected.X, projected.y, seed=search.settings.seed)
        tested = dict(projected.steps)["scaler"].transform(embeddings[~seen])
        np.testing.assert_allclose(Novelty(*spread).scores(tested), scores[~seen], rtol=1e-5)
