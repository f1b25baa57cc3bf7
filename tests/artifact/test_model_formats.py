"""Models that featx 0.1 wrote, with skops, are read and predict what they predicted then."""

from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featx.artifact import load_model, save_model
from featx.errors import ModelError
from tests.artifact.payload import forge

FOLDER = Path(__file__).parent / "format-1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_a_model_of_featx_0_1_predicts_as_it_did(name: str, tmp_path: Path) -> None:
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
    # saved again it is of the present format, and says the same
    save_model(model, tmp_path / "again.featx")
    again = load_model(tmp_path / "again.featx")
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert again.predict(X).tolist() == expected["predict"]


def rewritten(folder: Path, **changes: Any) -> Path:
    """The oldest fixture with other values in ``model.json``; None takes one out."""
    shutil.copytree(FOLDER / "old", folder)

    def change(values: dict[str, Any]) -> None:
        values.update(changes)
        for name in [name for name, value in values.items() if value is None]:
            del values[name]

    forge(folder, change)
    return folder


def test_a_model_from_before_trust_is_read(tmp_path: Path) -> None:
    pytest.importorskip("skops")
    model = load_model(rewritten(tmp_path / "m", trust=None))
    assert model.trust is None
    with pytest.raises(ModelError, match="no prediction sets"):
        model.predict_sets(np.array(EXPECTED["X"]))


def test_without_skops_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "skops":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(ModelError, match=r"pip install 'featx\[v1\]'") as caught:
        load_model(FOLDER / "old")
    assert "featx 0.1" in caught.value.message


def test_another_scikit_learn_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skops")
    load_model(rewritten(tmp_path / "m", versions={"scikit-learn": "1.2.3"}))
    assert "The head was fitted with scikit-learn 1.2.3" in capsys.readouterr().err
