"""Images as people have them, paths or in memory, as rows of a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from featx.data.held import HeldImage
from featx.data.manifest import Manifest, Row
from featx.errors import DecodeError, UsageError
from featx.files import printable
from featx.types import Failure

_ALLOWED = "Allowed are paths, PIL images and uint8 arrays of shape (height, width, 3)."


def images_manifest(images: Any) -> Manifest:
    """One row for each image, in order; no file is opened.

    Parameters
    ----------
    images : sequence of path, PIL.Image.Image or ndarray of shape (height, width, 3), uint8
        Also an array of shape (n, height, width, 3), an array, series or frame of one column of
        paths, or one image by itself.

    Raises
    ------
    UsageError
        It holds something else; the message names the first.
    """
    rows = [_row(i, image) for i, image in enumerate(_each(images))]
    return Manifest(root=str(Path.cwd()), source="images", rows=tuple(rows))


def _each(images: Any) -> Iterable[Any]:
    if isinstance(images, str | os.PathLike) or _is_pil(images):
        return [images]
    if hasattr(images, "to_numpy"):  # of pandas or polars
        images = images.to_numpy()
    if isinstance(images, np.ndarray):
        if images.dtype.kind in "OUS" and images.ndim == 2 and images.shape[1] == 1:
            return list(images[:, 0])
        if images.dtype.kind in "OUS" and images.ndim == 1:
            return list(images)
        return [images] if images.ndim == 3 else _stack(images)
    if isinstance(images, Iterable) and not isinstance(images, bytes | dict):
        return images
    raise UsageError(f"Images were given as {_kind(images)}. {_ALLOWED}")


def _stack(images: np.ndarray) -> Iterable[Any]:
    if images.ndim != 4:
        raise UsageError(
            f"Images were given as {_kind(images)}. {_ALLOWED} Several of one size are one array "
            "of shape (n, height, width, 3)."
        )
    return images


def _row(i: int, image: Any) -> Row:
    name = f"image {i}"
    if isinstance(image, str | os.PathLike):
        path = os.fspath(image)
        if isinstance(path, str):
            return Row(id=str(path), path=str(Path(path).absolute()))
    if _is_pil(image):
        return Row(id=name, path=HeldImage(name, image))
    if not isinstance(image, np.ndarray):
        raise UsageError(f"Image {i} is {_kind(image)}. {_ALLOWED}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise UsageError(f"Image {i} is {_kind(image)}. {_ALLOWED}", hint=_mend(image))
    return Row(id=name, path=HeldImage(name, image))


def _is_pil(image: Any) -> bool:
    from PIL import Image

    return isinstance(image, Image.Image)


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"a {type(value).__module__}.{type(value).__name__}".replace("builtins.", "")


def _mend(image: np.ndarray) -> str | None:
    """What makes an image of such an array."""
    if image.dtype.kind == "f":
        return "Of values from 0 to 1: (image * 255).round().astype(np.uint8)"
    if image.ndim == 2:
        return "Of grey values: np.stack([image] * 3, axis=-1), or PIL.Image.fromarray(image)"
    if image.ndim == 3 and image.shape[0] == 3:
        return "Channels come last: image.transpose(1, 2, 0)"
    if image.ndim == 3 and image.shape[2] == 4:
        return "Of four channels: PIL.Image.fromarray(image, 'RGBA')"
    return None


def refuse_failures(failures: list[Failure], manifest: Manifest) -> None:
    """Raise for images that could not be read.

    Raises
    ------
    DecodeError
        It names the first by its place and path, and why.
    """
    if not failures:
        return
    first = failures[0]
    place = next(i for i, row in enumerate(manifest.rows) if row.id == first.id)
    named = "" if first.id == f"image {place}" else f" ({printable(first.id)!r})"
    more = f" The same holds for {len(failures) - 1} more." if len(failures) > 1 else ""
    is_folder = Path(first.path).is_dir()
    raise DecodeError(
        f"Image {place}{named} cannot be read: {first.reason}.{more}",
        hint="Give its files: sorted(pathlib.Path(folder).rglob('*.jpg'))" if is_folder else None,
    )
