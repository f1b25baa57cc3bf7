"""Shares of images that something is true of, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.stats.bootstrap import draw_units, interval, training_stretch
from featx.stats.ranking import ratio
from featx.types import AnyArray, BoolArray, IntArray


def shares(
    pairs: Sequence[tuple[AnyArray, BoolArray]],
    units: IntArray,
    *,
    seed: int,
    n_folds: int | None = None,
    proportion: bool = True,
) -> list[dict[str, float | None]]:
    """Share of some images that are a hit, for each pair of masks.

    Parameters
    ----------
    pairs : sequence of (hit, among)
        Arrays of shape (n,); ``among`` are truth values, ``hit`` too or numbers to be averaged.
    units : ndarray of shape (n,), int64
        What is drawn with replacement, numbered from 0, as `featx.stats.intervals` takes it.
    seed : int
    n_folds : int, optional
        Folds, where the hits are of cross-validated predictions; see
        `featx.stats.bootstrap.training_stretch`.
    proportion : bool, default True
        The hits are truth values; see `featx.stats.bootstrap.interval`.

    Returns
    -------
    list of dict
        ``value``, ``low`` and ``high`` of the 95 % interval; None where it is not defined.
    """
    hits = np.column_stack([np.bincount(units, weights=hit * among) for hit, among in pairs])
    sizes = np.column_stack([np.bincount(units, weights=among) for _, among in pairs])
    samples = np.concatenate(
        [ratio(draws @ hits, draws @ sizes) for draws in draw_units(len(sizes), seed)]
    )
    values = ratio(hits.sum(axis=0), sizes.sum(axis=0))
    limits = (0.0, 1.0) if proportion else (-np.inf, np.inf)
    how: dict[str, Any] = {"proportion": proportion, "limits": limits}
    return [
        interval(value, drawn, int((size > 0).sum()), stretch=training_stretch(n_folds), **how)
        for value, drawn, size in zip(values, samples.T, sizes.T, strict=True)
    ]
