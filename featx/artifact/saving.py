"""Saving a model. `featx.artifact.Model` is not imported here: its ``save`` calls this."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featx.artifact.archive import write_archive
from featx.artifact.document import (
    FORMAT,
    SAFETENSORS_VERSION,
    TABULAR_VERSION,
    Document,
    encode,
    plain,
    validate,
)
from featx.artifact.ensemble import EnsembleHead
from featx.artifact.extractor import ModelExtractor
from featx.artifact.folder import write_folder
from featx.artifact.heads import MAX_FEATURES, encode_heads, plugin_entry
from featx.artifact.trust import Trust
from featx.errors import ModelError

DOCUMENT = "model.json"
#: Parts of a model whose arrays have a file each, named as they are; ``trust`` describes the first.
TRUSTED = ("novelty", "drift", "operating")
ARRAYS = {name: f"{name}.safetensors" for name in (*TRUSTED, "seen")}
WEIGHTS = "backbone-{}.safetensors"  # of a fine-tuned backbone, by its place
SUFFIX = ".featx"


def save_model(model: Any, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Save a model so that a crash leaves it whole, or as it was before.

    Parameters
    ----------
    model : Model
    folder : path
        A folder to create, or a name ending in ``.featx`` for a single file.
    overwrite : bool, default False
        Replace a model already there.

    Raises
    ------
    UsageError
        Something is there already and may not be replaced, or another command is writing it.
    ModelError
        The model contradicts itself or holds what could not be loaded again.
    OSError
        The disk is full or the folder cannot be written.
    """
    files, heads, ensemble = encode_heads(model.head)
    check_consistent(model, "this model")
    trust = model.trust or Trust()
    for name in TRUSTED:
        if (getattr(trust, name) is None) != (getattr(model, name) is None):
            raise ModelError(f"This model has trust.{name} or its arrays, but not both.")
    files |= {
        file: part.encode() for name, file in ARRAYS.items() if (part := getattr(model, name))
    }
    for i, extractor in enumerate(model.extractors):
        if extractor.weights is not None:
            files[WEIGHTS.format(i)] = extractor.weights.read_bytes()
    files[DOCUMENT] = encode(
        _describe(
            model,
            files,
            heads={name: head.model_dump() for name, head in heads.items()},
            ensemble=None if ensemble is None else ensemble.model_dump(),
        )
    )
    target = Path(folder)
    write = write_archive if target.suffix == SUFFIX else write_folder
    write(target, files, overwrite=overwrite)


def _describe(model: Any, files: Mapping[str, bytes], **fields: Any) -> Document:
    """What ``model.json`` says of the model."""
    values = {
        "format": FORMAT,
        "format_version": SAFETENSORS_VERSION if model.tabular is None else TABULAR_VERSION,
        "classes": [str(name) for name in model.classes],
        "extractors": [
            {
                "fingerprint": extractor.spec.fingerprint,
                "document": plain(extractor.document),
                "request": plain(extractor.request),
                "weights": None if extractor.weights is None else WEIGHTS.format(i),
                "plugin": plugin_entry(extractor.needed),
            }
            for i, extractor in enumerate(model.extractors)
        ],
        **fields,
        "tabular": None
        if model.tabular is None
        else [c.model_dump() for c in model.tabular.columns],
        "temperature": None if model.temperature is None else float(model.temperature),
        "trust": None if model.trust is None else model.trust.model_dump(),
        "seen": len(model.seen) if model.seen else None,
        "augmentation": None if model.augmentation is None else plain(model.augmentation),
        "metrics": plain(model.metrics),
        "provenance": plain(model.provenance),
        "versions": dict(model.versions),
        "files": {
            name: {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    return validate(values, source="this model")


def check_consistent(model: Any, source: str) -> None:
    """Refuse a model whose classes, head, extractor and request do not belong together."""
    labels = [str(label) for label in getattr(model.head, "classes_", ())]
    if labels != list(model.classes):
        raise ModelError(
            f"{source}: the head knows {len(labels)} classes, which are not the "
            f"{len(model.classes)} that the model names."
        )
    fault = model.head.fault() if isinstance(model.head, EnsembleHead) else None
    if fault:
        raise ModelError(f"{source}: its ensemble contradicts itself: {fault}.")
    width = getattr(model.head, "n_features_in_", None)
    declared: list[Any] = [e.document.get("n_features") for e in model.extractors]
    sound = all(type(n) is int and 0 < n <= MAX_FEATURES for n in declared)
    n_tabular = 0 if model.tabular is None else len(model.tabular)
    if not sound or width != sum(declared) + n_tabular or not 0 < width <= MAX_FEATURES:
        given = " + ".join(repr(n) for n in declared)
        raise ModelError(
            f"{source}: the head takes {width} features, "
            f"the extractor{'s give' if len(declared) > 1 else ' gives'} {given}"
            + (f", and there are {n_tabular} other columns." if n_tabular else ".")
        )
    for extractor in model.extractors:
        _check_named(extractor, source)


def _check_named(extractor: ModelExtractor, source: str) -> None:
    """Refuse an extractor that names no backbone."""
    try:
        texts = [extractor.backbone_request.name, extractor.document["backbone"]]
    except (TypeError, KeyError) as error:
        raise ModelError(f"{source}: it does not say how to build its backbone: {error}.") from None
    if not all(isinstance(text, str) for text in texts):
        raise ModelError(f"{source}: the backbone's name must be text. Got {texts!r}.")
