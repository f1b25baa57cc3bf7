"""`featx.report`: a finished run as one page, and its figures and tables as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from featx import console
from featx.config import ReportConfig, RunConfig
from featx.config.keywords import keywords, read_options
from featx.errors import FeatxError
from featx.ours import FileKind, is_page
from featx.outputs import Claims, Output, Used, claimed
from featx.reporting.files import FIGURES
from featx.reporting.run_report import extract_again, write_report
from featx.runs import Run, load_run
from featx.runs.later import run_with_columns
from featx.runs.thresholds import run_with_threshold
from featx.runs.writing import PAGE
from featx.store import cache_folder

REPORT = FileKind("a page", is_page, room_bytes=1 << 20)


@keywords(ReportConfig)
def report(run: Run | str | os.PathLike[str], **options: Any) -> Path:
    """Write a finished run as one self-contained page.

    Parameters
    ----------
    run : path or Run
        A folder that `featx.fit` or `featx.finetune` wrote, or what it gave back.
    **options

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    UsageError
        The folder is not a run, or output exists and ``overwrite`` is not set. The page in
        the run itself is made from the run alone, and is always replaced.
    RunError
        A file of the run cannot be read, is not what featx writes, or is of a newer version.

    Notes
    -----
    Where images, weights or embeddings are no longer there, the page is without pictures and
    says so.
    """
    (config,) = read_options(report, **options)
    return report_folder(os.fspath(run.folder if isinstance(run, Run) else run), config)


def report_folder(folder: str, config: ReportConfig) -> Path:
    """`report` from a checked configuration."""
    run = load_run(folder)
    if config.threshold is not None or config.prevalence is not None:
        run = run_with_threshold(run, config.threshold, config.prevalence)
    with claimed(_outputs(config), _used(run, config)) as claims:
        return _report(run, config, claims)


def present_settings(run: Run, dataset: str | None, cache: str | None) -> RunConfig:
    """The run's settings with the present places of its images and its cache, where given."""
    settings = run.config
    if dataset is not None:
        data = settings.data.model_copy(update={"dataset": dataset, "root": None})
        settings = settings.model_copy(update={"data": data})
    if cache is not None:
        extract = settings.extract.model_copy(update={"cache": cache})
        settings = settings.model_copy(update={"extract": extract})
    return settings


def _outputs(config: ReportConfig) -> list[Output]:
    """What will be written, to be claimed before any work is done."""
    found = []
    if config.output is not None:
        found.append(Output(config.output, "-o", REPORT, config.overwrite))
    if config.figures is not None:
        found.append(Output(config.figures, "--figures", FIGURES, config.overwrite))
    return found


def _used(run: Run, config: ReportConfig) -> list[Used]:
    """What is read: the run and, as far as it says, what it was made of."""
    images = config.dataset or run.config.data.dataset
    cache = cache_folder(config.cache or run.config.extract.cache)
    return [Used("the run", run.folder), Used("the images", images), Used("the cache", cache)]


def _report(run: Run, config: ReportConfig, claims: Claims) -> Path:
    """The report itself, once its outputs are claimed."""
    folder = run.folder
    if config.output is None:
        claims.add(Output(folder / PAGE, "-o", REPORT, overwrite=True))
    target = claims.place(config.output or folder / PAGE)
    figures = None if config.figures is None else claims.place(config.figures)
    settings = present_settings(run, config.dataset, config.cache)
    if config.by:
        run = run_with_columns(run, config.by, settings.data)
    try:
        extractions, missing = extract_again(run, settings), ""
    except FeatxError as error:
        extractions, missing = [], f"This page has no pictures: {error.message}"
        console.warn(missing)
    write_report(run, extractions, missing, target, figures, heat_maps=config.heat_maps)
    return target
