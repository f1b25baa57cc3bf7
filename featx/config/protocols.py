"""Linear-probe protocols of papers, as settings of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.errors import ConfigError


def _decades(low: int, high: int, n: int) -> list[float]:
    """``n`` powers of ten with evenly spaced exponents, both ends included."""
    return [float(10 ** (low + (high - low) * i / (n - 1))) for i in range(n)]


_DINO: dict[str, list[Any]] = {"C": _decades(-6, 5, 45), "tol": [1e-12], "max_iter": [1000]}

#: The grid of each; what was published and what was taken instead is in ``docs/protocols.md``.
PROTOCOLS: dict[str, dict[str, list[Any]]] = {
    "dinov2": _DINO,
    "dinov3": _DINO,
    "clip": {"C": _decades(-6, 6, 96), "tol": [1e-4], "max_iter": [1000]},
    "vtab": _DINO,
}

#: What every protocol sets besides; nothing else may be asked for with one.
_FIXED: dict[str, Any] = {
    "head": ["logreg"],
    "sampler": ["none"],
    "pca": ["none"],
    "class_weight": "none",
    "search": "grid",
    "trials": None,
    "budget": None,
    "ensemble": [],
    "members": None,
    "seeds": 1,
    "select": "best",
    "tabular": [],
    "concat": False,
}


def follow(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a section with those that its protocol sets.

    Raises
    ------
    ConfigError
        A value contradicts the protocol.
    """
    name = given.get("protocol")
    if not isinstance(name, str) or name not in PROTOCOLS:
        return dict(given)
    fixed = {**_FIXED, "param_grid": {"logreg": PROTOCOLS[name]}}
    clash = [k for k, v in fixed.items() if k in given and given[k] != v]
    if clash:
        flags = ", ".join("--" + k.replace("_", "-") for k in clash)
        raise ConfigError(
            f"--protocol {name} contradicts {flags}, which it sets itself.",
            hint=f"Leave out {flags}, or leave out --protocol.",
        )
    return {"scoring": "accuracy", **given, **fixed}
