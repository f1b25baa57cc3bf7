"""Heads on the command line, from fit to scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from featx.model import load_model
from tests.cli.conftest import BACKBONE, Featx

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
    rows = list(csv.DictReader((workspace / output).read_text("utf-8").splitlines()))
    assert len(rows) == 28
    probabilities = np.array([[float(r[f"p_{c}"]) for c in ("blue", "green", "red")] for r in rows])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    model = load_model(workspace / "runs" / head)
    assert model.classes == ["blue", "green", "red"]
