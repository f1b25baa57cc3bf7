"""What a command reads, which none of its outputs may touch."""

from __future__ import annotations

import os
from pathlib import Path

from featx.config import DatasetConfig, ExtractConfig, FinetuneConfig, FitConfig
from featx.data.manifest import Manifest
from featx.errors import UsageError
from featx.files import printable
from featx.model import Model
from featx.outputs import Used
from featx.store import cache_folder
from featx.store.listing import extractor_folders

__all__ = ["check_cache", "kept_in", "used_by"]


def used_by(
    data: DatasetConfig | None = None,
    extract: ExtractConfig | None = None,
    section: FitConfig | FinetuneConfig | None = None,
    *,
    model: Model | str | os.PathLike[str] | None = None,
    run: str | os.PathLike[str] | None = None,
) -> list[Used]:
    """Everything that these settings name and a command reads, for `featx.outputs.claimed`."""
    found: list[tuple[str, str | os.PathLike[str] | None]] = []
    if data is not None:
        what = "the images" if Path(data.dataset).is_dir() else "the data set's file"
        found += [(what, data.dataset), ("the file of --group", data.group)]
        found += [("the file of --exclude", path) for path in data.exclude]
    if extract is not None:
        found += [("the file of --weights", extract.weights)]
        found += [("the cache", cache_folder(extract.cache))]
    if isinstance(section, FitConfig):
        found.append(("the file of --costs", section.costs))
    if isinstance(section, FinetuneConfig):
        found.append(("the run of --from", section.from_run))
    if not isinstance(model, Model):
        found.append(("the model", model))
    found.append(("the run", run))
    return [Used(what, path) for what, path in found if path]


def kept_in(cache: str | Path) -> list[Used]:
    """What a cache holds, for exports of it: they may lie beside its extractors, not in them."""
    return [Used("the cache", folder) for folder in extractor_folders(cache)]


def check_cache(manifest: Manifest, cache: str | None) -> None:
    """Refuse a cache that would be made among the images, where it would be read as data.

    One that is there already, of an earlier version, is used as it is.

    Raises
    ------
    UsageError
        It is the folder of images or would be made inside it.
    """
    source = Path(manifest.source)
    if not source.is_dir():
        return
    folder, images = Path(os.path.realpath(cache_folder(cache))), Path(os.path.realpath(source))
    inside = images in folder.parents and not (folder.is_dir() and extractor_folders(folder))
    if folder == images or inside:
        raise UsageError(
            f"The cache {printable(str(folder))!r} would lie inside the images "
            f"({printable(manifest.source)!r}).",
            hint="Name another folder with --cache or FEATX_CACHE, for instance --cache "
            f"{printable(str(images.parent / 'cache'))}",
        )
