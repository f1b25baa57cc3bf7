"""How good the head is, judged by labels of images that were drawn at random.

Labels that were chosen for being doubtful are harder than the folder, so cross-validation over all
labels is far too pessimistic. What holds is a random part: the first
images of one random order of the folder, whatever else was labelled meanwhile. Each of them is
predicted by a head of all other labels, but those of its own tenth of the random part, so that
nothing is judged by a head that it trained. The share that is right is a proportion of independent
draws, with Wilson's interval.

``benchmarks/labelling.py`` measures its coverage, beside that of cross-validation over all labels
and of a prediction-powered estimate (Angelopoulos et al., "Prediction-powered inference", Science
382, 2023), which is hardly narrower. Importance weights (Farquhar, Gal and Rainforth, "On
statistical bias in active learning", ICLR 2021; Kossen et al., "Active testing", ICML 2021) do not
apply, as the choice here leaves most images no chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from featx.labelling.head import QuickHead, Space
from featx.types import BoolArray, IntArray

FOLDS = 10
FEWEST = 10  # randomly drawn labels, for an estimate to be worth its interval
AHEAD = 100  # labels that the gain is forecast for
SMALLEST_POINT = 20  # labels at the first point of the curve
Z_95 = 1.959964


@dataclass(frozen=True)
class RandomEstimate:
    """Share of the folder's images that the head predicts right, with a 95 % interval.

    Parameters
    ----------
    value, low, high : float
    n : int
        Randomly drawn images that it rests on.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class CurvePoint:
    """The estimate for a head of so many labels.

    Parameters
    ----------
    n_labelled : int
    kind : {"chosen", "random"}
        ``chosen`` is a head of the first labels, however they were chosen; ``random`` one of as
        many randomly drawn labels alone.
    value, low, high : float
    """

    n_labelled: int
    kind: Literal["chosen", "random"]
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """What the labels say about the head.

    Parameters
    ----------
    estimate : RandomEstimate, optional
        None while there is too little to judge by.
    curve : list of CurvePoint
        By number of labels, all judged on the same images.
    gain : tuple of float, optional
        What the next 100 labels add to the estimate: expected, low, high.
    """

    estimate: RandomEstimate | None = None
    curve: list[CurvePoint] = field(default_factory=list)
    gain: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Evidence:
    """The labels, in the order in which they were given.

    Parameters
    ----------
    space : Space
    rows, y : ndarray of shape (n_labelled,)
        Rows of the space, and codes of classes.
    drawn : ndarray of shape (n_labelled,), bool
        Whether the image belongs to the random part.
    copies : ndarray of shape (n_labelled,)
        Numbers that exact copies share; they are held out together.
    seed : int
    """

    space: Space
    rows: IntArray
    y: IntArray
    drawn: BoolArray
    copies: IntArray
    seed: int = 0

    def folds(self) -> IntArray:
        """The tenth of the random part that each label belongs to; -1 for those that only train."""
        groups, index = np.unique(self.copies, return_inverse=True)
        held = np.unique(index[self.drawn])
        fold_of = np.full(len(groups), -1)
        order = np.random.default_rng([self.seed, len(held)]).permutation(len(held))
        fold_of[held[order]] = np.arange(len(held)) % FOLDS
        return np.asarray(fold_of[index])


def judge(evidence: Evidence) -> Judgement:
    """The estimate, the curve that leads to it, and what more labels would add."""
    n, n_drawn = len(evidence.rows), int(evidence.drawn.sum())
    if n_drawn < FEWEST or len(np.unique(evidence.y)) < 2:
        return Judgement()
    folds, sizes, nth = evidence.folds(), _sizes(n), np.cumsum(evidence.drawn)
    fewer = folds // 2  # fifths are enough for what is past
    with threadpool_limits(1):  # the matrices are small, and labels are given meanwhile
        right = {m: _right(evidence, fewer, np.arange(n) < m) for m in sizes[:-1]}
        right[n] = _right(evidence, folds, np.ones(n, bool))
        alone = {m: _right(evidence, fewer, evidence.drawn & (nth <= m)) for m in _sizes(n_drawn)}
    curve = [_point(m, "chosen", right[m]) for m in sizes]
    curve += [_point(m, "random", hits) for m, hits in alone.items()]
    value, low, high = estimate_share(right[n])
    gain = _gain(right[n], right[sizes[-2]], n, sizes[-2]) if len(sizes) > 1 else None
    return Judgement(RandomEstimate(value, low, high, n_drawn), curve, gain)


def _sizes(n: int) -> list[int]:
    """``n`` and its halves, down to `SMALLEST_POINT`, ascending."""
    found = [n]
    while found[-1] // 2 >= SMALLEST_POINT:
        found.append(found[-1] // 2)
    return found[::-1]


def _right(evidence: Evidence, folds: IntArray, used: BoolArray) -> BoolArray:
    """Which images of the random part are predicted right without the labels of their fold.

    Shape (n_drawn,).
    """
    y_pred = np.full(len(evidence.y), -1)
    Z = evidence.space.Z[evidence.rows]
    for fold in np.unique(folds[evidence.drawn]):
        held, train = evidence.drawn & (folds == fold), used & (folds != fold)
        classes, y = np.unique(evidence.y[train], return_inverse=True)
        if not held.any() or not len(classes):
            continue
        best = np.zeros(int(held.sum()), np.int64)
        if len(classes) > 1:
            head = QuickHead.fit(Z[train], y, len(classes), evidence.space.variance)
            best = head.predict_proba(Z[held]).argmax(axis=1)
        y_pred[held] = classes[best]
    return np.asarray((y_pred == evidence.y)[evidence.drawn])


def estimate_share(right: BoolArray) -> tuple[float, float, float]:
    """The share that is true with its 95 % interval.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    from scipy.stats import binomtest

    ends = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return float(right.mean()), float(ends.low), float(ends.high)


def _point(n: int, kind: Literal["chosen", "random"], right: BoolArray) -> CurvePoint:
    return CurvePoint(n, kind, *estimate_share(right))


def _gain(now: BoolArray, before: BoolArray, n: int, n_before: int) -> tuple[float, float, float]:
    """What the next labels add: expected, low and high at 95 %.

    The gain since ``n_before`` labels is a paired difference of proportions, with half an image
    added to each cell of its table, so that few images never seem certain (Agresti and Min,
    Statistics in Medicine 24, 2005). Where the error falls as ``a + b * n**-c`` the next gain is
    at most that gain times ``log(1 + 100 / n) / log(n / n_before)``, its limit for small ``c``.
    """
    better, worse = float((now & ~before).sum()), float((before & ~now).sum())
    total = len(now) + 2
    mean = (better - worse) / total
    half = Z_95 * np.sqrt((better + worse + 1) / total - mean**2) / np.sqrt(total)
    scale = np.log1p(AHEAD / n) / np.log(n / n_before)
    ends = [max(0.0, float(scale * x)) for x in (mean, mean - half, mean + half)]
    return ends[0], ends[1], ends[2]
