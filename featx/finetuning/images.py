"""Images as the network takes them, decoded once where memory allows, augmented anew each epoch."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featx.data.decode import decode_image
from featx.data.hashing import content_hash, read_bytes
from featx.data.pixels import read_pixels, spare_pixels
from featx.errors import DatasetError
from featx.files import printable
from featx.finetuning.augmenting import Augment
from featx.types import Preprocess

__all__ = ["ImageBank"]

Pixels = NDArray[np.uint8]


class ImageBank:
    """Reads images by number, and remembers decoded ones.

    Parameters
    ----------
    paths : sequence of str
    hashes : ndarray of shape (n, 32), uint8
        SHA-256 of each file: another content than was embedded is refused.
    preprocess : Preprocess
    memory_bytes : int
        Of decoded images to remember.
    threads : int, default 1
        That decode and augment.
    """

    def __init__(
        self,
        paths: Sequence[str],
        hashes: NDArray[np.uint8],
        preprocess: Preprocess,
        *,
        memory_bytes: int,
        threads: int = 1,
    ) -> None:
        self.paths = list(paths)
        self.hashes = hashes
        self.preprocess = preprocess
        self._left = memory_bytes
        self._kept: dict[tuple[int, bool], Pixels] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads)

    def close(self) -> None:
        """End the threads and let go of the images."""
        self._pool.shutdown(cancel_futures=True)
        self._kept.clear()

    def forget(self) -> None:
        """Let go of the images that were kept; they can be read again."""
        with self._lock:
            self._left += sum(pixels.nbytes for pixels in self._kept.values())
            self._kept.clear()

    def plain(self, rows: NDArray[np.int64]) -> Pixels:
        """Images as they are, shape (n, height, width, 3)."""
        return np.stack(list(self._pool.map(lambda row: self._pixels(row, False), rows.tolist())))

    def augmented(
        self, rows: NDArray[np.int64], augment: Augment, *, step: int, seed: int
    ) -> Pixels:
        """A view of each image that depends on its content, the step and the seed alone."""

        def view(place: tuple[int, int]) -> Pixels:
            position, row = place
            said = f"{seed} {step} {position}".encode() + self.hashes[row].tobytes()
            image = Image.fromarray(self._pixels(row, True))
            return augment(image, self.preprocess, hashlib.sha256(said).digest())

        repeats = _occurrences(rows)
        return np.stack(list(self._pool.map(view, zip(repeats, rows.tolist(), strict=True))))

    def _pixels(self, row: int, spare: bool) -> Pixels:
        """What the network sees, or what views are made from, decoded where it is not known."""
        key = row, spare
        found = self._kept.get(key)
        if found is not None:
            return found
        data = read_bytes(self.paths[row])
        if content_hash(data) != self.hashes[row].tobytes():
            raise DatasetError(
                f"{printable(self.paths[row])} has changed since it was embedded.",
                hint="Run the same command again.",
            )
        if spare:
            scaled = self.preprocess if self.preprocess.decode == "scaled" else None
            image = decode_image(data, scaled_for=scaled)
            pixels = np.asarray(spare_pixels(image, self.preprocess))
        else:
            pixels = read_pixels(data, self.preprocess)
        with self._lock:
            if pixels.nbytes <= self._left and key not in self._kept:
                self._left -= pixels.nbytes
                self._kept[key] = pixels
        return pixels


def _occurrences(rows: NDArray[np.int64]) -> list[int]:
    """How often each row has come before in the batch: repeated images get other views."""
    seen: dict[int, int] = {}
    counts = []
    for row in rows.tolist():
        counts.append(seen.get(row, 0))
        seen[row] = counts[-1] + 1
    return counts
