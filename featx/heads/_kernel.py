"""Support vector machines whose kernel is computed once for a whole grid, two classes at a time.

libsvm computes a kernel value when it needs one, feature by feature, and again for every ``C``.
Given as a matrix, made by products of matrices, the same solver needs a tenth of the time. It
fits every two classes by themselves anyway (one against one), so a matrix of two classes is all
that is held: it is small enough to stay near the processor. Rows that are mixtures of others, as
SMOTE's are, take theirs from the others' scalar products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.heads._head import Scored, Training
from featx.heads._private import fill_svc, pair_machine
from featx.heads._vectors import votes
from featx.types import AnyArray, Float32Array

KERNEL_BYTES = 512 * 2**20  # a kernel matrix of 8,192 training images
CHUNK = 512  # images turned into float64 at a time


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored] | None:
    """Every ``SVC`` of a grid on one set of scalar products; None where they are too many."""
    if not _fits(training, classifiers):
        return None
    return _score_each(training, classifiers, others)


def _fits(training: Training, classifiers: Sequence[Any]) -> bool:
    largest = np.sort(np.unique(training.y, return_counts=True)[1])[-2:].sum()
    return 8 * int(largest) ** 2 <= KERNEL_BYTES and all(
        c.kernel in {"linear", "rbf"} for c in classifiers
    )


def _score_each(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored]:
    solver = _Solver(training, classifiers)
    first, second = np.triu_indices(solver.n_classes, 1)
    of_pairs = _linear_margins if solver.gammas[0] is None else _radial_margins
    margins = of_pairs(solver, len(classifiers), others)
    for i in range(len(classifiers)):
        outputs = []
        for logits in (m[i] for m in margins):
            duels = np.zeros((len(logits), solver.n_classes, solver.n_classes))
            duels[:, first, second], duels[:, second, first] = logits, -logits
            outputs.append(votes(duels) if solver.n_classes > 2 else duels[:, 1, 0])
        yield Scored(outputs, False)


def _linear_margins(solver: _Solver, n: int, others: Sequence[Float32Array]) -> list[AnyArray]:
    """Margins of each of ``n`` machines for pairs of classes, by the planes that weights make.

    What a machine says may not depend on which others are there: all planes of one are multiplied
    together, whose number the classes decide.
    """
    pairs = list(combinations(range(solver.n_classes), 2))
    planes, intercepts = np.zeros((n, len(pairs), solver.n_features)), np.zeros((n, len(pairs)))
    for j, (a, b) in enumerate(pairs):
        for i, weights, intercept in solver.fit(a, b):
            planes[i, j], intercepts[i, j] = solver.plane(a, b, weights), intercept
    return [
        np.stack([wide @ planes[i].T + intercepts[i] for i in range(n)])
        for wide in (X.astype(np.float64) for X in others)
    ]


def _radial_margins(solver: _Solver, n: int, others: Sequence[Float32Array]) -> list[AnyArray]:
    """The same by distances from the training images, one by one."""
    pairs = list(combinations(range(solver.n_classes), 2))
    margins = [np.zeros((n, len(X), len(pairs))) for X in others]
    distances = [[solver.distances(X, c) for c in range(solver.n_classes)] for X in others]
    for j, (a, b) in enumerate(pairs):
        of_a = len(solver.members[a])
        for gamma, fitted in groupby(solver.fit(a, b), key=lambda fit: solver.gammas[fit[0]]):
            kernels = [[_radial(near[c], gamma) for c in (a, b)] for near in distances]
            for i, weights, intercept in fitted:
                for logits, kernel in zip(margins, kernels, strict=True):
                    sums = kernel[0] @ weights[:of_a] + kernel[1] @ weights[of_a:]
                    logits[i, :, j] = sums + intercept
    return margins


def refit(training: Training, classifier: Any) -> Any:
    """``classifier.fit``: the same support vectors, found sooner."""
    if not _fits(training, [classifier]):
        return classifier.fit(training.X, training.y)
    solver = _Solver(training, [classifier])
    n, k = len(training.y), solver.n_classes
    dual, intercepts = np.zeros((k - 1, n)), []
    for a, b in combinations(range(k), 2):
        [(_, weights, intercept)] = solver.fit(a, b)
        first = len(solver.members[a])
        dual[b - 1, solver.members[a]] = weights[:first]
        dual[a, solver.members[b]] = weights[first:]
        intercepts.append(intercept)
    used = [rows[dual[:, rows].any(axis=0)] for rows in solver.members]
    support = np.concatenate(used)
    fill_svc(
        classifier,
        np.unique(training.y),
        training.X[support].astype(np.float64),
        np.array([len(rows) for rows in used]),
        dual[:, support],
        np.array(intercepts),
        _scale(classifier, training),
    )
    classifier.support_ = support.astype(np.int32)
    classifier.n_iter_ = np.array(solver.iterations, np.int32)
    classifier.class_weight_ = np.array(solver.class_weights[0])
    classifier.shape_fit_ = training.X.shape
    return classifier


class _Solver:
    """Classifiers on every two classes, as libsvm fits them, from scalar products.

    Parameters
    ----------
    training : Training
    classifiers : sequence of SVC
        Unfitted, with a linear or radial basis function kernel.
    """

    def __init__(self, training: Training, classifiers: Sequence[Any]) -> None:
        from sklearn.utils.class_weight import compute_class_weight

        classes, codes = np.unique(training.y, return_inverse=True)
        self.n_classes = len(classes)
        self.members = [np.flatnonzero(codes == c) for c in range(self.n_classes)]
        self.class_weights = [
            compute_class_weight(c.class_weight, classes=classes, y=training.y) for c in classifiers
        ]
        self.iterations: list[int] = []
        self.gammas = _gammas(classifiers, training)
        self.n_features = training.X.shape[1]
        self._machines = [pair_machine(c) for c in classifiers]
        largest = sum(sorted(len(rows) for rows in self.members)[-2:])
        self._buffer = np.empty(largest**2)  # fresh memory for every pair would cost more
        self._rows = [_Rows(training, rows) for rows in self.members]
        self._among = [rows.products(rows) for rows in self._rows]
        self._squares = [products.diagonal().copy() for products in self._among]
        if self.gammas[0] is not None:
            self._among = [
                _distances(products, squares, squares)
                for products, squares in zip(self._among, self._squares, strict=True)
            ]

    def fit(self, a: int, b: int) -> Iterator[tuple[int, AnyArray, float]]:
        """Each classifier's number, weights of the images of ``a`` then ``b``, and intercept.

        The margin is for ``a``, as libsvm has it.
        """
        import sklearn

        n, first = len(self.members[a]) + len(self.members[b]), len(self.members[a])
        labels = np.repeat([0.0, 1.0], [first, n - first])
        between = self._rows[a].products(self._rows[b])
        if self.gammas[0] is not None:
            between = _distances(between, self._squares[a], self._squares[b])
        kernel = self._buffer[: n * n].reshape(n, n)
        filled: float | None = -1.0
        for i in sorted(range(len(self._machines)), key=lambda i: self.gammas[i] or 0.0):
            gamma = self.gammas[i]
            if filled != gamma:
                kernel[:first, :first] = _radial(self._among[a], gamma)
                kernel[first:, first:] = _radial(self._among[b], gamma)
                kernel[:first, first:] = _radial(between, gamma)
                kernel[first:, :first] = kernel[:first, first:].T
                filled = gamma
            machine = self._machines[i]
            # set_params would read the signature anew for each of hundreds of fits
            machine.class_weight = dict(enumerate(self.class_weights[i][[a, b]]))
            with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
                machine.fit(kernel, labels)
            weights = np.zeros(n)
            weights[machine.support_] = -machine.dual_coef_[0]
            self.iterations.append(int(machine.n_iter_[0]))
            yield i, weights, -float(machine.intercept_[0])

    def plane(self, a: int, b: int, weights: AnyArray) -> AnyArray:
        """Coefficients of the features, from weights of the images of two classes."""
        of_a = len(self.members[a])
        return self._rows[a].summed(weights[:of_a]) + self._rows[b].summed(weights[of_a:])

    def distances(self, X: Float32Array, c: int) -> AnyArray:
        """Squared distances of other embeddings from the images of a class."""
        wide = X.astype(np.float64)
        products = self._rows[c].products_with(wide)
        return _distances(products, (wide**2).sum(axis=1), self._squares[c])


class _Rows:
    """The training images of one class, as mixtures of others where they are."""

    def __init__(self, training: Training, rows: NDArray[np.intp]) -> None:
        self._mixture = None if training.mixture is None else training.mixture[rows]
        if self._mixture is not None:
            rows = np.unique(self._mixture.indices)
            self._mixture = self._mixture[:, rows]
        self._rows = rows
        self._X = training.base[rows].astype(np.float64)
        self._gram = training.memo.get("products", lambda: _gram(training.base))

    def products(self, other: _Rows) -> AnyArray:
        """Scalar products with another class's."""
        if self._gram is None:
            products = self._X @ other._X.T
        else:
            products = self._gram[np.ix_(self._rows, other._rows)]
        return other._mixed(self._mixed(products).T).T

    def products_with(self, X: AnyArray) -> AnyArray:
        """Scalar products of other embeddings with these, one row each."""
        return self._mixed(self._X @ X.T).T

    def summed(self, weights: AnyArray) -> AnyArray:
        """These embeddings, each times its weight, added up."""
        own = weights if self._mixture is None else np.asarray(weights @ self._mixture)
        return np.asarray(own @ self._X)

    def _mixed(self, products: AnyArray) -> AnyArray:
        if self._mixture is None:
            return products
        return np.asarray(self._mixture @ np.ascontiguousarray(products))


def _gram(X: Float32Array) -> AnyArray | None:
    """Scalar products of all images, whatever is mixed of them; None where they are too many."""
    if 8 * len(X) ** 2 > KERNEL_BYTES:
        return None
    wide = X.astype(np.float64)
    return np.asarray(wide @ wide.T)


def _gammas(classifiers: Sequence[Any], training: Training) -> list[float | None]:
    """Of the radial basis function; None is the linear kernel."""
    known = {
        c.gamma: None if c.kernel == "linear" else _scale(c, training)
        for c in {c.gamma: c for c in classifiers}.values()
    }
    return [known[c.gamma] for c in classifiers]


def _scale(classifier: Any, training: Training) -> float:
    """``gamma`` as scikit-learn reads it."""
    if classifier.gamma == "scale":
        mean = training.X.mean(dtype=np.float64)
        chunks = np.array_split(training.X, len(training.X) // CHUNK + 1)
        variance = sum(float(((X - mean) ** 2).sum()) for X in chunks) / training.X.size
        return 1.0 / (training.X.shape[1] * variance) if variance != 0 else 1.0
    return 1.0 / training.X.shape[1] if classifier.gamma == "auto" else float(classifier.gamma)


def _distances(products: AnyArray, rows: AnyArray, columns: AnyArray) -> AnyArray:
    """Squared distances in float32, which is what libsvm keeps of a kernel."""
    distances = (rows[:, None] + columns - 2.0 * products).astype(np.float32)
    return np.maximum(distances, 0.0, out=distances)


def _radial(values: AnyArray, gamma: float | None) -> AnyArray:
    """``exp(-gamma * distances)``; scalar products as they are."""
    return values if gamma is None else np.exp(np.float32(-gamma) * values)
