"""Classifiers on top of embeddings; each file is one, and its ``PLUGIN`` a `Head`."""

from __future__ import annotations

from featx.heads._head import Head, Scored, Training
from featx.registry import Registry

__all__ = ["HEADS", "Head", "Scored", "Training"]

HEADS = Registry("featx.heads", __path__[0], "head")
