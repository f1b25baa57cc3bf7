"""A run on disk: written beside its final place, synced, then renamed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from featx import console
from featx.artifact import save_model
from featx.artifact.bundle import CARD
from featx.artifact.folder import MODEL
from featx.config import EvaluateConfig, FinetuneConfig, FitConfig, dump_config
from featx.errors import UsageError
from featx.files import cut_name, write_atomic
from featx.formats import write_rows
from featx.ours import FolderKind, read_json
from featx.outputs import Output
from featx.replacing import built_folder, recover
from featx.runs.curve import CURVE_COLUMNS
from featx.runs.finished import Run
from featx.system_errors import in_words

PAGE = "report.html"
Table = tuple[list[str], list[list[Any]]]  # names of columns, and rows
#: Names of the files in a run, by any version, beside those of its model.
FILES = frozenset(
    {"config.yaml", "results.json", "environment.json", "failures.csv", "predictions.csv"}
    | {"learning_curve.csv", "curves.csv", "groups.csv", PAGE, "log.jsonl", "metrics.json"}
)


def run_folder(dataset: str, section: FitConfig | FinetuneConfig | EvaluateConfig) -> Path:
    """Where a run will be written; refuses to replace one unasked, before anything is spent."""
    name = section.name
    if name is None:
        source = Path(os.path.abspath(dataset))  # noqa: PTH100 - "." and ".." have no name
        name = f"{cut_name(source.stem, 64)}-{time.strftime('%Y%m%d-%H%M%S')}"
    if Path(name).name != name or name in {"", ".", ".."}:
        raise UsageError(f"--name {name!r} must be a plain folder name, without slashes.")
    folder = Path(section.runs) / name
    recover(folder)
    if os.path.lexists(folder) and not section.overwrite:
        raise UsageError(
            f"The run {str(folder)!r} exists.", hint="Give another --name, or --overwrite."
        )
    return folder


def run_output(folder: Path, section: FitConfig | FinetuneConfig | EvaluateConfig) -> Output:
    """A run to be claimed for the length of the command that makes it."""
    return Output(folder, "--runs", RUN, section.overwrite, section.runs)


@console.stage("Writing the run")
def write_run(run: Run, *, card: Callable[[Run], str], groups: Table | None = None) -> None:
    """Write a run's folder whole or not at all, in place of a run that is there.

    Parameters
    ----------
    run : Run
        From `Run.made`. Its folder is claimed: see `run_output`.
    card : callable
        The model's card, as Markdown; one that cannot be made costs a warning. An evaluation has
        neither model nor card.
    groups : tuple of list of str and list of list, optional
        Columns and rows of ``groups.csv``.

    Raises
    ------
    OSError
        The disk is full or cannot be written; an old run is untouched.
    """
    has_model = run.results.evaluation is None  # an evaluation's lies elsewhere
    with built_folder(run.folder, RUN) as building:
        _fill(building, run)
        if groups is not None:
            write_rows(building / "groups.csv", *groups)
        if has_model:
            _add_model(building / "model", run, card)
    if has_model and any(extractor.weights for extractor in run.model.extractors):
        del run.model  # its weights now lie in the run: it is read from there, if asked for


def _add_model(folder: Path, run: Run, card: Callable[[Run], str]) -> None:
    save_model(run.model, folder)
    vars(run)["model_document"] = json.loads((folder / "model.json").read_bytes())
    _add_card(folder / CARD, run, card)


def _is_run(folder: Path) -> bool:
    results = read_json(folder / "results.json")
    return (
        "classes" in results
        and (folder / "config.yaml").is_file()
        and (folder / "predictions.csv").is_file()
        and ("evaluation" in results or MODEL.is_one(folder / "model"))
    )


def _knows(folder: Path) -> Callable[[str], bool]:
    in_model = MODEL.knows(folder / "model")

    def known(name: str) -> bool:
        inside = name.removeprefix("model/")
        return name in FILES or (inside != name and in_model(inside))

    return known


RUN = FolderKind("a run", _is_run, _knows, room_bytes=1 << 22)


def _fill(folder: Path, run: Run) -> None:
    write_atomic(folder / "config.yaml", f"# {run.command}\n{dump_config(run.config)}".encode())
    write_atomic(folder / "results.json", _json(run.results.document()))
    write_atomic(folder / "environment.json", _json(run.environment.document()))
    rows = map(astuple, run.failures)
    write_rows(folder / "failures.csv", ["id", "path", "sha256", "reason"], rows)
    write_rows(folder / "predictions.csv", run.predictions.columns, run.predictions.rows())
    if (curve := run.results.learning_curve) is not None:
        write_rows(folder / "learning_curve.csv", CURVE_COLUMNS, curve.rows())
    if run.epochs:
        columns = list(run.epochs[0])
        write_rows(folder / "curves.csv", columns, ([e[c] for c in columns] for e in run.epochs))


def _add_card(path: Path, run: Run, card: Callable[[Run], str]) -> None:
    try:
        text = card(run)
    except Exception as error:
        console.warn(f"the model has no card ({in_words(error)})")
        return
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
