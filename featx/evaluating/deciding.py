"""What a finished model's cutoffs find and cost on other images."""

from __future__ import annotations

from featx.artifact import Model
from featx.artifact.threshold import Threshold, read_threshold
from featx.runs.estimates import Decided
from featx.runs.operating import OUT_OF_FOLD, OperatingPoints, operating_points
from featx.runs.thresholds import describe_threshold
from featx.stats.operating import Evaluated

METHOD = "evaluated"


def operating_here(
    model: Model,
    evaluated: Evaluated,
    decided: Decided | None,
    prevalence: float | None,
    *,
    seed: int,
) -> OperatingPoints | None:
    """The operating points of every class that has images, and the threshold in force.

    Parameters
    ----------
    model : Model
        Its cutoffs are chosen on its training images; none is chosen here.
    evaluated : Evaluated
        Predictions and decisions for images that played no part in choosing a cutoff, over the
        model's classes.
    decided : Decided or None
        The threshold in force.
    prevalence : float or None
        Share of the class that is looked for; None is its share of these images.
    seed : int

    Returns
    -------
    OperatingPoints or None
        None for a model that an earlier featx saved, which holds no predictions to choose by, where
        no threshold is in force either.
    """
    threshold = in_force = None
    if decided is not None and decided.cutoff is not None:
        at = decided.prevalence if prevalence is None else prevalence
        threshold = read_threshold(decided.asked, model.classes, at)
        in_force = describe_threshold(threshold, decided.cutoff, evaluated, seed=seed)
    points = _points(model, evaluated, threshold, prevalence, seed)
    return None if points is None else points.model_copy(update={"in_force": in_force})


def _points(
    model: Model,
    evaluated: Evaluated,
    threshold: Threshold | None,
    prevalence: float | None,
    seed: int,
) -> OperatingPoints | None:
    if model.operating is None:
        if threshold is None:
            return None
        return OperatingPoints(chosen_on=OUT_OF_FOLD, estimated_on=METHOD, resamples=0)
    points = operating_points(
        evaluated,
        model.operating,
        model.classes,
        seed=seed,
        threshold=threshold,
        prevalence=prevalence,
        estimated_on=METHOD,
    )
    shown = {name: each for name, each in points.classes.items() if each.images}
    positive = points.positive if points.positive in shown else None
    return points.model_copy(update={"classes": shown, "positive": positive})
