"""How far to trust a fine-tuned model's answers, from images that it was not trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featx.artifact.novelty import Novelty
from featx.artifact.trust import NoveltyLimit, Trust
from featx.config import FitConfig
from featx.fitting.data import Part
from featx.fitting.groups import fit_group_answers
from featx.fitting.held import HeldOut
from featx.fitting.sets import fit_sets
from featx.fitting.trust import usual_rates
from featx.stats.novelty import alarm_limit, fit_spread

Mask = NDArray[np.bool_]


def tuned_trust(
    held: HeldOut,
    part: Part,
    X: NDArray[np.float32],
    validation: Mask,
    *,
    seed: int,
    first: NDArray[np.float32] | None = None,
) -> tuple[Trust, Novelty]:
    """Prediction sets and the out-of-distribution score, with the defaults of `featx.fit`.

    Parameters
    ----------
    held : HeldOut
        Predictions of images that the predicting network was not trained on: out of fold, or those
        of the validation part.
    part : Part
        All images that were trained or validated on.
    X : ndarray of shape (n, n_features), float32
        Their fine-tuned embeddings, standardised by the head's scaler.
    validation : ndarray of shape (n,), bool
        The validation part, which says how far away ordinary images lie.
    seed : int
    first : ndarray of shape (n, n_features), float32, optional
        Where ``X`` is of a network that was trained on the validation part too: the same of the
        network that was not. How far away the part lies there says how far away ordinary images
        lie from the other network's.

    Returns
    -------
    Trust, Novelty
    """
    config = FitConfig(seed=seed)
    sets = fit_sets(held.part.y, held.proba, config)
    there = X if first is None else first
    novelty = Novelty(*fit_spread(there[~validation], part.y[~validation], seed=seed))
    scores = novelty.scores(there[validation])
    if first is not None:
        novelty = Novelty(*fit_spread(X, part.y, seed=seed))
    limit = alarm_limit(scores, config.ood_rate)
    return Trust(
        sets=sets,
        novelty=NoveltyLimit(rate=config.ood_rate, limit=limit),
        usual=usual_rates(held, sets, scores > limit, config),
        groups=fit_group_answers(held, config),
    ), novelty
