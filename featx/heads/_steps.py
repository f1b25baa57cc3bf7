"""What comes before a fitted classifier, as arrays: other columns, scaler and projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.arrays import Array, cast, namespace
from featx.errors import ModelError
from featx.heads._columns import VALUE, columns_fault, encode_columns
from featx.heads._form import doubles, fields_fault, floats, integers

FLOATS = (np.float32, np.float64, np.float16)  # what scikit-learn standardises as it is
COLUMNS = {
    "source": integers("n_encoded"),
    "level": integers("n_encoded"),
    "fill": doubles("n_columns"),
}
SCALER = {"mean": floats("n_scaled"), "scale": floats("n_scaled")}
PROJECTION = {
    "components": floats("n_components", "n_scaled"),
    "centre": floats("n_scaled"),
    "variance": floats("n_components"),
}


@dataclass(frozen=True, eq=False)
class Steps:
    """What comes before the classifier: other columns encoded, standardised, projected.

    Parameters
    ----------
    mean, scale : array of shape (n_scaled,), or None
        Subtracted, and divided by; None does nothing. ``n_scaled`` is the width of the embedding
        and of the columns encoded.
    components : array of shape (n_components, n_scaled), or None
    centre : array of shape (n_scaled,), or None
        Subtracted before the projection.
    variance : array of shape (n_components,), or None
        Along each component; of no use but to scikit-learn's PCA.
    source, level, fill : array, or None
        How other columns are encoded; see `featx.heads._columns`. None where there are none.
    """

    mean: Array = None
    scale: Array = None
    components: Array = None
    centre: Array = None
    variance: Array = None
    source: Array = None
    level: Array = None
    fill: Array = None

    @property
    def n_encoded(self) -> int:
        """Numbers that the other columns become; 0 without any."""
        return 0 if self.source is None else len(self.source)

    @property
    def n_columns(self) -> int:
        """Other columns that a raw row ends with; 0 without any."""
        return 0 if self.fill is None else len(self.fill)

    def scaler(self, X: Array) -> Array:
        """Standardise ``X`` (n, n_features), in its own type as scikit-learn does.

        Rows without the other columns give the embedding standardised, and nothing beyond it.

        Raises
        ------
        ModelError
            The result is not finite: the embeddings are far outside what the scaler has seen.
        """
        numpy = namespace(X) is np
        if numpy and X.dtype not in FLOATS:
            X = X.astype(np.float64)
        elif numpy:
            X = X.astype(X.dtype.newbyteorder("="))
        mean, scale = self.mean, self.scale
        if self.n_encoded:
            width = len(mean) - self.n_encoded
            if X.shape[1] > width:
                X = encode_columns(X, width, self.source, self.level, self.fill)
            mean, scale = mean[: X.shape[1]], scale[: X.shape[1]]
        dtype = str(X.dtype).removeprefix("torch.")
        if mean is not None:
            X = X - cast(mean, dtype)
        if scale is not None:
            with np.errstate(over="ignore"):
                X = X / cast(scale, dtype)
        if numpy and not np.isfinite(X).all():
            raise ModelError("Embeddings must be finite when standardised; some are too large.")
        return X

    def __call__(self, X: Array) -> Array:
        """Standardise and project."""
        X = self.scaler(X)
        if self.components is None:
            return X
        # scikit-learn's own order: the projected centre is taken off the projected embeddings
        axes = self.components.T
        return X @ axes - self.centre[None, :] @ axes

    def width(self, n_features: int) -> int:
        """Numbers that the head is given, of raw rows of ``n_features``."""
        if self.components is not None:
            return len(self.components)
        return n_features + self.n_encoded - self.n_columns

    def fault(self, n_features: int) -> str | None:
        """What is wrong with the arrays, for raw rows of ``n_features``; None where nothing is."""
        steps = {name: a for name, a in vars(self).items() if a is not None}
        wanted = {name: SCALER[name] for name in SCALER if name in steps}
        for together in (PROJECTION, COLUMNS):
            wanted |= together if steps.keys() & together.keys() else {}
        if steps.keys() & COLUMNS.keys():
            wanted |= SCALER
        sizes = {"n_scaled": n_features + self.n_encoded - self.n_columns}
        if wrong := fields_fault(steps, wanted, sizes):
            return f"before the head {wrong}"
        if self.n_encoded and (wrong := columns_fault(self.source, self.level, self.fill)):
            return wrong
        if self.scale is not None and not (self.scale > 0).all():
            return "its scaler divides by numbers that are not positive"
        return None

    def transformers(self, width: int) -> list[tuple[str, Any]]:
        """scikit-learn's transformers, fitted, of raw rows of this width."""
        from sklearn.decomposition import PCA
        from sklearn.preprocessing import StandardScaler

        made: list[tuple[str, Any]] = []
        if self.n_encoded:
            made.append(("columns", _column_encoder(self, width)))
            width += self.n_encoded - self.n_columns
        if self.mean is not None or self.scale is not None:
            scaler = StandardScaler(
                with_mean=self.mean is not None, with_std=self.scale is not None
            )
            scaler.mean_ = np.zeros(width) if self.mean is None else self.mean.copy()
            scaler.scale_ = None if self.scale is None else self.scale.copy()
            scaler.var_ = None if self.scale is None else self.scale**2
            scaler.n_features_in_ = width
            made.append(("scaler", scaler))
        if self.components is not None:
            pca = PCA(len(self.components))
            pca.components_, pca.mean_ = self.components.copy(), self.centre.copy()
            pca.explained_variance_, pca.n_components_ = self.variance.copy(), len(self.components)
            pca.n_features_in_ = width
            made.append(("pca", pca))
        return made

    def followed_by(self, step: Any) -> Steps:
        """The same with one more fitted transformer of scikit-learn.

        Raises
        ------
        ModelError
            It is not one that featx fits, or not in its place.
        """
        name = type(step).__name__
        if name == "ColumnEncoder" and self.mean is self.source is None:
            return replace(self, source=step.source_, level=step.level_, fill=step.fill_)
        if name == "StandardScaler" and self.components is None and self.scale is self.mean is None:
            return replace(
                self,
                mean=step.mean_ if step.with_mean else None,
                scale=step.scale_ if step.with_std else None,
            )
        if name == "PCA" and self.components is None and not step.whiten:
            return replace(
                self,
                components=np.ascontiguousarray(step.components_),
                centre=step.mean_,
                variance=step.explained_variance_,
            )
        raise ModelError(
            f"A {name} cannot precede the head; only a StandardScaler, then a PCA without "
            "whitening, can."
        )


def column_encoder(categorical: Sequence[bool]) -> Any:
    """What encodes other columns as an unfitted transformer of scikit-learn."""
    from featx.heads._columns_step import ColumnEncoder

    return ColumnEncoder(tuple(categorical))


def _column_encoder(steps: Steps, width: int) -> Any:
    """The step of other columns, fitted; every code that occurs is of a category."""
    categorical = np.ones(steps.n_columns, bool)
    categorical[steps.source[steps.level == VALUE]] = False
    encoder = column_encoder(categorical.tolist())
    encoder.n_features_in_ = width
    encoder.source_, encoder.level_, encoder.fill_ = steps.source, steps.level, steps.fill
    return encoder
