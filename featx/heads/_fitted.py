"""A fitted scaler and head as arrays: what is saved, scored, drawn and exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from featx.arrays import Array, namespace
from featx.errors import ModelError
from featx.heads._form import Form
from featx.heads._registry import HEADS
from featx.heads._steps import Steps
from featx.types import AnyArray, FloatArray

CHUNK_NUMBERS = 1 << 24  # held at once while predicting: 128 MB


@dataclass(frozen=True, eq=False)
class FittedHead:
    """Scaler, projection and classifier, computed from arrays by NumPy or torch.

    Parameters
    ----------
    head : str
        Name of the plug-in.
    classes_ : ndarray of shape (n_classes,)
        At least two.
    n_features_in_ : int
        Width of the embeddings, and of the other columns behind them.
    arrays, settings : dict
        As the plug-in's form names them.
    steps : Steps
    parameters : dict
        Of the scikit-learn classifier, which are not needed to predict.
    """

    head: str
    classes_: AnyArray
    n_features_in_: int
    arrays: Mapping[str, Array]
    settings: Mapping[str, Any]
    steps: Steps = field(default_factory=Steps)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def form(self) -> Form:
        """How the head predicts."""
        form: Form = HEADS.get(self.head).form
        return form

    def fault(self) -> str | None:
        """What is wrong with its arrays; None where they are what the form asks for."""
        if wrong := self.steps.fault(self.n_features_in_):
            return wrong
        width = self.steps.width(self.n_features_in_)
        return self.form.fault(self.arrays, self.settings, width, len(self.classes_))

    def scaler(self, X: AnyArray) -> AnyArray:
        """Embeddings standardised, not projected."""
        return np.asarray(self.steps.scaler(X))

    @property
    def decision_function(self) -> Callable[[Array], Array]:
        """A function of ``X``: margins, (n,) for two classes (of the second), else (n, n_classes).

        A head that has probabilities but no margins lacks it.
        """
        if self.form.output == "proba":
            raise AttributeError(f"{self.head} has no margins")
        return self._margins

    @property
    def predict_proba(self) -> Callable[[Array], Array]:
        """A function of ``X``: probabilities, shape (n, n_classes).

        A head whose margins need a temperature lacks it.
        """
        if self.form.output == "logits":
            raise AttributeError(f"{self.head} has no probabilities")
        return self._probabilities

    def predict(self, X: AnyArray) -> AnyArray:
        """The likeliest classes, shape (n,)."""
        if self.form.output == "proba":
            return self.classes_[self._outputs(X).argmax(axis=1)]
        margins = self._margins(X)
        if margins.ndim == 2:
            return self.classes_[margins.argmax(axis=1)]
        second = margins >= 0 if self.form.zero_is_second else margins > 0
        return self.classes_[second.astype(np.intp)]

    def planes(self) -> tuple[FloatArray, FloatArray] | None:
        """Scaler, projection and classifier as one affine map.

        Returns
        -------
        tuple of (ndarray of shape (n_classes, n_features), ndarray of shape (n_classes,)) or None
            Weights and offsets: differences between classes of ``X @ weights.T + offsets`` are
            those of the head's margins (or log-odds) for embeddings ``X``, with other columns at
            their means. None where the head is not linear in them.
        """
        planes = self.form.planes(self._named) if self.form.planes else None
        if planes is None:
            return None
        steps = self.steps
        weights, offsets = (part.astype(np.float64) for part in planes)
        if steps.components is not None:
            weights = weights @ steps.components
            offsets = offsets - weights @ steps.centre
        weights = weights / (1.0 if steps.scale is None else steps.scale)
        weights = weights[:, : weights.shape[1] - steps.n_encoded]
        if steps.mean is not None:
            offsets = offsets - weights @ steps.mean[: weights.shape[1]]
        if len(weights) > 1:
            return weights, offsets
        # the one plane of two classes is the second's over the first's
        return np.vstack([0 * weights, weights]), np.concatenate([0 * offsets, offsets])

    def rebuild(self) -> Any:
        """scikit-learn's pipeline, which predicts the same.

        Raises
        ------
        ModelError
            The libraries installed cannot build it.
        """
        from sklearn.pipeline import Pipeline

        try:
            return Pipeline([*self.steps.transformers(self.n_features_in_), self._classifier()])
        except Exception as error:  # of parameters that another version of scikit-learn took
            raise ModelError(f"scikit-learn cannot build the head again: {error}") from error

    def _classifier(self) -> tuple[str, Any]:
        classifier = HEADS.get(self.head).build(None, 0).set_params(**self.parameters)
        classifier.classes_ = np.array(self.classes_.tolist())
        classifier.n_features_in_ = self.steps.width(self.n_features_in_)
        if self.form.thaw is not None:
            self.form.thaw(classifier, self._named)
        else:
            for name, value in (*self.arrays.items(), *self.settings.items()):
                setattr(classifier, f"{name}_", np.array(value) if name in self.arrays else value)
        return "head", classifier

    @property
    def _named(self) -> SimpleNamespace:
        return SimpleNamespace(**self.arrays, **self.settings)

    def _outputs(self, X: Array) -> Array:
        """What the form computes; of many embeddings in parts."""
        a, form = self._named, self.form
        X = self.steps(X)
        if form.numbers is None or namespace(X) is not np:
            return form.compute(X, a)
        rows = max(1, CHUNK_NUMBERS // max(1, form.numbers(a)))
        parts = [form.compute(X[i : i + rows], a) for i in range(0, max(len(X), 1), rows)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _margins(self, X: Array) -> Array:
        margins = self._outputs(X)
        return margins[:, 0] if margins.shape[1] == 1 else margins

    def _probabilities(self, X: Array) -> Array:
        if self.form.output == "proba":
            return self._outputs(X)
        margins = self._margins(X)
        xp = namespace(margins)
        if margins.ndim == 1:
            with np.errstate(over="ignore"):  # exp of a large number: the probability is then 0
                second = 1 / (1 + xp.exp(-margins))
            return xp.stack([1 - second, second], axis=1)
        weights = xp.exp(margins - xp.amax(margins, axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


def freeze(head: Any) -> FittedHead:
    """The arrays of a fitted pipeline of scaler, projection and classifier.

    Parameters
    ----------
    head : sklearn.pipeline.Pipeline or FittedHead

    Raises
    ------
    ModelError
        A step is not one that featx fits; it and they are named.
    """
    if isinstance(head, FittedHead):
        return head
    *before, (_, classifier) = getattr(head, "steps", None) or [("head", head)]
    plugin, steps = _plugin_of(classifier), Steps()
    try:
        for _, step in before:
            steps = steps.followed_by(step)
        arrays, settings = plugin.form.frozen(classifier)
    except (ValueError, AttributeError) as error:
        raise ModelError(
            f"This {type(classifier).__name__} is not a featx head: {error}."
        ) from None
    width = classifier.n_features_in_ if not before else before[0][1].n_features_in_
    return FittedHead(
        plugin.name,
        np.asarray(classifier.classes_),
        int(width),
        arrays,
        settings,
        steps,
        _plain(classifier.get_params(deep=False)),
    )


def _plugin_of(classifier: Any) -> Any:
    """The plug-in that fitted a classifier, as it says itself; else the one most like it.

    "Most like it" compares parameters; of several that are equally like it, featx's own wins.
    """
    name = type(classifier).__name__
    known = getattr(classifier, "featx_head", None)
    if known in HEADS.names() and HEADS.get(known).estimator == name:
        return HEADS.get(known)
    fitting = [plugin for _, plugin in HEADS.working() if plugin.estimator == name]
    if not fitting:
        raise ModelError(
            f"featx has no head that is a {name}.",
            hint=f"Its heads are: {', '.join(HEADS.names())}. docs/plugins.md says how to add one.",
        )
    asked = classifier.get_params(deep=False)

    def differences(plugin: Any) -> tuple[int, bool]:
        own = plugin.build(None, 0).get_params(deep=False)
        unlike = sum(asked.get(k, v) != v for k, v in _plain(own).items())
        return unlike, HEADS.origin(plugin.name) is not None

    return min(fitting, key=differences)


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those parameters whose values JSON has."""
    items = {k: v.item() if isinstance(v, np.generic) else v for k, v in parameters.items()}
    return {
        k: v
        for k, v in items.items()
        if v is None or isinstance(v, bool | int | str) or (isinstance(v, float) and np.isfinite(v))
    }
