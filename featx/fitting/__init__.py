"""Embeddings to a searched, honestly evaluated classifier."""

from __future__ import annotations

from featx.fitting.data import FitData
from featx.fitting.fit import fit_heads
from featx.fitting.foreseen import check_config, check_labels
from featx.fitting.result import Candidate, FitResult
from featx.fitting.rules import read_rule

__all__ = [
    "Candidate",
    "FitData",
    "FitResult",
    "check_config",
    "check_labels",
    "fit_heads",
    "read_rule",
]
