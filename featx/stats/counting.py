"""How many images of each class a folder holds, corrected for a classifier's errors.

The correction assumes that images of a class look in the folder as they did in training, and only
the shares of the classes differ. Probabilities are then too near to the training shares, by a known
factor (Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
probabilities", Neural Computation 14, 2002), once they are calibrated (Alexandari, Kundaje and
Shrikumar, "Maximum likelihood with bias-corrected calibration is hard to beat at label shift
adaptation", ICML 2020). ``benchmarks/counting.py`` has the simulation by which it was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featx.stats.bootstrap import TAIL
from featx.stats.group_effects import GroupEffects, design_effect, information, root_of
from featx.types import AnyArray, BoolArray, FloatArray, IntArray

N_DRAWS = 500
N_STEPS = 8  # of the chain for one draw: images of two classes that look alike need several
N_FIRST = 50  # steps of EM before the first draw
SHARE_PRIOR = 0.25  # images of each class known beforehand; folders often lack classes
SCALE_RIDGE = 25.0  # that of the scale, around 1
LEAST_SCALE = 0.05
RIDGE = 0.25  # precision of the prior of a class's bias, which a class without errors needs
LEAST = 1e-6  # probability, before its logarithm is taken
MOST_ROWS = 2000  # images that are looked at one by one; of more, those alike are taken together


class CountDraws(NamedTuple):
    """What a folder may hold.

    Parameters
    ----------
    counts : ndarray of shape (n_draws, n_classes), int64
        Draws of the images of each class; each adds up to the images of the folder.
    content : ndarray of shape (n, n_classes), float64
        Probability of each true class for each image, given the shares of this folder.
    """

    counts: IntArray
    content: FloatArray


@dataclass(frozen=True)
class Reference:
    """What predictions for labelled images, not fitted on, say of a classifier's probabilities.

    Parameters
    ----------
    scale : float
        By which log-probabilities are to be multiplied.
    bias : ndarray of shape (n_classes,)
        What is then to be added.
    spread : ndarray of shape (n_classes + 1, n_classes + 1)
        Covariance of both, were the images without groups: scale first.
    images : ndarray of shape (n_classes,), int64
        Labelled images of each class.
    cut : float
        Probability of the likeliest class below which a prediction is doubtful: half of the wrong
        ones are.
    doubt : ndarray of shape (n_classes,)
        Share of each class's images that are doubtful.
    effect : float
        By how much the variance of the number of doubtful images grows because those of a group
        are alike; 1 without groups.
    groups : GroupEffects or None
        How calibration differs between groups.
    """

    scale: float
    bias: FloatArray
    spread: FloatArray
    images: IntArray
    cut: float
    doubt: FloatArray
    effect: float
    groups: GroupEffects | None

    @classmethod
    def of(cls, y: IntArray, proba: FloatArray, unit: IntArray) -> Reference:
        """From true classes, probabilities and groups, shapes (n,), (n, n_classes) and (n,)."""
        n_classes = proba.shape[1]
        logs = _logs(proba)
        theta = _fitted(y, logs)
        scale, bias = float(theta[0]), theta[1:]
        p = _softmax(scale * logs + bias)
        curvature = information(p, logs) + np.diag(_ridge(n_classes))
        images = np.bincount(y, minlength=n_classes)
        sure, wrong = proba.max(axis=1), proba.argmax(axis=1) != y
        cut = float(np.median(sure[wrong] if wrong.any() else sure))
        doubtful = np.bincount(y, weights=sure < cut, minlength=n_classes)
        return cls(
            scale,
            np.asarray(bias, np.float64),
            np.asarray(np.linalg.inv(curvature), np.float64),
            images,
            cut,
            (doubtful + (sure < cut).mean()) / (images + 1),
            design_effect((sure < cut).astype(float), y, unit),
            GroupEffects.of(y, p, logs, unit, curvature),
        )

    def ratios(self, logs: FloatArray, theta: FloatArray, images: AnyArray) -> FloatArray:
        """How much likelier an image is in each class than in others, up to a factor for each."""
        return _softmax(theta[0] * logs + theta[1:]) / images

    def doubtful(self, proba: FloatArray) -> BoolArray:
        """Whose predictions are doubtful, shape (n,)."""
        return np.asarray(proba.max(axis=1) < self.cut)

    def more_doubt(self, proba: FloatArray, counts: IntArray) -> tuple[float, float, float]:
        """Whether more predictions are doubtful than the classes that were counted explain.

        Returns
        -------
        float, float, float
            The share that is doubtful, the share that is expected, and the probability that so
            many or more are by chance (normal approximation).
        """
        from scipy.stats import norm

        n, shares, d = len(proba), counts.mean(axis=0) / len(proba), self.doubt
        share, expected = float(self.doubtful(proba).mean()), float(shares @ d)
        known = float((shares**2 * d * (1 - d) / (self.images + 1)).sum())
        drawn = expected * (1 - expected) / n + float((counts @ d / n).var())
        return share, expected, float(norm.sf(share - expected, scale=np.sqrt(
            self.effect * (known + drawn) + 1 / n**2)))  # fmt: skip


def count_classes(
    reference: Reference,
    proba: FloatArray,
    *,
    known: IntArray | None = None,
    alike: float | None = None,
    seed: int,
    n_draws: int = N_DRAWS,
) -> CountDraws:
    """Draw how many images of each class there are, given probabilities of the classes.

    Parameters
    ----------
    reference : Reference
    proba : ndarray of shape (n, n_classes), float64
        Of the folder's images; n is at least 1.
    known : ndarray of shape (n,), int64, optional
        Classes of images that are labelled already, -1 for the others. They count as labelled and
        show the shares of the classes, without bias even if chosen by how they look (by doubt).
    alike : float, optional
        Chance that two images of the folder are of one group; None takes groups as large as those
        of the labelled images.
    seed : int
        The same seed draws the same errors of the classifier for every folder.
    n_draws : int

    Notes
    -----
    For each draw calibration is drawn from its normal approximation, and what groups add to it
    (`GroupEffects.drawn`); then, in turn, the classes of the images and their shares (Gibbs
    sampling), a few times. What a draw counts are the images of this folder, so that the number of
    images limits it, and nothing beyond them is asked.
    """
    n, n_classes = proba.shape
    rng, chain = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    logs = _logs(proba)
    known = np.full(n, -1) if known is None else known
    free = known < 0
    labelled = np.bincount(known[~free], minlength=n_classes)
    rows, weights = _alike(proba[free], logs[free])
    middle = np.array([reference.scale, *reference.bias])
    thetas = middle + rng.standard_normal((n_draws, len(middle))) @ root_of(reference.spread)
    if reference.groups is not None:
        thetas += reference.groups.drawn(rng, n_draws, alike, n)
    thetas[:, 0] = np.maximum(thetas[:, 0], LEAST_SCALE)
    images = rng.standard_gamma(reference.images + SHARE_PRIOR, (n_draws, n_classes))
    usual = reference.images + SHARE_PRIOR
    shares = _first_shares(weights, reference.ratios(rows, middle, usual), labelled)
    counts = np.empty((n_draws, n_classes), np.int64)
    mean = np.zeros(n_classes)
    for i in range(n_draws):
        ratios = reference.ratios(rows, thetas[i], images[i])
        for _ in range(N_STEPS):
            counts[i] = _drawn(chain, weights, ratios * shares) + labelled
            shares = chain.standard_gamma(counts[i] + SHARE_PRIOR) + 1e-300  # 0 would stay 0
            shares /= shares.sum()
        mean += (counts[i] + SHARE_PRIOR) / n_draws
    content = _normalised(reference.ratios(logs, middle, usual) * mean)
    content[~free] = np.eye(n_classes)[known[~free]]
    return CountDraws(counts, content)


def count_intervals(draws: IntArray, total: int) -> tuple[IntArray, IntArray]:
    """The 95 % intervals of draws of counts, shape (n_draws, n_classes), of ``total`` images.

    Between the quantiles at 2.5 and 97.5 %. Where draws crowd at 0, so that the interval from 0 to
    95 % is shorter, it begins at 0, and likewise at ``total``: an interval with equal tails would
    leave out a class that has no image or all of them (Brown, Cai and DasGupta, "Interval
    estimation for a binomial proportion", Statistical Science 16, 2001, section 4.1.1).
    """
    percents = 100 * np.array([TAIL, 2 * TAIL, 1 - 2 * TAIL, 1 - TAIL])
    low, below, above, high = np.percentile(draws, percents, axis=0, method="nearest")
    width = high - low
    return np.where(above < width, 0, low), np.where(total - below < width, total, high)


def whole_counts(values: FloatArray, total: int) -> IntArray:
    """Whole numbers next to ``values``, shape (n_classes,), that add up to ``total``."""
    down = np.floor(values).astype(np.int64)
    order = np.argsort(-(values - down), kind="stable")
    down[order[: total - int(down.sum())]] += 1
    return down


def _first_shares(weights: IntArray, ratios: FloatArray, labelled: IntArray) -> FloatArray:
    """Shares of the classes by EM, where the chain begins."""
    shares = np.full(len(labelled), 1 / len(labelled))
    for _ in range(N_FIRST):
        found = weights @ _normalised(ratios * shares) + labelled + SHARE_PRIOR
        shares = found / found.sum()
    return shares


def _drawn(rng: np.random.Generator, weights: IntArray, joint: FloatArray) -> IntArray:
    """Images of each class, where those of a row are of the classes as ``joint`` has it."""
    if weights.max(initial=0) > 1:
        return np.asarray(rng.multinomial(weights, _normalised(joint)).sum(axis=0))
    up = joint.cumsum(axis=1)
    drawn = (rng.random((len(up), 1)) * up[:, -1:] > up).sum(axis=1)
    return np.bincount(np.minimum(drawn, up.shape[1] - 1), minlength=up.shape[1])


def _alike(proba: FloatArray, logs: FloatArray) -> tuple[FloatArray, IntArray]:
    """Log-probabilities of at most about `MOST_ROWS` kinds of images, and how many of each."""
    n = len(proba)
    if n <= MOST_ROWS:
        return logs, np.ones(n, np.int64)
    first, second = np.argsort(-proba, axis=1, kind="stable")[:, :2].T
    order = np.lexsort((proba.max(axis=1), second, first))
    starts = np.unique(np.linspace(0, n, MOST_ROWS + 1).astype(np.int64))[:-1]
    pairs = (first * proba.shape[1] + second)[order]
    starts = np.union1d(starts, np.flatnonzero(np.diff(pairs)) + 1)
    sizes = np.diff(np.append(starts, n))
    return np.add.reduceat(logs[order], starts) / sizes[:, None], sizes


def _logs(proba: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(proba, LEAST)))


def _softmax(z: FloatArray) -> FloatArray:
    return _normalised(np.exp(z - z.max(axis=1, keepdims=True)))


def _normalised(p: FloatArray) -> FloatArray:
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _fitted(y: IntArray, logs: FloatArray) -> FloatArray:
    """Scale and biases of the largest likelihood, with a slight prior."""
    from scipy.optimize import minimize

    n, n_classes = logs.shape
    labels = np.eye(n_classes)[y]
    ridge, middle = _ridge(n_classes), np.append(1.0, np.zeros(n_classes))

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        z = theta[0] * logs + theta[1:]
        p = _softmax(z)
        off = labels - p
        value = -np.log(np.maximum(p[np.arange(n), y], 1e-300)).sum()
        slope = np.append((off * logs).sum(), off.sum(axis=0))
        off_prior = theta - middle
        return value + (ridge * off_prior**2).sum() / 2, ridge * off_prior - slope

    return np.asarray(minimize(loss, middle, jac=True, method="L-BFGS-B").x)


def _ridge(n_classes: int) -> FloatArray:
    """Precision of the prior of scale and biases, which matters where there are few errors."""
    return np.append(SCALE_RIDGE, np.full(n_classes, RIDGE))
