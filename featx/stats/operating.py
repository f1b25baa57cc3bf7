"""What a cutoff achieves on images that played no part in choosing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.stats.bootstrap import N_RESAMPLES, draw_units, interval, training_stretch
from featx.stats.ranking import ratio
from featx.stats.thresholds import ALARMS_PER, Levels
from featx.types import BoolArray, Float32Array, FloatArray, IntArray

RATES = ("recall", "precision", "false_alarms", "specificity", "npv")
MOST_CELLS = 50_000_000  # resamples x units in memory: 200 MB
MOST_PRODUCTS = 4_000_000_000  # multiplications: a second
LEAST_RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Predictions for images that the predicting classifier was not fitted on.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    proba : ndarray of shape (n, n_classes), float64
    y_pred : ndarray of shape (n,), int64
        Predicted classes.
    units : ndarray of shape (n,), int64
        What is drawn together, numbered from 0.
    fold : ndarray of shape (n,), int64
        -1 where one classifier predicts all.
    repeat : ndarray of shape (n,), int64
        Which of several predictions of the same images.
    """

    y: IntArray
    proba: FloatArray
    y_pred: IntArray
    units: IntArray
    fold: IntArray
    repeat: IntArray

    @property
    def n_repeats(self) -> int:
        """Predictions of each image."""
        return int(self.repeat.max()) + 1

    @property
    def n_folds(self) -> int | None:
        """Folds, each predicted by another classifier; None where one predicted all."""
        return int(self.fold[self.repeat == 0].max()) + 1 or None

    def parts(self) -> Sequence[tuple[BoolArray, BoolArray | None]]:
        """Images of each fold, and those that their cutoff may be chosen on.

        The other folds of the same partition; None where it was chosen on other images than these.
        """
        pairs = sorted(set(zip(self.repeat.tolist(), self.fold.tolist(), strict=True)))
        return [
            (
                (self.repeat == r) & (self.fold == f),
                (self.repeat == r) & (self.fold != f) if f >= 0 else None,
            )
            for r, f in pairs
        ]


def called(
    evaluated: Evaluated, column: int, choose: Callable[[Levels], float], chosen: float
) -> BoolArray:
    """Which images are decided to be of a class, shape (n,).

    Parameters
    ----------
    evaluated : Evaluated
    column : int
    choose : callable
        A cutoff from the images that it may be chosen on: that of a fold comes from the others.
    chosen : float
        The cutoff where it was chosen on other images than these.
    """
    own, proba = evaluated.y == column, evaluated.proba[:, column]
    found = np.zeros(len(own), bool)
    for rows, others in evaluated.parts():
        cutoff = chosen if others is None else choose(Levels.of(own[others], proba[others]))
        found[rows] = proba[rows] >= cutoff
    return found


class Resamples:
    """Draws of units, the same for every class and cutoff.

    Parameters
    ----------
    units : ndarray of shape (n,), int64
    seed : int
    n_columns : int
        How many counts will be asked for; of many, fewer resamples are drawn.
    """

    def __init__(self, units: IntArray, *, seed: int, n_columns: int) -> None:
        self.units, self.n_units = units, int(units.max()) + 1
        wanted = MOST_PRODUCTS // max(self.n_units * n_columns, 1)
        n = min(max(wanted, LEAST_RESAMPLES), max(MOST_CELLS // self.n_units, 1), N_RESAMPLES)
        blocks: list[Float32Array] = []
        for block in draw_units(self.n_units, seed):
            blocks.append(block[: n - sum(map(len, blocks))].astype(np.float32))
            if sum(map(len, blocks)) >= n:
                break
        self.draws = np.concatenate(blocks)

    def __len__(self) -> int:
        return len(self.draws)

    def counts(self, masks: Sequence[BoolArray]) -> tuple[FloatArray, IntArray]:
        """Images of each mask.

        In all and in each resample, shape (n_resamples + 1, n_masks), and how many units have any.
        """
        sums = np.column_stack([np.bincount(self.units[m], minlength=self.n_units) for m in masks])
        drawn = self.draws @ sums.astype(np.float32)
        return np.vstack([sums.sum(axis=0), drawn]).astype(float), (sums > 0).sum(axis=0)


def describe_calls(
    resamples: Resamples,
    own: BoolArray,
    calls: Sequence[BoolArray],
    *,
    n_folds: int | None,
    prevalence: float | None = None,
) -> list[dict[str, Any]]:
    """Rates of decisions for a class against the rest, with 95 % intervals.

    Parameters
    ----------
    resamples : Resamples
    own : ndarray of shape (n,), bool
        Images of the class.
    calls : sequence of ndarray of shape (n,), bool
        Images that are decided to be of it, one array a cutoff.
    n_folds : int, optional
        See `featx.stats.bootstrap.training_stretch`.
    prevalence : float, optional
        Share of the class among images that the rates are to be of; by default its share of these.

    Returns
    -------
    list of dict
        ``recall`` (sensitivity), ``precision`` (positive predictive value), ``false_alarms`` in
        1,000 images, ``specificity`` and ``npv`` (negative predictive value), each ``value``,
        ``low`` and ``high``; None where it is not defined.

    References
    ----------
    Predictive values at another prevalence, by Bayes' theorem: Altman and Bland, "Diagnostic tests
    2: predictive values", BMJ 309, 1994.
    """
    masks = [own, ~own]
    for call in calls:
        masks += [call & own, call & ~own, ~call]
    counts, with_any = resamples.counts(masks)
    n_own, n_rest = counts[:, 0], counts[:, 1]
    found = []
    for k in range(2, len(masks), 3):
        hits, alarms = counts[:, k], counts[:, k + 1]
        rates = _rates(hits, alarms, n_own, n_rest, prevalence)
        n_called = int(np.count_nonzero(np.bincount(resamples.units[masks[k] | masks[k + 1]])))
        rests_on = (with_any[0], n_called, with_any[1], with_any[1], with_any[k + 2])
        if prevalence is None:
            rests_on = (*rests_on[:2], resamples.n_units, *rests_on[3:])
        row = {
            name: interval(values[0], values[1:], int(n), proportion=True,
                           stretch=training_stretch(n_folds))
            for (name, values), n in zip(rates.items(), rests_on, strict=True)
        }  # fmt: skip
        per = _per(prevalence)
        row["false_alarms"] = {
            end: None if value is None else per * value
            for end, value in row["false_alarms"].items()
        }
        found.append(row)
    return found


def rates_of(
    hits: int, alarms: int, n_own: int, n_rest: int, prevalence: float | None
) -> dict[str, float | None]:
    """The rates of `describe_calls`, from counts alone."""
    counts = [np.array([float(n)]) for n in (hits, alarms, n_own, n_rest)]
    rates = _rates(counts[0], counts[1], counts[2], counts[3], prevalence)
    found = {name: float(value[0]) for name, value in rates.items()}
    found["false_alarms"] *= _per(prevalence)
    return {name: None if np.isnan(value) else value for name, value in found.items()}


def _per(prevalence: float | None) -> float:
    """False alarms in 1,000 images, of a share of all images or at a prevalence of the rest."""
    return ALARMS_PER * (1.0 if prevalence is None else 1 - prevalence)


def _rates(
    hits: FloatArray,
    alarms: FloatArray,
    n_own: FloatArray,
    n_rest: FloatArray,
    prevalence: float | None,
) -> dict[str, FloatArray]:
    """Rates of counts; false alarms as a share of all images, or at a prevalence of the rest."""
    of_class = of_rest = np.ones_like(hits)  # the weight of an image
    if prevalence is not None:
        of_class, of_rest = (
            ratio(np.full_like(hits, share), n)
            for share, n in ((prevalence, n_own), (1 - prevalence, n_rest))
        )
    right, wrong = hits * of_class, alarms * of_rest
    missed, passed = (n_own - hits) * of_class, (n_rest - alarms) * of_rest
    return {
        "recall": ratio(hits, n_own),
        "precision": ratio(right, right + wrong),
        "false_alarms": ratio(alarms, n_own + n_rest if prevalence is None else n_rest),
        "specificity": ratio(n_rest - alarms, n_rest),
        "npv": ratio(passed, passed + missed),
    }
