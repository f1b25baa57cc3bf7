"""Another threshold for a finished run or a model, without a new fit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from featx.artifact import Model
from featx.artifact.decision import Cutoff
from featx.artifact.operating import OperatingCurves
from featx.artifact.threshold import LIKELIEST, Threshold, read_threshold, with_threshold
from featx.artifact.trust import OperatingSample, Trust
from featx.console import counted
from featx.errors import NoRunError, RunError
from featx.files import printable
from featx.runs.estimates import Decided, Estimate
from featx.runs.finished import Run, load_run
from featx.runs.operating import OUT_OF_FOLD, OperatingPoints, operating_points
from featx.runs.predictions import Predictions
from featx.stats.intervals import describe_predictions
from featx.stats.operating import Evaluated, Resamples, describe_calls, rates_of
from featx.stats.thresholds import known_within

UNDECIDED = ("roc_auc", "average_precision", "log_loss", "brier", "top_")
WIDE = 0.05  # what is known no better is said


def operating_curves(run: Run) -> OperatingCurves | None:
    """What cutoffs of the run's model are chosen by; None of a run of an earlier featx without."""
    if "oof" in run.predictions:
        oof = run.predictions["oof"]
        return OperatingCurves.of(oof.y, oof.proba)
    return run.model.operating


def evaluated_images(shown: Predictions) -> Evaluated:
    """Predictions of a run, as their rates are computed."""
    units = shown.unit
    if units is None:  # a run of an earlier version: every image by itself
        units = np.unique(shown.ids.astype(str), return_inverse=True)[1]
    return Evaluated(shown.y, shown.proba, shown.y_pred, units, shown.fold, shown.repeat)


def decide(threshold: Threshold, evaluated: Evaluated, cutoff: float) -> Evaluated:
    """The same with decided classes; of a fold by the cutoff that the other folds give."""
    decided = np.empty(len(evaluated.y), np.int64)
    for rows, others in evaluated.parts():
        decision = Cutoff(column=threshold.column, cutoff=cutoff)
        if others is not None:
            decision = threshold.fit(evaluated.y[others], evaluated.proba[others])
        decided[rows] = decision.decide(evaluated.proba[rows])
    return replace(evaluated, y_pred=decided)


def describe_threshold(
    threshold: Threshold, cutoff: float, evaluated: Evaluated, *, seed: int
) -> Decided:
    """What a threshold achieves on images that did not choose it.

    Parameters
    ----------
    threshold : Threshold
    cutoff : float
        That the model decides by.
    evaluated : Evaluated
        With the classes that it decides for; see `decide`.
    seed : int
    """
    own, called = (each == threshold.column for each in (evaluated.y, evaluated.y_pred))
    [rates] = describe_calls(
        Resamples(evaluated.units, seed=seed, n_columns=5),
        own,
        [called],
        n_folds=evaluated.n_folds,
        prevalence=threshold.prevalence,
    )
    n_repeats = evaluated.n_repeats
    return Decided.model_validate(
        {
            "asked": threshold.asked,
            "cutoff": cutoff,
            "prevalence": threshold.prevalence,
            **rates,
            "warning": _warning(threshold, evaluated, own.sum() // n_repeats,
                                called.sum() // n_repeats, rates),
        }
    )  # fmt: skip


def _warning(
    threshold: Threshold, evaluated: Evaluated, n_own: int, n_called: int, rates: Mapping[str, Any]
) -> str | None:
    """Where the images cannot carry the target: how well it can be known."""
    name = printable(threshold.name)
    images = counted(int(n_own), f"{name} image")
    own_units = len(np.unique(evaluated.units[evaluated.y == threshold.column]))
    if own_units < n_own:
        images += f" in {own_units:,} independent units"
    if threshold.metric == "recall":
        within = known_within(own_units, threshold.target)
        what = f"{images}: a recall of {100 * threshold.target:g} %"
    elif threshold.metric == "precision":
        within = _half_width(rates["precision"])
        what = (
            f"{counted(int(n_called), 'image', 'is/are')} predicted {name}: a precision of "
            f"{100 * threshold.target:g} %"
        )
    else:
        within = _half_width(rates["recall"])
        what = f"{images}: the recall that corresponds to {threshold.asked.rpartition(':')[2]}"
    return f"{what} is known to within {100 * within:.0f} points" if within > WIDE else None


def _half_width(row: Mapping[str, float | None]) -> float:
    value, low, high = (row[k] for k in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return 1.0
    return max(value - low, high - value)


def run_with_threshold(run: Run, text: str | None, prevalence: float | None = None) -> Run:
    """A run as if it had been fitted with another threshold; nothing is fitted or written.

    Parameters
    ----------
    run : Run
    text : str or None
        ``CLASS:recall=0.95`` and the like, or ``"likeliest"``; None leaves the run's own, with
        its operating points at another prevalence.
    prevalence : float, optional
        See `featx.artifact.threshold.Threshold`.

    Returns
    -------
    Run
        With another ``results.estimate``, ``results.operating`` and ``results.trust.decision``, and
        other predicted classes in ``levels``.

    Raises
    ------
    ConfigError, UnknownNameError
        The threshold is malformed, or its class does not exist.
    RunError
        The run has no predictions to choose a cutoff on, or is an evaluation.
    """
    if run.results.evaluation is not None:
        raise RunError(
            f"{run.named} is an evaluation, which another threshold would change as a whole.",
            hint="Give featx evaluate the --threshold or --prevalence: what it embedded is cached.",
        )
    level, shown = next(iter(run.levels.items()), (None, None))
    curves = operating_curves(run)
    if level is None or shown is None or curves is None:
        raise RunError(
            f"{run.named} has no out-of-fold predictions to choose a cutoff on.",
            hint="Fit the run again with --overwrite.",
        )
    evaluated, threshold, in_force = evaluated_images(shown), None, None
    seed = run.results.seed or 0
    if text == LIKELIEST:
        evaluated = replace(evaluated, y_pred=np.asarray(shown.proba.argmax(axis=1)))
    elif text is not None:
        threshold = read_threshold(text, run.classes, prevalence)
        cutoff = threshold.choose(curves.levels(threshold.column))
        evaluated = decide(threshold, evaluated, cutoff)
        in_force = describe_threshold(threshold, cutoff, evaluated, seed=seed)
    elif run.results.operating is not None:
        in_force = run.results.operating.in_force
    known = run.results.operating
    points = operating_points(
        evaluated,
        curves,
        run.classes,
        seed=seed,
        threshold=threshold,
        prevalence=prevalence,
        estimated_on=run.results.estimate.method,
        chosen_on=OUT_OF_FOLD if known is None else known.chosen_on,
    )
    return _changed(run, level, shown, evaluated, in_force, points)


def _changed(
    run: Run,
    level: str,
    shown: Predictions,
    evaluated: Evaluated,
    in_force: Decided | None,
    points: OperatingPoints,
) -> Run:
    """The run with other predicted classes, and all that follows from them."""
    results, seed = run.results, run.results.seed or 0
    numbers = describe_predictions(
        evaluated.y,
        evaluated.proba,
        run.classes,
        evaluated.units,
        unit="images",
        seed=seed,
        repeats=evaluated.n_repeats,
        y_pred=evaluated.y_pred,
        n_folds=evaluated.n_folds,
    )
    kept = {k: numbers[k] for k in ("metrics", "per_class", "confusion_matrix")}
    estimate = Estimate.model_validate({**results.estimate.document(), **kept})
    changes: dict[str, Any] = {
        "estimate": estimate,
        "estimates": {},  # they are of the run's own decision
        "operating": points.model_copy(update={"in_force": in_force}),
    }
    if results.trust is not None:
        changes["trust"] = results.trust.model_copy(update={"decision": in_force})
    document = {**{key: results[key] for key in results}, **changes}
    changed = Run(run.folder, type(results).model_validate(document), name=run.name)
    vars(changed).update({k: v for k, v in vars(run).items() if k not in {"results", "levels"}})
    decided = replace(shown, y_pred=evaluated.y_pred)
    vars(changed)["levels"] = {**run.levels, level: decided}
    return changed


def model_with_threshold(
    model: Model,
    source: str | os.PathLike[str] | None,
    text: str | None,
    prevalence: float | None = None,
) -> tuple[Model, Decided | None]:
    """A model that decides by another threshold, and what that achieves as far as it is known.

    Parameters
    ----------
    model : Model
    source : path or None
        Where it was read from: of a run, its predictions choose the cutoff of a model that an
        earlier featx saved, and estimate what it achieves on images that did not choose it.
    text, prevalence
        See `featx.artifact.threshold.with_threshold`; None leaves the model as it is.

    Returns
    -------
    Model, Decided or None
        None where no threshold is in force. Without a run the rates are those of the predictions
        that chose the cutoff, and have no intervals.

    Raises
    ------
    ConfigError, UnknownNameError, ModelError
        See `featx.artifact.threshold.with_threshold`.
    """
    run = _run_of(source)
    if model.operating is None and run is not None and (curves := operating_curves(run)):
        sample = OperatingSample(images=int(curves.support.sum()))
        trust = (model.trust or Trust()).model_copy(update={"operating": sample})
        model = replace(model, trust=trust, operating=curves)
    if text is None:
        return model, _in_force(model, run)
    changed = with_threshold(model, text, prevalence)
    cutoff = _cutoff(changed)
    if cutoff is None:
        return changed, None
    threshold = read_threshold(text, model.classes, prevalence)
    if run is None:
        return changed, _as_chosen(threshold, cutoff.cutoff, model.operating)
    evaluated = evaluated_images(next(iter(run.levels.values())))
    evaluated = decide(threshold, evaluated, cutoff.cutoff)
    seed = run.results.seed or 0
    return changed, describe_threshold(threshold, cutoff.cutoff, evaluated, seed=seed)


def metrics_with_threshold(
    model: Model, source: str | os.PathLike[str] | None, text: str
) -> dict[str, Any]:
    """The estimate that a model was shipped with, as if it had been with another threshold.

    Parameters
    ----------
    model, source, text
        See `model_with_threshold`. Of a model without its run only metrics remain that do not
        depend on what is decided.
    """
    run = _run_of(source)
    if run is not None:
        return run_with_threshold(run, text).results.estimate.document()
    metrics = model.metrics.get("metrics", {})
    kept = {name: row for name, row in metrics.items() if name.startswith(UNDECIDED)}
    return {**model.metrics, "metrics": kept} if metrics else model.metrics


def _cutoff(model: Model) -> Cutoff | None:
    """By which the model decides; None where it decides for the likeliest class or by costs."""
    decision = None if model.trust is None else model.trust.decision
    return decision if isinstance(decision, Cutoff) else None


def _in_force(model: Model, run: Run | None) -> Decided | None:
    """The threshold that a model was saved with."""
    cutoff = _cutoff(model)
    if cutoff is None:
        return None
    known = None if run is None or run.results.trust is None else run.results.trust.decision
    if known is not None:
        return known.model_copy(update={"cutoff": cutoff.cutoff})
    name = model.classes[cutoff.column]
    return _as_chosen(
        Threshold(cutoff.column, name, "cutoff", cutoff.cutoff), cutoff.cutoff, model.operating
    )


def _run_of(source: str | os.PathLike[str] | None) -> Run | None:
    """The run that a model lies in, where it was read from one."""
    if source is None:
        return None
    try:
        run = load_run(source)
    except NoRunError:
        return None
    return run if run.levels else None


def _as_chosen(threshold: Threshold, cutoff: float, curves: OperatingCurves | None) -> Decided:
    """What a cutoff does to the predictions that chose it."""
    head: dict[str, Any] = {
        "asked": threshold.asked, "cutoff": cutoff, "prevalence": threshold.prevalence
    }  # fmt: skip
    if curves is None:
        return Decided.model_validate(head)
    levels = curves.levels(threshold.column)
    counts = *levels.at(cutoff), levels.n_own, levels.n_rest
    rates = rates_of(*counts, threshold.prevalence)
    values = {k: {"value": v, "low": None, "high": None} for k, v in rates.items()}
    return Decided.model_validate({**head, **values})
