"""Which formats are read, and the file extensions that mark a file in a folder as an image.

Kept apart from decoding so that listing a folder needs no Pillow.
"""

from __future__ import annotations

import os

__all__ = ["FORMATS", "is_image_name"]

#: Pillow's format name -> extensions. Formats are recognised by content, so a PNG named ``.jpg``
#: is read; the extensions only decide which files of a folder are rows. Left out on purpose:
#: formats that run programs (EPS, PDF, WMF) or that nobody labels images in.
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
}

_EXTENSIONS = frozenset(extension for group in FORMATS.values() for extension in group)


def is_image_name(name: str) -> bool:
    """Whether a file of this name, upper or lower case, counts as an image in a folder."""
    return os.path.splitext(name)[1].lower() in _EXTENSIONS  # noqa: PTH122 - a name, not a path
