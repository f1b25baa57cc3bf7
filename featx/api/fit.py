"""`featx.fit`: a labelled data set to a run folder with an honest number and a safe model."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featx import console
from featx.config import DatasetConfig, ExtractConfig, FitConfig, RunConfig
from featx.config.options import sections
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.extraction import Extraction
from featx.extraction.embedding import extract_manifest
from featx.extraction.resolving import resolve_backbone, resolve_extract
from featx.extraction.used import used_by
from featx.files import printable
from featx.fitting import (
    FitData,
    FitResult,
    check_config,
    check_labels,
    fit_heads,
    read_rule,
)
from featx.fitting.data import only_one
from featx.fitting.gathering import describe_dataset, fitted_model, gather, labelled, resting_on
from featx.fitting.layers import one_embedding, side_by_side
from featx.outputs import Claims, Used, claimed
from featx.reporting.card import card_of
from featx.reporting.run_report import add_report
from featx.reporting.summaries.curve import complete_curve
from featx.runs import Run, run_folder, run_output, write_run
from featx.runs.results import Results
from featx.runs.tracking import check_tracking, track_run, without_password
from featx.system_errors import writing
from featx.types import AUTO_LAYER

__all__ = ["fit", "fit_dataset"]


def fit(dataset: str | os.PathLike[str], **options: Any) -> Run:
    """Search a classifier on cached embeddings, estimate it honestly, and save it.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`.
    **options
        Fields of `featx.config.DatasetConfig`, `featx.config.ExtractConfig` and
        `featx.config.FitConfig`, for instance ``head=["logreg", "svm-rbf"]``,
        ``sampler="smote"``, ``cv=5``, ``seed=0``, ``name="first"``.

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``.

    Raises
    ------
    UsageError
        An option makes no sense, or the run exists and ``overwrite`` is not set.
    FitError
        The labels cannot carry an honest estimate (one class, too few images of a class ...).
    DatasetError, BackboneError, StoreError
        See `featx.extract`.
    """
    data, extract, config = sections(
        {"dataset": dataset, **options}, DatasetConfig, ExtractConfig, FitConfig
    )
    return fit_dataset(RunConfig(data=data, extract=extract, fit=config))


def fit_dataset(config: RunConfig) -> Run:
    """`fit` from a resolved configuration."""
    started = time.perf_counter()
    folder = run_folder(config.data.dataset, config.fit)
    check_config(config.fit)
    used = used_by(config.data, config.extract, config.fit)
    check_tracking(config.fit.mlflow, [*used, Used("the run", folder)])
    with claimed([run_output(folder, config.fit)], used) as claims:
        return _fit(config, folder, claims, started)


def _fit(config: RunConfig, folder: Path, claims: Claims, started: float) -> Run:
    """The fit itself, once the run's name is claimed."""
    manifest = labelled(open_data(config.data))
    claims.spare("the images", manifest.paths)
    extract = resolve_backbone(config.extract, compete=True)
    config = config.model_copy(update={"extract": extract})
    _check_before_reading(manifest, config)
    config = config.model_copy(update={"extract": resolve_extract(manifest, config.extract)})
    extractions = extract_manifest(manifest, config.extract, allow_memory=True)
    data = gather(extractions)
    if config.fit.concat:
        data = data.joined()
    data = data.beside(side_by_side(extractions))
    extracted_s = time.perf_counter() - started
    result = fit_heads(
        data,
        config.fit,
        journal=Path(config.fit.runs) / ".searches" if config.fit.resume else None,
    )
    for note in result.notes:
        console.log(f"Note: {note}")
    in_force = result.operating.in_force
    if in_force is not None and in_force.warning is not None:
        console.warn(in_force.warning)
    chosen = one_embedding(resting_on(extractions, result.backbones), config.extract.cache)
    results = _results_document(config, manifest, data, extractions, result, extracted_s)
    model = fitted_model(config, chosen, result)
    target = config.fit.mlflow
    kept = {"name": folder.name, "mlflow": without_password(target)}
    config = config.model_copy(update={"fit": config.fit.model_copy(update=kept)})
    run = Run.made(
        claims.place(folder),
        results,
        config=config,
        predictions=result.predictions,
        failures=extractions[0].failures,
        model=model,
    )
    searches = printable(str(run.folder.parent / ".searches"))
    with writing("the run", run.folder, kept=f"What is in the cache and in {searches} is kept."):
        write_run(run, card=card_of)
    console.log(f"Run written to {run.folder}")
    if config.fit.report:
        add_report(run, chosen, heat_maps=config.fit.heat_maps)
    track_run(target, run)
    return run


def _check_before_reading(manifest: Manifest, config: RunConfig) -> None:
    """Refuse what no content of the images makes right."""
    asked = config.fit
    classes = check_labels(
        [str(label) for label in manifest.labels],
        manifest.groups,
        manifest.splits,
        estimate=asked.estimate,
    )
    read_rule(asked, classes)
    if (
        asked.concat
        and len(config.extract.requests()) < 2
        and not (config.extract.separate or AUTO_LAYER in config.extract.layer)
    ):
        raise only_one(config.extract.requests()[0].name)


def _results_document(
    config: RunConfig,
    manifest: Manifest,
    data: FitData,
    extractions: Sequence[Extraction],
    result: FitResult,
    extracted_s: float,
) -> Results:
    curve = result.learning_curve
    document = {
        **result.document(),
        "learning_curve": curve and complete_curve(curve, extractions[0].report),
        "dataset": describe_dataset(config.data.dataset, manifest, extractions[0], data.equal),
        "extraction": {e.name: {**e.document(), "failures": len(e.failures)} for e in extractions},
        "cost": {"extract_s": round(extracted_s, 3), "fit_s": round(result.elapsed_s, 3)},
    }
    return Results.model_validate(document)
