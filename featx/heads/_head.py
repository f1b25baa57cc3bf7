"""What a head plug-in is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from featx.heads._form import Form
from featx.heads._space import Space
from featx.types import AnyArray, Float32Array, IntArray

Params = dict[str, Any]


def _unlimited(params: Params, n_images: int) -> Params:
    return params


class Memo:
    """What heads work out about the same embeddings, each thing once, whichever thread asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` returned when ``name`` was first asked for."""
        with self._lock:
            if name not in self._known:
                self._known[name] = make()
            return self._known[name]


class Units(NamedTuple):
    """Embeddings before any resampling, and what of them belongs together.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features), float32
    number : ndarray of shape (n,), int
        Rows of one number are of one image (copies, augmented views) or one group.
    """

    rows: Float32Array
    number: IntArray


@dataclass(frozen=True)
class Training:
    """Scaled and resampled embeddings with their labels.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
    y : ndarray of shape (n,)
        Labels of any type.
    origin : ndarray of shape (m, n_features), float32, optional
        The embeddings before resampling, where each row of ``X`` is a mixture of a few of them.
    mixture : scipy.sparse matrix of shape (n, m), float32, optional
        ``X`` is ``mixture @ origin``, to rounding.
    units : Units, optional
        What was resampled.
    memo : Memo
        About `base`; shared with other trainings that have the same one and device.
    device : str, default "cpu"
        Where heads that can compute products of matrices: NumPy on ``cpu``, else torch there.
    """

    X: Float32Array
    y: AnyArray
    origin: Float32Array | None = None
    mixture: Any = None
    units: Units | None = None
    memo: Memo = field(default_factory=Memo)
    device: str = "cpu"

    @property
    def base(self) -> Float32Array:
        """The rows that all others are mixtures of."""
        return self.X if self.origin is None else self.origin


class Scored(NamedTuple):
    """What one fitted classifier says of several sets of images.

    ``outputs`` are its ``predict_proba`` or, where it has none, its ``decision_function``;
    ``stopped_early`` says that it met its iteration limit.
    """

    outputs: list[AnyArray]
    stopped_early: bool


ScoreGrid = Callable[[Training, Sequence[Any], Sequence[Float32Array]], Iterator[Scored] | None]


@dataclass(frozen=True)
class Head:
    """A classifier on top of embeddings.

    Parameters
    ----------
    name : str
        As on the command line; the file's name with hyphens.
    summary : str
        One line for people.
    estimator : str
        Name of the class that ``build`` returns: whose fitted classifiers are of this head.
    form : Form
        What a fitted classifier is as arrays, and how it predicts (`featx.heads._form`).
    build : callable
        ``build(class_weight, random_state)`` returns an unfitted scikit-learn classifier with
        ``predict_proba`` or ``decision_function``. ``class_weight`` is None or ``"balanced"``
        and is ignored by heads that do not support it.
    param_grid : mapping of str to list
        Values searched by default, strongest regularisation first: of equal scores the first
        wins.
    supports_class_weight : bool
        Whether ``class_weight`` means anything to this head.
    limit : callable
        ``limit(params, n_images)`` returns the parameters that so many training images allow;
        unchanged by default.
    score_grid : callable, optional
        ``score_grid(training, classifiers, others)`` yields, for each unfitted classifier, what
        it says of each array of other embeddings once fitted, to the classifier's own tolerance,
        but sharing the work; None where it cannot for these classifiers or images.
    follows_path : bool
        Whether what ``score_grid`` says of a classifier depends, within its tolerance, on which
        others it is given along with, as where each starts from the one before. Otherwise it is
        the same bit by bit in any company.
    refit : callable, optional
        ``refit(training, classifier)`` fits one classifier, the same as its ``fit`` but sooner.
    seeded : bool
        Whether its fit depends on ``random_state``.
    space : mapping of str to Real, Integer or Choice
        What each parameter may be (`featx.heads._space`), for ``--search random`` and ``bayes``
        and for going past an end of ``param_grid`` where the best value lies there. Every value is
        one that ``set_params`` takes. A parameter of ``param_grid`` that is not here is searched
        over its values there; a number in ``param_grid`` lies inside its range here. Empty where
        there is nothing to search.
    """

    name: str
    summary: str
    estimator: str
    form: Form
    build: Callable[[str | None, int], Any]
    param_grid: Mapping[str, list[Any]]
    supports_class_weight: bool
    limit: Callable[[Params, int], Params] = _unlimited
    score_grid: ScoreGrid | None = None
    follows_path: bool = False
    refit: Callable[[Training, Any], Any] | None = None
    seeded: bool = False
    space: Space = field(default_factory=dict)
