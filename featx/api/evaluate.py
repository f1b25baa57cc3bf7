"""`featx.evaluate`: a finished model on labelled images that came after it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from featx import console
from featx.artifact import Model, load_model
from featx.config import (
    BACKBONE_FIELDS,
    DatasetConfig,
    EvaluateConfig,
    ExtractConfig,
    RunConfig,
    ScoreConfig,
)
from featx.config.keywords import keywords, read_options
from featx.data.kept_columns import Keep
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.errors import DatasetError, UsageError
from featx.evaluating.evaluation import EvaluationResult, evaluate_images
from featx.evaluating.grouping import group_table
from featx.extraction import Extraction
from featx.extraction.given import needed_columns
from featx.extraction.used import check_cache, used_by
from featx.files import printable
from featx.fitting.gathering import describe_dataset, labelled
from featx.outputs import Claims, claimed
from featx.reporting.card import card_of
from featx.reporting.run_report import add_report
from featx.runs import Run, run_folder, run_output, write_run
from featx.runs.by import by_document
from featx.runs.estimates import Decided
from featx.runs.results import SCHEMA_VERSION, Results
from featx.runs.thresholds import metrics_with_threshold, model_with_threshold
from featx.runs.writing import Table
from featx.scoring.checks import Check, check_limits, raise_alarms
from featx.scoring.folder import extract_again
from featx.scoring.groups import grouped_data, require_groups, score_groups
from featx.scoring.scores import Scores
from featx.stats.groups import read_way
from featx.system_errors import writing


@keywords(
    DatasetConfig,
    EvaluateConfig,
    ExtractConfig,
    leave_out={ExtractConfig: BACKBONE_FIELDS},
    instead="the model's own is used",
)
def evaluate(
    model: Model | Run | str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    **options: Any,
) -> Run:
    """Evaluate a finished model on labelled images that it has not seen.

    Parameters
    ----------
    model : Model, Run or path
        A model, a run, or what `featx.load_model` takes.
    dataset : path
        A labelled data set; see `featx.extract`.
    **options

    Returns
    -------
    Run
        ``run.results.estimate`` has every metric on the images that are not copies of training
        images; ``run.results.evaluation`` what else was found. Its ``model`` is the one that was
        evaluated, at its own path.

    Raises
    ------
    UsageError
        An option is invalid, or the run exists and ``overwrite`` is not set.
    ModelError
        The model cannot be loaded, or its backbone is not the one it was fitted with.
    FitError
        The images have no labels.
    AlarmError
        What ``fail_on`` names was found; the run is written.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Examples
    --------
    >>> run = featx.evaluate("runs/first", "other_hospital/")           # doctest: +SKIP
    >>> run.results.evaluation.against_shipped["accuracy"].place        # doctest: +SKIP
    'inside'
    """
    if isinstance(model, Run):
        model = model.folder
    named = "" if isinstance(model, Model) else os.fspath(model)
    data, config, extract = read_options(evaluate, dataset=dataset, model=named, **options)
    run = evaluate_dataset(
        RunConfig(data=data, extract=extract, evaluate=config),
        model if isinstance(model, Model) else None,
    )
    require_calm(run, config.fail_on)
    return run


def require_calm(run: Run, fail_on: str | None) -> None:
    """Raise `AlarmError` where what ``fail_on`` names was found in an evaluation."""
    evaluation = run.results.evaluation
    assert evaluation is not None
    checks = [Check(k, c.images, c.of, c.usual, c.p) for k, c in evaluation.checks.items()]
    raise_alarms(fail_on, checks, evaluation.drift)


def evaluate_dataset(config: RunConfig, model: Model | None = None) -> Run:
    """`evaluate` from a resolved configuration; ``config.evaluate.fail_on`` is left to the caller.

    Parameters
    ----------
    config : RunConfig
        With a section ``evaluate``.
    model : Model, optional
        Instead of the one that the section names.
    """
    started = time.perf_counter()
    assert config.evaluate is not None
    _refuse_others(config)
    data = grouped_data(config.data, config.evaluate.by_group)
    config = config.model_copy(update={"data": data})
    assert config.evaluate is not None
    loaded = load_model(config.evaluate.model) if model is None else model
    check_limits(loaded, config.evaluate.fail_on)
    if config.evaluate.group_answer is not None:
        read_way(config.evaluate.group_answer, loaded.classes)
    loaded, decided = _deciding(loaded, config.evaluate)
    folder = run_folder(config.data.dataset, config.evaluate)
    named = None if model is not None else config.evaluate.model
    used = used_by(config.data, config.extract, model=named)
    with claimed([run_output(folder, config.evaluate)], used) as claims:
        return _evaluate(config, (loaded, decided), folder, claims, started)


def _deciding(model: Model, config: EvaluateConfig) -> tuple[Model, Decided | None]:
    """The model with the threshold that is asked for, and with the estimate that belongs to it."""
    source, text, prevalence = config.model or None, config.threshold, config.prevalence
    changed, decided = model_with_threshold(model, source, text, prevalence)
    if text is None:
        return changed, decided
    return replace(changed, metrics=metrics_with_threshold(model, source, text)), decided


def _refuse_others(config: RunConfig) -> None:
    """Refuse a configuration that would also fit something."""
    for name in ("fit", "finetune", "score"):
        if name in config.model_fields_set and getattr(config, name) not in (
            None,
            type(config).model_fields[name].get_default(call_default_factory=True),
        ):
            raise UsageError(
                f"A configuration with a section evaluate cannot also have a section {name}.",
                hint="Use separate configurations.",
            )


def _evaluate(
    config: RunConfig,
    deciding: tuple[Model, Decided | None],
    folder: Path,
    claims: Claims,
    started: float,
) -> Run:
    """The evaluation itself, once the run's name is claimed."""
    assert config.evaluate is not None
    model, decided = deciding
    keep = Keep(Keep.of(config.evaluate.by).asked, needed_columns(model).needed)
    manifest = _chosen_rows(labelled(open_data(config.data, keep=keep)), config.evaluate.split)
    claims.spare("the images", manifest.paths)
    if config.evaluate.by_group is not None:
        require_groups({g: g for g in manifest.groups if g}, config.data.dataset)
    check_cache(manifest, config.extract.cache)
    extractions = extract_again(model, manifest, ScoreConfig(), config.extract)
    extracted_s = time.perf_counter() - started
    seed = config.evaluate.seed
    seed = _seed(model) if seed is None else seed
    found = evaluate_images(
        model,
        extractions,
        seed=seed,
        named=config.evaluate.model,
        decided=decided,
        prevalence=config.evaluate.prevalence,
        group_answer=config.evaluate.group_answer,
        columns=config.evaluate.by,
    )
    results = _results(config, manifest, extractions, found, (extracted_s, started))
    kept = config.evaluate.model_copy(update={"name": folder.name, "seed": seed})
    run = Run.made(
        claims.place(folder),
        results,
        config=config.model_copy(update={"evaluate": kept}),
        predictions=found.predictions,
        failures=extractions[0].failures,
        model=model,
    )
    with writing("the run", run.folder, kept="What is in the cache is kept."):
        write_run(run, card=card_of, groups=_group_rows(config.evaluate, found.scores, manifest))
    console.log(f"Run written to {run.folder}")
    if config.evaluate.report:
        add_report(run, extractions, heat_maps=False)
    for note in results.notes:
        console.at_end(note, warning=True)
    return run


def _group_rows(config: EvaluateConfig, scores: Scores, manifest: Manifest) -> Table | None:
    """What is predicted for each group, where that was asked for."""
    if config.by_group is None:
        return None
    groups = {row.id: row.group for row in manifest.rows if row.group is not None}
    labels: dict[str, set[str]] = {}
    for row in manifest.rows:
        labels.setdefault(groups.get(row.id, row.id), set()).add(str(row.label))
    return group_table(score_groups(scores, groups, config.group_answer), labels)


def _chosen_rows(manifest: Manifest, split: str | None) -> Manifest:
    """The images of one split; all of them where none is asked for."""
    if split is None:
        return manifest
    rows = tuple(row for row in manifest.rows if row.split == split)
    if not rows:
        there = sorted({row.split for row in manifest.rows if row.split is not None})
        raise DatasetError(
            f"No image of {printable(manifest.source)!r} is of the split {split!r}.",
            hint=f"It has {' and '.join(there)}." if there else "It has no splits.",
        )
    return replace(manifest, rows=rows)


def _seed(model: Model) -> int:
    """That of the model, so that an evaluation on its test images is its estimate."""
    seed = model.provenance.get("seed", 0)
    return seed if isinstance(seed, int) and 0 <= seed < 2**32 else 0


def _results(
    config: RunConfig,
    manifest: Manifest,
    extractions: list[Extraction],
    found: EvaluationResult,
    times: tuple[float, float],
) -> Results:
    extracted_s, started = times
    assert config.evaluate is not None
    first = extractions[0]
    elapsed_s = time.perf_counter() - started
    document = {
        "schema_version": SCHEMA_VERSION,
        **found.document,
        **by_document(
            found.predictions,
            config.evaluate.by,
            method=found.document["estimate"]["method"],
            scoring=found.document["scoring"],
            seed=found.document["seed"],
        ),
        "notes": found.notes(),
        "elapsed_s": round(elapsed_s, 3),
        "dataset": describe_dataset(config.data.dataset, manifest, first, first.equal),
        "extraction": {e.name: {**e.document(), "failures": len(e.failures)} for e in extractions},
        "cost": {
            "extract_s": round(extracted_s, 3),
            "score_s": round(elapsed_s - extracted_s, 3),
        },
    }
    return Results.model_validate(document)
