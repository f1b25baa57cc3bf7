"""The search against plain scikit-learn and imbalanced-learn, number by number."""

from __future__ import annotations

import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest
from fit_lab import make_data, partition_of
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.preprocessing import StandardScaler

from featx.config import FitConfig
from featx.errors import ConfigError, UnknownNameError
from featx.fitting import executors, fit_heads
from featx.heads import HEADS

FITTING = Path(executors.__file__).parent

# At its default tolerance, and in float32 at any, scikit-learn's logistic regression leaves errors
# of its own, which can turn a prediction: it is asked for more, in float64.
TIGHT = {"tol": [1e-7]}
GRIDS = {
    "logreg": {"C": [0.0001, 0.001], **TIGHT},
    "svm-linear": {"C": [0.0001, 0.01]},
    "svm-rbf": {"C": [1.0], "gamma": ["scale", 0.1]},
    "ridge": {"alpha": [1000.0, 10.0]},
    "lda": {"shrinkage": [0.5, 0.1]},
    "knn": {"n_neighbors": [5, 1]},
}
SAMPLERS = {
    "none": None,
    "smote": SMOTE(random_state=0),
    "random-under": RandomUnderSampler(random_state=0),
}


def plain_search(head, sampler, grid, scoring, fold):
    """What one would write without featx."""
    pipeline = Pipeline(
        [
            ("scaler", StandardScaler()),
            ("sampler", sampler),
            ("head", HEADS.get(head).build(None, 0)),
        ]
    )
    return GridSearchCV(
        pipeline,
        {f"head__{name}": values for name, values in grid.items()},
        cv=PredefinedSplit(fold),
        scoring=scoring,
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("head", GRIDS)
def test_scores_and_choice_equal_grid_search(digits, head, sampler):
    config = FitConfig(
        head=[head],
        sampler=[sampler],
        param_grid={head: GRIDS[head]},
        cv=4,
        estimate="cv",
        jobs=2,
    )
    result = fit_heads(digits, config)
    candidate = next(c for c in result.candidates if c.sampler == sampler)
    partition = partition_of(digits)
    part, fold = partition.part, partition.fold
    plain = plain_search(head, SAMPLERS[sampler], GRIDS[head], config.scoring, fold)
    plain.fit(part.X["pixels"].astype(np.float64), part.y)
    theirs = plain.cv_results_
    assert {f"head__{k}": v for k, v in candidate.params.items()} == plain.best_params_
    np.testing.assert_allclose(
        candidate.fold_scores,
        [theirs[f"split{f}_test_score"][plain.best_index_] for f in range(4)],
    )
    np.testing.assert_allclose([g["cv_mean"] for g in candidate.grid], theirs["mean_test_score"])
    np.testing.assert_allclose([g["cv_std"] for g in candidate.grid], theirs["std_test_score"])


@pytest.mark.parametrize(
    "scoring", ["accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"]
)
def test_every_scoring_equals_scikit_learns(digits, scoring):
    grid = {"logreg": {"C": [0.001], **TIGHT}}
    result = fit_heads(
        digits, FitConfig(param_grid=grid, cv=4, estimate="cv", scoring=scoring, jobs=1)
    )
    partition = partition_of(digits)
    part, fold = partition.part, partition.fold
    plain = plain_search("logreg", None, grid["logreg"], scoring, fold)
    plain.fit(part.X["pixels"].astype(np.float64), part.y)
    assert result.chosen.cv_mean == pytest.approx(plain.best_score_, rel=1e-5)


def test_nested_predictions_equal_the_plain_double_loop(digits):
    """Sharing fits between outer folds changes nothing."""
    grid = {"C": [0.0001, 0.001, 0.01], **TIGHT}
    config = FitConfig(param_grid={"logreg": grid}, cv=4, estimate="nested", jobs=2)
    result = fit_heads(digits, config)
    nested = next(h for h in result.held if h.split == "nested")
    partition = partition_of(digits)
    part, fold = partition.part, partition.fold
    X, y = part.X["pixels"].astype(np.float64), part.y
    for outer in range(4):
        inner = fold != outer
        search = plain_search("logreg", None, grid, "balanced_accuracy", fold[inner])
        search.fit(X[inner], y[inner])
        np.testing.assert_allclose(nested.proba[~inner], search.predict_proba(X[~inner]), atol=1e-5)
    assert result.estimate["method"] == "nested"
    assert set(result.estimates) == {"cv"}


def without_times(result):
    document = result.document()
    document.pop("elapsed_s")
    for candidate in [*document["candidates"], document["chosen"]]:
        candidate.pop("elapsed_s", None)
    return document


def test_results_do_not_depend_on_jobs(digits):
    config = FitConfig(
        head=["logreg", "svm-linear"],
        sampler=["smote"],
        param_grid={"logreg": {"C": [0.0001, 0.001]}, "svm-linear": {"C": [0.01]}},
        cv=3,
    )
    results = [fit_heads(digits, config.model_copy(update={"jobs": jobs})) for jobs in (1, 3)]
    assert without_times(results[0]) == without_times(results[1])
    a, b = (list(r.predictions.rows()) for r in results)
    assert a == b
    X = digits.X["pixels"]
    np.testing.assert_array_equal(*(r.pipeline.predict(X) for r in results))


def test_equal_scores_choose_the_simplest(digits):
    """A head that looks at nothing scores the same with and without sampler."""
    result = fit_heads(
        digits, FitConfig(head=["dummy"], sampler=["smote", "random-over"], cv=3, estimate="cv")
    )
    assert result.chosen.sampler == "none"


def test_equal_scores_choose_the_stronger_regularisation(digits):
    grid = {"ridge": {"alpha": [100.0, 100.0 + 1e-7]}}
    result = fit_heads(digits, FitConfig(head=["ridge"], param_grid=grid, cv=3, estimate="cv"))
    assert result.chosen.params == {"alpha": 100.0}


def test_rows_stand_beside_the_row_without_resampling(digits):
    result = fit_heads(
        digits,
        FitConfig(
            head=["ridge", "knn"],
            sampler=["smote"],
            class_weight="balanced",
            cv=3,
            estimate="cv",
            param_grid={"ridge": {"alpha": [10.0]}, "knn": {"n_neighbors": [3]}},
        ),
    )
    rows = [(c.head, c.class_weight, c.sampler) for c in result.candidates]
    assert rows == [
        ("ridge", "none", "none"),
        ("ridge", "none", "smote"),
        ("ridge", "balanced", "none"),
        ("ridge", "balanced", "smote"),
        ("knn", "none", "none"),
        ("knn", "none", "smote"),
    ]
    assert "Heads without support for class weights: knn." in result.notes
    for candidate in result.candidates:
        assert (candidate.against_none is None) == (candidate.sampler == "none")
    smote = result.candidates[1]
    plain = result.candidates[0]
    difference = np.subtract(smote.fold_scores, plain.fold_scores).mean()
    assert smote.against_none["mean"] == pytest.approx(difference)
    verdicts = [n for n in result.notes if "against none" in n]
    assert len(verdicts) == 1
    assert verdicts[0].startswith("smote ")


def test_heads_that_did_not_converge_are_counted_not_warned_about(digits):
    grid = {"logreg": {"C": [10.0], "max_iter": [2]}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit_heads(digits, FitConfig(param_grid=grid, cv=3, estimate="cv"))
    assert result.chosen.notes == [
        "3 fits stopped at the iteration limit before converging; their scores count as they are."
    ]
    assert not any("Warned" in note for note in result.notes)


@pytest.mark.parametrize(("values", "edge"), [([1e5, 1e4, 1e3], "smallest"), ([10.0, 1e3], None)])
def test_a_choice_at_the_edge_is_said(digits, values, edge):
    config = FitConfig(head=["ridge"], param_grid={"ridge": {"alpha": values}}, cv=3, estimate="cv")
    notes = [n for n in fit_heads(digits, config).notes if "param_grid.ridge.alpha" in n]
    assert len(notes) == (edge is not None)
    assert all(f"the {edge} searched" in note for note in notes)


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({"svm-rbf": {"C": [1.0]}}, UnknownNameError, "Unknown head in param_grid 'svm-rbf'"),
        ({"logreg": {"c": [1.0]}}, UnknownNameError, "Unknown parameter of logreg 'c'"),
        ({"logreg": {"C": [-1.0]}}, ConfigError, "param_grid.logreg: The 'C' parameter of Logi"),
    ],
)
def test_wrong_grids_are_refused_before_anything_is_fitted(digits, grid, error, message):
    with pytest.raises(error, match=message):
        fit_heads(digits, FitConfig(param_grid=grid))


@pytest.mark.parametrize("field", ["head", "sampler"])
def test_unknown_plugins_are_refused(digits, field):
    with pytest.raises(UnknownNameError, match=f"Unknown {field} 'nonsense'"):
        fit_heads(digits, FitConfig(**{field: ["nonsense"]}))


def test_a_score_is_seven_calls_from_fit_heads(monkeypatch):
    """As docs/architecture.md draws it; a layer more would be one more to read."""
    chains = []

    def calls():
        return [f.name for f in traceback.extract_stack() if Path(f.filename).parent == FITTING]

    def execute(self, job, found, record):
        chains.append(calls())
        original(self, job, found, record)

    def fold_score(*given):
        chains.append(calls())
        return score(*given)

    original, score = executors.ThreadExecutor.execute, executors.fold_score
    monkeypatch.setattr(executors.ThreadExecutor, "execute", execute)
    monkeypatch.setattr(executors, "fold_score", fold_score)
    fit_heads(make_data([20, 20]), FitConfig(head=["ridge"], cv=3, estimate="cv"))
    main, thread = chains[:2]  # the threads of the executor begin a stack of their own
    assert main[0] == "fit_heads"
    assert len([*main, "execute", *thread, "fold_score"]) - 1 <= 7
