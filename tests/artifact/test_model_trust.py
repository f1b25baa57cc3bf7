"""Calibration, prediction sets and the out-of-distribution score in a model on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from featx.artifact import Model, load_model, save_model
from featx.artifact.calibration import Isotonic, Sigmoid, Temperature
from featx.artifact.decision import Cutoff
from featx.artifact.novelty import Novelty
from featx.artifact.trust import NoveltyLimit, PredictionSets, Trust
from featx.errors import ModelError
from featx.margins import log_odds
from tests.artifact.payload import forge

CALIBRATIONS = [
    None,
    Temperature(temperature=2.0),
    Sigmoid(slopes=[0.5, 1.0, 2.0], offsets=[0.0, 1.0, -1.0]),
    Isotonic(scores=[[-1.0, 2.0]] * 3, probabilities=[[0.1, 0.9], [0.2, 0.5], [0.01, 0.99]]),
]


def trusting(model: Model, calibration: Any = None) -> Model:
    """A copy with every part of `Trust`."""
    width = model.n_features
    rng = np.random.default_rng(0)
    novelty = Novelty(
        rng.normal(size=(3, width)).astype(np.float32),
        np.eye(width, dtype=np.float32)[:2],
        np.array([3, 2], np.float32),
        np.array([0.5], np.float32),
    )
    trust = Trust(
        calibration=calibration,
        sets=PredictionSets(coverage=0.9, over="images", thresholds=[0.3, 0.25, 0.2]),
        novelty=NoveltyLimit(rate=0.01, limit=1.5),
    )
    return replace(model, trust=trust, novelty=novelty)


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=lambda c: c and c.method)
@pytest.mark.parametrize("name", ["m", "m.featx"])
def test_all_of_it_comes_back(
    model: Model, X: np.ndarray, tmp_path: Path, calibration: Any, name: str
) -> None:
    made = trusting(model, calibration)
    save_model(made, tmp_path / name)
    again = load_model(tmp_path / name)
    assert again.trust == made.trust
    assert np.array_equal(again.ood_scores(X), made.ood_scores(X))
    assert np.allclose(again.predict_proba(X), made.predict_proba(X), atol=1e-6)
    assert np.array_equal(again.predict_sets(X), made.predict_sets(X))
    built = again.pipeline  # from here on scikit-learn computes
    assert built is again.head
    assert np.allclose(again.ood_scores(X), made.ood_scores(X), rtol=1e-6)


def test_known_answers(model: Model, X: np.ndarray) -> None:
    raw = model.predict_proba(X)
    for calibration in CALIBRATIONS[1:]:
        made = trusting(model, calibration)
        p = made.predict_proba(X)
        if isinstance(calibration, Temperature):
            expected = np.sqrt(raw)
        elif isinstance(calibration, Sigmoid):
            z = log_odds(raw, margins=False) * [0.5, 1, 2] + [0, 1, -1]
            expected = 1 / (1 + np.exp(-z))
        else:
            z = (np.clip(log_odds(raw, margins=False), -1, 2) + 1) / 3
            expected = np.array([0.1, 0.2, 0.01]) + z * [0.8, 0.3, 0.98]
        expected /= expected.sum(axis=1, keepdims=True)
        assert np.allclose(p, expected, atol=1e-6)
        assert made.predict(X).tolist() == [made.classes[i] for i in p.argmax(axis=1)]
        sets = made.predict_sets(X)
        likeliest = np.eye(3, dtype=bool)[p.argmax(axis=1)]
        assert np.array_equal(sets, (p >= [0.3, 0.25, 0.2]) | likeliest)


def test_calibration_of_margins(make_model: Callable[..., Model], X: np.ndarray) -> None:
    from sklearn.linear_model import RidgeClassifier

    model = make_model(head=RidgeClassifier())
    made = trusting(model, CALIBRATIONS[2])
    own = 1 / (1 + np.exp(-(model.decision_function(X) * [0.5, 1, 2] + [0, 1, -1])))
    assert np.allclose(made.predict_proba(X), own / own.sum(axis=1, keepdims=True))


def test_decisions(model: Model, X: np.ndarray, tmp_path: Path) -> None:
    made = trusting(model)
    p = made.predict_proba(X)
    cutoff = float(np.sort(p[:, 1])[3])
    decision = Cutoff(column=1, cutoff=cutoff - 1e-7)
    made = replace(made, trust=made.trust.model_copy(update={"decision": decision}))
    save_model(made, tmp_path / "m")
    again = load_model(tmp_path / "m")
    expected = np.where(p[:, 1] >= cutoff - 1e-7, 1, np.where(p[:, 0] >= p[:, 2], 0, 2))
    assert again.predict(X).tolist() == [made.classes[i] for i in expected]
    assert again.predict(X).tolist() != model.predict(X).tolist()
    assert again.predict_sets(X)[np.arange(len(X)), expected].all()
    assert np.allclose(again.predict_proba(X), p, atol=1e-6)


def test_nothing_to_score(model: Model) -> None:
    none = np.empty((0, model.n_features), np.float32)
    made = trusting(model, CALIBRATIONS[2])
    assert made.predict(none).shape == (0,)
    assert made.predict_sets(none).shape == (0, 3)
    assert made.ood_scores(none).shape == (0,)


def test_a_model_from_before_loads_and_knows_nothing_of_it(
    model: Model, X: np.ndarray, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "m")

    def change(values: dict[str, Any]) -> None:
        assert values.pop("trust") is None
        assert list(values["files"]) == ["head.safetensors"]

    forge(tmp_path / "m", change)
    old = load_model(tmp_path / "m")
    assert old.trust is None
    with pytest.raises(ModelError, match="no prediction sets"):
        old.predict_sets(X)
    assert old.ood_scores(X) is None
    assert np.allclose(old.predict_proba(X), model.predict_proba(X), atol=1e-6)


def set_trust(**parts: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["trust"].update(parts)


SETS = {"coverage": 0.9, "over": "images", "thresholds": [0.1, 0.2, 0.3]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_trust(sets={**SETS, "thresholds": [0.1]}),
            "trust.sets.thresholds has 1 entries for 3",
        ),
        (set_trust(sets={**SETS, "thresholds": [0.1, 0.2, 1.5]}), "thresholds.2: input should be"),
        (set_trust(sets={**SETS, "coverage": 1.0}), "coverage: input should be less than 1"),
        (set_trust(sets={**SETS, "method": "x"}), "method: input should be 'lac', 'aps' or 'raps'"),
        (set_trust(sets={**SETS, "code": "x"}), "unknown key 'trust.sets.code'"),
        (set_trust(calibration={"method": "eval"}), "calibration"),
        (set_trust(calibration={"method": "temperature", "temperature": 0.0}), "greater than 0"),
        (
            set_trust(calibration={"method": "sigmoid", "slopes": [1.0], "offsets": [0.0] * 3}),
            "trust.calibration.slopes has 1 entries for 3 classes",
        ),
        (
            set_trust(
                calibration={
                    "method": "isotonic",
                    "scores": [[2.0, 1.0]] * 3,
                    "probabilities": [[0.1, 0.2]] * 3,
                }
            ),
            "must rise together",
        ),
        (
            set_trust(
                calibration={
                    "method": "isotonic",
                    "scores": [[1.0]] * 3,
                    "probabilities": [[0.1]] * 2,
                }
            ),
            "malformed",
        ),
        (set_trust(decision={"by": "cutoff", "column": 3, "cutoff": 0.5}), "not for 3 classes"),
        (
            set_trust(decision={"by": "cutoff", "column": 0, "cutoff": -1.0}),
            "greater than or equal",
        ),
        (set_trust(decision={"by": "costs", "costs": [[0.0, 1.0]] * 3}), "not for 3 classes"),
        (set_trust(novelty=None), "must declare just the file 'head.safetensors'"),
        (lambda values: values.update(trust=None), "must declare just the file 'head.safetensors'"),
        (set_trust(novelty={"method": "knn", "rate": 0.1, "limit": 1.0}), "'mahalanobis'"),
        (lambda values: values["files"].pop("novelty.safetensors"), "'novelty.safetensors'"),
    ],
)
def test_crafted_sections_are_refused(
    model: Model, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    save_model(trusting(model), tmp_path / "m")
    forge(tmp_path / "m", change)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m")


def arrays(**changes: Any) -> bytes:
    good = {
        "means": np.zeros((3, 12), np.float32),
        "components": np.zeros((2, 12), np.float32),
        "variances": np.ones(2, np.float32),
        "rest": np.ones(1, np.float32),
    }
    return save({k: v for k, v in (good | changes).items() if v is not None})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04K\x01.",
        (1 << 60).to_bytes(8, "little") + b"{}",
        arrays(rest=None),
        arrays(more=np.ones(1, np.float32)),
        arrays(means=np.zeros((3, 11), np.float32)),
        arrays(means=np.zeros((0, 12), np.float32)),
        arrays(means=np.zeros((3, 12), np.float64)),
        arrays(means=np.full((3, 12), np.nan, np.float32)),
        arrays(components=np.zeros((3, 12), np.float32)),
        arrays(variances=np.zeros(2, np.float32)),
        arrays(rest=np.zeros(1, np.float32)),
        arrays(rest=np.full(1, 2, np.float32)),
    ],
)
def test_crafted_arrays_are_refused(model: Model, tmp_path: Path, data: bytes) -> None:
    save_model(trusting(model), tmp_path / "m")
    forge(tmp_path / "m", files={"novelty.safetensors": arrays()})
    load_model(tmp_path / "m")
    forge(tmp_path / "m", files={"novelty.safetensors": data})
    with pytest.raises(ModelError, match=r"score is (malformed|not safetensors)"):
        load_model(tmp_path / "m")


def test_altered_arrays_are_refused(model: Model, tmp_path: Path) -> None:
    save_model(trusting(model), tmp_path / "m")
    path = tmp_path / "m" / "novelty.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"novelty\.safetensors is not the file"):
        load_model(tmp_path / "m")
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path / "m")
    shutil.rmtree(tmp_path / "m")


def test_half_of_it_is_not_saved(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="but not both"):
        save_model(replace(trusting(model), novelty=None), tmp_path / "m")
    assert not (tmp_path / "m").exists()
