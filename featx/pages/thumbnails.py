"""Small pictures inside a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["thumbnail"]

QUALITY = 60  # of WebP: about 1.5 kB at 96 px


def thumbnail(image: Image.Image, size_px: int = 96) -> str:
    """An image as a ``data:`` address.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB, as `featx.data.decode` gives it.
    size_px : int, default=96
        Longest side; smaller images are not enlarged.
    """
    small = image.copy()
    small.thumbnail((size_px, size_px))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
