"""By how much the calibration of a classifier differs between groups such as patients or cameras.

Each group is thought to have a bias of its own for each class, and a scale of its own, both drawn
around those of all groups: a random intercept and slope. Their variances are estimated by the
method of moments from the scores of the fit (derivatives of the log-likelihood), summed by group.
With few groups the estimates are uncertain, so variances are drawn from their fiducial
distribution (Weerahandi, "Generalized confidence intervals", JASA 88, 1993), with Satterthwaite's
degrees of freedom (1946).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx.stats.groups import sums_by
from featx.types import FloatArray, IntArray

LEAST_DF = 2.0
MOST_VARIANCE = (4.0, 0.25)  # of biases and scale between groups: more is not plausible
MOST_LOST = 0.9  # of what groups differ by, where each class is in few of them


@dataclass(frozen=True)
class GroupEffects:
    """What a fit and its groups say of the groups of new images.

    Parameters
    ----------
    together : ndarray of shape (2,)
        Squared scores of groups, of the biases and of the scale.
    alone : ndarray of shape (2,)
        What they would be if the images of a group were not alike.
    reach : ndarray of shape (2,)
        By how much they grow with the variance between groups.
    fit : ndarray of shape (2, n_classes + 1, n_classes + 1)
        Covariance of scale and biases that variances of 1 add to the fit.
    alike : float
        Chance that two of the images are of one group.
    n : int
        Images that were fitted on.
    """

    together: FloatArray
    alone: FloatArray
    reach: FloatArray
    fit: FloatArray
    alike: float
    n: int

    @classmethod
    def of(
        cls, y: IntArray, p: FloatArray, logs: FloatArray, unit: IntArray, curvature: FloatArray
    ) -> GroupEffects | None:
        """From classes (n,), calibrated probabilities and log-probabilities (n, n_classes), groups.

        ``curvature`` is that of the whole fit. None where images have no groups, or each class is
        in so few groups that they do not show how they differ.
        """
        n, n_classes = p.shape
        groups, number = np.unique(unit, return_inverse=True)
        lost = _lost(y, number)
        if len(groups) in (1, n) or lost > MOST_LOST:
            return None
        off = np.eye(n_classes)[y] - p
        scores = _by_class(np.column_stack([(off * logs).sum(axis=1), off]), y)
        # Each kind's scores, less what those of the other kind explain: else one passes for both.
        both, biases = curvature[0, 1:], curvature[1:, 1:]
        views = [
            np.column_stack([-both / curvature[0, 0], np.eye(n_classes)]),
            np.append(1.0, -np.linalg.solve(biases, both))[None],
        ]
        kinds = [slice(1, None), slice(0, 1)]
        added = np.zeros((2, n_classes + 1, n_classes + 1))
        order = np.argsort(number, kind="stable")
        for rows in np.split(order, np.cumsum(np.bincount(number))[:-1]):
            own = information(p[rows], logs[rows])
            added += [own[:, kind] @ own[kind] for kind in kinds]
        inverse = np.linalg.inv(curvature)
        sums = sums_by(scores, number)
        return cls(
            np.array([((sums @ view.T) ** 2).sum() for view in views]) / (1 - lost),
            np.array([((scores @ view.T) ** 2).sum() for view in views]),
            np.array([np.trace(v @ a @ v.T) for v, a in zip(views, added, strict=True)])
            - _of_images(p, logs, views),
            inverse @ added @ inverse,
            _alike(number),
            n,
        )

    @property
    def df(self) -> float:
        """Degrees of freedom: groups of equal size that would be as alike, less one."""
        return max(1 / self.alike - 1, LEAST_DF)

    def drawn(
        self, rng: np.random.Generator, n_draws: int, alike: float | None, n: int
    ) -> FloatArray:
        """Errors of scale and biases, shape (n_draws, n_classes + 1), for a folder of ``n`` images.

        Both the groups that were fitted on and those of the folder have effects of their own.

        Parameters
        ----------
        rng, n_draws
        alike : float or None
            Chance that two images of the folder are of one group; None takes groups as large as
            those of the labelled images.
        n : int
        """
        alike = min(1.0, self.alike * self.n / n) if alike is None else alike
        size = self.fit.shape[1]
        found = np.zeros((n_draws, size))
        for i, own in enumerate((np.arange(size) > 0, np.arange(size) == 0)):
            together = self.together[i] * self.df / rng.chisquare(self.df, (n_draws, 1))
            variance = (together - self.alone[i]) / max(self.reach[i], 1e-12)
            variance = variance.clip(0, MOST_VARIANCE[i])
            root = root_of(self.fit[i] + alike * np.diag(own.astype(float)))
            found += np.sqrt(variance) * (rng.standard_normal((n_draws, size)) @ root)
        return found


def design_effect(values: FloatArray, y: IntArray, unit: IntArray) -> float:
    """By how much the variance of a sum of values (n,) grows because those of a group are alike.

    Of what values are off beyond others of their class (Kish, "Survey sampling", 1965); at least 1.
    """
    groups, number = np.unique(unit, return_inverse=True)
    lost = _lost(y, number)
    off = _by_class(values[:, None], y)
    alone = float((off**2).sum())
    if len(groups) in (1, len(y)) or lost > MOST_LOST or not alone:
        return 1.0
    return max(1.0, float((sums_by(off, number) ** 2).sum()) / (1 - lost) / alone)


def information(p: FloatArray, logs: FloatArray) -> FloatArray:
    """Second derivatives of the loss of a fit, by scale and biases."""
    by_logs = p * logs
    means = np.column_stack([by_logs.sum(axis=1), p])
    raw = np.diag(np.append((by_logs * logs).sum(), p.sum(axis=0)))
    raw[0, 1:] = raw[1:, 0] = by_logs.sum(axis=0)
    return np.asarray(raw - means.T @ means)


def root_of(spread: FloatArray) -> FloatArray:
    """A matrix that makes standard normal rows have the covariance ``spread``."""
    values, vectors = np.linalg.eigh(spread)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))).T)


def _by_class(values: FloatArray, y: IntArray) -> FloatArray:
    """Values (n, n_columns) less the mean of their class, as groups may differ in their classes."""
    means = sums_by(values, y) / np.maximum(np.bincount(y), 1)[:, None]
    return np.asarray(values - means[y])


def _alike(number: IntArray) -> float:
    return float(((np.bincount(number) / len(number)) ** 2).sum())


def _lost(y: IntArray, number: IntArray) -> float:
    """Share of the differences between groups that goes with the means of the classes."""
    pairs, counts = np.unique(np.column_stack([y, number]), axis=0, return_counts=True)
    return float((counts**2 / np.bincount(y)[pairs[:, 0]]).sum() / len(y))


def _of_images(p: FloatArray, logs: FloatArray, views: list[FloatArray]) -> FloatArray:
    """What variances between groups add to the squared scores of single images, by kind.

    That of ``view @ information(image)[:, kind]``, squared and summed, for all images at once.
    """
    off = logs - (p * logs).sum(axis=1, keepdims=True)
    both = p * off
    scale = (both * off).sum(axis=1)
    seen = views[0][:, 0]  # what biases lose to the scale
    squares = (p**2).sum(axis=1)
    own = squares - 2 * (p**3).sum(axis=1) + squares**2
    mixed = (both * p) @ seen - (p @ seen) * (p * both).sum(axis=1)
    biases = own + 2 * mixed + (seen @ seen) * (both**2).sum(axis=1)
    return np.array([biases.sum(), ((scale + both @ views[1][0, 1:]) ** 2).sum()])
