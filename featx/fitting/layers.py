"""``--layer auto``: the stages of a network, alone and side by side, compete in one search.

They come from one extraction, each with a store of its own. What the search chooses becomes one
embedding with its layers named, as if it had been asked for: one network gives it to new images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from featx.config import ExtractConfig
from featx.extraction import Extraction
from featx.extraction.overlay import OverlayStore
from featx.fitting.candidates import backbones_text, read_backbones
from featx.fitting.data import FitData
from featx.store import cache_folder
from featx.types import AUTO_LAYER, PRE_LOGITS, SQUASHED, ExtractorSpec


def side_by_side(extractions: Sequence[Extraction]) -> list[tuple[str, ...]]:
    """Names of the embeddings that compete side by side too.

    With ``--layer auto``: all stages of one backbone, for every pooling, and everything together;
    where images are squashed too, the same of those, with what has one way only.
    """
    networks = _by_network(extractions)
    found: dict[tuple[str, ...], None] = {}
    for outputs in networks:
        poolings: dict[str, list[str]] = {}
        for e in outputs:
            if _is_stage(e):
                poolings.setdefault(_taps(e)[0]["pooling"], []).append(e.name)
        found |= dict.fromkeys(map(tuple, poolings.values()))
    if networks:
        squashed = {e.request["name"] for e in extractions if _is_squashed(e)}
        found[tuple(e.name for e in extractions if not _is_squashed(e))] = None
        found[
            tuple(
                e.name for e in extractions if _is_squashed(e) or e.request["name"] not in squashed
            )
        ] = None
    return [names for names in found if len(names) > 1]


def let_compete(data: FitData, extractions: Sequence[Extraction]) -> FitData:
    """The data of these extractions, with all that competes in a search.

    Each embedding by itself, and those `side_by_side`. Where images are squashed beside the
    weights' own way, their stages compete together only: alone none won on any set that was
    tried (``docs/backbones.md``), and every candidate takes time and adds chance.
    """
    data = data.beside(side_by_side(extractions))
    alone = [(e.name,) for e in extractions if not (_is_squashed(e) and _is_stage(e))]
    return replace(data, contenders=[*alone, *data.sets])


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


def chosen_embedding(chosen: str, extract: ExtractConfig) -> dict[str, Any] | None:
    """Fields of `ExtractConfig` that give the embedding that a search chose among those of a run.

    None where it is not of one backbone in one way.

    Parameters
    ----------
    chosen : str
        Its name, as the run has it.
    extract : ExtractConfig
        Of the run.
    """
    names = read_backbones(chosen)
    for backbone in extract.backbone:
        for whole in (backbone, f"{backbone}{SQUASHED}"):
            found: dict[str, Any] = {"backbone": [backbone]}
            if extract.both_ways:
                found["resize"] = None if whole == backbone else "squash"
            if names == (whole,):
                return {**found, "layer": [], "pooling": []} if _is_auto(extract) else found
            if all(name.startswith(f"{whole}/") for name in names) and _is_auto(extract):
                layers = [name.removeprefix(f"{whole}/") for name in names]
                return {**found, "layer": layers, "pooling": []}
    return None


def _is_auto(extract: ExtractConfig) -> bool:
    return AUTO_LAYER in extract.layer


def _by_network(extractions: Sequence[Extraction]) -> list[list[Extraction]]:
    """The outputs of each network, on images of one kind, under ``--layer auto``, in order."""
    found: dict[tuple[str, bool], list[Extraction]] = {}
    for extraction in extractions:
        if AUTO_LAYER in extraction.request["layers"]:
            key = extraction.request["name"], _is_squashed(extraction)
            found.setdefault(key, []).append(extraction)
    return list(found.values())


def _is_squashed(extraction: Extraction) -> bool:
    """Whether its images are squashed, beside an embedding of them in the weights' own way."""
    return extraction.name.startswith(f"{extraction.request['name']}{SQUASHED}")


def _is_stage(extraction: Extraction) -> bool:
    """Whether it is one of the stages of ``--layer auto``."""
    auto = AUTO_LAYER in extraction.request["layers"]
    return auto and _taps(extraction)[0]["layer"] != PRE_LOGITS


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
