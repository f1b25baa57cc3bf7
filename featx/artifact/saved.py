"""Objects in skops data, read attribute by attribute without building them.

Only data that `featx.artifact.head.audit_head` has passed may be read here.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SavedObject", "UnfamiliarError", "read_steps"]


class UnfamiliarError(Exception):
    """The data holds something that featx does not compute itself; skops reads it instead."""


class SavedObject:
    """One object of skops data.

    Parameters
    ----------
    node : dict
        Its node in the schema, of kind ``ObjectNode``.
    archive : ZipFile
        Holds the arrays.
    """

    def __init__(self, node: dict[str, Any], archive: zipfile.ZipFile) -> None:
        _require(node["__loader__"] == "ObjectNode" and node["content"]["__loader__"] == "DictNode")
        self.class_name = f"{node['__module__']}.{node['__class__']}"
        self._attributes: dict[str, Any] = node["content"]["content"]
        self._archive = archive

    def node(self, name: str) -> dict[str, Any]:
        """Node of the attribute ``name``."""
        found: dict[str, Any] = self._attributes[name]
        return found

    def has(self, name: str) -> bool:
        """Whether there is an attribute ``name``."""
        return name in self._attributes

    def value(self, name: str) -> Any:
        """A number, text, truth value or None."""
        node = self.node(name)
        if node["__loader__"] == "NdArrayNode":  # a scalar of numpy's
            return self._array(node).item()
        _require(node["__loader__"] == "JsonNode")
        return json.loads(node["content"])

    def texts(self, name: str) -> NDArray[np.str_]:
        """A vector of texts."""
        array = self._array(self.node(name))
        _require(array.ndim == 1 and array.dtype.kind == "U")
        return array

    def counts(self, name: str) -> NDArray[np.intp]:
        """A vector of integers."""
        array = self._array(self.node(name))
        _require(array.ndim == 1 and array.dtype.kind == "i")
        return array.astype(np.intp)

    def floats(self, name: str, *shapes: tuple[int, ...]) -> NDArray[Any]:
        """A finite array of float32 or float64, of one of these shapes."""
        array = self._array(self.node(name))
        _require(array.dtype in (np.float32, np.float64) and array.shape in shapes)
        _require(bool(np.isfinite(array).all()))
        return array

    def float_lists(self, name: str) -> list[NDArray[Any]]:
        """A list of finite arrays of float32 or float64."""
        node = self.node(name)
        _require(node["__loader__"] == "ListNode")
        arrays = [self._array(item) for item in node["content"]]
        for array in arrays:
            _require(array.dtype in (np.float32, np.float64) and bool(np.isfinite(array).all()))
        return arrays

    def _array(self, node: dict[str, Any]) -> NDArray[Any]:
        _require(node["__loader__"] == "NdArrayNode" and node["type"] == "numpy")
        stream = io.BytesIO(self._archive.read(node["file"]))
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def read_steps(schema: dict[str, Any], archive: zipfile.ZipFile) -> list[SavedObject]:
    """Steps of the pipeline that the schema describes, in order.

    Raises
    ------
    UnfamiliarError, KeyError, TypeError
        It describes something else.
    """
    _refuse_aliases(schema)
    pipeline = SavedObject(schema, archive)
    _require(pipeline.class_name == "sklearn.pipeline.Pipeline")
    return [SavedObject(pair["content"][1], archive) for pair in pipeline.node("steps")["content"]]


def _refuse_aliases(schema: dict[str, Any]) -> None:
    """skops takes nodes of one ``__id__`` for one object: here they must be equal, to mean it."""
    known: dict[Any, Any] = {}
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__id__" in node:
                _require(known.setdefault(node["__id__"], node) == node)
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _require(fact: bool) -> None:
    if not fact:
        raise UnfamiliarError
