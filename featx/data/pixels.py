"""From the bytes of an image file to the pixels that a network sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featx.data.decode import decode_image
from featx.data.preprocess import preprocess_image
from featx.types import Preprocess

__all__ = ["read_pixels"]


def read_pixels(data: bytes, preprocess: Preprocess) -> NDArray[np.uint8]:
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
    scaled_for = preprocess if preprocess.decode == "scaled" else None
    return preprocess_image(decode_image(data, scaled_for=scaled_for), preprocess)
