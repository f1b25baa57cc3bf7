"""Classifiers on top of embeddings; each file is one, and its ``PLUGIN`` a `Head`.

The file says how the classifier is fitted (``build``, and what shares work in a search), what its
arrays are once fitted, and how it predicts from them (``form``); nothing else knows of it.
"""

from __future__ import annotations

from featx.heads._fitted import FittedHead, freeze
from featx.heads._form import (
    Field,
    Form,
    doubles,
    fields_fault,
    floats,
    integers,
    singles,
)
from featx.heads._head import Head, Memo, Scored, Training, Units
from featx.heads._registry import HEADS
from featx.heads._space import Choice, Dimension, Integer, Real, Space
from featx.heads._steps import Steps, column_encoder

__all__ = [
    "HEADS",
    "Choice",
    "Dimension",
    "Field",
    "FittedHead",
    "Form",
    "Head",
    "Integer",
    "Memo",
    "Real",
    "Scored",
    "Space",
    "Steps",
    "Training",
    "Units",
    "column_encoder",
    "doubles",
    "fields_fault",
    "floats",
    "freeze",
    "integers",
    "singles",
]
