"""The head of a model as files: arrays in safetensors, and what they are in ``model.json``.

One file for a single head, one a head for an ensemble. No code is in them: names of heads are
looked up among the plug-ins, and every array is checked against the plug-in's form before use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from featx.artifact.arrays import encode_arrays, read_arrays
from featx.artifact.document import (
    SAFETENSORS_VERSION,
    Document,
    Ensemble,
    HeadEntry,
    MemberEntry,
    PluginEntry,
)
from featx.artifact.ensemble import EnsembleHead, Member
from featx.errors import ModelError
from featx.files import printable
from featx.heads import HEADS, FittedHead, freeze
from featx.heads import Steps as HeadSteps
from featx.registry import PluginOrigin

MAX_FEATURES = 1 << 24
#: Names in a file of the arrays of scaler and projection.
STEPS = {
    "mean": "scaler.mean",
    "scale": "scaler.scale",
    "components": "pca.components",
    "centre": "pca.mean",
    "variance": "pca.variance",
    "source": "columns.source",
    "level": "columns.level",
    "fill": "columns.fill",
}


def head_files(document: Document) -> set[str]:
    """Names of the files that hold the head."""
    old = document.format_version < SAFETENSORS_VERSION
    ensemble = document.ensemble
    if ensemble is None:
        return {_single(old)}
    members = enumerate(ensemble.members)
    names = {name for i, member in members for name in _names(i, member.heads, old)}
    return names | {_single(old)} if ensemble.method == "stack" else names


def _single(old: bool) -> str:
    """Of the only head; of an ensemble, what weighs its members."""
    return "head.skops" if old else "head.safetensors"


def _names(member: int, n_heads: int, old: bool = False) -> list[str]:
    kind = "voice-{}-{}.skops" if old else "member-{}-{}.safetensors"
    return [kind.format(member + 1, k + 1) for k in range(n_heads)]


def encode_heads(
    head: Any,
) -> tuple[dict[str, bytes], dict[str, HeadEntry], Ensemble | None]:
    """The files of a head, what ``model.json`` says of each and, for an ensemble, of it.

    Raises
    ------
    ModelError
        It holds something that `decode_heads` would refuse.
    """
    if not isinstance(head, EnsembleHead):
        return *_encoded({_single(False): head}), None
    heads = {
        name: member_head
        for i, member in enumerate(head.members)
        for name, member_head in zip(_names(i, len(member.heads)), member.heads, strict=True)
    }
    if head.stack is not None:
        heads[_single(False)] = head.stack
    members = [
        MemberEntry(
            heads=len(member.heads),
            start=member.columns[0],
            stop=member.columns[1],
            calibration=member.calibration,
            n_tabular=member.n_tabular,
        )
        for member in head.members
    ]
    ensemble = Ensemble(method="vote" if head.stack is None else "stack", members=members)
    return *_encoded(heads), ensemble


def _encoded(heads: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, HeadEntry]]:
    files, documents = {}, {}
    for name, head in heads.items():
        frozen = freeze(head)
        if fault := frozen.fault():
            raise ModelError(f"This head cannot be saved: {fault}.")
        steps = {key: getattr(frozen.steps, field) for field, key in STEPS.items()}
        arrays = {**frozen.arrays, **{k: v for k, v in steps.items() if v is not None}}
        files[name] = encode_arrays(arrays)
        documents[name] = HeadEntry(
            head=frozen.head,
            settings=dict(frozen.settings),
            parameters=dict(frozen.parameters),
            plugin=plugin_entry(HEADS.origin(frozen.head)),
        )
    return files, documents


def decode_heads(document: Document, files: Mapping[str, bytes], *, source: str) -> Any:
    """The head that ``files`` hold: a `featx.heads.FittedHead` or an EnsembleHead.

    Raises
    ------
    ModelError
        A file is not safetensors, is of an unknown head, or its arrays are not what the head's
        form asks for; or it is of an older format whose reader is not installed.
    """
    old = document.format_version < SAFETENSORS_VERSION
    widths: list[Any] = [e.document.get("n_features") for e in document.extractors]
    if not all(type(n) is int and 0 < n <= MAX_FEATURES for n in widths):
        raise ModelError(f"{source}: the extractors give {widths!r:.200} features.")
    n_features, n_tabular = sum(widths), document.n_tabular
    if document.ensemble is None:
        return _decoded(document, files, _single(old), n_features + n_tabular, source)
    members = []
    for i, described in enumerate(document.ensemble.members):
        columns = described.start, described.stop
        fault = Member([], columns).columns_fault(n_features)
        if described.n_tabular not in {0, n_tabular}:
            fault = f"reads {described.n_tabular} other columns of {n_tabular}"
        if fault:
            raise ModelError(f"{source}: its ensemble contradicts itself: member {i + 1} {fault}.")
        member = Member([], columns, described.calibration, described.n_tabular)
        member.heads.extend(
            _decoded(document, files, name, member.width, source)
            for name in _names(i, described.heads, old)
        )
        members.append(member)
    stack = None
    if document.ensemble.method == "stack":
        width = len(members) * len(document.classes)
        stack = _decoded(document, files, _single(old), width, source)
    return EnsembleHead(
        classes_=np.array(document.classes, dtype=object),
        n_features_in_=n_features + n_tabular,
        members=members,
        stack=stack,
    )


def _decoded(
    document: Document, files: Mapping[str, bytes], name: str, n_features: int, source: str
) -> FittedHead:
    """One head."""
    data = files[name]
    if document.format_version < SAFETENSORS_VERSION:
        from featx.artifact.format_1 import read_head

        head = read_head(data, source=source)
        known = [str(label) for label in head.classes_]
        if known != document.classes:
            raise ModelError(
                f"{source}: the head knows {len(known)} classes, which are not the "
                f"{len(document.classes)} that the model names."
            )
    else:
        head = _from_safetensors(document, data, name, n_features, source)
    if head.n_features_in_ != n_features:
        raise ModelError(
            f"{source}: the head takes {head.n_features_in_} features, and is given {n_features}."
        )
    if fault := head.fault():
        raise ModelError(f"{source}: {name} is malformed: {fault}.")
    return head


def _from_safetensors(
    document: Document, data: bytes, name: str, n_features: int, source: str
) -> FittedHead:
    described = document.heads[name]
    _check_head(described, f"{source}: {name}")
    arrays = read_arrays(data, what=f"{source}: {name}")
    steps = {field: arrays.pop(key, None) for field, key in STEPS.items()}
    return FittedHead(
        described.head,
        np.array(document.classes, dtype=object),
        n_features,
        arrays,
        described.settings,
        HeadSteps(**steps),
        described.parameters,
    )


def plugin_entry(origin: PluginOrigin | None) -> PluginEntry | None:
    """What ``model.json`` says of a plug-in's package; None for featx's own."""
    return None if origin is None else PluginEntry(package=origin.package, version=origin.version)


def _check_head(described: HeadEntry, what: str) -> None:
    """Refuse a head whose plug-in is not installed, or is another package's than the model's.

    Raises
    ------
    ModelError
        The message names the package and version that the model was fitted with.
    """
    head, needed = printable(described.head), described.plugin
    if described.head not in HEADS.names():
        known = f"Known heads: {', '.join(HEADS.names())}."
        if needed is None:
            raise ModelError(
                f"{what} needs the head {head!r}, which is not installed.",
                hint=f"Install the package that provides it. {known}",
            )
        raise ModelError(
            f"{what} needs the head {head!r} of the package {needed.origin}, which is not "
            "installed.",
            hint=f"pip install {needed.origin.requirement}\n{known}",
        )
    here = HEADS.origin(described.head)
    if needed is not None and here is not None and here.package != needed.package:
        raise ModelError(
            f"{what} needs the head {head!r} of the package {needed.origin}; here another "
            f"package, {here}, brings a head of this name.",
            hint=f"pip uninstall {here.package}, then pip install {needed.origin.requirement}",
        )
