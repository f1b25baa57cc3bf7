"""`featx open`: a finished run as a page on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from featx import console
from featx.api.report import present_settings
from featx.app.corrections_file import CORRECTIONS, CorrectionsFile
from featx.app.open_page import open_application
from featx.app.run_desk import RunDesk
from featx.app.serving import ServedPlace, require_server, serve
from featx.app.thumbnails import Thumbnails
from featx.app.trying import Judge
from featx.config import OpenConfig, RunConfig
from featx.data.reader import read_manifest
from featx.errors import FeatxError, UsageError
from featx.files import printable
from featx.outputs import Output, Used, claimed
from featx.reporting.contents import Subject
from featx.reporting.run_report import extract_again, subject_of
from featx.runs import Run, load_run
from featx.shell import as_argument, shell_line
from featx.store import cache_folder


def open_run(folder: str, config: OpenConfig) -> dict[str, Any]:
    """Serve a run's page until Ctrl-C; its decisions are written as they are made.

    Parameters
    ----------
    folder : str
        A run of `featx.fit`, `featx.finetune` or `featx.evaluate`.
    config : OpenConfig

    Returns
    -------
    dict
        ``run``, ``corrections`` (the file), ``decisions`` (how many).

    Raises
    ------
    MissingExtraError
        The page needs the extra ``app``.
    UsageError
        The folder is no run, or one of arrays, of which there are no pictures; the port is taken;
        the file of corrections is something else.
    RunError
        A file of the run cannot be read.
    """
    require_server()
    run = load_run(folder)
    settings = present_settings(run, config.dataset, config.cache)
    output = Output(config.output, "-o", CORRECTIONS, overwrite=True)
    used = [Used("the run", run.folder), Used("the images", settings.data.dataset)]
    with claimed([output], used) as claims:
        place = ServedPlace.take(config.port)
        subject, paths = _found(run, settings)
        if subject.of_arrays:
            raise UsageError(
                f"{run.named} was fitted on arrays: there are no images to show.",
                hint=f"Its report: {shell_line('featx', 'report', as_argument(run.folder))}",
            )
        corrections = CorrectionsFile(Path(claims.place(config.output)), subject.ids)
        desk = RunDesk(subject, paths, corrections)
        thumbnails = Thumbnails(cache_folder(settings.extract.cache) / "thumbnails")
        page = open_application(run.name, desk, Judge(run, desk, settings.extract), thumbnails)
        serve(page, place, browser=config.browser, started=_tell)
        return _closed(run, settings, corrections)


def _found(run: Run, settings: RunConfig) -> tuple[Subject, dict[str, str]]:
    """The run with its embeddings as far as they are there, and the file of each image."""
    try:
        extractions, missing = extract_again(run, settings), ""
    except FeatxError as error:
        extractions, missing = [], f"There are no nearest images: {error.message}"
        console.warn(missing)
    subject = subject_of(run, extractions, missing, most_bytes=sys.maxsize)
    try:
        rows = extractions[0].manifest.rows if extractions else read_manifest(settings.data).rows
    except FeatxError as error:
        console.warn(f"There are no pictures: {error.message}")
        rows = ()
    return subject, {row.id: row.path for row in rows}


def _tell(address: str) -> None:
    console.tell(f"Page of the run: {address}")
    console.log("Decisions are written as they are made. Ctrl-C closes the page.")


def _closed(run: Run, settings: RunConfig, corrections: CorrectionsFile) -> dict[str, Any]:
    n, file = len(corrections), str(corrections.path)
    if n:
        console.log(f"{console.counted(n, 'decision')} in '{printable(file)}'.")
        data = as_argument(settings.data.dataset)
        again = shell_line("featx", "fit", data, "--labels", as_argument(file))
        console.log(f"Next: {again}")
    return {"run": str(run.folder), "corrections": file if n else None, "decisions": n}
