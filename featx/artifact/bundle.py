"""Loading a model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from featx import console
from featx.artifact.archive import ArchiveReader
from featx.artifact.arrays import ModelArrays
from featx.artifact.document import SAFETENSORS_VERSION, Document, decode
from featx.artifact.drift import Drift
from featx.artifact.ensemble import EnsembleHead
from featx.artifact.extractor import ModelExtractor
from featx.artifact.folder import FolderReader
from featx.artifact.heads import decode_heads, head_files
from featx.artifact.model import Model
from featx.artifact.novelty import Novelty
from featx.artifact.operating import OperatingCurves
from featx.artifact.saving import ARRAYS, DOCUMENT, SUFFIX, TRUSTED, WEIGHTS, check_consistent
from featx.artifact.seen import Seen
from featx.artifact.tabular import Tabular
from featx.artifact.versions import compare_versions
from featx.errors import FeatxError, ModelError, UsageError
from featx.files import make_directory, printable, write_atomic
from featx.kept import kept_folder
from featx.replacing import recover

CARD = "README.md"  # for people; never read
MAX_DOCUMENT_BYTES = 1 << 26
MAX_MODEL_BYTES = 1 << 33
KINDS: dict[str, type[ModelArrays]] = {
    "novelty": Novelty, "drift": Drift, "operating": OperatingCurves, "seen": Seen,
}  # fmt: skip


@console.stage("Loading the model")
def load_model(path: str | os.PathLike[str]) -> Model:
    """Load a model, verifying all of it and running no code from it.

    Parameters
    ----------
    path : path
        A model folder, a run's folder (which holds ``model/``), or a ``.featx`` file.

    Returns
    -------
    Model

    Raises
    ------
    UsageError
        ``path`` does not exist, or is a file of another kind.
    ModelError
        The folder holds no model; its format is older or newer; a file is missing, altered or
        holds untrusted types; or its parts contradict each other. The message says what to do.
    """
    recover(path)  # a command that was replacing it may have been killed
    source, reader = _open(Path(path))
    document = decode(reader.read(DOCUMENT, MAX_DOCUMENT_BYTES), source=source)
    declared = _needed(document, source)
    if set(document.files) != declared:
        names = " and ".join(repr(name) for name in sorted(declared))
        raise ModelError(f"{source}: model.json must declare just the file {names}.")
    if isinstance(reader, ArchiveReader):
        extra = sorted(set(reader.names()) - {DOCUMENT, CARD, *declared})
        if extra:
            raise ModelError(f"{source} holds a file that is not declared: {printable(extra[0])}.")
    files = {name: _read(reader, name, document, source) for name in sorted(declared)}
    extractors = [
        ModelExtractor(
            e.document,
            e.request,
            None if e.weights is None else _weights_file(reader, files, e.weights),
            None if e.plugin is None else e.plugin.origin,
        )
        for e in document.extractors
    ]
    return _build(document, extractors, files, source)


def _needed(document: Document, source: str) -> set[str]:
    """The files that the document speaks of."""
    needed = head_files(document)
    if document.format_version >= SAFETENSORS_VERSION and set(document.heads) != needed:
        raise ModelError(f"{source}: model.json must describe a head for each file of one.")
    needed |= {ARRAYS[name] for name in TRUSTED if getattr(document.trust, name, None) is not None}
    if document.seen is not None:
        needed.add(ARRAYS["seen"])
    for i, extractor in enumerate(document.extractors):
        if extractor.weights not in {None, WEIGHTS.format(i)}:
            raise ModelError(
                f"{source}: the weights of extractor {i} must be the file {WEIGHTS.format(i)!r}. "
                f"Got {printable(str(extractor.weights))!r}."
            )
        if extractor.weights is not None:
            needed.add(extractor.weights)
    return needed


def _weights_file(
    reader: FolderReader | ArchiveReader, files: Mapping[str, bytes], name: str
) -> Path:
    """Where a backbone's weights, which have been verified, can be read from as a file.

    Those in a ``.featx`` file are written out once, beside what is kept of other networks. What is
    read later is verified again: the fingerprint of the extractor holds the digest of its tensors.
    """
    if isinstance(reader, FolderReader):
        return (reader.folder / name).absolute()
    path = kept_folder() / "weights" / f"{hashlib.sha256(files[name]).hexdigest()}.safetensors"
    if not path.is_file() or path.stat().st_size != len(files[name]):
        try:
            make_directory(path.parent)
            write_atomic(path, files[name])
        except OSError as error:
            raise ModelError(
                f"The model's weights cannot be written to {path}: {error.strerror or error}.",
                hint="Set FEATX_NETWORKS to a folder that can be written.",
            ) from None
    return path


def _read(
    reader: FolderReader | ArchiveReader, name: str, document: Document, source: str
) -> bytes:
    """One declared file, which must be the one that ``model.json`` describes."""
    entry = document.files[name]
    data = reader.read(name, min(entry.size_bytes, MAX_MODEL_BYTES))
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelError(
            f"{source}: {name} is not the file that model.json describes (its SHA-256 differs).",
            hint="Fit the model again, or restore it from a copy.",
        )
    return data


def _open(path: Path) -> tuple[str, FolderReader | ArchiveReader]:
    """Find the model that ``path`` means, and a reader for it."""
    if path.is_dir():
        for folder in (path, path / "model"):
            if (folder / DOCUMENT).exists():
                return printable(str(folder)), FolderReader(folder)
        raise ModelError(
            f"{printable(str(path))} holds no model: there is no {DOCUMENT} in it or in model/.",
            hint="A model comes from: featx fit DATASET",
        )
    if path.suffix == SUFFIX and path.exists():
        return printable(str(path)), ArchiveReader(path, limit=MAX_MODEL_BYTES)
    problem = "is neither a folder nor a .featx file" if path.exists() else "does not exist"
    raise UsageError(
        f"The model {printable(str(path))} {problem}.",
        hint="Give a model folder, a run's folder, or a .featx file.",
    )


def _build(
    document: Document,
    extractors: list[ModelExtractor],
    files: Mapping[str, bytes],
    source: str,
) -> Model:
    """The model itself, once every byte is known to be what was written."""
    old = document.format_version < SAFETENSORS_VERSION
    advice = compare_versions(document.versions) if old else None
    try:
        declared = [e.fingerprint for e in document.extractors]
        if [extractor.spec.fingerprint for extractor in extractors] != declared:
            raise ModelError(f"{source}: an extractor's document and fingerprint differ.")
        model = Model(
            classes=list(document.classes),
            head=decode_heads(document, files, source=source),
            extractors=extractors,
            temperature=document.temperature,
            tabular=None if document.tabular is None else Tabular(tuple(document.tabular)),
            trust=document.trust,
            augmentation=document.augmentation,
            metrics=document.metrics,
            provenance=document.provenance,
            versions=document.versions,
        )
        check_consistent(model, source)
        n_classes, n_seen = len(model.classes), document.seen or 0
        for name, kind in KINDS.items():
            if ARRAYS[name] not in files:
                continue
            width = model.n_features
            if name == "novelty" and isinstance(model.head, EnsembleHead):
                start, stop = model.head.members[0].columns
                width = stop - start
            sizes = {"n_features": width, "n_classes": n_classes, "n_seen": n_seen}
            setattr(model, name, kind.decode(files[ARRAYS[name]], source=source, **sizes))
        trial = np.zeros((1, model.n_features), dtype=np.float32)
        cells = None if model.tabular is None else {name: [None] for name in model.tabular.names}
        for method in (model.predict, model.decision_function, model.predict_proba):
            method(trial, tabular=cells)
    except FeatxError as error:
        raise ModelError(error.message, hint=advice or error.hint) from error
    except Exception as error:  # a plug-in's head may raise anything when used
        raise ModelError(f"{source}: the head does not work: {error}", hint=advice) from error
    if advice:
        console.warn(f"{source}: {advice}")
    return model
