"""What runs a backbone's network: one file per engine.

An engine's file has a ``PLUGIN`` with ``choose(device, precision)``, which gives an `EngineChoice`
or refuses, and ``build(backbone, choice)``, which gives an `Engine`. Importing this package imports
no engine.
"""

from __future__ import annotations

from featx.engines._base import ENGINES, Embedder, Engine
from featx.engines._check import TOLERANCE, Agreement, measure_agreement
from featx.engines._choice import EngineChoice, choose
from featx.engines._devices import list_devices
from featx.engines._plan import EnginePlan, Samples, build_engine, plan_engine

__all__ = [
    "ENGINES",
    "TOLERANCE",
    "Agreement",
    "Embedder",
    "Engine",
    "EngineChoice",
    "EnginePlan",
    "Samples",
    "build_engine",
    "choose",
    "list_devices",
    "measure_agreement",
    "plan_engine",
]
