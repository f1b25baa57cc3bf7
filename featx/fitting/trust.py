"""How far to trust the answers of the chosen classifier, fitted on its out-of-fold outputs.

Calibration, prediction sets and the out-of-distribution score come from the training images alone.
What they achieve is measured on the images that judge: the test split, what was held out, or the
folds, each of which then has its thresholds from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.calibration import Calibration, Temperature
from featx.artifact.conformity import conformities
from featx.artifact.drift import Drift
from featx.artifact.novelty import Novelty
from featx.artifact.trust import NoveltyLimit, PredictionSets, Trust
from featx.config import FitConfig
from featx.fitting.candidates import Ensemble, Trial
from featx.fitting.drift import fit_drift
from featx.fitting.rules import Rule
from featx.fitting.search import FoldSearch
from featx.fitting.training import one_blas_thread
from featx.interrupts import workers
from featx.stats.conformal import fewest_images, set_thresholds
from featx.stats.novelty import alarm_limit, fit_spread
from featx.stats.shares import shares

if TYPE_CHECKING:
    from featx.fitting.estimate import Held
    from featx.fitting.refit import Refits

__all__ = ["FittedTrust", "fit_trust"]

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FittedTrust:
    """What the model says of its own answers, and how well it does.

    Parameters
    ----------
    temperature : float or None
        Of margins' softmax; None when the head has probabilities or another calibration.
    trust : Trust
    novelty : Novelty
        Arrays of the out-of-distribution score.
    drift : Drift or None
        What new images can be held against; None of too few training images.
    document : dict
        JSON: what was asked, fitted and achieved.
    """

    temperature: float | None
    trust: Trust
    novelty: Novelty
    drift: Drift | None
    document: dict[str, Any]


def fit_trust(
    search: FoldSearch,
    chosen: Trial,
    held: Sequence[Held],
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
    held : sequence of Held
        Out-of-fold predictions of ``chosen``, then those of the images that judge, if any.
    refits : Refits
        Asked last for ``chosen`` fitted on all images of the search, so that fitting it may take
        its time meanwhile.
    calibration : Calibration or None
        That of ``chosen``.
    config : FitConfig

    Returns
    -------
    FittedTrust
    """
    oof, judged = held[0], list(held[1:]) or [held[0]]
    sets, sets_document = _prediction_sets(oof, judged, config)
    single = chosen.members[0] if isinstance(chosen, Ensemble) else chosen  # its best voice
    scores = _held_out_scores(search, single)
    X = search.part.embeddings(chosen.setup.backbone)
    sample, drift = fit_drift(X, search.part, oof, seed=config.seed)
    pipeline = refits(chosen)
    first = pipeline.members[0].heads[0] if isinstance(chosen, Ensemble) else pipeline
    limit, novelty, novelty_document = _novelty(search, single, first, scores, judged, config)
    kept, temperature = calibration, None
    if isinstance(calibration, Temperature) and not hasattr(pipeline, "predict_proba"):
        kept, temperature = None, calibration.temperature
    rule = search.rule
    decision = None if rule is None else rule.fit(oof.part.y, oof.probabilities)
    return FittedTrust(
        temperature,
        Trust(calibration=kept, decision=decision, sets=sets, novelty=limit, drift=sample),
        novelty,
        drift,
        {
            "calibration": {
                "asked": config.calibrate,
                "method": "none" if calibration is None else calibration.method,
            },
            "decision": None if rule is None else _achieved(rule, judged, config.seed),
            "prediction_sets": sets_document,
            "novelty": novelty_document,
        },
    )


def _achieved(rule: Rule, judged: Sequence[Held], seed: int) -> Any:
    """What the rule's decisions achieve on the images that judge."""
    part, repeats = judged[0].part, len(judged)
    return rule.achieved(
        np.tile(part.y, repeats),
        np.concatenate([held.predicted for held in judged]),
        np.concatenate([held.probabilities.argmax(axis=1) for held in judged]),
        np.tile(part.components, repeats),
        seed=seed,
        n_folds=judged[0].n_folds,
    )


def _prediction_sets(
    oof: Held, judged: Sequence[Held], config: FitConfig
) -> tuple[PredictionSets, dict[str, Any]]:
    """Thresholds from all out-of-fold predictions, and what such thresholds achieve."""
    fitted = _fit_sets(oof.part.y, oof.probabilities, config)
    each = [_sets_of(held, fitted, config) for held in judged]
    inside, abstained = (np.concatenate(parts) for parts in zip(*each, strict=True))
    part, repeats = judged[0].part, len(judged)
    y, size = np.tile(part.y, repeats), inside.sum(axis=1)
    covered = inside[np.arange(len(y)), y]
    right = np.concatenate([held.predicted for held in judged]) == y
    everyone = np.ones(len(y), bool)
    achieved = shares(
        [(covered, everyone), (abstained, everyone), (right, ~abstained)]
        + [(covered, y == c) for c in range(len(part.classes))],
        np.tile(part.components, repeats),
        seed=config.seed,
        n_folds=judged[0].n_folds,
    )
    counts = np.bincount(oof.part.y, minlength=len(part.classes))
    few = (config.coverage_over == "classes") & (counts < fewest_images(config.coverage))
    return fitted, {
        "coverage": config.coverage,
        "over": config.coverage_over,
        "method": config.sets,
        "pooled_classes": [part.classes[c] for c in np.flatnonzero(few)],
        "covered": achieved[0],
        "abstained": achieved[1],
        "accuracy_of_the_others": achieved[2],
        "mean_size": float(size.mean()),
        "covered_by_class": dict(zip(part.classes, achieved[3:], strict=True)),
    }


def _fit_sets(y: NDArray[np.int64], probabilities: Float, config: FitConfig) -> PredictionSets:
    thresholds = set_thresholds(
        y,
        conformities(config.sets, probabilities),
        coverage=config.coverage,
        over=config.coverage_over,
    )
    return PredictionSets(
        coverage=config.coverage,
        over=config.coverage_over,
        thresholds=thresholds.tolist(),
        method=config.sets,
    )


def _sets_of(held: Held, fitted: PredictionSets, config: FitConfig) -> tuple[Mask, Mask]:
    """Sets, and who abstains; of a fold by the other folds' thresholds, else by ``fitted``."""
    inside = np.zeros(held.probabilities.shape, bool)
    abstained = np.zeros(len(inside), bool)
    for fold in np.unique(held.fold):
        rows, sets = held.fold == fold, fitted
        if fold >= 0:
            sets = _fit_sets(held.part.y[~rows], held.probabilities[~rows], config)
        said = held.probabilities[rows], held.predicted[rows]
        inside[rows], abstained[rows] = sets.sets(*said), sets.abstains(*said)
    return inside, abstained


def _novelty(
    search: FoldSearch,
    chosen: Trial,
    pipeline: Any,
    scores: Float,
    judged: Sequence[Held],
    config: FitConfig,
) -> tuple[NoveltyLimit, Novelty, dict[str, Any]]:
    """The score, its limit from ``scores`` of held-out folds, and how often it raises false alarms.

    It is that of standardised embeddings, before any PCA: what sets an image apart may lie in the
    directions that PCA drops, since the training images hardly differ there.
    """
    X, y = search.part.X[chosen.setup.backbone], search.part.y
    with one_blas_thread():
        novelty = Novelty(*fit_spread(pipeline[:1].transform(X), y, seed=config.seed))
    limit = alarm_limit(scores, config.ood_rate)
    part = judged[0].part
    if part is search.part:
        fold = search.folds.fold
        limits = [alarm_limit(scores[fold != f], config.ood_rate) for f in range(fold.max() + 1)]
        alarms = scores > np.array(limits)[fold]
    else:
        alarms = novelty.scores(pipeline[:1].transform(part.X[chosen.setup.backbone])) > limit
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
                n_folds=judged[0].n_folds,
            )[0],
        },
    )


def _held_out_scores(search: FoldSearch, chosen: Trial) -> Float:
    """Score of each image by the images of the other folds, each with its own scaler.

    Views take part in the scaler, as in the pipeline, but not in the spread of images.
    """
    from sklearn.preprocessing import StandardScaler

    setup, y = chosen.setup, search.part.y
    X = search.part.X[setup.backbone]
    scores = np.zeros(len(y))

    def score(fold: int) -> None:
        tested = search.folds.fold == fold
        seen, _ = search.part.examples(setup.backbone, ~tested, n_views=setup.views)
        scaler = StandardScaler().fit(seen)
        spread = fit_spread(scaler.transform(X[~tested]), y[~tested], seed=search.seed)
        scores[tested] = Novelty(*spread).scores(scaler.transform(X[tested]))

    with one_blas_thread(), workers(search.jobs) as pool:
        list(pool.map(score, range(search.folds.n_folds)))
    return scores
