"""Keyword arguments of the library functions, checked like a configuration file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from featx.config.reading import parse_config
from featx.errors import UnknownNameError

LeaveOut = Mapping[type[BaseModel], Collection[str]]


def sections(
    options: Mapping[str, Any],
    *models: type[BaseModel],
    leave_out: LeaveOut = MappingProxyType({}),
) -> list[Any]:
    """Distribute ``options`` over configuration sections by field name.

    A single value is taken where a list is meant, paths may be ``os.PathLike``. Fields of a model
    that ``leave_out`` has keep their defaults.

    Raises
    ------
    UnknownNameError
        An option no section has; the message names the nearest.
    ConfigError
        A value of the wrong type or out of range.
    """
    taken = {model: model.model_fields.keys() - set(leave_out.get(model, ())) for model in models}
    known = set().union(*taken.values())
    for name in options:
        if name not in known:
            raise UnknownNameError("option", name, known)
    return [
        parse_config(
            model,
            {k: _plain(model, k, v) for k, v in options.items() if k in taken[model]},
            source="arguments",
        )
        for model in models
    ]


def _plain(model: type[BaseModel], name: str, value: Any) -> Any:
    wants_list = str(model.model_fields[name].annotation).startswith("list")
    if wants_list and isinstance(value, str | int | float | os.PathLike):
        value = [value]
    if isinstance(value, list | tuple):
        return [_as_text(one) for one in value]
    return _as_text(value)


def _as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value
