"""What runs a backbone's network: one file per engine."""

from __future__ import annotations

from featx.engines._base import ENGINES, Embedder, Engine, build_engine
from featx.engines._devices import list_devices

__all__ = ["ENGINES", "Embedder", "Engine", "build_engine", "list_devices"]
