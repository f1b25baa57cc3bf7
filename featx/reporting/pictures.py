"""Small pictures of images that are still where they were."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from featx.data.decode import decode_image
from featx.data.hashing import read_bytes
from featx.errors import FeatxError
from featx.machine import cpu_cores
from featx.pages import Markup, element, thumbnail
from featx.types import Preprocess

__all__ = ["shown_picture", "small_pictures", "sprite_sheet"]

QUALITY = 50
BACKGROUND = (128, 128, 128)


def small_pictures(paths: Sequence[str], size_px: int) -> list[Image.Image | None]:
    """Each image with its longest side at most ``size_px``; None where it cannot be read.

    Parameters
    ----------
    paths : sequence of str
    size_px : int
        Large JPEG files are decoded at a fraction of their size.
    """
    aim = Preprocess((size_px, size_px), crop=1.0)

    def small(path: str) -> Image.Image | None:
        try:
            image = decode_image(read_bytes(path), scaled_for=aim)
        except FeatxError:
            return None
        image.thumbnail((size_px, size_px))
        return image

    with ThreadPoolExecutor(cpu_cores()) as pool:
        return list(pool.map(small, paths))


def shown_picture(image: Image.Image | None, size_px: int, words: str, kind: str) -> Markup:
    """A picture with its words, or a gap where there is none.

    Parameters
    ----------
    image : PIL.Image.Image or None
    size_px : int
        Longest side.
    words : str
        What it shows, for whoever does not see it, and on pointing at it.
    kind : str
        Class of the style.
    """
    if image is None:
        return element("span", "no picture", class_=f"gap {kind}")
    return element("img", src=thumbnail(image, size_px), alt=words, title=words, class_=kind,
                   width=image.width, height=image.height)  # fmt: skip


def sprite_sheet(pictures: Sequence[Image.Image | None], size_px: int) -> tuple[bytes, int]:
    """All pictures on one sheet of cells, row by row, and how many cells a row has.

    A sheet of a thousand pictures is a third of a thousand files; a missing one is grey.

    Returns
    -------
    tuple of (bytes, int)
        A WebP file and the columns.
    """
    columns = max(1, int(len(pictures) ** 0.5))
    n_rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * size_px, n_rows * size_px), BACKGROUND)
    for i, picture in enumerate(pictures):
        if picture is None:
            continue
        left = (i % columns) * size_px + (size_px - picture.width) // 2
        top = (i // columns) * size_px + (size_px - picture.height) // 2
        sheet.paste(picture, (left, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue(), columns
