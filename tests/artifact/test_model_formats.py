"""Models that featx 0.1 wrote, with skops, are read and predict what they predicted then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featx.artifact import load_model

FOLDER = Path(__file__).parent / "format-1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_a_model_of_featx_0_1_predicts_as_it_did(name: str) -> None:
    pytest.importorskip("skops")
    model = load_model(FOLDER / (name if name == "old" else f"{name}.featx"))
    expected, X = EXPECTED["models"][name], np.array(EXPECTED["X"])
    # perceptrons compute in float32, whose rounding is the processor's
    error = 1e-6 if name.startswith("mlp") else 1e-12
    assert model.predict(X).tolist() == expected["predict"]
    np.testing.assert_allclose(model.predict_proba(X), expected["predict_proba"], atol=error)
    margins = np.maximum(model.decision_function(X), -1e300)
    np.testing.assert_allclose(margins, expected["decision_function"], rtol=error, atol=error)
    if expected["ood_scores"] is not None:
        np.testing.assert_allclose(model.ood_scores(X), expected["ood_scores"], rtol=1e-6)
