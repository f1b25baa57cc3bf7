"""A saved model's extractor on this machine, which may lack the device it was fitted on."""

from __future__ import annotations

from dataclasses import replace

from featx import console
from featx.config import ExtractConfig
from featx.errors import ModelError, UsageError
from featx.extraction import Extractor
from featx.model import Model
from featx.types import ExtractorSpec

__all__ = ["rebuild_extractor"]


def rebuild_extractor(model: Model, config: ExtractConfig) -> tuple[Extractor, ExtractConfig]:
    """Return the extractor that ``model`` was fitted on, not yet loaded, and settings for it.

    Engine, device and precision left at ``auto`` are the model's own, so that embeddings are those
    it was fitted on, bit for bit, and the cache is shared. Another device, asked for or the only
    one here, is allowed and said: its kernels round differently, so embeddings differ slightly and
    have a store of their own.

    Parameters
    ----------
    model : Model
        Its extractor and request are read.
    config : ExtractConfig
        ``weights``, ``engine``, ``device`` and ``precision`` are read.

    Raises
    ------
    ModelError
        Another engine or precision is asked for, or the model's extractor is not one of featx's.
    """
    document = model.extractor
    fitted = document.get("numerics")
    if not isinstance(fitted, dict) or not isinstance(document.get("preprocess"), dict):
        raise ModelError("The model's extractor names no numerics or no preprocess.")
    for key in ("engine", "precision"):
        asked = getattr(config, key)
        if asked not in {"auto", fitted.get(key)}:
            raise ModelError(
                f"The model was fitted on embeddings of {key} {fitted.get(key)!r}; "
                f"{asked!r} was asked for.",
                hint=f"Leave --{key} out, or fit again with it.",
            )
    device = _device(str(fitted.get("device")), config.device)
    numerics = {**fitted, "device": device.partition(":")[0]}
    request = model.backbone_request
    if config.weights is not None:
        request = replace(request, weights=config.weights)
    settings = {**{k: fitted[k] for k in ("engine", "precision") if k in fitted}, "device": device}
    config = config.model_copy(update=settings)
    spec = ExtractorSpec({**document, "numerics": numerics})
    try:
        return Extractor.from_spec(spec, request, config), config
    except TypeError as error:
        raise ModelError(f"The model's preprocess is not one of featx's: {error}.") from None


def _device(fitted: str, asked: str) -> str:
    """The device to use; says so where it is not the kind that the model was fitted on."""
    if asked.partition(":")[0] == fitted or (asked == "auto" and fitted == "cpu"):
        return fitted if asked == "auto" else asked
    device = asked
    if asked == "auto":
        device = fitted if _is_here(fitted) else "cpu"
    if device.partition(":")[0] != fitted:
        console.warn(
            f"the model was fitted on embeddings computed on {fitted}; on {device} they differ "
            "slightly, so a borderline image may get another class."
        )
    return device


def _is_here(device: str) -> bool:
    from featx.engines.torch import choose_device  # imports torch

    try:
        choose_device(device)
    except UsageError:
        return False
    return True
