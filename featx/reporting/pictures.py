"""Small pictures of images that are still where they were."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from featx.data.decode import decode_image
from featx.data.hashing import read_bytes
from featx.errors import FeatxError
from featx.machine import cpu_cores
from featx.reporting.blocks import Picture
from featx.types import Preprocess

QUALITY = 60  # of WebP: about 1.5 kB at 96 px
SHEET_QUALITY = 50
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


def by_path(paths: Iterable[str], size_px: int) -> dict[str, Image.Image | None]:
    """`small_pictures` by their paths, each read once."""
    unique = list(dict.fromkeys(paths))
    return dict(zip(unique, small_pictures(unique, size_px), strict=True))


def picture(image: Image.Image | None, words: str) -> Picture:
    """A picture inside a page, with what it shows in words."""
    if image is None:
        return Picture("", words)
    return Picture(_address(image, QUALITY, 4), words, image.width, image.height)


def addresses(paths: Sequence[str], size_px: int) -> list[str]:
    """The ``data:`` address of each image made small; empty where it cannot be read."""

    def address(image: Image.Image | None) -> str:
        return "" if image is None else _address(image, QUALITY, 2)

    with ThreadPoolExecutor(cpu_cores()) as pool:
        return list(pool.map(address, small_pictures(paths, size_px)))


def sprite_sheet(pictures: Sequence[Image.Image | None], size_px: int) -> Picture:
    """All pictures on one sheet of cells, row by row; none at all where there is no picture.

    A sheet of a thousand pictures is a third of a thousand files; a missing one is grey.
    """
    if not any(pictures):
        return Picture("", "")
    columns = max(1, int(len(pictures) ** 0.5))
    n_rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * size_px, n_rows * size_px), BACKGROUND)
    for i, image in enumerate(pictures):
        if image is None:
            continue
        left = (i % columns) * size_px + (size_px - image.width) // 2
        top = (i // columns) * size_px + (size_px - image.height) // 2
        sheet.paste(image, (left, top))
    return Picture(_address(sheet, SHEET_QUALITY, 2), "", sheet.width, sheet.height)


def _address(image: Image.Image, quality: int, method: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=method)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
