"""PCA as a part of the candidate: fitted inside the fold, saved with the model."""

from __future__ import annotations

import numpy as np
import pytest
from fit_lab import make_data, partition_of
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.preprocessing import StandardScaler

from featx.artifact import Model, ModelExtractor, load_model, save_model
from featx.config import FitConfig, parse_config
from featx.errors import ConfigError
from featx.fitting import fit_heads
from featx.heads import HEADS

GRIDS = {
    "svm-rbf": {"C": [1.0], "gamma": ["scale", 0.01]},
    "ridge": {"alpha": [1000.0, 10.0]},
}


@pytest.mark.parametrize(
    ("head", "sampler", "pca"), [("ridge", "smote", 0.9), ("svm-rbf", "none", 12)]
)
def test_scores_equal_those_of_the_plain_pipeline(digits, head, sampler, pca):
    config = FitConfig(
        head=[head],
        sampler=[sampler],
        pca=[pca],
        class_weight="none",
        param_grid={head: GRIDS[head]},
        cv=4,
        estimate="cv",
        jobs=2,
    )
    candidate = fit_heads(digits, config).candidates[-1]
    data = partition_of(digits)
    part, fold = data.part, data.fold
    plain = GridSearchCV(
        Pipeline(
            [
                ("scaler", StandardScaler()),
                ("pca", PCA(pca, random_state=0)),
                ("sampler", SMOTE(random_state=0) if sampler == "smote" else None),
                ("head", HEADS.get(head).build(None, 0)),
            ]
        ),
        {f"head__{name}": values for name, values in GRIDS[head].items()},
        cv=PredefinedSplit(fold),
        scoring=config.scoring,
    ).fit(part.X["pixels"].astype(np.float64), part.y)
    assert candidate.sampler == sampler
    assert candidate.pca == pca
    theirs = plain.cv_results_["mean_test_score"]
    np.testing.assert_allclose([g["cv_mean"] for g in candidate.grid], theirs, atol=1e-9)


def test_on_and_off_stand_beside_each_other():
    """Classes differ along one long direction, and there are hundreds of short noisy ones."""
    rng = np.random.default_rng(0)
    data = make_data([40, 40], n_features=200, distance=0.0)
    data.X["net"] += np.outer(np.repeat([-1, 1], 40) * 1.2, np.ones(200)).astype(np.float32)
    data.X["net"] += rng.normal(size=(80, 1)).astype(np.float32) * 0.1
    config = FitConfig(head=["knn"], pca=["none", 2], cv=3, estimate="cv")
    result = fit_heads(data, config)
    assert [c.pca for c in result.candidates] == ["none", 2]
    assert result.document()["candidates"][1]["pca"] == 2
    assert result.candidates[1].cv_mean == pytest.approx(1.0)


def test_sampler_is_compared_at_the_same_pca():
    data = make_data([40, 15, 10])
    result = fit_heads(
        data, FitConfig(head=["ridge"], sampler=["smote"], pca=["none", 3], cv=3, estimate="cv")
    )
    smote, plain = (
        next(c for c in result.candidates if (c.sampler, c.pca, c.class_weight) == key)
        for key in (("smote", 3, "none"), ("none", 3, "none"))
    )
    difference = np.subtract(smote.fold_scores, plain.fold_scores).mean()
    assert smote.against_none["mean"] == pytest.approx(difference)
    assert sum("against none" in note for note in result.notes) == 1


def test_nothing_is_learned_from_the_fold_that_is_tested():
    """A direction that only test images have is not there when PCA is fitted."""
    data = make_data([30, 30], n_features=6, splits=["train"] * 25 + ["test"] * 5 + ["train"] * 30)
    config = FitConfig(head=["ridge"], pca=[3], cv=3)
    pipelines = []
    for shift in (0.0, 1e4):
        data.X["net"][25:30, 0] += shift
        pipelines.append(fit_heads(data, config).pipeline)
    np.testing.assert_array_equal(pipelines[0]["pca"].components_, pipelines[1]["pca"].components_)


def test_more_components_than_there_are_is_said():
    result = fit_heads(
        make_data([20, 20], n_features=5),
        FitConfig(head=["ridge"], pca=[50], cv=3, estimate="cv"),
    )
    assert "PCA to 50 components keeps all there are of net, 5" in " ".join(result.notes)
    assert result.pipeline["pca"].n_components_ == 5


@pytest.mark.parametrize("head", ["ridge", "svm-rbf"])
def test_the_saved_model_predicts_the_same_and_flags_what_pca_drops(head, tmp_path):
    """Novelty is measured before PCA: an image that differs only where PCA drops is flagged."""
    rng = np.random.default_rng(1)
    data = make_data([60, 60], n_features=30, distance=0.0)
    signal = np.repeat([-2, 2], 60)[:, None] + rng.normal(size=(120, 1))
    data.X["net"][:, :20] = signal + 0.05 * rng.normal(size=(120, 20))
    data.X["net"][:, 20:] = rng.normal(size=(120, 10))
    result = fit_heads(data, FitConfig(head=[head], pca=[1], cv=3, ood_rate=0.05))
    strange = data.X["net"][:5].copy()
    strange[:, 20:] += 50.0
    pipeline, trust = result.pipeline, result.trust
    moved = np.abs(pipeline[:-1].transform(strange) - pipeline[:-1].transform(data.X["net"][:5]))
    assert moved.max() < np.abs(pipeline[:-1].transform(data.X["net"])).max()
    model = Model(
        classes=result.classes,
        head=pipeline,
        extractors=[ModelExtractor({"backbone": "net", "n_features": 30}, {"name": "net"})],
        temperature=result.temperature,
        trust=trust.trust,
        novelty=trust.novelty,
        drift=trust.drift,
        operating=trust.operating,
    )
    limit = trust.trust.novelty.limit
    assert (model.ood_scores(strange) > limit).all()
    assert (model.ood_scores(data.X["net"]) > limit).mean() < 0.1
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    X = np.concatenate([data.X["net"], strange])
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(again.ood_scores(X), model.ood_scores(X), rtol=1e-6)


@pytest.mark.parametrize("value", [0, 1.0, -3, "all", True, None])
def test_other_values_are_refused(value):
    with pytest.raises(ConfigError, match="none, a number of components, or a share above 0"):
        parse_config(FitConfig, {"pca": [value]}, source="test")
