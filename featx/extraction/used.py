"""What a command reads, which none of its outputs may touch."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from featx.artifact import Model
from featx.config import DatasetConfig, ExtractConfig, FinetuneConfig, FitConfig
from featx.data.manifest import Manifest
from featx.errors import UsageError
from featx.files import printable
from featx.outputs import Used
from featx.places import path_beside
from featx.shell import shell_line
from featx.store import cache_folder
from featx.store.listing import extractor_folders


def used_by(
    data: DatasetConfig | None = None,
    extract: ExtractConfig | None = None,
    section: FitConfig | FinetuneConfig | None = None,
    *,
    model: Model | str | os.PathLike[str] | None = None,
) -> list[Used]:
    """Everything that these settings name and a command reads, for `featx.outputs.claimed`."""
    found: list[tuple[str, str | os.PathLike[str] | None]] = []
    if data is not None:
        found += [("the file of --group", data.group)]
        found += [("the file of --exclude", path) for path in data.exclude]
        found += [("the file of --labels", path) for path in data.labels]
    if extract is not None:
        found += [("the file of --weights", extract.weights)]
    if isinstance(section, FitConfig):
        found.append(("the file of --costs", section.costs))
        found.append(("the race", section.race))
    if isinstance(section, FinetuneConfig):
        found.append(("the run of --from", section.from_run))
    if not isinstance(model, Model):
        found.append(("the model", model))
    images = [] if data is None else [_images(data, extract)]
    cached = [] if extract is None else _cached(cache_folder(extract.cache))
    return [*images, *cached, *(Used(what, path) for what, path in found if path)]


def _images(data: DatasetConfig, extract: ExtractConfig | None) -> Used:
    """The data set; where the cache would lie inside it, a hint names a place for that too."""
    source = data.dataset
    if not Path(source).is_dir():
        return Used("the data set's file", source)
    if extract is None or not _among(source, cache_folder(extract.cache)):
        return Used("the images", source)
    return Used("the images", source, shell_line("--cache", path_beside(source, "cache")))


def _cached(cache: Path) -> list[Used]:
    """The cache; outputs may lie in a folder that holds other things too, beside its extractors."""
    kept = kept_in(cache)
    around = cache == Path.cwd() or _is_shared(cache, {Path(used.path).name for used in kept})
    return [Used("the cache", cache, around=around), *kept]


def _is_shared(cache: Path, extractors: set[str]) -> bool:
    """Whether a folder that is named as the cache has folders of another kind in it."""
    with contextlib.suppress(OSError), os.scandir(cache) as entries:
        return any(
            entry.is_dir() and entry.name not in extractors and not entry.name.startswith(".")
            for entry in entries
        )
    return False


def kept_in(cache: str | Path) -> list[Used]:
    """What a cache holds, for exports of it: they may lie beside its extractors, not in them."""
    if not Path(cache).is_dir():
        return []
    return [Used("the cache", folder) for folder in extractor_folders(cache)]


def check_cache(manifest: Manifest, cache: str | None) -> None:
    """Refuse a cache that would be made among the images, where it would be read as data.

    One that is there already, of an earlier version, is used as it is.

    Raises
    ------
    UsageError
        It is the folder of images or would be made inside it.
    """
    folder = cache_folder(cache)
    if _among(manifest.source, folder):
        beside = path_beside(manifest.source, "cache")
        raise UsageError(
            f"The cache {printable(str(folder))!r} would lie inside the images "
            f"({printable(manifest.source)!r}).",
            hint="Name another folder with --cache or FEATX_CACHE, for instance "
            f"{shell_line('--cache', beside)}",
        )


def _among(source: str, cache: Path) -> bool:
    """Whether a cache would be made in a folder of images."""
    if not Path(source).is_dir():
        return False
    folder, images = Path(os.path.realpath(cache)), Path(os.path.realpath(source))
    new = not kept_in(folder)
    return folder == images or (images in folder.parents and new)
