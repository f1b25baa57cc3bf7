"""Images as the network takes them, decoded once where memory allows, augmented anew each epoch."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image

from featx.data.budget import keep_pixels
from featx.data.decode import decode_for
from featx.data.hashing import content_hash, read_bytes
from featx.data.pixels import read_pixels, spare_pixels
from featx.errors import DatasetError
from featx.files import printable
from featx.finetuning.augmenting import Augment
from featx.types import IntArray, Preprocess, UInt8Array


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
        hashes: UInt8Array,
        preprocess: Preprocess,
        *,
        memory_bytes: int,
        threads: int = 1,
    ) -> None:
        self.paths = list(paths)
        self.hashes = hashes
        self.preprocess = preprocess
        self.memory_bytes, self.threads = memory_bytes, threads
        self._left = memory_bytes
        self._kept: dict[tuple[int, bool], UInt8Array] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads)

    def __reduce__(self) -> tuple[Any, ...]:
        # To another process, without the images that are kept here.
        own = self.paths, self.hashes, self.preprocess, self.memory_bytes, self.threads
        return _bank, own

    def divided(self, n: int) -> ImageBank:
        """A bank of the same images with an ``n``-th of the memory and of the threads."""
        memory, threads = self.memory_bytes // n, max(1, self.threads // n)
        return _bank(self.paths, self.hashes, self.preprocess, memory, threads)

    def close(self) -> None:
        """End the threads and let go of the images."""
        self._pool.shutdown(cancel_futures=True)
        self._kept.clear()

    def forget(self) -> None:
        """Let go of the images that were kept; they can be read again."""
        with self._lock:
            self._left += sum(pixels.nbytes for pixels in self._kept.values())
            self._kept.clear()

    def plain(self, rows: IntArray) -> UInt8Array:
        """Images as they are, shape (n, height, width, 3)."""
        return self._stacked(self._pool.map(lambda row: self._pixels(row, False), rows.tolist()))

    def augmented(
        self,
        rows: IntArray,
        augment: Augment,
        *,
        step: int,
        seed: int,
        wanted: IntArray | None = None,
    ) -> UInt8Array:
        """A view of each image that depends on its content, the step and the seed alone.

        Where ``wanted`` names positions in ``rows``, of those alone.
        """

        def view(place: tuple[int, int]) -> UInt8Array:
            position, row = place
            drawn_by = f"{seed} {step} {position}".encode() + self.hashes[row].tobytes()
            image = Image.fromarray(self._pixels(row, True))
            return augment(image, self.preprocess, hashlib.sha256(drawn_by).digest())

        places = list(zip(_occurrences(rows), rows.tolist(), strict=True))
        chosen = places if wanted is None else [places[i] for i in wanted]
        return self._stacked(self._pool.map(view, chosen))

    def _stacked(self, images: Iterable[UInt8Array]) -> UInt8Array:
        """Images as one array, also where there are none."""
        return np.array(list(images), np.uint8).reshape(-1, *self.preprocess.size_px, 3)

    def _pixels(self, row: int, spare: bool) -> UInt8Array:
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
            with keep_pixels():
                image = decode_for(data, self.preprocess)
                pixels = np.asarray(spare_pixels(image, self.preprocess))
        else:
            pixels = read_pixels(data, self.preprocess)
        with self._lock:
            if pixels.nbytes <= self._left and key not in self._kept:
                self._left -= pixels.nbytes
                self._kept[key] = pixels
        return pixels


def _bank(
    paths: Sequence[str],
    hashes: UInt8Array,
    preprocess: Preprocess,
    memory_bytes: int,
    threads: int,
) -> ImageBank:
    return ImageBank(paths, hashes, preprocess, memory_bytes=memory_bytes, threads=threads)


def _occurrences(rows: IntArray) -> list[int]:
    """How often each row has come before in the batch: repeated images get other views."""
    seen: dict[int, int] = {}
    counts = []
    for row in rows.tolist():
        counts.append(seen.get(row, 0))
        seen[row] = counts[-1] + 1
    return counts
