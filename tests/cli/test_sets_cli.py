"""``featx fit --sets``: kept in the model, and what ``featx score`` then says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featx import load_model
from featx.artifact.conformity import conformities
from tests.cli.conftest import BACKBONE, Featx
from tests.lab import csv_rows


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
def test_sets_travel_in_the_model(featx: Featx, workspace: Path, method: str) -> None:
    flags = ["--name", "sets", "--head", "lda", "--estimate", "cv", "--cv", "3", "--overwrite"]
    result = featx("fit", "photos", *BACKBONE, *flags, "--sets", method, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["trust"]["prediction_sets"]["method"] == method
    sets = load_model(workspace / "runs" / "sets").trust.sets
    assert sets.method == method
    result = featx("score", "runs/sets", "photos", "-o", "sets.csv", "--proba", "--overwrite")
    assert result.code == 0, result.err
    rows = csv_rows(workspace / "sets.csv")
    assert len(rows) == 28
    for row in rows:
        p = np.array([[float(row[f"p_{c}"]) for c in ("blue", "green", "red")]])
        reached = conformities(method, p)[0] >= np.array(sets.thresholds) - 1e-12
        inside = {c for c, r in zip(("blue", "green", "red"), reached, strict=True) if r}
        assert set(row["prediction_set"].split("|")) == inside | {row["prediction"]}
        assert row["abstained"] == str(inside != {row["prediction"]})
