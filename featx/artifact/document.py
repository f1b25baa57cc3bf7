"""``model.json``: what it holds, how it is written, and what is refused when it is read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from pydantic import Field

from featx.artifact.calibration import Calibration
from featx.artifact.entry import ModelEntry
from featx.artifact.tabular import TabularColumn
from featx.artifact.trust import Trust
from featx.errors import ModelError, nearest
from featx.files import printable
from featx.parsing import parse_json
from featx.registry import PluginOrigin

FORMAT = "featx-model"
FORMAT_VERSION = 4
MAX_HEADS = 200
#: Format 1 has one extractor, its request beside it; in 1 and 2 the heads are skops data.
OLDEST_VERSION, SAFETENSORS_VERSION = 1, 3
#: Format 4 has other columns beside the embedding; a model without them is written as format 3.
TABULAR_VERSION = 4


class FileEntry(ModelEntry):
    """One other file of the model."""

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class PluginEntry(ModelEntry):
    """The installed package that brought a plug-in which the model cannot do without."""

    package: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?$")
    version: str = Field(pattern=r"^[A-Za-z0-9!+._-]{1,200}$")

    @property
    def origin(self) -> PluginOrigin:
        """The same, as what is installed here is described."""
        return PluginOrigin(self.package, self.version)


class _Plugged(ModelEntry):
    """What may need a plug-in of another package; the key is absent where featx's own does."""

    plugin: PluginEntry | None = None

    absent = ("plugin",)


class ExtractorEntry(_Plugged):
    """An extractor whose embeddings the head was fitted on, and how to build it again."""

    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    document: dict[str, Any]
    request: dict[str, Any]
    weights: str | None = None  # name of the file, where they are part of the model


class HeadEntry(_Plugged):
    """What the arrays of one file are; `featx.heads` has the plug-in."""

    head: str
    settings: dict[str, Any]
    parameters: dict[str, bool | int | float | str | None]


class MemberEntry(ModelEntry):
    """One member of an ensemble: its heads, the columns it reads, and its calibration."""

    heads: int = Field(ge=1, le=MAX_HEADS)
    start: int = Field(ge=0)
    stop: int = Field(ge=1)
    calibration: Calibration | None
    n_tabular: int = Field(0, ge=0)  # of the model's other columns: all or none

    absent = ("n_tabular",)


class Ensemble(ModelEntry):
    """How several heads answer together."""

    method: Literal["vote", "stack"]
    members: list[MemberEntry] = Field(min_length=1, max_length=MAX_HEADS)


class Document(ModelEntry):
    """The keys of ``model.json``; ``docs/models.md`` explains each."""

    format: str
    format_version: int
    classes: list[str] = Field(min_length=2)
    extractors: list[ExtractorEntry] = Field(min_length=1)
    heads: dict[str, HeadEntry] = Field(default_factory=dict)
    ensemble: Ensemble | None = None
    tabular: list[TabularColumn] | None = Field(None, min_length=1)  # absent without any
    temperature: float | None = Field(gt=0, allow_inf_nan=False)
    trust: Trust | None = None
    seen: int | None = Field(None, ge=1)  # training images whose digests lie beside it
    augmentation: dict[str, Any] | None = None
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, FileEntry]

    absent = ("tabular",)

    @property
    def n_tabular(self) -> int:
        """Other columns beside the embedding."""
        return len(self.tabular or ())


def plain(value: Any) -> Any:
    """Return ``value`` as plain JSON types: numpy scalars and tuples converted, NaN as null.

    Raises
    ------
    ModelError
        Something in it has no JSON form.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return plain(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise ModelError(
        f"A model's metrics and provenance must be JSON values. Got {type(value).__name__}: "
        f"{value!r}."
    )


def encode(document: Document) -> bytes:
    """Encode ``model.json``, with its own digest as the last key.

    Any text survives: lone surrogates (bytes of file names that are not UTF-8) are written as
    JSON escapes, everything else as readable UTF-8.
    """
    values = document.model_dump()
    values["sha256"] = _digest(values)
    return _utf8(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)) + b"\n"


def decode(data: bytes, *, source: str) -> Document:
    """Read ``model.json``.

    Parameters
    ----------
    data : bytes
        The file.
    source : str
        What to call it in messages.

    Raises
    ------
    ModelError
        Not JSON, another format or format version, altered since it was written, or a key is
        unknown, missing or of the wrong type.
    """
    values = _parse(data, source)
    _check_format(values, source)
    if values.pop("sha256", None) != _digest(values):
        raise ModelError(
            f"{source}: model.json was altered after it was written (its SHA-256 differs).",
            hint="Fit the model again, or restore it from a copy.",
        )
    return validate(_in_present_format(values), source=source)


def _in_present_format(values: dict[str, Any]) -> dict[str, Any]:
    """Older formats with the keys of now; what is not as it must be `validate` is to find."""
    if values["format_version"] >= SAFETENSORS_VERSION:
        return values
    kept = {k: v for k, v in values.items() if k not in {"extractor", "request"}}
    if isinstance(ensemble := values.get("ensemble"), dict) and "members" not in ensemble:
        renamed = {"members" if k == "voices" else k: v for k, v in ensemble.items()}
        kept["ensemble"] = renamed
    if values["format_version"] > 1:
        return kept
    only = values.get("extractor")
    if isinstance(only, dict) and "request" in values:
        only = {**only, "request": values["request"]}
    return {**kept, "extractors": [only]}


def validate(values: dict[str, Any], *, source: str) -> Document:
    """Check the keys, types and ranges of what is to be, or was, in ``model.json``.

    Raises
    ------
    ModelError
        A key is unknown, missing, of the wrong type or out of range, or a class is named twice.
    """
    try:
        document = Document.model_validate(values)
    except pydantic.ValidationError as error:
        raise ModelError(f"{source}: model.json is malformed: {_faults(error)}") from None
    if len(set(document.classes)) < len(document.classes):
        raise ModelError(f"{source}: model.json names a class twice.")
    names = [column.name for column in document.tabular or ()]
    if len(set(names)) < len(names):
        raise ModelError(f"{source}: model.json names a column twice.")
    fault = None if document.trust is None else document.trust.fault(document.classes)
    if document.ensemble and sum(m.heads for m in document.ensemble.members) > MAX_HEADS:
        fault = f"ensemble has more than {MAX_HEADS} heads"
    if fault:
        raise ModelError(f"{source}: model.json is malformed: {fault}.")
    return document


def _utf8(text: str) -> bytes:
    # backslashreplace writes a lone surrogate as \udcXX, which is just what JSON calls it
    return text.encode("utf-8", "backslashreplace")


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(_utf8(text)).hexdigest()


def _parse(data: bytes, source: str) -> dict[str, Any]:
    try:
        values = parse_json(data, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ModelError(f"{source}: model.json is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ModelError(f"{source}: model.json must hold an object. Got {type(values).__name__}.")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _check_format(values: Mapping[str, Any], source: str) -> None:
    if values.get("format") != FORMAT:
        raise ModelError(
            f"{source}: model.json is not featx's: its format is {values.get('format')!r}, "
            f"expected {FORMAT!r}."
        )
    version = values.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise ModelError(f"{source}: format_version must be an integer. Got {version!r}.")
    if OLDEST_VERSION <= version <= FORMAT_VERSION:
        return
    versions = values.get("versions")
    writer = versions.get("featx", "?") if isinstance(versions, dict) else "?"
    if version > FORMAT_VERSION:
        hint = "pip install --upgrade featx"
    else:
        hint = f"pip install featx=={writer}, or fit the model again with this version."
    raise ModelError(
        f"{source} is in model format {version}, written by featx {printable(str(writer))}; "
        f"this featx reads formats {OLDEST_VERSION} to {FORMAT_VERSION}.",
        hint=hint,
    )


def _faults(error: pydantic.ValidationError) -> str:
    """The first few faults, each with its key, the value shortened."""
    faults = []
    for fault in error.errors(include_url=False)[:5]:
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            guess = nearest(key, list(Document.model_fields))
            faults.append(f"unknown key {key!r}" + (f" (like {guess!r})" if guess else ""))
        else:
            got = "" if fault["type"] == "missing" else f", got {repr(fault['input'])[:60]}"
            faults.append(f"{key}: {fault['msg'].lower()}{got}")
    return printable("; ".join(faults)) + "."
