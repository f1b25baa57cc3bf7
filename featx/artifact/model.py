"""The model: a scaler and head with all that is needed to score new images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from featx import console
from featx.artifact.drift import Drift
from featx.artifact.ensemble import EnsembleHead, head_probabilities, scaler_of
from featx.artifact.extractor import ModelExtractor
from featx.artifact.grouped import GroupPredictions, predict_groups
from featx.artifact.novelty import Novelty
from featx.artifact.operating import OperatingCurves
from featx.artifact.saving import save_model
from featx.artifact.seen import Seen
from featx.artifact.tabular import Tabular
from featx.artifact.trust import Trust
from featx.artifact.versions import library_versions
from featx.errors import ModelError, UsageError
from featx.files import printable
from featx.heads import FittedHead, freeze
from featx.margins import margin_columns
from featx.registry import Registry
from featx.types import ExtractorSpec

#: What embeds images stands above a model, which is arrays alone: it is found by name, as
#: plug-ins are, in featx/adapters/images.py.
_IMAGES = Registry("featx.adapters", str(Path(__file__).parents[1] / "adapters"), "adapter")


@dataclass
class Model:
    """A fitted classifier of images: embeddings in, classes and probabilities out.

    Parameters
    ----------
    classes : list of str
        Class names, in the order of the probability columns.
    head : sklearn.pipeline.Pipeline, FittedHead or EnsembleHead
        Fitted scaler and classifier, or several of them; its ``classes_`` equal ``classes``. A
        loaded model has a `featx.heads.FittedHead`, which NumPy computes without scikit-learn.
    extractors : list of ModelExtractor
        Whose embeddings, side by side in this order, it was fitted on.
    tabular : Tabular, optional
        Other columns of the data that the head takes behind the embedding.
    temperature : float, optional
        Divides the margins of a head without probabilities before the softmax; positive.
        Default None, which is 1.
    trust : Trust, optional
        Calibration, prediction sets and the limit of the out-of-distribution score.
    novelty : Novelty, optional
        Arrays of that score; goes with ``trust.novelty``.
    drift : Drift, optional
        What new images can be held against; goes with ``trust.drift``.
    operating : OperatingCurves, optional
        What a cutoff is chosen by; goes with ``trust.operating``.
    seen : Seen, optional
        Digests of the training images, by which copies of them are recognised.
    augmentation : dict, optional
        Document of the `featx.data.augment.Augmentation` that made views of its training images.
    metrics : dict
        The estimate: what to expect on new images.
    provenance : dict
        Source of the data, number of images, seed, date.
    versions : dict
        Library versions at the time of fitting; by default those installed.
    """

    classes: list[str]
    head: Any
    extractors: list[ModelExtractor]
    temperature: float | None = None
    tabular: Tabular | None = None
    trust: Trust | None = None
    novelty: Novelty | None = None
    drift: Drift | None = None
    operating: OperatingCurves | None = None
    seen: Seen | None = None
    augmentation: dict[str, Any] | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=library_versions)

    @property
    def pipeline(self) -> Any:
        """The head as scikit-learn's pipeline; of a loaded model it is built when first asked for.

        From then on it is what predicts, so that a change made to it is seen. An ensemble, which
        has several, is given as it is: a `featx.artifact.ensemble.EnsembleHead`.

        Raises
        ------
        ModelError
            The libraries installed cannot rebuild it.
        """
        if isinstance(self.head, FittedHead):
            self.head = self.head.rebuild()
        return self.head

    @property
    def specs(self) -> list[ExtractorSpec]:
        """What new images must be embedded with, in the order of the columns."""
        return [extractor.spec for extractor in self.extractors]

    @property
    def n_features(self) -> int:
        """Width of the embeddings, of all extractors together."""
        return sum(spec.n_features for spec in self.specs)

    @property
    def classes_(self) -> np.ndarray:
        """``classes`` as scikit-learn has them: an array of texts, shape (n_classes,)."""
        return np.array(self.classes, dtype=object)

    def __repr__(self) -> str:
        names = console.first_few([printable(name) for name in self.classes], 5)
        backbones = " + ".join(printable(spec.backbone) for spec in self.specs)
        return (
            f"<Model of {console.counted(len(self.classes), 'class')} ({names}) on "
            f"{backbones}, {self.n_features} features>"
        )

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Save the model; `featx.load_model` loads it.

        Parameters
        ----------
        path : path
            A folder to create, or a name ending in ``.featx`` for a single file.
        overwrite : bool, default False
            Replace a model already there.

        Raises
        ------
        UsageError, ModelError, OSError
            See `featx.artifact.save_model`.
        """
        save_model(self, path, overwrite=overwrite)

    def predict_images(
        self,
        images: Any,
        *,
        cache: str | os.PathLike[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        engine: str = "auto",
        device: str = "auto",
        batch_size: int | Literal["auto"] = "auto",
        workers: int | None = None,
        offline: bool = False,
        tabular: Any = None,
    ) -> Any:
        """Predict images: paths, PIL images or uint8 arrays.

        Parameters
        ----------
        images : sequence of path, PIL.Image.Image or ndarray of shape (height, width, 3), uint8
            Also one array of shape (n, height, width, 3), or one image.
        cache : path, optional
            Folder of cached embeddings. Default None keeps none.
        weights, engine, device, batch_size, workers, offline
            As in `featx.score`.
        tabular
            As in `predict`.

        Returns
        -------
        featx.scoring.scores.Scores
            What `featx.score` returns for the same files: ``predictions``, ``probabilities``,
            ``sets``, ``abstained``, ``ood`` and ``failures``, in the order of ``images``.

        Raises
        ------
        UsageError
            ``images`` holds something else, or an option is invalid.
        ModelError, BackboneError
            See `featx.score`.
        """
        where = {"cache": cache, "weights": weights, "engine": engine, "device": device}
        how = {"batch_size": batch_size, "workers": workers, "offline": offline}
        return _IMAGES.get("images")(self, images, {**where, **how}, tabular)

    def predict(self, X: np.ndarray, *, tabular: Any = None) -> np.ndarray:
        """Return the predicted class of each embedding.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
        tabular : mapping of str to sequence, or frame, optional
            Of a model with other columns: their values by name, one an image; None or NaN where
            one is not known.

        Returns
        -------
        ndarray of shape (n_samples,), object
            Texts from ``classes``.

        Raises
        ------
        ModelError
            ``X`` has another number of features, is not numeric, or holds NaN or infinity.
        UsageError
            A column that the model takes is missing from ``tabular``.
        """
        raw = self._checked(X, tabular)
        if len(raw) == 0:
            return np.empty(0, dtype=object)
        if self.trust is not None and self.trust.reorders:
            proba = self.predict_proba(X, tabular=tabular)
            return np.array(self.classes, dtype=object)[self.trust.decide(proba)]
        labels = self.head.predict(raw)
        return np.array([str(label) for label in labels], dtype=object)

    def decision_function(self, X: np.ndarray, *, tabular: Any = None) -> np.ndarray:
        """Return the head's margins.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
        tabular
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Largest is likeliest. Two classes: minus and plus half the single margin. Heads without
            margins: log-probabilities.

        Raises
        ------
        ModelError, UsageError
            As `predict`.
        """
        X = self._checked(X, tabular)
        if len(X) == 0:
            return np.empty((0, len(self.classes)))
        if not hasattr(self.head, "decision_function"):
            with np.errstate(divide="ignore"):
                return np.log(np.asarray(self.head.predict_proba(X), dtype=np.float64))
        return margin_columns(self.head.decision_function(X))

    def predict_proba(self, X: np.ndarray, *, tabular: Any = None) -> np.ndarray:
        """Return the probability of each class.

        By ``trust.calibration`` where there is one; else the head's own where it has them, or the
        softmax of its margins over ``temperature``.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
        tabular
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            In [0, 1]; rows sum to 1 up to rounding, which is float32's for heads that compute in
            the embeddings' own type; columns in the order of ``classes``.

        Raises
        ------
        ModelError, UsageError
            As `predict`.
        """
        X = self._checked(X, tabular)
        if len(X) == 0:
            return np.empty((0, len(self.classes)))
        calibration = None if self.trust is None else self.trust.calibration
        return head_probabilities(self.head, X, calibration, self.temperature)

    def predict_sets(self, X: np.ndarray, *, tabular: Any = None) -> np.ndarray:
        """Return the classes that the true one is among, as often as ``trust.sets`` says.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
        tabular
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), bool
            Columns in the order of ``classes``. The predicted class is in every set.

        Raises
        ------
        ModelError, UsageError
            As `predict`; or the model has no prediction sets.
        """
        if self.trust is None or self.trust.sets is None:
            raise ModelError(
                "This model has no prediction sets.",
                hint="featx fit makes them from predictions out of fold; fit it again.",
            )
        proba = self.predict_proba(X, tabular=tabular)
        return self.trust.sets.sets(proba, self._predicted_index(X, tabular))

    def predict_groups(
        self, X: np.ndarray, groups: Sequence[str], *, way: str | None = None, tabular: Any = None
    ) -> GroupPredictions:
        """Return one prediction for the embeddings of each group, such as a patient.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
        groups : sequence of str
            Group of each embedding.
        way : str, optional
            ``mean``, ``vote``, ``max:CLASS`` or ``noisy-or:CLASS``; by default the model's own.
        tabular
            As in `predict`.

        Returns
        -------
        GroupPredictions
            Groups in the order of their first embeddings.

        Raises
        ------
        ModelError
            As `predict`.
        UsageError, ConfigError, UnknownNameError
            See `featx.artifact.grouped.predict_groups`.
        """
        proba, y_pred = self.predict_proba(X, tabular=tabular), self._predicted_index(X, tabular)
        names = [str(name) for name in groups]
        return predict_groups(self.trust or Trust(), self.classes, proba, y_pred, names, way=way)

    def ood_scores(self, X: np.ndarray) -> np.ndarray | None:
        """Return how far each embedding lies from the training images'.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32

        Returns
        -------
        ndarray of shape (n_samples,), float64, or None
            Near 1 for images like the training images; above ``trust.novelty.limit`` it is
            flagged. None for a model that knows nothing of it.

        Raises
        ------
        ModelError
            As `predict`.
        """
        X = self._checked_embeddings(X)
        if self.novelty is None:
            return None
        if len(X) == 0:
            return np.empty(0)
        return self.novelty.scores(scaler_of(self.head)(X))

    def planes(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return one plane a class in the space of embeddings.

        Returns
        -------
        tuple of (ndarray of shape (n_classes, n_features), ndarray of shape (n_classes,)) or None
            See `featx.heads.FittedHead.planes`; None for ensembles too.
        """
        return None if isinstance(self.head, EnsembleHead) else freeze(self.head).planes()

    def _predicted_index(self, X: np.ndarray, tabular: Any) -> np.ndarray:
        """What `predict` returns, as columns of the probabilities, int64."""
        position = {name: i for i, name in enumerate(self.classes)}
        return np.array([position[c] for c in self.predict(X, tabular=tabular)], np.int64)

    def _checked(self, X: np.ndarray, tabular: Any) -> np.ndarray:
        """Embeddings, with the codes of other columns behind them where the model takes any."""
        X = self._checked_embeddings(X)
        if self.tabular is None:
            if tabular is not None:
                raise UsageError("This model takes no other columns: leave tabular out.")
            return X
        return np.hstack([X, self.tabular.codes(tabular, len(X)).astype(X.dtype)])

    def _checked_embeddings(self, X: np.ndarray) -> np.ndarray:
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            width = f"{X.shape[1]} features" if X.ndim == 2 else f"shape {X.shape}"
            raise ModelError(
                f"These embeddings have {width}; the model was fitted on {self.n_features} "
                f"features of {printable(' and '.join(s.backbone for s in self.specs))}.",
                hint="Extract them with the backbones of the model; concatenate several. X has "
                "one row per image: for a single embedding x, give x[None].",
            )
        if X.dtype.kind != "f" or not np.isfinite(X).all():
            raise ModelError(
                f"Embeddings must be finite floating-point numbers. Got dtype {X.dtype}."
            )
        return X
