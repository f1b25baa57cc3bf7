"""`featx.compare`: finished runs beside each other, fairly, with a verdict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featx import console
from featx.comparing.compare import Comparison, compare_runs
from featx.comparing.reports import REPORTS, render
from featx.config import CompareConfig
from featx.errors import UsageError
from featx.files import write_atomic
from featx.formats import check_output, check_place, write_rows
from featx.system_errors import writing
from featx.workflow.comparing_both import frozen_and_finetuned, refuse_training_options
from featx.workflow.fitting import Run
from featx.workflow.options import sections

__all__ = ["compare", "compare_folders"]

STDOUT = "-"


def compare(*runs: str | os.PathLike[str] | Run, **options: Any) -> Comparison:
    """Compare finished runs with a baseline, on the images and folds that they have in common.

    Parameters
    ----------
    *runs : path or Run
        Two or more folders that `featx.fit` wrote, or what it gave back.
    **options
        Fields of `featx.config.CompareConfig`, for instance ``baseline="runs/first"``,
        ``metric="accuracy"`` and ``disagreements="d.csv"``, and a file for each report wanted:
        ``html="c.html"``, ``markdown="c.md"``, ``json="c.json"``. With ``finetune=True`` the one
        path is a data set, and both runs are made first.

    Returns
    -------
    Comparison
        With ``document`` and ``verdicts``.

    Raises
    ------
    UsageError
        Fewer than two runs, a folder that is none, an unknown metric, or output that exists.
    ComparisonError
        The runs were not judged on the same images in the same way; the message says how.

    Examples
    --------
    >>> featx.compare("runs/frozen", "runs/tuned").verdicts             # doctest: +SKIP
    """
    reports = {name: os.fspath(options.pop(name)) for name in REPORTS.names() if name in options}
    folders = [str(run.folder) if isinstance(run, Run) else os.fspath(run) for run in runs]
    baseline = options.get("baseline")
    if isinstance(baseline, Run):
        options["baseline"] = str(baseline.folder)
    (config,) = sections(options, CompareConfig)
    return compare_folders(folders, config, reports)


def compare_folders(
    folders: list[str],
    config: CompareConfig,
    reports: Mapping[str, str],
    *,
    overrides: tuple[str, ...] = (),
) -> Comparison:
    """`compare` from a checked configuration; a report to ``-`` is printed.

    ``overrides`` are ``section.key=value`` for the runs that ``config.finetune`` makes.
    """
    for path in reports.values():
        if path != STDOUT:
            check_place(path, overwrite=config.overwrite)
    if list(reports.values()).count(STDOUT) > 1:
        raise UsageError("Only one report can go to stdout (-).")
    if config.disagreements is not None:
        check_output(config.disagreements, overwrite=config.overwrite)
    if config.finetune:
        folders = frozen_and_finetuned(folders, config, overrides)
    else:
        refuse_training_options(config, overrides)
    comparison = compare_runs(
        _baseline_first(folders, config.baseline), metric=config.metric, seed=config.seed
    )
    if config.disagreements is not None:
        with writing("the table", config.disagreements):
            write_rows(
                config.disagreements,
                comparison.columns,
                comparison.disagreements(),
                overwrite=config.overwrite,
            )
        console.log(f"Images predicted differently written to {config.disagreements}")
    for name, path in reports.items():
        text = render(comparison.document, name)
        if path == STDOUT:
            console.out(text.rstrip("\n"))
        else:
            with writing("the comparison", path):
                write_atomic(path, text.encode("utf-8", "backslashreplace"))
            console.log(f"Comparison written to {path}")
    return comparison


def _baseline_first(folders: list[str], baseline: str | None) -> list[str]:
    if baseline is None:
        return folders
    others = [f for f in folders if Path(f).resolve() != Path(baseline).resolve()]
    return [baseline, *others]
