"""What each embedding of a forward pass scores on a few images, by a ridge regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featx.racing.ridge import SHARES, out_of_fold
from featx.stats.intervals import resampled_scores
from featx.stats.losses import log_losses
from featx.stats.metrics import fold_score
from featx.types import Float32Array, FloatArray, IntArray

SHARPNESS = (1.0, 2.0, 4.0, 8.0, 16.0)  # that scores are multiplied by to become logits
BEST = 3  # embeddings that decide the last round
UNWEIGHTED = {"accuracy", "f1_weighted", "neg_log_loss"}


@dataclass(frozen=True)
class Drawn:
    """The images of a round.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Classes from 0.
    fold, units : ndarray of shape (n,), int64
        The fold that tests each image; what is drawn together in a bootstrap.
    n_classes : int
    """

    y: IntArray
    fold: IntArray
    units: IntArray
    n_classes: int


@dataclass(frozen=True)
class ScoredLayers:
    """One embedding on the images of one round.

    Parameters
    ----------
    outputs : tuple of str
        The layers that lie side by side in it.
    n_features : int
    value : float
        The score of its out-of-fold predictions at the best penalty.
    proba : ndarray of shape (n, n_classes)
        Those predictions.
    loss : float
        The log loss at the penalty that is best for it, weighted as the score is.
    """

    outputs: tuple[str, ...]
    n_features: int
    value: float
    proba: FloatArray
    loss: float

    def samples(self, scoring: str, drawn: Drawn, seed: int) -> FloatArray:
        """Its score on resamples of the images, the same for all embeddings."""
        return resampled_scores(scoring, drawn.y, self.proba, drawn.units, seed=seed)

    @cached_property
    def layers(self) -> str:
        """The layers in words."""
        return ", ".join(self.outputs)


def mean_loss(scored: Sequence[ScoredLayers], *, last: bool) -> float:
    """What a forward pass is ranked by: the mean log loss of several of its embeddings.

    Of several, because the best of many is partly luck: of its three best ones in the last round,
    and before, on few images, of those that have layers side by side, whichever they are. A loss
    tells more about few images than a count of the right ones.
    """
    unions = [s.loss for s in scored if len(s.outputs) > 1]
    if last or not unions:
        unions = sorted(s.loss for s in scored)[:BEST]
    return float(np.mean(unions))


def score_sets(
    X: Mapping[str, Float32Array],
    sets: Sequence[tuple[str, ...]],
    drawn: Drawn,
    scoring: str,
) -> list[ScoredLayers]:
    """Each set of outputs, the best first.

    Of equal ones the narrower comes first.
    """
    found = []
    for outputs in sets:
        columns = [X[name] for name in outputs]
        joined = columns[0] if len(columns) == 1 else np.hstack(columns)
        found.append(_scored(outputs, joined, drawn, scoring))
    return sorted(found, key=lambda scored: (-scored.value, scored.n_features))


def _scored(outputs: tuple[str, ...], X: Float32Array, drawn: Drawn, scoring: str) -> ScoredLayers:
    balanced = scoring not in UNWEIGHTED
    weights = 1.0 / np.bincount(drawn.y)[drawn.y] if balanced else np.ones(len(drawn.y))
    tried = []
    for scores in out_of_fold(X, drawn.y, drawn.fold, drawn.n_classes, balanced=balanced):
        proba = _probabilities(scores, drawn.y)
        loss = float(np.average(log_losses(drawn.y, proba), weights=weights))
        tried.append((fold_score(scoring, drawn.y, proba), proba, loss))
    assert len(tried) == len(SHARES)
    value, proba, _ = max(tried, key=lambda each: each[0])
    loss = min(each[2] for each in tried)
    return ScoredLayers(outputs, X.shape[1], float(value), proba, loss)


def _probabilities(scores: FloatArray, y: IntArray) -> FloatArray:
    """A softmax of the scores, as sharp as gives the smallest log loss.

    One number for all images: the order of the classes of an image stays as it is.
    """
    shifted = scores - scores.max(axis=1, keepdims=True)
    tried = []
    for sharpness in SHARPNESS:
        proba = np.exp(sharpness * shifted)
        proba /= proba.sum(axis=1, keepdims=True)
        tried.append((float(log_losses(y, proba).mean()), proba))
    return min(tried, key=lambda each: each[0])[1]
