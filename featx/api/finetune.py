"""`featx.finetune`: a backbone trained on the folds of `featx.fit`, and judged like it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from featx import console
from featx.config import DatasetConfig, ExtractConfig, FinetuneConfig, RunConfig
from featx.config.keywords import keywords, read_options
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.data.splits import make_folds
from featx.errors import MissingExtraError, UsageError
from featx.extraction import Extraction
from featx.extraction.embedding import extract_manifest
from featx.extraction.resolving import resolve_extract
from featx.extraction.used import used_by
from featx.finetuning.baseline import (
    ResolvedFinetune,
    check_names,
    check_same_images,
    resolve_finetune,
)
from featx.finetuning.devices import Place, choose_place, suit_network
from featx.finetuning.folders import WORKING, curves_output
from featx.finetuning.learning import plan_trainings
from featx.finetuning.protocol import (
    make_context,
    open_bank,
    separate_images,
    train_all,
    working_folder,
)
from featx.finetuning.results import FinetuneFindings, curves, predictions, settings
from featx.fitting import check_labels
from featx.fitting.gathering import content_digest, labelled
from featx.fitting.near_copies import near_copies_of, near_copy_notes
from featx.ours import remove_known
from featx.outputs import Claims, Output, Used, claimed
from featx.reporting.card import card_of
from featx.reporting.run_report import add_report
from featx.runs import Run, run_folder, run_output, write_run
from featx.runs.by import by_document
from featx.runs.results import Results
from featx.runs.tracking import check_tracking, track_run, without_password
from featx.system_errors import writing


# Views are of frozen images, where ``augment`` is that of the training.
@keywords(
    DatasetConfig,
    ExtractConfig,
    FinetuneConfig,
    leave_out={ExtractConfig: frozenset({"views", "augment", "cluster", "address"})},
)
def finetune(dataset: str | os.PathLike[str], **options: Any) -> Run:
    """Fine-tune a backbone and its head, starting from the head fitted on its frozen embeddings.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`.
    **options

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``: the fine-tuned one or, where fine-tuning ended
        below its own warm start, the frozen one.

    Raises
    ------
    UsageError
        An option is invalid, the run exists, or ``from_run`` was made on other images.
    FitError
        The labels do not allow an honest estimate, or are too few for a validation part.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Notes
    -----
    Linear probing, then fine-tuning: Kumar et al., "Fine-tuning can distort pretrained features and
    underperform out-of-distribution", ICLR 2022, https://arxiv.org/abs/2202.10054.
    """
    data, extract, config = read_options(finetune, dataset=dataset, **options)
    return finetune_dataset(RunConfig(data=data, extract=extract, finetune=config))


def finetune_dataset(config: RunConfig) -> Run:
    """`finetune` from a resolved configuration."""
    started = time.perf_counter()
    resolved = resolve_finetune(config)
    assert resolved.config.finetune is not None
    folder = run_folder(config.data.dataset, resolved.config.finetune)
    target = resolved.config.finetune.mlflow
    config = _named(resolved.config, folder)
    assert config.finetune is not None
    used = used_by(config.data, config.extract, config.finetune)
    _check_extras(config.finetune, [*used, Used("the run", folder)])
    place = choose_place(config.extract, config.finetune)
    outputs = [run_output(folder, config.finetune), *curves_output(config.finetune)]
    with claimed(outputs, used) as claims:
        resolved = replace(resolved, config=config)
        return _finetune(resolved, folder, target, claims, place, started)


def _finetune(
    resolved: ResolvedFinetune,
    folder: Path,
    target: str | None,
    claims: Claims,
    place: Place,
    started: float,
) -> Run:
    """The fine-tuning itself, once the run's name is claimed."""
    from featx.backbones import load_backbone

    config = resolved.config
    assert config.finetune is not None
    manifest = labelled(open_data(config.data, keep=config.finetune.by))
    claims.spare("the images", manifest.paths)
    _check_before_reading(manifest, resolved)
    config = config.model_copy(update={"extract": resolve_extract(manifest, config.extract)})
    assert config.finetune is not None
    extraction = _extract(manifest, config.extract)
    part, tested, notes = separate_images(extraction, resolved)
    n_folds, seed = int(config.finetune.folds or 5), int(config.finetune.seed or 0)
    folds = make_folds(part.y, part.components, part.classes, n_folds=n_folds, seed=seed)
    if resolved.baseline is not None:
        check_same_images(resolved.baseline, content_digest(extraction), part, folds, tested)
    extracted_s = time.perf_counter() - started
    trainings = plan_trainings(part, folds, config.finetune, judged_once=tested is not None)
    [request] = config.extract.requests()
    backbone = load_backbone(request, offline=config.extract.offline)
    place = suit_network(place, config.extract.precision, backbone.network)
    working = working_folder(config, place, extraction)
    claims.add(Output(working, "--runs", WORKING, overwrite=True))
    with closing(open_bank(extraction, part, config.finetune)) as bank:
        n_images = trainings.n_images
        context = make_context(config, place, extraction, part, bank, backbone, n_images)
        context.foresee(n_images)
        found = train_all(context, config, extraction, trainings, tested)
    evaluated = found.judged.of(found.answer.kind)
    near = near_copies_of(part, evaluated, (extraction.name,), seed=seed)
    notes += [*(folds.notes if tested is None else ()), *found.answer.notes, *near_copy_notes(near)]
    for note in notes:
        console.log(f"Note: {note}")
    document = {
        **settings(config, extraction, part, folds, tested),
        **found.document(extraction.name, context.config),
        "near_copies": near.document(),
        "extraction": {extraction.name: extraction.document()},
        "cost": {
            "extract_s": round(extracted_s, 3),
            "finetune_s": round(time.perf_counter() - started - extracted_s, 3),
        },
        "notes": notes,
    }
    run = _write(found, document, config, extraction, claims.place(folder))
    remove_known(working, WORKING)
    console.log(f"Run written to {run.folder}")
    if config.finetune.report:
        add_report(run, [found.answer.extraction], heat_maps=config.finetune.heat_maps)
    track_run(target, run)
    return run


def _write(
    found: FinetuneFindings,
    document: dict[str, Any],
    config: RunConfig,
    extraction: Extraction,
    folder: Path,
) -> Run:
    """The run, written."""
    assert config.finetune is not None
    table = predictions(found.judged, found.answer.kind)
    by = by_document(
        table,
        config.finetune.by,
        method=document["estimate"]["method"],
        scoring=str(config.finetune.scoring),
        seed=int(config.finetune.seed or 0),
    )
    results = Results.model_validate({**document, **by})
    run = Run.made(
        folder,
        results,
        config=config,
        predictions=table,
        failures=extraction.failures,
        model=replace(found.answer.model, metrics=results.estimate.document()),
        epochs=curves(found.records),
    )
    with writing("the run", run.folder, kept="Checkpoints are kept."):
        write_run(run, card=card_of)
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


def _check_before_reading(manifest: Manifest, resolved: ResolvedFinetune) -> None:
    """Refuse what no content of the images makes right."""
    check_labels(
        [str(label) for label in manifest.labels],
        manifest.groups,
        manifest.splits,
        estimate=resolved.method,
    )
    if resolved.baseline is not None:
        check_names(resolved.baseline, manifest.ids)


def _extract(manifest: Manifest, config: ExtractConfig) -> Extraction:
    extractions = extract_manifest(manifest, config, allow_memory=True)
    if len(extractions) != 1:
        raise UsageError(
            f"One embedding can be fine-tuned at a time; these layers give {len(extractions)}.",
            hint="Leave --separate out: the layers are then concatenated.",
        )
    return extractions[0]
