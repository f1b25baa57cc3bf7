"""Classifiers on top of embeddings; each file is one, and its ``PLUGIN`` a `Head`."""

from __future__ import annotations

from featx.heads._head import Head, Memo, Scored, Training, Units
from featx.heads._space import Choice, Dimension, Integer, Real, Space
from featx.registry import Registry

__all__ = [
    "HEADS",
    "Choice",
    "Dimension",
    "Head",
    "Integer",
    "Memo",
    "Real",
    "Scored",
    "Space",
    "Training",
    "Units",
]

HEADS = Registry("featx.heads", __path__[0], "head")
