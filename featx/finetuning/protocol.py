"""The protocol of a fine-tune: what trains, what evaluates, and which model ships."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx import console
from featx.config import FinetuneConfig, RunConfig
from featx.console import counted
from featx.durations import read_seconds
from featx.extraction import Extraction
from featx.finetuning.baseline import (
    ResolvedFinetune,
)
from featx.finetuning.devices import Place
from featx.finetuning.folds import FinetuneContext
from featx.finetuning.guard import PairedChange
from featx.finetuning.learning import Trainings, judge_folds, learning_curve
from featx.finetuning.model import Answer, frozen_answer, tuned_answer, with_curves
from featx.finetuning.outcome import Outcome
from featx.finetuning.results import FinetuneFindings, Judged
from featx.fitting.budget import Budget
from featx.fitting.data import Part
from featx.fitting.gathering import gather
from featx.fitting.held import EvaluationSet
from featx.fitting.splitting import separate
from featx.machine import cpu_cores
from featx.types import Preprocess, canonical_json

if TYPE_CHECKING:
    from featx.backbones import Backbone
    from featx.finetuning import ImageBank

ALL = "all images"
_NOT_NUMBERS = {
    "refit",  # the first training is the same
    "by",
    "name",
    "runs",
    "overwrite",
    "jobs",
    "memory_mb",
    "checkpoint_s",
    "processes",
    "from_run",
    "tensorboard",
    "report",
    "mlflow",
    "heat_maps",
    "learning_curve",
}


def separate_images(
    extraction: Extraction, resolved: ResolvedFinetune
) -> tuple[Part, EvaluationSet | None, list[str]]:
    """Images to train on, and those that judge once, as `featx.fit` separates them."""
    asked = resolved.config.finetune
    assert asked is not None
    return separate(
        gather([extraction], columns=asked.by),
        resolved.method,
        holdout=resolved.holdout,
        seed=int(asked.seed or 0),
        joined="it is trained on",
        instead="cv",
    )


def working_folder(config: RunConfig, place: Place, extraction: Extraction) -> Path:
    """Where checkpoints are.

    The same for the same command on the same images, on however many devices.
    """
    assert config.finetune is not None
    settings = config.finetune.model_dump(exclude=_NOT_NUMBERS)
    document = {
        "finetune": settings,
        "fingerprint": extraction.spec.fingerprint,
        "device": [place.family, place.precision, config.extract.upright],
        "hashes": hashlib.sha256(extraction.hashes[extraction.ok].tobytes()).hexdigest(),
        "rows": [[row.id, row.label, row.group, row.split] for row in extraction.manifest.rows],
    }
    if any(not found.equal_files for found in extraction.equal):
        # Checkpoints of folds that tore such copies apart, as folds once did, are not gone on with.
        document["copies"] = hashlib.sha256(extraction.copies.tobytes()).hexdigest()
    digest = hashlib.sha256(canonical_json(document)).hexdigest()[:16]
    return Path(config.finetune.runs) / f".finetuning-{digest}"


def open_bank(extraction: Extraction, part: Part, config: FinetuneConfig) -> ImageBank:
    """The images of ``part`` and no others."""
    from featx.finetuning import ImageBank

    rows = {row.id: i for i, row in enumerate(extraction.manifest.rows)}
    chosen = np.array([rows[name] for name in part.ids])
    return ImageBank(
        [extraction.manifest.rows[i].path for i in chosen],
        extraction.hashes[chosen],
        Preprocess.from_document(extraction.spec.document["preprocess"]),
        memory_bytes=config.memory_mb * 10**6,
        threads=cpu_cores(),
    )


def make_context(
    config: RunConfig,
    place: Place,
    extraction: Extraction,
    part: Part,
    bank: ImageBank,
    backbone: Backbone,
    n_images: Sequence[int],
) -> FinetuneContext:
    """The backbone on its device, to be copied for each training, of so many images each."""
    from featx.finetuning import resolve_rates

    extract = config.extract
    assert config.finetune is not None
    working = working_folder(config, place, extraction)
    budget, shares = config.finetune.budget, [float(n) for n in n_images]
    console.log(
        f"Fine-tuning {extraction.name} with torch in {place.precision} on {place}; "
        f"checkpoints in {working}."
    )
    return FinetuneContext(
        part=part,
        backbone=backbone,
        bank=bank,
        config=resolve_rates(config.finetune, backbone.network),
        device=place.device,
        precision=place.precision,
        upright=extract.upright,
        folder=working,
        budget=None if budget is None else Budget(read_seconds(budget), shares),
        devices=place.devices,
    )


def train_all(
    context: FinetuneContext,
    config: RunConfig,
    extraction: Extraction,
    trainings: Trainings,
    tested: EvaluationSet | None,
) -> FinetuneFindings:
    """All trainings, that on all images last, and which model ships; then the learning curve."""
    records, judged = (
        ([], None) if tested is not None else judge_folds(context, trainings.folds, trainings.whole)
    )
    # What falls out of fold does not ship, so it is not trained further.
    fell = None if judged is None else judged.compare(context.config).below(context.config.monitor)
    final = context.finetune(np.ones(len(context.part), bool), ALL, refit=fell is None)
    answer, judged, change = _choose(context, config, extraction, final, tested, judged)
    curve = None
    if trainings.sizes is not None:
        with ExitStack() as opened:
            judges = None
            if tested is not None:
                bank = open_bank(extraction, tested.part, context.config)
                judges = tested, opened.enter_context(closing(bank))
            curve = learning_curve(context, trainings, judges, change)
    return FinetuneFindings([*records, final.record], answer, judged, change, curve)


def _choose(
    context: FinetuneContext,
    config: RunConfig,
    extraction: Extraction,
    final: Outcome,
    tested: EvaluationSet | None,
    judged: Judged | None,
) -> tuple[Answer, Judged, PairedChange]:
    """The model that ships, and what both say of the images that judge.

    The guard: a fine-tune that ends below its own warm start, on the validation images or out of
    fold, is not the answer. The test split chooses nothing.
    """
    from featx.finetuning import describe_recipe

    frozen = frozen_answer(config, extraction, final)
    if judged is not None:
        frozen = replace(frozen, model=with_curves(frozen.model, judged.frozen))
    tuned = tuned_answer(
        config, extraction, context, final, None if judged is None else judged.finetuned
    )
    if tested is not None:
        ids, classes = tested.part.ids, tested.part.classes
        judged = Judged(*(tested.held(a.predict(ids, classes)) for a in (frozen, tuned)))
    assert judged is not None
    change = judged.compare(context.config)
    fell = final.fell
    if tested is None and fell is None:
        fell = change.below(context.config.monitor)
    if final.still_improving:
        more = 2 * context.config.epochs
        for answer in (frozen, tuned):
            answer.notes.append(f"The last epoch was the best: more may help (--epochs {more}).")
    if fell is not None:
        frozen.notes.append(
            f"featx keeps the frozen backbone: {fell}. Tried: {describe_recipe(context.config)}; "
            "another recipe may do better (--preset thorough, --trials 10). The model is "
            "that backbone with a head fitted on all "
            f"{counted(len(context.part), 'training image')}."
        )
        return replace(frozen, not_tuned=fell), judged, change
    for seen in [c for c in (final.change, change if tested is None else None) if c is not None]:
        if (remark := seen.remark()) is not None:
            tuned.notes.append(remark)
    before, after = change.score
    if tested is not None and after < before:
        tuned.notes.append(
            f"On the held-out evaluation images, the fine-tuned model scores {after:.4f} and the "
            f"frozen one {before:.4f}. These images play no part in selection, so the "
            "fine-tuned one is kept; consider the frozen one."
        )
    return tuned, judged, change
