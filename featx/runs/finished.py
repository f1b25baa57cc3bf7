"""A finished run: what `featx.fit` and `featx.finetune` give back, and the reader of its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import ValidationError

from featx.artifact import Model, load_model
from featx.artifact.folder import FolderReader
from featx.config import RunConfig, load_config
from featx.console import counted
from featx.errors import ModelError, NoRunError, RunError
from featx.files import printable
from featx.formats.csv import parse_rows
from featx.numbers import interval
from featx.parsing import parse_json
from featx.record import Record
from featx.replacing import recover
from featx.runs.predictions import Predictions, PredictionTable
from featx.runs.results import SCHEMA_VERSION, Environment, Results
from featx.runs.tables import RunTable, table_of
from featx.runs.tuning import Epoch
from featx.shell import as_argument, shell_line
from featx.stats.metrics import metric_name
from featx.types import IN_MEMORY, SITES, Failure

MOST_BYTES = 1 << 30  # of a file of JSON, or a small table
MOST_PREDICTIONS = 1 << 34

#: Ways to have been evaluated, what says most of new images first.
LEVELS = {
    "evaluated": "labelled images that the model was not fitted on",
    "test": "the test split",
    "holdout": "the images held out",
    "repeated": "repeated cross-validation",
    SITES: "every group predicted by a model that knows nothing of it",
    "folds": "cross-validation whose test folds played no part in model selection",
    "oof": "the search's own folds, on which candidates were selected: too high on average",
    "copies": "copies of training images: too high for new images",
}

_SHOWN = ("balanced_accuracy", "accuracy")  # metrics of a run's short form
TABLED = (
    "evaluated",
    "test",
    "holdout",
    SITES,
    "oof",
    "copies",
)  # levels that are splits of the table

R = TypeVar("R", bound=Record)


class Run:
    """A finished run.

    What is not in memory is read when it is first asked for; a file that is missing or is not what
    featx writes is then a `RunError`.

    Parameters
    ----------
    folder : Path
        Where it was written.
    results : Results
        The content of ``results.json``: ``run.results.estimate.metrics["accuracy"].value`` or
        ``run.results["estimate"]["metrics"]["accuracy"]["value"]``; ``run.results.document()`` is
        plain JSON.
    name : str, optional
        What tables call it. By default the folder's name.
    """

    def __init__(self, folder: Path, results: Results, *, name: str | None = None) -> None:
        self.folder = folder
        self.results = results
        self.name = name or folder.resolve().name

    @classmethod
    def made(
        cls,
        folder: Path,
        results: Results,
        *,
        config: RunConfig,
        predictions: PredictionTable,
        failures: Sequence[Failure],
        model: Model,
        epochs: Sequence[Epoch] = (),
    ) -> Run:
        """A run that was made just now, all of it in memory; `write_run` writes it."""
        run = cls(folder, results)
        # Where the cached properties look first: nothing of this is ever read back.
        vars(run).update(
            config=config,
            predictions=predictions,
            failures=list(failures),
            model=model,
            epochs=list(epochs),
            environment=Environment.here(),
        )
        return run

    #: How a notebook shows a run as HTML; `featx.reporting.notebook`, a floor above, gives it.
    in_notebook: ClassVar[Callable[[Run], str] | None] = None

    def __repr__(self) -> str:
        metrics = self.results.estimate.metrics
        shown = [f"{metric_name(k)} {interval(metrics[k])}" for k in _SHOWN if k in metrics]
        end = f"\n{', '.join(shown)}: {self.results.estimate.description}" if shown else ""
        return f"Run {printable(str(self.folder))!r}: {self.summary}{end}"

    def _repr_html_(self) -> str | None:
        shown = type(self).in_notebook
        return None if shown is None else shown(self)

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        chosen, images = self.results.chosen, self.results.dataset.images
        return (
            f"{counted(len(self.classes), 'class')}, {counted(images, 'image')}, "
            f"{printable(f'{chosen.head} on {chosen.backbone}')}"
        )

    def table(self, name: str) -> RunTable:
        """One of its tables, which has ``to_pandas()``.

        Parameters
        ----------
        name : str
            ``candidates``, ``classes``, ``epochs``, ``failures``, ``learning_curve``, ``metrics``
            or ``predictions``.

        Raises
        ------
        UnknownNameError
            There is no such table.
        """
        return table_of(self, name)

    @cached_property
    def predictions(self) -> PredictionTable:
        """By split, what it predicts for images that it was not fitted on."""
        data = self._read("predictions.csv", MOST_PREDICTIONS)
        try:
            return PredictionTable.parse(data, self.results.classes)
        except ValueError as error:
            raise _odd(self.folder / "predictions.csv", error) from None

    @cached_property
    def config(self) -> RunConfig:
        """Resolved settings."""
        return load_config(str(self.folder / "config.yaml"))

    @cached_property
    def environment(self) -> Environment:
        """What it was made with."""
        return _validated(Environment, self._json("environment.json"), self._at("environment.json"))

    @cached_property
    def failures(self) -> list[Failure]:
        """Images that could not be read."""
        return [
            Failure(row["id"], row["path"], row["sha256"] or None, row["reason"])
            for row in self._table("failures.csv", {"id", "path", "sha256", "reason"})
        ]

    @cached_property
    def epochs(self) -> list[Epoch]:
        """Epochs of every training; empty where no backbone was trained."""
        if not self._at("curves.csv").is_file():
            return []
        return [
            _validated(Epoch, {k: v or None for k, v in row.items()}, self._at("curves.csv"))
            for row in self._table("curves.csv", {"training", "epoch"})
        ]

    @cached_property
    def model(self) -> Model:
        """The fitted model, as `featx.load_model` returns it.

        Of an evaluation the one that was evaluated, from where it was.
        """
        evaluation = self.results.evaluation
        return load_model(self.folder if evaluation is None else evaluation.model)

    @cached_property
    def model_document(self) -> dict[str, Any]:
        """The content of ``model.json``."""
        return dict(self._json("model/model.json"))

    @property
    def named(self) -> str:
        """Its name for sentences."""
        return repr(printable(self.name))

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the columns of probabilities."""
        return self.results.classes

    @property
    def tuned(self) -> bool:
        """Whether it comes from `featx.finetune`, which may have kept the frozen backbone."""
        return self.results.finetuning is not None

    @property
    def tried(self) -> str | None:
        """What its fine-tuning tried, in words; None of a run without fine-tuning."""
        if self.results.finetuning is None:
            return None
        tried = self.results.finetuning.tried
        return printable(tried.recipe) if tried else "one recipe, by an earlier featx"

    @property
    def searched(self) -> bool:
        """Whether its fine-tuning tried several recipes."""
        tuning = self.results.finetuning
        return tuning is not None and any(t.search is not None for t in tuning.trainings)

    @property
    def grouped(self) -> bool:
        """Whether its images have groups."""
        return self.results.n_groups is not None

    @property
    def section(self) -> str:
        """Which section of its configuration made it: ``fit``, ``finetune`` or ``evaluate``."""
        if self.results.evaluation is not None:
            return "evaluate"
        return "finetune" if self.tuned else "fit"

    @property
    def command(self) -> str:
        """What makes it again where it was made.

        From a file of them where its arrays were in memory.
        """
        if self.config.data.dataset == IN_MEMORY:
            more = ["--set", "data.dataset=ARRAYS.npz"]
            return again_command(self.folder, self.section, *more)
        return again_command(self.folder, self.section)

    @cached_property
    def levels(self) -> Mapping[str, Predictions]:
        """The predictions by how they evaluate it; see `LEVELS`.

        Folds played no part in selection where there was one trial. Those of a fine-tune took part
        in a choice between two, the fine-tuned backbone and the frozen one, which is little, and
        said.
        """
        table, results = self.predictions, self.results
        levels = {name: table[name] for name in TABLED if name in table}
        repeats = [table[name] for name in sorted(table, key=_repeat) if _repeat(name)]
        if repeats:
            levels["repeated"] = Predictions.repeated(repeats)
        unchosen = [table[name] for name in ("nested", "repeated-1") if name in table]
        alone = (
            results.search is not None
            and results.search.trials == 1
            and len(results.candidates) <= 1
        )
        if "oof" in table and (alone or self.tuned):
            unchosen.append(table["oof"])
        if unchosen:
            levels["folds"] = unchosen[0]
        return {name: levels[name] for name in LEVELS if name in levels}

    def _at(self, name: str) -> Path:
        return self.folder / name

    def _json(self, name: str) -> Any:
        return _parsed(self._read(name, MOST_BYTES), self._at(name))

    def _table(self, name: str, needed: set[str]) -> list[dict[str, str]]:
        """Rows of a small table by column."""
        try:
            columns, rows = parse_rows(self._read(name, MOST_BYTES))
        except ValueError as error:
            raise _odd(self._at(name), error) from None
        if not needed <= set(columns):
            raise _odd(self._at(name), f"it has no column {min(needed - set(columns))!r}")
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _read(self, name: str, limit: int) -> bytes:
        return _bytes(self.folder, name, limit)


def again_command(folder: Path, section: str, *more: str) -> str:
    """What makes a run again, whose settings are in ``section`` of its configuration."""
    config = as_argument(folder / "config.yaml")
    return shell_line("featx", "run", config, "--set", f"{section}.overwrite=true", *more)


def load_run(path: str | os.PathLike[str]) -> Run:
    """Read a finished run.

    Parameters
    ----------
    path : path
        A folder that `featx.fit` or `featx.finetune` wrote, by this version or an older one.

    Returns
    -------
    Run
        With ``results`` read; the rest is read when it is asked for.

    Raises
    ------
    NoRunError
        There is no run: a `RunError` and a `UsageError`.
    RunError
        A file of it cannot be read, is not what featx writes, or is of a newer version; the
        message names the file, what is wrong, and what to do.

    Examples
    --------
    >>> run = featx.load_run("runs/first")                              # doctest: +SKIP
    >>> run.results.estimate.metrics["accuracy"].value                  # doctest: +SKIP
    0.93
    """
    folder = Path(path)
    recover(folder)  # a command that was replacing it may have been killed
    if not all((folder / name).is_file() for name in ("results.json", "predictions.csv")):
        raise NoRunError(
            f"{printable(str(folder))!r} is not a run: it has no results.json and predictions.csv.",
            hint="Name folders that `featx fit` wrote, such as runs/first.",
        )
    place = folder / "results.json"
    document = _parsed(_bytes(folder, "results.json", MOST_BYTES), place)
    version = document.get("schema_version", 0) if isinstance(document, dict) else 0
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RunError(
            f"{printable(str(place))!r} was written by a newer version of featx: its schema is "
            f"{version}, and {SCHEMA_VERSION} is the newest that this version reads.",
            hint="pip install --upgrade featx",
        )
    return Run(folder, _validated(Results, document, place))


def _bytes(folder: Path, name: str, limit: int) -> bytes:
    try:
        return FolderReader(folder).read(name, limit)
    except ModelError as error:
        raise RunError(error.message, hint="Fit the run again with --overwrite.") from None


def _parsed(data: bytes, place: Path) -> Any:
    try:
        return parse_json(data, parse_constant=_refuse)
    except ValueError as error:
        raise _odd(place, error) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _validated(kind: type[R], document: Any, place: Path) -> R:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise _odd(place, _fault(error)) from None


def _fault(error: ValidationError) -> str:
    """The first fault, and how many more there are."""
    first, *others = error.errors(include_url=False)
    where = ".".join(map(str, first["loc"]))
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "missing":
        return f"it has no {where}{more}"
    value = repr(first["input"])
    shown = value if len(value) <= 60 else f"{value[:60]}..."
    return f"{where or 'all of it'} is {shown}, but {first['msg'].lower()}{more}"


def _odd(place: Path, problem: object) -> RunError:
    return RunError(
        f"{printable(str(place))!r} is not what featx writes: {printable(str(problem))}.",
        hint="Fit the run again with --overwrite.",
    )


def _repeat(split: str) -> int:
    """N of ``repeated-N``; 0 of every other split."""
    name, _, number = split.partition("-")
    return int(number) if name == "repeated" and number.isdecimal() else 0
