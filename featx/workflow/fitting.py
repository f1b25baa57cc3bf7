"""`featx.fit`: a labelled data set to a run folder with an honest number and a safe model."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.config import DatasetConfig, ExtractConfig, FitConfig, RunConfig
from featx.data.copies import copies_document
from featx.data.manifest import Manifest
from featx.errors import FitError
from featx.extraction import Extraction, copies_of
from featx.files import printable
from featx.fitting import (
    FitData,
    FitResult,
    check_config,
    check_labels,
    fit_heads,
    read_rule,
    split_backbones,
)
from featx.fitting.data import only_one
from featx.model import Model, ModelExtractor
from featx.outputs import Claims, Used, claimed
from featx.system_errors import writing
from featx.types import AUTO_LAYER
from featx.workflow.curve_summary import complete_curve
from featx.workflow.datasets import open_data
from featx.workflow.extracting import extract_manifest
from featx.workflow.layers import one_embedding, side_by_side
from featx.workflow.options import sections
from featx.workflow.reporting import add_report
from featx.workflow.runs import RunContents, run_folder, run_output, write_run
from featx.workflow.settling import settle_backbone, settle_extract
from featx.workflow.tracking import check_tracking, track_run, without_password
from featx.workflow.used import used_by

__all__ = [
    "Run",
    "content_digest",
    "fit",
    "fit_dataset",
    "fitted_model",
    "gather",
    "labelled",
]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : Path
        Where it was written.
    results : dict
        The content of ``results.json``.
    model : Model
        The fitted model, as `featx.load_model` would return it.
    """

    folder: Path
    results: dict[str, Any]
    model: Model


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
    extract = settle_backbone(config.extract, compete=True)
    config = config.model_copy(update={"extract": extract})
    _check_before_reading(manifest, config)
    config = config.model_copy(update={"extract": settle_extract(manifest, config.extract)})
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
    chosen = one_embedding(_resting_on(extractions, result.chosen.backbone), config.extract.cache)
    results = _results_document(config, manifest, data, extractions, result, extracted_s)
    model = fitted_model(config, chosen, result)
    target = config.fit.mlflow
    kept = {"name": folder.name, "mlflow": without_password(target)}
    config = config.model_copy(update={"fit": config.fit.model_copy(update=kept)})
    contents = RunContents(config, results, extractions[0].failures, result.predictions, model)
    folder = claims.place(folder)
    searches = printable(str(folder.parent / ".searches"))
    with writing("the run", folder, kept=f"What is in the cache and in {searches} is kept."):
        write_run(folder, contents)
    console.log(f"Run written to {folder}")
    if config.fit.report:
        add_report(folder, chosen, heat_maps=config.fit.heat_maps)
    track_run(target, folder, config, "fit")
    return Run(folder, results, model)


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


def gather(extractions: Sequence[Extraction]) -> FitData:
    """Aligned arrays of every embedding, for `featx.fitting.fit_heads`.

    Raises
    ------
    FitError
        No image could be read.
    """
    first = extractions[0]
    if first.failures and not first.ok.any():
        worst = first.failures[0]
        raise FitError(
            f"None of {len(first.ok):,} images could be read, the first at "
            f"{printable(worst.path)!r}: {worst.reason}.",
            hint="Paths in a manifest are relative to its own folder; --root names another.",
        )
    return FitData(
        X={extraction.name: extraction.X for extraction in extractions},
        y=first.y,
        ids=[str(name) for name in first.ids],
        hashes=first.hashes[first.ok],
        copies=copies_of(extractions),
        groups=_column(first.groups, "group", ("", "is a group of its own")),
        splits=_column(first.splits, "split", ("train", "is used for training")),
        views={e.name: e.views for e in extractions} if first.plan.n_views else {},
    )


def _column(values: np.ndarray, name: str, missing_means: tuple[str, str]) -> np.ndarray | None:
    """The column as text, or None where no row has a value; says what a gap is taken for."""
    missing = np.array([value is None for value in values], bool)
    if missing.all():
        return None
    if missing.any():
        fill, meaning = missing_means
        console.warn(
            f"{console.counted(int(missing.sum()), 'image', 'has/have')} no {name}; each {meaning}"
        )
        values = np.where(missing, fill, values)
    return values.astype(str)


def labelled(manifest: Manifest) -> Manifest:
    """The labelled rows; says how many are left out."""
    if not manifest.classes:
        raise FitError(
            f"{printable(manifest.source)!r} has no labels, and fit needs them.",
            hint="Name a folder that has one folder per class in it, or a manifest whose column of "
            "labels --label-column names.",
        )
    kept = replace(manifest, rows=tuple(row for row in manifest.rows if row.label is not None))
    if len(kept) < len(manifest):
        without = console.counted(len(manifest) - len(kept), "image")
        console.warn(f"{without} without a label: left out of the fit")
    return kept


def _results_document(
    config: RunConfig,
    manifest: Manifest,
    data: FitData,
    extractions: Sequence[Extraction],
    result: FitResult,
    extracted_s: float,
) -> dict[str, Any]:
    labels: Counter[str] = Counter(str(label) for label in manifest.labels)
    curve = result.learning_curve
    return {
        **result.document(),
        "learning_curve": curve and complete_curve(curve, extractions[0].report),
        "dataset": {
            "source": printable(config.data.dataset),
            "images": len(manifest),
            "classes": {printable(k): labels[k] for k in sorted(labels)},
            "quarantined": len(extractions[0].failures),
            "passed_over": dict(manifest.ignored),
            "exact_copies": copies_document(data.equal),
            "sha256": content_digest(extractions[0]),
        },
        "extraction": {e.name: {**e.document(), "failures": len(e.failures)} for e in extractions},
        "cost": {"extract_s": round(extracted_s, 3), "fit_s": round(result.elapsed_s, 3)},
    }


def content_digest(extraction: Extraction) -> str:
    """SHA-256 of the names, contents and labels of all images that were read, in any order."""
    rows = zip(extraction.ids, extraction.y, extraction.hashes[extraction.ok], strict=True)
    lines = sorted(f"{name}\0{label}\0{sha.tobytes().hex()}\n" for name, label, sha in rows)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _resting_on(extractions: Sequence[Extraction], backbone: str) -> list[Extraction]:
    """Those whose embeddings, side by side, the candidate's ``backbone`` is."""
    return [e for e in extractions if e.name in split_backbones(backbone)]


def fitted_model(config: RunConfig, extractions: Sequence[Extraction], result: FitResult) -> Model:
    """The model that a fit on the embeddings of these extractions gives."""
    return Model(
        classes=list(result.classes),
        head=result.pipeline,
        extractors=[
            ModelExtractor(dict(e.spec.document), _portable(e.request)) for e in extractions
        ],
        temperature=result.temperature,
        trust=result.trust.trust,
        novelty=result.trust.novelty,
        drift=result.trust.drift,
        augmentation=extractions[0].plan.made_by,
        metrics=result.estimate,
        provenance={
            "dataset": printable(config.data.dataset),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "n_images": int(extractions[0].ok.sum()),
            "seed": config.fit.seed,
            "chosen": result.chosen.document(),
        },
    )


def _portable(request: dict[str, Any]) -> dict[str, Any]:
    """The request with its weights file findable from any working directory."""
    weights = request["weights"]
    return {**request, "weights": weights and str(Path(weights).absolute())}
