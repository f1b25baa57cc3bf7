"""`featx.fit`: a labelled data set to a run folder with an honest number and a safe model."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from featx import console
from featx.config import DatasetConfig, ExtractConfig, FitConfig, RunConfig
from featx.config.keywords import keywords, read_options
from featx.data.array_files import holds_arrays
from featx.data.arrays import Arrays, make_arrays, read_arrays
from featx.data.kept_columns import Keep, keep_columns
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.errors import UsageError
from featx.extraction import Extraction
from featx.extraction.embedding import extract_manifest
from featx.extraction.given import given_extraction, refuse_image_options
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
from featx.fitting.groups import check_group_answer
from featx.fitting.layers import let_compete, one_embedding
from featx.fitting.tabular import read_tabular
from featx.outputs import Claims, Used, claimed
from featx.racing.choosing import RaceChoice, asks_for_race, choose_by_race
from featx.reporting.card import card_of
from featx.reporting.run_report import add_report
from featx.reporting.summaries.curve import complete_curve
from featx.runs import Run, run_folder, run_output, write_run
from featx.runs.by import by_document
from featx.runs.results import Results
from featx.runs.tracking import check_tracking, track_run, without_password
from featx.system_errors import writing
from featx.types import AUTO_LAYER, IN_MEMORY


@keywords(DatasetConfig, ExtractConfig, FitConfig)
def fit(dataset: str | os.PathLike[str], **options: Any) -> Run:
    """Search a classifier on cached embeddings, estimate it honestly, and save it.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`.
    **options

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``.

    Raises
    ------
    UsageError
        An option is invalid, or the run exists and ``overwrite`` is not set.
    FitError
        The labels do not allow an honest estimate (one class, too few images of a class ...).
    DatasetError, BackboneError, StoreError
        See `featx.extract`.
    """
    data, extract, config = read_options(fit, dataset=dataset, **options)
    return fit_dataset(RunConfig(data=data, extract=extract, fit=config))


@keywords(FitConfig, leave_out={FitConfig: frozenset({"concat", "heat_maps", "race"})})
def fit_arrays(
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    ids: Any = None,
    splits: Any = None,
    columns: str | Sequence[str] = (),
    **options: Any,
) -> Run:
    """Search a classifier on embeddings or features, estimate it honestly, and save it.

    The run has a report and is compared like any other; its model predicts from such rows. Equal
    rows are found and kept together: no copy of a test row is trained on.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features), frame or path
        A NumPy array, a pandas or polars frame, a torch tensor, or a file: ``.npz``, ``.npy``,
        ``.h5``, ``.parquet`` or ``.csv``. Numbers are used as float32.
    y : array-like of shape (n_rows,), or str, optional
        Labels: text or whole numbers. A text is the name of a column of a frame or a file. By
        default the column ``y``, ``label`` or the like. Rows without a label are left out.
    groups : array-like of shape (n_rows,), or str, optional
        Group of each row (patient, plot, camera); a group stays in one fold.
    ids : array-like of shape (n_rows,), or str, optional
        Unique names, by which runs are compared. By default the column ``ids`` or ``id``, the
        index of a frame, or else the number of the row, from 0.
    splits : array-like of shape (n_rows,), or str, optional
        ``train``, ``val`` or ``test``. Rows of the test split are predicted once.
    columns : str or sequence of str
        Columns of a frame or file to fit on: names, or patterns such as ``f*``. By default ``X``
        where it has one, else all columns of numbers that have no other meaning.
    **options

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``.

    Raises
    ------
    UsageError
        An option is invalid, a column does not exist, or the run exists.
    DatasetError
        Lengths differ, or X holds NaN, infinity or no numbers.
    FitError
        See `featx.fit`.

    Examples
    --------
    >>> run = featx.fit_arrays(X, y, groups=patients, name="own")            # doctest: +SKIP
    >>> run.model.predict(X_new)                                             # doctest: +SKIP
    """
    (config,) = read_options(fit_arrays, **options)
    columns = [columns] if isinstance(columns, str) else list(columns)
    keep = Keep(config.kept_columns)
    data, arrays = _arrays_of(X, columns, keep, y=y, groups=groups, ids=ids, splits=splits)
    return _fit_rows(RunConfig(data=data, fit=config), arrays)


def _arrays_of(
    X: Any, columns: list[str], keep: Keep, **given: Any
) -> tuple[DatasetConfig, Arrays]:
    """The rows of a file or of what is in memory, and what names them in the configuration."""
    if not isinstance(X, str | os.PathLike):
        return DatasetConfig(dataset=IN_MEMORY), make_arrays(X, columns=columns, keep=keep, **given)
    if not all(name is None or isinstance(name, str) for name in given.values()):
        raise UsageError("X is a file, so y, groups, splits and ids are names of its columns.")
    data = DatasetConfig(
        dataset=os.fspath(X),
        columns=columns,
        label_column=given["y"],
        group_column=given["groups"],
        split_column=given["splits"],
        path_column=given["ids"],
    )
    return data, read_arrays(data, keep=keep)


def fit_dataset(config: RunConfig) -> Run:
    """`fit` from a resolved configuration."""
    if holds_arrays(config.data):
        refuse_image_options(config.extract, config.data.dataset)
        if config.fit.race is not None:
            raise UsageError("--race applies to images, and the data set holds arrays.")
        return _fit_rows(config, read_arrays(config.data, keep=Keep(config.fit.kept_columns)))
    started = time.perf_counter()
    folder = run_folder(config.data.dataset, config.fit)
    check_config(config.fit)
    used = used_by(config.data, config.extract, config.fit)
    check_tracking(config.fit.mlflow, [*used, Used("the run", folder)])
    with claimed([run_output(folder, config.fit)], used) as claims:
        return _fit(config, folder, claims, started)


def _fit(config: RunConfig, folder: Path, claims: Claims, started: float) -> Run:
    """The fit itself, once the run's name is claimed."""
    manifest = labelled(open_data(config.data, keep=Keep(config.fit.kept_columns)))
    claims.spare("the images", manifest.paths)
    if asks_for_race(config):
        _check_labels(manifest, config.fit)
        config, chosen = choose_by_race(manifest, config)
        extractions = extract_manifest(manifest, chosen.extract, allow_memory=True)
        competing = {name for names in chosen.contenders for name in names}
        extractions = [e for e in extractions if e.name in competing]
        return _fit_extracted(config, manifest, extractions, folder, claims, started, chosen)
    extract = resolve_backbone(config.extract, compete=True)
    config = config.model_copy(update={"extract": extract})
    _check_before_reading(manifest, config)
    config = config.model_copy(update={"extract": resolve_extract(manifest, config.extract)})
    extractions = extract_manifest(manifest, config.extract, allow_memory=True)
    return _fit_extracted(config, manifest, extractions, folder, claims, started)


def _fit_rows(config: RunConfig, arrays: Arrays) -> Run:
    """The fit on rows of numbers."""
    started = time.perf_counter()
    source = config.data.dataset
    folder = run_folder("arrays" if source == IN_MEMORY else source, config.fit)
    check_config(config.fit)
    used = used_by(None if source == IN_MEMORY else config.data, None, config.fit)
    check_tracking(config.fit.mlflow, [*used, Used("the run", folder)])
    arrays = arrays.labelled()
    arrays.require_finite()
    with claimed([run_output(folder, config.fit)], used) as claims:
        extraction = given_extraction(arrays)
        manifest = keep_columns(extraction.manifest, Keep(config.fit.kept_columns))
        extraction = replace(extraction, manifest=manifest)
        _check_labels(extraction.manifest, config.fit)
        if config.fit.concat:
            raise only_one(extraction.name)
        return _fit_extracted(config, extraction.manifest, [extraction], folder, claims, started)


def _fit_extracted(
    config: RunConfig,
    manifest: Manifest,
    extractions: Sequence[Extraction],
    folder: Path,
    claims: Claims,
    started: float,
    raced: RaceChoice | None = None,
) -> Run:
    """What follows on the embeddings: the search, the run, its page."""
    tabular = read_tabular(manifest, config.fit)
    data = gather(extractions, columns=config.fit.by_columns, tabular=tabular)
    if raced is not None:
        apart = raced.apart(data.hashes, data.copy_codes, data.groups)
        data = replace(data, apart=apart, contenders=raced.contenders)
    if config.fit.concat:
        data = data.joined()
    if raced is None:
        data = let_compete(data, extractions)
    extracted_s = time.perf_counter() - started
    result = fit_heads(
        data,
        config.fit,
        journal=Path(config.fit.runs) / ".searches" if config.fit.resume else None,
        tabular=tabular,
    )
    from featx.auditing.grouping import grouping_notes  # with scipy: only where used

    if raced is not None:
        result.notes.append(raced.note(result.estimate, data.apart))
    result.notes.extend(grouping_notes(manifest, extractions[0], seed=config.fit.seed))
    for note in result.notes:
        console.log(f"Note: {note}")
    in_force = result.operating.in_force
    if in_force is not None and in_force.warning is not None:
        console.warn(in_force.warning)
    chosen = one_embedding(resting_on(extractions, result.backbones), config.extract.cache)
    results = _results_document(config, manifest, data, extractions, result, extracted_s, raced)
    model = fitted_model(config, chosen, result, tabular)
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
    _check_labels(manifest, config.fit)
    read_tabular(manifest, config.fit)
    if (
        config.fit.concat
        and len(config.extract.requests()) < 2
        and not (config.extract.separate or AUTO_LAYER in config.extract.layer)
    ):
        raise only_one(config.extract.requests()[0].name)


def _check_labels(manifest: Manifest, asked: FitConfig) -> None:
    classes = check_labels(
        [str(label) for label in manifest.labels],
        manifest.groups,
        manifest.splits,
        estimate=asked.estimate,
    )
    read_rule(asked, classes)
    check_group_answer(asked, classes, grouped=any(manifest.groups or ()))


def _results_document(
    config: RunConfig,
    manifest: Manifest,
    data: FitData,
    extractions: Sequence[Extraction],
    result: FitResult,
    extracted_s: float,
    raced: RaceChoice | None,
) -> Results:
    curve = result.learning_curve
    document = {
        **result.document(),
        **by_document(
            result.predictions,
            config.fit.by,
            method=result.estimate.method,
            scoring=config.fit.scoring,
            seed=config.fit.seed,
        ),
        **({} if raced is None else {"race": raced.document}),
        "learning_curve": curve and complete_curve(curve, extractions[0].report),
        "dataset": describe_dataset(config.data.dataset, manifest, extractions[0], data.equal),
        "extraction": {e.name: {**e.document(), "failures": len(e.failures)} for e in extractions},
        "cost": {"extract_s": round(extracted_s, 3), "fit_s": round(result.elapsed_s, 3)},
    }
    return Results.model_validate(document)
