"""Several fitted heads that answer together, each from its own columns of the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.arrays import Array, cast, namespace
from featx.artifact.calibration import Calibration
from featx.heads import FittedHead, freeze
from featx.margins import margin_columns, margin_probabilities
from featx.types import AnyArray

LEAST = 1e-6  # smaller probabilities are taken for this one: no member may outvote all by certainty


@dataclass(frozen=True, eq=False)
class Member:
    """One member of an ensemble: the mean of heads that differ by nothing but their seed.

    Parameters
    ----------
    heads : list of sklearn.pipeline.Pipeline or FittedHead
        At least one; as `featx.artifact.Model` has them.
    columns : tuple of int
        First column of the embeddings that it reads, and the one after the last.
    calibration : Calibration, optional
        Of each head's answers, fitted out of fold. Default None leaves probabilities as they are.
    n_tabular : int, default 0
        How many of the last columns, which are no embedding, it reads too.
    """

    heads: list[Any]
    columns: tuple[int, int]
    calibration: Calibration | None = None
    n_tabular: int = 0

    def probabilities(self, X: Array) -> Array:
        """Probabilities, shape (n, n_classes), from embeddings of all columns."""
        own = self.own(X)
        return mean_of([head_probabilities(head, own, self.calibration) for head in self.heads])

    def own(self, X: Array) -> Array:
        """The columns that it reads."""
        own = self.embedding(X)
        return np.hstack([own, X[:, -self.n_tabular :]]) if self.n_tabular else own

    def embedding(self, X: Array) -> Array:
        """The embedding among them."""
        own = X[:, slice(*self.columns)]
        return np.ascontiguousarray(own) if namespace(own) is np else own

    @property
    def width(self) -> int:
        """How many columns it reads."""
        return self.columns[1] - self.columns[0] + self.n_tabular

    def columns_fault(self, n_features: int) -> str | None:
        """What is wrong with its columns; None where they are among so many."""
        start, stop = self.columns
        if 0 <= start < stop <= n_features:
            return None
        return f"reads columns {start} to {stop} of {n_features}"


@dataclass(frozen=True, eq=False)
class EnsembleHead:
    """Members whose probabilities are averaged, or weighed by a logistic regression (stacking).

    Parameters
    ----------
    classes_ : ndarray of shape (n_classes,), str
    n_features_in_ : int
        Width of the embeddings, of all extractors together, and of other columns behind them.
    members : list of Member
        The best one first.
    stack : sklearn.pipeline.Pipeline or FittedHead, optional
        Takes what `stack_features` gives. Default None averages.

    References
    ----------
    Wolpert, "Stacked generalization", Neural Networks 5, 1992.
    """

    classes_: AnyArray
    n_features_in_: int
    members: list[Member]
    stack: Any | None = None

    def predict_proba(self, X: Array) -> Array:
        """Probabilities, shape (n, n_classes)."""
        each = [member.probabilities(X) for member in self.members]
        if self.stack is None:
            return mean_of(each)
        return cast(self.stack.predict_proba(stack_features(each)), "float64")

    def predict(self, X: AnyArray) -> AnyArray:
        """Likeliest classes, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def fault(self) -> str | None:
        """What does not fit together; None where all does."""
        labels = [str(label) for label in self.classes_]
        n_tabular = max(member.n_tabular for member in self.members)
        for i, member in enumerate(self.members, start=1):
            if fault := member.columns_fault(self.n_features_in_ - n_tabular):
                return f"member {i} {fault}"
            if not all(_takes(head, member.width, labels) for head in member.heads):
                return f"a head of member {i} is of other classes or columns"
            for name, value in member.calibration or ():
                if isinstance(value, list) and len(value) != len(labels):
                    return f"the {name} of member {i} have {len(value)} entries"
        if self.stack is None:
            return None
        width = len(self.members) * len(labels)
        if hasattr(self.stack, "predict_proba") and _takes(self.stack, width, labels):
            return None
        return f"the stack does not weigh {len(self.members)} members of {len(labels)} classes"

    def scaler(self, X: AnyArray) -> AnyArray:
        """The best member's columns, standardised as its first head does."""
        first = self.members[0]
        return scaler_of(first.heads[0])(first.embedding(X))


def _takes(head: Any, n_features: int, labels: list[str]) -> bool:
    known = [str(label) for label in getattr(head, "classes_", ())]
    return getattr(head, "n_features_in_", None) == n_features and known == labels


def head_probabilities(
    head: Any,
    X: Array,
    calibration: Calibration | None = None,
    temperature: float | None = None,
) -> Array:
    """Probabilities of one head, calibrated.

    Parameters
    ----------
    head : sklearn.pipeline.Pipeline, FittedHead or EnsembleHead
    X : ndarray or tensor of shape (n, n_features)
    calibration : Calibration, optional
    temperature : float, optional
        Of margins' softmax where there is no calibration; None is 1.

    Returns
    -------
    ndarray or tensor of shape (n, n_classes), float64
    """
    if hasattr(head, "predict_proba"):
        scores = cast(head.predict_proba(X), "float64")
        return scores if calibration is None else calibration.apply(scores, margins=False)
    margins = margin_columns(head.decision_function(X))
    if calibration is not None:
        return calibration.apply(margins, margins=True)
    return margin_probabilities(margins, temperature or 1.0)


def scaler_of(head: Any) -> Any:
    """What standardises embeddings in a head: a function of an array (n, n_features)."""
    if isinstance(head, FittedHead | EnsembleHead):
        return head.scaler
    if "columns" in head.named_steps:
        return freeze(head).scaler
    return head[:1].transform


def mean_of(probabilities: Sequence[Array]) -> Array:
    """Mean over members, or over copies of one; of a single array that array itself."""
    if len(probabilities) == 1:
        return probabilities[0]
    return namespace(probabilities[0]).stack(list(probabilities)).mean(axis=0)


def stack_features(probabilities: Sequence[Array]) -> Array:
    """What a stack weighs: all members' log-probabilities side by side, (n, members × classes)."""
    xp = namespace(probabilities[0])
    return xp.log(xp.clip(xp.concatenate(list(probabilities), axis=1), LEAST, None))
