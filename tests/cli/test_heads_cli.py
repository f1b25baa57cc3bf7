"""Heads on the command line, from fit to scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featx import extract
from featx.artifact import load_model
from featx.artifact.calibration import Sigmoid
from tests.cli.conftest import BACKBONE, Featx
from tests.lab import NETWORK, csv_rows

HEADS = ["elastic-net", "hist-gradient-boosting", "mlp", "prototypes"]


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_fitted_saved_and_scores(featx: Featx, workspace: Path, head: str) -> None:
    fitted = featx(
        "fit", "photos", *BACKBONE, "--head", head, "--cv", "3", "--name", head, "--estimate",
        "holdout", "-j", "1", "--overwrite",
    )  # fmt: skip
    assert fitted.code == 0, fitted.err
    results = json.loads((workspace / "runs" / head / "results.json").read_text())
    assert results["chosen"]["head"] == head
    assert results["estimate"]["metrics"]["balanced_accuracy"]["value"] > 0.5

    output = f"{head}.csv"
    scored = featx(
        "score", f"runs/{head}", "photos", "--proba", "--output", output, "--overwrite"
    )  # fmt: skip
    assert scored.code == 0, scored.err
    rows = csv_rows(workspace / output)
    assert len(rows) == 28
    probabilities = np.array([[float(r[f"p_{c}"]) for c in ("blue", "green", "red")] for r in rows])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    model = load_model(workspace / "runs" / head)
    assert model.classes == ["blue", "green", "red"]


@pytest.mark.parametrize("method", ["none", "sigmoid"])
def test_scores_are_calibrated_probabilities(featx: Featx, workspace: Path, method: str) -> None:
    """What `featx score` writes for a support vector machine, from its margins by hand."""
    name = f"svm-{method}"
    fitted = featx(
        "fit", "photos", *BACKBONE, "--head", "svm-rbf", "--cv", "3", "--calibrate", method,
        "--name", name, "-j", "1", "--overwrite",
    )  # fmt: skip
    assert fitted.code == 0, fitted.err
    scored = featx("score", f"runs/{name}", "photos", "--proba", "--output", f"{name}.csv")
    assert scored.code == 0, scored.err
    rows = csv_rows(workspace / f"{name}.csv")

    extraction = extract(workspace / "photos", cache=workspace / "cache", **NETWORK)
    model = load_model(workspace / "runs" / name)
    margins = model.pipeline.decision_function(extraction.X)
    if method == "none":
        scaled = margins / model.temperature
        expected = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    else:
        assert model.temperature is None
        assert isinstance(model.trust.calibration, Sigmoid)
        odds = margins * model.trust.calibration.slopes + model.trust.calibration.offsets
        expected = 1 / (1 + np.exp(-odds))
        expected /= expected.sum(axis=1, keepdims=True)
    by_path = {row["path"]: row for row in rows}
    for path, row in zip(extraction.ids, expected, strict=True):
        written = [float(by_path[path][f"p_{c}"]) for c in model.classes]
        np.testing.assert_allclose(written, row, atol=1e-5)
