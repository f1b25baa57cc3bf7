"""Probabilities of an image as means over augmented views of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pydantic

from featx.artifact import Model
from featx.data.augment import STRENGTHS, Augmentation
from featx.errors import ModelError
from featx.extraction import Extraction


def score_augmentation(model: Model) -> Augmentation:
    """What views of new images are made by: as those of the training images, else medium.

    Raises
    ------
    ModelError
        The model's augmentation is not one that this featx makes.
    """
    if model.augmentation is None:
        return STRENGTHS["medium"]
    try:
        return Augmentation.model_validate(model.augmentation)
    except pydantic.ValidationError as error:
        [key, *_] = error.errors()[0]["loc"]
        raise ModelError(
            f"The model's augmentation is not one of this featx's: {key} is "
            f"{model.augmentation.get(str(key))!r}.",
            hint="Leave out --average-views, or pip install --upgrade featx.",
        ) from None


def average_views(
    model: Model,
    extractions: Sequence[Extraction],
    rows: np.ndarray,
    proba: np.ndarray,
    tabular: np.ndarray | None = None,
) -> np.ndarray:
    """Mean of ``proba`` of some images and of those of their views, all alike.

    Parameters
    ----------
    model : Model
    extractions : sequence of Extraction
        Whose embeddings, side by side, the model takes.
    rows : ndarray of shape (n,), int
        Of the manifest.
    proba : ndarray of shape (n, n_classes), float64
        Of the images themselves.
    tabular : ndarray of shape (n, n_columns), float32, optional
        Other columns that the model takes, as `featx.artifact.tabular.side_by_side` gives them.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
    """
    total, n_views = proba, extractions[0].plan.n_views
    for k in range(n_views):
        X = np.hstack([extraction.gather_view(rows, k) for extraction in extractions])
        total = total + model.predict_proba(X, tabular=tabular)
    return total / (1 + n_views)
