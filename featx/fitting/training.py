"""One training part: scaled, resampled, and every head fitted on it scored on other images.

The semantics are those of an imbalanced-learn pipeline ``scaler -> pca -> sampler -> head``, with
other columns imputed and encoded before it. What does not depend on the head's parameters is run
once for all of them, and a head may share more between the points of its grid
(`Head.score_grid`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from featx.artifact.calibration import Calibration
from featx.data.splits import count_classes
from featx.errors import FitError
from featx.fitting.candidates import Trial, build_estimator, shifted
from featx.fitting.data import Part
from featx.heads import HEADS, Memo, Scored, Training, Units
from featx.margins import margin_columns, margin_probabilities
from featx.samplers import SAMPLERS
from featx.types import AnyArray, BoolArray, Components, Float32Array, FloatArray, IntArray


class RefusedError(FitError):
    """A sampler or head cannot work on these training images; other candidates go on."""


@dataclass(frozen=True)
class Outputs:
    """What a fitted head gives for some images."""

    # shape (n, n_classes), float64; probabilities, or margins where the head has no
    # probabilities. A class the head was not trained on has probability 0 or margin -inf.
    scores: FloatArray
    margins: bool  # which of the two

    def probabilities(self, calibration: Calibration | None = None) -> FloatArray:
        """Probabilities, calibrated; without calibration, margins' are their softmax."""
        if calibration is not None:
            return calibration.apply(self.scores, margins=self.margins)
        return margin_probabilities(self.scores, 1.0) if self.margins else self.scores


@dataclass(frozen=True)
class Prepared:
    """A training part, scaled, projected and resampled."""

    steps: list[tuple[str, Any]]  # fitted: ``columns`` where there are any, ``scaler``, ``pca``
    training: Training

    @property
    def y(self) -> AnyArray:
        """Class indices of the training images."""
        return self.training.y

    def transform(self, X: Float32Array) -> Float32Array:
        """Other embeddings as the head takes them."""
        for _, step in self.steps:
            X = step.transform(X)
        return X


@dataclass(frozen=True)
class Projected:
    """A training part, scaled and projected, for every sampler."""

    steps: list[tuple[str, Any]]  # as in `Prepared`
    X: Float32Array  # shape (n, n_features), float32
    y: IntArray  # shape (n,), int64
    classes: Sequence[str]
    together: IntArray  # shape (n,), int64; rows of one number are of one image or group
    memo: Memo = field(default_factory=Memo)  # what heads know of ``X``


def project(part: Part, rows: BoolArray, trial: Trial, *, seed: int) -> Projected:
    """Fit the scaler and PCA of a trial to some images of ``part``, by a mask; see `Projected`.

    Other columns are weighted, see `_column_weights`.
    """
    setup = trial.setup
    X, y, together = part.examples(setup, rows)
    widths = part.widths(setup.backbones)
    steps: list[tuple[str, Any]] = []
    if setup.tabular:
        steps.append(("columns", _fit_columns(part, X)))
        X = steps[-1][1].transform(X)
    scaler = fit_scaler(X, widths, scaled=setup.scaled)
    if not setup.scaled:
        return Projected([("scaler", scaler)], X, y, part.classes, together)
    if setup.tabular:
        scaler.scale_[sum(widths) :] /= _column_weights(steps[0][1].source_, sum(widths))
    steps.append(("scaler", scaler))
    X = scaler.transform(X)
    if setup.pca != "none":
        pca = _fit_pca(X, sum(widths), setup.pca, seed=shifted(seed, trial))
        steps.append(("pca", pca))
        X = pca.transform(X)
    return Projected(steps, X, y, part.classes, together)


def fit_scaler(X: Float32Array, widths: Sequence[int], *, scaled: bool = True) -> Any:
    """scikit-learn's scaler of embeddings of these widths, perhaps with other columns behind them.

    Embeddings side by side are given the same total variance: a wide one would otherwise outweigh
    a narrow one by its width alone (block scaling: Eriksson et al., "Multi- and megavariate data
    analysis", 2006). Without ``scaled`` it changes nothing.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_mean=scaled, with_std=scaled).fit(X)
    if scaled and len(widths) > 1:
        mean = sum(widths) / len(widths)
        blocks = np.repeat([np.sqrt(mean / width) for width in widths], widths)
        scaler.scale_[: sum(widths)] /= blocks
    return scaler


def _column_weights(source: IntArray, width: int) -> FloatArray:
    """What the standardised numbers of other columns are multiplied by, beside an embedding.

    Every column has the same total variance, however many categories it has, and all together as
    much as the embeddings, where those are wider: with one each they would be lost beside hundreds
    of features. What columns of noise then cost is seen beside the row without them.
    """
    numbers = np.bincount(source)
    columns = np.count_nonzero(numbers)
    return np.asarray(np.sqrt(max(1.0, width / columns) / numbers[source]))


def _fit_columns(part: Part, X: Float32Array) -> Any:
    """What encodes the other columns that rows end with."""
    from featx.heads import column_encoder

    assert part.tabular is not None
    return column_encoder(part.tabular.categorical).fit(X)


def _fit_pca(X: Float32Array, width: int, components: Components, *, seed: int) -> Any:
    """scikit-learn's PCA of the embeddings; no more components than these images have.

    Other columns, few beside an embedding, would be lost in it: they pass as they are, each a
    component of its own behind those of the embeddings.
    """
    from sklearn.decomposition import PCA

    beside = X[:, width:]
    if isinstance(components, int):
        components = min(components, len(X), width)
    pca = PCA(components, random_state=seed).fit(X[:, :width])
    n = beside.shape[1]
    if n:
        axes = pca.components_
        pca.components_ = np.block(
            [[axes, np.zeros((len(axes), n), axes.dtype)],
             [np.zeros((n, width), axes.dtype), np.eye(n, dtype=axes.dtype)]]
        )  # fmt: skip
        pca.mean_ = np.append(pca.mean_, np.zeros(n, pca.mean_.dtype))
        pca.explained_variance_ = np.append(pca.explained_variance_, beside.var(axis=0, ddof=1))
        pca.n_components_, pca.n_features_in_ = len(pca.components_), width + n
    return pca


def prepare(projected: Projected, trial: Trial, *, seed: int, device: str = "cpu") -> Prepared:
    """Run the sampler of a trial on training images, for heads that compute on ``device``.

    Raises
    ------
    RefusedError
        The sampler cannot work on these images, or took away a whole class.
    """
    resampled = _resample(projected, trial.setup.sampler, seed=shifted(seed, trial))
    # what heads work out about the rows before resampling serves every sampler that mixes them
    memo = projected.memo if resampled.base is projected.X else resampled.memo
    units = Units(projected.X, projected.together)
    return Prepared(projected.steps, replace(resampled, device=device, memo=memo, units=units))


def _resample(projected: Projected, sampler: str, *, seed: int) -> Training:
    X, y, classes = projected.X, projected.y, projected.classes
    present, counts = np.unique(y, return_counts=True)
    named = count_classes(y, classes)
    resampler = SAMPLERS.get(sampler).build(
        dict(zip(present.tolist(), counts.tolist(), strict=True)), seed
    )
    if resampler is None:
        return Training(X, y)
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
    mixture = getattr(resampler, "mixture_", None)
    return Training(X, y) if mixture is None else Training(X, y, projected.X, mixture)


def fit_head(trial: Trial, prepared: Prepared, y: AnyArray, *, seed: int) -> Any:
    """Fit the trial's head on prepared images with labels ``y`` of any type.

    Raises
    ------
    RefusedError
        The head cannot be fitted to these images with these parameters.
    """
    estimator = build_estimator(trial, n_images=len(y), seed=seed)
    training = replace(prepared.training, y=y)
    refit = HEADS.get(trial.setup.head).refit
    with _refusing(trial):
        fitted = refit(training, estimator) if refit else estimator.fit(training.X, y)
    fitted.featx_head = trial.setup.head  # several heads may fit classifiers of one class
    return fitted


def score_trials(
    trials: Sequence[Trial],
    prepared: Prepared,
    others: Sequence[Float32Array],
    n_classes: int,
    *,
    seed: int,
) -> Iterator[tuple[list[Outputs], bool]]:
    """Fit each trial of one setup and apply it to embeddings that are not scaled yet.

    Yields
    ------
    outputs : list of Outputs
        One for each array of ``others``, with a column for each class.
    stopped_early : bool
        Whether the fit met its iteration limit.

    Raises
    ------
    RefusedError
        The head cannot be fitted to these images with these parameters.
    """
    training = prepared.training
    scaled = [prepared.transform(X) for X in others]
    estimators = [build_estimator(t, n_images=len(training.y), seed=seed) for t in trials]
    margins = not hasattr(estimators[0], "predict_proba")
    known = np.unique(training.y)
    score_grid = HEADS.get(trials[0].setup.head).score_grid
    with _refusing(trials[0]):
        together = score_grid(training, estimators, scaled) if score_grid else None
    results = together or _score_each(training, estimators, scaled)
    for trial in trials:
        with _refusing(trial):  # the head fits the trial here, when its result is asked for
            scored = next(results)
        outputs = [_widen(each, known, n_classes, margins) for each in scored.outputs]
        yield outputs, scored.stopped_early


def _score_each(
    training: Training, estimators: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored]:
    """Every classifier fitted by itself."""
    for estimator in estimators:
        estimator.fit(training.X, training.y)
        apply = getattr(estimator, "predict_proba", None) or estimator.decision_function
        yield Scored([apply(X) for X in others], stopped_early(estimator))


def _widen(outputs: AnyArray, known: IntArray, n_classes: int, margins: bool) -> Outputs:
    """Outputs with a column for every class, also those that were not trained on."""
    scores = np.full((len(outputs), n_classes), -np.inf if margins else 0.0)
    scores[:, known] = margin_columns(outputs) if margins else outputs
    return Outputs(scores, margins)


@contextmanager
def _refusing(trial: Trial) -> Iterator[None]:
    try:
        yield
    except (ValueError, np.linalg.LinAlgError) as error:
        raise RefusedError(
            f"{trial.setup} with {dict(trial.params)} cannot be fitted: {error}"
        ) from None


def pipeline_outputs(estimator: Any, X: Float32Array) -> Outputs:
    """What a fitted head, or pipeline that ends in one, gives for ``X``; one column a class."""
    if hasattr(estimator, "predict_proba"):
        return Outputs(np.asarray(estimator.predict_proba(X), dtype=np.float64), margins=False)
    return Outputs(margin_columns(estimator.decision_function(X)), margins=True)


def one_blas_thread() -> Any:
    """One BLAS thread a fit: threads over fits scale better, and sums do not depend on them."""
    import scipy.linalg  # noqa: F401  has a BLAS of its own, which is limited only once it is there
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def stopped_early(estimator: Any) -> bool:
    """Whether an iterative head stopped at its limit, read from the head itself.

    Warnings cannot be captured for one thread of several.
    """
    limit = getattr(estimator, "max_iter", None)
    done = getattr(estimator, "n_iter_", None)
    return bool(limit is not None and limit > 0 and done is not None and np.max(done) >= limit)
