"""``results.json`` and ``curves.csv`` of a fine-tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featx.config import FinetuneConfig, FitConfig, RunConfig
from featx.data.splits import Folds
from featx.extraction import Extraction
from featx.finetuning.guard import PairedChange, compare_models
from featx.finetuning.model import Answer
from featx.finetuning.outcome import TrainingRecord
from featx.fitting.data import Part
from featx.fitting.estimate import describe_held
from featx.fitting.gathering import describe_dataset
from featx.fitting.held import EvaluationSet, HeldOut, pool
from featx.fitting.result import prediction_table
from featx.runs import PredictionTable
from featx.runs.operating import operating_points
from featx.runs.results import SCHEMA_VERSION
from featx.runs.tuning import Epoch

HOW = {
    "test": "the test split, read once by a model fitted on other images",
    "holdout": "a share held out, read once by a model fitted on other images",
    "cv": "each fold predicted by a model fitted on images of the other folds",
}
RECIPE = {
    "start", "unfreeze", "lora", "epochs", "learning_rate", "head_rate", "layer_decay", "optimizer",
    "weight_decay", "schedule", "warmup", "label_smoothing", "augment", "mixup", "cutmix", "ema",
    "average_last", "train_batch", "train_batch_norm", "monitor", "patience", "trials", "budget",
    "refit",
}  # fmt: skip
CHOSEN = (
    "; these folds were also used to choose between it and the other model, so the number is "
    "slightly too high on average"
)


@dataclass(frozen=True)
class Judged:
    """What both models say of the images that judge, each in the same order."""

    frozen: HeldOut
    finetuned: HeldOut

    def of(self, kind: str) -> HeldOut:
        """By ``frozen`` or ``finetuned``."""
        held: HeldOut = getattr(self, kind)
        return held

    def compare(self, config: FinetuneConfig) -> PairedChange:
        """The two models on these images."""
        part, out_of_fold = self.frozen.part, self.frozen.split == "oof"
        return compare_models(
            "images out of fold" if out_of_fold else "images that judge",
            part.y,
            part.components,
            self.frozen.proba,
            self.finetuned.proba,
            scoring=str(config.scoring),
            seed=int(config.seed or 0),
            n_folds=int(config.folds or 5) if out_of_fold else None,
        )


@dataclass(frozen=True)
class FinetuneFindings:
    """What all trainings gave.

    Parameters
    ----------
    records : list of TrainingRecord
        One a training.
    answer : Answer
        The model that ships.
    judged : Judged
    change : PairedChange
        Of the score, from the frozen model to the fine-tuned one.
    curve : dict, optional
        From `featx.finetuning.learning.describe_curve`.
    """

    records: list[TrainingRecord]
    answer: Answer
    judged: Judged
    change: PairedChange
    curve: dict[str, Any] | None = None

    def document(self, backbone: str, config: FinetuneConfig) -> dict[str, Any]:
        """``chosen``, ``estimate``, ``estimates`` and ``finetuning`` of ``results.json``."""
        kind = self.answer.kind
        return {
            "chosen": {"backbone": backbone, "head": config.head, "kind": kind},
            **_estimates(self.judged, kind, config, self._which()),
            "operating": self._operating(config),
            "finetuning": {
                "answer": kind,
                "tried": _tried(config),
                "not_kept": self.answer.not_tuned,
                "untrained": self._untrained(),
                "change": self.change.document(),
                "trainings": [record.document for record in self.records],
                **({} if self.curve is None else {"learning_curve": self.curve}),
                "extraction": None if kind == "frozen" else self.answer.extraction.document(),
            },
        }

    def _operating(self, config: FinetuneConfig) -> dict[str, Any] | None:
        """What cutoffs of each class find and cost."""
        held, model = self.judged.of(self.answer.kind), self.answer.model
        if model.operating is None or model.trust is None or model.trust.operating is None:
            return None
        return operating_points(
            pool([held]),
            model.operating,
            held.part.classes,
            seed=int(config.seed or 0),
            estimated_on="cv" if held.split == "oof" else held.split,
            chosen_on=model.trust.operating.predicted,
        ).document()

    def _untrained(self) -> dict[str, int]:
        """How many of the trainings behind the fine-tuned model's numbers kept their warm start.

        No network was trained there.
        """
        judging = self.records[:-1] or self.records
        n = sum(record.document["best_epoch"] == 0 for record in judging)
        return {"trainings": n, "of": len(judging)}

    def _which(self) -> dict[str, str]:
        """What the numbers of either model are of."""
        untrained = self._untrained()
        n, of = untrained["trainings"], untrained["of"]
        images = [record.document["n_training"] for record in self.records[:-1] or self.records]
        on = f"{min(images):,}" + (f" to {max(images):,}" if min(images) < max(images) else "")
        warm = (
            f"the frozen backbone with a head fitted on {on} images, without the validation images"
        )
        tuned = "the fine-tuned backbone and head"
        if n == of:
            tuned = f"not fine-tuned, since no epoch was better: {warm}"
        elif n:
            tuned += f" (in {n} of {of} trainings no epoch was better, so there {warm})"
        return {"frozen": "the frozen backbone with a head", "finetuned": tuned}


def _tried(config: FinetuneConfig) -> dict[str, Any]:
    """What was tried: in words, and the settings that make the recipe."""
    from featx.finetuning import describe_recipe

    settings = config.model_dump(include=RECIPE)
    return {"recipe": describe_recipe(config), "preset": config.preset, **settings}


def _estimates(
    judged: Judged, kind: str, config: FinetuneConfig, which: Mapping[str, str]
) -> dict[str, Any]:
    """``estimate``, of the model that ships, and ``estimates``, with the other one."""
    described = {}
    for name in ("frozen", "finetuned"):
        held = judged.of(name)
        method = "cv" if held.split == "oof" else held.split
        how = HOW[method] + (CHOSEN if method == "cv" and name == kind else "")
        described[name] = describe_held(
            [held], method, f"{which[name]}: {how}", FitConfig(seed=int(config.seed or 0))
        )
    return {"estimate": described.pop(kind), "estimates": described}


def predictions(judged: Judged, kind: str) -> PredictionTable:
    """What the model that ships says, under the split's name, and the other, under its own."""
    answer = judged.of(kind)
    other = "frozen" if kind == "finetuned" else "finetuned"
    return prediction_table(answer.part.classes, {answer.split: answer, other: judged.of(other)})


def settings(
    config: RunConfig,
    extraction: Extraction,
    part: Part,
    folds: Folds,
    tested: EvaluationSet | None,
) -> dict[str, Any]:
    """What was trained on what, as JSON; the same keys as those of ``featx fit``."""
    asked = config.finetune
    assert asked is not None
    return {
        "schema_version": SCHEMA_VERSION,
        "classes": part.classes,
        "scoring": asked.scoring,
        "seed": asked.seed,
        "n_folds": folds.n_folds,
        "n_images": len(part),
        "n_views": 0,
        "n_test_images": 0 if tested is None else len(tested.part),
        "n_groups": part.n_groups,
        "class_counts": part.class_counts,
        "dataset": describe_dataset(
            config.data.dataset, extraction.manifest, extraction, extraction.equal
        ),
    }


def curves(records: Sequence[TrainingRecord]) -> list[Epoch]:
    """Every epoch of each training, and of its refit."""
    return [
        Epoch(training=name, **row)
        for record in records
        for name, history in record.histories.items()
        for row in history
    ]
