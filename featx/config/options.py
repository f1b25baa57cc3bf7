"""Keyword arguments of the library functions, checked like a configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from featx.config.reading import parse_config
from featx.errors import UnknownNameError

__all__ = ["sections"]


def sections(options: Mapping[str, Any], *models: type[BaseModel]) -> list[Any]:
    """Distribute ``options`` over configuration sections by field name.

    A single text is taken where a list is meant, paths may be ``os.PathLike``.

    Raises
    ------
    UnknownNameError
        An option no section has; the message names the nearest.
    ConfigError
        A value of the wrong type or out of range.
    """
    known = {name for model in models for name in model.model_fields}
    for name in options:
        if name not in known:
            raise UnknownNameError("option", name, known)
    return [
        parse_config(
            model,
            {k: _plain(model, k, v) for k, v in options.items() if k in model.model_fields},
            source="arguments",
        )
        for model in models
    ]


def _plain(model: type[BaseModel], name: str, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    wants_list = str(model.model_fields[name].annotation).startswith("list")
    if wants_list and isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, tuple) else value
