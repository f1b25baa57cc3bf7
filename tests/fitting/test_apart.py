"""Images that chose the embedding are trained on, and no number is from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from featx.config import FitConfig
from featx.errors import FitError
from featx.fitting import fit_heads
from tests.fitting.fit_lab import make_data

DATA = make_data([30, 24, 18], distance=1.5)
APART = np.random.default_rng(0).permutation(72) < 30


def fitted(apart, **options):
    data = replace(DATA, apart=apart)
    return fit_heads(data, FitConfig(head=["ridge"], cv=3, jobs=1, report=False, **options))


@pytest.mark.parametrize("estimate", ["nested", "repeated"])
def test_the_estimate_is_of_the_others_alone(estimate: str) -> None:
    """They are predicted as they would be without; the images apart have no prediction."""
    whole = fitted(None, estimate=estimate, repeats=2)
    found = fitted(APART, estimate=estimate, repeats=2)
    assert found.estimate.n_images == 42
    assert "the race drew" in found.estimate.description
    ids = np.array(DATA.ids)
    for everyone, held in zip(whole.held[1:], found.held[1:], strict=True):
        assert held.part.ids == ids[~APART].tolist()
        np.testing.assert_array_equal(held.proba, everyone.proba[~APART])
    assert found.held[0].part.ids == DATA.ids
    alarms = found.trust.document["novelty"]["false_alarms"]
    assert 0 <= alarms["value"] <= 1
    assert found.near_copies.images == 42


def test_a_single_candidate_was_selected_too() -> None:
    free = {"param_grid": {"ridge": {"alpha": [100.0]}}}
    assert fitted(None, **free).estimate.method == "cv"
    found = fitted(APART, **free)
    assert found.estimate.method == "nested"
    assert found.estimate.n_images == 42


def test_of_a_share_held_out_only_the_others_evaluate() -> None:
    found = fitted(APART, estimate="holdout", holdout=0.5)
    held = set(found.held[-1].part.ids)
    assert held
    assert not held & set(np.array(DATA.ids)[APART])
    assert found.settings["n_images"] == 72 - len(held)


def test_a_test_split_is_read_whole() -> None:
    splits = np.where(np.arange(72) % 3 == 0, "test", "train")
    data = replace(DATA, splits=splits, apart=APART & (splits == "train"))
    found = fit_heads(data, FitConfig(head=["ridge"], cv=3, jobs=1, report=False))
    assert found.estimate.n_images == 24


def test_nothing_left_to_evaluate_on_is_an_error() -> None:
    with pytest.raises(FitError, match="fewer than two classes are left"):
        fitted(DATA.y != "c0", estimate="nested")
