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
    from featx.model import load_model
    from featx.workflow.auditing import audit
    from featx.workflow.comparing import compare
    from featx.workflow.export_model import export_model
    from featx.workflow.extracting import extract
    from featx.workflow.finetuning import finetune
    from featx.workflow.fitting import fit
    from featx.workflow.inspecting import inspect
    from featx.workflow.reporting import report
    from featx.workflow.scoring import score

__all__ = [
    "__version__",
    "audit",
    "compare",
    "export_model",
    "extract",
    "finetune",
    "fit",
    "inspect",
    "load_model",
    "report",
    "score",
]

_HOMES = {
    "audit": "featx.workflow.auditing",
    "compare": "featx.workflow.comparing",
    "export_model": "featx.workflow.export_model",
    "extract": "featx.workflow.extracting",
    "finetune": "featx.workflow.finetuning",
    "fit": "featx.workflow.fitting",
    "inspect": "featx.workflow.inspecting",
    "load_model": "featx.model",
    "report": "featx.workflow.reporting",
    "score": "featx.workflow.scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
