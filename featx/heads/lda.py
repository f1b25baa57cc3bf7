"""Linear discriminant analysis with a shrunken covariance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featx.heads._head import Head, Scored, Training
from featx.heads._linear import LOG_ODDS
from featx.heads._space import Real
from featx.types import Float32Array


def build(class_weight: str | None, random_state: int) -> Any:
    """Least squares, the solver that shrinks; class weights mean nothing to it."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr")


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored] | None:
    """Every shrinkage from one covariance; None where more than that differs, or it is 0."""
    for classifier in classifiers:
        plain = build(None, 0).set_params(shrinkage=classifier.shrinkage)
        number = isinstance(classifier.shrinkage, (int, float)) and classifier.shrinkage > 0
        if not number or plain.get_params() != classifier.get_params():
            return None
    if len(training.y) <= len(np.unique(training.y)):
        return None
    return _score_each(training, classifiers, others)


def _score_each(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored]:
    """Shrinking moves the covariance's eigenvalues towards their mean and leaves its axes alone."""
    classes, y, counts = np.unique(training.y, return_inverse=True, return_counts=True)
    means = np.stack([training.X[y == c].mean(axis=0) for c in range(len(classes))])
    within = training.X.astype(np.float64) - means.astype(np.float64)[y]
    spread, axes = np.linalg.eigh(within.T @ within / len(y))
    turned = means @ axes
    for classifier in classifiers:
        share = classifier.shrinkage
        coef = turned / ((1.0 - share) * spread + share * spread.mean()) @ axes.T
        intercept = -0.5 * (means * coef).sum(axis=1) + np.log(counts / len(y))
        if len(classes) == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        classifier.classes_, classifier.coef_, classifier.intercept_ = classes, coef, intercept
        yield Scored([classifier.predict_proba(X) for X in others], stopped_early=False)


PLUGIN = Head(
    name="lda",
    summary="linear discriminant analysis, shrunken covariance",
    build=build,
    estimator="LinearDiscriminantAnalysis",
    form=LOG_ODDS,
    param_grid={"shrinkage": [0.9, 0.5, 0.1, 0.01]},
    supports_class_weight=False,
    score_grid=score_grid,
    space={"shrinkage": Real(1e-4, 1.0, log=True)},
)
