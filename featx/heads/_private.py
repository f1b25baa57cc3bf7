"""scikit-learn's private names: all that featx uses, why, and what each buys.

Each can go with any release, so that pyproject.toml bounds scikit-learn from above and
``tests/heads/test_private.py`` looks for every name. Nothing here takes part in scoring.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.types import AnyArray, FloatArray

#: Private name, and why it is used. Ratios of whole searches: benchmarks/results/fit.json.
NAMES = {
    "SVC._n_support": "a machine of kernels that a grid shares: svm-linear 10, svm-rbf 13 times "
    "as fast as scikit-learn's own search",
    "SVC._dual_coef_": "as _n_support",
    "SVC._intercept_": "as _n_support",
    "SVC._gamma": "gamma='scale' is a number only once fitted, and no public one",
    "SVC._validate_targets": "every fit of two classes looks at labels: without, 2.5 times as fast "
    "with 30 images, 2.1 with 100, 1.6 with 300",
    "HistGradientBoostingClassifier._predictors": "the nodes of trees have no public name",
    "HistGradientBoostingClassifier._baseline_prediction": "where scores start; as _predictors",
}


def require(owner: Any, name: str) -> Any:
    """The attribute of a fitted estimator.

    Raises
    ------
    RuntimeError
        This version of scikit-learn has no such name.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        import sklearn

        raise RuntimeError(
            f"scikit-learn {sklearn.__version__} has no {type(owner).__name__}.{name}, which featx "
            "reads. Install a version that featx knows: pip install --upgrade featx"
        ) from None


def svc_gamma(classifier: Any) -> float:
    """``gamma`` of a fitted machine as a number."""
    return float(require(classifier, "_gamma"))


def fill_svc(
    classifier: Any,
    classes: AnyArray,
    vectors: FloatArray,
    counts: AnyArray,
    dual: FloatArray,
    intercepts: FloatArray,
    gamma: float | None,
) -> None:
    """Make an ``SVC`` the machine with these support vectors; libsvm's signs.

    Parameters
    ----------
    classifier : SVC
    classes : ndarray of shape (n_classes,)
    vectors : ndarray of shape (n_vectors, n_features)
        Those of each class together.
    counts : ndarray of shape (n_classes,)
        How many each class has.
    dual : ndarray of shape (n_classes - 1, n_vectors)
        Weights against each class but the vector's own.
    intercepts : ndarray of shape (n_pairs,)
    gamma : float, optional
        None leaves it as it is: a linear kernel has no use for it.
    """
    n_classes, n_features = len(classes), vectors.shape[1]
    # scikit-learn itself makes whatever else a fitted machine has, from one row a class
    rows = np.zeros((n_classes, n_features))
    rows[:, 0] = np.arange(n_classes)
    classifier.fit(rows, classes)
    classifier.support_ = np.arange(len(vectors), dtype=np.int32)
    classifier.support_vectors_ = vectors
    classifier._n_support = np.array(counts, np.int32)
    classifier._dual_coef_ = np.ascontiguousarray(dual)
    classifier._intercept_ = np.array(intercepts)
    sign = -1.0 if n_classes == 2 else 1.0
    classifier.dual_coef_ = sign * classifier._dual_coef_
    classifier.intercept_ = sign * classifier._intercept_
    if gamma is not None:
        classifier._gamma = gamma


def pair_machine(classifier: Any) -> Any:
    """An unfitted ``SVC`` of the same parameters for two classes and a kernel matrix.

    Its labels are 0 and 1 in float64, its class weights ``{0: ..., 1: ...}``.
    """
    from sklearn.svm import SVC

    class PairMachine(SVC):
        def _validate_targets(self, y: FloatArray) -> FloatArray:
            """A hook of scikit-learn's `fit`; without it the checks are made, all else equal."""
            self.classes_ = np.array([0.0, 1.0])
            self.class_weight_ = np.array([self.class_weight[0], self.class_weight[1]])
            return y

    return PairMachine(**{**classifier.get_params(), "kernel": "precomputed"})


def grown_trees(booster: Any) -> tuple[list[AnyArray], FloatArray]:
    """Nodes of every tree of a ``HistGradientBoostingClassifier``, and where scores start."""
    trees = [tree.nodes for trees in require(booster, "_predictors") for tree in trees]
    return trees, np.ravel(require(booster, "_baseline_prediction")).astype(np.float64)
