"""Ways to resample a training fold; each file is one, and its ``PLUGIN`` a `Sampler`."""

from __future__ import annotations

from featx.registry import Registry
from featx.samplers._sampler import Sampler

__all__ = ["SAMPLERS", "Sampler"]

SAMPLERS = Registry("featx.samplers", __path__[0], "sampler")
