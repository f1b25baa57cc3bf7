"""Ways to resample a training fold; each file is one, and its ``PLUGIN`` a `Sampler`."""

from __future__ import annotations

from typing import Any

from featx.registry import Registry
from featx.samplers._sampler import Sampler

__all__ = ["SAMPLERS", "Sampler"]


def _fault(name: str, plugin: Any) -> str | None:
    if not isinstance(plugin, Sampler):
        return f"it is a {type(plugin).__name__}, not a featx.samplers.Sampler"
    return None if plugin.name == name else f"it calls itself {plugin.name!r}"


SAMPLERS = Registry("featx.samplers", __path__[0], "sampler", fault=_fault)
