"""A few images of a folder, drawn in strata for a person to label, and the counts that follow.

References
----------
Neyman, "On the two different aspects of the representative method", JRSS 97, 1934, and Wright, "The
equivalence of Neyman optimum allocation for sampling and equal proportions", The American
Statistician 66, 2012, for how many are drawn from each stratum; Sarndal, Swensson and Wretman,
"Model assisted survey sampling", 1992, for estimates that a model helps. How much it helps is
learned from the labels, as in Angelopoulos, Duchi and Zrnic, "PPI++", 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from featx.types import BoolArray, FloatArray, IntArray

LEAST_DRAWN = 2  # of a stratum
MEAN_DRAWN = 5  # of the strata: more of them than that allows are merged
N_DRAWS = 4000
TRUSTS = np.array([1.0, 2.0, 4.0])  # labelled images that a stratum's forecast may be worth
FLOORS = (0.02, 0.1, 0.4, 1.0)  # shares of a forecast that may be spread over all classes
NEW_PRIOR = 0.5  # images of a class that the model does not know, before any label of a stratum
LEAST_SPREAD = 0.3  # variance that a stratum is thought to have at least, as forecasts may be wrong


@dataclass(frozen=True)
class Design:
    """Which images of a folder are drawn.

    Parameters
    ----------
    strata : ndarray of shape (n,), int64
        Stratum of each image, numbered from 0.
    cells : sequence of ndarray of int64
        Of each stratum the predicted classes x 2, plus 1 where the predictions are doubtful.
    sizes : ndarray of shape (n_strata,), int64
        Images of each stratum.
    drawn : ndarray of shape (n_strata,), int64
        How many of them are drawn.
    forecast : ndarray of shape (n_strata, n_classes)
        Shares of the classes that are expected in each.
    rows : ndarray of shape (n_drawn,), int64
        The images drawn, in random order.
    """

    strata: IntArray
    cells: list[IntArray]
    sizes: IntArray
    drawn: IntArray
    forecast: FloatArray
    rows: IntArray

    @classmethod
    def of(
        cls, content: FloatArray, y_pred: IntArray, doubtful: BoolArray, size: int, seed: int
    ) -> Design:
        """Strata by predicted class and doubt, and a sample of ``size`` images of them.

        Parameters
        ----------
        content : ndarray of shape (n, n_classes)
            Probability of each true class.
        y_pred, doubtful : ndarray of shape (n,)
        size, seed : int
        """
        cells = y_pred * 2 + doubtful
        names, strata = np.unique(merge_cells(cells, size, 2), return_inverse=True)
        sizes = np.bincount(strata)
        forecast = np.zeros((len(names), content.shape[1]))
        np.add.at(forecast, strata, content)
        forecast /= sizes[:, None]
        drawn = allocate(sizes, forecast, size)
        within = [np.unique(cells[strata == h]) for h in range(len(names))]
        rows = draw_rows(strata, drawn, seed)
        return cls(strata, within, sizes, drawn, forecast, rows)

    @property
    def inclusion(self) -> FloatArray:
        """Probability of each image to be drawn, shape (n,)."""
        return np.asarray((self.drawn / self.sizes)[self.strata])

    def count(
        self,
        rows: IntArray,
        y: IntArray,
        *,
        seed: int,
        among: BoolArray | None = None,
        content: FloatArray | None = None,
    ) -> IntArray:
        """Draws of the counts, given the classes of some of the images drawn.

        Parameters
        ----------
        rows, y : ndarray of shape (n_labelled,), int64
            Images and their true classes.
        seed : int
        among : ndarray of shape (n,), bool, optional
            Count these images alone. What is known of a stratum from the labels of others then
            forecasts theirs.
        content : ndarray of shape (n, n_classes), optional
            Probability of each true class; goes with ``among``.
        """
        labelled = self._table(rows, y)
        if among is None or content is None:
            return audited_counts(self.sizes, self.forecast, labelled, seed=seed)
        own = self._table(rows[among[rows]], y[among[rows]])
        sizes = np.bincount(self.strata[among], minlength=len(self.sizes))
        sums = np.zeros(self.forecast.shape)
        np.add.at(sums, self.strata[among], content[among])
        forecast = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], self.forecast)
        trusts, _, chances = _worth(self.forecast, labelled)
        forecast = float(trusts @ chances) * forecast + labelled - own
        return audited_counts(sizes, forecast / forecast.sum(axis=1, keepdims=True), own, seed=seed)

    def widened(self, rows: IntArray, y: IntArray, n_classes: int) -> Design:
        """The same sample, with forecasts of classes that the model does not know.

        Parameters
        ----------
        rows, y : ndarray of shape (n_labelled,), int64
            See `count`; classes from ``self.forecast.shape[1]`` on are new.
        n_classes : int
            With the new ones.

        Notes
        -----
        A new class is forecast in every stratum with the share that the stratified estimator finds
        in the whole folder (half an image added to each stratum), as the model has no opinion. It
        is worth few labels, as every forecast.
        """
        wide = replace(self, forecast=widened(self.forecast, np.zeros(n_classes - self.n_classes)))
        table = wide._table(rows, y)
        found = table[:, self.n_classes :] + NEW_PRIOR
        found /= table.sum(axis=1, keepdims=True) + 1 + NEW_PRIOR * found.shape[1]
        shares = (self.sizes @ found) / self.sizes.sum()
        return replace(self, forecast=widened(self.forecast, shares))

    @property
    def n_classes(self) -> int:
        """Classes that are forecast."""
        return self.forecast.shape[1]

    def _table(self, rows: IntArray, y: IntArray) -> IntArray:
        """Labelled images of each stratum and class."""
        table = np.zeros(self.forecast.shape, np.int64)
        np.add.at(table, (self.strata[rows], y), 1)
        return table


def widened(shares: FloatArray, new: FloatArray) -> FloatArray:
    """Shares of classes (n, n_classes) with further classes of shares ``new``, (n_new,)."""
    added = np.broadcast_to(new, (len(shares), len(new)))
    return np.hstack([shares * (1 - new.sum()), added])


def merge_cells(cells: IntArray, size: int, levels: int) -> IntArray:
    """Stratum of each image: its cell, the smallest of which are merged until they are few.

    Parameters
    ----------
    cells : ndarray of shape (n,), int64
        Of which those that differ by a multiple of ``levels`` may be merged.
    size : int
        Images to be drawn.
    levels : int

    Returns
    -------
    ndarray of shape (n,), int64
        The smallest number of the cells that are one stratum.
    """
    names, counts = np.unique(cells, return_counts=True)
    most = max(levels, size // MEAN_DRAWN)
    members = {int(name): ([int(name)], int(n)) for name, n in zip(names, counts, strict=True)}
    while len(members) > most:
        order = sorted(members, key=lambda name: (members[name][1], name))
        first = next(a for a in order if sum(b % levels == a % levels for b in order) > 1)
        other = next(b for b in order if b != first and b % levels == first % levels)
        (a, n), (b, m) = members.pop(first), members.pop(other)
        members[min(first, other)] = (a + b, n + m)
    stratum = np.zeros(int(cells.max(initial=0)) + 1, np.int64)
    for name, (merged, _) in members.items():
        stratum[merged] = name
    return stratum[cells]


def allocate(sizes: IntArray, forecast: FloatArray, total: int) -> IntArray:
    """How many images to draw of each stratum, shape (n_strata,), ``total`` together.

    In proportion to images x standard deviation (Neyman), at least `LEAST_DRAWN` and at most all.

    Parameters
    ----------
    sizes : ndarray of shape (n_strata,), int64
        Images of each stratum, none of them 0.
    forecast : ndarray of shape (n_strata, n_classes)
        Shares of the classes that are expected in it.
    total : int
        At least what the strata need.
    """
    spread = np.sqrt(np.maximum(1 - (forecast**2).sum(axis=1), LEAST_SPREAD))
    drawn = np.minimum(sizes, LEAST_DRAWN)
    total = min(total, int(sizes.sum()))
    weights = sizes * spread
    for _ in range(total - int(drawn.sum())):  # to where it lowers the variance most
        gain = np.where(drawn < sizes, weights / np.sqrt(drawn * (drawn + 1.0)), -1)
        drawn[gain.argmax()] += 1
    return drawn


def draw_rows(strata: IntArray, drawn: IntArray, seed: int) -> IntArray:
    """Numbers of the images drawn, in random order; ``drawn`` of the strata in rising order."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.choice(np.flatnonzero(strata == name), n, replace=False)
        for name, n in zip(np.unique(strata), drawn, strict=True)
    ]
    return rng.permutation(np.concatenate(rows))


def audited_counts(
    sizes: IntArray,
    forecast: FloatArray,
    labelled: IntArray,
    *,
    seed: int,
    n_draws: int = N_DRAWS,
) -> IntArray:
    """Draws of the number of images of each class, given labels of some images of each stratum.

    Parameters
    ----------
    sizes : ndarray of shape (n_strata,), int64
        Images of each stratum.
    forecast : ndarray of shape (n_strata, n_classes)
        Shares of the classes that the model expects in it.
    labelled : ndarray of shape (n_strata, n_classes), int64
        Images that a person has labelled.
    seed, n_draws : int

    Returns
    -------
    ndarray of shape (n_draws, n_classes), int64
        Each draw adds up to the images of all strata, and has at least the labelled ones.

    Notes
    -----
    The forecast counts as so many labels as those of the person agree with, from 1 to 4 in each
    stratum, and so much of it (2 % to all) is spread over the classes: a Dirichlet-multinomial
    with the posterior of both. Images that are labelled are counted as they are; with all of them
    labelled nothing is left to be uncertain of.
    """
    rng = np.random.default_rng(seed)
    trusts, forecasts, chances = _worth(forecast, labelled)
    rest = sizes - labelled.sum(axis=1)
    drawn = rng.choice(len(trusts), size=n_draws, p=chances)
    a = trusts[drawn, None, None] * forecasts[drawn] + labelled
    shares = rng.standard_gamma(a) + 1e-300  # small shapes underflow: all 0 would have no sum
    shares /= shares.sum(axis=-1, keepdims=True)
    return np.asarray(rng.multinomial(rest, shares).sum(axis=1) + labelled.sum(axis=0))


def _worth(forecast: FloatArray, labelled: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What labels say of a forecast: how many labels it is worth, how much of it is to be spread.

    Returns
    -------
    trusts : ndarray of shape (n_pairs,)
    forecasts : ndarray of shape (n_pairs, n_strata, n_classes)
        With none of the classes ruled out.
    chances : ndarray of shape (n_pairs,)
        Posterior of each pair; all are as likely beforehand.
    """
    from scipy.special import gammaln

    spread = [(1 - part) * forecast + part / forecast.shape[1] for part in FLOORS]
    trusts = np.tile(TRUSTS, len(FLOORS))
    forecasts = np.repeat(np.array(spread), len(TRUSTS), axis=0)
    n = labelled.sum(axis=1)
    prior = trusts[:, None, None] * forecasts
    scores = (gammaln(trusts)[:, None] - gammaln(trusts[:, None] + n)).sum(axis=1)
    scores += (gammaln(prior + labelled) - gammaln(prior)).sum(axis=(1, 2))
    chances = np.exp(scores - scores.max())
    return trusts, forecasts, np.asarray(chances / chances.sum())
