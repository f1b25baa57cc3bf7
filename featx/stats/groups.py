"""From predictions for images to one prediction for each group: patient, plot, camera."""

from __future__ import annotations

import numpy as np

from featx.types import FloatArray, IntArray

__all__ = ["group_predictions"]


def group_predictions(
    y: IntArray, proba: FloatArray, groups: IntArray, units: IntArray
) -> tuple[IntArray, FloatArray, IntArray, int]:
    """Mean probabilities of each group whose images are all of one class.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    proba : ndarray of shape (n, n_classes)
    groups : ndarray of shape (n,), int64
        Any numbers.
    units : ndarray of shape (n,), int64
        What is drawn together; the same for all images of a group.

    Returns
    -------
    y : ndarray of shape (n_groups,), int64
    proba : ndarray of shape (n_groups, n_classes)
    units : ndarray of shape (n_groups,), int64
        Numbered from 0.
    left_out : int
        Groups with images of several classes: they have no class of their own.
    """
    _, first, codes, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    sums = np.zeros((len(first), proba.shape[1]))
    np.add.at(sums, codes, proba)
    same = np.bincount(codes, weights=y == y[first][codes]) == sizes
    own_units = np.unique(units[first][same], return_inverse=True)[1].astype(np.int64)
    return y[first][same], (sums / sizes[:, None])[same], own_units, int((~same).sum())
