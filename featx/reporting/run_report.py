"""The report of a run: its page, and its figures and tables, put where they are asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

import featx.reporting.notebook  # noqa: F401 - from now on notebooks show runs as HTML
from featx import console
from featx.config import RunConfig
from featx.data.arrays import read_arrays
from featx.data.reader import read_manifest
from featx.errors import RunError
from featx.extraction import Extraction, run_extractors
from featx.extraction.given import given_extraction
from featx.extraction.rebuilding import rebuild_extractors
from featx.files import write_atomic
from featx.reporting.contents import Embedded, Heats, Subject
from featx.reporting.files import write_figures
from featx.reporting.heat_maps import find_heats
from featx.reporting.map import lay_out
from featx.reporting.run_page import write_page
from featx.runs import LEVELS, Predictions, Run
from featx.runs.writing import PAGE
from featx.shell import as_argument, shell_line
from featx.system_errors import in_words, writing
from featx.types import IN_MEMORY

LATER = "featx report makes the page again with them"
ONCE = {"test", "holdout", "evaluated", "copies"}  # levels whose images train nothing there
MOST_EMBEDDED = 1 << 30  # bytes of embeddings that a page is worth


def add_report(run: Run, extractions: Sequence[Extraction], *, heat_maps: bool) -> None:
    """Write the page of a run just made; a page that cannot be made costs nothing but itself."""
    try:
        write_report(run, extractions, "", run.folder / PAGE, None, heat_maps=heat_maps)
    except Exception as error:
        console.warn(
            f"the run is whole, but its page could not be made ({in_words(error)}); "
            f"{shell_line('featx', 'report', as_argument(run.folder))} tries again"
        )


def extract_again(run: Run, config: RunConfig) -> list[Extraction]:
    """The run's images under its model's backbone; what the cache holds is not computed.

    The model knows its weights: those of a fine-tuned one lie in it, not where training began.
    """
    if run.model.specs[0].of_arrays and config.data.dataset != IN_MEMORY:
        columns = run.model.specs[0].document.get("columns")
        return [given_extraction(read_arrays(config.data, columns=columns).labelled())]
    manifest = read_manifest(config.data)
    extract = config.extract.model_copy(
        update={"views": 0, "cluster": None, "address": None, "weights": None}
    )
    extractors = rebuild_extractors(run.model, extract, manifest.paths)
    return run_extractors(manifest, extractors, extract, allow_memory=True)


@console.stage("Writing the report")
def write_report(
    run: Run,
    extractions: Sequence[Extraction],
    missing: str,
    target: Path,
    figures: Path | None,
    *,
    heat_maps: bool,
) -> None:
    """Write the page of a run to ``target``, and its figures where a folder for them is given."""
    started = time.perf_counter()
    try:
        subject = subject_of(run, extractions, missing)
        evaluation = run.results.evaluation
        if evaluation is not None and evaluation.unknown_classes:
            heat_maps = False  # the model's columns are not those of the predictions
        if subject.embedded is not None:
            heats = find_heats(subject, run.model) if heat_maps else Heats(missing=LATER)
            subject = replace(subject, heats=heats)
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


def subject_of(
    run: Run, extractions: Sequence[Extraction], missing: str, most_bytes: int = MOST_EMBEDDED
) -> Subject:
    """The run as a report needs it.

    Parameters
    ----------
    run : Run
    extractions : sequence of Extraction
        What `extract_again` found; none where it found nothing.
    missing : str
        Why there are none, as a sentence.
    most_bytes : int
        Embeddings that take more are left out.

    Raises
    ------
    RunError
        The run has no predictions.
    """
    level, shown = next(iter(run.levels.items()), (None, None))
    if level is None or shown is None:
        raise RunError(f"{run.named} has no predictions to report.")
    embedded, absent = _embedded(run, level, shown, extractions, most_bytes)
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
        known=_known(shown, extractions),
        made=_made(run)[:10],
    )


def _made(run: Run) -> str:
    """When the run was made; empty where it is not known."""
    if run.results.evaluation is not None:
        return run.results.evaluation.date
    return str(run.model_document.get("provenance", {}).get("date", ""))


def _known(
    shown: Predictions, extractions: Sequence[Extraction]
) -> dict[str, tuple[str | None, str]]:
    """Id -> group and SHA-256 of the images that were evaluated.

    Where they are no longer there, the digits of it that the predictions have.
    """
    known: dict[str, tuple[str | None, str]] = {}
    if shown.content is not None:
        known = {i: (None, c) for i, c in zip(shown.ids, shown.content, strict=True)}
    for first in extractions[:1]:
        for i in np.flatnonzero(first.ok):
            row, digest = first.manifest.rows[i], first.hashes[i].tobytes().hex()
            _, then = known.get(row.id, (None, ""))
            known[row.id] = row.group, digest if digest.startswith(then) else then
    return known


def _embedded(
    run: Run,
    level: str,
    shown: Predictions,
    extractions: Sequence[Extraction],
    most_bytes: int,
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
    if len(kept) * width * 4 > most_bytes:
        return None, f"This page has no pictures: the embeddings of {len(kept):,} images are many."
    rows = [first.manifest.rows[i] for i in kept]
    tested = shown_ids if level in ONCE else set()
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
