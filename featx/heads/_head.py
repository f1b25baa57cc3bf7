"""What a head plug-in is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Head", "Params"]

Params = dict[str, Any]


def _unlimited(params: Params, n_images: int) -> Params:
    return params


@dataclass(frozen=True)
class Head:
    """A classifier on top of embeddings.

    Parameters
    ----------
    name : str
        As on the command line; the file's name with hyphens.
    summary : str
        One line for people.
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
    linear_kernel : bool
        Whether the classifier is an ``SVC`` that sees the embeddings only through their scalar
        products, so that a search may compute these once for all parameters.
    """

    name: str
    summary: str
    build: Callable[[str | None, int], Any]
    param_grid: Mapping[str, list[Any]]
    supports_class_weight: bool
    limit: Callable[[Params, int], Params] = _unlimited
    linear_kernel: bool = False
