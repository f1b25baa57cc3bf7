"""The head of a model as files: one for a single head, one a member for an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from featx.artifact.document import Document, Ensemble
from featx.artifact.document import Voice as VoiceDocument
from featx.artifact.ensemble import EnsembleHead, Voice
from featx.artifact.head import dump_head, load_head
from featx.artifact.linear import ArrayHead

__all__ = ["decode_heads", "encode_heads", "head_files"]

HEAD = "head.skops"  # of an ensemble: what weighs its voices


def head_files(ensemble: Ensemble | None) -> set[str]:
    """Names of the files that hold the head."""
    if ensemble is None:
        return {HEAD}
    names = {name for i, voice in enumerate(ensemble.voices) for name in _names(i, voice.heads)}
    return names | {HEAD} if ensemble.method == "stack" else names


def _names(voice: int, n_heads: int) -> list[str]:
    return [f"voice-{voice + 1}-{k + 1}.skops" for k in range(n_heads)]


def encode_heads(head: Any) -> tuple[dict[str, bytes], Ensemble | None]:
    """The files of a head and, for an ensemble, what ``model.json`` says of it.

    Raises
    ------
    ModelError
        It holds something that `decode_heads` would refuse.
    """
    if not isinstance(head, EnsembleHead):
        return {HEAD: dump_head(head)}, None
    files = {}
    for i, voice in enumerate(head.voices):
        for name, member in zip(_names(i, len(voice.heads)), voice.heads, strict=True):
            files[name] = dump_head(_rebuilt(member))
    if head.stack is not None:
        files[HEAD] = dump_head(_rebuilt(head.stack))
    voices = [
        VoiceDocument(
            heads=len(voice.heads),
            start=voice.columns[0],
            stop=voice.columns[1],
            calibration=voice.calibration,
        )
        for voice in head.voices
    ]
    return files, Ensemble(method="vote" if head.stack is None else "stack", voices=voices)


def _rebuilt(head: Any) -> Any:
    return head.rebuild() if isinstance(head, ArrayHead) else head


def decode_heads(document: Document, files: Mapping[str, bytes], *, source: str) -> Any:
    """The head that ``files`` hold: a pipeline, an ArrayHead or an EnsembleHead.

    Raises
    ------
    ModelError
        See `featx.artifact.head.load_head`.
    """
    if document.ensemble is None:
        return load_head(files[HEAD], source=source)
    voices = [
        Voice(
            [load_head(files[name], source=source) for name in _names(i, voice.heads)],
            (voice.start, voice.stop),
            voice.calibration,
        )
        for i, voice in enumerate(document.ensemble.voices)
    ]
    widths = [extractor.document.get("n_features") for extractor in document.extractors]
    return EnsembleHead(
        classes_=np.array(document.classes, dtype=object),
        n_features_in_=sum(n for n in widths if type(n) is int),
        voices=voices,
        stack=load_head(files[HEAD], source=source) if HEAD in files else None,
    )
