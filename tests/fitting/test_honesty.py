"""Nothing that is tested has been learnt from. Each guard is shown to have power."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_lab import hashes_of, make_data
from imblearn.over_sampling import SMOTE

from featx.config import FitConfig
from featx.fitting import FitData, fit_heads

NEAREST = {"head": ["knn"], "param_grid": {"knn": {"n_neighbors": [1]}}}


def noise(n_images=60, n_copies=1, *, seed=0, shared_hash=True, counts=None) -> FitData:
    """Embeddings that say nothing about the label, each image ``n_copies`` times."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_images, 10)).astype(np.float32)
    y = rng.integers(0, 2, n_images) if counts is None else np.repeat([0, 1], counts)
    rows = np.repeat(np.arange(n_images), n_copies)
    names = rows if shared_hash else range(len(rows))
    return FitData(
        {"net": X[rows]},
        np.array(["a", "b"])[y[rows]],
        [f"{i}.png" for i in range(len(rows))],
        hashes_of(list(names)),
    )


def balanced_accuracy(result, name=None):
    estimate = result.estimate if name is None else result.estimates[name]
    return estimate["metrics"]["balanced_accuracy"]["value"]


@pytest.mark.parametrize(("shared_hash", "leaks"), [(True, False), (False, True)])
def test_exact_copies_never_straddle_folds(shared_hash, leaks):
    """With copies in other folds the nearest neighbour would know every label."""
    scores = [
        balanced_accuracy(
            fit_heads(noise(n_copies=4, seed=s, shared_hash=shared_hash), FitConfig(**NEAREST))
        )
        for s in range(3)
    ]
    assert (np.mean(scores) > 0.95) == leaks
    assert (abs(np.mean(scores) - 0.5) < 0.1) != leaks


def test_sampling_happens_inside_the_fold():
    """SMOTE on noise: at chance inside the folds, far above it when it comes before them."""
    honest, leaking = [], []
    config = FitConfig(head=["knn"], sampler=["smote"], param_grid={"knn": {"n_neighbors": [3]}})
    for seed in range(3):
        data = noise(120, seed=seed, counts=[90, 30])
        result = fit_heads(data, config)
        smote = next(c for c in result.candidates if c.sampler == "smote")
        honest.append(smote.cv_mean)
        X, y = SMOTE(random_state=0).fit_resample(data.X["net"], data.y)
        before = FitData({"net": X}, y, [str(i) for i in range(len(y))], hashes_of(range(len(y))))
        leaking.append(fit_heads(before, FitConfig(**NEAREST)).chosen.cv_mean)
    assert abs(np.mean(honest) - 0.5) < 0.08
    assert np.mean(leaking) > 0.7


def test_groups_stay_together_and_the_naive_number_is_printed_beside():
    """Embeddings that know the patient and nothing else."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(24), 12)
    centre = rng.normal(size=(24, 10)) * 4
    label = rng.permutation(np.repeat([0, 1], 12))
    X = (centre[patient] + rng.normal(size=(len(patient), 10))).astype(np.float32)
    data = FitData(
        {"net": X},
        np.array(["ill", "well"])[label[patient]],
        [f"{i}.png" for i in range(len(X))],
        hashes_of(range(len(X))),
        groups=np.array([f"p{p}" for p in patient]),
    )
    result = fit_heads(data, FitConfig(**NEAREST))
    assert balanced_accuracy(result) < 0.75
    assert balanced_accuracy(result, "image_level") > 0.95
    assert result.estimate["interval"].startswith(
        "95 % expanded percentile bootstrap over 24 groups"
    )
    assert result.estimates["image_level"]["interval"].startswith(
        "95 % expanded percentile bootstrap over 288 images"
    )
    assert any("with groups kept together and" in note for note in result.notes)
    # Groups make the interval wider too.
    width, naive = (
        e["metrics"]["accuracy"]["high"] - e["metrics"]["accuracy"]["low"]
        for e in (result.estimate, result.estimates["image_level"])
    )
    assert width > naive


def test_choosing_among_noise_is_not_rewarded():
    """The best of many is above chance on its own folds; the nested estimate is not."""
    grid = {"svm-rbf": {"C": [0.5, 1.0, 2.0, 4.0], "gamma": [0.01, 0.03, 0.1, 0.3]}}
    config = FitConfig(head=["svm-rbf"], param_grid=grid)
    results = [fit_heads(noise(40, seed=s), config) for s in range(6)]
    optimistic = np.mean([balanced_accuracy(r, "cv") for r in results])
    nested = np.mean([balanced_accuracy(r) for r in results])
    assert all("too high on average" in r.estimates["cv"]["description"] for r in results)
    assert optimistic > 0.55
    assert nested < optimistic - 0.04
    assert abs(nested - 0.5) < 0.08


def splitted(**columns):
    splits = np.array((["train"] * 4 + ["test"]) * 30)
    return make_data([75, 75], distance=1.5, splits=splits, **columns)


def test_the_test_split_changes_nothing_but_its_own_number():
    data = splitted()
    in_test = data.splits == "test"
    X, y = data.X["net"].copy(), data.y.copy()
    X[in_test] += 100
    y[in_test] = "c0"
    config = FitConfig(head=["logreg", "ridge"], sampler=["smote"], cv=3)
    one, two = fit_heads(data, config), fit_heads(replace(data, X={"net": X}, y=y), config)
    assert one.estimate["method"] == two.estimate["method"] == "test"
    assert one.estimate["metrics"] != two.estimate["metrics"]
    assert one.estimates == two.estimates
    assert [c.fold_scores for c in one.candidates] == [c.fold_scores for c in two.candidates]
    np.testing.assert_array_equal(
        one.pipeline.decision_function(X), two.pipeline.decision_function(X)
    )


def test_the_number_describes_the_model_that_ships():
    data = splitted()
    result = fit_heads(data, FitConfig(cv=3))
    in_test = data.splits == "test"
    right = result.pipeline.predict(data.X["net"][in_test]) == data.y[in_test]
    assert result.estimate["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert result.estimate["n_images"] == 30
    rows = [
        dict(zip(result.predictions.columns, r, strict=True)) for r in result.predictions.rows()
    ]
    test_rows = [r for r in rows if r["split"] == "test"]
    assert [r["id"] for r in test_rows] == [data.ids[i] for i in np.flatnonzero(in_test)]
    assert [r["y_true"] == r["y_pred"] for r in test_rows] == right.tolist()
    assert {r["fold"] for r in test_rows} == {None}
    np.testing.assert_allclose(
        [[r["p_c0"], r["p_c1"]] for r in test_rows],
        result.pipeline.predict_proba(data.X["net"][in_test]),
    )


def test_an_unread_test_split_is_not_trained_on_either():
    data = splitted()
    result = fit_heads(data, FitConfig(cv=3, estimate="nested"))
    assert result.estimate["method"] == "nested"
    assert result.settings["n_images"] == 120
    tested = {row[0] for row in result.predictions.rows()}
    assert tested == {data.ids[i] for i in np.flatnonzero(data.splits != "test")}


def test_copies_of_test_images_are_left_out_of_training():
    copies = list(range(150))
    copies[0] = copies[4]  # row 0 is in training, row 4 in the test split
    result = fit_heads(splitted(copies=copies), FitConfig(cv=3))
    assert result.settings["n_images"] == 119
    assert result.settings["n_test_images"] == 30
    assert any(
        "1 training image is an exact copy of test images (1 in equal files, 0 of" in n
        for n in result.notes
    )


def test_groups_in_both_splits_are_said():
    result = fit_heads(splitted(groups=np.arange(150) // 5), FitConfig(cv=3))
    assert any(
        n.startswith("30 groups lie in both the training and the given test") for n in result.notes
    )


def test_validation_images_are_trained_on_and_that_is_said():
    splits = np.array(["train", "train", "val", "test", "test"] * 30)
    result = fit_heads(make_data([75, 75], splits=splits), FitConfig(cv=3))
    assert result.settings["n_images"] == 90
    assert any("validation split (30 images) was joined" in n for n in result.notes)


def test_margins_become_calibrated_probabilities():
    """The stored temperature is what the test predictions were made with."""
    from featx.margins import margin_probabilities

    data = splitted()
    grid = {"svm-linear": {"C": [0.01]}}
    result = fit_heads(data, FitConfig(head=["svm-linear"], param_grid=grid, cv=3))
    margins = result.pipeline.decision_function(data.X["net"][data.splits == "test"])
    test = next(h for h in result.held if h.split == "test")
    expected = margin_probabilities(margins, result.temperature)
    np.testing.assert_allclose(test.proba, expected)
    loss = result.estimate["metrics"]["log_loss"]["value"]
    for wrong in (0.1, 10.0):
        others = margin_probabilities(margins, result.temperature * wrong)
        assert loss < -np.log(others[np.arange(30), test.part.y]).mean()
    assert fit_heads(data, FitConfig(head=["logreg"], cv=3)).temperature is None


def test_probabilities_are_not_calibrated_on_the_images_they_are_judged_by():
    """Out-of-fold temperatures differ by fold: each comes from the other folds."""
    from featx.margins import margin_probabilities
    from featx.stats.calibration import fit_temperature

    data = make_data([60, 60, 40], distance=2)
    grid = {"svm-linear": {"C": [0.01]}}
    config = FitConfig(head=["svm-linear"], param_grid=grid, cv=3, estimate="cv")
    result = fit_heads(data, config)
    held = result.held[0]
    X, y, fold = data.X["net"], held.part.y, held.fold
    margins = np.zeros((160, 3))
    for f in range(3):
        pipeline = fit_plain(X[fold != f], y[fold != f])
        margins[fold == f] = pipeline.decision_function(X[fold == f])
    for f in range(3):
        temperature = fit_temperature(margins[fold != f], y[fold != f])
        np.testing.assert_allclose(
            held.proba[fold == f],
            margin_probabilities(margins[fold == f], temperature),
            rtol=1e-4,
        )
    assert result.temperature == pytest.approx(fit_temperature(margins, y), rel=1e-4)


def fit_plain(X, y):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(kernel="linear", C=0.01, break_ties=True)).fit(X, y)


def test_a_class_without_test_images_is_named():
    data = make_data([20, 20, 20], splits=["train", "test"] * 20 + ["train"] * 20)
    result = fit_heads(data, FitConfig(head=["dummy"], cv=3))
    note = next(n for n in result.notes if n.startswith("The test split holds no image of 1 class"))
    assert "the estimate does not show how well it is recognised" in note
    whole = make_data([20, 20, 20], splits=["train", "test"] * 30)
    result = fit_heads(whole, FitConfig(head=["dummy"], cv=3))
    assert not any("holds no image" in n for n in result.notes)
