"""Arrays by name as safetensors: what a model keeps beside ``model.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from featx.errors import ModelError
from featx.heads import Field, fields_fault
from featx.types import AnyArray

Arrays = dict[str, AnyArray]


def encode_arrays(arrays: Mapping[str, AnyArray]) -> bytes:
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


class ModelArrays:
    """Arrays of a model that have a file of their own; a subclass is a dataclass of them."""

    FIELDS: ClassVar[Mapping[str, Field]]
    WORDS: ClassVar[str]  # what they are, in messages

    def encode(self) -> bytes:
        """The arrays as safetensors."""
        return encode_arrays({name: getattr(self, name) for name in self.FIELDS})

    @classmethod
    def decode(cls, data: bytes, *, source: str, **sizes: int) -> Self:
        """Read what `encode` gave, of a model with these ``n_features`` or ``n_classes``.

        Raises
        ------
        ModelError
            It is something else, or its arrays do not fit each other or the model.
        """
        what = f"{source}: {cls.WORDS}"
        found = cls(**decode_arrays(data, cls.FIELDS, dict(sizes), what=what))
        if not found.sound(**sizes):
            raise ModelError(f"{what} is malformed.")
        return found

    def sound(self, **sizes: int) -> bool:
        """Whether arrays of the right shapes fit each other and the model."""
        return True
