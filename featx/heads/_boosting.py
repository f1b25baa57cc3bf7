"""scikit-learn's histogram gradient boosting, kept as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.validation import check_random_state
from threadpoolctl import threadpool_limits

from featx.heads._classifier import CLASS_WEIGHT, RANDOM_STATE, Classifier
from featx.heads._head import Units
from featx.heads._private import grown_trees
from featx.heads._rules import number, whole
from featx.heads._trees import MAX_DEPTH, TREES
from featx.heads._validation import set_aside
from featx.types import AnyArray, FloatArray


class BoostedTreesClassifier(Classifier):
    """Trees, each fitted to what those before it leave unexplained.

    ``HistGradientBoostingClassifier`` fits them, in one thread, and the scores are its own, bit by
    bit; weights take no part in where bins end. They are kept as arrays because its own parts are
    many types, and indices that compiled code would follow.

    Parameters
    ----------
    learning_rate : float, default 0.1
        Share of each tree that is added.
    max_iter : int, default 100
        The most rounds; one tree a class in each, or one in all for two classes.
    max_leaf_nodes : int, default 15
        At most 255.
    min_samples_leaf : int, default 10
    l2_regularization : float, default 1.0
    max_features : float, default 1.0
        Share of the features that each node chooses from.
    max_bins : int, default 32
        Values of a feature that a tree can tell apart, from 2 to 255; the time grows with it.
    validation_fraction : float, default 0.1
        Share of each class's rows to set aside, rounded down, in [0, 1): the rounds end when the
        loss on them gets no smaller. Where no class gives any, all rounds are run.
    n_iter_no_change : int, default 10
        Rounds without a smaller loss before it stops.
    class_weight : dict, "balanced" or None, default None
    random_state : int, RandomState instance or None, default None
        Of what is set aside, and of the features chosen from.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    feature_, threshold_, left_, right_, value_, roots_, baseline_ : ndarray
        See `featx.heads._trees.scores`.
    n_features_in_ : int
    n_iter_ : int
        Rounds run.

    References
    ----------
    Ke et al., "LightGBM", NeurIPS 2017, which scikit-learn's follows.
    """

    form = TREES
    rules: ClassVar = {
        "learning_rate": number(0, above=True),
        "max_iter": whole(1),
        "max_leaf_nodes": whole(2, MAX_DEPTH),
        "min_samples_leaf": whole(1),
        "l2_regularization": number(0),
        "max_features": number(0, 1, above=True),
        "max_bins": whole(2, 255),
        "validation_fraction": number(0, 1, below=True),
        "n_iter_no_change": whole(1),
        "class_weight": CLASS_WEIGHT,
        "random_state": RANDOM_STATE,
    }

    def __init__(
        self,
        learning_rate: float = 0.1,
        *,
        max_iter: int = 100,
        max_leaf_nodes: int = 15,
        min_samples_leaf: int = 10,
        l2_regularization: float = 1.0,
        max_features: float = 1.0,
        max_bins: int = 32,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_features = max_features
        self.max_bins = max_bins
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self,
        X: AnyArray,
        y: AnyArray,
        sample_weight: AnyArray | None = None,
        mixture: Any = None,
        units: Units | None = None,
    ) -> BoostedTreesClassifier:
        """Grow the trees.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32 or float64
        y : ndarray of shape (n,)
            At least two classes.
        sample_weight : ndarray of shape (n,), optional
            Not negative, not all 0. Times the class weights.
        mixture : scipy.sparse matrix of shape (n, m), optional
            Which rows are mixtures of which, as SMOTE's are: see `featx.heads.Training`.
        units : Units, optional
            Which rows are of one image or group: see `featx.heads.Training`.

        Returns
        -------
        BoostedTreesClassifier
            Itself.

        Raises
        ------
        ValueError
            One class only, embeddings that are not finite, or a parameter that is not valid.
        """
        X, indices = self._training(X, y)
        seed = check_random_state(self.random_state).randint(2**31)
        weights = self._weights(sample_weight, indices)
        generator = np.random.default_rng(seed)
        training, aside = set_aside(X, indices, self.validation_fraction, generator, mixture, units)
        X = X.astype(np.float64)
        edges = [_bin_edges(column, self.max_bins) for column in X[training].T]
        columns = [np.searchsorted(e, x) for e, x in zip(edges, X.T, strict=True)]
        binned = np.stack(columns, axis=1).astype(np.float64)  # so few values are bins as they are
        grown = self._unfitted(seed, early_stopping=len(aside) > 0)
        watched = {"X_val": binned[aside], "y_val": indices[aside]}
        watched["sample_weight_val"] = weights[aside]
        with threadpool_limits(1, user_api="openmp"):
            grown.fit(
                binned[training],
                indices[training],
                sample_weight=weights[training],
                **watched if len(aside) else {},
            )
        self.n_iter_ = int(grown.n_iter_)
        nodes, self.baseline_ = grown_trees(grown)
        self._keep(nodes, edges)
        return self

    def _unfitted(self, seed: int, *, early_stopping: bool) -> Any:
        """scikit-learn's own, with these parameters."""
        own = self.get_params(deep=False)
        shared = {k: v for k, v in own.items() if k not in {"class_weight", "validation_fraction"}}
        return HistGradientBoostingClassifier(
            **shared | {"random_state": seed, "early_stopping": early_stopping}
        )

    def _keep(self, trees: Sequence[AnyArray], edges: Sequence[AnyArray]) -> None:
        """The nodes of all trees one after another; leaves lead to themselves.

        A node compares bins: up to a bin is up to the upper edge of that bin.
        """
        sizes = [len(nodes) for nodes in trees]
        self.roots_ = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
        nodes = np.concatenate(trees)
        start = np.repeat(self.roots_, sizes)
        leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
        self.left_ = np.where(leaf, own, start + nodes["left"]).astype(np.int64)
        self.right_ = np.where(leaf, own, start + nodes["right"]).astype(np.int64)
        self.feature_ = np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64)
        highest = np.floor(nodes["num_threshold"][~leaf]).astype(np.intp)
        self.threshold_ = np.zeros(len(nodes))
        self.threshold_[~leaf] = [
            edges[j][b] for j, b in zip(self.feature_[~leaf], highest, strict=True)
        ]
        self.value_ = nodes["value"].astype(np.float64)

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Probabilities, shape (n, n_classes)."""
        return self._answers(X)


def _bin_edges(column: FloatArray, max_bins: int) -> FloatArray:
    """Upper edges of all bins of a feature but the last, as scikit-learn has them without weights.

    With weights it sorts each feature again for every edge, which takes minutes for a thousand
    features; where a bin ends does not need them.
    """
    values = np.unique(column)
    if len(values) <= max_bins:
        return np.asarray((values[1:] + values[:-1]) / 2)
    shares = np.linspace(0, 100, max_bins + 1)[1:-1]
    return np.unique(np.percentile(column, shares, method="averaged_inverted_cdf"))
