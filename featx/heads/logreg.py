"""Multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from featx.heads._device import Device, find_device
from featx.heads._head import Head, Scored, Training
from featx.heads._linear import LOG_ODDS
from featx.heads._logistic import Axes, solve_path
from featx.heads._problems import Problems
from featx.heads._space import Real
from featx.types import AnyArray, Float32Array, FloatArray

SAFETY = 2.0  # solutions of a path are this many times closer than ``tol`` asks
# scikit-learn's solver also ends where the loss no longer changes in its 14th digit, with gradients
# of 1e-8 to 1e-6 however small ``tol`` is: paths are solved no closer than is useful beside that.
CLOSEST = 4e-7
SHARE = 1e-2  # of the penalty's gradient that is left then
ENOUGH = 1000  # iterations of scikit-learn's that mean: until it converges


def build(class_weight: str | None, random_state: int) -> Any:
    """L2-penalised, by L-BFGS, which needs no random state."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=2000, class_weight=class_weight)


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored] | None:
    """Every ``C`` on one path; None where more differs from `build` than `_is_plain` allows."""
    if not all(_is_plain(c) for c in classifiers):
        return None
    return _score_path(training, classifiers, others)


def _score_path(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored]:
    solutions = _solutions(training, classifiers)
    for classifier, solution in zip(classifiers, solutions, strict=True):
        if solution is None:
            classifier.fit(_precise(training.X, classifier), training.y)
        else:
            classifier.classes_ = np.unique(training.y)
            classifier.coef_, classifier.intercept_ = solution
        stopped = solution is None and bool(np.max(classifier.n_iter_) >= classifier.max_iter)
        yield Scored([classifier.predict_proba(X) for X in others], stopped)


def refit(training: Training, classifier: Any) -> Any:
    """scikit-learn's own fit, started where the path ends: it has little left to do."""
    solution = _solutions(training, [classifier])[0] if _is_plain(classifier) else None
    if solution is None:
        return classifier.fit(_precise(training.X, classifier), training.y)
    classifier.coef_, classifier.intercept_ = solution
    return (
        classifier.set_params(warm_start=True)
        .fit(_precise(training.X, classifier), training.y)
        .set_params(warm_start=False)
    )


def _precise(X: Float32Array, classifier: Any) -> AnyArray:
    """What scikit-learn is to fit: in float64 where float32 does not reach ``tol``."""
    return X.astype(np.float64) if classifier.tol < CLOSEST else X


def _is_plain(classifier: Any) -> bool:
    """Whether no more than ``C``, ``tol`` and the limit of iterations differs from `build`."""
    same = {name: getattr(classifier, name) for name in ("C", "tol")}
    if classifier.max_iter >= ENOUGH:
        same["max_iter"] = classifier.max_iter
    ours = build(classifier.class_weight, 0).set_params(**same)
    return bool(ours.get_params() == classifier.get_params() and np.isfinite(classifier.C))


def _solutions(training: Training, classifiers: Sequence[Any]) -> list[Any]:
    """``(coef_, intercept_)`` of each classifier or None where it did not converge."""
    from sklearn.utils.class_weight import compute_sample_weight

    y = np.unique(training.y, return_inverse=True)[1]
    weights = compute_sample_weight(classifiers[0].class_weight, training.y)
    penalties = np.array([1.0 / (c.C * weights.sum()) for c in classifiers])
    order = np.argsort(-penalties, kind="stable")
    device = find_device(training.device)
    X, turn, axes = training.memo.get("logistic", lambda: _coordinates(training.base, device))
    problems = Problems.pose(
        X, y, weights / weights.sum(), penalties[order], training.mixture, device
    )
    exact = any(c.tol < CLOSEST for c in classifiers)
    problems = replace(problems, exact=exact)
    tol = max(min(c.tol for c in classifiers), CLOSEST) / SAFETY
    solutions: list[Any] = [None] * len(classifiers)
    for i, W in zip(order, solve_path(problems, axes, tol, SHARE * exact), strict=True):
        if W is not None:
            coef = W[:, :-1] if turn is None else W[:, :-1] @ turn.T
            dtype = np.float64 if exact else np.float32
            solutions[i] = coef.astype(dtype), W[:, -1].astype(dtype)
    return solutions


def _coordinates(base: Float32Array, device: Device) -> tuple[Any, FloatArray | None, Axes]:
    """The images in their span with a column of ones, the way back, and their principal axes."""
    X, turn = _span(base)
    X = device.put(np.hstack([X, np.ones((len(X), 1), np.float32)]))
    return X, turn, Axes(X, device)


def _span(X: Float32Array) -> tuple[Float32Array, FloatArray | None]:
    """Fewer images than features: coordinates in the images' span, where the solution lies."""
    if len(X) >= X.shape[1]:
        return X, None
    Q, R = np.linalg.qr(X.T.astype(np.float64))
    return np.ascontiguousarray(R.T, dtype=np.float32), Q


PLUGIN = Head(
    name="logreg",
    summary="logistic regression with an L2 penalty",
    build=build,
    estimator="LogisticRegression",
    form=LOG_ODDS,
    param_grid={"C": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]},
    supports_class_weight=True,
    score_grid=score_grid,
    follows_path=True,
    refit=refit,
    space={"C": Real(1e-6, 1e2, log=True)},
)
