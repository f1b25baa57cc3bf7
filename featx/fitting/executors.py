"""What executes a search's fits: the threads of this machine, or the machines of a cluster."""

from __future__ import annotations

import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple, Protocol

import numpy as np

from featx import console
from featx.clusters import Session, find_cluster
from featx.config import FitConfig
from featx.data.splits import Folds
from featx.fitting.candidates import Setup, Trial
from featx.fitting.data import Part
from featx.fitting.partition import FoldSet, Partition
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
from featx.interrupts import workers
from featx.machine import cpu_cores
from featx.stats.metrics import fold_score

Record = Callable[["FitTask", Trial], None]  # writes down what a trial of a task was found to score


@dataclass(frozen=True)
class SearchSettings:
    """What a search asks for."""

    scoring: str
    seed: int
    # how outputs become probabilities where predictions are held out; not used by scores
    calibrate: str = "none"
    rule: Rule | None = None  # what decisions are to reach there; not used by scores
    # where heads that can compute products of matrices; see `featx.heads.Training`
    device: str = "cpu"


class FitTask(NamedTuple):
    """Trials of one setup, fitted together on the images that are not in the folds left out."""

    trials: tuple[Trial, ...]
    left_out: FoldSet


@dataclass(frozen=True)
class Job:
    """Tasks to execute, and whether to keep what the heads give, besides their scores."""

    data: Partition
    settings: SearchSettings
    tasks: Sequence[FitTask]
    keep: bool
    label: str = ""  # of the progress bar


@dataclass
class Found:
    """What fits gave."""

    # ``(trial, folds left out, tested fold) -> score``
    scores: dict[tuple[Trial, FoldSet, int], float] = field(default_factory=dict)
    # ``(trial, folds left out, tested fold) -> Outputs``, where they were to be kept
    outputs: dict[tuple[Trial, FoldSet, int], Outputs] = field(default_factory=dict)
    refused: dict[Setup, str] = field(default_factory=dict)  # ``setup -> why it cannot be used``
    # ``(trial, folds left out)`` of fits that met their iteration limit
    stopped: set[tuple[Trial, FoldSet]] = field(default_factory=set)
    # ``setup -> seconds of fitting, resampling and scoring, summed over threads``
    elapsed_s: dict[Setup, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, other: Found) -> None:
        """Take over what another machine found."""
        self.scores.update(other.scores)
        self.outputs.update(other.outputs)
        self.refused.update(other.refused)
        self.stopped.update(other.stopped)
        for setup, elapsed_s in other.elapsed_s.items():
            self.elapsed_s[setup] += elapsed_s


class Executor(Protocol):
    """Executes the tasks of a job."""

    @property
    def jobs(self) -> int:
        """Threads on this machine, for what is computed here."""

    def execute(self, job: Job, found: Found, record: Record) -> None:
        """Execute every task, add to ``found``, and ``record`` each trial that was scored."""


@dataclass(frozen=True)
class ThreadExecutor:
    """The threads of this machine.

    Results do not depend on their number: every fit uses one BLAS thread.
    """

    jobs: int = 1

    def execute(self, job: Job, found: Found, record: Record) -> None:
        """Execute every task; see `Executor`."""
        with (
            one_blas_thread(),
            console.progress(sum(len(task.trials) for task in job.tasks), job.label) as bar,
            workers(self.jobs) as pool,
        ):
            ended = threading.Event()
            told: Counter[int] = Counter()  # trials of each task that were counted

            def tell(task: FitTask, trial: Trial) -> None:
                record(task, trial)
                told[id(task)] += 1
                bar.advance()

            # all at once: threads take them in this order, which drops prepared images soon
            futures = {
                pool.submit(_fit_task, job, task, prepared, found, tell, ended): task
                for task, prepared in _in_order(job, self.jobs)
            }
            try:
                for future in as_completed(futures):
                    task = futures[future]
                    # summed here: adding to a number is not atomic between threads
                    found.elapsed_s[task.trials[0].setup] += future.result()
                    bar.advance(len(task.trials) - told[id(task)])  # of one that was refused
            except BaseException:
                ended.set()  # before the pool waits for fits under way
                raise


def _fit_task(
    job: Job, task: FitTask, prepared: _Once, found: Found, record: Record, ended: threading.Event
) -> float:
    """Fit the trials of a task and score each on every fold left out; the seconds it took.

    Each is recorded before the next begins. Nothing more is fitted once all has ``ended``.
    """
    started = time.perf_counter()
    part, setup = job.data.part, task.trials[0].setup
    tested = [job.data.fold == fold for fold in task.left_out]
    others = [part.inputs(setup, rows) for rows in tested]
    try:
        fits = score_trials(
            task.trials, prepared.take(), others, len(part.classes), seed=job.settings.seed
        )
        for trial, (outputs, stopped) in zip(task.trials, fits, strict=True):
            for fold, rows, each in zip(task.left_out, tested, outputs, strict=True):
                key = trial, task.left_out, fold
                proba = each.probabilities()
                found.scores[key] = fold_score(job.settings.scoring, part.y[rows], proba)
                if job.keep:
                    found.outputs[key] = each
            if stopped:
                found.stopped.add((trial, task.left_out))
            record(task, trial)
            if ended.is_set():
                break
    except RefusedError as error:
        found.refused[setup] = str(error.message)
    return time.perf_counter() - started


class _Once:
    """A value made by the first thread that asks and dropped after the last use."""

    def __init__(self, make: Callable[[], Any], uses: int) -> None:
        self._make, self._uses = make, uses
        self._lock = threading.Lock()
        self._value: Any = None
        self._error: RefusedError | None = None
        self._made = False

    def take(self) -> Any:
        with self._lock:  # others wait here while the first one makes it
            if not self._made:
                try:
                    self._value = self._make()
                except RefusedError as error:
                    self._error = error
                self._made = True
            value = self._value
            self._uses -= 1
            if self._uses == 0:
                self._value = None  # its memory is free while the last fits are under way
            if self._error is not None:
                raise self._error
            return value


def _in_order(job: Job, jobs: int) -> Iterator[tuple[FitTask, _Once]]:
    """Tasks with their training parts, in an order that drops prepared images soon.

    Threads begin with training parts of their own, so that none waits for what another prepares.
    What is left over joins the last of them: a training part by itself would keep one thread only.
    """
    parts: dict[Any, dict[str, list[FitTask]]] = defaultdict(lambda: defaultdict(list))
    for task in job.tasks:
        setup, copy = task.trials[0].setup, task.trials[0].copy
        projected = setup.backbones, setup.tabular, setup.views, setup.pca, setup.scaled
        part = parts[projected, copy, task.left_out]
        part[setup.sampler].append(task)
    queues = [_of_one_part(job, by_sampler) for by_sampler in parts.values()]
    for group in np.array_split(np.arange(len(queues)), max(len(queues) // jobs, 1)):
        abreast = zip_longest(*(queues[i] for i in group))
        yield from (task for tasks in abreast for task in tasks if task is not None)


def _of_one_part(
    job: Job, by_sampler: Mapping[str, list[FitTask]]
) -> Iterator[tuple[FitTask, _Once]]:
    """Tasks whose images are scaled and projected alike, and then resampled each in its way."""
    first = next(iter(by_sampler.values()))[0]
    projected = _Once(partial(_project, job, first), len(by_sampler))
    for tasks in by_sampler.values():
        prepared = _Once(partial(_prepare, job, tasks[0], projected), len(tasks))
        yield from ((task, prepared) for task in tasks)


def _project(job: Job, task: FitTask) -> Projected:
    rows = job.data.training(task.left_out)
    return project(job.data.part, rows, task.trials[0], seed=job.settings.seed)


def _prepare(job: Job, task: FitTask, projected: _Once) -> Prepared:
    settings = job.settings
    return prepare(projected.take(), task.trials[0], seed=settings.seed, device=settings.device)


@contextmanager
def open_executor(config: FitConfig) -> Iterator[Executor]:
    """What executes a search while this lasts: a cluster where one is named, else threads.

    Raises
    ------
    ClusterError, MissingExtraError, UsageError
        See `featx.clusters`.
    """
    jobs = config.jobs or cpu_cores()
    cluster = find_cluster(config.cluster, config.address)
    if cluster is None:
        yield ThreadExecutor(jobs)
        return
    with cluster.connect(config.address) as session, session.joblib(config.jobs) as parallel:
        yield ClusterExecutor(session, parallel, jobs)


@dataclass(frozen=True)
class _RemoteJob:
    """The tasks of one setup on one training part: all that a machine needs but the images."""

    read: Callable[[], Part]
    folds: Folds
    settings: SearchSettings
    tasks: list[FitTask]
    keep: bool

    def __call__(self) -> tuple[list[FitTask], Found, list[warnings.WarningMessage]]:
        found = Found()
        data = Partition(self.read(), self.folds)
        job = Job(data, self.settings, self.tasks, self.keep)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ThreadExecutor().execute(job, found, lambda task, trial: None)
        return self.tasks, found, caught


@dataclass(frozen=True)
class ClusterExecutor:
    """The machines of a cluster, through joblib.

    Embeddings are laid out once for all machines; a task of the cluster is one row of the results
    table on one training part, and what comes back are scores and, where they are kept, outputs.
    """

    session: Session
    parallel: Any  # joblib.Parallel, which runs tasks there
    jobs: int = 1
    _shared: dict[int, tuple[Part, Callable[[], Part]]] = field(default_factory=dict)

    def execute(self, job: Job, found: Found, record: Record) -> None:
        """Execute every task; what machines were warned about is warned about again here."""
        from joblib import delayed

        units: dict[tuple[Setup, FoldSet], list[FitTask]] = defaultdict(list)
        for task in job.tasks:
            units[task.trials[0].setup, task.left_out].append(task)
        if units:
            console.log(f"{job.label}: {console.counted(len(units), 'task')} on the cluster.")
        read, folds = self._share(job.data.part), job.data.folds
        remote = [_RemoteJob(read, folds, job.settings, each, job.keep) for each in units.values()]
        with console.stage(f"{job.label} on the cluster"):
            finished = self.parallel(delayed(each)() for each in remote)
        for tasks, theirs, warned in finished:
            found.add(theirs)
            for task in tasks:
                for trial in task.trials:
                    record(task, trial)
            for w in warned:
                warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)

    def _share(self, part: Part) -> Callable[[], Part]:
        """Lay out the images of one part, once."""
        if id(part) not in self._shared:
            # the part is kept too: its id must not become another one's
            self._shared[id(part)] = part, self.session.share(part)
        return self._shared[id(part)][1]
