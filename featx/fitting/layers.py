"""``--layer auto``: the stages of a network, alone and side by side, compete in one search.

They come from one extraction, each with a store of its own. What the search chooses becomes one
embedding with its layers named, as if it had been asked for: one network gives it to new images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from featx.extraction import Extraction
from featx.extraction.overlay import OverlayStore
from featx.fitting.candidates import backbones_text, read_backbones
from featx.store import cache_folder
from featx.types import AUTO_LAYER, PRE_LOGITS, ExtractorSpec


def side_by_side(extractions: Sequence[Extraction]) -> list[tuple[str, ...]]:
    """Names of the embeddings that compete side by side too.

    With ``--layer auto``: all stages of one backbone, for every pooling, and everything together.
    """
    networks = _by_network(extractions)
    found: dict[tuple[str, ...], None] = {}
    for outputs in networks:
        poolings: dict[str, list[str]] = {}
        for e in outputs:
            if _taps(e)[0]["layer"] != PRE_LOGITS:
                poolings.setdefault(_taps(e)[0]["pooling"], []).append(e.name)
        found |= dict.fromkeys(map(tuple, poolings.values()))
    if networks:
        found[tuple(e.name for e in extractions)] = None
    return [names for names in found if len(names) > 1]


def one_embedding(extractions: Sequence[Extraction], cache: str | None) -> list[Extraction]:
    """The same embeddings, those of one network under ``--layer auto`` joined into one.

    Parameters
    ----------
    extractions : sequence of Extraction
        What a model rests on.
    cache : str, optional
        The cache, as it was asked for: the joined rows are kept there, so that nothing is computed
        again.
    """
    joined = _by_network(extractions)
    heads = {id(outputs[0]): outputs for outputs in joined}
    within = {id(e) for outputs in joined for e in outputs}
    return [
        _join(heads[id(e)], cache) if id(e) in heads else e
        for e in extractions
        if id(e) in heads or id(e) not in within
    ]


def chosen_layers(backbone: str, chosen: str) -> list[str]:
    """What ``--layer`` names the embedding that a search among those of ``backbone`` chose."""
    return [name.removeprefix(f"{backbone}/") for name in read_backbones(chosen)]


def _by_network(extractions: Sequence[Extraction]) -> list[list[Extraction]]:
    """The outputs of each network under ``--layer auto``, in order."""
    found: dict[str, list[Extraction]] = {}
    for extraction in extractions:
        if AUTO_LAYER in extraction.request["layers"]:
            found.setdefault(extraction.request["name"], []).append(extraction)
    return list(found.values())


def _taps(extraction: Extraction) -> list[dict[str, str]]:
    taps: list[dict[str, str]] = extraction.spec.document["output"]
    return taps


def _join(outputs: Sequence[Extraction], cache: str | None) -> Extraction:
    """One extraction that gives the outputs side by side."""
    first = outputs[0]
    taps = [tap for e in outputs for tap in _taps(e)]
    layers = [_name(tap) for tap in taps]
    network = first.spec.backbone.removesuffix(f"/{_name(_taps(first)[0])}")
    spec = ExtractorSpec(
        {
            **first.spec.document,
            "backbone": network if layers == [PRE_LOGITS] else f"{network}/{','.join(layers)}",
            "output": taps,
            "n_features": sum(e.spec.n_features for e in outputs),
        }
    )
    request: dict[str, Any] = {**first.request, "layers": layers, "poolings": [], "separate": False}
    store = first.store
    if len(outputs) > 1:
        store = OverlayStore(cache_folder(cache), spec, allow_memory=True)
        _fill(store, outputs)
    name = backbones_text(tuple(e.name for e in outputs))
    return replace(first, name=name, spec=spec, request=request, store=store)


def _name(tap: dict[str, str]) -> str:
    return tap["layer"] if tap["pooling"] == "own" else f"{tap['layer']}:{tap['pooling']}"


def _fill(store: OverlayStore, outputs: Sequence[Extraction]) -> None:
    """Keep the rows of images and views side by side."""
    first = outputs[0]
    names = [hash.tobytes() for hash in first.hashes[first.ok]]
    views = [
        first.plan.name(first.hashes[i].tobytes(), k)
        for i in np.flatnonzero(first.ok & first.plan.wanted)
        for k in range(first.plan.n_views)
    ]
    digests = np.frombuffer(b"".join(dict.fromkeys(names + views)), np.uint8).reshape(-1, 32)
    new = digests[~store.contains(digests)]
    if len(new):
        X = np.hstack([e.store.gather(new) for e in outputs])
        store.add(new, X, first.store.pixels(new))
