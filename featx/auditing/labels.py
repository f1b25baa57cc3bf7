"""Labels that a classifier trained without the image does not believe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featx import console
from featx.data.splits import Folds
from featx.types import BoolArray, Float32Array, FloatArray, IntArray

_C = 0.003  # strong: embeddings have hundreds of columns, and wrong labels must not be learned
BELOW_CHANCE = 0.1  # of 1 / n_classes
SHARPNESS = (-2.3, 2.3)  # logarithm of 1 / temperature: between a tenth and ten


@dataclass(frozen=True)
class LabelIssues:
    """What a classifier thinks of labels that it was not trained on.

    Parameters
    ----------
    proba : ndarray of shape (n, n_classes)
        Calibrated.
    quality : ndarray of shape (n,)
        Probability of the given label, in (0, 1]; low is suspicious. NaN where the classifier was
        not trained on any image of the class.
    believed : ndarray of shape (n,), int64
        The likeliest class that is not the given one.
    suspected : ndarray of shape (n,), bool
        See `doubt_labels`.
    """

    proba: FloatArray
    quality: FloatArray
    believed: IntArray
    suspected: BoolArray


def out_of_fold_probabilities(
    X: Float32Array, y: IntArray, folds: Folds, n_classes: int
) -> FloatArray:
    """Probabilities by logistic regressions that were trained without the image's fold.

    Returns
    -------
    ndarray of shape (n, n_classes)
        0 for a class that a fold has no training image of.
    """
    found = np.zeros((len(y), n_classes))
    for fold in console.each(range(folds.n_folds), "Looking for doubtful labels, fold"):
        tested = folds.fold == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=300, tol=1e-3))
        model.fit(X[~tested], y[~tested])
        found[np.ix_(tested, model.classes_)] = model.predict_proba(X[tested])
    return found


def doubt_labels(y: IntArray, proba: FloatArray) -> LabelIssues:
    """Suspected label errors from out-of-fold probabilities.

    Probabilities are calibrated by one temperature, of the largest likelihood of the given labels.
    A label is suspected where its own is less than a tenth of 1 / n_classes.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Given labels.
    proba : ndarray of shape (n, n_classes)
        0 for a class that the classifier was not trained on.

    Notes
    -----
    Why this limit: let a share ``e`` of labels be replaced by any other class, and ``p`` be the
    probability that an image is given its label, whether it is right or not. By Bayes' theorem the
    label is then wrong with probability ``e (1 - q) / ((n_classes - 1) p)``, ``q`` being that of it
    as the true class, which is small here. At the limit and 5 % of wrong labels that is one half.

    The score is the self-confidence of Kuan and Mueller, "Model-agnostic label quality scoring to
    detect real-world label errors", DataPerf workshop at ICML 2022; temperature scaling is of Guo,
    Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017. Thresholds of
    each class and margins, as in confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021),
    doubt half of all labels where there are a hundred classes that are hard to tell apart: see
    docs/audit.md.
    """
    n, n_classes = proba.shape
    rows = np.arange(n)
    known_to_fold = proba[rows, y] > 0
    calibrated = _calibrated(y, proba, known_to_fold)
    quality = np.where(known_to_fold, calibrated[rows, y], np.nan)
    others = calibrated.copy()
    others[rows, y] = -1.0
    suspected = known_to_fold & (calibrated[rows, y] < BELOW_CHANCE / n_classes)
    return LabelIssues(calibrated, quality, others.argmax(axis=1), suspected)


def _calibrated(y: IntArray, proba: FloatArray, known_to_fold: BoolArray) -> FloatArray:
    """The probabilities at the temperature that suits the given labels best."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    with np.errstate(divide="ignore"):
        logits = np.log(proba)  # -inf for a class that is not known stays so
    known, given = logits[known_to_fold], y[known_to_fold, None]
    if not len(known):
        return proba

    def loss(log_sharpness: float) -> float:
        scaled = log_softmax(np.exp(log_sharpness) * known, axis=1)
        return float(-np.take_along_axis(scaled, given, axis=1).mean())

    best = minimize_scalar(loss, bounds=SHARPNESS, method="bounded").x
    return np.asarray(np.exp(log_softmax(np.exp(best) * logits, axis=1)))
