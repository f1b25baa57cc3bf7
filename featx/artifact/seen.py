"""Digests of the images that a model was fitted on, so that copies of them can be recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from featx.artifact.arrays import ModelArrays
from featx.errors import ModelError
from featx.heads import Field
from featx.types import AnyArray, BoolArray, UInt8Array

DIGEST_BYTES = 16


@dataclass(frozen=True, eq=False)
class Seen(ModelArrays):
    """A set of digests, one for each different training image.

    An image is known by its decoded pixels, or by its file where the hash of its pixels was not at
    hand (embeddings cached by an older version). Who has an image can find out whether the model
    was fitted on it; no image can be had back from its digest.

    Parameters
    ----------
    pixels : ndarray of shape (n_pixels, 16), uint8
        From `featx.data.hashing.pixel_hash`, sorted, each once.
    files : ndarray of shape (n_files, 16), uint8
        The first half of the SHA-256 of files, sorted, each once.
    """

    WORDS = "the digests of the training images"
    FIELDS: ClassVar = {
        "pixels": Field(("uint8",), ("n_pixels", DIGEST_BYTES)),
        "files": Field(("uint8",), ("n_files", DIGEST_BYTES)),
    }

    pixels: UInt8Array
    files: UInt8Array

    @classmethod
    def of(cls, hashes: UInt8Array, pixels: UInt8Array) -> Seen:
        """The set of some images.

        Parameters
        ----------
        hashes : ndarray of shape (n, 32), uint8
            SHA-256 of each file.
        pixels : ndarray of shape (n, 16), uint8
            Hash of each image's pixels; zeros where it is not known.
        """
        known = pixels.any(axis=1)
        return cls(
            np.unique(pixels[known], axis=0), np.unique(hashes[~known, :DIGEST_BYTES], axis=0)
        )

    def __len__(self) -> int:
        return len(self.pixels) + len(self.files)

    def holds(self, hashes: UInt8Array, pixels: UInt8Array) -> BoolArray:
        """Which of some images are copies of training images, shape (n,); arguments as of `of`."""
        return _among(pixels, self.pixels) | _among(hashes[:, :DIGEST_BYTES], self.files)

    @classmethod
    def decode(cls, data: bytes, *, source: str, **sizes: int) -> Seen:
        """Read what `encode` gave of ``n_seen`` images."""
        seen, n = super().decode(data, source=source), sizes["n_seen"]
        if len(seen) != n:
            words = f"{source}: {cls.WORDS}"
            raise ModelError(f"{words} are {len(seen)}, but model.json says {n}.")
        return seen


def _among(digests: UInt8Array, known: UInt8Array) -> BoolArray:
    """Which rows are among others; a row of zeros, which is no digest, never is."""
    rows = _whole(digests)
    return np.asarray(np.isin(rows, _whole(known)) & digests.any(axis=1), dtype=bool)


def _whole(digests: UInt8Array) -> AnyArray:
    """Each row as one value that compares as a whole."""
    return np.ascontiguousarray(digests).view(np.dtype((np.void, DIGEST_BYTES)))[:, 0]
