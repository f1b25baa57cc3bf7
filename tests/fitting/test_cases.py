"""Difficult data: refused with counts and advice, or adapted and said; never a traceback."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fit_lab import hashes_of, make_data
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.config import FitConfig
from featx.errors import FeatxError, FitError
from featx.fitting import FitData, fit_heads

QUICK = {"head": ["ridge"], "param_grid": {"ridge": {"alpha": [10.0]}}}


def test_one_class_is_refused_with_counts():
    with pytest.raises(FitError, match=r"at least two classes.* got 12 images: c0 12\."):
        fit_heads(make_data([12]), FitConfig())


def test_no_image_is_refused():
    empty = FitData({"net": np.zeros((0, 4), np.float32)}, np.array([], str), [], hashes_of([]))
    empty.hashes = np.zeros((0, 32), np.uint8)
    with pytest.raises(FitError, match="Nothing to fit: 0 labelled images"):
        fit_heads(empty, FitConfig())


def test_one_image_a_class_is_refused():
    with pytest.raises(FitError, match=r"No honest cross-validation.*c0 1, c1 1"):
        fit_heads(make_data([1, 1]), FitConfig())


def test_embeddings_that_are_not_finite_are_refused_by_name():
    data = make_data([10, 10])
    data.X["net"][7, 2] = np.nan
    with pytest.raises(FitError, match=r"1 of 20 embeddings of net.*'0007\.png'") as caught:
        fit_heads(data, FitConfig())
    assert "fp32" in caught.value.hint


def test_arrays_of_different_length_are_refused():
    with pytest.raises(FitError, match=r"y has 20 rows, but \{'ids': 19\}"):
        fit_heads(replace(make_data([10, 10]), ids=["x"] * 19), FitConfig())


def test_test_classes_without_training_are_refused():
    splits = np.array(["train"] * 20 + ["test"] * 5)
    with pytest.raises(FitError, match="a class without any training image: c2"):
        fit_heads(make_data([10, 10, 5], splits=splits), FitConfig())


def test_estimate_test_without_test_split_is_refused():
    with pytest.raises(FitError, match="no image is in a test split"):
        fit_heads(make_data([10, 10]), FitConfig(estimate="test"))


def test_a_class_of_one_image_is_kept_and_said():
    data = make_data([30, 20, 1])
    result = fit_heads(data, FitConfig(**QUICK, sampler=["smote", "random-over"]))
    assert result.classes == ["c0", "c1", "c2"]
    assert result.pipeline.classes_.tolist() == result.classes
    assert any("c2 (1 image)" in note for note in result.notes)
    assert result.estimate["per_class"]["c2"]["recall"]["value"] == 0
    assert all(c.status == "ok" for c in result.candidates)


def test_a_class_smaller_than_the_folds_is_kept_and_said():
    result = fit_heads(make_data([30, 20, 3]), FitConfig(**QUICK, sampler=["smote"]))
    assert result.settings["n_folds"] == 5
    assert "smote interpolates between 1 instead of 5 neighbours" in "\n".join(result.notes)
    assert all(c.status == "ok" for c in result.candidates)


def test_a_sampler_that_cannot_work_is_refused_and_the_others_go_on():
    """ADASYN needs classes that touch; these are far apart."""
    result = fit_heads(make_data([30, 20], distance=40.0), FitConfig(**QUICK, sampler=["adasyn"]))
    plain, adasyn, _ = result.candidates
    assert (plain.status, adasyn.status) == ("ok", "refused")
    assert result.chosen is plain
    assert "adasyn cannot resample a training fold of c0 24, c1 16" in adasyn.notes[0]


def test_a_head_that_cannot_be_fitted_is_refused_and_the_others_go_on():
    grid = {"logreg": {"solver": ["liblinear"]}, "ridge": {"alpha": [10.0]}}
    config = FitConfig(head=["logreg", "ridge"], param_grid=grid)
    result = fit_heads(make_data([20, 20, 20]), config)
    assert [c.status for c in result.candidates] == ["refused", "ok"]
    assert "'solver': 'liblinear'} cannot be fitted" in result.candidates[0].notes[0]
    only = FitConfig(param_grid={"logreg": grid["logreg"]})
    with pytest.raises(FitError, match=r"Nothing could be fitted\. logreg \+ net with"):
        fit_heads(make_data([20, 20, 20]), only)


def test_a_sampler_that_removes_a_class_is_refused():
    data = make_data([200, 12], distance=0.0, n_features=2)
    result = fit_heads(data, FitConfig(**QUICK, sampler=["smote-enn", "random-over"]))
    refused = [c.sampler for c in result.candidates if c.status == "refused"]
    assert refused in ([], ["smote-enn"])  # whichever, nothing is raised
    json.dumps(result.document(), allow_nan=False)


def test_two_groups_allow_no_nested_estimate():
    data = make_data([30, 30], groups=np.tile([0, 1], 30))
    result = fit_heads(data, FitConfig(cv=5))
    assert result.settings["n_folds"] == 2
    assert result.estimate["method"] == "cv"
    assert any(
        "because candidates were selected on it: Nested cross-validation needs 3" in n
        for n in result.notes
    )
    with pytest.raises(FitError, match="Nested cross-validation needs 3 folds"):
        fit_heads(data, FitConfig(estimate="nested"))


def test_groups_that_equal_classes_are_refused():
    with pytest.raises(FitError, match="No honest cross-validation"):
        fit_heads(make_data([20, 20], groups=np.repeat([0, 1], 20)), FitConfig())


def test_groups_of_one_image_say_that_they_change_nothing():
    result = fit_heads(make_data([20, 20], groups=range(40)), FitConfig(**QUICK))
    assert "image_level" not in result.estimates
    assert any(n.startswith("Every group holds one distinct image") for n in result.notes)


def test_images_without_a_group_are_groups_of_their_own():
    groups = ["" if i % 2 else f"g{i // 8}" for i in range(40)]
    result = fit_heads(make_data([20, 20], groups=groups), FitConfig(**QUICK))
    assert result.estimate["n_groups"] == 25


def test_copies_with_different_labels_are_named():
    data = make_data([20, 20], copies=[0, *range(1, 20), 0, *range(21, 40)])
    result = fit_heads(data, FitConfig(**QUICK))
    assert (
        "1 image appears as exact copies under different labels, for instance 0000.png (c0) and "
        "0020.png (c1): at most one label can be right."
    ) in result.notes
    fold = result.held[0].fold
    assert fold[0] == fold[20]


def test_a_single_candidate_is_not_called_optimistic():
    result = fit_heads(make_data([20, 20]), FitConfig(**QUICK))
    assert result.estimate["method"] == "cv"
    assert "no selection took place" in result.estimate["description"]
    assert result.estimates == {}


def test_a_fold_of_one_class_has_no_roc_area_and_that_is_null():
    groups = [*[0] * 12, *[1 + i // 4 for i in range(20)]]
    data = make_data([12, 4, 4, 4, 4, 4], groups=groups)
    data = replace(
        data, y=np.where(np.array(groups) == 0, "a", np.where(np.arange(32) % 2, "a", "b"))
    )
    config = FitConfig(**QUICK, cv=5, scoring="roc_auc_ovr", sampler=["random-over"])
    result = fit_heads(data, config)
    assert None in result.chosen.fold_scores
    assert result.chosen.cv_mean is not None
    json.dumps(result.document(), allow_nan=False)


def test_several_backbones_compete():
    data = make_data([30, 30], distance=3.0)
    noise = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    data = replace(data, X={"noise": noise, "good": data.X["net"]})
    result = fit_heads(data, FitConfig(cv=3))
    assert result.chosen.backbone == "good"
    assert [c.backbone for c in result.candidates] == ["noise", "good"]
    assert result.pipeline.n_features_in_ == 8


def test_the_pipeline_predicts_labels_and_has_no_sampler():
    data = make_data([30, 10])
    result = fit_heads(data, FitConfig(**QUICK, sampler=["smote"]))
    assert list(result.pipeline.named_steps) == ["scaler", "head"]
    assert set(result.pipeline.predict(data.X["net"])) == {"c0", "c1"}


def test_shared_fits_are_made_once(monkeypatch):
    """Three folds and three pairs of folds, two grid points each, and the refit."""
    from featx.fitting import executors
    from featx.fitting import refit as module

    fits = []
    refit, score = module.fit_head, executors.score_trials
    monkeypatch.setattr(module, "fit_head", lambda t, *a, **k: fits.append(t) or refit(t, *a, **k))
    monkeypatch.setattr(
        executors, "score_trials", lambda t, *a, **k: fits.extend(t) or score(t, *a, **k)
    )
    config = FitConfig(param_grid={"logreg": {"C": [0.1, 1.0]}}, cv=3, jobs=2)
    fit_heads(make_data([20, 20]), config)
    assert len(fits) == (3 + 3) * 2 + 1


def test_choosing_again_when_memory_is_short_changes_nothing(monkeypatch):
    from featx.fitting import search

    config = FitConfig(head=["svm-linear"], cv=3)
    plenty = fit_heads(make_data([20, 20]), config)
    monkeypatch.setattr(search, "KEPT_BYTES", 0)
    short = fit_heads(make_data([20, 20]), config)
    assert short.estimate == plenty.estimate
    assert list(short.predictions.rows()) == list(plenty.predictions.rows())


def test_golden_values():
    """Recipe: three Gaussian classes, ridge with and without SMOTE, 5 folds, seed 0.

    The numbers change only with a deliberate change of folds, scaling, sampling or metrics.
    """
    data = make_data([40, 25, 10], distance=2.0)
    grid = {"ridge": {"alpha": [100.0, 1.0]}}
    config = FitConfig(head=["ridge"], sampler=["smote"], class_weight="none", param_grid=grid)
    result = fit_heads(data, config)
    assert {
        "chosen": (result.chosen.sampler, result.chosen.params),
        "cv_mean": [round(c.cv_mean, 6) for c in result.candidates],
        "balanced_accuracy": {
            k: round(v, 6) for k, v in result.estimate["metrics"]["balanced_accuracy"].items()
        },
        "confusion_matrix": result.estimate["confusion_matrix"],
        "temperature": round(result.temperature, 3),
    } == {
        "chosen": ("smote", {"alpha": 100.0}),
        "cv_mean": [0.705, 0.773333],
        "balanced_accuracy": {"value": 0.773333, "low": 0.60875, "high": 0.903711},
        "confusion_matrix": [[32, 3, 5], [2, 18, 5], [0, 2, 8]],
        "temperature": 0.229,
    }


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),  # class
            st.integers(0, 12),  # group
            st.integers(0, 25),  # content
            st.sampled_from(["train", "train", "train", "val", "test", ""]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["smote", "smote-tomek", "adasyn", "borderline-smote", "random-under"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["balanced_accuracy", "roc_auc_ovr", "neg_log_loss"]),
)
def test_any_data_are_fitted_or_refused_in_words(rows, sampler, grouped, with_splits, scoring):
    y, groups, copies, splits = zip(*rows, strict=True)
    X = np.random.default_rng(0).normal(size=(26, 3)).astype(np.float32)[list(copies)]
    data = FitData(
        {"net": X},
        np.array([f"c{c}" for c in y]),
        [f"{i}.png" for i in range(len(y))],
        hashes_of(copies),
        groups=np.array([f"g{g}" for g in groups]) if grouped else None,
        splits=np.array(splits) if with_splits else None,
    )
    config = FitConfig(
        head=["ridge", "knn"],
        sampler=[sampler],
        param_grid={"ridge": {"alpha": [10.0]}, "knn": {"n_neighbors": [5]}},
        cv=3,
        jobs=1,
        scoring=scoring,
    )
    try:
        result = fit_heads(data, config)
    except FeatxError:
        return
    json.dumps(result.document(), allow_nan=False)
    probabilities = np.concatenate([h.proba for h in result.held])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
