"""What to label next by a model that was fitted elsewhere, without a labelling session."""

from __future__ import annotations

import numpy as np

from featx.artifact import Model
from featx.extraction import Extraction
from featx.labelling.choosing import Known, choose, random_order
from featx.labelling.head import Space
from featx.labelling.session import LabelSuggestion
from featx.types import BoolArray


def propose(
    model: Model, extractions: list[Extraction], *, n: int, random_share: float, seed: int
) -> list[LabelSuggestion]:
    """Choose images of a folder for a model.

    Images that the model was fitted on, and all but one of exact copies, are left out. How unlike
    anything labelled an image is, is the model's out-of-distribution score, where it has one; rare
    are the classes that it seldom predicts here.

    Parameters
    ----------
    model : Model
    extractions : list of Extraction
        Of the folder, by the model's backbones.
    n : int
    random_share : float
        Of the ``n``, from 0 to 1.
    seed : int
    """
    first = extractions[0]
    X = np.hstack([extraction.X for extraction in extractions])
    rows = [row for row, ok in zip(first.manifest.rows, first.ok, strict=True) if ok]
    proba = np.asarray(model.predict_proba(X), np.float32)
    best = proba.argmax(axis=1)
    strangeness = model.ood_scores(X)
    known = Known(
        Space.of(X, seed).Z,
        proba,
        np.bincount(best, minlength=len(model.classes)),
        np.empty(0, np.int64),
        None if strangeness is None else np.asarray(strangeness, np.float32),
    )
    free = _new(model, first)
    order = random_order([row.id for row in rows], seed)
    drawn = [i for i in order if free[i]][: round(random_share * n)]
    free[drawn] = False
    chosen = choose(known, free, n - len(drawn), np.random.default_rng(seed))
    picked = [(int(i), "random") for i in drawn]
    picked += zip(chosen.rows.tolist(), chosen.reasons, strict=True)
    return [
        LabelSuggestion(
            rows[i].id, rows[i].path, reason, model.classes[best[i]],  # type: ignore[arg-type]
            dict(zip(model.classes, proba[i].tolist(), strict=True)),
        )
        for i, reason in picked
    ]  # fmt: skip


def _new(model: Model, extraction: Extraction) -> BoolArray:
    """Images that the model was not fitted on; of exact copies the first."""
    hashes = extraction.hashes[extraction.ok]
    free = np.zeros(len(hashes), bool)
    free[np.unique(extraction.copies, return_index=True)[1]] = True
    if model.seen is not None:
        free &= ~model.seen.holds(hashes, extraction.store.pixels(hashes))
    return free
