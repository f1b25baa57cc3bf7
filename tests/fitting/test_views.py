"""Augmented views train beside their images, and judge nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_lab import hashes_of, make_data, part_of, partition_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featx.fitting.fit as planning
from featx.config import FitConfig
from featx.errors import FitError
from featx.fitting import FitData, fit_heads
from featx.fitting.candidates import Setup
from featx.fitting.partition import Partition
from featx.fitting.splitting import split_data

QUICK = {"param_grid": {"logreg": {"C": [0.01]}}, "cv": 3}


def jittered(data: FitData, n_views: int, *, amount=0.5, seed=0) -> FitData:
    """Views that are their image and a little noise."""
    rng = np.random.default_rng(seed)
    views = {
        name: (X[:, None] + amount * rng.normal(size=(len(X), n_views, X.shape[1]))).astype("f4")
        for name, X in data.X.items()
    }
    return replace(data, views=views)


def test_every_row_stands_beside_the_one_without_views():
    data = jittered(make_data([30, 20]), 2)
    result = fit_heads(data, FitConfig(head=["logreg", "knn"], sampler=["smote"], cv=3))
    rows = [(c.head, c.sampler, c.class_weight, c.views) for c in result.candidates]
    half = len(rows) // 2
    assert [row[3] for row in rows] == [0] * half + [2] * half
    assert [row[:3] for row in rows[:half]] == [row[:3] for row in rows[half:]]
    for plain, viewed in zip(result.candidates[:half], result.candidates[half:], strict=True):
        assert plain.against_no_views is None
        difference = np.mean(viewed.fold_scores) - np.mean(plain.fold_scores)
        assert viewed.against_no_views["mean"] == pytest.approx(difference, abs=1e-12)
    assert result.document()["n_views"] == 2
    [note] = [n for n in result.notes if "augmented views of each training image" in n]
    assert note.startswith("2 augmented views")


def test_the_rows_without_views_are_those_of_a_fit_that_has_none():
    data, config = make_data([30, 20]), FitConfig(**QUICK)
    with_views = fit_heads(jittered(data, 3), config)
    plain = fit_heads(data, config)
    assert with_views.candidates[0].fold_scores == plain.candidates[0].fold_scores
    assert plain.document()["n_views"] == 0
    assert not [n for n in plain.notes if "views" in n]


def test_scores_are_those_of_a_plain_loop_over_images_and_views():
    """Trained on the other folds' images and views, tested on the fold's images."""
    data = jittered(make_data([40, 25], distance=1.0), 2)
    config = FitConfig(param_grid={"logreg": {"C": [0.01], "tol": [1e-7]}}, cv=4)
    viewed = fit_heads(data, config).candidates[1]
    partition = partition_of(data)
    fold, y = partition.fold, partition.part.y
    X, V = data.X["net"].astype(float), data.views["net"].astype(float)
    scores = []
    for f in range(4):
        kept = fold != f
        stacked = np.concatenate([X[kept], V[kept, 0], V[kept, 1]])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, tol=1e-9, max_iter=9999))
        predicted = model.fit(stacked, np.tile(y[kept], 3)).predict(X[~kept])
        scores.append(np.mean([(predicted == c)[y[~kept] == c].mean() for c in (0, 1)]))
    assert viewed.fold_scores == pytest.approx(scores)


@settings(max_examples=25)
@given(
    st.integers(1, 3),
    st.lists(st.integers(0, 11), min_size=24, max_size=24),
    st.lists(st.integers(0, 15), min_size=24, max_size=24),
    st.integers(0, 3),
)
def test_views_of_one_image_or_of_its_copies_never_straddle_folds(n_views, groups, copies, seed):
    """Every embedding holds the number of its image's content; tested numbers are not trained."""
    labels = {copy: copies.index(copy) % 2 for copy in copies}
    X = np.array([[c, 0.0] for c in copies], np.float32)
    data = FitData(
        {"net": X},
        np.array([f"c{labels[c]}" for c in copies]),
        [str(i) for i in range(24)],
        hashes_of(copies),
        groups=np.array([f"g{g}" for g in groups]),
        views={"net": np.repeat(X[:, None], n_views, axis=1)},
    )
    try:
        part, _, _ = split_data(data, use_test=True)
        partition = Partition.of(part, n_folds=3, seed=seed)
    except FitError:
        return
    setup = Setup(("net",), "logreg", "none", "none", views=n_views)
    for (f,) in partition.single:
        seen, y, _ = part.examples(setup, partition.training((f,)))
        assert len(seen) == (1 + n_views) * (partition.fold != f).sum() == len(y)
        assert [labels[int(c)] for c in seen[:, 0]] == y.tolist()
        assert not set(seen[:, 0]) & set(part.X["net"][partition.fold == f, 0])


@pytest.mark.parametrize(("honest", "leaks"), [(True, False), (False, True)])
def test_views_do_not_tell_what_is_tested(honest, leaks):
    """Noise with views equal to it: at chance as views, known by heart as rows of their own."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 10)).astype(np.float32)
    y = np.array(["a", "b"])[rng.integers(0, 2, 90)]
    ids = [str(i) for i in range(90)]
    if honest:
        data = FitData({"net": X}, y, ids, hashes_of(ids), views={"net": X[:, None]})
    else:
        twice = [*ids, *(f"view of {i}" for i in ids)]
        data = FitData({"net": np.tile(X, (2, 1))}, np.tile(y, 2), twice, hashes_of(twice))
    config = FitConfig(head=["knn"], param_grid={"knn": {"n_neighbors": [1]}})
    score = fit_heads(data, config).candidates[-1].cv_mean
    assert (score > 0.8) == leaks
    assert (abs(score - 0.5) < 0.15) != leaks


def test_what_judges_has_no_views_and_the_model_is_trained_on_them():
    """Views of test images are not read; those of training images change the returned model."""
    splits = ["test" if i % 3 == 0 else "train" for i in range(60)]
    data = jittered(make_data([30, 30], splits=splits, distance=1.0), 4, amount=2.0)
    data.views["net"][np.array(splits) == "test"] = np.nan
    part, test, _ = split_data(data, use_test=True)
    assert test is not None
    assert (part.n_views, test.n_views) == (4, 0)
    result = fit_heads(data, FitConfig(**QUICK))
    assert result.estimate["n_images"] == 20
    setup = Setup(("net",), "logreg", "none", "none", views=result.chosen.views)
    seen, _, _ = part.examples(setup, np.ones(len(part), bool))
    np.testing.assert_allclose(result.pipeline[0].mean_, seen.mean(axis=0), atol=1e-5)


def test_views_that_help_are_chosen_and_said():
    """Images show each class in one pose only; views show the poses that are tested."""
    rng = np.random.default_rng(1)
    n, d = 160, 150
    y = np.arange(n) % 2
    signal = np.zeros((n, d), np.float32)
    signal[:, 0] = 1.5 * (2 * y - 1)
    nuisance = 3.0 * rng.normal(size=(n, 9, d)).astype(np.float32)
    nuisance[:, :, 0] = rng.normal(size=(n, 9))
    data = FitData(
        {"net": signal + nuisance[:, 0]},
        np.array(["a", "b"])[y],
        [str(i) for i in range(n)],
        hashes_of(range(n)),
        views={"net": signal[:, None] + nuisance[:, 1:]},
    )
    result = fit_heads(data, FitConfig(cv=10, estimate="cv"))
    assert result.chosen.views == 8
    assert result.chosen.against_no_views["mean"] > 0.1
    [note] = [n for n in result.notes if n.startswith("8 augmented views")]
    assert "helped logreg + net" in note


@pytest.mark.parametrize("trained_on_views", [False, True])
def test_the_out_of_distribution_score_knows_images_alone(monkeypatch, trained_on_views):
    """Views far away, which the classifier trains on, do not widen what counts as ordinary."""
    plan = planning.plan_setups

    def some(*given, **more):
        setups, notes = plan(*given, **more)
        return [s for s in setups if (s.views > 0) == trained_on_views], notes

    monkeypatch.setattr(planning, "plan_setups", some)
    data = make_data([40, 40], distance=2.0)
    far = np.repeat(data.X["net"][:, None], 2, axis=1)
    far[:, :, -1] += 50
    fitted = fit_heads(replace(data, views={"net": far}), FitConfig(head=["knn"], cv=4))
    assert (fitted.chosen.views > 0) == trained_on_views
    scaler, X = fitted.pipeline[0], data.X["net"]
    assert (scaler.mean_[-1] > 30) == trained_on_views
    novelty, limit = fitted.trust.novelty, fitted.trust.trust.novelty.limit
    assert (novelty.scores(scaler.transform(X)) > limit).mean() < 0.05
    assert (novelty.scores(scaler.transform(far[:, 0])) > limit).mean() > 0.95


def test_of_equal_rows_the_one_without_views_is_chosen():
    data = make_data([20, 20], distance=20.0)
    result = fit_heads(jittered(data, 2, amount=0.1), FitConfig(**QUICK))
    assert {c.cv_mean for c in result.candidates} == {1.0}
    assert result.chosen.views == 0


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_answer_does_not_depend_on_threads(jobs):
    data = jittered(make_data([30, 20], distance=1.0), 2)
    config = FitConfig(head=["logreg"], sampler=["smote"], cv=3, jobs=jobs)
    document = fit_heads(data, config).document()
    scores = [c["fold_scores"] for c in document["candidates"]]
    config = config.model_copy(update={"jobs": 2})
    assert scores == [c.fold_scores for c in fit_heads(data, config).candidates]


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"other": np.zeros((50, 2, 8), "f4")}, "views are of"),
        ({"net": np.zeros((50, 8), "f4")}, "has shape"),
        ({"net": np.zeros((49, 2, 8), "f4")}, "has shape"),
        ({"net": np.full((50, 2, 8), np.nan, "f4")}, "NaN"),
    ],
)
def test_views_that_do_not_fit_are_refused(views, message):
    data = replace(make_data([30, 20]), views=views)
    with pytest.raises(FitError, match=message):
        fit_heads(data, FitConfig(**QUICK))


def test_side_by_side_embeddings_have_their_views_side_by_side():
    data = make_data([6, 6])
    rng = np.random.default_rng(1)
    data = jittered(replace(data, X={**data.X, "wide": rng.normal(size=(12, 3)).astype("f4")}), 2)
    both = data.joined()
    part = part_of(both)
    assert part.competing == [("net",), ("wide",), ("net", "wide")]
    setup = Setup(("net", "wide"), "logreg", "none", "none", views=2)
    X, _, _ = part.examples(setup, np.ones(12, bool))
    views = X[12:].reshape(12, 2, -1)
    for v in range(2):
        expected = np.hstack([data.views[name][:, v] for name in ("net", "wide")])
        np.testing.assert_array_equal(views[:, v], expected)
    np.testing.assert_array_equal(X[:12], np.hstack(list(data.X.values())))
