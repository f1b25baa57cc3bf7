"""Fitting and scoring many trials on many folds, sharing what they have in common.

The semantics are those of an imbalanced-learn pipeline ``scaler -> pca -> sampler -> head`` in
scikit-learn's ``GridSearchCV``: everything that learns sees the training part of the fold only.
What lies before the head does not depend on the head's parameters, so it runs once for all.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.data.splits import Folds, count_classes
from featx.errors import FitError
from featx.fitting.candidates import Ensemble, Setup, Trial, shifted
from featx.fitting.data import Part
from featx.fitting.ensemble import Shares, score_ensembles
from featx.fitting.journal import Entry, Journal, ScoreFile
from featx.fitting.rules import Rule
from featx.fitting.training import (
    Outputs,
    Prepared,
    Projected,
    RefusedError,
    one_blas_thread,
    prepare,
    project,
    score_trials,
)
from featx.heads import HEADS
from featx.interrupts import workers
from featx.stats.metrics import fold_score

__all__ = ["Batch", "FoldSearch", "Held", "defined_mean", "replace_folds"]

Float = NDArray[np.float64]
Held = tuple[int, ...]
Batch = tuple[Trial, ...]  # of one setup, fitted together on one training part

KEPT_BYTES = 512 * 2**20


class Elsewhere(Protocol):
    """Fits for a `FoldSearch` on other machines; `featx.fitting.spread.SpreadSearch` does."""

    def __call__(
        self,
        search: FoldSearch,
        batches: Sequence[tuple[Batch, Held]],
        *,
        keep: bool,
        label: str,
    ) -> None:
        """Fit every batch of trials on its training part and file what is found."""


class _Shared:
    """A value made by the first thread that asks and dropped after the last use."""

    def __init__(self, make: Callable[[], Any], uses: int) -> None:
        self._make, self._uses = make, uses
        self._lock = threading.Lock()
        self._value: Any = None
        self._error: Exception | None = None
        self._made = False

    def take(self) -> Any:
        with self._lock:
            if not self._made:
                try:
                    self._value = self._make()
                except RefusedError as error:
                    self._error = error
                self._made = True
            value = self._value
            self._uses -= 1
            if self._uses == 0:
                self._value = None
            if self._error is not None:
                raise self._error
            return value


@dataclass
class FoldSearch:
    """Scores of trials on the folds of one partition.

    Parameters
    ----------
    part : Part
        The images searched on.
    folds : Folds
    scoring : str
    seed : int
    jobs : int
        Threads. Results do not depend on it: every fit uses one BLAS thread.
    elsewhere : callable, optional
        Fits in place of the threads and adds to ``scores`` and what follows it below.
    calibrate : str, default "none"
        How outputs become probabilities where predictions are held out; not used by scores.
    rule : Rule, optional
        What decisions are to reach there; not used by scores.
    journal : Journal, optional
        Where scores are written as they are found, and looked up before.
    device : str, default "cpu"
        Where heads that can compute products of matrices; see `featx.heads.Training`.

    Attributes
    ----------
    scores : dict
        ``(trial, held-out folds, tested fold) -> score``.
    refused : dict
        ``setup -> why it cannot be used``.
    stopped : set
        ``(trial, held-out folds)`` of fits that met their iteration limit.
    elapsed_s : dict
        ``setup -> seconds of fitting, resampling and scoring, summed over threads``.
    kept : dict
        ``(trial, held-out folds, tested fold) -> what the head said``, where it was to be kept.
    shares : dict
        ``(ensemble, fold that they know nothing of, folds left out too) -> its shares``.
    smaller : dict
        ``share -> the same on a share of the images``; see `featx.fitting.subsample`.
    """

    part: Part
    folds: Folds
    scoring: str
    seed: int
    jobs: int
    elsewhere: Elsewhere | None = None
    calibrate: str = "none"
    rule: Rule | None = None
    journal: Journal | None = None
    device: str = "cpu"
    scores: dict[tuple[Trial, Held, int], float] = field(default_factory=dict)
    refused: dict[Setup, str] = field(default_factory=dict)
    stopped: set[tuple[Trial, Held]] = field(default_factory=set)
    elapsed_s: dict[Setup, float] = field(default_factory=lambda: defaultdict(float))
    kept: dict[tuple[Trial, Held, int], Outputs] = field(default_factory=dict)
    shares: dict[tuple[Ensemble, int, Held], Shares] = field(default_factory=dict)
    smaller: dict[float, FoldSearch] = field(default_factory=dict)
    _recalled: dict[tuple[Trial, Held], Batch] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def single(self) -> list[Held]:
        """Each fold held out alone."""
        return [(i,) for i in range(self.folds.n_folds)]

    @property
    def pairs(self) -> list[Held]:
        """Every two folds held out together."""
        n = self.folds.n_folds
        return [(i, j) for i in range(n) for j in range(i + 1, n)]

    @property
    def unconverged(self) -> Counter[Setup]:
        """How many fits of each setup met their iteration limit."""
        return Counter(trial.setup for trial, _ in self.stopped)

    @cached_property
    def records(self) -> ScoreFile | None:
        """What the journal knows of this partition."""
        return None if self.journal is None else self.journal.open(self)

    def training(self, held: Held) -> NDArray[np.bool_]:
        """Images to train on while ``held`` are held out, as a mask."""
        return ~np.isin(self.folds.fold, held)

    def check(self, held_sets: Sequence[Held]) -> None:
        """Refuse training parts of one class.

        Raises
        ------
        FitError
            Some training part has images of one class only.
        """
        for held in held_sets:
            y = self.part.y[self.training(held)]
            if len(np.unique(y)) < 2:
                raise FitError(
                    f"While fold {', '.join(str(i) for i in held)} is held out, training images "
                    f"are of one class only: {count_classes(y, self.part.classes) or 'none'}.",
                    hint="Groups and classes coincide: add groups that hold several classes.",
                )

    def affordable(self, n_trials: int) -> bool:
        """Whether what so many trials say on all folds fits into memory comfortably."""
        return len(self.part) * len(self.part.classes) * 8 * n_trials <= KEPT_BYTES

    def score(self, wanted: Mapping[Held, Collection[Trial]], *, keep: bool, label: str) -> None:
        """Fit trials, for each training part those wanted, and score them on the folds held out.

        Parameters
        ----------
        wanted : mapping of tuple of int to collection of Trial
            What to fit while these folds are held out together. What has its scores already is
            not fitted again.
        keep : bool
            Keep what the heads said as well, as long as memory allows.
        label : str
            What the progress bar says.
        """
        asked = {t for trials in wanted.values() for t in trials}
        asked.update(trial for trial, _, _ in self.kept)
        asked.update(trial for trial, _ in self._recalled)
        keep = keep and self.affordable(len(asked))
        batches = self._batches(wanted, self.scores)
        if self.records is not None:
            batches = [(rest, h) for batch, h in batches if (rest := self._recall(batch, h, keep))]
        self.fit(batches, keep=keep, label=label)

    def _recall(self, batch: Batch, held: Held, keep: bool) -> Batch:
        """Take scores that an earlier search wrote down; what is left to fit.

        Where what a trial says depends on its company, it is all of them or none, so that the
        result is the same as if nothing had been known.
        """
        assert self.records is not None
        assert self.journal is not None
        company = self._company(batch)
        found = {t: f for t in batch if (f := self.records.find(t, held, company)) is not None}
        if company and len(found) < len(batch):
            return batch
        for trial, (scores, stopped) in found.items():
            for fold, score in zip(held, scores, strict=True):
                self.scores[trial, held, fold] = score
            if stopped:
                self.stopped.add((trial, held))
            if keep:
                self._recalled[trial, held] = batch
        self.journal.recalled += len(found)
        return tuple(t for t in batch if t not in found)

    @staticmethod
    def _company(batch: Batch) -> Batch:
        """The batch where what one of it says depends on the others, else nothing."""
        return batch if HEADS.get(batch[0].setup.head).follows_path else ()

    def record(self, trials: Batch, held: Held, company: Batch | None = None) -> None:
        """Write down the scores of these trials, where there is a journal; those that were fitted
        in one batch with others are told by its ``company``."""
        if self.records is None:
            return
        company = self._company(trials) if company is None else company
        self.records.add(
            Entry(
                t, held, [self.scores[t, held, f] for f in held], (t, held) in self.stopped, company
            )
            for t in trials
            if (t, held, held[-1]) in self.scores
        )

    def run(
        self, trials: Sequence[Trial], held_sets: Sequence[Held], *, keep: bool, label: str
    ) -> None:
        """Fit every trial on every training part, for its scores and for what it says.

        What is known already is not fitted again.

        Parameters
        ----------
        trials : sequence of Trial
        held_sets : sequence of tuple of int
            Folds to hold out together; each of them is tested.
        keep : bool
            What the heads said is needed, for `outputs`, as well as the scores.
        label : str
            What the progress bar says.
        """
        ensembles = [t for t in trials if isinstance(t, Ensemble)]
        if ensembles:
            score_ensembles(self, ensembles, [(h, k) for h in held_sets for k in h], label=label)
        plain = [t for t in trials if not isinstance(t, Ensemble)]
        wanted = dict.fromkeys(held_sets, plain)
        known: Collection[Any] = self.kept if keep else self.scores
        self.fit(self._batches(wanted, known), keep=keep, label=label)

    def fit(self, batches: Sequence[tuple[Batch, Held]], *, keep: bool, label: str) -> None:
        """Fit every batch while its folds are held out, and score it on each of them."""
        if self.elsewhere is not None:
            self.elsewhere(self, batches, keep=keep, label=label)
            return
        with (
            one_blas_thread(),
            console.progress(sum(len(batch) for batch, _ in batches), label) as bar,
            workers(self.jobs) as pool,
        ):
            ended = threading.Event()
            tasks = self._tasks(batches)
            futures = [pool.submit(self._score, *task, keep, ended) for task in tasks]
            try:
                for future in as_completed(futures):
                    for _ in range(future.result()):
                        bar.advance()
            except BaseException:
                ended.set()  # before the pool waits for fits under way
                raise

    def _batches(
        self, wanted: Mapping[Held, Collection[Trial]], known: Collection[Any]
    ) -> list[tuple[Batch, Held]]:
        """What is not known, in batches: those of one setup where their head shares work.

        Slow trials (weak penalty) come first. A trial whose score was recalled is fitted in the
        company that it was fitted in, where that matters.
        """
        batches: dict[Any, list[Trial]] = defaultdict(list)
        for held, trials in wanted.items():
            for trial in reversed(list(trials)):
                if (trial, held, held[0]) in known:
                    continue
                head = HEADS.get(trial.setup.head)
                before = self._recalled.get((trial, held)) if head.follows_path else None
                if before is not None:
                    batches[before, held] = list(before)
                else:
                    same = (trial.setup, trial.copy) if head.score_grid is not None else trial
                    batches[same, held].append(trial)
        return [(tuple(batch), held) for (_, held), batch in batches.items()]

    def _tasks(
        self, batches: Sequence[tuple[Batch, Held]]
    ) -> Iterator[tuple[Batch, Held, _Shared]]:
        """Batches in an order that drops prepared images soon.

        Threads begin with places of their own, so that none waits for what another prepares. What
        is left over joins the last of them: a place by itself would keep one thread only.
        """
        places: dict[Any, dict[str, list[Batch]]] = defaultdict(lambda: defaultdict(list))
        for batch, held in batches:
            setup, copy = batch[0].setup, batch[0].copy
            place = places[setup.backbone, setup.views, setup.pca, copy, held]
            place[setup.sampler].append(batch)
        of_places = [self._tasks_of(held, samplers) for (*_, held), samplers in places.items()]
        for group in np.array_split(np.arange(len(of_places)), max(len(of_places) // self.jobs, 1)):
            abreast = zip_longest(*(of_places[i] for i in group))
            yield from (task for tasks in abreast for task in tasks if task is not None)

    def _tasks_of(
        self, held: Held, samplers: Mapping[str, Sequence[Batch]]
    ) -> Iterator[tuple[Batch, Held, _Shared]]:
        """Those that are scaled and projected alike."""
        first = next(iter(samplers.values()))[0][0]
        projected = _Shared(self._projection(first, held), len(samplers))
        for members in samplers.values():
            prepared = _Shared(self._preparation(members[0][0], projected), len(members))
            yield from ((batch, held, prepared) for batch in members)

    def _projection(self, trial: Trial, held: Held) -> Callable[[], Projected]:
        def make() -> Projected:
            setup, rows = trial.setup, self.training(held)
            X, y = self.part.examples(setup.backbone, rows, n_views=setup.views)
            together = self.part.example_components(rows, n_views=setup.views)
            return project(
                X,
                y,
                setup,
                seed=shifted(self.seed, trial),
                widths=self.part.widths(setup.backbone),
                together=together,
            )

        return make

    def _preparation(self, trial: Trial, projected: _Shared) -> Callable[[], Prepared]:
        def make() -> Prepared:
            classes, seed = self.part.classes, shifted(self.seed, trial)
            return prepare(
                projected.take(), trial.setup, classes=classes, seed=seed, device=self.device
            )

        return make

    def _score(
        self, trials: Batch, held: Held, shared: _Shared, keep: bool, ended: threading.Event
    ) -> int:
        """Fits of one setup, with their scores on each fold held out; how many were asked for.

        Each is written down before the next begins. Nothing more is fitted once all has ``ended``.
        """
        started = time.perf_counter()
        setup = trials[0].setup
        tested = [self.folds.fold == fold for fold in held]
        others = [self.part.X[setup.backbone][rows] for rows in tested]
        n_classes = len(self.part.classes)
        try:
            results = score_trials(trials, shared.take(), others, n_classes, seed=self.seed)
            for trial, (outputs, stopped) in zip(trials, results, strict=True):
                for fold, rows, said in zip(held, tested, outputs, strict=True):
                    score = fold_score(self.scoring, self.part.y[rows], said.probabilities())
                    self.scores[trial, held, fold] = score
                    if keep:
                        self.kept[trial, held, fold] = said
                if stopped:
                    self.stopped.add((trial, held))
                self.record((trial,), held, self._company(trials))
                if ended.is_set():
                    break
        except RefusedError as error:
            with self._lock:
                self.refused[setup] = str(error.message)
        with self._lock:
            self.elapsed_s[setup] += time.perf_counter() - started
        return len(trials)

    def outputs(self, trial: Trial, fold: int) -> Outputs:
        """What ``trial``, trained on the other folds, says of ``fold``; kept by `run`."""
        return self.kept[trial, (fold,), fold]

    def fold_scores(self, trial: Trial) -> Float:
        """Scores of ``trial`` on each fold, trained on all others."""
        return np.array([self.scores[trial, held, held[0]] for held in self.single])

    def mean_score(self, trial: Trial) -> float:
        """Mean over the folds where the score is defined; NaN where there is none."""
        return defined_mean(self.fold_scores(trial))


def replace_folds(search: FoldSearch, part: Part, folds: Folds) -> FoldSearch:
    """A search like ``search`` on another partition, with nothing scored yet."""
    given = {
        name: getattr(search, name)
        for name in ("elsewhere", "calibrate", "rule", "journal", "device")
    }
    return FoldSearch(part, folds, search.scoring, search.seed, search.jobs, **given)


def defined_mean(values: Float) -> float:
    """Mean of what is not NaN: a fold whose images are of one class has no ROC area."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
