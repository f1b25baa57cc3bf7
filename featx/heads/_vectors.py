"""The form of support vector machines: libsvm's decision as products of matrices.

References
----------
Chang and Lin, "LIBSVM: a library for support vector machines", ACM TIST 2 (2011), section 7 for the
pairs; ``sklearn.utils.multiclass._ovr_decision_function`` for the votes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.arrays import Array, cast, namespace
from featx.heads._form import Form, doubles, integers
from featx.heads._rules import number


def _margins(X: Array, a: Any) -> Array:
    """The margin of the second of two classes, (n, 1), or votes, (n, n_classes)."""
    X = cast(X, "float64")
    xp, n_classes, ends = namespace(X), len(a.counts), np.cumsum(a.counts).tolist()
    kernel = _kernel(X, a)
    # vectors of one class stand together: their sums against every other class are one product
    parts = [
        kernel[:, end - n : end] @ a.dual[end - n : end]
        for n, end in zip(a.counts.tolist(), ends, strict=True)
    ]
    sums = xp.stack(parts, axis=1)
    above = np.triu(np.ones((n_classes, n_classes)), 1)
    duels = (sums + xp.swapaxes(sums, 1, 2) + a.intercept) * xp.asarray(above - above.T)
    return duels[:, 1, :1] if n_classes == 2 else votes(duels)


def _kernel(X: Array, a: Any) -> Array:
    """Likeness of each embedding to each support vector, shape (n, n_vectors)."""
    products = X @ a.vectors.T
    if a.gamma is None:
        return products
    xp = namespace(X)
    squares = (X * X).sum(axis=1)[:, None] + (a.vectors * a.vectors).sum(axis=1)
    return xp.exp(-a.gamma * xp.clip(squares - 2 * products, 0, None))


def votes(duels: Array) -> Array:
    """Duels won by each class, plus less than half for its margins; of equals the first wins.

    Parameters
    ----------
    duels : array of shape (n, n_classes, n_classes)
        Margin of each class over each other one.
    """
    xp = namespace(duels)
    above = xp.asarray(np.triu(np.ones(tuple(duels.shape[1:]), bool), 1))
    won = ((duels > 0) | (above & (duels == 0))).sum(axis=2)
    margins = duels.sum(axis=2)
    return won + margins / (3 * (xp.abs(margins) + 1))


def _freeze(classifier: Any) -> dict[str, Any]:
    """Each vector's weight against every class: 0 against its own."""
    from featx.heads._private import svc_gamma

    n_classes = len(classifier.classes_)
    if classifier.kernel not in {"linear", "rbf"}:
        raise ValueError(f"its kernel is {classifier.kernel!r}")
    if n_classes > 2 and not classifier.break_ties:
        raise ValueError("it predicts by votes without margins (break_ties is False)")
    if classifier.decision_function_shape != "ovr" or not isinstance(
        classifier.support_vectors_, np.ndarray
    ):
        raise ValueError("its margins are of pairs, or its vectors sparse")
    counts, n_pairs = classifier.n_support_, n_classes * (n_classes - 1) // 2
    if np.shape(classifier.intercept_) != (n_pairs,):
        raise ValueError(f"it has {np.size(classifier.intercept_)} intercepts for {n_pairs} pairs")
    sign = -1.0 if n_classes == 2 else 1.0  # scikit-learn turns libsvm's around for two classes
    given, ends = sign * classifier.dual_coef_, np.cumsum(counts)
    dual = np.zeros((len(classifier.support_vectors_), n_classes))
    for i, (start, end) in enumerate(zip(ends - counts, ends, strict=True)):
        dual[start:end, np.arange(n_classes) != i] = given[:, start:end].T
    intercept = np.zeros((n_classes, n_classes))
    intercept[np.triu_indices(n_classes, 1)] = sign * classifier.intercept_
    return {
        "vectors": classifier.support_vectors_.astype(np.float64),
        "counts": counts,
        "dual": dual,
        "intercept": intercept + intercept.T,
        "gamma": svc_gamma(classifier) if classifier.kernel == "rbf" else None,
    }


def _thaw(classifier: Any, a: Any) -> None:
    from featx.heads._private import fill_svc

    n_classes, ends = len(a.counts), np.cumsum(a.counts)
    dual = np.zeros((n_classes - 1, len(a.vectors)))
    for i, (start, end) in enumerate(zip(ends - a.counts, ends, strict=True)):
        dual[:, start:end] = a.dual[start:end, np.arange(n_classes) != i].T
    pairs = a.intercept[np.triu_indices(n_classes, 1)]
    fill_svc(classifier, classifier.classes_, a.vectors.copy(), a.counts, dual, pairs, a.gamma)


def _sound(a: Any, n_features: int, n_classes: int) -> bool:
    return bool(a.counts.min() >= 0 and a.counts.max() <= len(a.dual)) and (
        sum(a.counts.tolist()) == len(a.dual) and len(a.counts) == n_classes
    )


VECTORS = Form(
    output="logits",
    arrays={
        "vectors": doubles("n_vectors", "n_features"),
        "counts": integers("n_classes"),
        "dual": doubles("n_vectors", "n_classes"),
        "intercept": doubles("n_classes", "n_classes"),
    },
    settings={"gamma": lambda v: v is None or number(0, above=True)(v)},
    compute=_margins,
    freeze=_freeze,
    thaw=_thaw,
    sound=_sound,
    numbers=lambda a: len(a.vectors) + len(a.counts) ** 2,
    zero_is_second=True,
)
