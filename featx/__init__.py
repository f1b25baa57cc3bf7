"""featx: cached embeddings from frozen image backbones, honest classifiers, scored folders.

>>> import featx
>>> run = featx.fit("photos/", backbone=["featx:mini-v1"])       # doctest: +SKIP
>>> scores = featx.score(run.model, "new_photos/")               # doctest: +SKIP

Functions are imported when first used, so ``import featx`` costs a few milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from featx.api.audit import audit
    from featx.api.compare import compare
    from featx.api.evaluate import evaluate
    from featx.api.export import export_model
    from featx.api.extract import extract
    from featx.api.finetune import finetune
    from featx.api.fit import fit
    from featx.api.inspect import inspect
    from featx.api.report import report
    from featx.api.score import score
    from featx.artifact import load_model
    from featx.runs import load_run

__all__ = [
    "__version__",
    "audit",
    "compare",
    "evaluate",
    "export_model",
    "extract",
    "finetune",
    "fit",
    "inspect",
    "load_model",
    "load_run",
    "report",
    "score",
]

_HOMES = {
    "audit": "featx.api.audit",
    "compare": "featx.api.compare",
    "evaluate": "featx.api.evaluate",
    "export_model": "featx.api.export",
    "extract": "featx.api.extract",
    "finetune": "featx.api.finetune",
    "fit": "featx.api.fit",
    "inspect": "featx.api.inspect",
    "load_model": "featx.artifact",
    "load_run": "featx.runs",
    "report": "featx.api.report",
    "score": "featx.api.score",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
