"""Whether new images are like those that a model was fitted on: two permutation tests.

Every image is described by its coordinates on a few axes, and by the class predicted for it. The
first test compares the distribution along every axis, the second the shares of predicted classes.
Both permute whole blocks (a patient's images, exact copies), so that images which belong together
are not taken for independent ones.

References
----------
Rabanser, Günnemann and Lipton, "Failing loudly: an empirical study of methods for detecting
dataset shift", NeurIPS 2019, for Kolmogorov-Smirnov tests on principal components. Westfall and
Young, "Resampling-based multiple testing", Wiley 1993, for the largest of several statistics in
place of Bonferroni's correction. Lipton, Wang and Smola, "Detecting and correcting for label shift
with black box predictors", ICML 2018, for predicted classes. Phipson and Smyth, "Permutation
p-values should never be zero", SAGMB 9, 2010.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featx.types import BoolArray, Float32Array, FloatArray, IntArray

MOST_AXES = 32
IMAGES_PER_AXIS = 10
POWER_ITERATIONS = 4
N_PERMUTATIONS = 999
LEVEL = 0.05
TIE = 1e-9  # sums in another order differ by less


class DriftAxes(NamedTuple):
    """Where along the main directions of some images an embedding lies.

    Parameters
    ----------
    centre, scale : ndarray of shape (n_features,), float32
        Mean and standard deviation of the images; ``scale`` is 1 where nothing varies.
    directions : ndarray of shape (n_axes, n_features), float32
        Principal directions of the standardised embeddings, orthonormal.
    """

    centre: Float32Array
    scale: Float32Array
    directions: Float32Array


def fit_axes(X: Float32Array, *, seed: int) -> DriftAxes:
    """The main directions of some embeddings.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
    seed : int
        Of the randomised decomposition.

    Returns
    -------
    DriftAxes
        At most 32, at most one for every 10 images, one at least.
    """
    from sklearn.utils.extmath import randomized_svd

    centre, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    # A column that varies by rounding only would otherwise be blown up to variance 1.
    scale = np.where(scale > 1e-9 * np.maximum(np.abs(centre), 1e-9), scale, 1.0)
    Z = (X - centre) / scale
    n_axes = max(1, min(MOST_AXES, len(X) // IMAGES_PER_AXIS, X.shape[1] - 1))
    directions = randomized_svd(Z, n_axes, n_iter=POWER_ITERATIONS, random_state=seed)[2]
    return DriftAxes(*(np.asarray(a, np.float32) for a in (centre, scale, directions)))


def class_contrasts(X: Float32Array, y: IntArray) -> FloatArray:
    """What the means of classes differ most in: weights of classes, one row an axis.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
        Embeddings.
    y : ndarray of shape (n,), int64
        Of at least two classes.

    Returns
    -------
    ndarray of shape (n_axes, n_classes)
        At most 32 axes, at most one for every 10 images, fewer than classes or features.
    """
    n_axes = min(MOST_AXES, len(X) // IMAGES_PER_AXIS, len(np.unique(y)) - 1, X.shape[1] - 1)
    left = np.linalg.svd(_class_means(X, y), full_matrices=False)[0]
    return np.asarray(left[:, : max(1, n_axes)].T)


def class_axes(X: Float32Array, y: IntArray, contrasts: FloatArray) -> DriftAxes:
    """Orthonormal axes, as near as can be to contrasts of classes; one scale for all features.

    Other networks that were trained on the same classes have the same contrasts, while the main
    directions of their embeddings have nothing to do with each other. Turning or stretching all
    embeddings changes no place on these axes.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
    y : ndarray of shape (n,), int64
        Of the same classes as the contrasts.
    contrasts : ndarray of shape (n_axes, n_classes)
        From `class_contrasts`, of this network or of another one.
    """
    left, _, right = np.linalg.svd(contrasts @ _class_means(X, y), full_matrices=False)
    centre = X.mean(axis=0, dtype=np.float64)
    scale = np.full(X.shape[1], np.sqrt(X.var(axis=0, dtype=np.float64).mean()) or 1.0)
    return DriftAxes(*(np.asarray(a, np.float32) for a in (centre, scale, left @ right)))


def carried_over(places: Float32Array, theirs: Float32Array, ours: Float32Array) -> Float32Array:
    """Places of one network as another one would have them, by the ranks of common images.

    Classes lie elsewhere, and images farther off the axes, in one network than in the next.

    Parameters
    ----------
    places : ndarray of shape (n, n_places)
        By the first network.
    theirs, ours : ndarray of shape (n_common, n_places)
        Of images that both networks were trained on, by the first and by the other one.
    """
    carried = np.empty_like(places)
    for j, column in enumerate(places.T):
        a, b = np.sort(theirs[:, j]), np.sort(ours[:, j])
        beyond = np.minimum(column - a[0], 0) + np.maximum(column - a[-1], 0)
        carried[:, j] = np.interp(column, a, b) + beyond
    return carried


def _class_means(X: Float32Array, y: IntArray) -> FloatArray:
    """A row a class, the mean of which is 0."""
    means = np.stack([X[y == c].mean(axis=0, dtype=np.float64) for c in np.unique(y)])
    return np.asarray(means - means.mean(axis=0))


@dataclass(frozen=True)
class Shift:
    """The outcome of one test.

    Parameters
    ----------
    statistic : float
    p : float
        Share of permutations, the data themselves among them, whose statistic is as large.
    parts : ndarray of shape (n_parts,), float64
        What the statistic is the largest, or the sum, of.
    usual : float
        What it stays below in 95 % of permutations.
    """

    statistic: float
    p: float
    parts: FloatArray
    usual: float


def place_shift(places: FloatArray, new: BoolArray, blocks: IntArray, *, seed: int) -> Shift:
    """Whether some images lie elsewhere than others along any axis.

    The statistic is the largest of the axes' Kolmogorov-Smirnov distances: how far two cumulative
    distributions are apart, in [0, 1].

    Parameters
    ----------
    places : ndarray of shape (n, n_axes)
        Coordinates of all images.
    new : ndarray of shape (n,), bool
        Which are the new ones.
    blocks : ndarray of shape (n,), int64
        Images of one number are permuted together; none is new and old at once.
    seed : int
    """
    order = np.argsort(np.ascontiguousarray(places.T), axis=1, kind="stable")
    ranked = np.take_along_axis(places.T, order, axis=1)
    ends = np.ones(ranked.shape, bool)  # of runs of equal values: between them nothing is compared
    ends[:, :-1] = ranked[:, 1:] > ranked[:, :-1]
    tied = not ends.all()
    cumulative = np.empty(order.shape, np.int64)

    def distances(side: BoolArray) -> FloatArray:
        # both distributions times both numbers of images: whole numbers, added up exactly
        n_new = int(side.sum())
        n_old = len(side) - n_new
        steps = np.where(side, n_old, -n_new)
        np.take(steps, order, out=cumulative, mode="clip")
        np.cumsum(cumulative, axis=1, out=cumulative)
        if tied:
            np.multiply(cumulative, ends, out=cumulative)
        largest = np.maximum(cumulative.max(axis=1), -cumulative.min(axis=1))
        return np.asarray(largest / max(n_new * n_old, 1))

    parts = distances(new)
    others = np.array([distances(side).max() for side in _permuted(new, blocks, seed)])
    return _shift(float(parts.max()), parts, others)


def mix_shift(
    codes: IntArray, new: BoolArray, blocks: IntArray, n_classes: int, *, seed: int
) -> Shift:
    """Whether classes have other shares of some images than of others.

    The statistic is Pearson's chi-square of the table of two rows. ``parts`` is each class's share
    of the new images less its share of the others.

    Parameters
    ----------
    codes : ndarray of shape (n,), int64
        Class of each image.
    new, blocks, seed
        See `place_shift`.
    n_classes : int
    """
    is_class = np.eye(n_classes)[codes]
    n, total = len(codes), is_class.sum(axis=0)
    known = total > 0

    def statistics(sides: FloatArray) -> FloatArray:
        n_new = sides.sum(axis=1, keepdims=True)
        expected = total[known] * n_new / n
        squares = ((sides @ is_class)[:, known] - expected) ** 2 / expected
        return np.asarray(squares.sum(axis=1) * n / np.maximum(n - n_new[:, 0], 1))

    others = statistics(np.stack([*_permuted(new, blocks, seed)]).astype(np.float64))
    parts = is_class[new].mean(axis=0) - is_class[~new].mean(axis=0)
    return _shift(float(statistics(new[None].astype(np.float64))[0]), parts, others)


def _shift(statistic: float, parts: FloatArray, others: FloatArray) -> Shift:
    # The data count as one permutation of themselves: p is never 0 (Phipson and Smyth).
    as_large = int((others >= statistic - TIE).sum())
    usual = float(np.quantile(others, 1 - LEVEL, method="higher"))
    return Shift(statistic, (1 + as_large) / (1 + len(others)), parts, usual)


def _permuted(new: BoolArray, blocks: IntArray, seed: int) -> Iterator[BoolArray]:
    """Which images are new when as many blocks are, drawn at random."""
    _, first, codes = np.unique(blocks, return_index=True, return_inverse=True)
    # One side a block: images of a patient are moved together or not at all.
    sides = new[first]
    rng = np.random.default_rng(seed)
    for _ in range(N_PERMUTATIONS):
        yield rng.permutation(sides)[codes]
