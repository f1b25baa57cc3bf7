"""Several fitted heads that answer together, each from its own columns of the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.calibration import Calibration
from featx.artifact.linear import ArrayHead
from featx.margins import margin_columns, margin_probabilities

__all__ = ["LEAST", "EnsembleHead", "Voice", "head_probabilities", "scaler_of", "stack_features"]

Float = NDArray[np.float64]

LEAST = 1e-6  # smaller probabilities are taken for this one: no voice may outvote all by certainty


@dataclass(frozen=True, eq=False)
class Voice:
    """One voice of an ensemble: the mean of heads that differ by nothing but their seed.

    Parameters
    ----------
    heads : list of sklearn.pipeline.Pipeline or ArrayHead
        At least one; as `featx.artifact.Model` has them.
    columns : tuple of int
        First column of the embeddings that it reads, and the one after the last.
    calibration : Calibration, optional
        Of each head's answers, fitted out of fold. Default None leaves probabilities as they are.
    """

    heads: list[Any]
    columns: tuple[int, int]
    calibration: Calibration | None = None

    def probabilities(self, X: NDArray[Any]) -> Float:
        """Probabilities, shape (n, n_classes), from embeddings of all columns."""
        own = self.own(X)
        return mean_of([head_probabilities(head, own, self.calibration) for head in self.heads])

    def own(self, X: NDArray[Any]) -> NDArray[Any]:
        """The columns that it reads."""
        return np.ascontiguousarray(X[:, slice(*self.columns)])


@dataclass(frozen=True, eq=False)
class EnsembleHead:
    """Voices whose probabilities are averaged, or weighed by a logistic regression (stacking).

    Parameters
    ----------
    classes_ : ndarray of shape (n_classes,), str
    n_features_in_ : int
        Width of the embeddings, of all extractors together.
    voices : list of Voice
        The best one first.
    stack : sklearn.pipeline.Pipeline or ArrayHead, optional
        Takes what `stack_features` gives. Default None averages.

    References
    ----------
    Wolpert, "Stacked generalization", Neural Networks 5, 1992.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    voices: list[Voice]
    stack: Any | None = None

    def predict_proba(self, X: NDArray[Any]) -> Float:
        """Probabilities, shape (n, n_classes)."""
        each = [voice.probabilities(X) for voice in self.voices]
        if self.stack is None:
            return mean_of(each)
        return np.asarray(self.stack.predict_proba(stack_features(each)), dtype=np.float64)

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Likeliest classes, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def fault(self) -> str | None:
        """What does not fit together; None where all does."""
        labels = [str(label) for label in self.classes_]
        for i, voice in enumerate(self.voices, start=1):
            start, stop = voice.columns
            if not 0 <= start < stop <= self.n_features_in_:
                return f"voice {i} reads columns {start} to {stop} of {self.n_features_in_}"
            if not all(_takes(head, stop - start, labels) for head in voice.heads):
                return f"a head of voice {i} is of other classes or columns"
            for name, value in voice.calibration or ():
                if isinstance(value, list) and len(value) != len(labels):
                    return f"the {name} of voice {i} have {len(value)} entries"
        if self.stack is None:
            return None
        width = len(self.voices) * len(labels)
        if hasattr(self.stack, "predict_proba") and _takes(self.stack, width, labels):
            return None
        return f"the stack does not weigh {len(self.voices)} voices of {len(labels)} classes"

    def scaler(self, X: NDArray[Any]) -> NDArray[Any]:
        """The best voice's columns, standardised as its first head does."""
        first = self.voices[0]
        return scaler_of(first.heads[0])(first.own(X))


def _takes(head: Any, n_features: int, labels: list[str]) -> bool:
    known = [str(label) for label in getattr(head, "classes_", ())]
    return getattr(head, "n_features_in_", None) == n_features and known == labels


def head_probabilities(
    head: Any,
    X: NDArray[Any],
    calibration: Calibration | None = None,
    temperature: float | None = None,
) -> Float:
    """Probabilities of one head, calibrated.

    Parameters
    ----------
    head : sklearn.pipeline.Pipeline, ArrayHead or EnsembleHead
    X : ndarray of shape (n, n_features)
    calibration : Calibration, optional
    temperature : float, optional
        Of margins' softmax where there is no calibration; None is 1.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
    """
    if hasattr(head, "predict_proba"):
        scores = np.asarray(head.predict_proba(X), dtype=np.float64)
        return scores if calibration is None else calibration.apply(scores, margins=False)
    margins = margin_columns(head.decision_function(X))
    if calibration is not None:
        return calibration.apply(margins, margins=True)
    return margin_probabilities(margins, temperature or 1.0)


def scaler_of(head: Any) -> Any:
    """What standardises embeddings in a head: a function of an array (n, n_features)."""
    if isinstance(head, ArrayHead | EnsembleHead):
        return head.scaler
    return head[:1].transform


def mean_of(probabilities: Sequence[Float]) -> Float:
    """Mean over voices, or over copies of one; of a single array that array itself."""
    if len(probabilities) == 1:
        return probabilities[0]
    return np.asarray(np.mean(probabilities, axis=0))


def stack_features(probabilities: Sequence[Float]) -> Float:
    """What a stack weighs: log-probabilities of all voices side by side, (n, voices × classes)."""
    return np.log(np.maximum(np.hstack(probabilities), LEAST))
