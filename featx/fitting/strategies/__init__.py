"""Ways to search; each file is one, and its ``PLUGIN`` a `Strategy`."""

from __future__ import annotations

from featx.fitting.strategies._base import Ask, Steps, Strategy
from featx.registry import Registry

__all__ = ["STRATEGIES", "Ask", "Steps", "Strategy"]

STRATEGIES = Registry("featx.fitting.strategies", __path__[0], "search")
