"""The learning curve of both models: from how many training images on fine-tuning pays.

Everything that a fine-tune does (the validation part, the frozen model, the training, a search
where one is asked for) is done again on nested random parts of its training images, and both
models predict the images that judge the run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.config import FinetuneConfig
from featx.data.splits import Folds
from featx.data.subsets import joining_order
from featx.errors import FitError
from featx.finetuning.folds import FinetuneContext
from featx.finetuning.guard import PairedChange
from featx.finetuning.outcome import TrainingRecord
from featx.finetuning.results import Judged
from featx.fitting.data import Part
from featx.fitting.held import EvaluationSet, HeldOut
from featx.stats.metrics import metric_name
from featx.types import BoolArray

if TYPE_CHECKING:
    from featx.finetuning import ImageBank

SHARES = 0.125, 0.25, 0.5  # of the training images, besides all of them
FEWEST, FEWEST_A_CLASS = 16, 4  # images of the smallest part


@dataclass(frozen=True)
class SizeChange:
    """What fine-tuning with so many training images does to the images that judge."""

    n_images: int
    change: PairedChange


@dataclass(frozen=True)
class Trainings:
    """What a run trains on.

    Parameters
    ----------
    folds : Folds
    whole : list of ndarray of shape (n,), bool
        Training images of each fold; where the images of another part judge, all, once.
    sizes : list of list of ndarray, optional
        The same for each smaller size of the learning curve, ascending; None where none is asked
        for.
    """

    folds: Folds
    whole: list[BoolArray]
    sizes: list[list[BoolArray]] | None

    @property
    def n_images(self) -> list[int]:
        """Images of each training, in the order in which they are done."""
        masks = [mask for size in self.sizes or [] for mask in size]
        final = self.whole[1:] and [np.ones_like(self.whole[0])]
        return [int(mask.sum()) for mask in [*self.whole, *final, *masks]]


def plan_trainings(
    part: Part, folds: Folds, config: FinetuneConfig, *, judged_once: bool
) -> Trainings:
    """Every training, before the first.

    Those of a learning curve are on nested random parts, stratified, with groups and exact copies
    whole.
    """
    everything = np.ones(len(part), bool)
    whole = [everything] if judged_once else [folds.fold != k for k in range(folds.n_folds)]
    if not config.learning_curve:
        return Trainings(folds, whole, None)
    joinings = []
    for k, mask in enumerate(whole):
        rows, seed = np.flatnonzero(mask), int(config.seed or 0) + k
        joinings.append((rows, joining_order(part.y[rows], part.components[rows], seed=seed)))
    fewest = max(FEWEST, FEWEST_A_CLASS * len(part.classes))
    sizes: dict[tuple[int, ...], list[BoolArray]] = {}
    for share in SHARES:
        chosen = [rows[joining.subset(round(share * len(rows)))] for rows, joining in joinings]
        if min(map(len, chosen)) >= fewest:
            masks = [np.isin(np.arange(len(part)), rows) for rows in chosen]
            sizes[tuple(map(len, chosen))] = masks
    sizes.pop(tuple(int(mask.sum()) for mask in whole), None)
    return Trainings(folds, whole, list(sizes.values()))


def judge_folds(
    context: FinetuneContext, folds: Folds, training: Sequence[BoolArray], label: str = ""
) -> tuple[list[TrainingRecord], Judged]:
    """Each fold predicted by both models, which were trained without it."""
    part = context.part
    proba = {name: np.zeros((len(part), len(part.classes))) for name in ("frozen", "finetuned")}
    records = []
    for fold, mask in enumerate(training):
        rows = folds.fold == fold
        outcome = context.finetune(mask, f"{label}fold {fold + 1} of {folds.n_folds}")
        proba["frozen"][rows], proba["finetuned"][rows] = context.predict(outcome, rows)
        records.append(outcome.record)
    held = {name: HeldOut("oof", part, folds.fold, p) for name, p in proba.items()}
    return records, Judged(**held)


def learning_curve(
    context: FinetuneContext,
    trainings: Trainings,
    judges: tuple[EvaluationSet, ImageBank] | None,
    change: PairedChange,
) -> dict[str, Any]:
    """Both models trained at each size, compared on the images that judge the run.

    Parameters
    ----------
    context : FinetuneContext
    trainings : Trainings
    judges : tuple of EvaluationSet and ImageBank, optional
        The images that judge once; without them each fold is predicted by models trained without
        it.
    change : PairedChange
        Of the run itself, the last point of the curve.

    Returns
    -------
    dict
        JSON, ``finetuning.learning_curve`` of ``results.json``.
    """
    started, notes, points = time.perf_counter(), [], []
    for masks in trainings.sizes or []:
        n = _n_images(masks)
        try:
            judged = _judge(context, masks, trainings.folds, judges, f"{n} images")
        except FitError as error:
            notes.append(f"{n:,} training images were too few: {error.message}")
            continue
        points.append(SizeChange(n, judged.compare(context.config)))
    if not points:
        notes.append("There are too few training images for a learning curve.")
    points.append(SizeChange(_n_images(trainings.whole), change))
    return {
        "images": change.images,
        "sizes": [{"n_images": p.n_images, **p.change.document()} for p in points],
        "notes": notes,
        "summary": [_verdict(points, context.scoring)],
        "elapsed_s": round(time.perf_counter() - started, 3),
    }


def _n_images(masks: Sequence[BoolArray]) -> int:
    """Training images, of several folds their mean."""
    return round(float(np.mean([mask.sum() for mask in masks])))


def _judge(
    context: FinetuneContext,
    masks: Sequence[BoolArray],
    folds: Folds,
    tested: tuple[EvaluationSet, ImageBank] | None,
    label: str,
) -> Judged:
    """What both models of one size say of the images that judge."""
    if tested is None:
        return judge_folds(context, folds, masks, f"{label}, ")[1]
    judges, bank = tested
    part = judges.part
    outcome = context.finetune(masks[0], label)
    there = replace(context, part=part, bank=bank)  # predicts these images, trains on none
    proba = there.predict(outcome, np.ones(len(part), bool))
    return Judged(*(judges.held(p) for p in proba))


def _verdict(points: Sequence[SizeChange], scoring: str) -> str:
    """From how many images on fine-tuning pays.

    An interval above 0 counts, if at every larger size too.
    """
    metric = "negative " * scoring.startswith("neg_") + metric_name(scoring)
    tests = [p.change.score_test for p in points]
    pays = [test is not None and test.low > 0 for test in tests]
    first = max((i + 1 for i, one in enumerate(pays) if not one), default=0)
    n, last = f"{points[-1].n_images:,}", tests[-1]
    if first < len(points) - 1:
        return (
            f"Fine-tuning pays from {points[first].n_images:,} training images on: there and at "
            f"every larger size tried, {metric} rises by more than luck explains."
        )
    if first < len(points):
        fewer = "; with fewer that is not certain" if points[1:] else ""
        return (
            f"Fine-tuning pays with all {n} training images: {metric} rises by more than luck "
            f"explains{fewer}."
        )
    if last is not None and last.high < 0:
        return f"With {n} training images fine-tuning lowers {metric} by more than luck explains."
    return (
        f"With {n} training images the change of {metric} may be luck: no number of images was "
        "found from which on fine-tuning clearly pays."
    )
