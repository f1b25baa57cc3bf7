"""A few images of a data set, on which an engine is checked before it is trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.data.hashing import read_bytes
from featx.data.pixels import read_pixels
from featx.errors import DecodeError
from featx.types import Preprocess, UInt8Array

N_SAMPLES = 8
_TRIES = 64


def read_samples(paths: Sequence[str], preprocess: Preprocess) -> UInt8Array:
    """At most eight readable images, spread over the data set, preprocessed.

    Parameters
    ----------
    paths : sequence of str
        The images.
    preprocess : Preprocess
        What becomes of them.

    Returns
    -------
    ndarray of uint8, shape (n, height, width, 3)
        ``n`` is 0 where none of those tried can be read; why is for the extraction to say.
    """
    images = []
    step = max(1, len(paths) // N_SAMPLES)
    order = [*range(0, len(paths), step), *(i for i in range(len(paths)) if i % step)]
    for i in order[:_TRIES]:
        try:
            images.append(read_pixels(read_bytes(paths[i]), preprocess))
        except DecodeError:
            continue
        if len(images) == N_SAMPLES:
            break
    return np.stack(images) if images else np.empty((0, *preprocess.size_px, 3), np.uint8)
