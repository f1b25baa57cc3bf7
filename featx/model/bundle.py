"""The model: a scaler and head with all that is needed to score new images."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.errors import FeatxError, ModelError, UsageError
from featx.files import printable
from featx.margins import margin_columns, margin_probabilities
from featx.model.archive import ArchiveReader, write_archive
from featx.model.document import FORMAT, FORMAT_VERSION, Document, decode, encode, plain, validate
from featx.model.folder import FolderReader, write_folder
from featx.model.head import dump_head, load_head
from featx.model.linear import ArrayHead
from featx.types import BackboneRequest, ExtractorSpec

__all__ = ["Model", "library_versions", "load_model", "save_model"]

DOCUMENT = "model.json"
HEAD = "head.skops"
SUFFIX = ".featx"
MAX_DOCUMENT_BYTES = 1 << 26
MAX_MODEL_BYTES = 1 << 33
MAX_FEATURES = 1 << 24


def library_versions() -> dict[str, str]:
    """Versions of what a saved model depends on, read without importing any of it."""
    names = ("featx", "scikit-learn", "skops", "numpy", "torch", "torchvision", "timm", "pillow")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@dataclass
class Model:
    """A fitted classifier of images: embeddings in, classes and probabilities out.

    Parameters
    ----------
    classes : list of str
        Class names, in the order of the probability columns.
    head : sklearn.pipeline.Pipeline or ArrayHead
        Fitted scaler and classifier; its ``classes_`` equal ``classes``. A loaded model whose head
        NumPy can compute has an `featx.model.linear.ArrayHead`, which spares scikit-learn's import.
    extractor : dict
        Document of the `featx.types.ExtractorSpec` whose embeddings it was fitted on.
    request : dict
        Document of the `featx.types.BackboneRequest` that builds that extractor again.
    temperature : float, optional
        Divides the margins of a head without probabilities before the softmax; positive.
        Default None, which is 1.
    metrics : dict
        The estimate: what to expect on new images.
    provenance : dict
        Source of the data, number of images, seed, date.
    versions : dict
        Library versions at the time of fitting; by default those installed.
    """

    classes: list[str]
    head: Any
    extractor: dict[str, Any]
    request: dict[str, Any]
    temperature: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=library_versions)

    @property
    def pipeline(self) -> Any:
        """The head as scikit-learn's pipeline; of a loaded model it is built when first asked for.

        From then on it is what predicts, so that a change made to it is seen.

        Raises
        ------
        ModelError
            The libraries installed cannot rebuild it.
        """
        if isinstance(self.head, ArrayHead):
            self.head = self.head.rebuild()
        return self.head

    @property
    def spec(self) -> ExtractorSpec:
        """The extractor that new images must be embedded with."""
        return ExtractorSpec(self.extractor)

    @property
    def backbone_request(self) -> BackboneRequest:
        """What to ask for to build that extractor."""
        return BackboneRequest.from_document(self.request)

    @property
    def n_features(self) -> int:
        """Width of the embeddings."""
        return self.spec.n_features

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the predicted class of each embedding.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32

        Returns
        -------
        ndarray of shape (n_samples,), object
            Texts from ``classes``.

        Raises
        ------
        ModelError
            ``X`` has another number of features, is not numeric, or holds NaN or infinity.
        """
        X = self._checked(X)
        if len(X) == 0:
            return np.empty(0, dtype=object)
        labels = self.head.predict(X)
        return np.array([str(label) for label in labels], dtype=object)

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return the head's margins.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Largest is likeliest. Two classes: minus and plus half the single margin. Heads without
            margins: log-probabilities.

        Raises
        ------
        ModelError
            As `predict`.
        """
        X = self._checked(X)
        if len(X) == 0:
            return np.empty((0, len(self.classes)))
        if not hasattr(self.head, "decision_function"):
            with np.errstate(divide="ignore"):
                return np.log(np.asarray(self.head.predict_proba(X), dtype=np.float64))
        return margin_columns(self.head.decision_function(X))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class.

        The head's own where it has them, else the softmax of its margins over ``temperature``.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            In [0, 1]; rows sum to 1 up to rounding, which is float32's for heads that compute in
            the embeddings' own type; columns in the order of ``classes``.

        Raises
        ------
        ModelError
            As `predict`.
        """
        X = self._checked(X)
        if len(X) == 0:
            return np.empty((0, len(self.classes)))
        if hasattr(self.head, "predict_proba"):
            return np.asarray(self.head.predict_proba(X), dtype=np.float64)
        return margin_probabilities(self.head.decision_function(X), self.temperature or 1.0)

    def _checked(self, X: np.ndarray) -> np.ndarray:
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            width = f"{X.shape[1]} features" if X.ndim == 2 else f"shape {X.shape}"
            raise ModelError(
                f"These embeddings have {width}; the model was fitted on {self.n_features} "
                f"features of {printable(self.spec.backbone)}.",
                hint="Extract them with the backbone that the model names.",
            )
        if X.dtype.kind != "f" or not np.isfinite(X).all():
            raise ModelError(
                f"Embeddings must be finite floating-point numbers. Got dtype {X.dtype}."
            )
        return X


def save_model(model: Model, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
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
        Something is there already and may not be replaced.
    ModelError
        The model contradicts itself or holds what could not be loaded again.
    OSError
        The disk is full or the folder cannot be written.
    """
    _check_consistent(model, "this model")
    head = dump_head(model.pipeline)
    files = {HEAD: head, DOCUMENT: encode(_describe(model, head))}
    target = Path(folder)
    write = write_archive if target.suffix == SUFFIX else write_folder
    write(target, files, overwrite=overwrite)


def _describe(model: Model, head: bytes) -> Document:
    """What ``model.json`` says of the model."""
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "classes": [str(name) for name in model.classes],
        "extractor": {"fingerprint": model.spec.fingerprint, "document": plain(model.extractor)},
        "request": plain(model.request),
        "temperature": None if model.temperature is None else float(model.temperature),
        "metrics": plain(model.metrics),
        "provenance": plain(model.provenance),
        "versions": dict(model.versions),
        "files": {HEAD: {"size_bytes": len(head), "sha256": hashlib.sha256(head).hexdigest()}},
    }
    return validate(values, source="this model")


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
    source, reader = _open(Path(path))
    document = decode(reader.read(DOCUMENT, MAX_DOCUMENT_BYTES), source=source)
    if set(document.files) != {HEAD}:
        raise ModelError(f"{source}: model.json must declare just the file {HEAD!r}.")
    if isinstance(reader, ArchiveReader):
        extra = sorted(set(reader.names()) - {DOCUMENT, HEAD})
        if extra:
            raise ModelError(f"{source} holds a file that is not declared: {printable(extra[0])}.")
    entry = document.files[HEAD]
    head = reader.read(HEAD, min(entry.size_bytes, MAX_MODEL_BYTES))
    if hashlib.sha256(head).hexdigest() != entry.sha256:
        raise ModelError(
            f"{source}: {HEAD} is not the file that model.json describes (its SHA-256 differs).",
            hint="Fit the model again, or restore it from a copy.",
        )
    return _build(document, head, source)


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


def _build(document: Document, head: bytes, source: str) -> Model:
    """The model itself, once every byte is known to be what was written."""
    advice = _compare_versions(document.versions)
    spec = ExtractorSpec(document.extractor.document)
    try:
        if spec.fingerprint != document.extractor.fingerprint:
            raise ModelError(f"{source}: the extractor's document and fingerprint differ.")
        model = Model(
            classes=list(document.classes),
            head=load_head(head, source=source),
            extractor=document.extractor.document,
            request=document.request,
            temperature=document.temperature,
            metrics=document.metrics,
            provenance=document.provenance,
            versions=document.versions,
        )
        _check_consistent(model, source)
        trial = np.zeros((1, model.n_features), dtype=np.float32)
        for method in (model.predict, model.decision_function, model.predict_proba):
            method(trial)
    except FeatxError as error:
        raise ModelError(error.message, hint=advice or error.hint) from error
    except Exception as error:  # a head of another version may raise anything when used
        raise ModelError(f"{source}: the head does not work: {error}", hint=advice) from error
    if advice:
        console.warn(f"{source}: {advice}")
    return model


def _compare_versions(written: dict[str, str]) -> str | None:
    """What to do when scikit-learn's major.minor is not the one the head was saved with."""
    saved, installed = written.get("scikit-learn", "?"), importlib.metadata.version("scikit-learn")
    if saved.split(".")[:2] == installed.split(".")[:2]:
        return None
    return (
        f"The head was fitted with scikit-learn {printable(saved)}, and {installed} is installed; "
        f"if results look wrong: pip install 'scikit-learn=={printable(saved)}', or fit again."
    )


def _check_consistent(model: Model, source: str) -> None:
    """Refuse a model whose classes, head, extractor and request do not belong together."""
    labels = [str(label) for label in getattr(model.head, "classes_", ())]
    if labels != list(model.classes):
        raise ModelError(
            f"{source}: the head knows {len(labels)} classes, which are not the "
            f"{len(model.classes)} that the model names."
        )
    width = getattr(model.head, "n_features_in_", None)
    declared = model.extractor.get("n_features")
    if type(declared) is not int or not 0 < declared <= MAX_FEATURES or width != declared:
        raise ModelError(
            f"{source}: the head takes {width} features, the extractor gives {declared!r}."
        )
    try:
        request = model.backbone_request
        texts = [request.name, model.extractor["backbone"]]
    except (TypeError, KeyError) as error:
        raise ModelError(f"{source}: it does not say how to build its backbone: {error}.") from None
    if not all(isinstance(text, str) for text in texts):
        raise ModelError(f"{source}: the backbone's name must be text. Got {texts!r}.")
