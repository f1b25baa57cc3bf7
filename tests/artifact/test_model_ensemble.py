"""Ensembles on disk: every head and column comes back, and what contradicts itself is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from featx.artifact import Model, ModelExtractor, load_model, save_model
from featx.artifact.calibration import Sigmoid, Temperature
from featx.artifact.ensemble import EnsembleHead, Member, stack_features
from featx.artifact.novelty import Novelty
from featx.artifact.trust import NoveltyLimit, PredictionSets, Trust
from featx.errors import ModelError
from featx.heads import FittedHead
from featx.heads._neighbours import NearestClassifier
from tests.artifact.payload import forge

CLASSES = ["cat", "dog", "owl"]
WIDTHS = (7, 5)
COLUMNS = {"a": (0, 7), "b": (7, 12), "both": (0, 12)}


def rows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 12)).astype(np.float32)


def fitted(head: Any, X: np.ndarray, seed: int = 0) -> Pipeline:
    y = np.repeat(CLASSES, 10)
    X = X + np.random.default_rng(seed).normal(size=X.shape).astype(np.float32) / 10
    return Pipeline([("scaler", StandardScaler()), ("head", head)]).fit(X, y)


def ensemble(method: str) -> EnsembleHead:
    """Copies of a linear head on ``a``, a support vector machine on ``b``, neighbours on both."""
    X = rows(30) + np.repeat([[0], [1], [2]], 10, axis=0).astype(np.float32)
    halves = {name: X[:, slice(*columns)] for name, columns in COLUMNS.items()}
    sigmoid = Sigmoid(slopes=[1.0, 2.0, 1.5], offsets=[0.0, -0.1, 0.2])
    near = NearestClassifier(n_neighbors=3, algorithm="brute", weights="distance")
    members = [
        Member(
            [fitted(LogisticRegression(), halves["a"], k) for k in (0, 1)], COLUMNS["a"], sigmoid
        ),
        Member(
            [fitted(SVC(break_ties=True), halves["b"])], COLUMNS["b"], Temperature(temperature=2.0)
        ),
        Member([fitted(near, halves["both"])], COLUMNS["both"]),
    ]
    head = EnsembleHead(np.array(CLASSES), 12, members)
    if method == "vote":
        return head
    features = stack_features([member.probabilities(X) for member in members])
    stack = Pipeline([("head", LogisticRegression(max_iter=1000))])
    return replace(head, stack=stack.fit(features, np.repeat(CLASSES, 10)))


@pytest.fixture(params=["vote", "stack"])
def together(request: pytest.FixtureRequest) -> Model:
    extractors = [
        ModelExtractor({"backbone": f"timm:{name}", "n_features": width}, {"name": f"timm:{name}"})
        for name, width in zip("ab", WIDTHS, strict=True)
    ]
    return Model(classes=CLASSES, head=ensemble(request.param), extractors=extractors)


def test_a_vote_is_the_mean_of_calibrated_members() -> None:
    X = rows(9, seed=1)
    head = ensemble("vote")
    [one, two], [machine], [near] = (member.heads for member in head.members)
    a = (one.predict_proba(X[:, :7]) + two.predict_proba(X[:, :7])) / 2
    raw = [h.predict_proba(X[:, :7]) for h in (one, two)]
    a = np.mean([head.members[0].calibration.apply(p.astype(float), margins=False) for p in raw], 0)
    margins = machine.decision_function(X[:, 7:]) / 2
    b = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    expected = (a + b + near.predict_proba(X)) / 3
    np.testing.assert_allclose(head.predict_proba(X), expected, rtol=1e-12)
    assert head.predict(X).tolist() == [CLASSES[c] for c in expected.argmax(axis=1)]


def test_a_stack_weighs_log_probabilities() -> None:
    X = rows(9, seed=1)
    head = ensemble("stack")
    each = np.hstack([member.probabilities(X) for member in head.members])
    assert (each == 0).any()  # neighbours are sure: no infinity comes of it
    expected = head.stack.predict_proba(np.log(np.maximum(each, 1e-6)))
    np.testing.assert_array_equal(head.predict_proba(X), expected)


@pytest.mark.parametrize("name", ["m", "m.featx"])
def test_it_comes_back(together: Model, tmp_path: Path, name: str) -> None:
    X = rows(40, seed=2)
    save_model(together, tmp_path / name)
    again = load_model(tmp_path / name)
    np.testing.assert_allclose(again.predict_proba(X), together.predict_proba(X), atol=1e-6)
    assert again.predict(X).tolist() == together.predict(X).tolist()
    kinds = [isinstance(head, FittedHead) for member in again.head.members for head in member.heads]
    assert kinds == [True] * 4
    assert again.head.members[1].calibration == Temperature(temperature=2.0)

    save_model(again, tmp_path / f"second-{name}")
    third = load_model(tmp_path / f"second-{name}")
    assert third.predict_proba(X).tobytes() == again.predict_proba(X).tobytes()


def test_files_of_an_ensemble(together: Model, tmp_path: Path) -> None:
    save_model(together, tmp_path / "m")
    expected = {
        "model.json",
        "member-1-1.safetensors",
        "member-1-2.safetensors",
        "member-2-1.safetensors",
    }
    expected |= {"member-3-1.safetensors"} | (
        {"head.safetensors"} if together.head.stack else set()
    )
    assert {path.name for path in (tmp_path / "m").iterdir()} == expected
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    assert document["ensemble"]["method"] == ("stack" if together.head.stack else "vote")
    assert document["ensemble"]["members"][1]["start"] == 7


def test_how_far_away_is_what_the_best_member_says(together: Model, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    arrays = rng.normal(size=(3, 7)), np.zeros((0, 7)), np.zeros(0), np.ones(1)
    together.novelty = Novelty(*(a.astype(np.float32) for a in arrays))
    together.trust = Trust(
        calibration=Temperature(temperature=1.5),
        sets=PredictionSets(coverage=0.9, over="images", thresholds=[0.2] * 3),
        novelty=NoveltyLimit(rate=0.01, limit=2.0),
    )
    save_model(together, tmp_path / "m")
    again = load_model(tmp_path / "m")
    X = rows(8, seed=4)
    scaled = together.head.members[0].heads[0][:1].transform(X[:, :7])
    np.testing.assert_allclose(again.ood_scores(X), together.novelty.scores(scaled), rtol=1e-5)
    X[:, 7:] += 100  # which it does not look at
    np.testing.assert_allclose(again.ood_scores(X), together.novelty.scores(scaled), rtol=1e-5)
    assert again.predict_sets(X).any(axis=1).all()


def member(k: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["ensemble"]["members"][k].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (member(1, start=6), "member-2-1.safetensors is malformed: .*mean has the shape"),
        (member(1, start=8, stop=13), "member 2 reads columns 8 to 13 of 12"),
        (member(0, start=7, stop=7), "member 1 reads columns 7 to 7"),
        (member(0, start=-7), "ensemble.members.0.start: input should be greater than or equal"),
        (member(0, start=True), "ensemble.members.0.start: input should be a valid integer"),
        (member(0, heads=1), "must describe a head for each file"),
        (member(0, heads=3), "must describe a head for each file"),
        (member(0, heads=10**9), "less than or equal to 200"),
        (member(0, heads=199), "ensemble has more than 200 heads"),
        (member(0, weight=2.0), "unknown key"),
        (
            member(0, calibration={"method": "sigmoid", "slopes": [1.0], "offsets": [0.0]}),
            "the slopes of member 1 have 1 entries",
        ),
        (lambda values: values["ensemble"].update(method="boost"), "should be 'vote' or 'stack'"),
        (lambda values: values["ensemble"].update(members=[]), "at least 1 item"),
        (
            lambda values: values.update(ensemble=None),
            "must describe a head for each file",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(
    together: Model, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    save_model(together, tmp_path / "m")
    forge(tmp_path / "m", change)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["member-1-2.safetensors", "member-3-1.safetensors"])
def test_a_head_in_anothers_place(together: Model, tmp_path: Path, name: str) -> None:
    save_model(together, tmp_path / "m")
    shutil.copy(tmp_path / "m" / "member-2-1.safetensors", tmp_path / "m" / name)
    with pytest.raises(ModelError, match=r"is not the file that|larger than the limit"):
        load_model(tmp_path / "m")
    forge(tmp_path / "m")
    with pytest.raises(ModelError, match=f"{name} is malformed"):
        load_model(tmp_path / "m")


def test_a_stack_of_other_members(tmp_path: Path, together: Model) -> None:
    head = together.head
    if head.stack is None:
        pytest.skip("a vote weighs nothing")
    with pytest.raises(ModelError, match="the stack does not weigh 2 members of 3 classes"):
        save_model(replace(together, head=replace(head, members=head.members[:2])), tmp_path / "m")


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("exploded"),)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "name", ["member-1-1.safetensors", "member-2-1.safetensors", "head.safetensors"]
)
def test_a_pickle_in_any_heads_place(
    together: Model, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(together, tmp_path / "m")
    if not (tmp_path / "m" / name).exists():
        pytest.skip("a vote weighs nothing")
    (tmp_path / "m" / name).write_bytes(pickle.dumps(Bomb()))
    forge(tmp_path / "m")
    with pytest.raises(ModelError, match="looks like a pickle"):
        load_model(tmp_path / "m")
    assert not (tmp_path / "exploded").exists()
