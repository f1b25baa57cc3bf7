"""From an image file, or an augmented view of it, to the pixels that a network sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.data.augment import View
from featx.data.budget import keep_pixels
from featx.data.decode import decode_for
from featx.data.preprocess import preprocess_image, resized_size
from featx.types import Preprocess, UInt8Array

if TYPE_CHECKING:
    from PIL import Image

_SPARE = 2  # pixels for each that the network sees: views zoom in
_WINDOW = 4  # what lies further along than so many short sides is in no view


def read_pixels(data: bytes, preprocess: Preprocess) -> UInt8Array:
    """Decode and preprocess one image, each as ``preprocess`` says.

    Parameters
    ----------
    data : bytes
        The whole file.
    preprocess : Preprocess
        Decoding, size, resize mode, interpolation and crop.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    DecodeError
        The file cannot be decoded.
    """
    with keep_pixels():
        return preprocess_image(decode_for(data, preprocess), preprocess)


def spare_pixels(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    """The part and the pixels of an image that views need, so that large ones cost no more.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB.
    preprocess : Preprocess
        Size, resize mode and crop.

    Returns
    -------
    PIL.Image.Image
        At least twice as large as what is cut out of the resized image, if ``image`` is: pixels are
        joined by whole numbers.
    """
    width, height = image.size
    if preprocess.resize == "shortest":
        longest = min(image.size) * _WINDOW * max(preprocess.size_px) // min(preprocess.size_px)
        left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
        image = image.crop((left, top, width - left, height - top))
    down, across = resized_size(image.height, image.width, preprocess)
    factors = (
        max(1, image.width // (_SPARE * across)),
        max(1, image.height // (_SPARE * down)),
    )
    if preprocess.resize == "shortest":
        factors = (min(factors), min(factors))
    return image if factors == (1, 1) else image.reduce(factors)


def view_pixels(image: Image.Image, preprocess: Preprocess, view: View) -> UInt8Array:
    """Preprocess one augmented view.

    Parameters
    ----------
    image : PIL.Image.Image
        From `spare_pixels`.
    preprocess : Preprocess
    view : View

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    return view.of_pixels(preprocess_image(view.of_image(image), preprocess))
