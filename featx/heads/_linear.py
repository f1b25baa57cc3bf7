"""Linear heads: one plane a class, or one in all for two classes."""

from __future__ import annotations

from typing import Any

from featx.arrays import Array, cast, namespace
from featx.heads._form import Form, floats
from featx.heads._rules import truth

PLANES = {"coef": floats("n_outputs", "n_features"), "intercept": floats("n_outputs")}


def _margins(X: Array, a: Any) -> Array:
    """Distances from the planes, times the length of their weights."""
    return X @ a.coef.T + a.intercept


def unit_rows(X: Array) -> Array:
    """Rows of ``X`` (n, n_features) scaled to length 1, in float64; zeros stay zeros."""
    X = cast(X, "float64")
    xp = namespace(X)
    norms = xp.sqrt((X * X).sum(axis=1, keepdims=True))
    return X / xp.where(norms > 0, norms, 1.0)


LOG_ODDS = Form("log-odds", PLANES, _margins, planes=lambda a: (a.coef, a.intercept))
LOGITS = Form("logits", PLANES, _margins, planes=lambda a: (a.coef, a.intercept))
#: Planes, of rows of length 1 where ``unit`` says so.
PROTOTYPES = Form(
    output="logits",
    arrays=PLANES,
    settings={"unit": truth},
    compute=lambda X, a: _margins(unit_rows(X) if a.unit else X, a),
    planes=lambda a: None if a.unit else (a.coef, a.intercept),
)
