"""featx: cached embeddings from frozen image backbones, honest classifiers, scored folders.

>>> import featx
>>> run = featx.fit("photos/", backbone=["featx:mini-v1"])       # doctest: +SKIP
>>> scores = featx.score(run.model, "new_photos/")               # doctest: +SKIP

Functions are imported when first used, so ``import featx`` costs a few milliseconds. What editors
know of them is in ``__init__.pyi``: ``python -m recipes.signatures`` writes it.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "EmbeddingDataset",
    "ImageEmbedder",
    "LeakFreeKFold",
    "__version__",
    "audit",
    "compare",
    "count",
    "evaluate",
    "export_model",
    "extract",
    "finetune",
    "fit",
    "fit_arrays",
    "inspect",
    "load_model",
    "load_run",
    "next_images",
    "race",
    "report",
    "score",
    "similar",
]

_HOMES = {
    "EmbeddingDataset": "featx.adapters._dataset",
    "ImageEmbedder": "featx.adapters._embedder",
    "LeakFreeKFold": "featx.adapters._folds",
    "audit": "featx.api.audit",
    "compare": "featx.api.compare",
    "count": "featx.api.count",
    "evaluate": "featx.api.evaluate",
    "export_model": "featx.api.export",
    "extract": "featx.api.extract",
    "finetune": "featx.api.finetune",
    "fit": "featx.api.fit",
    "fit_arrays": "featx.api.fit",
    "inspect": "featx.api.inspect",
    "load_model": "featx.artifact",
    "load_run": "featx.runs",
    "race": "featx.api.race",
    "next_images": "featx.api.next",
    "report": "featx.api.report",
    "score": "featx.api.score",
    "similar": "featx.api.similar",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
