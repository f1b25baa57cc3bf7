"""`featx.report`: a finished run as one page, and its figures and tables as files."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.config import ReportConfig, RunConfig
from featx.config.options import sections
from featx.data.reader import read_manifest
from featx.errors import FeatxError, RunError
from featx.extraction import Extraction, run_extractors
from featx.extraction.rebuilding import rebuild_extractors
from featx.files import write_atomic
from featx.ours import FileKind, is_page
from featx.outputs import Claims, Output, Used, claimed
from featx.reporting.contents import Embedded, Subject
from featx.reporting.files import FIGURES, write_figures
from featx.reporting.heat_maps import find_heats
from featx.reporting.map import lay_out
from featx.reporting.run_page import write_page
from featx.runs import LEVELS, Predictions, Run, load_run
from featx.shell import as_argument, shell_line
from featx.store import cache_folder
from featx.system_errors import in_words, writing

__all__ = ["add_report", "report", "report_folder"]

PAGE = "report.html"
REPORT = FileKind("a page", is_page, room_bytes=1 << 20)
MOST_EMBEDDED = 1 << 30  # bytes of embeddings that a page is worth


def report(run: Any, **options: Any) -> Path:
    """Write a finished run as one self-contained page.

    Parameters
    ----------
    run : path or Run
        A folder that `featx.fit` or `featx.finetune` wrote, or what it gave back.
    **options
        Fields of `featx.config.ReportConfig`, for instance ``figures="figures/"``.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    UsageError
        It is no run, or output exists and ``overwrite`` is not set. The page in the run itself
        is made of the run alone, and always made anew.
    RunError
        A file of the run cannot be read, is not what featx writes, or is of a newer version.

    Notes
    -----
    Where images, weights or embeddings are no longer there, the page is without pictures and
    says so.
    """
    (config,) = sections(options, ReportConfig)
    return report_folder(os.fspath(getattr(run, "folder", run)), config)


def report_folder(folder: str, config: ReportConfig) -> Path:
    """`report` from a checked configuration."""
    run = load_run(folder)
    with claimed(_outputs(config), _used(run, config)) as claims:
        return _report(run, config, claims)


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
    settings = run.config
    if config.dataset is not None:
        data = settings.data.model_copy(update={"dataset": config.dataset, "root": None})
        settings = settings.model_copy(update={"data": data})
    if config.cache is not None:
        extract = settings.extract.model_copy(update={"cache": config.cache})
        settings = settings.model_copy(update={"extract": extract})
    try:
        extractions, missing = _extract_again(run, settings), ""
    except FeatxError as error:
        extractions, missing = [], f"This page has no pictures: {error.message}"
        console.warn(missing)
    _write(run, extractions, missing, target, figures, heat_maps=config.heat_maps)
    return target


def add_report(run: Run, extractions: Sequence[Extraction], *, heat_maps: bool) -> None:
    """Write the page of a run just made; a page that cannot be made costs nothing but itself."""
    try:
        _write(run, extractions, "", run.folder / PAGE, None, heat_maps=heat_maps)
    except Exception as error:
        console.warn(
            f"the run is whole, but its page could not be made ({in_words(error)}); "
            f"{shell_line('featx', 'report', as_argument(run.folder))} tries again"
        )


def _extract_again(run: Run, config: RunConfig) -> list[Extraction]:
    """The run's images under its model's backbone; what the cache holds is not computed."""
    manifest = read_manifest(config.data)
    extract = config.extract.model_copy(update={"views": 0, "cluster": None, "address": None})
    extractors = rebuild_extractors(run.model, extract, manifest.paths)
    return run_extractors(manifest, extractors, extract, allow_memory=True)


def _write(
    run: Run,
    extractions: Sequence[Extraction],
    missing: str,
    target: Path,
    figures: Path | None,
    *,
    heat_maps: bool,
) -> None:
    started = time.perf_counter()
    try:
        subject = _subject(run, extractions, missing)
        if heat_maps and subject.embedded is not None:
            subject = replace(subject, heats=find_heats(subject, run.model))
        seed = run.results.seed or 0
        layout = None if subject.embedded is None else lay_out(subject.embedded, seed=seed)
        text = write_page(subject, layout)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise RunError(
            f"{run.named} was not written by this version of featx: "
            f"{type(error).__name__} {error}.",
            hint="Fit the run again with --overwrite.",
        ) from error
    data = text.encode("utf-8", "backslashreplace")
    with writing("the page", target):
        write_atomic(target, data)
    elapsed_s = time.perf_counter() - started
    console.log(f"Page of {len(data) / 1e6:.1f} MB written to {target} in {elapsed_s:.1f} s")
    if figures is not None:
        with writing("the folder of figures", figures):
            written = write_figures(figures, subject, layout)
        console.log(f"{len(written)} figures and tables written to {figures}")


def _subject(run: Run, extractions: Sequence[Extraction], missing: str) -> Subject:
    """The run as a report needs it."""
    level, shown = next(iter(run.levels.items()), (None, None))
    if level is None or shown is None:
        raise RunError(f"{run.named} has no predictions to report.")
    embedded, absent = _embedded(run, level, shown, extractions)
    return Subject(
        name=run.name,
        results=run.results.document(),
        environment=run.environment.document(),
        judged_on=LEVELS[level],
        ids=shown.ids.tolist(),
        repeat=shown.repeat,
        fold=shown.fold,
        y=shown.y,
        y_pred=shown.y_pred,
        proba=shown.proba,
        failures=[asdict(failure) for failure in run.failures],
        training=[{k: "" if v is None else str(v) for k, v in e.items()} for e in run.epochs],
        command=run.command,
        embedded=embedded,
        missing=missing or absent,
    )


def _embedded(
    run: Run, level: str, shown: Predictions, extractions: Sequence[Extraction]
) -> tuple[Embedded | None, str]:
    """The run's images that are still those it was made of, and what is to be said of it."""
    if not extractions:
        return None, ""
    first = extractions[0]
    contents = {} if shown.content is None else dict(zip(shown.ids, shown.content, strict=True))
    code = {name: i for i, name in enumerate(run.classes)}
    kept, changed = [], 0
    for i in np.flatnonzero(first.ok):
        row = first.manifest.rows[i]
        then = contents.get(row.id)
        if row.label is None or (then and then != first.hashes[i, :8].tobytes().hex()):
            changed += row.label is not None
            continue
        kept.append(int(i))
    width = sum(e.spec.n_features for e in extractions)
    shown_ids = set(shown.ids)
    if not kept or not any(first.manifest.rows[i].id in shown_ids for i in kept):
        return None, "This page has no pictures: the images are no longer those of the run."
    if len(kept) * width * 4 > MOST_EMBEDDED:
        return None, f"This page has no pictures: the embeddings of {len(kept):,} images are many."
    rows = [first.manifest.rows[i] for i in kept]
    tested = shown_ids if level in {"test", "holdout"} else set()
    embedded = Embedded(
        ids=[row.id for row in rows],
        paths=[row.path for row in rows],
        y=np.array([code.get(str(row.label), -1) for row in rows], np.int64),
        tested=np.array([row.id in tested for row in rows], bool),
        X=np.hstack([e.store.gather(e.hashes[kept]) for e in extractions]),
    )
    if changed:
        return embedded, (
            f"{console.counted(changed, 'image', 'has/have')} changed since, and "
            f"{'is' if changed == 1 else 'are'} not shown."
        )
    return embedded, ""
