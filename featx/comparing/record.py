"""A run folder as far as comparing needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.comparing.predictions import Judged, read_predictions
from featx.errors import ComparisonError, UsageError
from featx.files import printable
from featx.model.folder import FolderReader
from featx.parsing import parse_json
from featx.replacing import recover

__all__ = ["LEVELS", "JudgedRun", "read_run", "read_runs"]

MOST_RESULTS = 1 << 30  # bytes
MOST_PREDICTIONS = 1 << 34

#: Ways to have judged, what says most of new images first.
LEVELS = {
    "test": "the test split",
    "holdout": "the images held out",
    "repeated": "repeated cross-validation",
    "folds": "cross-validation whose test folds played no part in model selection",
    "oof": "the search's own folds, on which candidates were chosen: too high on average",
}


@dataclass(frozen=True)
class JudgedRun:
    """One run: what it is, what it said of which images, and what it cost.

    Parameters
    ----------
    label : str
        What tables call it: the folder's name, or its whole path where two share a name.
    folder : Path
    results : mapping
        Its ``results.json``.
    classes : list of str
    judged : mapping of str to Judged
        By level; see `LEVELS`.
    """

    label: str
    folder: Path
    results: Mapping[str, Any]
    classes: list[str]
    judged: Mapping[str, Judged]

    @property
    def named(self) -> str:
        """For sentences."""
        return repr(printable(self.label))

    @property
    def chosen(self) -> Mapping[str, Any]:
        """The candidate that was chosen."""
        chosen = self.results.get("chosen")
        return chosen if isinstance(chosen, dict) else {}

    @property
    def data_digest(self) -> str | None:
        """SHA-256 of the names, contents and labels of all its images; None in older runs."""
        dataset = self.results.get("dataset")
        digest = dataset.get("sha256") if isinstance(dataset, dict) else None
        return digest if isinstance(digest, str) else None

    @property
    def tuned(self) -> bool:
        """Whether it comes from ``featx finetune``, which may have kept the frozen backbone."""
        return "finetuning" in self.results

    @property
    def tried(self) -> str | None:
        """What its fine-tuning tried, in words; None of a run without fine-tuning."""
        if not self.tuned:
            return None
        tuning = self.results["finetuning"]
        tried = tuning.get("tried") if isinstance(tuning, dict) else None
        said = tried.get("said") if isinstance(tried, dict) else None
        return printable(said) if isinstance(said, str) else "one recipe, of a featx before presets"

    @property
    def searched(self) -> bool:
        """Whether its fine-tuning tried several recipes."""
        tuning = self.results.get("finetuning")
        trainings = tuning.get("trainings") if isinstance(tuning, dict) else None
        first = trainings[0] if isinstance(trainings, list) and trainings else None
        return isinstance(first, dict) and "search" in first

    @property
    def grouped(self) -> bool:
        """Whether it knows of groups."""
        return self.results.get("n_groups") is not None


def read_runs(folders: Sequence[str | Path]) -> list[JudgedRun]:
    """All runs, each with a label of its own.

    Raises
    ------
    UsageError
        A folder is no run, or is named twice.
    ComparisonError
        What is in a run cannot be read.
    """
    paths = [Path(folder) for folder in folders]
    seen: dict[Path, Path] = {}
    for path in paths:
        if path.resolve() in seen:
            raise UsageError(f"The run {printable(str(path))!r} is named twice.")
        seen[path.resolve()] = path
    names = [path.resolve().name for path in paths]
    return [
        read_run(path, name if names.count(name) == 1 else str(path))
        for path, name in zip(paths, names, strict=True)
    ]


def read_run(folder: Path, label: str) -> JudgedRun:
    """Read one run.

    Raises
    ------
    UsageError, ComparisonError
        See `read_runs`.
    """
    shown = printable(str(folder))
    recover(folder)  # a command that was replacing it may have been killed
    if not (folder / "results.json").is_file() or not (folder / "predictions.csv").is_file():
        raise UsageError(
            f"{shown!r} is not a run: it has no results.json and predictions.csv.",
            hint="Name folders that `featx fit` wrote, such as runs/first.",
        )
    reader = FolderReader(folder)
    try:
        results = parse_json(reader.read("results.json", MOST_RESULTS))
        classes = _classes(results)
    except ValueError as error:
        raise ComparisonError(
            f"{shown}/results.json is not what featx writes: {error}.",
            hint="Fit the run again with --overwrite.",
        ) from None
    splits = read_predictions(
        reader.read("predictions.csv", MOST_PREDICTIONS), classes, where=f"{folder}/predictions.csv"
    )
    return JudgedRun(label, folder, results, classes, _levels(splits, results))


def _classes(results: Any) -> list[str]:
    classes = results.get("classes") if isinstance(results, dict) else None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError("no classes")
    return classes


def _levels(splits: Mapping[str, Judged], results: Mapping[str, Any]) -> dict[str, Judged]:
    """The predictions by how they judge.

    Folds chose nothing where there was one trial. Those of a fine-tune chose between two, the
    fine-tuned backbone and the frozen one, which is little, and said.
    """
    levels = {name: splits[name] for name in ("test", "holdout", "oof") if name in splits}
    repeats = [splits[name] for name in sorted(splits, key=_repeat) if _repeat(name)]
    if repeats:
        levels["repeated"] = Judged.repeated(repeats)
    honest = [splits[name] for name in ("nested", "repeated-1") if name in splits]
    alone = _tried(results) == 1 and len(results.get("candidates") or [None]) == 1
    if "oof" in splits and (alone or "finetuning" in results):
        honest.append(splits["oof"])
    if honest:
        levels["folds"] = honest[0]
    return {name: levels[name] for name in LEVELS if name in levels}


def _repeat(split: str) -> int:
    """N of ``repeated-N``; 0 of every other split."""
    name, _, number = split.partition("-")
    return int(number) if name == "repeated" and number.isdecimal() else 0


def _tried(results: Mapping[str, Any]) -> int | None:
    """How many trials the folds chose from; None where it is not said."""
    search = results.get("search")
    trials = search.get("trials") if isinstance(search, dict) else None
    return trials if isinstance(trials, int) else None
