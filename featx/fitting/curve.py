"""The learning curve: the chosen candidate trained on fewer images, and what more would add.

Every fold of the search is predicted by the chosen trial, at its chosen parameters, trained on
nested random subsets of the fold's training part: stratified, with groups and exact copies whole,
several draws of each size. The largest size is the search's own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx import console
from featx.data.subsets import Joining, joining_order
from featx.fitting.candidates import EnsembleTrial, Trial
from featx.fitting.ensemble_search import fold_shares
from featx.fitting.executors import ClusterExecutor
from featx.fitting.search import FoldSearch, defined_mean
from featx.fitting.training import (
    Outputs,
    RefusedError,
    one_blas_thread,
    prepare,
    project,
    score_trials,
)
from featx.interrupts import workers
from featx.stats.bootstrap import interval, training_stretch
from featx.stats.intervals import resampled_curves
from featx.stats.learning import Curve, describe_growth, draw_noise
from featx.stats.metrics import fold_score
from featx.stats.ranking import ratio
from featx.types import FloatArray, IntArray

DRAWS = 3
MOST_SIZES = 6
NARROWEST = 0.4  # doublings between two sizes
FEWEST_IMAGES = 8
FEWEST_COMPONENTS = 4
CHOSEN_HERE = (
    "The learning curve uses the folds that candidates were selected on, so its levels are too "
    "high on average: report the estimate, and read from the curve what more images change."
)
UNBOUNDED = "neg_log_loss"  # the one score whose best is 0 and not 1


@dataclass(frozen=True)
class Size:
    """One number of training images: how the chosen trial does with it."""

    n_images: float  # trained on, mean over folds and draws
    n_components: float
    n_draws: int
    # shape (n_classes,); training images of each class, mean over folds and draws
    by_class: FloatArray
    scores: dict[str, float]  # by name, the score as the search averages it, and its resamples
    samples: dict[str, FloatArray]
    recalls: FloatArray  # shape (n_classes,)
    recall_samples: FloatArray  # shape (n_resamples, n_classes)


def learning_curve(search: FoldSearch, chosen: Trial, *, free: bool = False) -> dict[str, Any]:
    """Scores of ``chosen`` by the number of training images, what more would add, and by class.

    Parameters
    ----------
    search : FoldSearch
        Holds the outputs of ``chosen`` for every fold.
    chosen : Trial
        Tried with its own parameters at every size: they were chosen at the largest one.
    free : bool, default False
        Nothing was chosen on these folds.

    Returns
    -------
    dict
        JSON, the ``learning_curve`` of ``results.json``; see ``docs/fit.md``. The same whatever
        ``jobs`` is, but for ``elapsed_s``.
    """
    started = time.perf_counter()
    notes: list[str] = []
    if isinstance(search.executor, ClusterExecutor):
        notes.append("The learning curve was computed on this machine.")
    if not free:
        notes.append(CHOSEN_HERE)
    if search.settings.rule is not None:
        notes.append("The learning curve scores the likeliest class, without thresholds or costs.")
    joinings = _joinings(search)
    shares = _shares(search, joinings)
    scorings = list(dict.fromkeys([search.settings.scoring, "accuracy"]))
    sizes: list[Size] = []
    total = len(joinings) * DRAWS * (len(shares) - 1)
    with one_blas_thread(), console.progress(total, "Learning curve") as bar:
        for share in shares:
            try:
                sizes.append(_size(search, chosen, joinings, share, scorings, bar))
            except RefusedError as error:
                notes.append(f"{share:.3g} of the training images were too few: {error.message}")
    return {
        **_method(search, scorings),
        "sizes": [_size_document(search, size) for size in sizes],
        "growth": {
            name: describe_growth(
                _curve(search, sizes, name), n_now=len(search.part), seed=search.settings.seed
            )
            for name in scorings
        },
        "classes": _classes(search, sizes),
        "notes": notes,
        "elapsed_s": round(time.perf_counter() - started, 3),
    }


def _method(search: FoldSearch, scorings: Sequence[str]) -> dict[str, Any]:
    """How the curve was made."""
    part, n_folds = search.part, search.data.n_folds
    return {
        "method": (
            f"the chosen candidate, with the parameters chosen on all images, trained on {DRAWS} "
            f"nested stratified subsets of each of {n_folds} folds' training images and tested on "
            "the whole fold"
        ),
        "interval": (
            f"95 % bootstrap over {part.n_units} {part.unit} and over draws, "
            f"{training_stretch(n_folds):.2f} times as wide for {n_folds} training sets"
        ),
        "scorings": list(scorings),
        "n_images": len(part),
        "n_groups": part.n_groups,
        "n_folds": n_folds,
        "draws": DRAWS,
    }


def _joinings(search: FoldSearch) -> list[list[Joining]]:
    """For each fold the order in which its training images join, once a draw."""
    part = search.part
    drawn = []
    for held in search.data.single:
        rows = search.data.training(held)
        y, components = part.y[rows], part.components[rows]
        # a seed of its own for every fold and draw, none a neighbour of another
        seeds = np.random.SeedSequence([search.settings.seed, *held]).generate_state(DRAWS)
        drawn.append([joining_order(y, components, seed=int(seed)) for seed in seeds])
    return drawn


def _shares(search: FoldSearch, joinings: Sequence[Sequence[Joining]]) -> list[float]:
    """Shares of the training images to train on, ascending, the last one 1.

    Each is half the next or, where that gives few sizes, up to 0.76 of it; the smallest holds
    every class, and some images or groups.
    """
    part = search.part
    n = min(int(search.data.training(held).sum()) for held in search.data.single)
    smallest = max(
        FEWEST_IMAGES,
        2 * len(part.classes),
        FEWEST_COMPONENTS * len(part) / part.n_units,
        *(joining.least for fold in joinings for joining in fold),
    )
    span = np.log2(max(n / smallest, 1.0))
    step = float(np.clip(span / (MOST_SIZES - 1), NARROWEST, 1.0))
    n_steps = min(int(span / step + 1e-9), MOST_SIZES - 1)
    return [2 ** (-step * i) for i in range(n_steps, -1, -1)]


def _size(
    search: FoldSearch,
    chosen: Trial,
    joinings: Sequence[Sequence[Joining]],
    share: float,
    scorings: Sequence[str],
    bar: console.Progress,
) -> Size:
    """Train on ``share`` of the images in every fold and draw, and evaluate the predictions.

    Raises
    ------
    RefusedError
        The sampler or the head cannot work on some of the subsets.
    """
    part, n_folds = search.part, search.data.n_folds
    n_draws = 1 if share == 1 else DRAWS
    proba = np.zeros((n_draws, len(part), len(part.classes)))
    trained = np.zeros((n_draws, n_folds, len(part.classes)))
    components = np.zeros((n_draws, n_folds))

    def work(fold: int, draw: int) -> None:
        rows = np.flatnonzero(search.data.training((fold,)))
        rows = rows[joinings[fold][draw].subset(round(share * len(rows)))]
        trained[draw, fold] = np.bincount(part.y[rows], minlength=len(part.classes))
        components[draw, fold] = len(np.unique(part.components[rows]))
        proba[draw, search.data.fold == fold] = _predict(search, chosen, fold, rows, share)

    with workers(search.executor.jobs) as pool:
        tasks = [
            pool.submit(work, fold, draw) for fold in range(n_folds) for draw in range(n_draws)
        ]
        for task in tasks:
            task.result()
            bar.advance(share < 1)
    return _evaluate(search, proba, trained, components, scorings)


def _predict(
    search: FoldSearch, chosen: Trial, fold: int, rows: IntArray, share: float
) -> FloatArray:
    """Predictions of ``chosen``, trained on ``rows``, for a fold; known already for all its images.

    An ensemble's members are; they are combined as they are with all training images.
    """
    if share == 1:
        return search.outputs(chosen, fold).probabilities()
    if not isinstance(chosen, EnsembleTrial):
        return _outputs(search, chosen, fold, rows).probabilities()
    outputs = {trial: _outputs(search, trial, fold, rows) for trial in chosen.trials}
    shares, n_classes = fold_shares(search, chosen, fold), len(search.part.classes)
    return shares.combine(chosen, outputs.__getitem__, n_classes).probabilities()


def _outputs(search: FoldSearch, trial: Trial, fold: int, rows: IntArray) -> Outputs:
    part, seed, device = search.part, search.settings.seed, search.settings.device
    projected = project(part, np.isin(np.arange(len(part)), rows), trial, seed=seed)
    prepared = prepare(projected, trial, seed=seed, device=device)
    tested = part.inputs(trial.setup, search.data.fold == fold)
    results = score_trials([trial], prepared, [tested], len(part.classes), seed=seed)
    outputs, _ = next(results)
    return outputs[0]


def _evaluate(
    search: FoldSearch,
    proba: FloatArray,
    trained: FloatArray,
    components: FloatArray,
    scorings: Sequence[str],
) -> Size:
    """Scores and recalls of one size, and their resamples over tested units and over draws."""
    part, n_draws = search.part, len(proba)
    y, units = np.tile(part.y, n_draws), np.tile(part.components, n_draws)
    pooled = proba.reshape(-1, len(part.classes))
    samples, recall_samples = resampled_curves(
        scorings, y, pooled, units, seed=search.settings.seed
    )
    scores = {}
    for name in scorings:
        by_fold = _fold_scores(search, proba, name)
        scores[name] = defined_mean(by_fold.mean(axis=0))
        defined = np.asarray(~np.isnan(by_fold).any(axis=0))
        # each fold where all draws have a score counts the same, as in the mean above
        weights = defined[:, None] / max(defined.sum(), 1)
        noise = draw_noise(
            by_fold[..., None], weights, len(samples[name]), seed=search.settings.seed
        )
        # resamples are of pooled predictions; the curve's points are means over folds
        shift = scores[name] - fold_score(name, y, pooled)
        samples[name] = samples[name] + shift + noise[:, 0]
    recalls, noise = _recalls(search, proba, len(recall_samples))
    return Size(
        n_images=float(trained.sum(axis=2).mean()),
        n_components=float(components.mean()),
        n_draws=n_draws,
        by_class=trained.mean(axis=(0, 1)),
        scores=scores,
        samples=samples,
        recalls=recalls,
        recall_samples=recall_samples + noise,
    )


def _fold_scores(search: FoldSearch, proba: FloatArray, scoring: str) -> FloatArray:
    """Score of every draw in every fold, shape (n_draws, n_folds)."""
    tested = [search.data.fold == fold for fold in range(search.data.n_folds)]
    y = search.part.y
    return np.array([[fold_score(scoring, y[rows], p[rows]) for rows in tested] for p in proba])


def _recalls(
    search: FoldSearch, proba: FloatArray, n_resamples: int
) -> tuple[FloatArray, FloatArray]:
    """Recall of each class over all folds, and what other draws would have changed."""
    y, fold = search.part.y, search.data.fold
    shape = (search.data.n_folds, len(search.part.classes))
    hits = np.array([_count(y, fold, p.argmax(axis=1), shape) for p in proba])
    true = _count(y, fold, y, shape)
    weights = true / np.maximum(true.sum(axis=0), 1.0)
    noise = draw_noise(
        hits / np.maximum(true, 1.0), weights, n_resamples, seed=search.settings.seed
    )
    return ratio(hits.mean(axis=0).sum(axis=0), true.sum(axis=0)), noise


def _count(y: IntArray, fold: IntArray, y_pred: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Images predicted right by (fold, class), of that ``shape``."""
    right = np.flatnonzero(y_pred == y)
    counts = np.zeros(shape)
    np.add.at(counts, (fold[right], y[right]), 1.0)
    return counts


def _curve(search: FoldSearch, sizes: Sequence[Size], name: str) -> Curve:
    """One score over all sizes."""
    n_resamples = min((len(size.samples[name]) for size in sizes), default=0)
    return Curve(
        sizes=np.array([size.n_images for size in sizes]),
        values=np.array([size.scores[name] for size in sizes]),
        samples=np.column_stack([size.samples[name][:n_resamples] for size in sizes]),
        best=0.0 if name == UNBOUNDED else 1.0,
        n_units=search.part.n_units,
        stretch=training_stretch(search.data.n_folds),
    )


def _size_document(search: FoldSearch, size: Size) -> dict[str, Any]:
    """One size as JSON."""
    metrics = {}
    for name in size.scores:
        curve = _curve(search, [size], name)
        limits = (-np.inf if name == UNBOUNDED else 0.0, curve.best)
        metrics[name] = curve.interval(curve.values[0], curve.samples[:, 0], limits)
    return {
        "n_images": round(size.n_images),
        "n_groups": None if search.part.groups is None else round(size.n_components),
        "draws": size.n_draws,
        "metrics": metrics,
    }


def _classes(search: FoldSearch, sizes: Sequence[Size]) -> list[dict[str, Any]]:
    """For each class its images, its recall, and what more of its images would add to that."""
    part, stretch = search.part, training_stretch(search.data.n_folds)
    recalls = np.array([size.recalls for size in sizes])
    samples = np.array([size.recall_samples for size in sizes])
    trained = np.array([size.by_class for size in sizes])
    rows = []
    for c, name in enumerate(part.classes):
        own = part.y == c
        n_units = len(np.unique(part.components[own]))
        own_samples = samples[:, :, c].T
        own_samples = own_samples[~np.isnan(own_samples).any(axis=1)]
        curve = Curve(trained[:, c], recalls[:, c], own_samples, 1.0, n_units, stretch)
        last = interval(
            recalls[-1, c], own_samples[:, -1], n_units, proportion=True, stretch=stretch
        )
        by_size = zip(trained[:, c].round(1).tolist(), recalls[:, c].tolist(), strict=True)
        rows.append(
            {
                "class": name,
                "n_images": int(own.sum()),
                "recall": last,
                "growth": describe_growth(curve, n_now=int(own.sum()), seed=search.settings.seed),
                "by_size": [{"n_images": n, "recall": recall} for n, recall in by_size],
            }
        )
    return rows
