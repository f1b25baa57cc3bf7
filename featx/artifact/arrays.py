"""Arrays by name as safetensors: what a model keeps beside ``model.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.errors import ModelError
from featx.heads import Field, fields_fault

__all__ = ["decode_arrays", "encode_arrays", "read_arrays"]

Arrays = dict[str, NDArray[Any]]


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as safetensors."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def read_arrays(data: bytes, *, what: str) -> Arrays:
    """Read what `encode_arrays` gave, whatever its arrays are.

    Raises
    ------
    ModelError
        It is something else; ``what`` names it.
    """
    from safetensors.numpy import load

    try:
        arrays: Arrays = load(data)
    except Exception:  # safetensors raises several kinds for bytes that are not its own
        known = " It looks like a pickle, which can run code and is never loaded."
        raise ModelError(
            f"{what} is not safetensors data." + (known if data[:1] == b"\x80" else "")
        ) from None
    return arrays


def decode_arrays(
    data: bytes, fields: Mapping[str, Field], sizes: dict[str, int], *, what: str
) -> Arrays:
    """Read what `encode_arrays` gave of arrays with these names, types and shapes.

    Raises
    ------
    ModelError
        It is something else, or they are not as they must be.
    """
    arrays = read_arrays(data, what=what)
    if fault := fields_fault(arrays, fields, sizes):
        raise ModelError(f"{what} is malformed: {fault}.")
    return arrays
