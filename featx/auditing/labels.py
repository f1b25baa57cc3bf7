"""Labels that a classifier trained without the image does not believe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featx.data.splits import Folds

__all__ = ["LabelIssues", "confident_learning", "out_of_fold_probabilities"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_C = 0.003  # strong: embeddings have hundreds of columns, and wrong labels must not be learned


@dataclass(frozen=True)
class LabelIssues:
    """What confident learning says.

    Parameters
    ----------
    margin : ndarray of shape (n,)
        Probability of the given label less the largest of another; low is suspicious.
    believed : ndarray of shape (n,), int64
        The likeliest class that is not the given one.
    suspected : ndarray of shape (n,), bool
        Off the diagonal of the confident joint: above the threshold of another class.
    joint : ndarray of shape (n_classes, n_classes), int64
        Images by given label and confident class.
    """

    margin: Float
    believed: Int
    suspected: NDArray[np.bool_]
    joint: Int


def out_of_fold_probabilities(
    X: NDArray[np.float32], y: Int, folds: Folds, n_classes: int
) -> Float:
    """Probabilities by logistic regressions that were trained without the image's fold.

    Returns
    -------
    ndarray of shape (n, n_classes)
        0 for a class that a fold has no training image of.
    """
    found = np.zeros((len(y), n_classes))
    for fold in range(folds.n_folds):
        tested = folds.fold == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=300, tol=1e-3))
        model.fit(X[~tested], y[~tested])
        found[np.ix_(tested, model.classes_)] = model.predict_proba(X[tested])
    return found


def confident_learning(y: Int, probabilities: Float) -> LabelIssues:
    """Suspected label errors from out-of-fold probabilities.

    A class's threshold is the mean probability of it over the images labelled so. An image is
    confidently of the likeliest class whose threshold it reaches; where that is not its label, it
    is suspected. Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in
    dataset labels", JAIR 70, 2021; suspects are ranked by their normalised margin, as there.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Given labels.
    probabilities : ndarray of shape (n, n_classes)
    """
    n, n_classes = probabilities.shape
    rows = np.arange(n)
    given = probabilities[rows, y]
    counts = np.bincount(y, minlength=n_classes)
    sums = np.bincount(y, weights=given, minlength=n_classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), y)
    others = probabilities.copy()
    others[rows, y] = -1.0
    believed = others.argmax(axis=1)
    joint = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(joint, (y, confident), 1)
    return LabelIssues(given - others[rows, believed], believed, confident != y, joint)
