"""A head of NumPy's arrays as one of torch's tensors, which predicts by the same lines."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from featx.artifact.ensemble import EnsembleHead
from featx.heads import Steps, freeze


def in_torch(head: Any) -> Any:
    """The head with tensors in the place of arrays, in float64 wherever its form allows.

    Parameters
    ----------
    head : sklearn.pipeline.Pipeline, FittedHead or EnsembleHead

    Returns
    -------
    FittedHead or EnsembleHead
        For embeddings in float64.

    Raises
    ------
    ModelError
        A step is not one that featx fits.
    """
    if isinstance(head, EnsembleHead):
        members = [replace(m, heads=[in_torch(each) for each in m.heads]) for m in head.members]
        stack = None if head.stack is None else in_torch(head.stack)
        return replace(head, members=members, stack=stack)
    frozen = freeze(head)
    wanted = frozen.form.fields(frozen.settings)
    arrays = {name: _tensor(a, wanted[name].dtypes) for name, a in frozen.arrays.items()}
    steps = {f.name: getattr(frozen.steps, f.name) for f in fields(Steps)}
    doubles = {k: None if a is None else _tensor(a, ("float64",)) for k, a in steps.items()}
    return replace(frozen, arrays=arrays, steps=Steps(**doubles))


def _tensor(array: Any, dtypes: tuple[str, ...]) -> Any:
    """Integers stay NumPy's: they decide the network's form."""
    if array.dtype.kind == "i":
        return array
    double = "float64" in dtypes
    return torch.tensor(np.asarray(array, dtype=np.float64 if double else np.float32))
