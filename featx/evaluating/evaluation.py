"""A finished model on labelled images: its predictions, what they are worth, and what is odd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from featx.artifact import Model
from featx.artifact.ensemble import EnsembleHead
from featx.artifact.trust import Trust
from featx.config import ScoreConfig
from featx.console import counted
from featx.errors import DatasetError
from featx.evaluating.deciding import operating_here
from featx.evaluating.grouping import model_group_rule
from featx.evaluating.shipped import against_shipped
from featx.extraction import Extraction, copies_of
from featx.files import printable
from featx.fitting.data import Part
from featx.fitting.estimate import describe_held
from featx.fitting.foreseen import group_codes
from featx.fitting.gathering import filled_column, kept_columns, known_pixels
from featx.fitting.groups import GroupRule, mixed_note
from featx.fitting.held import HeldOut, pool
from featx.fitting.result import prediction_table
from featx.fitting.sets import describe_sets
from featx.runs import PredictionTable
from featx.runs.estimates import Decided, Estimate
from featx.runs.evaluated import CopiesFound, ModelEvaluation, Unusual
from featx.scoring.drift import Drifted
from featx.scoring.folder import check_scores, predict_rows
from featx.scoring.scores import Scores
from featx.stats.shares import shares
from featx.types import BoolArray, FloatArray, IntArray

DESCRIPTIONS = {
    "evaluated": "labelled images that the finished model was given to predict",
    "copies": "copies of images that the model was fitted on: too high for new images",
    "with_copies": "all images, copies of training images among them: too high for new images",
    "known_classes": "without the images of classes that the model does not know",
}


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found.

    Parameters
    ----------
    document : dict
        The keys of ``results.json`` that depend on the model's answers.
    predictions : PredictionTable
        Splits ``evaluated`` and, where there are any, ``copies``.
    scores : Scores
        As `featx.score` gives them.
    drift : Drifted or None
    """

    document: dict[str, Any]
    predictions: PredictionTable
    scores: Scores
    drift: Drifted | None
    mixed: Sequence[str] = ()  # on groups without a class of their own

    def notes(self) -> list[str]:
        """What to be warned of, in sentences."""
        evaluation, notes = self.document["evaluation"], self.scores.warnings()
        notes += [said for read in self.scores.columns_read for said in read.sentences()]
        if evaluation["unknown_classes"]:
            n = sum(evaluation["unknown_classes"].values())
            notes.append(
                f"{counted(n, 'image', 'is/are')} of classes that the model does not know, and "
                "cannot be right."
            )
        if evaluation["copies"]["images"]:
            n = evaluation["copies"]["images"]
            kept = " and left out of the estimate" if "copies" in self.document["estimates"] else ""
            notes.append(f"{counted(n, 'image', 'is a copy/are copies')} of training images{kept}.")
        return [*notes, *self.mixed]


@dataclass(frozen=True)
class _Answers:
    """What a model says of labelled images that were read, row by row."""

    part: Part  # of the classes of both sides
    proba: FloatArray
    y_pred: IntArray
    known: list[str]  # classes of the model
    column: IntArray  # of each of them
    seed: int
    trust: Trust
    way: str | None = None  # to answer for groups, instead of the model's own

    def held(self, split: str, rows: BoolArray) -> HeldOut:
        """Some rows, as fits have their held-out images."""
        part = self.part.take(rows)
        return HeldOut(split, part, np.full(len(part), -1), self.proba[rows], self.y_pred[rows])

    @property
    def group_rule(self) -> GroupRule:
        """How groups are answered."""
        n = len(self.part.classes)
        return model_group_rule(self.trust, self.column, n, seed=self.seed, way=self.way)

    def estimate(self, name: str, rows: BoolArray) -> Estimate:
        """Every metric on some rows."""
        return _estimate(self.held(name, rows), name, self.group_rule)

    def mixed(self, rows: BoolArray) -> list[str]:
        """How many groups have no class of their own."""
        return mixed_note(self.held("", rows), self.group_rule.config.group_answer)

    def of_known(self, rows: BoolArray) -> Estimate:
        """Every metric on the rows of classes that the model knows, over these classes alone."""
        held, n = self.by_model("known_classes", rows & self.is_known), len(self.known)
        rule = model_group_rule(self.trust, np.arange(n), n, seed=self.seed, way=self.way)
        return _estimate(held, "known_classes", rule)

    def by_model(self, split: str, rows: BoolArray) -> HeldOut:
        """Some rows over the model's classes alone; -1 is a class that it does not know."""
        held, code = self.held(split, rows), np.full(len(self.part.classes), -1)
        code[self.column] = np.arange(len(self.column))
        part = replace(held.part, y=code[held.part.y], classes=self.known)
        return replace(held, part=part, proba=held.proba[:, self.column], decided=code[held.y_pred])

    @property
    def is_known(self) -> BoolArray:
        """Whose class the model knows."""
        return np.isin(self.part.y, self.column)


def _estimate(held: HeldOut, name: str, rule: GroupRule) -> Estimate:
    return describe_held([held], name, DESCRIPTIONS[name], rule.config, rule)


def evaluate_images(
    model: Model,
    extractions: Sequence[Extraction],
    *,
    seed: int,
    named: str = "",
    decided: Decided | None = None,
    prevalence: float | None = None,
    group_answer: str | None = None,
    columns: Sequence[str] = (),
) -> EvaluationResult:
    """Predict labelled images and describe the predictions as `featx.fit` does its test images.

    Copies of training images are left out of the estimate, as far as the model has their digests;
    where nothing else is left they are all there is, and are called that. Images of classes that
    the model does not know count, as wrong.

    Parameters
    ----------
    model : Model
    extractions : sequence of Extraction
        By each of the model's extractors, of images with labels.
    seed : int
        Of the resamples.
    named : str, optional
        The model's path, for the record.
    decided, prevalence : see `featx.evaluating.deciding.operating_here`
    group_answer : see `featx.evaluating.grouping.model_group_rule`
    columns : columns of the data set that predictions are to have

    Raises
    ------
    DatasetError
        No image could be read.
    """
    first = _with_images(extractions[0])
    scores = predict_rows(model, extractions, ScoreConfig())
    groups = {row.id: row.group for row in first.manifest.rows if row.group is not None}
    answers = _answers(model, extractions, scores, seed, group_answer, columns)
    copies, untold = _copies(model, extractions)
    new = copies if copies.all() else ~copies
    among = np.zeros(len(scores), bool)
    among[first.ok] = new
    scores, drift = check_scores(model, extractions, scores, groups, ScoreConfig(), among)
    estimate, estimates = _estimates(answers, copies)
    seen = CopiesFound(known=model.seen is not None, images=int(copies.sum()), untold=untold)
    evaluation = _describe(model, named, answers, scores, (estimate, estimates), seen)
    evaluated = pool([answers.by_model("", new)])
    operating = operating_here(model, evaluated, decided, prevalence, seed=seed)
    in_force, trust = operating and operating.in_force, _trust(model, scores, answers, new)
    splits = {"evaluated": ~copies, "copies": copies}
    held = {name: answers.held(name, rows) for name, rows in splits.items() if rows.any()}
    document = {
        **_about(model, answers, estimate, estimates, new),
        "trust": None if trust is None else {**trust, "decision": in_force},
        **({} if operating is None else {"operating": operating}),
        "evaluation": {**evaluation.document(), "shipped_decision": decided},
    }
    table = prediction_table(answers.part.classes, held)
    return EvaluationResult(document, table, scores, drift, answers.mixed(new))


def _with_images(extraction: Extraction) -> Extraction:
    """The same, of images some of which could be read."""
    if not extraction.ok.any():
        extraction.require_any()
        raise DatasetError("There are no images to evaluate on.")
    return extraction


def _about(
    model: Model,
    answers: _Answers,
    estimate: Estimate,
    estimates: Mapping[str, Estimate],
    new: BoolArray,
) -> dict[str, Any]:
    """What was evaluated, and the estimates."""
    return {
        "classes": answers.part.classes,
        "scoring": model.provenance.get("scoring", "balanced_accuracy"),
        "seed": answers.seed,
        "n_test_images": int(new.sum()),
        "n_groups": estimate.n_groups,
        "class_counts": answers.part.class_counts,
        "chosen": _chosen(model),
        "estimate": estimate.document(),
        "estimates": {name: each.document() for name, each in estimates.items()},
    }


def _describe(
    model: Model,
    named: str,
    answers: _Answers,
    scores: Scores,
    found: tuple[Estimate, Mapping[str, Estimate]],
    copies: CopiesFound,
) -> ModelEvaluation:
    """The images beside the training images, and the estimate beside the shipped one."""
    estimate, estimates = found
    unknown = {
        name: n for name, n in answers.part.class_counts.items() if name not in model.classes
    }
    shipped = Estimate.model_validate(model.metrics) if "metrics" in model.metrics else None
    alike = estimates.get("known_classes", None if unknown else estimate)
    against = {}
    new = estimate.method != "copies"  # that of images it was fitted on is not to be compared
    if shipped is not None and alike is not None and new:
        whole = all(answers.part.class_counts[name] for name in model.classes)
        against = against_shipped(alike.metrics, shipped.metrics, same_classes=whole)
    return ModelEvaluation(
        model=printable(named),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        shipped=shipped,
        against_shipped=against,
        unknown_classes=unknown,
        classes_without_images=[
            name for name in model.classes if not answers.part.class_counts[name]
        ],
        copies=copies,
        checks={check.name: Unusual(**check.document()) for check in scores.checks},
        drift=scores.drift,
        drift_not_tested=scores.no_drift or None,
    )


def _estimates(answers: _Answers, copies: BoolArray) -> tuple[Estimate, dict[str, Estimate]]:
    """The number to report, of images that are no copies where there are any, and others."""
    new, name = (copies, "copies") if copies.all() else (~copies, "evaluated")
    others: dict[str, Estimate] = {}
    if copies.any() and not copies.all():
        others["copies"] = answers.estimate("copies", copies)
        others["with_copies"] = answers.estimate("with_copies", np.ones(len(copies), bool))
    if (new & answers.is_known).any() and not answers.is_known.all():
        others["known_classes"] = answers.of_known(new)
    return answers.estimate(name, new), others


def _answers(
    model: Model,
    extractions: Sequence[Extraction],
    scores: Scores,
    seed: int,
    way: str | None,
    columns: Sequence[str],
) -> _Answers:
    """The rows that were read, with a column for every class of either side."""
    first, ok = extractions[0], extractions[0].ok
    labels = first.y.astype(str)
    unknown = sorted(set(labels.tolist()) - set(model.classes))
    # Sorted, as fits have them: models that know different ones of these classes can be compared.
    classes = sorted([*model.classes, *unknown]) if unknown else list(model.classes)
    place = {name: i for i, name in enumerate(classes)}
    column = np.array([place[name] for name in model.classes])
    proba = np.zeros((int(ok.sum()), len(classes)))
    proba[:, column] = scores.probabilities[ok]
    groups = filled_column(first.groups, "group", ("", "is a group of its own"))
    part = Part(
        X={},
        y=np.array([place[name] for name in labels], np.int64),
        classes=classes,
        ids=[str(name) for name in first.ids],
        hashes=first.hashes[ok],
        copies=copies_of(extractions),
        groups=None if groups is None else group_codes(groups.tolist()),
        columns=kept_columns(first, columns),
    )
    y_pred = column[scores.y_pred[ok]]
    trust = model.trust or Trust()
    return _Answers(part, proba, y_pred, list(model.classes), column, seed, trust, way)


def _copies(model: Model, extractions: Sequence[Extraction]) -> tuple[BoolArray, int]:
    """Which images the model was fitted on, and of how many that cannot be told."""
    hashes = extractions[0].hashes[extractions[0].ok]
    pixels = known_pixels(extractions, hashes)
    if model.seen is None:
        return np.zeros(len(hashes), bool), len(hashes)
    found = model.seen.holds(hashes, pixels)
    return found, int((~found & ~pixels.any(axis=1)).sum())


def _chosen(model: Model) -> dict[str, Any]:
    """What the model is, as a run's results have it."""
    chosen = model.provenance.get("chosen")
    if isinstance(chosen, Mapping) and {"backbone", "head"} <= chosen.keys():
        kind = {"kind": "finetuned"} if "finetuned" in model.provenance else {}
        return {**chosen, **kind}
    head = "ensemble" if isinstance(model.head, EnsembleHead) else "classifier"
    backbones = " + ".join(spec.backbone for spec in model.specs)
    return {"backbone": printable(backbones), "head": head}


def _trust(
    model: Model, scores: Scores, answers: _Answers, rows: BoolArray
) -> dict[str, Any] | None:
    """What prediction sets and the out-of-distribution score achieve on some of the images."""
    trust, first = model.trust or Trust(), answers.held("", rows)
    if trust.sets is None or trust.novelty is None or scores.sets is None or scores.ood is None:
        return None
    ok, seed = scores.y_pred >= 0, answers.seed
    inside = np.zeros(first.proba.shape, bool)
    inside[:, answers.column] = scores.sets[ok][rows]
    assert scores.abstained is not None
    assert scores.ood_scores is not None
    part, units = first.part, first.part.components
    right = first.y_pred == part.y
    abstained, far = scores.abstained[ok][rows], scores.ood[ok][rows]
    method = "none" if trust.calibration is None else trust.calibration.method
    everyone = np.ones(len(part), bool)
    return {
        "calibration": {"asked": method, "method": method},
        "prediction_sets": {
            "coverage": trust.sets.coverage,
            "over": trust.sets.over,
            "method": trust.sets.method,
            **describe_sets(inside, abstained, part.y, right, part.classes, units, seed=seed),
        },
        "novelty": {
            "method": trust.novelty.method,
            "rate": trust.novelty.rate,
            "limit": trust.novelty.limit,
            "typical": float(np.median(scores.ood_scores[ok][rows])),
            "false_alarms": shares([(far, everyone)], units, seed=seed)[0],
        },
    }
