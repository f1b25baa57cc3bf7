"""Whether images of one group are more alike than others of their class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx.types import Float32Array, FloatArray, IntArray


@dataclass(frozen=True)
class Closeness:
    """Mean cosines of pairs of images of one class.

    Parameters
    ----------
    within : float
        Of one group.
    across : float
        Of different groups.
    p : float
        Share of permutations of the groups, within classes, with as large a difference, counting
        the groups as they are (Phipson and Smyth, 2010).
    images : int
        That have both kinds of pairs.
    """

    within: float
    across: float
    p: float
    images: int

    @property
    def gap(self) -> float:
        """How much closer images of one group are, of what different ones leave."""
        return (self.within - self.across) / max(1e-6, 1 - self.across)


def closeness(
    Z: Float32Array, y: IntArray, codes: IntArray, *, permutations: int, seed: int
) -> Closeness | None:
    """Compare pairs within groups with pairs of different groups, both of one class.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features), float32
        Rows of length 1.
    y, codes : ndarrays of shape (n,), int64
        Class and group of each image.
    permutations, seed : int
        Without permutations, ``p`` is 1.

    Returns
    -------
    Closeness or None
        None where no image has another of its class both in its group and outside it.
    """
    rng = np.random.default_rng(seed)
    observed = _means(Z, y, codes)
    if observed is None:
        return None
    within, across, images = observed
    order = np.argsort(y, kind="stable")
    starts = np.flatnonzero(np.diff(y[order])) + 1
    as_good = 0
    for _ in range(permutations):
        mixed = codes.copy()
        for rows in np.split(order, starts):
            mixed[rows] = codes[rng.permutation(rows)]
        drawn = _means(Z, y, mixed)
        as_good += drawn is not None and drawn[0] - drawn[1] >= within - across
    return Closeness(within, across, (1 + as_good) / (1 + permutations), images)


def closeness_beyond(
    Z: Float32Array, y: IntArray, coarse: IntArray, fine: IntArray
) -> float | None:
    """The gap of pairs that share the coarse group but not the fine one.

    Returns
    -------
    float or None
        As `Closeness.gap`; None where there are no such pairs.
    """
    found = _means(Z, y, coarse, fine)
    return None if found is None else (found[0] - found[1]) / max(1e-6, 1 - found[1])


def across_contexts(
    Z: Float32Array, y: IntArray, codes: IntArray, contexts: IntArray
) -> float | None:
    """How close pairs of one group in two contexts are, of what those of one context are.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features), float32
    y, codes, contexts : ndarrays of shape (n,), int64
        Class, group, and where its number was given: a folder, or the class.

    Returns
    -------
    float or None
        Mean products of rows less the mean of their class; about 0 for pairs that have only the
        number in common. None where a kind of pairs is missing.
    """
    of_class, n_class = _sums(Z, y)
    R = np.asarray(Z - of_class / n_class[:, None], dtype=np.float32)
    own = np.einsum("ij,ij->i", R, R)
    of_group, n_group = _sums(R, codes)
    of_part, n_part = _sums(R, codes * (int(contexts.max()) + 1) + contexts)
    inside, outside = n_part - 1, n_group - n_part
    if not inside.any() or not outside.any():
        return None
    within = (np.einsum("ij,ij->i", R, of_part) - own).sum() / inside.sum()
    across = np.einsum("ij,ij->i", R, of_group - of_part).sum() / outside.sum()
    return float(across / max(within, 1e-6))


def _means(
    Z: Float32Array, y: IntArray, coarse: IntArray, fine: IntArray | None = None
) -> tuple[float, float, int] | None:
    """Mean cosine within (without the pairs of ``fine``) and across, over the images with both.

    From sums of rows: no pair is formed.
    """
    n_classes = int(y.max()) + 1
    of_class, n_class = _sums(Z, y)
    of_group, n_group = _sums(Z, coarse * n_classes + y)
    of_fine, n_fine = (Z, np.ones(len(y))) if fine is None else _sums(Z, fine * n_classes + y)
    inside, outside = n_group - n_fine, n_class - n_group
    both = (inside > 0) & (outside > 0)
    if not both.any():
        return None
    within = np.einsum("ij,ij->i", Z[both], (of_group - of_fine)[both]) / inside[both]
    across = np.einsum("ij,ij->i", Z[both], (of_class - of_group)[both]) / outside[both]
    return float(within.mean()), float(across.mean()), int(both.sum())


def _sums(Z: Float32Array, keys: IntArray) -> tuple[Float32Array, FloatArray]:
    """Of the rows with the same key: their sum and number, for each row."""
    from scipy.sparse import csr_array

    _, number, counts = np.unique(keys, return_inverse=True, return_counts=True)
    n = len(keys)
    members = csr_array((np.ones(n, np.float32), (number, np.arange(n))), shape=(len(counts), n))
    return np.asarray(members @ Z)[number], counts[number].astype(float)
