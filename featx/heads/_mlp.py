"""A multilayer perceptron with scikit-learn's manners: trained by torch, computed by NumPy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_random_state

from featx.heads._classifier import CLASS_WEIGHT, RANDOM_STATE, Classifier
from featx.heads._head import Units
from featx.heads._network import ACTIVATIONS, NETWORK
from featx.heads._rules import among, number, truth, whole
from featx.heads._validation import set_aside
from featx.types import AnyArray, FloatArray


class PerceptronClassifier(Classifier):
    """Layers of sums and a function of each; softmax of the last.

    AdamW on the cross-entropy of small batches. A share of the training rows is set aside, and the
    weights kept are those of the epoch with the smallest loss on them.

    Parameters
    ----------
    hidden_layer_sizes : int, str or tuple of int, default 256
        Units of the hidden layers: ``256``, ``"256,128"`` or ``(256, 128)``.
    activation : {"relu", "gelu", "tanh"}, default "relu"
    dropout : float, default 0.2
        Share of each hidden layer's units that a batch is trained without, in [0, 1).
    batch_norm : bool, default False
        Standardise sums over the batch before the activation. Of a fitted network it is part of
        ``coefs_`` and ``intercepts_``.
    weight_decay : float, default 0.01
        Share of every weight that is taken off at a step, in learning rates.
    learning_rate_init : float, default 0.002
    learning_rate : {"cosine", "constant"}, default "cosine"
        ``"cosine"`` lowers it to 0 over all epochs.
    batch_size : int, default 128
    epochs : int, default 60
        The most times that all rows are seen.
    validation_fraction : float, default 0.1
        Share of each class's rows to set aside, rounded down, in [0, 1). A class of fewer rows
        than that gives none; where no class gives any, all epochs are run.
    patience : int, default 6
        Epochs without a smaller loss before it stops.
    class_weight : dict, "balanced" or None, default None
    random_state : int, RandomState instance or None, default None
        Of the first weights, the order of rows, dropout and what is set aside.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coefs_ : list of ndarray of shape (widths[i], widths[i + 1]), float32
    intercepts_ : list of ndarray of shape (widths[i + 1],), float32
    n_features_in_ : int
    n_iter_ : int
        Epochs run.

    Notes
    -----
    The same data, parameters and ``random_state`` give the same network, however many threads
    there are: one of them trains it.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019 (AdamW), and "SGDR",
    ICLR 2017 (cosine). Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """

    form = NETWORK
    rules: ClassVar = {
        "activation": among(*ACTIVATIONS),
        "dropout": number(0, 1, below=True),
        "batch_norm": truth,
        "weight_decay": number(0),
        "learning_rate_init": number(0, above=True),
        "learning_rate": among("cosine", "constant"),
        "batch_size": whole(1),
        "epochs": whole(1),
        "validation_fraction": number(0, 1, below=True),
        "patience": whole(1),
        "class_weight": CLASS_WEIGHT,
        "random_state": RANDOM_STATE,
    }

    def __init__(
        self,
        hidden_layer_sizes: int | str | tuple[int, ...] = 256,
        *,
        activation: str = "relu",
        dropout: float = 0.2,
        batch_norm: bool = False,
        weight_decay: float = 0.01,
        learning_rate_init: float = 0.002,
        learning_rate: str = "cosine",
        batch_size: int = 128,
        epochs: int = 60,
        validation_fraction: float = 0.1,
        patience: int = 6,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.weight_decay = weight_decay
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self,
        X: AnyArray,
        y: AnyArray,
        sample_weight: AnyArray | None = None,
        mixture: Any = None,
        units: Units | None = None,
    ) -> PerceptronClassifier:
        """Train the network.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32 or float64
            Standardised; computed in float32.
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
        PerceptronClassifier
            Itself.

        Raises
        ------
        ValueError
            One class only, embeddings that are not finite, a parameter that is not valid, or
            weights that grow without bound.
        """
        from featx.heads._mlp_training import train

        X, indices = self._training(X, y)
        generator = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        weights = self._weights(sample_weight, indices)
        parts = set_aside(X, indices, self.validation_fraction, generator, mixture, units)
        trained = train(
            X.astype(np.float32),
            indices,
            weights / weights.mean(),
            parts,
            widths=[X.shape[1], *self._sizes(), len(self.classes_)],
            settings=self,
            generator=generator,
        )
        self.coefs_, self.intercepts_, self.n_iter_ = trained
        if not all(np.isfinite(a).all() for a in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                f"the weights grew without bound: learning_rate_init={self.learning_rate_init} "
                "is too high"
            )
        return self

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Probabilities, shape (n, n_classes)."""
        return self._answers(X)

    def check_parameters(self) -> None:
        """See `Classifier.check_parameters`."""
        super().check_parameters()
        self._sizes()

    def _sizes(self) -> list[int]:
        """Units of each hidden layer."""
        given = self.hidden_layer_sizes
        parts = given.split(",") if isinstance(given, str) else np.atleast_1d(given).tolist()
        try:
            sizes = [int(part) for part in parts]
        except ValueError:
            sizes = []
        if not sizes or min(sizes) < 1:
            raise ValueError(
                f"hidden_layer_sizes must be like 256 or '256,128'. Got {self.hidden_layer_sizes!r}"
            )
        return sizes
