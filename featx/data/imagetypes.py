"""Which formats are read, and the file extensions that mark a file in a folder as an image.

Kept apart from decoding so that listing a folder needs no Pillow.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec

from featx.data.kinds import HEIC, sniff

#: Pillow's format name -> extensions. Formats are recognised by content, so a PNG named ``.jpg``
#: is read; the extensions only decide which files of a folder are rows. Left out on purpose:
#: formats that run programs (EPS, PDF, WMF) or that nobody labels images in.
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
}

#: Read where pillow-heif is installed (the extra ``heif``): Pillow's name for it, and its endings.
HEIF = "HEIF"
HEIF_ENDINGS = (".heic", ".heif", ".hif", ".heics", ".heifs")

_EXTENSIONS = frozenset(extension for group in FORMATS.values() for extension in group)


_READ = frozenset({"JPEG", "PNG", "WebP", "AVIF", "GIF", "TIFF", "JPEG 2000"})


@lru_cache(maxsize=1)
def has_heif() -> bool:
    """Whether HEIC and HEIF can be read here."""
    return find_spec("pillow_heif") is not None


def other_kind(data: bytes) -> str | None:
    """Why bytes that no decoder here takes cannot be read, where they are of another known kind."""
    kind = sniff(data)
    if kind is None or kind.noun in _READ:
        return None
    if kind == HEIC and has_heif():
        return "HEIC that cannot be decoded: cut off, damaged, or of an unknown kind"
    if kind.needs:
        return kind.reason
    return f"{kind.reason}; formats read: {', '.join(FORMATS)}"


def is_image_name(name: str) -> bool:
    """Whether a file of this name, upper or lower case, counts as an image in a folder."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path
    return ending in _EXTENSIONS or (ending in HEIF_ENDINGS and has_heif())
