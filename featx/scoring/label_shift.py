"""Whether new images of a class look as those of training did, whatever the shares of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.artifact import Model
from featx.artifact.trust import Trust
from featx.extraction import Extraction, joined_embeddings
from featx.numbers import p_compared, percent
from featx.scoring.checks import checks_of
from featx.scoring.drift import LEAST_TESTED, LEVEL, MOST_TESTED, SEED
from featx.scoring.scores import Scores
from featx.stats.counting import Reference
from featx.stats.drift import place_shift
from featx.types import IntArray

TESTS = 2


def check_shift(
    model: Model,
    extractions: Sequence[Extraction],
    scores: Scores,
    blocks: IntArray,
    reference: Reference | None,
    draws: IntArray,
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Sentences on what speaks against the correction, and all that was tested as JSON.

    Parameters
    ----------
    model, extractions, scores
        See `featx.scoring.drift.find_drift`.
    blocks : ndarray of shape (n_read,), int64
        Images that belong together.
    reference : Reference or None
    draws : ndarray of shape (n_draws, n_classes)
        Of the counts.
    """
    found, document = [], dict[str, Any]()
    read = np.flatnonzero(scores.y_pred >= 0)
    if reference is not None:
        share, expected, p = reference.more_doubt(scores.probabilities[read], draws)
        p = min(1.0, TESTS * p)
        document["doubtful"] = {"share": share, "expected": expected, "p_adjusted": p}
        if p <= LEVEL:
            found.append(
                f"More predictions are doubtful than the classes explain: {percent(share)}, "
                f"expected {percent(expected)} (p {p_compared(p)})."
            )
    p_place = _moved(model, extractions, scores.y_pred, read, blocks)
    if p_place is not None:
        p_place = min(1.0, TESTS * p_place)
        document["embeddings"] = {"p_adjusted": p_place}
        if p_place <= LEVEL:
            found.append(
                "Images predicted as the same class look unlike those of training (embeddings p "
                f"{p_compared(p_place)})."
            )
    if scores.ood is not None and (model.trust or Trust()).usual is not None:
        flags = {"ood": scores.ood[read]}
        *_, check = checks_of(model, flags, blocks, n_rows=len(read), n_unread=0)
        document["ood"] = check.document()
        if check.far:
            found.append(check.sentence())
    return tuple(found), document


def _moved(
    model: Model,
    extractions: Sequence[Extraction],
    y_pred: IntArray,
    read: IntArray,
    blocks: IntArray,
) -> float | None:
    """The p-value of a test of embeddings, of as many images of each predicted class on both sides.

    Other shares of the classes are no drift here. None where too few images are left.
    """
    sample = model.drift
    if sample is None:
        return None
    rng = np.random.default_rng(SEED)
    old: list[int] = []
    new: list[int] = []
    for name in range(len(model.classes)):
        sides = np.flatnonzero(sample.predicted == name), np.flatnonzero(y_pred[read] == name)
        n = min(map(len, sides))
        for kept, rows in zip((old, new), sides, strict=True):
            kept += rng.permutation(rows)[:n].tolist()
    if len(new) > MOST_TESTED:
        some = rng.choice(len(new), MOST_TESTED, replace=False)
        old, new = [old[i] for i in some], [new[i] for i in some]
    if len(np.unique(blocks[new])) < LEAST_TESTED:
        return None
    located = sample.locate(joined_embeddings(extractions, read[new]))
    places = np.concatenate([sample.places[old], located])
    together = np.append(sample.blocks[old], blocks[new] + sample.blocks.max() + 1)
    shift = place_shift(places, np.arange(len(places)) >= len(old), together, seed=SEED)
    return float(shift.p)
