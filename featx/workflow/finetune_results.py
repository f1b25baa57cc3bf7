"""``results.json`` and ``curves.csv`` of a fine-tune."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.config import FinetuneConfig, FitConfig, RunConfig
from featx.data.copies import copies_document
from featx.data.splits import Folds
from featx.extraction import Extraction
from featx.files import printable
from featx.fitting import Predictions
from featx.fitting.data import Part
from featx.fitting.estimate import Held, Tested, describe_held
from featx.fitting.result import SCHEMA_VERSION
from featx.workflow.finetune_guard import Change
from featx.workflow.finetune_model import Answer
from featx.workflow.finetune_training import Record
from featx.workflow.fitting import content_digest

__all__ = ["Found", "Judged", "curves", "predictions", "settings"]

HOW = {
    "test": "the test split, read once by a model fitted on other images",
    "holdout": "a share held out, read once by a model fitted on other images",
    "cv": "each fold predicted by a model fitted on images of the other folds",
}
RECIPE = {
    "start", "unfreeze", "lora", "epochs", "learning_rate", "head_rate", "layer_decay", "optimizer",
    "weight_decay", "schedule", "warmup", "label_smoothing", "augment", "mixup", "cutmix", "ema",
    "train_batch", "train_batch_norm", "monitor", "patience", "trials", "budget",
}  # fmt: skip
CHOSEN = (
    "; these folds also took part in the choice between it and the other, which makes the number "
    "slightly too high on average"
)


@dataclass(frozen=True)
class Judged:
    """What both models say of the images that judge, each in the same order."""

    frozen: Held
    finetuned: Held

    def of(self, kind: str) -> Held:
        """By ``frozen`` or ``finetuned``."""
        return self.frozen if kind == "frozen" else self.finetuned


@dataclass(frozen=True)
class Found:
    """What all trainings gave.

    Parameters
    ----------
    records : list of Record
        One a training.
    answer : Answer
        The model that ships.
    judged : Judged
    change : Change
        Of the score, from the frozen model to the fine-tuned one.
    """

    records: list[Record]
    answer: Answer
    judged: Judged
    change: Change

    def document(self, backbone: str, config: FinetuneConfig) -> dict[str, Any]:
        """``chosen``, ``estimate``, ``estimates`` and ``finetuning`` of ``results.json``."""
        kind = self.answer.kind
        return {
            "chosen": {"backbone": backbone, "head": config.head, "kind": kind},
            **_estimates(self.judged, kind, config, self._which()),
            "finetuning": {
                "answer": kind,
                "tried": _tried(config),
                "not_kept": self.answer.not_tuned,
                "untrained": self._untrained(),
                "change": self.change.document(),
                "trainings": [record.document for record in self.records],
                "extraction": None if kind == "frozen" else self.answer.extraction.document(),
            },
        }

    def _untrained(self) -> dict[str, int]:
        """Of the trainings whose networks the fine-tuned model's numbers are of, how many kept
        their warm start: no network was trained there."""
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
            f"the frozen backbone with a head fitted on {on} images, the validation images left out"
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
    return {"said": describe_recipe(config), "preset": config.preset, **settings}


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


def predictions(judged: Judged, kind: str) -> Predictions:
    """What the model that ships says, under the split's name, and the other, under its own."""
    answer = judged.of(kind)
    other = "frozen" if kind == "finetuned" else "finetuned"
    held = judged.of(other)
    renamed = Held(other, held.part, held.fold, held.probabilities)
    return Predictions(answer.part.classes, [answer, renamed])


def settings(
    config: RunConfig,
    extraction: Extraction,
    part: Part,
    folds: Folds,
    tested: Tested | None,
) -> dict[str, Any]:
    """What was trained on what, as JSON; the same keys as those of ``featx fit``."""
    asked = config.finetune
    assert asked is not None
    counts = np.bincount(part.y, minlength=len(part.classes))
    labels: Counter[str] = Counter(str(label) for label in extraction.manifest.labels)
    return {
        "schema_version": SCHEMA_VERSION,
        "classes": part.classes,
        "scoring": asked.scoring,
        "seed": asked.seed,
        "n_folds": folds.n_folds,
        "n_images": len(part),
        "n_views": 0,
        "n_test_images": 0 if tested is None else len(tested.part),
        "n_groups": None if part.groups is None else len(np.unique(part.groups)),
        "class_counts": dict(zip(part.classes, counts.tolist(), strict=True)),
        "dataset": {
            "source": printable(config.data.dataset),
            "images": len(extraction.manifest),
            "classes": {printable(k): labels[k] for k in sorted(labels)},
            "quarantined": len(extraction.failures),
            "passed_over": dict(extraction.manifest.ignored),
            "exact_copies": copies_document(extraction.equal),
            "sha256": content_digest(extraction),
        },
    }


def curves(records: Sequence[Record]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of ``curves.csv``: one row an epoch of each training."""
    rows: list[Mapping[str, Any]] = [
        {"training": record.name, **row} for record in records for row in record.history
    ]
    columns = list(rows[0])
    return columns, [[row[c] for c in columns] for row in rows]
