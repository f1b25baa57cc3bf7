"""`featx.finetune`: a backbone trained on the folds of `featx.fit`, and judged like it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import console
from featx.config import DatasetConfig, ExtractConfig, FinetuneConfig, RunConfig
from featx.config.options import sections
from featx.console import counted
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.data.splits import Folds, make_folds
from featx.durations import read_seconds
from featx.errors import MissingExtraError, UsageError
from featx.extraction import Extraction
from featx.extraction.embedding import extract_manifest
from featx.extraction.resolving import resolve_extract
from featx.extraction.used import used_by
from featx.finetuning.baseline import Settled, check_names, check_same_images, settle
from featx.finetuning.devices import Place, choose_place, suit_network
from featx.finetuning.folders import WORKING, curves_output
from featx.finetuning.folds import Outcome, Record, Workshop
from featx.finetuning.guard import Change, compare_models
from featx.finetuning.model import Answer, frozen_answer, tuned_answer
from featx.finetuning.results import Found, Judged, curves, predictions, settings
from featx.fitting import check_labels
from featx.fitting.budget import Budget
from featx.fitting.data import Part
from featx.fitting.estimate import EvaluationSet, HeldOut
from featx.fitting.foreseen import missing_test_split
from featx.fitting.gathering import content_digest, gather, labelled
from featx.fitting.near_copies import near_copies_of
from featx.fitting.splitting import hold_out_part, split_data
from featx.machine import cpu_cores
from featx.ours import remove_known
from featx.outputs import Claims, Output, Used, claimed
from featx.reporting.card import card_of
from featx.reporting.run_report import add_report
from featx.runs import Run, run_folder, run_output, write_run
from featx.runs.results import Results
from featx.runs.tracking import check_tracking, track_run, without_password
from featx.system_errors import writing
from featx.types import Preprocess, canonical_json

if TYPE_CHECKING:
    from featx.backbones import Backbone
    from featx.finetuning import ImageBank

__all__ = ["finetune", "finetune_dataset"]

ALL = "all images"
_NOT_NUMBERS = {
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
}


def finetune(dataset: str | os.PathLike[str], **options: Any) -> Run:
    """Train a backbone and its head on images, from the head that its frozen embeddings give.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`.
    **options
        Fields of `featx.config.DatasetConfig`, `featx.config.ExtractConfig` and
        `featx.config.FinetuneConfig`, for instance ``backbone="timm:resnet18"``,
        ``from_run="runs/first"``, ``unfreeze="last-2"``, ``epochs=10``, ``name="tuned"``.

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``: the fine-tuned one or, where fine-tuning ended
        below its own warm start, the frozen one.

    Raises
    ------
    UsageError
        An option makes no sense, the run exists, or ``from_run`` was made on other images.
    FitError
        The labels cannot carry an honest estimate, or are too few for a validation part.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Notes
    -----
    Linear probing, then fine-tuning: Kumar et al., "Fine-tuning can distort pretrained features and
    underperform out-of-distribution", ICLR 2022, https://arxiv.org/abs/2202.10054.
    """
    data, extract, config = sections(
        {"dataset": dataset, **options}, DatasetConfig, ExtractConfig, FinetuneConfig
    )
    return finetune_dataset(RunConfig(data=data, extract=extract, finetune=config))


def finetune_dataset(config: RunConfig) -> Run:
    """`finetune` from a resolved configuration."""
    started = time.perf_counter()
    settled = settle(config)
    assert settled.config.finetune is not None
    folder = run_folder(config.data.dataset, settled.config.finetune)
    target = settled.config.finetune.mlflow
    config = _named(settled.config, folder)
    assert config.finetune is not None
    used = used_by(config.data, config.extract, config.finetune)
    _check_extras(config.finetune, [*used, Used("the run", folder)])
    place = choose_place(config.extract, config.finetune)
    outputs = [run_output(folder, config.finetune), *curves_output(config.finetune)]
    with claimed(outputs, used) as claims:
        settled = replace(settled, config=config)
        return _finetune(settled, folder, target, claims, place, started)


def _finetune(
    settled: Settled, folder: Path, target: str | None, claims: Claims, place: Place, started: float
) -> Run:
    """The fine-tuning itself, once the run's name is claimed."""
    from featx.backbones import load_backbone

    config = settled.config
    assert config.finetune is not None
    manifest = labelled(open_data(config.data))
    claims.spare("the images", manifest.paths)
    _check_before_reading(manifest, settled)
    config = config.model_copy(update={"extract": resolve_extract(manifest, config.extract)})
    assert config.finetune is not None
    extraction = _extract(manifest, config.extract)
    part, tested, notes = _separate(extraction, settled)
    folds = make_folds(
        part.y,
        part.components,
        part.classes,
        n_folds=int(config.finetune.folds or 5),
        seed=int(config.finetune.seed or 0),
    )
    if settled.baseline is not None:
        check_same_images(settled.baseline, content_digest(extraction), part, folds, tested)
    extracted_s = time.perf_counter() - started
    [request] = config.extract.requests()
    backbone = load_backbone(request, offline=config.extract.offline)
    place = suit_network(place, config.extract.precision, backbone.network)
    working = _working_folder(config, place, extraction)
    claims.add(Output(working, "--runs", WORKING, overwrite=True))
    with closing(_bank(extraction, part, config.finetune)) as bank:
        n_trainings = folds.n_folds + 1 if tested is None else 1
        workshop = _workshop(config, place, extraction, part, bank, backbone, n_trainings)
        workshop.foresee(n_trainings)
        found = _train(workshop, config, extraction, folds, tested)
    near = near_copies_of(
        part,
        found.judged.of(found.answer.kind),
        (extraction.name,),
        seed=int(config.finetune.seed or 0),
    )
    notes += [*(folds.notes if tested is None else ()), *found.answer.notes, *near.notes()]
    for note in notes:
        console.log(f"Note: {note}")
    document = {
        **settings(config, extraction, part, folds, tested),
        **found.document(extraction.name, workshop.config),
        "near_copies": near.document(),
        "extraction": {extraction.name: extraction.document()},
        "cost": {
            "extract_s": round(extracted_s, 3),
            "finetune_s": round(time.perf_counter() - started - extracted_s, 3),
        },
        "notes": notes,
    }
    results = Results.model_validate(document)
    run = Run.made(
        claims.place(folder),
        results,
        config=config,
        predictions=predictions(found.judged, found.answer.kind),
        failures=extraction.failures,
        model=replace(found.answer.model, metrics=results.estimate.document()),
        epochs=curves(found.records),
    )
    with writing("the run", run.folder, kept="Checkpoints are kept."):
        write_run(run, card=card_of)
    remove_known(working, WORKING)
    console.log(f"Run written to {run.folder}")
    if config.finetune.report:
        add_report(run, [found.answer.extraction], heat_maps=config.finetune.heat_maps)
    track_run(target, run)
    return run


def _named(config: RunConfig, folder: Path) -> RunConfig:
    """The configuration with the run's name in it, as the run keeps it."""
    assert config.finetune is not None
    kept = {"name": folder.name, "mlflow": without_password(config.finetune.mlflow)}
    named = config.finetune.model_copy(update=kept)
    return config.model_copy(update={"finetune": named})


def _check_extras(config: FinetuneConfig, used: Sequence[Used]) -> None:
    """Refuse what is not installed, or cannot be logged to, before anything is spent."""
    check_tracking(config.mlflow, used)
    if config.tensorboard is not None and find_spec("tensorboard") is None:
        raise MissingExtraError("--tensorboard", "tensorboard")
    if (config.trials or config.budget) and find_spec("optuna") is None:
        raise MissingExtraError("A search (--trials, --budget)", "optuna")


def _check_before_reading(manifest: Manifest, settled: Settled) -> None:
    """Refuse what no content of the images makes right."""
    check_labels(
        [str(label) for label in manifest.labels],
        manifest.groups,
        manifest.splits,
        estimate=settled.method,
    )
    if settled.baseline is not None:
        check_names(settled.baseline, manifest.ids)


def _extract(manifest: Manifest, config: ExtractConfig) -> Extraction:
    extractions = extract_manifest(manifest, config, allow_memory=True)
    if len(extractions) != 1:
        raise UsageError(
            f"One embedding can be fine-tuned at a time; these layers give {len(extractions)}.",
            hint="Leave --separate out: layers are then side by side.",
        )
    return extractions[0]


def _separate(
    extraction: Extraction, settled: Settled
) -> tuple[Part, EvaluationSet | None, list[str]]:
    """Images to train on, and those that judge once, as `featx.fit` separates them."""
    use_test = settled.method in {"auto", "test"}
    part, test, notes = split_data(gather([extraction]), use_test=use_test)
    notes = [n.replace("the search cross-validates on both", "it is trained on") for n in notes]
    if test is not None:
        return part, EvaluationSet("test", test), notes
    if settled.method == "test":
        raise missing_test_split("cv")
    if settled.method == "holdout":
        seed = int(settled.config.finetune.seed or 0) if settled.config.finetune else 0
        part, held, more = hold_out_part(part, share=settled.holdout, seed=seed)
        return part, EvaluationSet("holdout", held), notes + more
    return part, None, notes


def _working_folder(config: RunConfig, place: Place, extraction: Extraction) -> Path:
    """Where checkpoints are: the same for the same command on the same images, on however many
    devices."""
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


def _bank(extraction: Extraction, part: Part, config: FinetuneConfig) -> ImageBank:
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


def _workshop(
    config: RunConfig,
    place: Place,
    extraction: Extraction,
    part: Part,
    bank: ImageBank,
    backbone: Backbone,
    n_trainings: int,
) -> Workshop:
    """The backbone on its device, to be copied for each training."""
    from featx.finetuning import settle_rates

    extract = config.extract
    assert config.finetune is not None
    working = _working_folder(config, place, extraction)
    budget = config.finetune.budget
    console.log(
        f"Fine-tuning {extraction.name} with torch in {place.precision} on {place}; "
        f"checkpoints in {working}."
    )
    return Workshop(
        part=part,
        backbone=backbone,
        bank=bank,
        config=settle_rates(config.finetune, backbone.network),
        device=place.device,
        precision=place.precision,
        upright=extract.upright,
        folder=working,
        budget=None if budget is None else Budget(read_seconds(budget), [1.0] * n_trainings),
        devices=place.devices,
    )


def _train(
    workshop: Workshop,
    config: RunConfig,
    extraction: Extraction,
    folds: Folds,
    tested: EvaluationSet | None,
) -> Found:
    """All trainings, that on all images last, and which model ships."""
    records, judged = _train_folds(workshop, folds) if tested is None else ([], None)
    final = workshop.finetune(np.ones(len(workshop.part), bool), ALL)
    answer, judged, change = _choose(workshop, config, extraction, final, tested, judged)
    return Found([*records, final.record], answer, judged, change)


def _train_folds(workshop: Workshop, folds: Folds) -> tuple[list[Record], Judged]:
    """Each fold predicted by models that were trained without it."""
    part = workshop.part
    said = {name: np.zeros((len(part), len(part.classes))) for name in ("frozen", "finetuned")}
    records = []
    for fold in range(folds.n_folds):
        rows = folds.fold == fold
        outcome = workshop.finetune(~rows, f"fold {fold + 1} of {folds.n_folds}")
        said["frozen"][rows], said["finetuned"][rows] = workshop.predict(outcome, rows)
        records.append(outcome.record)
    held = {name: HeldOut("oof", part, folds.fold, p) for name, p in said.items()}
    return records, Judged(**held)


def _choose(
    workshop: Workshop,
    config: RunConfig,
    extraction: Extraction,
    final: Outcome,
    tested: EvaluationSet | None,
    judged: Judged | None,
) -> tuple[Answer, Judged, Change]:
    """The model that ships, and what both say of the images that judge.

    The guard: a fine-tune that ends below its own warm start, on the validation images or out of
    fold, is not the answer. The test split chooses nothing.
    """
    from featx.finetuning import describe_recipe

    frozen = frozen_answer(config, extraction, final)
    tuned = tuned_answer(
        config, extraction, workshop, final, None if judged is None else judged.finetuned
    )
    if tested is not None:
        judged = Judged(*(_tested(tested, a) for a in (frozen, tuned)))
    assert judged is not None
    change = _change(judged, workshop.config)
    fell = final.fell
    if tested is None and fell is None:
        fell = change.below(workshop.config.monitor)
    if final.still_improving:
        more = 2 * workshop.config.epochs
        for answer in (frozen, tuned):
            answer.notes.append(f"The last epoch was the best: more may help (--epochs {more}).")
    if fell is not None:
        frozen.notes.append(
            f"Fine-tuning is not kept: {fell}. Tried: {describe_recipe(workshop.config)}; another "
            "recipe may do better (--preset thorough, --trials 10). The model is the frozen "
            f"backbone with a head fitted on all {counted(len(workshop.part), 'training image')}."
        )
        return replace(frozen, not_tuned=fell), judged, change
    for seen in [c for c in (final.change, change if tested is None else None) if c is not None]:
        if (remark := seen.remark()) is not None:
            tuned.notes.append(remark)
    before, after = change.score
    if tested is not None and after < before:
        tuned.notes.append(
            f"On the images that judge, the fine-tuned model scores {after:.4f} and the frozen "
            f"one {before:.4f}. They choose nothing, so the fine-tuned one is kept; think twice."
        )
    return tuned, judged, change


def _change(judged: Judged, config: FinetuneConfig) -> Change:
    """The two models on the images that judge."""
    frozen, tuned = judged.frozen, judged.finetuned
    out_of_fold = frozen.split == "oof"
    return compare_models(
        "images out of fold" if out_of_fold else "images that judge",
        frozen.part.y,
        frozen.part.components,
        frozen.proba,
        tuned.proba,
        scoring=str(config.scoring),
        seed=int(config.seed or 0),
        n_folds=int(config.folds or 5) if out_of_fold else None,
    )


def _tested(tested: EvaluationSet, answer: Answer) -> HeldOut:
    """What a model says of the images that judge once."""
    probabilities = answer.predict(tested.part.ids, tested.part.classes)
    fold = np.full(len(tested.part), -1)
    return HeldOut(tested.method, tested.part, fold, probabilities)
