"""Every site left out by itself: what is fitted, what is reported, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from featx.config import FitConfig
from featx.errors import FitError
from featx.fitting import FitData, fit_heads
from featx.runs.by import by_document
from featx.stats.sites import next_site
from featx.types import SITES


def data(n_sites: int = 4, of_each: int = 24, *, hashes: np.ndarray | None = None) -> FitData:
    """Two classes that are told apart the worse the later the site."""
    rng = np.random.default_rng(3)
    n = n_sites * of_each
    site = np.repeat(np.arange(n_sites), of_each)
    y = np.tile(np.arange(2), n // 2)
    X = rng.standard_normal((n, 4)).astype(np.float32)
    X[:, 0] += (2 * y - 1) * np.linspace(3, 0, n_sites)[site]
    names = np.array([f"s{i}" for i in site])
    if hashes is None:
        hashes = rng.integers(0, 256, (n, 32)).astype(np.uint8)
    return FitData(
        X={"x": X},
        y=np.where(y == 1, "b", "a"),
        ids=[f"i{i}" for i in range(n)],
        hashes=hashes,
        groups=names,
        columns={"group": names.astype(object)},
    )


def config(**more: object) -> FitConfig:
    return FitConfig(estimate="sites", jobs=1, resume=False, **more)


def test_every_site_is_predicted_by_models_of_the_others() -> None:
    """The outer folds are the sites; the alias has the whole name."""
    result = fit_heads(data(), config())
    assert result.estimate.method == SITES
    shown = result.predictions[SITES]
    assert len({*zip(shown.fold.tolist(), shown.columns["group"].tolist(), strict=True)}) == 4
    found = by_document(result.predictions, [], method=SITES, scoring="accuracy", seed=0)
    [by] = found["by"]
    assert [row["value"] for row in by["rows"]] == ["s0", "s1", "s2", "s3"]
    for row in by["rows"]:
        rows = shown.columns["group"] == row["value"]
        accuracy = float((shown.y == shown.y_pred)[rows].mean())
        assert row["accuracy"]["value"] == pytest.approx(accuracy)
        assert row["unit"] == "images"
    assert by["worst"] == "s3"
    sites = found["sites"]["metrics"]["accuracy"]
    assert sites["mean"] == pytest.approx(np.mean([r["accuracy"]["value"] for r in by["rows"]]))
    assert sites["low"] < sites["mean"] < sites["high"]


def test_a_model_that_could_only_recall_its_site_is_at_chance() -> None:
    """A label that is known from the site alone is not known for a site left out."""
    made = data()
    rng = np.random.default_rng(0)
    site = np.repeat(np.arange(4), 24)
    centres = rng.standard_normal((4, 2, 24)) * 8  # far apart
    y = (made.y == "b").astype(int)
    made.X = {"x": (centres[site, y] + rng.standard_normal((96, 24))).astype(np.float32)}
    result = fit_heads(made, config())
    mixed = result.estimates["image_level"].metrics["accuracy"].value
    left_out = result.estimate.metrics["accuracy"].value
    assert mixed is not None
    assert left_out is not None
    assert mixed > 0.85
    assert left_out < 0.75


def test_a_copy_in_another_site_is_tested_with_its_first() -> None:
    """No model is trained on an image while its copy is tested."""
    made = data()
    hashes = made.hashes.copy()
    hashes[30] = hashes[2]
    made.hashes, made.X["x"][30] = hashes, made.X["x"][2]  # type: ignore[index]
    y = made.y.copy()
    y[30] = y[2]
    made.y = y
    result = fit_heads(made, config())
    shown = result.predictions[SITES]
    assert shown.fold[30] == shown.fold[2]
    assert shown.columns["group"][30] == "s0"
    assert any("exact copy" in note for note in result.notes)


@pytest.mark.parametrize("names", [None, ["a", "a", "b", "b"] * 24, ["a", "b", "c", ""] * 24])
def test_too_few_sites_are_refused(names: list[str] | None) -> None:
    """Fewer than three groups, no groups, or images without one."""
    made = data()
    made.groups = None if names is None else np.array(names)
    made.columns = {} if names is None else {"group": np.array(names, object)}
    with pytest.raises(FitError, match="leave-one-group-out") as caught:
        fit_heads(made, config())
    assert "--group-column" in str(caught.value.hint)


def test_student_s_interval_has_its_known_ends() -> None:
    """mean +- t(0.95, k - 1) sd sqrt(1 + 1/k), within what a score can be."""
    found = next_site([0.5, 0.6, 0.7])
    half = 2.919986 * 0.1 * np.sqrt(4 / 3)
    assert found["low"] == pytest.approx(0.6 - half)
    assert found["high"] == pytest.approx(0.6 + half)
    assert next_site([0.2, 0.9, 1.0])["high"] == 1.0
    assert next_site([0.5, None, 0.7])["low"] is None
    assert next_site([])["mean"] is None
