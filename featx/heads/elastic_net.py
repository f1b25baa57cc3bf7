"""Logistic regression that leaves features out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featx.heads._elastic import solve_elastic_path
from featx.heads._head import Head, Scored, Training
from featx.heads._linear import LOG_ODDS
from featx.heads._problems import Problems
from featx.heads._space import Real
from featx.types import AnyArray, Float32Array


def build(class_weight: str | None, random_state: int) -> Any:
    """An elastic net; ``l1_ratio`` 1 is the lasso, 0 is `logreg`."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        solver="saga",
        l1_ratio=0.5,
        max_iter=2000,
        class_weight=class_weight,
        random_state=random_state,
    )


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored] | None:
    """A path of ``C`` for each ``l1_ratio``; None where more differs from `build`."""
    if not all(_is_plain(c) for c in classifiers):
        return None
    return _score_paths(training, classifiers, others)


def _score_paths(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored]:
    solved = _solve(training, classifiers)
    for classifier, done in zip(classifiers, solved, strict=True):
        yield Scored([classifier.predict_proba(X) for X in others], not done)


def refit(training: Training, classifier: Any) -> Any:
    """The optimum that scikit-learn's own fit goes to, reached sooner."""
    if not _is_plain(classifier):
        return classifier.fit(training.X, training.y)
    _solve(training, [classifier])
    return classifier


def _is_plain(classifier: Any) -> bool:
    free = {name: getattr(classifier, name) for name in ("C", "l1_ratio", "tol", "random_state")}
    ours = build(classifier.class_weight, 0).set_params(**free)
    return bool(ours.get_params() == classifier.get_params() and np.isfinite(classifier.C))


def _solve(training: Training, classifiers: Sequence[Any]) -> list[bool]:
    """Fit every classifier; whether each reached its tolerance."""
    from sklearn.utils.class_weight import compute_sample_weight

    classes, y = np.unique(training.y, return_inverse=True)
    weights = compute_sample_weight(classifiers[0].class_weight, training.y)
    base = training.base.astype(np.float32)
    X = np.hstack([base, np.ones((len(base), 1), np.float32)])
    problems = Problems.pose(X, y, weights / weights.sum(), np.zeros(1), training.mixture)
    solved = [False] * len(classifiers)
    for ratio in {c.l1_ratio for c in classifiers}:
        path = [i for i, c in enumerate(classifiers) if c.l1_ratio == ratio]
        path.sort(key=lambda i: classifiers[i].C)
        strengths = [1.0 / (classifiers[i].C * weights.sum()) for i in path]
        penalties = [(ratio * s, (1 - ratio) * s) for s in strengths]
        tol = min(classifiers[i].tol for i in path)
        for i, (W, done) in zip(path, solve_elastic_path(problems, penalties, tol), strict=True):
            _fill(classifiers[i], classes, W.astype(np.float32))
            solved[i] = done
    return solved


def _fill(classifier: Any, classes: AnyArray, W: Float32Array) -> None:
    """What scikit-learn's fit would have left in the classifier."""
    classifier.classes_ = classes
    classifier.coef_, classifier.intercept_ = W[:, :-1].copy(), W[:, -1].copy()
    classifier.n_features_in_ = W.shape[1] - 1


PLUGIN = Head(
    name="elastic-net",
    summary="logistic regression with L1 and L2 penalties; drops features",
    build=build,
    estimator="LogisticRegression",
    form=LOG_ODDS,
    param_grid={"C": [3e-3, 1e-2, 3e-2, 1e-1, 1.0], "l1_ratio": [1.0, 0.5]},
    supports_class_weight=True,
    score_grid=score_grid,
    follows_path=True,
    refit=refit,
    space={"C": Real(1e-4, 1e2, log=True), "l1_ratio": Real(0.0, 1.0)},
)
