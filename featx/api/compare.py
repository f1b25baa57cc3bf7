"""`featx.compare`: finished runs beside each other, fairly, with a verdict."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from featx import console
from featx.api.finetune import finetune_dataset
from featx.api.fit import fit_dataset
from featx.comparing.compare import Comparison, compare_runs
from featx.config import CompareConfig, frozen_and_finetuned
from featx.config.keywords import Keyword, keywords, read_options
from featx.errors import UsageError
from featx.files import file_start, write_atomic
from featx.formats import table_output, write_claimed
from featx.ours import FileKind, is_page, is_table, read_json
from featx.outputs import Claims, Output, Used, claimed
from featx.reporting.formats import REPORTS, render
from featx.runs import Run, run_folder, run_output
from featx.system_errors import writing

STDOUT = "-"
#: How each format's reports are recognised; those of other plug-ins are never replaced.
COMPARISON: Mapping[str, Callable[[Path], bool]] = defaultdict(
    lambda: lambda path: False,
    html=is_page,
    markdown=lambda path: file_start(path).startswith(b"# Comparison\n"),
    json=lambda path: {"schema_version", "runs", "differences"} <= read_json(path).keys(),
)


@keywords(
    CompareConfig,
    more=[
        Keyword(
            name,
            "str | os.PathLike[str] | None",
            "path",
            None,
            f"File for a report in the format {name}.",
        )
        for name in REPORTS.names()
    ],
)
def compare(*runs: str | os.PathLike[str] | Run, **options: Any) -> Comparison:
    """Compare finished runs with a baseline, on the images and folds that they have in common.

    Parameters
    ----------
    *runs : path or Run
        Two or more folders that `featx.fit` wrote, or what it gave back. With ``finetune=True``
        one path, which is a data set.
    **options

    Returns
    -------
    Comparison
        With ``document`` and ``verdicts``.

    Raises
    ------
    UsageError
        Fewer than two runs, a folder that is not a run, an unknown metric, or output that exists.
    ComparisonError
        The runs were not evaluated on the same images in the same way; the message says how.

    Examples
    --------
    >>> featx.compare("runs/frozen", "runs/tuned").verdicts             # doctest: +SKIP
    """
    given = {name: options.pop(name, None) for name in REPORTS.names()}
    reports = {name: os.fspath(path) for name, path in given.items() if path is not None}
    folders = [str(run.folder) if isinstance(run, Run) else os.fspath(run) for run in runs]
    baseline = options.get("baseline")
    if isinstance(baseline, Run):
        options["baseline"] = str(baseline.folder)
    (config,) = read_options(compare, **options)
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
    if list(reports.values()).count(STDOUT) > 1:
        raise UsageError("Only one report can go to stdout (-).")
    what = "the images" if config.finetune else "the run"
    used = [Used(what, path) for path in (*folders, config.baseline) if path is not None]
    with claimed(_outputs(config, reports), used) as claims:
        return _compare(folders, config, reports, overrides, claims)


def _outputs(config: CompareConfig, reports: Mapping[str, str]) -> list[Output]:
    """What will be written, to be claimed before any work is done."""
    found = [
        Output(path, f"--{name}", FileKind("a comparison", COMPARISON[name]), config.overwrite)
        for name, path in reports.items()
        if path != STDOUT
    ]
    kind = FileKind("a table of disagreements", is_table(("id", "split", "fold", "y_true")))
    flag = "--disagreements"
    return found + table_output(config.disagreements, kind, config.overwrite, flag=flag)


def _compare(
    folders: list[str],
    config: CompareConfig,
    reports: Mapping[str, str],
    overrides: tuple[str, ...],
    claims: Claims,
) -> Comparison:
    """The comparison itself, once its reports are claimed."""
    if config.finetune:
        folders = _make_runs(folders, config, overrides)
    else:
        _refuse_training_options(config, overrides)
    comparison = compare_runs(
        _baseline_first(folders, config.baseline),
        metric=config.metric,
        by=config.by,
        seed=config.seed,
    )
    if config.disagreements is not None:
        rows = comparison.disagreements()
        written = write_claimed(claims, config.disagreements, comparison.columns, rows)
        console.log(f"Images predicted differently written to {written}")
    for name, path in reports.items():
        text = render(comparison.document, name)
        if path == STDOUT:
            console.out(text.rstrip("\n"))
        else:
            place = claims.place(path)
            with writing("the comparison", place):
                write_atomic(place, text.encode("utf-8", "backslashreplace"))
            console.log(f"Comparison written to {place}")
    return comparison


def _baseline_first(folders: list[str], baseline: str | None) -> list[str]:
    if baseline is None:
        return folders
    others = [f for f in folders if Path(f).resolve() != Path(baseline).resolve()]
    return [baseline, *others]


def _make_runs(datasets: list[str], config: CompareConfig, overrides: tuple[str, ...]) -> list[str]:
    """Fit a head on frozen embeddings, then fine-tune the backbone on the same folds.

    Returns the folders of both runs, the frozen one first.
    """
    if len(datasets) != 1 or config.baseline is not None:
        raise UsageError(
            "--finetune takes one data set and makes both runs itself, the baseline too.",
            hint="featx compare DATASET --finetune --backbone NAME",
        )
    frozen, tuned = frozen_and_finetuned(datasets[0], config, overrides)
    assert tuned.finetune is not None
    sections = (frozen.fit, tuned.finetune)  # either may exist: refuse before anything is spent
    with claimed([run_output(run_folder(datasets[0], each), each) for each in sections]):
        pass
    baseline = fit_dataset(frozen)
    section = tuned.finetune.model_copy(update={"from_run": str(baseline.folder)})
    finished = finetune_dataset(tuned.model_copy(update={"finetune": section}))
    return [str(baseline.folder), str(finished.folder)]


def _refuse_training_options(config: CompareConfig, overrides: tuple[str, ...]) -> None:
    """Refuse options for runs to be made where the runs are finished."""
    given = {
        "--backbone": config.backbone,
        "--weights": config.weights,
        "--name": config.name,
        "--set": overrides,
    }
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"{flag} applies to new runs; these are finished.",
                hint="To make both runs, give a data set and --finetune.",
            )
