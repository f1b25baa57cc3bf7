"""Hyperparameters of a training, searched: optuna asks, the validation images answer.

Every trial starts from the same warm start and is judged by the same validation images, after each
epoch; nothing else is read. The first is the training that was asked for. What the next one is
depends on the seed and the finished trials alone, so that a search that was killed goes on, from
its file of finished trials and the checkpoint of the one under way, as if nothing had happened.
"""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from featx import console
from featx.config import FinetuneConfig
from featx.files import make_directory, printable
from featx.finetuning.classifier import NetworkClassifier
from featx.finetuning.recipes import resolve_rates
from featx.finetuning.space import Study, TuningTrial, asked_point, find_space
from featx.finetuning.starting import train
from featx.finetuning.task import Task, Trained, Watcher, epoch_rank
from featx.finetuning.unfreezing import find_stages
from featx.fitting.budget import Budget
from featx.sealed import seal_line, unseal_line
from featx.system_errors import writing

TRIALS = 20  # where a budget alone is given
BUDGET, PRUNED, TRIED = "budget", "pruned", "nothing new to try"
_FILE = "trials.jsonl"


@dataclass(frozen=True)
class Searched:
    """The best trial's network, and all that was tried.

    Parameters
    ----------
    trained : Trained
    trials : list of TuningTrial
    chosen : TuningTrial
    ended : {"trials", "budget", "nothing new to try"}
    """

    trained: Trained
    trials: list[TuningTrial]
    chosen: TuningTrial
    ended: str

    def document(self) -> dict[str, Any]:
        """JSON for ``results.json``."""
        return {
            "chosen": {"number": self.chosen.number, **self.chosen.values},
            "ended": self.ended,
            "trials": [trial.document() for trial in self.trials],
        }


def search(task: Task, config: FinetuneConfig, limit: Budget | None) -> Searched:
    """Train with several settings, and return the network that the validation images prefer.

    Parameters
    ----------
    task : Task
        Its folder holds what an interrupted search found.
    config : FinetuneConfig
        ``trials``, ``tune`` and the training that is asked for.
    limit : Budget, optional
        Looked at between epochs. One epoch is trained in any case.

    Raises
    ------
    MissingExtraError
        optuna is not installed.
    """
    config = resolve_rates(config, task.backbone)
    journal = _Journal(task.folder / _FILE)
    study = Study(find_space(config, _count_stages(task)), config.monitor, task.seed)
    if limit is not None:
        limit.charge(sum(trial.elapsed_s for trial in journal.trials))
    while not journal.ended:
        n = len(journal.trials)
        if n == (config.trials or TRIALS):
            journal.end("trials")
        elif n and limit is not None and limit.spent:
            journal.end(BUDGET)
        elif (point := study.ask(journal.trials) if n else asked_point(config)) is None:
            journal.end(TRIED)
        else:
            _try(task, config, TuningTrial(n + 1, point, [], 0, "", 0.0), journal, study, limit)
    chosen = best_trial(journal.trials, config.monitor)
    console.log(f"{task.name}: trial {chosen.number} of {len(journal.trials)} is the best.")

    def replay(history: list[dict[str, Any]]) -> str:
        # a trial ends where it ended before, should its checkpoints have been lost
        return chosen.stopped if len(history) == len(chosen.history) else ""

    trained = _train(task, config, chosen, replay)
    return Searched(trained, journal.trials, chosen, journal.ended)


def best_trial(trials: Sequence[TuningTrial], monitor: str) -> TuningTrial:
    """The one whose best epoch is the best; of equals the first."""
    return min(trials, key=lambda t: epoch_rank(t.history[t.best_epoch], monitor))


def _count_stages(task: Task) -> int:
    """Of the backbone."""
    preprocess = task.bank.preprocess
    classifier = NetworkClassifier(copy.deepcopy(task.backbone), task.head, preprocess)
    return len(find_stages(classifier, preprocess.size_px)) - 1


def _try(
    task: Task,
    config: FinetuneConfig,
    trial: TuningTrial,
    journal: _Journal,
    study: Study,
    limit: Budget | None,
) -> None:
    """Train one trial, write it down, and remove the checkpoints of all but the best."""
    proba = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
                     for k, v in trial.values.items())  # fmt: skip
    console.log(f"{task.name}: trial {trial.number} of {config.trials or TRIALS}: {proba}")

    def judge(history: list[dict[str, Any]]) -> str:
        if len(history) == 1:
            return ""
        if limit is not None and limit.spent:
            return BUDGET
        return PRUNED if study.hopeless(journal.trials, trial.values, history) else ""

    trained = _train(task, config, trial, judge)
    journal.add(
        replace(
            trial,
            history=trained.history,
            best_epoch=trained.best_epoch,
            stopped=trained.stopped,
            elapsed_s=trained.elapsed_s,
        )
    )
    best = best_trial(journal.trials, config.monitor)
    for other in journal.trials:
        if other.number != best.number:
            shutil.rmtree(_folder(task, other), ignore_errors=True)


def _folder(task: Task, trial: TuningTrial) -> Path:
    return task.folder / f"trial-{trial.number}"


def _train(task: Task, config: FinetuneConfig, trial: TuningTrial, watcher: Watcher) -> Trained:
    """Train a network of the trial's own, from the same start, in a folder of its own."""
    own = replace(
        task,
        name=f"{task.name}, trial {trial.number}",
        backbone=copy.deepcopy(task.backbone),
        folder=_folder(task, trial),
        watchers=(*task.watchers, watcher),
        curves=None if task.curves is None else task.curves / f"trial-{trial.number}",
    )
    return train(own, config.model_copy(update=trial.values))


class _Journal:
    """Finished trials, a sealed line of JSON each.

    What a trial is depends on those before it, so a line that was torn or changed is left out with
    all that follow it, and that is said.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: list[TuningTrial] = []
        self.ended = ""
        make_directory(path.parent)
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        whole = 0
        for i, line in enumerate(lines):
            try:
                self._take(unseal_line(line, _FILE) if line.endswith(b"\n") else None)
            except (ValueError, TypeError):
                console.warn(
                    f"{printable(str(path))}: line {i + 1} has no valid checksum (changed, cut "
                    f"short, or written by an older featx); the search goes on from "
                    f"{console.counted(len(self.trials), 'finished trial')} before it."
                )
                break
            whole += len(line)
        if path.is_file():
            os.truncate(path, whole)

    def _take(self, document: Any) -> None:
        if "ended" in document:
            self.ended = str(document["ended"])
        else:
            self.trials.append(TuningTrial(**document))

    def add(self, trial: TuningTrial) -> None:
        """Remember a trial."""
        self._write(asdict(trial))
        self.trials.append(trial)

    def end(self, why: str) -> None:
        """Remember that there is nothing more to try, and why."""
        self._write({"ended": why})
        self.ended = why

    def _write(self, document: dict[str, Any]) -> None:
        with (
            writing("the record of trials", self.path, kept="The trials before are kept."),
            self.path.open("ab") as file,
        ):
            file.write(seal_line(document, _FILE))
            file.flush()
            os.fsync(file.fileno())
