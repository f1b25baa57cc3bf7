"""Fitting and scoring many trials on many folds, sharing what they have in common.

The semantics are those of an imbalanced-learn pipeline ``scaler -> pca -> sampler -> head`` in
scikit-learn's ``GridSearchCV``: everything that learns sees the training part of the fold only.
What lies before the head does not depend on the head's parameters, so it runs once for all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from featx.artifact.calibration import Calibration
from featx.fitting.calibrate import fit_calibration
from featx.fitting.candidates import EnsembleTrial, Setup, Trial
from featx.fitting.data import Part
from featx.fitting.ensemble import Shares
from featx.fitting.executors import Executor, FitTask, Found, Job, SearchSettings
from featx.fitting.journal import Entry, Journal
from featx.fitting.partition import FoldSet, Partition, Test
from featx.fitting.training import Outputs
from featx.heads import HEADS
from featx.types import FloatArray

KEPT_BYTES = 512 * 2**20


@dataclass
class FoldSearch:
    """Scores of trials on the folds of one partition."""

    settings: SearchSettings  # what is asked for
    data: Partition  # the images searched on, and their folds
    executor: Executor  # what fits
    # where scores are written as they are found, and looked up before
    journal: Journal | None = None
    found: Found = field(default_factory=Found)  # scores, outputs and refusals so far
    # ``(ensemble, fold that they know nothing of, folds left out too) -> its shares``
    shares: dict[tuple[EnsembleTrial, int, FoldSet], Shares] = field(default_factory=dict)
    # ``share -> the same on a share of the images``
    smaller: dict[float, FoldSearch] = field(default_factory=dict)
    _recalled: dict[tuple[Trial, FoldSet], tuple[Trial, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # what the journal knows of this partition, opened before threads ask for it
        self._records = (
            None if self.journal is None else self.journal.open(self.data, self.settings)
        )

    @property
    def part(self) -> Part:
        """The images searched on."""
        return self.data.part

    @property
    def unconverged(self) -> Counter[Setup]:
        """How many fits of each setup met their iteration limit."""
        return Counter(trial.setup for trial, _ in self.found.stopped)

    def on(self, data: Partition) -> FoldSearch:
        """The same search on another partition, with nothing scored yet."""
        return FoldSearch(self.settings, data, self.executor, self.journal)

    def at(self, share: float) -> FoldSearch:
        """The same search on a share of the images; made once, and 1 is this one."""
        if share == 1.0:
            return self
        if share not in self.smaller:
            self.smaller[share] = self.on(self.data.share(share, seed=self.settings.seed))
            self.smaller[share].found.elapsed_s = self.found.elapsed_s
        return self.smaller[share]

    def affordable(self, n_trials: int) -> bool:
        """Whether the outputs of so many trials on all folds fit into memory comfortably."""
        return len(self.part) * len(self.part.classes) * 8 * n_trials <= KEPT_BYTES

    def score(self, wanted: Mapping[FoldSet, Collection[Trial]], *, keep: bool, label: str) -> None:
        """Fit trials, for each training part those wanted, and score them on the folds left out.

        Parameters
        ----------
        wanted : mapping of tuple of int to collection of Trial
            What to fit while these folds are left out together. What has its scores already is
            not fitted again.
        keep : bool
            Keep the heads' outputs as well, as long as memory allows.
        label : str
            Of the progress bar.
        """
        asked = {t for trials in wanted.values() for t in trials}
        asked.update(trial for trial, _, _ in self.found.outputs)
        asked.update(trial for trial, _ in self._recalled)
        keep = keep and self.affordable(len(asked))
        tasks = self._tasks(wanted, self.found.scores)
        if self._records is not None:
            left = [FitTask(self._recall(task, keep), task.left_out) for task in tasks]
            tasks = [task for task in left if task.trials]
        job = Job(self.data, self.settings, tasks, keep, label)
        self.executor.execute(job, self.found, self._record)

    def run(self, trials: Sequence[Trial], fold_sets: Sequence[FoldSet], *, label: str) -> None:
        """Fit trials, no ensembles, for their outputs; those that are kept are not refitted.

        Parameters
        ----------
        trials : sequence of Trial
        fold_sets : sequence of tuple of int
            Folds to leave out together; each of them is tested.
        label : str
            Of the progress bar.
        """
        tasks = self._tasks(dict.fromkeys(fold_sets, trials), self.found.outputs)
        job = Job(self.data, self.settings, tasks, keep=True, label=label)
        self.executor.execute(job, self.found, self._record)

    def _tasks(
        self, wanted: Mapping[FoldSet, Collection[Trial]], known: Collection[Any]
    ) -> list[FitTask]:
        """What is not known, those of one setup together where their head shares work.

        Slow trials (weak penalty) come first. A trial whose score was recalled is fitted in the
        context that it was fitted in, where that matters.
        """
        tasks: dict[Any, list[Trial]] = defaultdict(list)
        for left_out, trials in wanted.items():
            for trial in reversed(list(trials)):
                if (trial, left_out, left_out[0]) in known:
                    continue
                head = HEADS.get(trial.setup.head)
                before = self._recalled.get((trial, left_out)) if head.follows_path else None
                if before is not None:
                    tasks[before, left_out] = list(before)
                else:
                    same = (trial.setup, trial.copy) if head.score_grid is not None else trial
                    tasks[same, left_out].append(trial)
        return [FitTask(tuple(trials), left_out) for (_, left_out), trials in tasks.items()]

    @staticmethod
    def _context(trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
        """The trials where the outputs of one depend on the others fitted with it, else none."""
        return trials if HEADS.get(trials[0].setup.head).follows_path else ()

    def _recall(self, task: FitTask, keep: bool) -> tuple[Trial, ...]:
        """Take scores that an earlier search wrote down; the trials that are left to fit.

        Where the outputs of a trial depend on its context, it is all of them or none, so that the
        result is the same as if nothing had been known.
        """
        assert self._records is not None
        assert self.journal is not None
        trials, left_out = task
        context = self._context(trials)
        entries = {t: self._records.find(t, left_out, context) for t in trials}
        found = {t: entry for t, entry in entries.items() if entry is not None}
        if context and len(found) < len(trials):
            return trials
        for trial, (scores, stopped) in found.items():
            for fold, score in zip(left_out, scores, strict=True):
                self.found.scores[trial, left_out, fold] = score
            if stopped:
                self.found.stopped.add((trial, left_out))
            if keep:
                self._recalled[trial, left_out] = trials
        self.journal.recalled += len(found)
        return tuple(t for t in trials if t not in found)

    def _record(self, task: FitTask, trial: Trial) -> None:
        """Write down the scores of a trial, where there is a journal and the trial has scores."""
        left_out, scores = task.left_out, self.found.scores
        if self._records is not None and (trial, left_out, left_out[-1]) in scores:
            found = [scores[trial, left_out, fold] for fold in left_out]
            stopped = (trial, left_out) in self.found.stopped
            self._records.add(Entry(trial, left_out, found, stopped, self._context(task.trials)))

    def outputs(self, trial: Trial, fold: int) -> Outputs:
        """Outputs of ``trial``, trained on the other folds, for ``fold``; kept by `run`."""
        return self.found.outputs[trial, (fold,), fold]

    def calibration(self, trial: Trial, folds: Sequence[int]) -> Calibration | None:
        """Calibration from the out-of-fold outputs of some folds; None leaves them as they are."""
        outputs = [self.outputs(trial, fold) for fold in folds]
        return fit_calibration(self.settings.calibrate, outputs, [self.data.y(f) for f in folds])

    def fold_scores(self, trial: Trial) -> FloatArray:
        """Scores of ``trial`` on each fold, trained on all others."""
        scores = self.found.scores
        return np.array([scores[trial, *test] for test in self.data.tests])

    def mean_score(self, trial: Trial) -> float:
        """Mean over the folds where the score is defined; NaN where there is none."""
        return defined_mean(self.fold_scores(trial))


@dataclass(frozen=True)
class Objective:
    """What a strategy may know: scores of trials on some folds, trained on others, and no more.

    The objective of the search itself is every fold, trained on all others. That of outer fold
    ``i`` of a nested search is every other fold ``j``, trained on all but ``i`` and ``j``: whatever
    a strategy does with it, fold ``i`` takes no part, and can evaluate what it chose. A fit with
    two folds left out serves both.
    """

    search: FoldSearch  # does the fitting
    tests: Sequence[Test]

    def n_images(self, share: float = 1.0) -> int:
        """Images that a share of them is; more than asked for where groups or classes are few."""
        return len(self.search.at(share).part)

    def scores(self, trial: Trial, share: float = 1.0) -> FloatArray | None:
        """One score a test, NaN where it has none; None where the trial was not scored on all."""
        known = self.search.at(share).found.scores
        found = [known.get((trial, *test)) for test in self.tests]
        return None if None in found else np.array(found, dtype=np.float64)

    def mean(self, trial: Trial, share: float = 1.0) -> float:
        """Mean over the tests where the score is defined; NaN where nothing is known."""
        scores = self.scores(trial, share)
        return float("nan") if scores is None else defined_mean(scores)

    def refused(self, setup: Setup, share: float = 1.0) -> bool:
        """Whether a setup cannot be fitted to so many images."""
        return setup in self.search.at(share).found.refused


def defined_mean(values: FloatArray) -> float:
    """Mean of what is not NaN: a fold whose images are of one class has no ROC area."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
