"""How far to trust the predictions of the chosen classifier, from its out-of-fold outputs.

Calibration, prediction sets and the out-of-distribution score come from the training images alone.
What they achieve is measured on the evaluation images: the test split, the share held out, or the
folds, each of which then has its thresholds from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx import console
from featx.artifact.calibration import Calibration, Temperature
from featx.artifact.drift import Drift
from featx.artifact.ensemble import scaler_of
from featx.artifact.novelty import Novelty
from featx.artifact.operating import OperatingCurves
from featx.artifact.threshold import Threshold
from featx.artifact.trust import NoveltyLimit, OperatingSample, PredictionSets, Trust, Usual
from featx.config import FitConfig
from featx.fitting.candidates import EnsembleTrial, Trial
from featx.fitting.drift import fit_drift
from featx.fitting.groups import fit_group_answers
from featx.fitting.held import HeldOut, pool
from featx.fitting.refit import Refits
from featx.fitting.rules import Rule
from featx.fitting.search import FoldSearch
from featx.fitting.sets import describe_sets, fit_sets
from featx.fitting.training import fit_scaler, one_blas_thread
from featx.interrupts import workers
from featx.runs.thresholds import describe_threshold
from featx.stats.conformal import fewest_images
from featx.stats.novelty import alarm_limit, fit_spread
from featx.stats.shares import shares
from featx.types import BoolArray, FloatArray


@dataclass(frozen=True)
class FittedTrust:
    """What the model reports about its own predictions, and how well that holds."""

    # Of margins' softmax; None when the head has probabilities or another calibration
    temperature: float | None
    trust: Trust
    novelty: Novelty  # arrays of the out-of-distribution score
    drift: Drift | None  # what new images can be held against; None of too few training images
    operating: OperatingCurves  # what cutoffs are chosen by
    document: dict[str, Any]  # JSON: what was asked, fitted and achieved


@console.stage("Fitting prediction sets and novelty")
def fit_trust(
    search: FoldSearch,
    chosen: Trial,
    held: Sequence[HeldOut],
    refits: Refits,
    calibration: Calibration | None,
    config: FitConfig,
) -> FittedTrust:
    """Fit prediction sets and the out-of-distribution score of the chosen classifier.

    Parameters
    ----------
    search : FoldSearch
        Holds the chosen trial's out-of-fold outputs.
    chosen : Trial
    held : sequence of HeldOut
        Out-of-fold predictions of ``chosen``, then those of the evaluation images, if any.
    refits : Refits
        Asked last for ``chosen`` fitted on all images of the search.
    calibration : Calibration or None
        That of ``chosen``.
    config : FitConfig

    Returns
    -------
    FittedTrust
    """
    out_of_fold, evaluated = held[0], list(held[1:]) or [held[0]]
    sets, sets_document = _prediction_sets(out_of_fold, evaluated, config)
    single = chosen.trials[0] if isinstance(chosen, EnsembleTrial) else chosen  # its best member
    scores = _held_out_scores(search, single)
    X = search.part.embeddings(chosen.setup.backbones)
    sample, drift = fit_drift(X, search.part, out_of_fold, seed=config.seed)
    pipeline = refits(chosen)
    first = pipeline.members[0].heads[0] if isinstance(chosen, EnsembleTrial) else pipeline
    limit, novelty, novelty_document = _novelty(search, single, first, scores, evaluated, config)
    kept, temperature = _kept_calibration(calibration, pipeline)
    rule, y, proba = search.settings.rule, out_of_fold.part.y, out_of_fold.proba
    decision = None if rule is None else rule.fit(y, proba)
    usual = usual_rates(out_of_fold, sets, scores > limit.limit, config)
    groups = fit_group_answers(out_of_fold, config)
    operating = OperatingSample(images=len(y))
    trust = Trust(calibration=kept, decision=decision, sets=sets, novelty=limit, drift=sample)
    trust = trust.model_copy(update={"usual": usual, "operating": operating, "groups": groups})
    return FittedTrust(
        temperature,
        trust,
        novelty,
        drift,
        OperatingCurves.of(y, proba),
        {
            "calibration": {
                "asked": config.calibrate,
                "method": "none" if calibration is None else calibration.method,
            },
            "decision": _achieved(rule, decision, evaluated, config.seed),
            "prediction_sets": sets_document,
            "novelty": novelty_document,
        },
    )  # fmt: skip


def _kept_calibration(
    calibration: Calibration | None, pipeline: Any
) -> tuple[Calibration | None, float | None]:
    """What goes into ``trust``; the temperature of margins has a place of its own in a model."""
    if isinstance(calibration, Temperature) and not hasattr(pipeline, "predict_proba"):
        return None, calibration.temperature
    return calibration, None


def _achieved(
    rule: Rule | None, decision: Any, evaluated: Sequence[HeldOut], seed: int
) -> dict[str, Any] | None:
    """What the rule's decisions achieve on the evaluation images, as JSON."""
    if rule is None:
        return None
    pooled = pool(evaluated)
    if isinstance(rule, Threshold):
        return describe_threshold(rule, decision.cutoff, pooled, seed=seed).document()
    likeliest = pooled.proba.argmax(axis=1)
    how = {"seed": seed, "n_folds": pooled.n_folds}
    return rule.achieved(pooled.y, pooled.y_pred, likeliest, pooled.units, **how)


def _prediction_sets(
    out_of_fold: HeldOut, evaluated: Sequence[HeldOut], config: FitConfig
) -> tuple[PredictionSets, dict[str, Any]]:
    """Thresholds from all out-of-fold predictions, and what such thresholds achieve."""
    fitted = fit_sets(out_of_fold.part.y, out_of_fold.proba, config)
    each = [_sets_of(held, fitted, config) for held in evaluated]
    inside, abstained = (np.concatenate(parts) for parts in zip(*each, strict=True))
    part, pooled = out_of_fold.part, pool(evaluated)
    counts = np.bincount(out_of_fold.part.y, minlength=len(part.classes))
    few = (config.coverage_over == "classes") & (counts < fewest_images(config.coverage))
    achieved = describe_sets(
        inside,
        abstained,
        pooled.y,
        pooled.y_pred == pooled.y,
        part.classes,
        pooled.units,
        seed=config.seed,
        n_folds=pooled.n_folds,
    )
    return fitted, {
        "coverage": config.coverage,
        "over": config.coverage_over,
        "method": config.sets,
        "pooled_classes": [part.classes[c] for c in np.flatnonzero(few)],
        **achieved,
    }


def usual_rates(
    held: HeldOut, sets: PredictionSets, flagged: BoolArray, config: FitConfig
) -> Usual:
    """How often images like the training images are abstained from and flagged.

    Parameters
    ----------
    held : HeldOut
        Training images, predicted by classifiers that were not fitted on them. Of folds, each has
        its sets by the thresholds of the others.
    sets : PredictionSets
    flagged : ndarray of shape (n_flagged,), bool
        Whether each of some held-out images is beyond the limit of the out-of-distribution score.
    config : FitConfig
    """
    abstained = _sets_of(held, sets, config)[1]
    return Usual(
        images=held.part.n_units,
        abstained=float(abstained.mean()),
        ood=float(flagged.mean()),
    )


def _sets_of(
    held: HeldOut, fitted: PredictionSets, config: FitConfig
) -> tuple[BoolArray, BoolArray]:
    """Sets, and who abstains; of a fold by the other folds' thresholds, else by ``fitted``."""
    inside = np.zeros(held.proba.shape, bool)
    abstained = np.zeros(len(inside), bool)
    for fold in np.unique(held.fold):
        rows, sets = held.fold == fold, fitted
        if fold >= 0:  # thresholds for a fold come from the others, as those for new images do
            sets = fit_sets(held.part.y[~rows], held.proba[~rows], config)
        predictions = held.proba[rows], held.y_pred[rows]
        inside[rows], abstained[rows] = sets.sets(*predictions), sets.abstains(*predictions)
    return inside, abstained


def _novelty(
    search: FoldSearch,
    chosen: Trial,
    pipeline: Any,
    scores: FloatArray,
    evaluated: Sequence[HeldOut],
    config: FitConfig,
) -> tuple[NoveltyLimit, Novelty, dict[str, Any]]:
    """The score, its limit from ``scores`` of held-out folds, and how often it raises false alarms.

    It is that of standardised embeddings, before any PCA: what sets an image apart may lie in the
    directions that PCA drops, since the training images hardly differ there.
    """
    X, y = search.part.embeddings(chosen.setup.backbones), search.part.y
    with one_blas_thread():
        standardise = scaler_of(pipeline)
        novelty = Novelty(*fit_spread(standardise(X), y, seed=config.seed))
    limit = alarm_limit(scores, config.ood_rate)
    part = evaluated[0].part
    whole = evaluated[0].whole or evaluated[0]
    if whole.part is search.part:
        fold = search.data.fold
        limits = [alarm_limit(scores[fold != f], config.ood_rate) for f in range(fold.max() + 1)]
        alarms = scores > np.array(limits)[fold]
        alarms = alarms if evaluated[0].rows is None else alarms[evaluated[0].rows]
    else:
        tested = part.embeddings(chosen.setup.backbones)
        alarms = novelty.scores(standardise(tested)) > limit
    return (
        NoveltyLimit(rate=config.ood_rate, limit=limit),
        novelty,
        {
            "method": "mahalanobis",
            "rate": config.ood_rate,
            "limit": limit,
            "typical": float(np.median(scores)),
            "false_alarms": shares(
                [(alarms, np.ones(len(alarms), bool))],
                part.components,
                seed=config.seed,
                n_folds=evaluated[0].n_folds,
            )[0],
        },
    )


def _held_out_scores(search: FoldSearch, chosen: Trial) -> FloatArray:
    """Score of each image by the images of the other folds, each with its own scaler.

    Embeddings are scaled as in the pipeline, whose scores the limit is for. Views take part in the
    scaler too, but not in the spread of images.
    """
    setup, part, y = replace(chosen.setup, tabular=()), search.part, search.part.y
    X, widths = part.embeddings(setup.backbones), part.widths(setup.backbones)
    scores = np.zeros(len(y))

    def score(fold: int) -> None:
        tested = search.data.fold == fold
        seen, _, _ = part.examples(setup, ~tested)
        scaler = fit_scaler(seen, widths, scaled=setup.scaled)
        spread = fit_spread(scaler.transform(X[~tested]), y[~tested], seed=search.settings.seed)
        scores[tested] = Novelty(*spread).scores(scaler.transform(X[tested]))

    with one_blas_thread(), workers(search.executor.jobs) as pool:
        list(pool.map(score, range(search.data.n_folds)))
    return scores
