"""Fitting and scoring many trials on many folds, sharing what they have in common.

The semantics are those of an imbalanced-learn pipeline ``scaler -> sampler -> head`` in
scikit-learn's ``GridSearchCV``: everything that learns sees the training part of the fold only.
The scaler and the sampler do not depend on the head's parameters, so they run once for all of
them.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.data.splits import Folds, count_classes
from featx.errors import FitError
from featx.fitting.candidates import Setup, Trial, build_estimator
from featx.fitting.data import Part
from featx.heads import HEADS
from featx.margins import margin_columns, margin_probabilities
from featx.samplers import SAMPLERS
from featx.stats.metrics import fold_score

__all__ = [
    "FoldSearch",
    "Outputs",
    "Prepared",
    "RefusedError",
    "defined_mean",
    "fit_head",
    "one_blas_thread",
    "pipeline_outputs",
    "prepare",
    "replace_folds",
]

Float = NDArray[np.float64]
Held = tuple[int, ...]

KEPT_BYTES = 512 * 2**20
GRAM_BYTES = 256 * 2**20  # scalar products of at most 5,792 training images


class RefusedError(FitError):
    """A sampler or head cannot work on these training images; other candidates go on."""


@dataclass(frozen=True)
class Outputs:
    """What a fitted head says of some images.

    Parameters
    ----------
    scores : ndarray of shape (n, n_classes), float64
        Probabilities, or margins where the head has no probabilities. A class the head was not
        trained on has probability 0 or margin -inf.
    margins : bool
        Which of the two.
    """

    scores: Float
    margins: bool

    def probabilities(self, temperature: float | None = None) -> Float:
        """Probabilities; margins are divided by ``temperature`` (default 1) first."""
        if not self.margins:
            return self.scores
        return margin_probabilities(self.scores, temperature or 1.0)


@dataclass(frozen=True)
class Prepared:
    """A training part, scaled and resampled, and its scaler.

    ``gram`` holds the scalar products of the images, shape (n, n), float64, where a head that
    needs nothing else is going to be fitted many times.
    """

    scaler: Any
    X: NDArray[np.float32]
    y: NDArray[np.int64]
    gram: Float | None = None

    def products(self, X: NDArray[np.float32]) -> Float:
        """Scalar products of other images with these, shape (len(X), n), float64."""
        return np.asarray(X.astype(np.float64) @ self.X.astype(np.float64).T)


def prepare(
    X: NDArray[np.float32],
    y: NDArray[np.int64],
    sampler: str,
    *,
    classes: Sequence[str],
    seed: int,
) -> Prepared:
    """Fit the scaler and run the sampler on training images.

    Raises
    ------
    RefusedError
        The sampler cannot work on these images, or took away a whole class.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(X)
    X = scaler.transform(X)
    present, counts = np.unique(y, return_counts=True)
    named = count_classes(y, classes)
    resampler = SAMPLERS.get(sampler).build(
        dict(zip(present.tolist(), counts.tolist(), strict=True)), seed
    )
    if resampler is None:
        return Prepared(scaler, X, y)
    try:
        X, y = resampler.fit_resample(X, y)
    except (ValueError, RuntimeError) as error:
        raise RefusedError(
            f"{sampler} cannot resample a training fold of {named}: {error}",
            hint="Use smote or random-over, or merge the small classes.",
        ) from None
    lost = np.setdiff1d(present, y)
    if len(lost):
        names = ", ".join(classes[c] for c in lost)
        raise RefusedError(
            f"{sampler} removed every image of {names} from a training fold of {named}.",
            hint="Use smote or random-over, or merge the small classes.",
        )
    return Prepared(scaler, X, y)


def fit_head(
    trial: Trial, prepared: Prepared, y: NDArray[Any], *, seed: int, use_gram: bool = False
) -> Any:
    """Fit the trial's head on prepared images with labels ``y`` of any type.

    With ``use_gram`` a head that can is fitted on ``prepared.gram``: the same classifier, but
    one that wants `Prepared.products` in place of embeddings.

    Raises
    ------
    RefusedError
        The head cannot be fitted to these images with these parameters.
    """
    estimator = build_estimator(trial, n_images=len(y), seed=seed)
    X: NDArray[Any] = prepared.X
    if use_gram and prepared.gram is not None and HEADS.get(trial.setup.head).linear_kernel:
        estimator.set_params(kernel="precomputed")
        X = prepared.gram
    try:
        return estimator.fit(X, y)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise RefusedError(
            f"{trial.setup} with {dict(trial.params)} cannot be fitted: {error}"
        ) from None


def pipeline_outputs(estimator: Any, X: NDArray[np.float32]) -> Outputs:
    """What a fitted head, or pipeline that ends in one, says of ``X``; one column a class."""
    if hasattr(estimator, "predict_proba"):
        return Outputs(np.asarray(estimator.predict_proba(X), dtype=np.float64), margins=False)
    return Outputs(margin_columns(estimator.decision_function(X)), margins=True)


def head_outputs(estimator: Any, X: NDArray[np.float32], n_classes: int) -> Outputs:
    """The same from a head fitted with class indices, some of which it may not have seen."""
    known = pipeline_outputs(estimator, X)
    scores = np.full((len(X), n_classes), -np.inf if known.margins else 0.0)
    scores[:, estimator.classes_] = known.scores
    return Outputs(scores, known.margins)


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

    Attributes
    ----------
    scores : dict
        ``(trial, held-out folds, tested fold) -> score``.
    refused : dict
        ``setup -> why it cannot be used``.
    unconverged : dict
        ``setup -> number of fits that stopped at their iteration limit``.
    elapsed_s : dict
        ``setup -> seconds of fitting, resampling and scoring, summed over threads``.
    """

    part: Part
    folds: Folds
    scoring: str
    seed: int
    jobs: int
    scores: dict[tuple[Trial, Held, int], float] = field(default_factory=dict)
    refused: dict[Setup, str] = field(default_factory=dict)
    unconverged: dict[Setup, int] = field(default_factory=lambda: defaultdict(int))
    elapsed_s: dict[Setup, float] = field(default_factory=lambda: defaultdict(float))
    _outputs: dict[tuple[Trial, Held, int], Outputs] = field(default_factory=dict)
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

    def affordable(self, trials: Sequence[Trial]) -> bool:
        """Whether what all these trials say on all folds fits into memory comfortably."""
        return len(self.part) * len(self.part.classes) * 8 * len(trials) <= KEPT_BYTES

    def run(
        self, trials: Sequence[Trial], held_sets: Sequence[Held], *, keep: bool, label: str
    ) -> None:
        """Fit every trial on every training part and score it on the folds held out.

        What is known already is not fitted again.

        Parameters
        ----------
        trials : sequence of Trial
        held_sets : sequence of tuple of int
            Folds to hold out together; each of them is tested.
        keep : bool
            Keep what the heads said, for `outputs`, as well as the scores.
        label : str
            What the progress bar says.
        """
        tasks = list(self._tasks(trials, held_sets, keep))
        with (
            one_blas_thread(),
            console.progress(len(tasks), label) as bar,
            ThreadPoolExecutor(self.jobs) as pool,
        ):
            futures = [pool.submit(self._score, *task, keep) for task in tasks]
            try:
                for future in as_completed(futures):
                    future.result()
                    bar.advance()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _tasks(
        self, trials: Sequence[Trial], held_sets: Sequence[Held], keep: bool
    ) -> Iterator[tuple[Trial, Held, _Shared]]:
        """Work in an order that drops prepared images soon; slow trials (weak penalty) first."""
        known = self._outputs if keep else self.scores
        groups: dict[tuple[str, str], list[Trial]] = defaultdict(list)
        for trial in reversed(trials):
            groups[trial.setup.backbone, trial.setup.sampler].append(trial)
        for (backbone, sampler), everyone in groups.items():
            for held in held_sets:
                members = [t for t in everyone if (t, held, held[0]) not in known]
                gram = sum(HEADS.get(t.setup.head).linear_kernel for t in members) > 1
                make = self._preparation(backbone, sampler, held, gram=gram)
                shared = _Shared(make, len(members))
                yield from ((trial, held, shared) for trial in members)

    def _preparation(
        self, backbone: str, sampler: str, held: Held, *, gram: bool
    ) -> Callable[[], Prepared]:
        def make() -> Prepared:
            rows = self.training(held)
            X, y = self.part.X[backbone][rows], self.part.y[rows]
            ready = prepare(X, y, sampler, classes=self.part.classes, seed=self.seed)
            if gram and 8 * len(ready.y) ** 2 <= GRAM_BYTES:
                return replace(ready, gram=ready.products(ready.X))
            return ready

        return make

    def _score(self, trial: Trial, held: Held, shared: _Shared, keep: bool) -> None:
        """One fit, with its scores on each fold held out."""
        started = time.perf_counter()
        try:
            fitted = self._fit(trial, shared.take())
        except RefusedError as error:
            with self._lock:
                self.refused[trial.setup] = str(error.message)
            return
        for fold in held:
            outputs = self._test(trial, fitted, fold)
            y = self.part.y[self.folds.fold == fold]
            self.scores[trial, held, fold] = fold_score(self.scoring, y, outputs.probabilities())
            if keep:
                self._outputs[trial, held, fold] = outputs
        with self._lock:
            self.elapsed_s[trial.setup] += time.perf_counter() - started

    def _fit(self, trial: Trial, prepared: Prepared) -> tuple[Prepared, Any]:
        head = fit_head(trial, prepared, prepared.y, seed=self.seed, use_gram=True)
        if stopped_early(head):
            with self._lock:
                self.unconverged[trial.setup] += 1
        return prepared, head

    def _test(self, trial: Trial, fitted: tuple[Prepared, Any], fold: int) -> Outputs:
        prepared, head = fitted
        X = self.part.X[trial.setup.backbone][self.folds.fold == fold]
        X = prepared.scaler.transform(X)
        if getattr(head, "kernel", None) == "precomputed":
            X = prepared.products(X)
        return head_outputs(head, X, len(self.part.classes))

    def outputs(self, trial: Trial, fold: int) -> Outputs:
        """What ``trial``, trained on the other folds, says of ``fold``; kept by `run`."""
        return self._outputs[trial, (fold,), fold]

    def fold_scores(self, trial: Trial) -> Float:
        """Scores of ``trial`` on each fold, trained on all others."""
        return np.array([self.scores[trial, held, held[0]] for held in self.single])

    def mean_score(self, trial: Trial) -> float:
        """Mean over the folds where the score is defined; NaN where there is none."""
        return defined_mean(self.fold_scores(trial))


def replace_folds(search: FoldSearch, part: Part, folds: Folds) -> FoldSearch:
    """A search like ``search`` on another partition, with nothing scored yet."""
    return FoldSearch(part, folds, search.scoring, search.seed, search.jobs)


def one_blas_thread() -> Any:
    """One BLAS thread a fit: threads over fits scale better, and sums come out the same."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def defined_mean(values: Float) -> float:
    """Mean of what is not NaN: a fold whose images are of one class has no ROC area."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def stopped_early(estimator: Any) -> bool:
    """Whether an iterative head stopped at its limit, read from the head itself.

    Warnings cannot be captured for one thread of several.
    """
    limit = getattr(estimator, "max_iter", None)
    done = getattr(estimator, "n_iter_", None)
    return bool(limit is not None and limit > 0 and done is not None and np.max(done) >= limit)
