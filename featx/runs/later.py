"""Columns of the data set for a run that was made without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from featx.config import DatasetConfig
from featx.data.reader import read_manifest
from featx.errors import FeatxError, RunError, UsageError
from featx.files import printable
from featx.runs.by import by_columns
from featx.runs.finished import Run
from featx.runs.predictions import Predictions, text_column


def run_with_columns(run: Run, names: Sequence[str], data: DatasetConfig | None = None) -> Run:
    """The run with a table of each column in its results, in place of those that it has.

    Parameters
    ----------
    run : Run
    names : sequence of str
        Columns of its ``predictions.csv`` or of its data set.
    data : DatasetConfig, optional
        Where the data set is now. By default where the run found it.

    Raises
    ------
    UsageError
        Neither the predictions nor the data set has the column, or the data set is not there.
    RunError
        The run has no predictions.
    """
    level, shown = next(iter(run.levels.items()), (None, None))
    if level is None or shown is None:
        raise RunError(f"{run.named} has no predictions to report.")
    shown = with_columns(run, shown, names, data)
    metric = run.results.scoring.removeprefix("neg_")
    found = by_columns(
        shown,
        {name: shown.columns[name].tolist() for name in names},
        method=run.results.estimate.method,
        metric=metric if metric in run.results.estimate.metrics else "accuracy",
        seed=run.results.seed or 0,
    )
    document = {**run.results.document(), "by": [each.document() for each in found]}
    changed = Run(run.folder, type(run.results).model_validate(document), name=run.name)
    vars(changed).update({k: v for k, v in vars(run).items() if k != "results"})
    return changed


def with_columns(
    run: Run, shown: Predictions, names: Sequence[str], data: DatasetConfig | None = None
) -> Predictions:
    """Predictions of a run with these columns: their own, or else read from the data set."""
    missing = [name for name in dict.fromkeys(names) if name not in shown.columns]
    if not missing:
        return shown
    try:
        manifest = read_manifest(data or run.config.data, keep=missing)
    except FeatxError as error:
        raise UsageError(
            f"{run.named} keeps no column {printable(missing[0])!r} in its predictions, and its "
            f"data set does not give it: {error.message}",
            hint=error.hint,
        ) from error
    columns = dict(shown.columns)
    for name in missing:
        value = dict(zip(manifest.ids, manifest.column(name), strict=True))
        columns[name] = text_column([value.get(i) for i in shown.ids.tolist()])
        if all(each is None for each in columns[name].tolist()):
            raise UsageError(
                f"No image of {run.named} has a value in {printable(name)!r}.",
                hint="--dataset names the data set that the run was made of.",
            )
    return replace(shown, columns=columns)
